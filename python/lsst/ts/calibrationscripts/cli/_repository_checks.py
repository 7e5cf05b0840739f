# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the repository that a configuration names."""

from __future__ import annotations

__all__ = ["check_content", "check_repository"]

import asyncio
import os
from collections.abc import Iterator, Mapping

from ..butler.generation import INDEXES
from ..butler.inspection import RepositoryContent, inspect, known_labels, try_writing
from ..checkup import Check
from ..config import CalibrationConfig
from ..instruments import Instrument
from ..plan import make_plan
from ..ports import ObservatoryError
from ._common import within

_TIMEOUT = 30.0
"""Longest that one look at the repository may take (s)."""


_REPOSITORY = "repository"
_COLLECTIONS = "collections"
_TYPES = "datasets"
_WRITING = "writing"


def check_repository(
    config: CalibrationConfig, instrument: Instrument, dimensions: Mapping[str, frozenset[str]]
) -> Iterator[Check]:
    """Check the repository, without writing into it.

    Parameters
    ----------
    config : `CalibrationConfig`
        Names the repository and its collections.
    instrument : `Instrument`
        Whose frames it is for.
    dimensions : `~collections.abc.Mapping` [`str`, `frozenset` [`str`]]
        What its dataset types must have.

    Yields
    ------
    check : `Check`
    """
    wanted = {instrument.raw_collection, config.calib_collection, *_inputs(config, instrument)}
    try:
        content = asyncio.run(inspect(config.repo, instrument, wanted, _TIMEOUT))
    except ObservatoryError as error:
        yield Check.failed(_REPOSITORY, str(error), _remedy(config.repo))
        for name in (_COLLECTIONS, _TYPES, _WRITING):
            yield Check.skipped(name, "the repository cannot be looked at")
        return
    yield from check_content(content, config, instrument, dimensions)
    try:
        asyncio.run(try_writing(config.repo, _TIMEOUT))
    except ObservatoryError as error:
        yield Check.failed(_WRITING, str(error), "Certifications are written there by this account")
    else:
        yield Check.ok(_WRITING, "this account can write into the registry")


def _inputs(config: CalibrationConfig, instrument: Instrument) -> list[str]:
    """Return the input collections of a run, but for what it makes."""
    jobs = (stage.job for stage in make_plan(config, instrument).stages)
    names = {name for job in jobs if job for name in job.inputs}
    return sorted(names - {config.calib_collection})


def _remedy(repo: str) -> str:
    """Return what to do about a repository that does not open."""
    if "/" in repo:
        return "Write another repo, or see that this host has that path and the database runs"
    try:
        labels = within(_TIMEOUT, known_labels)
    except TimeoutError:
        labels = ()
    index = next((f"{name}={os.environ[name]}" for name in INDEXES if os.environ.get(name)), None)
    if labels:
        return f"Write a path as repo, or one of the labels of {index}: {', '.join(labels)}"
    found = f"{index} has no labels. " if index else ""
    return f"{found}Set {INDEXES[0]} to a file that has {repo}, or write a path as repo"


def check_content(
    content: RepositoryContent,
    config: CalibrationConfig,
    instrument: Instrument,
    dimensions: Mapping[str, frozenset[str]],
) -> Iterator[Check]:
    """Compare what a repository has with what a run needs.

    Parameters
    ----------
    content : `RepositoryContent`
        What it has.
    config : `CalibrationConfig`
        Names its collections.
    instrument : `Instrument`
        Whose frames it is for.
    dimensions : `~collections.abc.Mapping` [`str`, `frozenset` [`str`]]
        What its dataset types must have.

    Yields
    ------
    check : `Check`
    """
    absent = sorted(set(instrument.detector_ids(config.detectors)) - content.detectors)
    if absent:
        yield Check.failed(
            _REPOSITORY,
            f"{config.repo} does not know detector {', '.join(map(str, absent))} of {instrument.name}",
            "Register the instrument with 'butler register-instrument', or write another repo",
        )
    else:
        yield Check.ok(_REPOSITORY, f"{config.repo} answers and knows {instrument.name}")
    yield from _collection_checks(content.collections, config, instrument)
    yield from _type_checks(content.dataset_types, config.repo, dimensions)


def _collection_checks(
    found: Mapping[str, str | None], config: CalibrationConfig, instrument: Instrument
) -> Iterator[Check]:
    own, raw = config.calib_collection, instrument.raw_collection
    failures = [
        Check.failed(
            _COLLECTIONS,
            f"input collection {name} does not exist in {config.repo}",
            "Write others as input_collections_*, or have calibrations certified into it",
        )
        for name in _inputs(config, instrument)
        if found[name] is None
    ]
    if found[raw] is None:
        failures.append(
            Check.failed(
                _COLLECTIONS,
                f"{raw}, where frames are found, does not exist in {config.repo}",
                f"Have the OODS ingest a frame of {instrument.name}, or write another repo",
            )
        )
    if found[own] not in (None, "CALIBRATION"):
        failures.append(
            Check.failed(
                _COLLECTIONS,
                f"calib_collection {own} is a {found[own]} collection, which nothing can be certified into",
                "Write another name as calib_collection",
            )
        )
    yield from failures
    if not failures:
        present = ", ".join(f"{name} ({kind})" for name, kind in sorted(found.items()) if kind)
        made = "" if found[own] else f"; {own} is made when something is certified"
        yield Check.ok(_COLLECTIONS, f"{present}{made}")


def _type_checks(
    found: Mapping[str, frozenset[str]], repo: str, dimensions: Mapping[str, frozenset[str]]
) -> Iterator[Check]:
    registered = sorted(found.keys() & dimensions.keys())
    wrong = [name for name in registered if found[name] != dimensions[name]]
    for name in wrong:
        yield Check.failed(
            _TYPES,
            f"{repo} has {name} by {', '.join(sorted(found[name]))}, but the pipelines have it by "
            f"{', '.join(sorted(dimensions[name]))}",
            "A dataset type cannot be changed: write another repo, or the pipeline_generation that made it",
        )
    if not wrong:
        yield Check.ok(_TYPES, f"{len(registered)} types have the right dimensions; jobs register others")
