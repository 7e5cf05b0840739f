# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether preconditions are met."""

from __future__ import annotations

__all__ = ["Finding", "Reading", "Standing", "judge", "way_out"]

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ._records import OneOf, Precondition, component_key


@dataclass(frozen=True)
class Reading:
    """What was read of a precondition."""

    value: float | None = None
    """`None` if it was never published."""

    age: float = 0.0
    """Time since it was sent (s)."""

    alive: bool = True
    """Whether the component sends heartbeats."""

    met_in: float | None = None
    """Time after which it will be met (s), if that is known."""


class Standing(enum.StrEnum):
    """Whether a precondition is met."""

    MET = "met"
    UNMET = "not met"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Finding:
    """What was found of preconditions."""

    preconditions: tuple[Precondition, ...]
    """Several of one component if that is silent, else one."""

    standing: Standing
    text: str
    """What was read, what it has to be and what to do: sentences."""

    @property
    def component(self) -> str:
        """SAL name of what they are about."""
        return self.preconditions[0].component


def judge(readings: Mapping[Precondition, Reading]) -> tuple[Finding, ...]:
    """Compare preconditions with what was read.

    Parameters
    ----------
    readings : `~collections.abc.Mapping` [`Precondition`, `Reading`]
        What was read of each.

    Returns
    -------
    findings : `tuple` [`Finding`, ...]
        In the same order; a component that is silent is one finding.
    """
    found: list[Finding] = []
    silent = {each.component for each, reading in readings.items() if _is_silent(each, reading)}
    for precondition, reading in readings.items():
        if precondition.component not in silent:
            found.append(_judge(precondition, reading))
        elif precondition.component not in {one.component for one in found}:
            its_own = tuple(each for each in readings if each.component == precondition.component)
            found.append(_judge_silent(its_own))
    return tuple(found)


def way_out(findings: Sequence[Finding]) -> str:
    """Return how frames are taken although preconditions are not met.

    Parameters
    ----------
    findings : `~collections.abc.Sequence` [`Finding`]
        What is not met.

    Returns
    -------
    text : `str`
        A sentence.
    """
    names = ", ".join(dict.fromkeys(component_key(each.component) for each in findings))
    return (
        "To take the frames nevertheless, write preconditions: warn; or, to look at the others alone, "
        f"ignore: [{names}]."
    )


def _is_silent(precondition: Precondition, reading: Reading) -> bool:
    """Return whether nothing can be known from a component."""
    if reading.alive:
        return False
    # What it sends itself shows that a component is alive.
    return precondition.max_age is None or _is_stale(precondition, reading)


def _is_stale(precondition: Precondition, reading: Reading) -> bool:
    return reading.value is None or (precondition.max_age is not None and reading.age > precondition.max_age)


def _judge(precondition: Precondition, reading: Reading) -> Finding:
    name, limit, value = precondition.component, precondition.limit, reading.value
    whether = f"whether {precondition.what} is {limit.text}"
    topic = precondition.topic.partition("_")[2]
    if value is None or not math.isfinite(value):
        cause = f"{name} has not published {topic}" if value is None else f"{name}.{topic} has no number"
        text = f"{cause}, so it is not known {whether}. Check {name}."
        return Finding((precondition,), Standing.UNKNOWN, text)
    if _is_stale(precondition, reading):
        text = f"{name} last published {topic} {reading.age:.0f} s ago, so it is not known {whether}. "
        return Finding((precondition,), Standing.UNKNOWN, f"{text}Check {name}.")
    if limit.accepts(value):
        return Finding((precondition,), Standing.MET, f"{precondition.what} is {limit.show(value)}")
    so, remedy = f"{name}: {precondition.what} is {limit.show(value)}, not {limit.text}", precondition.remedy
    if isinstance(limit, OneOf) and limit.show(value) in limit.coming and (reading.met_in or 0.0) > 0:
        so, remedy = f"{so}, which it will be in {reading.met_in:.0f} s", "Wait for it."
    return Finding((precondition,), Standing.UNMET, f"{so}. {remedy}")


def _judge_silent(preconditions: tuple[Precondition, ...]) -> Finding:
    name = preconditions[0].component
    whether = " and ".join(f"{each.what} is {each.limit.text}" for each in preconditions)
    text = f"{name} sends no heartbeat, so it is not known whether {whether}. Check {name}."
    return Finding(preconditions, Standing.UNKNOWN, text)
