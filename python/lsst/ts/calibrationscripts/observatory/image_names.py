# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Butler's ids of images, by the names that cameras give them."""

from __future__ import annotations

__all__ = ["exposure_id"]

import re

_NAME = re.compile(r"_([A-Z])_(\d{8})_0(\d{5})")

_ID = re.compile(r"\d{13}")
"""What the OODS knows of an image that it could read, but not ingest."""

_CONTROLLERS = "OCHPQS"
"""Who has taken an image: the observatory, the camera's own console, and
simulations. Each is a thousand years after the one before."""

_UNIFIED = {"C": 20231004, "P": 20250417, "Q": 20250417, "S": 20250417}
"""The last observing day on which a controller counted by itself: since then
no other image has its number, and its ids are those of the observatory
(obs_lsst 0e84d755, translators/lsst.py: compute_exposure_id)."""


def exposure_id(name: str, prefix: str) -> int | None:
    """Return the Butler's exposure id of an image.

    Parameters
    ----------
    name : `str`
        The camera's name of it, such as ``AT_O_20220406_000007``; or, as in
        the events of images that could not be ingested, the id itself.
    prefix : `str`
        What the names of the instrument's images begin with, such as ``AT``.

    Returns
    -------
    exposure_id : `int` or `None`
        Such as 2022040600007; `None` if the image is another instrument's, or
        has a name of another form.
    """
    if _ID.fullmatch(name):
        return int(name)
    match = _NAME.fullmatch(name.removeprefix(prefix))
    if match is None or match[1] not in _CONTROLLERS:
        return None
    controller, day = match[1], int(match[2])
    years = 1000 * _CONTROLLERS.index(controller)
    if day > _UNIFIED.get(controller, day):
        years = 0
    return (day + 10_000 * years) * 100_000 + int(match[3])
