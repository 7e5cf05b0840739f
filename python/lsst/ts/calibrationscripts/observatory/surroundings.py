# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is around a camera, as its SAL components report it."""

from __future__ import annotations

__all__ = ["SalSurroundings", "needed_for", "topics_of"]

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ..config import CalibrationConfig
from ..plan import TAI_MINUS_UTC, RunPlan
from ..preconditions import Precondition, Reading, Standing, judge, preconditions_of
from .sal import salobj
from .watch import HEARTBEAT_TIMEOUT


def needed_for(camera: str, config: CalibrationConfig, left: RunPlan) -> tuple[Precondition, ...]:
    """Return what will be looked at.

    Parameters
    ----------
    camera : `str`
        The Butler's name of the instrument.
    config : `CalibrationConfig`
        What the observer asked for.
    left : `RunPlan`
        What is still to be done.

    Returns
    -------
    preconditions : `tuple` [`Precondition`, ...]
    """
    if config.preconditions == "off":
        return ()
    return preconditions_of(camera, {each.image_type for each in left.exposures}, config.ignore)


def topics_of(preconditions: Iterable[Precondition]) -> dict[str, set[str]]:
    """Return what has to be read, without prefixes, by component.

    Parameters
    ----------
    preconditions : `~collections.abc.Iterable` [`Precondition`]
        What is to be looked at.

    Returns
    -------
    topics : `dict` [`str`, `set` [`str`]]
        With the heartbeat of each.
    """
    topics: dict[str, set[str]] = {}
    for each in preconditions:
        topics.setdefault(each.component, {"heartbeat"}).add(each.topic.partition("_")[2])
    return topics


class SalSurroundings:
    """A `Surroundings` that reads the newest message of each topic.

    It sends no command, and has neither tasks nor callbacks.

    Parameters
    ----------
    remotes : `~collections.abc.Mapping` [`str`, `salobj.Remote`]
        What components send, by SAL name: they have started.
    """

    PATIENCE = 5.0
    """How long what is not right is waited for, as it may be from before
    this process began: a few heartbeats (s)."""

    HEARTBEAT_TIMEOUT = HEARTBEAT_TIMEOUT
    """Silence after which a component is not taken for alive (s)."""

    POLL_INTERVAL = 0.25
    """Time between two readings (s)."""

    def __init__(self, remotes: Mapping[str, salobj.Remote]) -> None:
        self._remotes = remotes
        self._begin = time.monotonic()

    async def read(self, preconditions: Sequence[Precondition]) -> Mapping[Precondition, Reading]:
        """Return what there is to know of preconditions.

        What is not known yet is waited for: the first telemetry of a
        component that lives, as long as it may take; else a moment.
        """
        until = time.monotonic() + self.PATIENCE
        while True:
            readings = self.now(preconditions)
            unknown = {
                each
                for finding in judge(readings)
                if finding.standing is Standing.UNKNOWN
                for each in finding.preconditions
            }
            if not any(time.monotonic() < max(until, self._first(each, readings)) for each in unknown):
                return readings
            await asyncio.sleep(self.POLL_INTERVAL)

    def now(self, preconditions: Collection[Precondition]) -> Mapping[Precondition, Reading]:
        """Return what is known now of preconditions."""
        return {each: self._reading(each) for each in preconditions}

    def preview(self, preconditions: Sequence[Precondition], log: logging.Logger) -> None:
        """Log what is not met now, long before frames are taken.

        A script before it may yet see to that, and telemetry may yet come.

        Parameters
        ----------
        preconditions : `~collections.abc.Sequence` [`Precondition`]
            What will be looked at.
        log : `logging.Logger`
            The script's.
        """
        readings = self.now(preconditions)
        for finding in judge(readings):
            unmet = finding.standing is Standing.UNMET
            if unmet or not any(readings[each].alive for each in finding.preconditions):
                log.warning(f"Not met now, and looked at again before frames are taken: {finding.text}")

    def _first(self, precondition: Precondition, readings: Mapping[Precondition, Reading]) -> float:
        """Return until when the first telemetry may come."""
        reading = readings[precondition]
        if precondition.max_age is None or reading.value is not None or not reading.alive:
            return 0.0
        return self._begin + precondition.max_age

    def _reading(self, precondition: Precondition) -> Reading:
        remote, now = self._remotes[precondition.component], _tai()
        heartbeat = remote.evt_heartbeat.get()
        alive = heartbeat is not None and now - heartbeat.private_sndStamp <= self.HEARTBEAT_TIMEOUT
        data = getattr(remote, precondition.topic).get()
        if data is None:
            return Reading(alive=alive)
        met_at = getattr(data, precondition.met_at) if precondition.met_at else 0.0
        return Reading(
            value=_newest(getattr(data, precondition.field)),
            age=max(0.0, now - data.private_sndStamp),
            alive=alive,
            met_in=met_at - now if met_at else None,
        )


def _newest(value: Any) -> float:
    """Return a value, or the last of several samples."""
    return float(value[-1] if isinstance(value, list) else value)


def _tai() -> float:
    """Return the time: TAI, as a Unix timestamp (s)."""
    return time.time() + TAI_MINUS_UTC.total_seconds()
