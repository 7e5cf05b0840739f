# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated observatory: repository, pipeline runner and all CSCs."""

from __future__ import annotations

__all__ = ["PIPELINE_ENVIRONMENTS", "SimulatedObservatory", "WorkFolderError", "current_day"]

import asyncio
import contextlib
import datetime
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .ccd import DEFAULT_SCALE, DEFAULT_SEED, CcdModel
from .cscs import AtCameraCsc, AtHeaderServiceCsc, AtOodsCsc, AtSpectrographCsc, OcpsCsc, SimulatedCsc
from .cscs.atcamera import DRAFT_SUFFIX, READ_OUT_TIME
from .cscs.ocps import log_path
from .repository import (
    DEFAULT_GENERATION,
    INSTRUMENT,
    create_repository,
    exposure_id_of,
    is_repository,
    read_ccd,
    read_end,
    read_generation,
)
from .runner import PipetaskRunner

if TYPE_CHECKING:
    from .faults import Fault

_HERE = Path(__file__).parent

PIPELINE_ENVIRONMENTS = {
    generation: {"CP_PIPE_DIR": str(folder / "cp_pipe"), "CP_VERIFY_DIR": str(folder / "cp_verify")}
    for generation, folder in (("procedure", _HERE), ("current", _HERE / "current"))
}
"""Where the simulation's pipelines stand in for cp_pipe's and cp_verify's, by
generation."""

TASK_MODULES = (
    "astropy.io.fits",
    "astropy.time",
    f"{__package__}.formatters",
    *(f"{__package__}.tasks.{module.name}" for module in pkgutil.iter_modules([str(_HERE / "tasks")])),
)
"""The tasks of these pipelines, and what they import."""


START_TIMEOUT = 30.0
"""Longest that the end waits for CSCs that are still starting (second)."""


class WorkFolderError(ValueError):
    """A work folder holds an observatory of another kind."""


@dataclass(frozen=True, order=True)
class _History:
    """What is known of a day's exposures."""

    last_seq_num: int = 0
    end: float = 0.0


