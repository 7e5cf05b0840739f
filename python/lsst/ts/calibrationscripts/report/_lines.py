# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that fit any terminal, and the log window of LOVE."""

from __future__ import annotations

__all__ = ["WIDTH", "fold", "fold_command", "fold_list", "keep"]

import re
import shlex
import textwrap
from collections.abc import Iterable

WIDTH = 80
"""Columns of a line. What cannot be broken, such as a path, may be longer."""

_INDENT = 4

_QUOTED = re.compile(r"(?<!\w)'[^'\n]{1,73}'(?!\w)")
"""What is to be written as it is, such as 'resume: 20261123T180000-1'."""

_KEPT = "\0"
"""In place of a blank at which no line ends."""


def fold(text: str, width: int = WIDTH, indent: int = _INDENT) -> str:
    """Break the lines of a text that are too long.

    Parameters
    ----------
    text : `str`
        The text. What is quoted in it stays in one line.
    width : `int`, optional
        Columns of a line.
    indent : `int`, optional
        How much further than its line what follows from it is indented.

    Returns
    -------
    text : `str`
    """
    return "\n".join(_fold_line(line, width, indent) for line in text.split("\n")).replace(_KEPT, " ")


def keep(text: str) -> str:
    """Return a part of a text to be folded that stays in one line."""
    return text.replace(" ", _KEPT)


def _fold_line(line: str, width: int, indent: int) -> str:
    if len(line) <= width:
        return line
    kept = _QUOTED.sub(lambda quoted: keep(quoted[0]), line.lstrip(" "))
    margin = " " * (len(line) - len(line.lstrip(" ")))
    lines = textwrap.wrap(
        kept,
        width,
        initial_indent=margin,
        subsequent_indent=margin + " " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def fold_list(items: Iterable[str], indent: int, width: int = WIDTH, separator: str = "  ") -> str:
    """Return items side by side, in as many lines as they need.

    Parameters
    ----------
    items : `~collections.abc.Iterable` [`str`]
        None of them is broken.
    indent : `int`
        Of each line.
    width : `int`, optional
        Columns of a line.
    separator : `str`, optional
        Between two items; it ends with a blank.

    Returns
    -------
    text : `str`
    """
    margin = " " * indent
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(separator) + len(item) <= width:
            lines[-1] += separator + item
        else:
            if lines:
                lines[-1] += separator.rstrip()
            lines.append(margin + item)
    return "\n".join(lines)


def fold_command(words: Iterable[str], indent: int = _INDENT, width: int = WIDTH) -> str:
    """Return a shell command, in as many lines as it needs.

    Parameters
    ----------
    words : `~collections.abc.Iterable` [`str`]
        The command and its arguments.
    indent : `int`, optional
        Of each line; those that follow from the first have two blanks more.
    width : `int`, optional
        Columns of a line.

    Returns
    -------
    text : `str`
        It can be pasted into a shell.
    """
    margin = " " * indent
    lines = [""]
    for word in map(shlex.quote, words):
        if not lines[-1]:
            lines[-1] = margin + word
        elif len(lines[-1]) + len(word) + len("  \\") <= width:
            lines[-1] += f" {word}"
        else:
            lines[-1] += " \\"
            lines.append(f"{margin}  {word}")
    return "\n".join(lines)
