# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many pixels of each amplifier are defects.

A column of pixels is an integer with a bit for each row. Overlapping boxes
then count once, and two maps are compared by the operators of sets: 20,000
boxes of a CCD of 4072 by 4000 pixels take some 0.2 s.
"""

from __future__ import annotations

__all__ = ["EDGE", "Box", "measure_defects"]

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..outcomes import AmplifierDefects

EDGE = 9
"""Outermost pixels of a detector that do not count. The camera's acceptance
tests (CCD-012, in lsst-camera-dh/eotest) leave out those that roll off, nine
according to LCA-19363; LATISS/cpDefects.yaml (cp_pipe f029a3f2) masks five,
which are half a percent of the CCD and say nothing of it."""


class Box(NamedTuple):
    """A rectangle of pixels of the assembled image, overscan removed."""

    x: int
    """Its first column, from 0."""

    y: int
    """Its first row, from 0."""

    width: int
    """Columns."""

    height: int
    """Rows."""

    def clip(self, other: Box) -> Box:
        """Return what is in another box too; no pixel if nothing is."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        right = min(self.x + self.width, other.x + other.width)
        top = min(self.y + self.height, other.y + other.height)
        return Box(x, y, max(0, right - x), max(0, top - y))


def measure_defects(
    boxes: Iterable[Box], amplifiers: Mapping[str, Box], previous: Iterable[Box] | None = None
) -> tuple[AmplifierDefects, ...]:
    """Count the pixels of each amplifier that are defects.

    Parameters
    ----------
    boxes : `~collections.abc.Iterable` [`Box`]
        The defects of a detector; they may overlap.
    amplifiers : `~collections.abc.Mapping` [`str`, `Box`]
        Its amplifiers, by name.
    previous : `~collections.abc.Iterable` [`Box`], optional
        Its earlier defects; `None` if there are none to compare with.

    Returns
    -------
    measured : `tuple` [`AmplifierDefects`, ...]
        In the order of the amplifiers. The `EDGE` outermost pixels of the
        detector do not count.
    """
    inner = _without_edge(amplifiers.values())
    now = _columns(boxes, inner)
    before = None if previous is None else _columns(previous, inner)
    return tuple(_measure(name, box.clip(inner), now, before) for name, box in amplifiers.items())


def _without_edge(amplifiers: Iterable[Box]) -> Box:
    """Return the detector without its outermost pixels."""
    boxes = list(amplifiers)
    x, y = min(box.x for box in boxes), min(box.y for box in boxes)
    width = max(box.x + box.width for box in boxes) - x
    height = max(box.y + box.height for box in boxes) - y
    return Box(x + EDGE, y + EDGE, max(0, width - 2 * EDGE), max(0, height - 2 * EDGE))


def _rows(box: Box) -> int:
    """Return the bits of a box's rows."""
    return ((1 << box.height) - 1) << box.y


def _columns(boxes: Iterable[Box], inner: Box) -> dict[int, int]:
    """Return the bits of the defects of each column that has any."""
    columns: dict[int, int] = {}
    for box in boxes:
        inside = box.clip(inner)
        rows = _rows(inside)
        for x in range(inside.x, inside.x + inside.width):
            columns[x] = columns.get(x, 0) | rows
    return columns


def _measure(
    name: str, amplifier: Box, now: Mapping[int, int], before: Mapping[int, int] | None
) -> AmplifierDefects:
    rows = _rows(amplifier)
    columns = range(amplifier.x, amplifier.x + amplifier.width)
    n_pixels = amplifier.width * amplifier.height
    here = [now.get(x, 0) & rows for x in columns]
    area = sum(bits.bit_count() for bits in here)
    if before is None:
        return AmplifierDefects(name, n_pixels, area)
    there = [before.get(x, 0) & rows for x in columns]
    return AmplifierDefects(
        name,
        n_pixels,
        area,
        gained=sum((new & ~old).bit_count() for new, old in zip(here, there, strict=True)),
        lost=sum((old & ~new).bit_count() for new, old in zip(here, there, strict=True)),
    )
