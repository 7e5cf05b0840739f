# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the jobs: errors of `pipetask`."""

from __future__ import annotations

__all__ = [
    "DiskFull",
    "JobDropsExposure",
    "JobFails",
    "JobKilled",
    "JobMakesNothing",
    "StatisticsMissing",
]

import asyncio
import contextlib
import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ..cscs.ocps import OcpsJob
from .base import Proceed, StepFault

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetRef

    from ..observatory import SimulatedObservatory
    from ..runner import PipetaskJob

_UNKNOWN_TASK = "simulatedFault:exitCode=1"

_UNKNOWN_EXPOSURE = "2099123199999"

_EXECUTING = "executing quantum"
"""What a job's log says when its first task begins."""

_POLL = 0.02
"""Time between two readings of a job's log (s)."""


class _JobFault(StepFault):
    component = "ocps"
    counts = "job"
    step = "make_job"


class JobFails(_JobFault):
    """`pipetask` refuses an option and ends with exit code 1."""

    name = "job-fails"
    description = "a job ends with exit code 1: pipetask refuses one of its options"

    async def _strike(self, proceed: Proceed, data: Any) -> OcpsJob:
        job: OcpsJob = await proceed(data)
        job.argv += ["-c", _UNKNOWN_TASK]
        return job


class JobKilled(_JobFault):
    """The process of a job is killed while its first task runs."""

    name = "job-killed"
    description = "a job is killed (SIGKILL) while it runs"
    step = "attend"

    async def _strike(self, proceed: Proceed, job: OcpsJob, process: PipetaskJob) -> Any:
        while _EXECUTING not in await asyncio.to_thread(job.log.read_text):
            with contextlib.suppress(TimeoutError):
                return await process.wait(_POLL)
        await process.kill()
        return await proceed(job, process)


class JobDropsExposure(_JobFault):
    """A job gets another exposure id in place of its last one.

    The Butler does not have that id, so `pipetask` leaves it out without an
    error.
    """

    name = "job-drops-exposure"
    description = "a job leaves out its last exposure without an error, as pipetask does with unknown ids"

    async def _strike(self, proceed: Proceed, data: Any) -> OcpsJob:
        job: OcpsJob = await proceed(data)
        at = job.argv.index("-d") + 1
        # The last id in the query is the one without another after it.
        job.argv[at] = re.sub(r"\b\d{13}\b(?!.*\b\d{13}\b)", _UNKNOWN_EXPOSURE, job.argv[at])
        return job


class _ProductFault(_JobFault):
    """What a job has made of all its exposures is gone when it has ended."""

    step = "attend"

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the end of a job."""
        super().attach(observatory)
        self._repo = observatory.repo

    async def _strike(self, proceed: Proceed, job: OcpsJob, process: PipetaskJob) -> Any:
        code = await proceed(job, process)
        await asyncio.to_thread(self._take_away, job)
        return code

    def _take_away(self, job: OcpsJob) -> None:
        from lsst.daf.butler import Butler

        chain = f"u/ocps/{job.job_id}"
        with Butler.from_config(str(self._repo), writeable=True) as butler:
            (info,) = butler.collections.query_info(f"{chain}/run", include_summary=True)
            products = [
                ref
                for name in sorted(info.dataset_types or ())
                for ref in butler.query_datasets(name, collections=f"{chain}/run", explain=False)
                if "exposure" not in ref.dataId
            ]
            self.before_removal(butler, products, chain)
            butler.pruneDatasets(products, disassociate=True, unstore=True, purge=True)

    def before_removal(self, butler: Butler, products: list[DatasetRef], chain: str) -> None:
        """Prepare the removal of what the job has made."""


class JobMakesNothing(_ProductFault):
    """A job ends with exit code 0, and its product does not exist.

    What it has made of each exposure does.
    """

    name = "job-makes-nothing"
    description = "a job ends with exit code 0, but its combined calibration or its statistics do not exist"


class StatisticsMissing(_ProductFault):
    """The statistics of a verification are only in another run of its chain.

    They do not exist in the job's own run.
    """

    name = "statistics-missing"
    description = "a verification leaves no statistics, but its chain of collections has those of another run"
    counts = "verification job"

    def concerns(self, job: OcpsJob, process: PipetaskJob) -> bool:
        """Return whether a job verifies."""
        return PurePath(job.environment["PIPELINE_URL"]).name.startswith("verify")

    def before_removal(self, butler: Butler, products: list[DatasetRef], chain: str) -> None:
        """Copy the statistics into a run of another name."""
        stranger = f"u/stranger/{PurePath(chain).name}"
        butler.collections.register(stranger)
        for ref in products:
            if ref.datasetType.name.endswith("Stats"):
                butler.put(butler.get(ref), ref.datasetType, ref.dataId, run=stranger)
        butler.collections.extend_chain(chain, stranger)


class DiskFull(_JobFault):
    """There is no space for the files of a job in the repository."""

    name = "disk-full"
    description = "a job cannot write its files into the repository: no space left on device"

    async def _strike(self, proceed: Proceed, data: Any) -> OcpsJob:
        job: OcpsJob = await proceed(data)
        job.disk_full = True
        return job
