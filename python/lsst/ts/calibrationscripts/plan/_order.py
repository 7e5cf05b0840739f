# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which series of frames are taken."""

from __future__ import annotations

__all__ = ["in_order", "order_notices"]

from collections.abc import Iterator, Sequence

from ..config import CalibrationConfig, Series
from ..instruments import ImageType
from ._wheels import Setting, count_moves, least_moves


def in_order(config: CalibrationConfig) -> tuple[Series, ...]:
    """Return the series in the order in which they are taken.

    Jobs have the order of the configuration: which flats are made into what
    does not depend on the wheels.

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.

    Returns
    -------
    series : `tuple` [`Series`, ...]
        Sets of flats in the order that moves the wheels least, unless that of
        the configuration is to be kept.
    """
    flats = _flats(config)
    if config.keep_order or len(flats) < 2:
        return config.series
    order = least_moves(_settings(flats))
    others = tuple(series for series in config.series if series.image_type is not ImageType.FLAT)
    return (*others, *(flats[i] for i in order))


def order_notices(config: CalibrationConfig) -> Iterator[str]:
    """Yield that sets of flats are taken in another order, if so.

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.

    Yields
    ------
    notice : `str`
        A sentence or two.
    """
    written = _flats(config)
    taken = tuple(series for series in in_order(config) if series in written)
    if taken == written:
        return
    before, after = (count_moves(_settings(flats)) for flats in (written, taken))
    moves = "move" if after == 1 else "moves"
    yield (
        f"The sets of flats are taken in the order that moves the wheels least, {after:g} {moves} of the "
        f"wheels instead of {before:g}: {', '.join(series.name for series in taken)}. With keep_order: True "
        "they are taken as they are written."
    )


def _flats(config: CalibrationConfig) -> tuple[Series, ...]:
    return tuple(series for series in config.series if series.image_type is ImageType.FLAT)


def _settings(flats: Sequence[Series]) -> list[Setting]:
    return [(series.filter, series.grating) for series in flats]
