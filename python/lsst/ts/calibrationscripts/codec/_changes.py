# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a journal, as the lines behind its record."""

from __future__ import annotations

__all__ = ["apply_changes", "splice"]

import json
from collections.abc import Iterator, Sequence
from operator import is_
from typing import Any, TypeVar

T = TypeVar("T")


def splice(before: Sequence[T], after: Sequence[T]) -> tuple[int, int, Sequence[T]] | None:
    """Return what has changed in a sequence of objects.

    Parameters
    ----------
    before : `~collections.abc.Sequence`
        How it was.
    after : `~collections.abc.Sequence`
        How it is. What has not changed is the same object as before.

    Returns
    -------
    start, stop : `int`
        The part of ``before`` that is replaced.
    items : `~collections.abc.Sequence`
        What replaces it. `None` in place of all three if nothing has changed.
    """
    if before is after:
        return None
    # There may be a thousand, of which the last few have changed.
    shorter = min(len(before), len(after))
    start = bytes(map(is_, before, after)).find(False)
    start = shorter if start < 0 else start
    if start == len(before) == len(after):
        return None
    rest = shorter - start
    end = 0
    while end < rest and before[-1 - end] is after[-1 - end]:
        end += 1
    return start, len(before) - end, after[start : len(after) - end]


def apply_changes(data: dict[str, Any], text: str, n_lines: int) -> None:
    """Apply changes to a record, in their order.

    Parameters
    ----------
    data : `dict` [`str`, `Any`]
        JSON of the record as it was written as a whole; it is changed.
    text : `str`
        The lines behind it.
    n_lines : `int`
        How many lines of the file are before ``text``.

    Raises
    ------
    ValueError
        If a line is damaged or missing; says which. Not if only the last is
        not complete: its process was killed while it wrote, and the record is
        that of before.
    """
    for number, (line, change) in enumerate(_changes(text, n_lines), start=1):
        try:
            _apply(data, change, number)
        except (AttributeError, LookupError, TypeError, ValueError):
            raise ValueError(f"line {line} is not change {number} of the record") from None


def _changes(text: str, n_lines: int) -> Iterator[tuple[int, Any]]:
    """Yield each change with the number of its line."""
    lines = [(i, line) for i, line in enumerate(text.split("\n"), start=n_lines + 1) if line.strip()]
    for i, line in lines:
        try:
            yield i, json.loads(line)
        except (ValueError, RecursionError):
            if i != lines[-1][0]:
                raise ValueError(f"line {i} is damaged") from None


def _apply(data: dict[str, Any], change: dict[str, Any], number: int) -> None:
    if change["change"] != number:
        raise ValueError
    data.update(**change["set"])
    for name, part in change["lists"].items():
        items, start, stop = data[name], part["from"], part["to"]
        if not 0 <= start <= stop <= len(items):
            raise ValueError
        items[start:stop] = part["items"]