class SimulatedObservatory:
    """An observatory in a folder, as an asynchronous context manager.

    Entering makes the repository where there is none, and returns with all
    CSCs ENABLED; ``pipetask`` is still being imported then, and a job that
    comes early waits for it. Leaving ends jobs, CSCs and processes.

    Parameters
    ----------
    workdir : `pathlib.Path`
        Folder of the observatory: ``repo``, ``uws`` and ``staging`` in it.
    scale : `int`, optional
        How much smaller than the real detector the simulated one is. By
        default that of the repository, 8 where there is none.
    seed : `int`, optional
        Seed of the CCD model; by default that of the repository.
    generation : `str`, optional
        Which generation of pipelines there is: "procedure" or "current".
    time_scale : `float`, optional
        What a simulated second lasts (second).
    day_obs : `datetime.date`, optional
        Observing day; by default today's. Exposures that the repository
        already holds of it are continued.
    max_processes : `int`, optional
        The most processes that a job may use; see `OcpsCsc`.
    faults : sequence of `Fault`, optional
        What is to go wrong.
    calib_collection : `str`, optional
        Collection that is certified into; the faults of the repository need
        to know.

    Raises
    ------
    ValueError
        If there is no such generation.
    WorkFolderError
        On entering: if the repository was made with another scale or seed,
        or for another generation.

    Attributes
    ----------
    repo, uws, staging : `pathlib.Path`
        Butler repository, folder of the OCPS jobs, and the one between
        camera and OODS.
    ccd : `CcdModel`
        Makes the images.
    runner : `PipetaskRunner`
        Runs the jobs.
    camera, spectrograph, header_service, oods, ocps : `SimulatedCsc`
        The CSCs.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        scale: int | None = None,
        seed: int | None = None,
        generation: str = DEFAULT_GENERATION,
        time_scale: float = 0.01,
        day_obs: datetime.date | None = None,
        max_processes: int | None = None,
        faults: Sequence[Fault] = (),
        calib_collection: str = "LATISS/calib/daily",
    ) -> None:
        # Absolute, as the frames are announced by URL.
        self.workdir = workdir.absolute()
        self.time_scale = time_scale
        self.day_obs = day_obs or current_day()
        if generation not in PIPELINE_ENVIRONMENTS:
            known = ", ".join(PIPELINE_ENVIRONMENTS)
            raise ValueError(f"generation: {generation!r} is none of {known}.")
        self.runner = PipetaskRunner(env=PIPELINE_ENVIRONMENTS[generation], preload=TASK_MODULES)
        self._generation = generation
        self._scale = scale
        self._seed = seed
        self._max_processes = max_processes
        self.faults = tuple(faults)
        self.calib_collection = calib_collection
        self._exit = contextlib.AsyncExitStack()
        self._cscs: list[SimulatedCsc] = []

    @property
    def repo(self) -> Path:
        """Butler repository."""
        return self.workdir / "repo"

    @property
    def uws(self) -> Path:
        """Folder of the OCPS jobs."""
        return self.workdir / "uws"

    @property
    def staging(self) -> Path:
        """Folder between the camera and the OODS."""
        return self.workdir / "staging"

    @property
    def ocps_log_path(self) -> str:
        """Path of a job's log, with ``{job_id}`` for its id."""
        return str(log_path(self.uws))

    @property
    def cscs(self) -> Sequence[SimulatedCsc]:
        """All CSCs."""
        return tuple(self._cscs)

    async def __aenter__(self) -> SimulatedObservatory:
        async with self._exit:
            await self._exit.enter_async_context(self.runner)
            for fault in self.faults:
                self._exit.push_async_callback(fault.detach)
            self._exit.push_async_callback(self._close_cscs)
            history = await asyncio.to_thread(self._prepare)
            self.spectrograph = self._own(AtSpectrographCsc(time_scale=self.time_scale))
            self.camera = self._own(
                AtCameraCsc(
                    ccd=self.ccd,
                    staging=self.staging,
                    day_obs=self.day_obs,
                    last_seq_num=history.last_seq_num,
                    not_before=history.end + READ_OUT_TIME,
                    time_scale=self.time_scale,
                )
            )
            self.header_service = self._own(AtHeaderServiceCsc(staging=self.staging))
            self.oods = self._own(AtOodsCsc(repo=self.repo, staging=self.staging))
            self.ocps = self._own(
                OcpsCsc(runner=self.runner, repo=self.repo, uws=self.uws, max_processes=self._max_processes)
            )
            for fault in self.faults:
                fault.attach(self)
            await self._cscs_have_started()
            # Everything stands: what is to be undone waits for the exit.
            self._exit = self._exit.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exit.aclose()

    def _own(self, csc: Any) -> Any:
        self._cscs.append(csc)
        return csc

    async def _cscs_have_started(self) -> None:
        starts = [csc.start_task for csc in self._cscs]
        # Not gathered, which would cancel them with this.
        await asyncio.wait(starts)
        for start in starts:
            start.result()

    async def _close_cscs(self) -> None:
        if self._cscs:
            # One that is starting cannot be closed in good order.
            await asyncio.wait([csc.start_task for csc in self._cscs], timeout=START_TIMEOUT)
        await asyncio.gather(*(csc.close() for csc in self._cscs))

    def _prepare(self) -> _History:
        """Make what is missing of the folder; learn what it holds."""
        self.uws.mkdir(parents=True, exist_ok=True)
        self.staging.mkdir(exist_ok=True)
        for path in self.staging.glob(f"*{DRAFT_SUFFIX}"):
            path.unlink()
        if is_repository(self.repo):
            self.ccd = read_ccd(self.repo)
            for name in ("scale", "seed"):
                wanted, present = getattr(self, f"_{name}"), getattr(self.ccd, name)
                if wanted not in (None, present):
                    raise WorkFolderError(
                        f"{name}: {wanted}, but {self.repo} was made with {present}. "
                        "Leave it out, or name another work folder."
                    )
            generation = read_generation(self.repo)
            if generation != self._generation:
                raise WorkFolderError(
                    f"pipeline_generation: {self._generation}, but {self.repo} was made for the pipelines of "
                    f"generation {generation}, whose datasets differ. Name another work folder (--workdir), "
                    f"or write pipeline_generation: {generation}."
                )
            return _history(self.repo, self.staging, self.day_obs)
        scale = DEFAULT_SCALE if self._scale is None else self._scale
        seed = DEFAULT_SEED if self._seed is None else self._seed
        create_repository(self.repo, scale=scale, seed=seed, generation=self._generation)
        self.ccd = CcdModel(scale, seed)
        return _History()


def current_day() -> datetime.date:
    """Return the observing day of this moment.

    Returns
    -------
    day : `datetime.date`
        It changes at 12 h UTC.
    """
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=12)).date()


def _history(repo: Path, staging: Path, day_obs: datetime.date) -> _History:
    """Learn of a day's exposures, ingested or not."""
    from lsst.daf.butler import Butler

    # Only who may write can undo what a process that was killed left undone.
    with Butler.from_config(str(repo), writeable=True) as butler:
        records = butler.query_dimension_records(
            "exposure",
            where="instrument = name AND exposure.day_obs = day",
            bind={"name": INSTRUMENT, "day": int(f"{day_obs:%Y%m%d}")},
            order_by="-exposure.seq_num",
            limit=1,
            explain=False,
        )
    history = [_History()]
    for record in records:
        history.append(_History(record.seq_num, float(record.timespan.end.tai.to_value("unix_tai"))))
    for path in staging.glob(f"AT_O_{day_obs:%Y%m%d}_*.fits"):
        history.append(_History(exposure_id_of(path.stem) % 100_000, read_end(path)))
    return max(history)
