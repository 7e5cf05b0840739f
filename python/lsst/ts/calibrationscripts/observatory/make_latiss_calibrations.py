# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrations of LATISS, the imager of the Auxiliary Telescope."""

from __future__ import annotations

__all__ = ["MakeLatissCalibrations"]

import asyncio
import logging
from typing import Any

from ..butler.repository import ButlerRepository
from ..config import CalibrationConfig
from ..instruments import LATISS
from .camera import CalibrationLatiss, CalibrationUsages, LatissCamera
from .ocps import OcpsJobs
from .oods import OodsIngest
from .sal import salobj
from .script import BaseMakeCalibrations
from .watch import ComponentWatch

_START_TIMEOUT = 50.0
"""Longest wait for remotes; the script queue allows 60 s to configure (s)."""

_CLOSE_TIMEOUT = 30.0
"""Longest wait for remotes that are starting when the script ends (s)."""


class MakeLatissCalibrations(BaseMakeCalibrations):
    """Take, process, verify and certify calibrations of LATISS.

    Parameters
    ----------
    index : `int`
        SAL index of the script.
    """

    instrument = LATISS

    def __init__(self, index: int) -> None:
        super().__init__(
            index,
            descr="Take bias, dark and flat frames with LATISS; verify them and, if asked to, make combined "
            "calibrations of them and certify what passed.",
        )
        self._latiss: CalibrationLatiss | None = None
        self._ocps: salobj.Remote | None = None
        self._starts: set[asyncio.Future[Any]] = set()
        self._watch: ComponentWatch | None = None

    async def start_remotes(self) -> None:
        """Connect to LATISS and its OCPS, with the topics used alone."""
        # observatory-control tells of every step of every exposure.
        self.log.getChild(CalibrationLatiss.__name__).setLevel(logging.WARNING)
        self._latiss = CalibrationLatiss(
            domain=self.domain, log=self.log, intended_usage=CalibrationUsages.Calibrations
        )
        self._ocps = salobj.Remote(
            domain=self.domain,
            name="OCPS",
            index=LATISS.ocps_index,
            include=["summaryState", "errorCode", "heartbeat", "job_result"],
        )
        self._starts = {self._latiss.start_task, self._ocps.start_task}
        # Not cancelled when it takes too long; see close_tasks.
        _, late = await asyncio.wait(self._starts, timeout=_START_TIMEOUT)
        if late:
            raise salobj.ExpectedError(
                f"LATISS and OCPS:{LATISS.ocps_index} could not be reached within {_START_TIMEOUT:g} s: "
                "the SAL network is slow or down. Try again."
            )
        await asyncio.gather(*self._starts)
        rem = self._latiss.rem
        self._watch = ComponentWatch(
            [rem.atcamera, rem.atspectrograph, rem.atheaderservice, rem.atoods, self._ocps]
        )

    async def close_tasks(self) -> None:
        """Let remotes start first that are still starting.

        salobj (8.2) never ends closing one that has not started.
        """
        await super().close_tasks()
        if self._starts:
            await asyncio.wait(self._starts, timeout=_CLOSE_TIMEOUT)

    def make_camera(self, config: CalibrationConfig) -> LatissCamera:
        """Return LATISS as the procedure's camera."""
        assert self._latiss is not None and self._watch is not None, "start_remotes comes first"
        return LatissCamera(self._latiss, config, self._watch)

    def make_ingest(self, config: CalibrationConfig, repository: ButlerRepository) -> OodsIngest:
        """Return the way of LATISS's frames into the Butler."""
        assert self._latiss is not None and self._watch is not None, "start_remotes comes first"
        return OodsIngest(
            self._latiss.rem.atoods,
            repository,
            LATISS,
            LATISS.detector_ids(config.detectors),
            config.oods_timeout,
            self._watch,
        )

    def make_jobs(self, config: CalibrationConfig) -> OcpsJobs:
        """Return what runs LATISS's pipelines."""
        assert self._ocps is not None and self._watch is not None, "start_remotes comes first"
        return OcpsJobs(
            self._ocps, self._watch, job_timeout=config.job_timeout, log_path=config.ocps_log_path
        )
