# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrations that jobs look up and the run does not make."""

from __future__ import annotations

__all__ = ["Prerequisite", "prerequisites"]

from collections.abc import Iterator
from dataclasses import dataclass

from ..pipelines import PipelineSet, looked_up
from ..products import StageKind
from ._records import RunPlan, Stage


@dataclass(frozen=True)
class Prerequisite:
    """A calibration that a job looks up for its frames."""

    dataset_type: str

    stage: Stage
    """Whose job it is."""

    collections: tuple[str, ...]
    """Where the job searches, beside what the run makes; sorted."""


def prerequisites(plan: RunPlan, pipelines: PipelineSet) -> Iterator[Prerequisite]:
    """Yield the calibrations that must exist before a run.

    Parameters
    ----------
    plan : `RunPlan`
        The run.
    pipelines : `PipelineSet`
        The pipelines that its jobs run.

    Yields
    ------
    prerequisite : `Prerequisite`
        Job by job. What the run makes, and the job reads from where it was
        made, is not among them.
    """
    for stage in plan.stages:
        if stage.job is None:
            continue
        # A job's output collection is a chain, of what it made and what it
        # searched itself.
        sources = tuple(_sources(plan, stage))
        generators = [pipelines.generators[source.subject.product] for source in sources]
        made = {generator.dataset_type for generator in generators}
        jobs = [source.job for source in (*sources, stage) if source.job]
        collections = {name for job in jobs for name in job.inputs}
        verification = stage.kind is StageKind.VERIFY
        needed = pipelines.prerequisites_of(stage.subject.product, verification=verification)
        for dataset_type in looked_up(needed, stage.job.options, pipelines.settings):
            if dataset_type not in made:
                yield Prerequisite(dataset_type, stage, tuple(sorted(collections)))


def _sources(plan: RunPlan, stage: Stage) -> Iterator[Stage]:
    """Yield the stages whose outputs a job searches, those of theirs too."""
    ids = stage.job.inputs_from if stage.job else ()
    for source in (other for other in plan.stages if other.id in ids):
        yield source
        yield from _sources(plan, source)
