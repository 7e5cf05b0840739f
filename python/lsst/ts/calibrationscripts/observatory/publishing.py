# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the files of a run, and where they are announced."""

from __future__ import annotations

__all__ = ["publish"]

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..butler.publishing import Copy, copy_to
from ..outcomes import RunState
from ..threads import in_thread
from .errors import explain

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
        The script, with its report. Where its interface has
        ``largeFileObjectAvailable``, it announces each copy, as other scripts
        do (lsst-ts/ts_externalscripts 34c0557,
        ``take_calsys_flats_lsstcam.py``).
    place : `str` or `None`
        Path of a folder, or address of one, ``s3://...``; `None` for none.
    folder : `pathlib.Path`
        Where the files are. One that was not written is left out.
    """
    report = script.report
    if place is None or report is None:
        return
    files = [folder / f"{report.run_id}.{kind}" for kind in ("html", "json")]
    timeout = _TIMEOUTS.get(report.state, _TIMEOUT)
    try:
        copies = await asyncio.wait_for(
            in_thread(lambda: [copy_to(place, file) for file in files if file.exists()]), timeout
        )
        for copy in copies:
            script.log.info(f"Published: {copy.url}")
            if event := getattr(script, "evt_largeFileObjectAvailable", None):
                await event.set_write(**_announcement(copy, report.run_id))
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - see above
        what = "it was stopped" if isinstance(error, asyncio.CancelledError) else explain(error)
        script.log.warning(f"The run's report is not published in {place}: {what}")


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
