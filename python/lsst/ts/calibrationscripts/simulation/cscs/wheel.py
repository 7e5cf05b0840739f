# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wheel of filters or gratings, or what a filter changer holds."""

from __future__ import annotations

__all__ = ["Wheel"]

from ...observatory.sal import salobj


class Wheel:
    """A wheel with named slots.

    Parameters
    ----------
    kind : `str`
        What it carries, for messages.
    names : `tuple` [`str`, ...]
        Name by slot.
    """

    def __init__(self, kind: str, names: tuple[str, ...]) -> None:
        self.kind = kind
        self.names = names
        self.slot = 0

    def find(self, slot: int, name: str) -> int:
        """Return the slot that a command asks for.

        Raises
        ------
        lsst.ts.salobj.ExpectedError
            If both are given or the slot does not exist.
        """
        if name and slot:
            raise salobj.ExpectedError(f"Both {self.kind} id {slot} and name {name!r} given: give one.")
        if name:
            if name not in self.names:
                raise salobj.ExpectedError(
                    f"Invalid {self.kind} name {name!r}: must be one of {', '.join(self.names)}."
                )
            return self.names.index(name)
        if slot not in range(len(self.names)):
            raise salobj.ExpectedError(f"Invalid {self.kind} id {slot}: must be 0 to {len(self.names) - 1}.")
        return slot
