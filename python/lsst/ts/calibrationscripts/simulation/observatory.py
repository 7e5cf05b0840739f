# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated observatory: repository, pipeline runner and all CSCs."""

from __future__ import annotations

__all__ = [
    "PIPELINE_ENVIRONMENTS",
    "SimulatedObservatory",
    "SimulationSettings",
    "WorkFolderError",
    "current_day",
]

import asyncio
import contextlib
import datetime
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import OperationalError

from ..files.lock import Lock, LockedError
from ..instruments import Instrument
from ..pipelines import GENERATIONS
from .ccd import DEFAULT_SEED, FocalPlane, default_scale
from .cscs import (
    CameraCsc,
    FilterCameraCsc,
    HeaderServiceCsc,
    ObservingDay,
    OcpsCsc,
    OodsCsc,
    SimulatedCsc,
    SpectrographCsc,
    Surroundings,
)
from .cscs.ocps import log_path
from .raws import RawFiles, exposure_id_of, read_end
from .repository import (
    DEFAULT_GENERATION,
    RepositoryKind,
    WorkFolderError,
    add_detectors,
    create_repository,
    is_repository,
    read_kind,
    remove_unfinished,
)
from .runner import PipetaskRunner

if TYPE_CHECKING:
    from .faults import Fault

_HERE = Path(__file__).parent

PIPELINE_ENVIRONMENTS = {
    generation: {"CP_PIPE_DIR": str(folder / "cp_pipe"), "CP_VERIFY_DIR": str(folder / "cp_verify")}
    for generation, folder in ((name, _HERE / name) for name in GENERATIONS)
}
"""Where the simulation has its own cp_pipe and cp_verify, by generation."""

TASK_MODULES = (
    "astropy.io.fits",
    "astropy.time",
    f"{__package__}.formatters",
    *(f"{__package__}.tasks.{module.name}" for module in pkgutil.iter_modules([str(_HERE / "tasks")])),
)
"""The tasks of these pipelines, and what they import."""


START_TIMEOUT = 30.0
"""Longest wait at the end for CSCs that are still starting (second)."""


@dataclass(frozen=True)
class SimulationSettings:
    """What a new work folder is made for, and an old one must be made for.

    Parameters
    ----------
    scale : `int`, optional
        How much smaller than the real detectors the simulated ones are. By
        default that of the repository. For a new one it is 8, and 64 for more
        than nine detectors.
    seed : `int`, optional
        Seed of the CCD models. By default that of the repository, or a fixed
        one.
    generation : `str`, optional
        Generation of pipelines, one of `GENERATIONS`.
    detectors : `tuple` [`int`, ...], optional
        Ids of the detectors that are simulated; none means all. To simulate
        the others would take time, and no run that processes these alone
        would see them.
    ocps : `bool`, optional
        Whether there is an OCPS; not if something else runs the jobs.

    Raises
    ------
    ValueError
        If the generation does not exist.
    """

    scale: int | None = None
    seed: int | None = None
    generation: str = DEFAULT_GENERATION
    detectors: tuple[int, ...] = ()
    ocps: bool = True

    def __post_init__(self) -> None:
        if self.generation not in PIPELINE_ENVIRONMENTS:
            known = ", ".join(PIPELINE_ENVIRONMENTS)
            raise ValueError(f"generation: {self.generation!r} is none of {known}.")


