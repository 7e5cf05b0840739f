# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options for the pipetask of a job.

The OCPS splits what it is sent at blanks and does nothing else with it: no
quote, variable or pattern survives as a shell's user means it. `pipetask`
itself overlooks ``-clabel:field=value`` and ``--config=label:field=value``,
without a message, so both are taken apart here.
"""

from __future__ import annotations

__all__ = ["parse_options"]

import re
import shlex
from collections.abc import Iterator

from ._problems import Unusable, shown

_EXAMPLE = "-c cpBiasIsr:doDefect=False"
_WITH_C = f"write -c before each label:field=value, for example {_EXAMPLE}"

_LABEL = r"[A-Za-z_]\w*"
_CHARACTERS = r"[\w.,:=+/@%\[\]-]"
_SHELL_CHARACTERS = ";|&$`<>()\\*?"
_VALUES = {
    "-c": (re.compile(rf"{_LABEL}:{_LABEL}[\w.\[\]]*={_CHARACTERS}+", re.ASCII), _EXAMPLE),
    "-C": (re.compile(rf"{_LABEL}:[\w./+@%-]+", re.ASCII), "-C cpBiasIsr:/home/me/bias.py"),
    "--timeout": (re.compile(r"[1-9]\d{0,8}", re.ASCII), "--timeout 3600"),
}
"""Options that take a value: what it must be, and an example."""

_FLAGS = frozenset(
    {"--fail-fast", "--no-versions", "--raise-on-partial-outputs", "--enable-implicit-threading"}
)
"""Options without a value. They make a job stricter, or leave its products
as they are."""

_LONG = {"--config": "-c", "--config-file": "-C"}

_SET_ALREADY = {
    "-b": "repo",
    "--butler-config": "repo",
    "-d": "detectors",
    "--data-query": "detectors",
    "-i": "input_collections_*",
    "--input": "input_collections_*",
    "-j": "n_processes",
    "--processes": "n_processes",
    "-o": None,
    "--output": None,
    "--output-run": None,
    "-p": None,
    "--pipeline": None,
    "--register-dataset-types": None,
}
"""Options that every job has already, and the parameter for each."""


def parse_options(text: str) -> tuple[str, ...]:
    """Take options apart into words.

    Parameters
    ----------
    text : `str`
        As on a command line, in one line.

    Returns
    -------
    words : `tuple` [`str`, ...]
        Each option, with its value as the next word. None has a blank or a
        quote, so that they are the same words after the OCPS has split them.

    Raises
    ------
    Unusable
        If it has an option that is not allowed, or that would not reach
        `pipetask`.
    """
    if forbidden := sorted(set(text) & set(_SHELL_CHARACTERS)):
        raise Unusable(
            f"has {' '.join(forbidden)}, which a shell would act on",
            f"write options only, for example {_EXAMPLE}",
        )
    try:
        words = shlex.split(text)
    except ValueError:
        raise Unusable("has a quote that does not close", "close the quote") from None
    if words and not words[0].startswith("-"):
        raise Unusable("does not begin with an option", _WITH_C)
    return tuple(_parse(words))


def _parse(words: list[str]) -> Iterator[str]:
    todo = iter(words)
    for word in todo:
        name, value = _split(word)
        _check_name(name, word)
        if name in _FLAGS:
            if value is not None:
                raise Unusable(f"{name} takes no value", f"write {name}")
            yield name
            continue
        if value is None:
            value = next(todo, "")
        _check_value(name, value)
        yield name
        yield value


def _split(word: str) -> tuple[str, str | None]:
    """Return an option's name, the short one if it has two, and its value."""
    name, equals, value = word.partition("=")
    if not word.startswith("--"):
        name, equals, value = word[:2], word[2:], word[2:]
    return _LONG.get(name, name), value if equals else None


def _check_name(name: str, word: str) -> None:
    if name in _VALUES or name in _FLAGS:
        return
    if name in _SET_ALREADY:
        parameter = _SET_ALREADY[name]
        remedy = f"leave it out and use {parameter}" if parameter else "leave it out"
        raise Unusable(f"{name} is set for every job already", remedy)
    if not name.startswith("-"):
        raise Unusable(
            f"{shown(word)} is not an option, nor the value of one",
            _WITH_C,
        )
    allowed = ", ".join([*_VALUES, *sorted(_FLAGS)])
    raise Unusable(
        f"{shown(name)} is not allowed", f"write options only of {allowed}, for example {_EXAMPLE}"
    )


def _check_value(name: str, value: str) -> None:
    pattern, example = _VALUES[name]
    if pattern.fullmatch(value):
        return
    fixed = re.sub(r" *([,=\[\]]) *", r"\1", re.sub("['\"]", "", value))
    remedy = f"write {name} {fixed}" if pattern.fullmatch(fixed) else f"write for example {example}"
    if " " in value:
        raise Unusable(f"{shown(value)} has a blank, where the OCPS splits it in two", remedy)
    if fixed != value:
        raise Unusable(f"{shown(value)} has a quote within, which the OCPS takes for a letter", remedy)
    raise Unusable(f"{name} {shown(value)} does not have the required form", f"write for example {example}")
