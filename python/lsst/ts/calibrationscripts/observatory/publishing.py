# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the files of a run, and where they are announced."""

from __future__ import annotations

__all__ = ["announce", "publish"]

import asyncio
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..butler.publishing import Copy, copy_run
from ..outcomes import RunState
from ..threads import in_thread
from .errors import explain
from .sal import salobj

if TYPE_CHECKING:
    from .script import BaseMakeCalibrations


_TIMEOUT = 10.0
"""Longest wait for the copies (s)."""

_TIMEOUTS = {RunState.STOPPED: 1.0}
"""Where an observer is waiting for the end (s)."""


async def publish(script: BaseMakeCalibrations, place: str | None, folder: Path) -> None:
    """Copy the page and the JSON of a run, and announce the copies.

    What fails is a warning in the script's log: the run has ended.

    Parameters
    ----------
    script : `BaseMakeCalibrations`
        The script, with its report.
    place : `str` or `None`
        Path of a folder, or address of one, ``s3://...``; `None` for none.
    folder : `pathlib.Path`
        Where the files are. One that was not written is left out.
    """
    report = script.report
    if place is None or report is None:
        return
    timeout = _TIMEOUTS.get(report.state, _TIMEOUT)
    try:
        copies = await asyncio.wait_for(in_thread(lambda: copy_run(place, folder, report.run_id)), timeout)
        await announce(script, copies, report.run_id)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - see above
        what = "it was stopped" if isinstance(error, asyncio.CancelledError) else explain(error)
        script.log.warning(f"The run's report is not published in {place}: {what}")


async def announce(script: salobj.BaseScript, copies: Iterable[Copy], run_id: str) -> None:
    """Announce the copies of a run's files.

    Parameters
    ----------
    script : `BaseScript`
        Who announces them. Where its interface has
        ``largeFileObjectAvailable``, that is sent for each copy, as other
        scripts do (lsst-ts/ts_externalscripts 34c0557,
        ``take_calsys_flats_lsstcam.py``).
    copies : `~collections.abc.Iterable` [`Copy`]
        The copies.
    run_id : `str`
        Which run.
    """
    for copy in copies:
        script.log.info(f"Published: {copy.url}")
        if event := getattr(script, "evt_largeFileObjectAvailable", None):
            await event.set_write(**_announcement(copy, run_id))


def _announcement(copy: Copy, run_id: str) -> dict[str, Any]:
    """Return the fields of the event."""
    return {
        "id": run_id,
        "url": copy.url,
        "generator": "ts_calibrationscripts",
        "mimeType": Path(copy.name).suffix[1:].upper(),
        "byteSize": len(copy.content),
        # The observatory's other scripts give this sum.
        "checkSum": hashlib.md5(copy.content, usedforsecurity=False).hexdigest(),
        "version": 1,
    }
