# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The problems and notices of a text while it is checked."""

from __future__ import annotations

__all__ = ["Findings"]

from ._problems import ConfigurationError, Problem
from ._text import WrittenConfig


class Findings:
    """Problems and notices, collected while a text is checked.

    A value that cannot be used is reported once, and checks that would build
    on it are left out.

    Parameters
    ----------
    written : `WrittenConfig`
        What was written, with the problems of typing.
    """

    def __init__(self, written: WrittenConfig) -> None:
        self.notices: list[str] = []
        self._problems = list(written.problems)
        self._lines = dict(written.lines)
        self._unusable = set(written.unreadable)

    def report(self, key: str, value: object, what: str, remedy: str) -> None:
        """Add a problem.

        Parameters
        ----------
        key : `str`
            The parameter; of a set, as in ``flat_sets[0].filter``.
        value : `object`
            What was written; `None` if it would not help to repeat it.
        what, remedy : `str`
            What is wrong with it, and what to write instead.
        """
        # One unusable value of a set leaves the other sets to be checked.
        self._unusable.add(".".join(key.split(".")[: 2 if key.startswith("flat_sets[") else 1]))
        self._problems.append(Problem(key, value, what, remedy, self._line(key)))

    def usable(self, *keys: str) -> bool:
        """Return whether no problem of these parameters was reported."""
        return self._unusable.isdisjoint(keys)

    def read_as(self, key: str, meant: str) -> None:
        """Take the line of a mistyped key for that of the one meant."""
        if line := self._line(key):
            self._lines.setdefault(meant, line)

    def raise_if_any(self) -> None:
        """Raise a `ConfigurationError` if there is any problem."""
        if self._problems:
            raise ConfigurationError(self._problems)

    def _line(self, key: str) -> int | None:
        """Return the line of a key, or of the nearest thing around it."""
        places = (key, key.split(".")[0], key.split("[")[0])
        return next((self._lines[place] for place in places if place in self._lines), None)