class SimulatedObservatory:
    """An observatory in a folder, as an asynchronous context manager.

    Entering makes the repository if it does not exist, and returns when all
    CSCs are ENABLED. ``pipetask`` may still be being imported then; a job
    waits for it. Leaving ends jobs, CSCs and processes.

    Parameters
    ----------
    workdir : `pathlib.Path`
        Folder of the observatory, with ``repo``, ``uws`` and ``staging``.
    instrument : `Instrument`
        The camera.
    settings : `SimulationSettings`, optional
        Size and noise of the images, and generation of the pipelines.
    time_scale : `float`, optional
        Duration of a simulated second (second).
    day_obs : `datetime.date`, optional
        Observing day; by default today's. Sequence numbers follow those that
        the repository already has of it.
    faults : sequence of `Fault`, optional
        What will go wrong.
    calib_collection : `str`, optional
        Collection that is certified into, for the faults of the repository.
        By default ``daily`` below that of the camera.

    Raises
    ------
    WorkFolderError
        On entering: if the repository was made for another camera, scale,
        seed or generation, or if another observatory uses the folder.

    Attributes
    ----------
    repo, uws, staging : `pathlib.Path`
        Butler repository, folder of the OCPS jobs, and folder between camera
        and OODS.
    focal_plane : `FocalPlane`
        Makes the images.
    runner : `PipetaskRunner`
        Runs the jobs.
    camera, spectrograph, header_service, oods, ocps : `SimulatedCsc`
        The CSCs; no OCPS if something else runs the jobs. The camera takes the
        place of the spectrograph where there is none, as it changes its filter
        itself.
    surroundings : `Surroundings`
        Lamp, dome, telescope and temperature, with CSCs of their own.
    notes : `list` [`str`]
        What was done to the folder that its user should know of.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        instrument: Instrument,
        settings: SimulationSettings | None = None,
        time_scale: float = 0.01,
        day_obs: datetime.date | None = None,
        faults: Sequence[Fault] = (),
        calib_collection: str | None = None,
    ) -> None:
        # Absolute, because the frames are announced by URL.
        self.workdir = workdir.absolute()
        self.instrument = instrument
        self.time_scale = time_scale
        self.day_obs = day_obs or current_day()
        self._settings = settings or SimulationSettings()
        self.runner = PipetaskRunner(env=self.pipelines_environment, preload=TASK_MODULES)
        self.faults = tuple(faults)
        self.calib_collection = calib_collection or f"{instrument.calib_collection}/daily"
        self.notes: list[str] = []
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
    def pipelines_environment(self) -> dict[str, str]:
        """Environment variables that name its own cp_pipe and cp_verify."""
        return PIPELINE_ENVIRONMENTS[self._settings.generation]

    @property
    def cscs(self) -> Sequence[SimulatedCsc]:
        """All CSCs."""
        return tuple(self._cscs)

    async def __aenter__(self) -> SimulatedObservatory:
        async with self._exit:
            if is_repository(self.repo):
                # First, as waiting for the end of its owner would not help.
                self._check(read_kind(self.repo))
            self._lock_folder()
            if self._settings.ocps:
                await self._exit.enter_async_context(self.runner)
            for fault in self.faults:
                self._exit.push_async_callback(fault.detach)
            self._exit.push_async_callback(self._close_cscs)
            try:
                day = await asyncio.to_thread(self._prepare)
            except (OSError, OperationalError) as error:
                raise self._unusable(error) from error
            self._make_cscs(day)
            for fault in self.faults:
                fault.attach(self)
            await self._cscs_have_started()
            # Everything has started: it is undone only at the exit.
            self._exit = self._exit.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exit.aclose()

    def _lock_folder(self) -> None:
        lock = Lock(self.workdir / "observatory.lock")
        try:
            self.workdir.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except LockedError as error:
            raise WorkFolderError(
                f"{self.workdir} is used by {error}. Wait for its end, or name another work folder "
                "(--workdir)."
            ) from None
        except OSError as error:
            raise self._unusable(error) from error
        self._exit.callback(lock.release)

    def _unusable(self, error: OSError | OperationalError) -> WorkFolderError:
        """Return the error of a folder in which nothing can be made."""
        what = f"{error.filename or self.workdir}" if isinstance(error, OSError) else str(self.repo)
        why = error.strerror if isinstance(error, OSError) else error.orig
        return WorkFolderError(f"{what} cannot be used: {why}. Name another work folder (--workdir).")

    def _make_cscs(self, day: ObservingDay) -> None:
        files = self.files
        make_camera: type[CameraCsc] = FilterCameraCsc
        if self.instrument.components.spectrograph is not None:
            make_camera = CameraCsc
            self.spectrograph = self._own(SpectrographCsc(self.instrument, time_scale=self.time_scale))
        self.camera = self._own(
            make_camera(focal_plane=self.focal_plane, files=files, day=day, time_scale=self.time_scale)
        )
        if make_camera is FilterCameraCsc:
            self.spectrograph = self.camera
        self.header_service = self._own(HeaderServiceCsc(files=files))
        self.oods = self._own(OodsCsc(repo=self.repo, files=files))
        if self._settings.ocps:
            self.ocps = self._own(OcpsCsc(self.instrument, runner=self.runner, repo=self.repo, uws=self.uws))
        self.surroundings = Surroundings(self.instrument, self.camera)
        self._cscs.extend(self.surroundings.cscs)

    def _own(self, csc: Any) -> Any:
        self._cscs.append(csc)
        return csc

    async def _cscs_have_started(self) -> None:
        starts = [csc.start_task for csc in self._cscs]
        # Not gathered: that would cancel them together with this task.
        await asyncio.wait(starts)
        for start in starts:
            start.result()

    async def _close_cscs(self) -> None:
        if self._cscs:
            # A CSC cannot be closed while it is starting.
            await asyncio.wait([csc.start_task for csc in self._cscs], timeout=START_TIMEOUT)
        await asyncio.gather(*(csc.close() for csc in self._cscs))

    @property
    def files(self) -> RawFiles:
        """Where the camera leaves its images for the OODS."""
        return RawFiles(self.staging, self.instrument, self._settings.detectors)

    def _prepare(self) -> ObservingDay:
        """Make what the folder lacks; return what it has of the day."""
        self.uws.mkdir(parents=True, exist_ok=True)
        self.staging.mkdir(exist_ok=True)
        self.files.remove_drafts()
        is_new = not is_repository(self.repo)
        if is_new:
            if remove_unfinished(self.repo, self.instrument, self._leftovers()):
                self.notes.append(
                    f"{self.repo} was not finished when its process ended. It held nothing that was taken, "
                    "and is made again."
                )
            settings = self._settings
            area = self.instrument.area(settings.detectors)
            scale = default_scale(area) if settings.scale is None else settings.scale
            seed = DEFAULT_SEED if settings.seed is None else settings.seed
            create_repository(
                self.repo,
                self.instrument,
                scale=scale,
                seed=seed,
                generation=settings.generation,
                detectors=settings.detectors,
            )
        self._check(read_kind(self.repo))
        kind = add_detectors(self.repo, self.instrument, self._settings.detectors)
        self.focal_plane = FocalPlane(self.instrument, kind.scale, kind.seed, self._settings.detectors)
        return ObservingDay(self.day_obs) if is_new else _history(self.repo, self.files, self.day_obs)

    def _leftovers(self) -> list[Path]:
        """Return what runs have left beside the repository."""
        folders = {self.staging: "*", self.uws: "*", self.workdir / "journal": "*.journal.json"}
        return [path for folder, pattern in folders.items() for path in sorted(folder.glob(pattern))]

    def _check(self, kind: RepositoryKind) -> None:
        """Refuse a repository of another kind."""
        if kind.instrument != self.instrument.name:
            raise WorkFolderError(
                f"instrument: {self.instrument.name}, but {self.repo} was made for {kind.instrument}. "
                "Name another work folder (--workdir)."
            )
        for name in ("scale", "seed"):
            wanted, present = getattr(self._settings, name), getattr(kind, name)
            if wanted not in (None, present):
                raise WorkFolderError(
                    f"{name}: {wanted}, but {self.repo} was made with {present}. "
                    "Leave it out, or name another work folder."
                )
        if kind.generation != self._settings.generation:
            raise WorkFolderError(
                f"pipeline_generation: {self._settings.generation}, but {self.repo} was made for the "
                f"pipelines of generation {kind.generation}, whose datasets differ. Name another work folder "
                f"(--workdir), or write pipeline_generation: {kind.generation}."
            )


def current_day() -> datetime.date:
    """Return the present observing day.

    Returns
    -------
    day : `datetime.date`
        It begins at 12 h UTC.
    """
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=12)).date()


def _history(repo: Path, files: RawFiles, day_obs: datetime.date) -> ObservingDay:
    """Return what there is of a day's exposures, ingested or not."""
    from lsst.daf.butler import Butler

    instrument = files.instrument
    # Only a client that may write can undo what a killed process left.
    with Butler.from_config(str(repo), writeable=True) as butler:
        records = butler.query_dimension_records(
            "exposure",
            where="instrument = name AND exposure.day_obs = day",
            bind={"name": instrument.name, "day": int(f"{day_obs:%Y%m%d}")},
            order_by="-exposure.seq_num",
            limit=1,
            explain=False,
        )
    last = [(record.seq_num, float(record.timespan.end.tai.to_value("unix_tai"))) for record in records]
    for path in files.present(f"{instrument.image_prefix}_O_{day_obs:%Y%m%d}_*"):
        image_name, _ = files.identify(path)
        last.append((exposure_id_of(image_name, instrument) % 100_000, read_end(path)))
    return ObservingDay(day_obs, *max(last, default=(0, 0.0)))
