# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that YAML 1.1 and people read differently.

PyYAML follows YAML 1.1: ``010`` is 8 to it, ``1:30`` is 90, and ``1e-1`` is
text.
"""

from __future__ import annotations

__all__ = ["fix_number", "number_parameters"]

import functools
import re
from collections.abc import Iterator
from typing import Any

import yaml

from ..instruments import Instrument
from ._schema import shared_schema

_TAG = "tag:yaml.org,2002:"
_LEADING_ZERO = re.compile(r"(?P<sign>[-+]?)0+_*(?P<rest>[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]{1,2})?)")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-9]+)+(?:\.[0-9_]*)?")
_EXPONENT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]{1,3}")
_MAX_LENGTH = 40


@functools.cache
def number_parameters(instrument: Instrument) -> frozenset[str]:
    """Return the names of values that can be numbers, and not text.

    Parameters
    ----------
    instrument : `Instrument`
        The camera.

    Returns
    -------
    names : `frozenset` [`str`]
        Of parameters, and of what is within them.
    """

    def find(properties: dict[str, Any]) -> Iterator[str]:
        for name, entry in properties.items():
            items = entry.get("items", {})
            types = {*_types(entry), *_types(items)}
            if types & {"integer", "number"} and "string" not in types:
                yield name
            yield from find(entry.get("properties", {}))
            yield from find(items.get("properties", {}))

    return frozenset(find(shared_schema(instrument)["properties"]))


def _types(entry: dict[str, Any]) -> list[str]:
    types = entry.get("type", [])
    return [types] if isinstance(types, str) else types


def fix_number(node: yaml.ScalarNode, is_number: bool) -> None:
    """Take a scalar for the number that everybody reads, or refuse it.

    Parameters
    ----------
    node : `yaml.ScalarNode`
        A scalar; if it is a number for people and text for YAML 1.1, its tag
        is changed.
    is_number : `bool`
        Whether only a number can be meant.

    Raises
    ------
    yaml.constructor.ConstructorError
        If people and YAML 1.1 would read different numbers; its ``note`` is
        the remedy.
    """
    text = node.value
    resolved = node.tag in (f"{_TAG}int", f"{_TAG}float")
    if len(text) > _MAX_LENGTH or not (resolved or (is_number and node.style is None)):
        return
    in_quotes = "" if is_number else f', or "{text}" in quotes for text'
    if zero := _LEADING_ZERO.fullmatch(text):
        _refuse(
            f"{text}: the number begins with 0", f"{zero['sign'].strip('+')}{_plain(zero['rest'])}{in_quotes}"
        )
    if _SEXAGESIMAL.fullmatch(text):
        # Minutes and seconds; hours, if there are three.
        total = functools.reduce(lambda sum_, part: 60 * sum_ + float(part), _parts(text), 0.0)
        number = f"{-total if text.startswith('-') else total:.15g}"
        _refuse(f"{text}: the number has a colon", f"{number}{in_quotes}")
    if not resolved and _EXPONENT.fullmatch(text):
        node.tag = f"{_TAG}float"


def _parts(text: str) -> list[str]:
    return text.lstrip("-+").replace("_", "").split(":")


def _plain(digits: str) -> str:
    digits = digits.replace("_", "")
    return digits.lstrip("0") or "0" if digits.isdigit() else f"{float(digits):.15g}"


def _refuse(what: str, number: str) -> None:
    raise yaml.constructor.ConstructorError(problem=what, note=f"write {number}")
