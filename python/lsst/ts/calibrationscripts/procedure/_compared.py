# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""With what a verification job has compared the frames, by the Butler."""

from __future__ import annotations

__all__ = ["compared"]

from collections.abc import Mapping

from ..plan import Stage
from ..products import StageId
from ..record import JobRecord
from ..verification import FailureLevel, dataset_name
from ._context import Context


async def compared(
    context: Context, verification: Stage | None, jobs: Mapping[StageId, JobRecord]
) -> tuple[tuple[str, ...], float | None]:
    """Return where a verification job has looked for calibrations, and when.

    What was put into the repository after the job's first output is not what
    the job has looked at, whatever the journal says.

    Parameters
    ----------
    context : `Context`
        The run.
    verification : `Stage` or `None`
        The verification; of none there is nothing.
    jobs : `~collections.abc.Mapping` [`StageId`, `JobRecord`]
        The job of each stage.

    Returns
    -------
    searched : `tuple` [`str`, ...]
        Collections, in order.
    since : `float` or `None`
        When its first output was put into the repository: TAI, as a Unix
        timestamp (s).

    Raises
    ------
    ObservatoryError
        If the repository cannot be read.
    """
    if verification is None:
        return (), None
    world, job_id, subject = context.world, jobs[verification.id].job_id, verification.subject
    of_frames = context.pipelines.verifiers[subject.product].per_exposure
    outputs = tuple(filter(None, (of_frames, *(dataset_name(subject, level) for level in FailureLevel))))
    searched = await world.repository.searched(world.jobs.collection(job_id))
    return searched, await world.repository.first_written(outputs, world.jobs.run_collection(job_id))
