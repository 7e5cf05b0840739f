# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generation of pipelines of a run, and what depends on it alone."""

from __future__ import annotations

__all__ = ["FindGeneration", "with_generation"]

import dataclasses
from collections.abc import Callable
from typing import Any

from ..pipelines import AUTO, GENERATIONS, NEWEST, labels_of
from ..products import Product
from ._findings import Findings
from ._parameters import PRODUCT_PARAMETERS
from ._values import ParsedConfig

FindGeneration = Callable[[str], tuple[str, str]]
"""Takes a Butler repository; returns a generation, and why it is this one."""

_KEY = "pipeline_generation"


def with_generation(
    parsed: ParsedConfig, findings: Findings, find_generation: FindGeneration | None
) -> ParsedConfig:
    """Name the generation, and fill in the options that are its own.

    Parameters
    ----------
    parsed : `ParsedConfig`
        Values, of which some may be unusable.
    findings : `Findings`
        Takes problems and notices.
    find_generation : `~collections.abc.Callable` or `None`
        As for `parse`.

    Returns
    -------
    parsed : `ParsedConfig`
    """
    # Something must stand for an unusable value in the checks that follow.
    generation = parsed.values[_KEY] if findings.usable(_KEY) else NEWEST
    if generation == AUTO:
        generation = NEWEST
        if find_generation is not None and parsed.is_complete and findings.usable("repo"):
            generation, why = find_generation(parsed.values["repo"])
            findings.notices.append(f"The pipelines are those of generation {generation}: {why}.")
    resolved: dict[str, Any] = {_KEY: generation}
    for product, parameters in PRODUCT_PARAMETERS.items():
        key = parameters.options
        if not findings.usable(key):
            continue
        if parsed.values[key] is None:
            resolved[key] = GENERATIONS[generation].generators[product].options
        elif findings.usable(_KEY):
            _check_labels(key, parsed, product, generation, findings)
    return dataclasses.replace(parsed, values={**parsed.values, **resolved})


def _check_labels(
    key: str, parsed: ParsedConfig, product: Product, generation: str, findings: Findings
) -> None:
    """Report options for tasks of another generation; note unknown ones."""
    own = GENERATIONS[generation].generators[product].tasks
    unknown = [label for label in dict.fromkeys(labels_of(parsed.values[key])) if label not in own]
    elsewhere = {
        label: name for name, other in GENERATIONS.items() for label in other.generators[product].tasks
    }
    for label in unknown:
        if label in elsewhere:
            findings.report(
                key,
                parsed.given.get(key),
                f"the pipelines of generation {generation} have no task {label}",
                f"write {' or '.join(own)} in its place, leave {key} out, "
                f'or write {_KEY}: "{elsewhere[label]}"',
            )
            return
    if unknown:
        findings.notices.append(
            f"{key}: {', '.join(unknown)}: not among the known tasks of generation {generation}, "
            f"{', '.join(own)}. If the pipeline lacks the task, its job will fail."
        )
