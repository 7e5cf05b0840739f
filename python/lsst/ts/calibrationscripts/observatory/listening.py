# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OCPS alone, for who waits for its jobs outside a script."""

from __future__ import annotations

__all__ = ["listen_to_ocps"]

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..config import CalibrationConfig
from ..instruments import Instrument
from ..ports import ObservatoryError
from .ocps import OcpsJobs
from .sal import salobj
from .watch import ComponentWatch

_START_TIMEOUT = 60.0
"""Longest wait for the remote (s)."""


@asynccontextmanager
async def listen_to_ocps(config: CalibrationConfig, instrument: Instrument) -> AsyncIterator[OcpsJobs]:
    """Hear of the jobs of an instrument's OCPS.

    Parameters
    ----------
    config : `CalibrationConfig`
        The run whose jobs they are.
    instrument : `Instrument`
        Whose they are.

    Yields
    ------
    jobs : `OcpsJobs`
        What hears of them. Jobs that ended before are not heard of.

    Raises
    ------
    ObservatoryError
        If there is no OCPS, or SAL is down.
    """
    async with salobj.Domain() as domain:
        remote = salobj.Remote(
            domain=domain,
            name="OCPS",
            index=instrument.ocps_index,
            include=["summaryState", "errorCode", "heartbeat", "job_result"],
        )
        jobs = OcpsJobs(
            remote,
            ComponentWatch([remote]),
            job_timeout=config.job_timeout,
            log_path=config.ocps_log_path,
        )
        try:
            await asyncio.wait_for(asyncio.shield(remote.start_task), _START_TIMEOUT)
        except TimeoutError:
            raise ObservatoryError(
                f"{instrument.ocps} could not be reached within {_START_TIMEOUT:g} s. Leave --ocps out"
            ) from None
        if problems := await jobs.check():
            raise ObservatoryError(f"{'; '.join(problems)}. Leave --ocps out, or try again")
        yield jobs
