# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Products of a run that are certified already."""

from __future__ import annotations

__all__ = ["certifying", "standing"]

from collections.abc import Iterator
from dataclasses import replace

from ..outcomes import Certification
from ..plan import Stage
from ..ports import CalibrationRepository
from ..products import StageKind, Subject
from ..record import DecisionKind
from ._context import Context
from ._processing import Processing
from ._remaking import remade


def certifying(context: Context) -> tuple[Stage, ...]:
    """Return the stages that certify what no person has decided against."""
    record = context.recorder.record
    return tuple(
        stage for stage in context.plan.stages_of(StageKind.CERTIFY) if not record.is_refused(stage.subject)
    )


async def standing(context: Context, processing: Processing) -> tuple[Subject, ...]:
    """Return the products that are certified, and would be made anew.

    Parameters
    ----------
    context : `Context`
        The run.
    processing : `Processing`
        Knows what is to be certified.

    Returns
    -------
    subjects : `tuple` [`Subject`, ...]
    """
    anew = remade(context.plan, context.config, context.recorder.record)
    found: list[Subject] = []
    for stage in certifying(context):
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
