# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a precondition is."""

from __future__ import annotations

__all__ = ["OneOf", "Precondition", "Within", "component_key"]

import math
from dataclasses import dataclass

from ..instruments import ImageType


@dataclass(frozen=True)
class OneOf:
    """The value is one of some states."""

    allowed: tuple[str, ...]
    """Names of the states that will do."""

    names: tuple[str, ...]
    """Names of all states, in the order of their numbers."""

    first: int = 0
    """Number of the first of them."""

    coming: tuple[str, ...] = ()
    """Names of states that turn into one that will do by themselves."""

    def accepts(self, value: float) -> bool:
        """Return whether a state will do."""
        return self.show(value) in self.allowed

    def show(self, value: float) -> str:
        """Return the name of a state, or its number if it has none."""
        place = int(value) - self.first
        return self.names[place] if 0 <= place < len(self.names) else f"{value:g}"

    @property
    def text(self) -> str:
        """The states that will do, for messages."""
        return " or ".join(self.allowed)


@dataclass(frozen=True)
class Within:
    """The value is in a range."""

    low: float
    high: float
    unit: str
    """Of both, and of the value."""

    period: float | None = None
    """What may be added to the value without a change: 360 for angles."""

    def accepts(self, value: float) -> bool:
        """Return whether a value will do."""
        if self.period is not None and math.isfinite(value):
            value = self.low + (value - self.low) % self.period
        return self.low <= value <= self.high

    def show(self, value: float) -> str:
        """Return a value for messages."""
        return f"{value:.1f} {self.unit}"

    @property
    def text(self) -> str:
        """The range for messages."""
        return f"{self.low:g} to {self.high:g} {self.unit}"


@dataclass(frozen=True, kw_only=True)
class Precondition:
    """Something around a camera, and what it has to be for frames.

    The value is that of a field of a topic of a SAL component; of a field
    with several samples, the newest.
    """

    what: str
    """What the value is of, such as "the lamp of the white light"."""

    component: str
    """SAL name, with its index after a colon if it has one."""

    topic: str
    """Name with the prefix ``evt_`` or ``tel_``."""

    field: str
    limit: OneOf | Within
    remedy: str
    """What to do if it is not met: sentences."""

    image_types: tuple[ImageType, ...] = (ImageType.FLAT,)
    """The frames that need it."""

    max_age: float | None = None
    """How old a value may be (s); `None` for an event, which holds until the
    next one, as long as its component is alive."""

    met_at: str = ""
    """Field of the same topic that has the time (TAI, Unix s) at which it
    will be met, if that is known; "" for none."""


def component_key(component: str) -> str:
    """Return how configurations name a component.

    Parameters
    ----------
    component : `str`
        SAL name, such as ``MTHexapod:1``.

    Returns
    -------
    key : `str`
        As observatory-control has it, such as ``mthexapod_1``.
    """
    return component.lower().replace(":", "_")
