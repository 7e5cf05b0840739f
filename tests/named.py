# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages and their subjects, by the names that people read."""

from __future__ import annotations

from collections.abc import Iterable

from lsst.ts.calibrationscripts.products import Product, StageId, StageKind, Subject

BIAS, DARK, FLAT = Subject(Product.BIAS), Subject(Product.DARK), Subject(Product.FLAT)


def subject(name: str) -> Subject:
    product, _, part = name.partition(" ")
    return Subject(Product(product), part)


def stage(name: str) -> StageId:
    kind, _, rest = name.partition(" ")
    return StageId(StageKind(kind), subject(rest))


def names(ids: Iterable[StageId | Subject]) -> tuple[str, ...]:
    return tuple(each.name for each in ids)


def unfolded(text: str) -> str:
    """Return a text without the ends of its lines."""
    return " ".join(text.split())
