# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run makes, and the stages that make it."""

from __future__ import annotations

__all__ = ["Product", "StageId", "StageKind", "Subject"]

import enum
from dataclasses import dataclass


class Product(enum.StrEnum):
    """What a run can make or measure."""

    BIAS = "BIAS"
    DARK = "DARK"
    FLAT = "FLAT"
    BIAS_BOOTSTRAP = "BIAS_BOOTSTRAP"
    """Made without other calibrations, for DEFECTS; so are the next two."""

    DARK_BOOTSTRAP = "DARK_BOOTSTRAP"
    FLAT_BOOTSTRAP = "FLAT_BOOTSTRAP"
    DEFECTS = "DEFECTS"
    PTC = "PTC"
    GAIN = "GAIN"

    @property
    def is_bootstrap(self) -> bool:
        """Whether it is only made for DEFECTS, and never certified."""
        return self in (Product.BIAS_BOOTSTRAP, Product.DARK_BOOTSTRAP, Product.FLAT_BOOTSTRAP)

    @property
    def is_judged_itself(self) -> bool:
        """Whether it is judged by itself: no verification can pass."""
        return self in (Product.DEFECTS, Product.GAIN)


class StageKind(enum.StrEnum):
    """What a stage does with its product."""

    EXPOSE = "expose"
    GENERATE = "generate"
    VERIFY = "verify"
    CERTIFY = "certify"
    MEASURE = "measure"


@dataclass(frozen=True, order=True)
class Subject:
    """What a stage, a series of frames or a verdict is about."""

    product: Product

    part: str = ""
    """Which of several sets of flats: filter and grating; "" if there are no
    others."""

    @property
    def name(self) -> str:
        """What people read: the product, and the part if there is one."""
        return f"{self.product} {self.part}".rstrip()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, order=True)
class StageId:
    """What identifies a stage of a run."""

    kind: StageKind
    subject: Subject

    @property
    def name(self) -> str:
        """What people read, such as ``verify BIAS``."""
        return f"{self.kind} {self.subject}"

    def __str__(self) -> str:
        return self.name
