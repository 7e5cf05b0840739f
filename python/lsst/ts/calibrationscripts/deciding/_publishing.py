# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published copies of a run, after a decision about it."""

from __future__ import annotations

__all__ = ["Published", "publish_again"]

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..butler.publishing import Copy, copy_run
from ..files.private import one_line
from ..threads import in_thread

_TIMEOUT = 10.0
"""Longest wait for the copies (s)."""


class Published(NamedTuple):
    """What has become of the copies."""

    copies: tuple[Copy, ...] = ()
    warnings: tuple[str, ...] = ()


async def publish_again(config: Mapping[str, Any], folder: Path, run_id: str) -> Published:
    """Copy the page and the JSON of a run to where it has published them.

    Parameters
    ----------
    config : `~collections.abc.Mapping`
        The run's configuration.
    folder : `pathlib.Path`
        Where its files are.
    run_id : `str`
        Which run.

    Returns
    -------
    published : `Published`
        A failure is a warning: the decision has been made.
    """
    place = config.get("publish")
    if not isinstance(place, str) or not place:
        return Published()
    try:
        copies = await asyncio.wait_for(in_thread(lambda: copy_run(place, folder, run_id)), _TIMEOUT)
    except TimeoutError:
        what = f"no answer within {_TIMEOUT:g} s"
    except Exception as error:  # noqa: BLE001 - each object store has errors of its own
        what = one_line(f"{type(error).__name__}: {error}")
    else:
        return Published(copies)
    remedy = f"The decision is made. Copy {folder / run_id}.html and .json there when that is fixed."
    return Published(
        warnings=(f"the copies of the run's report in {place} are not brought up to date: {what}. {remedy}",)
    )
