# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""With what a verification job has compared the frames, by the Butler."""

from __future__ import annotations

__all__ = ["Compared", "compared"]

from collections.abc import Mapping
from typing import NamedTuple

from ..plan import Stage
from ..products import StageId
from ..record import JobRecord
from ..verification import FailureLevel, dataset_name
from ._context import Context


class Compared(NamedTuple):
    """With what a verification job has compared the frames."""

    searched: tuple[str, ...] = ()
    """Where it has looked for calibrations, in order."""

    found_before: tuple[str, ...] = ()
    """Of these, where it found some before the run's own."""

    since: float | None = None
    """When its first output was put into the repository: TAI, as a Unix
    timestamp (s). What is newer is not what it has looked at, whatever the
    journal says."""


async def compared(
    context: Context, verification: Stage | None, generated: StageId, jobs: Mapping[StageId, JobRecord]
) -> Compared:
    """Return with what a verification job has compared the frames.

    Parameters
    ----------
    context : `Context`
        The run.
    verification : `Stage` or `None`
        The verification; of none there is nothing.
    generated : `StageId`
        What has made the product that it was to be of.
    jobs : `~collections.abc.Mapping` [`StageId`, `JobRecord`]
        The job of each stage.

    Returns
    -------
    compared : `Compared`

    Raises
    ------
    ObservatoryError
        If the repository cannot be read.
    """
    if verification is None:
        return Compared()
    names, repository, subject = context.world.jobs, context.world.repository, verification.subject
    job_id, made_by = jobs[verification.id].job_id, jobs[generated].job_id
    dataset_type = context.pipelines.generators[subject.product].dataset_type
    of_frames = context.pipelines.verifiers[subject.product].per_exposure
    outputs = tuple(filter(None, (of_frames, *(dataset_name(subject, level) for level in FailureLevel))))
    collection, made_in = names.collection(job_id), names.run_collection(made_by)
    return Compared(
        await repository.searched(collection),
        await repository.found_before(dataset_type, collection, made_in),
        await repository.first_written(outputs, names.run_collection(job_id)),
    )
