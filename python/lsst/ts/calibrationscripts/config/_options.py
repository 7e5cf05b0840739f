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

from ..products import Product
from ._problems import Unusable, shown

_EXAMPLES = {
    Product.BIAS: "cpBiasIsr:doDefect=False",
    Product.DARK: "cpDarkIsr:doDefect=False",
    Product.FLAT: "cpFlatIsr:doDefect=False",
    Product.DEFECTS: "cpMergeDefects:edgesAsDefects=True",
    Product.PTC: "cpPtcIsr:doDefect=False",
}
"""What an option is like, with a task that the pipeline of the product has:
that of another one would fail the job."""

_LABEL = r"[A-Za-z_]\w*"
_CHARACTERS = r"[\w.,:=+/@%\[\]-]"
_SHELL_CHARACTERS = ";|&$`<>()\\*?"
_VALUES = {
    "-c": re.compile(rf"{_LABEL}:{_LABEL}[\w.\[\]]*={_CHARACTERS}+", re.ASCII),
    "-C": re.compile(rf"{_LABEL}:[\w./+@%-]+", re.ASCII),
    "--timeout": re.compile(r"[1-9]\d{0,8}", re.ASCII),
}
"""Options that take a value, and what it must be."""

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


def parse_options(text: str, product: Product) -> tuple[str, ...]:
    """Take options apart into words.

    Parameters
    ----------
    text : `str`
        As on a command line, in one line.
    product : `Product`
        What the job makes.

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
            f"write options only, for example {_example('-c', product)}",
        )
    try:
        words = shlex.split(text)
    except ValueError:
        raise Unusable("has a quote that does not close", "close the quote") from None
    if words and not words[0].startswith("-"):
        raise Unusable("does not begin with an option", _with_c(product))
    return tuple(_parse(words, product))


def _example(name: str, product: Product) -> str:
    """Return an option with a value that the job takes."""
    option = _EXAMPLES[product]
    values = {"-C": f"{option.partition(':')[0]}:/home/me/{product.lower()}.py", "--timeout": "3600"}
    return f"{name} {values.get(name, option)}"


def _with_c(product: Product) -> str:
    return f"write -c before each label:field=value, for example {_example('-c', product)}"


def _parse(words: list[str], product: Product) -> Iterator[str]:
    todo = iter(words)
    for word in todo:
        name, value = _split(word)
        _check_name(name, word, product)
        if name in _FLAGS:
            if value is not None:
                raise Unusable(f"{name} takes no value", f"write {name}")
            yield name
            continue
        if value is None:
            value = next(todo, "")
        _check_value(name, value, product)
        yield name
        yield value


def _split(word: str) -> tuple[str, str | None]:
    """Return an option's name, the short one if it has two, and its value."""
    name, equals, value = word.partition("=")
    if not word.startswith("--"):
        name, equals, value = word[:2], word[2:], word[2:]
    return _LONG.get(name, name), value if equals else None


def _check_name(name: str, word: str, product: Product) -> None:
    if name in _VALUES or name in _FLAGS:
        return
    if name in _SET_ALREADY:
        parameter = _SET_ALREADY[name]
        remedy = f"leave it out and use {parameter}" if parameter else "leave it out"
        raise Unusable(f"{name} is set for every job already", remedy)
    if not name.startswith("-"):
        raise Unusable(
            f"{shown(word)} is not an option, nor the value of one",
            _with_c(product),
        )
    allowed = ", ".join([*_VALUES, *sorted(_FLAGS)])
    raise Unusable(
        f"{shown(name)} is not allowed",
        f"write options only of {allowed}, for example {_example('-c', product)}",
    )


def _check_value(name: str, value: str, product: Product) -> None:
    pattern, example = _VALUES[name], _example(name, product)
    if pattern.fullmatch(value):
        return
    fixed = re.sub(r" *([,=\[\]]) *", r"\1", re.sub("['\"]", "", value))
    remedy = f"write {name} {fixed}" if pattern.fullmatch(fixed) else f"write for example {example}"
    if " " in value:
        raise Unusable(f"{shown(value)} has a blank, where the OCPS splits it in two", remedy)
    if fixed != value:
        raise Unusable(f"{shown(value)} has a quote within, which the OCPS takes for a letter", remedy)
    raise Unusable(f"{name} {shown(value)} does not have the required form", f"write for example {example}")
