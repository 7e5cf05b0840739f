# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that came into the Butler for some of several detectors."""

from __future__ import annotations

__all__ = ["without_bad_detectors"]

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from ..outcomes import Cause
from ..plan import Stage
from ..ports import IngestReport, LostRaw
from ._incomplete import Incomplete

_MAX_LISTED = 3
"""Exposures of a detector that a text lists; of more, the ends."""


def without_bad_detectors(
    incomplete: Incomplete, stage: Stage, report: IngestReport, needless: Collection[int]
) -> tuple[IngestReport, tuple[str, ...]]:
    """Find the detectors that lack frames which others have.

    Parameters
    ----------
    incomplete : `Incomplete`
        Where they are noted.
    stage : `Stage`
        Whose frames they are.
    report : `IngestReport`
        What became of them.
    needless : `~collections.abc.Collection` [`int`]
        Ids of exposures that need not be there.

    Returns
    -------
    report : `IngestReport`
        What became of those that are missing for another reason.
    problems : `tuple` [`str`, ...]
        Which detectors lack frames, if the run does not go on without them.
    """
    left_out = {bad.detector for bad in incomplete.of(stage.id)}
    lost = [raw for raw in report.lost if raw.exposure not in needless and raw.detector not in left_out]
    n_left = len(incomplete.detectors) - len(left_out)
    detectors_without: dict[int, int] = {}
    for raw in lost:
        detectors_without[raw.exposure] = detectors_without.get(raw.exposure, 0) + 1
    # A frame that came for none is not the fault of a detector.
    whole = {exposure for exposure, n in detectors_without.items() if n == n_left}
    of_detector: dict[int, list[LostRaw]] = {}
    for raw in lost:
        if raw.exposure not in whole:
            of_detector.setdefault(raw.detector, []).append(raw)
    partial = {raw.exposure for raw in report.lost} - whole - set(needless)
    others = replace(
        report,
        missing=tuple(i for i in report.missing if i not in partial),
        failures=tuple((i, text) for i, text in report.failures if i not in partial),
    )
    texts = {detector: _text(raws) for detector, raws in sorted(of_detector.items())}
    if not texts or incomplete.find(stage, Cause.NOT_INGESTED, texts):
        return others, ()
    remark = f" ({report.remark})" if report.remark else ""
    return others, (f"{incomplete.why_not(stage)}{remark}",)


def _text(raws: Iterable[LostRaw]) -> str:
    """Return which frames of a detector are lost, and why."""
    by_description: dict[str, list[int]] = {}
    for raw in raws:
        by_description.setdefault(raw.description, []).append(raw.exposure)
    return ", ".join(
        f"the OODS could not ingest {_listed(ids)}: {description}"
        if description
        else f"not in the Butler: {_listed(ids)}"
        for description, ids in by_description.items()
    )


def _listed(ids: Sequence[int]) -> str:
    if len(ids) > _MAX_LISTED:
        return f"{len(ids)} exposures, {min(ids)} to {max(ids)}"
    return f"exposure{'s' * (len(ids) > 1)} {', '.join(map(str, sorted(ids)))}"
