# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be so in pipelines and repository before a run begins."""

from __future__ import annotations

__all__ = ["Preconditions"]

from ..forecast import MissingCalibration
from ._context import Context
from ._exposer import Exposer
from ._prerequisites import missing_prerequisites
from ._processing import Processing
from ._remaining import jobs_left
from ._remaking import refusal_to_replace
from ._standing import certifying, standing


class Preconditions:
    """Finds what would fail later, without components of SAL.

    Parameters
    ----------
    context : `Context`
        The run.
    exposer : `Exposer`
        Has looked for the frames that exist.
    processing : `Processing`
        Knows what is to be certified.
    """

    def __init__(self, context: Context, exposer: Exposer, processing: Processing) -> None:
        self._context = context
        self._exposer = exposer
        self._processing = processing

    async def of_pipelines(self) -> tuple[str, ...]:
        """Return what the pipelines lack that jobs need."""
        context = self._context
        if context.world.pipelines is None:
            return ()
        left = jobs_left(context.plan, context.config, context.recorder.record)
        return await context.world.pipelines.check(
            [stage.job for stage in context.plan.stages if stage.job and stage.id in left]
        )

    async def of_repository(self, *, ahead: bool = False) -> tuple[str, ...]:
        """Return what in the repository would make jobs fail.

        Parameters
        ----------
        ahead : `bool`, optional
            Whether the wheels may yet be turned: then nothing is said of
            certifying flats whose filter is not known.
        """
        context = self._context
        certifications = [self._processing.certification(stage) for stage in certifying(context)]
        # What this run certifies into need not exist yet.
        own = {certification.collection for certification in certifications}
        inputs = {name for stage in context.plan.stages if stage.job for name in stage.job.inputs} - own
        if ahead:
            certifications = [
                each
                for each in certifications
                if each.physical_filter or not context.pipelines.is_of_filter(each.dataset_type)
            ]
        problems = await context.world.repository.check(inputs, certifications)
        if not problems and (products := await standing(context, self._processing)):
            journal = context.world.journal.path
            return (refusal_to_replace(context.recorder.record.run_id, products, journal),)
        return problems

    async def missing(self) -> tuple[MissingCalibration, ...]:
        """Return the calibrations that jobs will not find.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """
        return await missing_prerequisites(self._context, self._exposer)
