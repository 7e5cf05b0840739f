# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the repository says of a run before it begins."""

from __future__ import annotations

__all__ = ["check_repository"]

from collections.abc import Iterator
from dataclasses import replace

from ..outcomes import Certification
from ..plan import Stage
from ..ports import CalibrationRepository, ObservatoryError
from ..products import StageKind, Subject
from ..record import DecisionKind
from ._context import Context
from ._exposer import Exposer
from ._prerequisites import missing_prerequisites
from ._processing import Processing
from ._remaking import refusal_to_replace, remade


async def check_repository(context: Context, exposer: Exposer, processing: Processing) -> tuple[str, ...]:
    """Return what prevents the run, by what the repository has or lacks.

    Parameters
    ----------
    context : `Context`
        The run.
    exposer : `Exposer`
        Has the frames, and has checked what they are taken through.
    processing : `Processing`
        Knows what is to be certified.

    Returns
    -------
    problems : `tuple` [`str`, ...]
        With their remedies.
    """
    repository, record = context.world.repository, context.recorder.record
    stages = [
        stage for stage in context.plan.stages_of(StageKind.CERTIFY) if not record.is_refused(stage.subject)
    ]
    certifications = [processing.certification(stage) for stage in stages]
    # What this run certifies into need not exist yet.
    own = {certification.collection for certification in certifications}
    inputs = {name for stage in context.plan.stages if stage.job for name in stage.job.inputs} - own
    problems = await repository.check(inputs, certifications)
    try:
        if not problems and (standing := await _standing(context, stages, processing)):
            problems = (refusal_to_replace(record.run_id, standing),)
        return (*problems, *await missing_prerequisites(context, exposer))
    except ObservatoryError as error:
        # What prevents this most often prevents the first check too.
        return problems or (str(error),)


async def _standing(context: Context, stages: list[Stage], processing: Processing) -> tuple[Subject, ...]:
    """Return the products that are certified, and would be made anew."""
    anew = remade(context.plan, context.config, context.recorder.record)
    found: list[Subject] = []
    for stage in stages:
        if stage.id in anew:
            for certification in _certifications(context, stage, processing):
                if await _is_certified(context.world.repository, certification):
                    found.append(stage.subject)
                    break
    return tuple(found)


def _certifications(context: Context, stage: Stage, processing: Processing) -> Iterator[Certification]:
    """Yield what an earlier run may have certified of a product."""
    yield processing.certification(stage)
    for decision in context.recorder.record.decisions:
        # A person may have accepted it for other dates.
        is_acceptance = decision.kind is DecisionKind.ACCEPT and decision.subject == stage.subject
        if is_acceptance and decision.certification is not None:
            yield decision.certification


async def _is_certified(repository: CalibrationRepository, certification: Certification) -> bool:
    """Return whether the product itself prevents that another takes over."""
    beside = await repository.check((), [certification])
    in_place = await repository.check((), [replace(certification, source="")])
    return not set(in_place) <= set(beside)
