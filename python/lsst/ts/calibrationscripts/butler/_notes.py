# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be read, and why."""

from __future__ import annotations

__all__ = ["Notes"]

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Notes(list[str]):
    """What is left out of the evidence, and why.

    Parameters
    ----------
    warn : `~collections.abc.Callable` or `None`
        Takes what has failed.
    """

    def __init__(self, warn: Callable[[str], None] | None) -> None:
        super().__init__()
        self._warn = warn

    def attempt(self, read: Callable[[], T], what: str) -> T | None:
        """Read something; note why if that fails."""
        try:
            return read()
        except Exception as error:  # noqa: BLE001 - Butlers raise errors of many families; none may spoil a report
            text = str(error).partition("\n")[0].rstrip(".")
            self.append(f"Not shown: {what} could not be read: {type(error).__name__}: {text}.")
            if self._warn is not None:
                self._warn(self[-1])
            return None
