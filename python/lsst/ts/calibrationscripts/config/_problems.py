# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a configuration, as the observer reads it."""

from __future__ import annotations

__all__ = ["ConfigurationError", "Problem", "Unusable", "shown"]

import math
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass

from ._secrets import without_secrets

_MAX_LENGTH = 240
_MAX_REMEDY = 2_400
"""A remedy is there to be copied: the longest list of collections fits."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = 70
_SHORT.maxlist = 8
_SHORT.maxlevel = 3


def shown(value: object) -> str:
    """Return a value as it is shown to the observer, shortened."""
    return _SHORT.repr(value)


def _one_line(text: str, length: int = _MAX_LENGTH) -> str:
    """Return text short enough and fit to be shown."""
    text = text if len(text) <= length else f"{text[:length]}..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and how to fix it."""

    key: str
    """The parameter, or ``configuration`` for the text as a whole."""

    value: object
    """What was written; `None` where it would not help to repeat it, or may
    be secret."""

    what: str
    """What is wrong with it."""

    remedy: str
    """What to write instead."""

    line: int | None = None
    """Line of the text, counted from 1, where known."""

    def __post_init__(self) -> None:
        if "notify" not in self.key:
            return
        object.__setattr__(self, "value", None)
        for name in ("key", "what", "remedy"):
            object.__setattr__(self, name, without_secrets(getattr(self, name)))

    def __str__(self) -> str:
        value = "" if self.value is None else f"{shown(self.value)}: "
        line = "" if self.line is None else f" (line {self.line})"
        remedy = _one_line(self.remedy, _MAX_REMEDY)
        return f"{_one_line(self.key)}: {_one_line(value + self.what)}; {remedy}{line}"


class Unusable(Exception):  # noqa: N818
    """A value that cannot be used.

    Parameters
    ----------
    what : `str`
        What is wrong with it.
    remedy : `str`
        What to write instead.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy


class ConfigurationError(ValueError):
    """A configuration that cannot be used.

    Parameters
    ----------
    problems : iterable of `Problem`
        All that is wrong; kept in the order of the text.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(
            sorted(problems, key=lambda problem: problem.line or math.inf)
        )
        super().__init__(self.problems)

    def __str__(self) -> str:
        n = len(self.problems)
        heading = f"{n} problem{'' if n == 1 else 's'} in the configuration:"
        return "\n".join([heading, *(f"  {problem}" for problem in self.problems)])
