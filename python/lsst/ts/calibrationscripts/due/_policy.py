# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How old calibrations may become."""

from __future__ import annotations

__all__ = ["PRODUCTS", "Policy", "PolicyError", "read_policy"]

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import yaml

from ..plain_yaml import PlainLoader
from ..products import Product

PRODUCTS = {
    "bias": Product.BIAS,
    "dark": Product.DARK,
    "flat": Product.FLAT,
    "defects": Product.DEFECTS,
    "ptc": Product.PTC,
}
"""What exposures look up, by dataset type."""

DEFAULT_AGES: Mapping[str, float | None] = MappingProxyType(
    {"bias": 30.0, "dark": 30.0, "flat": 30.0, "defects": 90.0, "ptc": 90.0}
)
"""(days)"""

_AHEAD = "ahead"
_IGNORE = "ignore"
_MAX_DAYS = 36_500.0
_MAX_CHARACTERS = 10_000
_KEYS = (*PRODUCTS, _AHEAD, _IGNORE)


class PolicyError(ValueError):
    """A policy that cannot be used; says all that is wrong with it."""


@dataclass(frozen=True)
class Policy:
    """How old calibrations may become, and how far ahead to look."""

    ages: Mapping[str, float | None] = field(default_factory=lambda: DEFAULT_AGES)
    """By dataset type (days); `None` for any age."""

    ahead: float = 1.0
    """For how long from now there must be calibrations (days)."""

    ignored: frozenset[str] = frozenset()
    """Dataset types that are not looked up."""

    @property
    def dataset_types(self) -> tuple[str, ...]:
        """Dataset types that are looked up."""
        return tuple(name for name in PRODUCTS if name not in self.ignored)


def read_policy(text: str) -> Policy:
    """Read a policy; what it leaves out is as by default.

    Parameters
    ----------
    text : `str`
        YAML.

    Returns
    -------
    policy : `Policy`

    Raises
    ------
    PolicyError
        If anything is wrong.
    """
    if len(text) > _MAX_CHARACTERS:
        raise PolicyError(f"it has more than {_MAX_CHARACTERS} characters: write ages in days only")
    try:
        data = yaml.load(text, Loader=PlainLoader)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise PolicyError(f"it is not YAML{where}: write lines such as 'bias: 30'") from error
    if data is None:
        return Policy()
    if not isinstance(data, dict):
        raise PolicyError("it is not a mapping: write lines such as 'bias: 30'")
    if problems := list(_problems(data)):
        raise PolicyError("; ".join(problems))
    ages = {**DEFAULT_AGES, **{name: data[name] for name in PRODUCTS if name in data}}
    policy = Policy(ages, float(data.get(_AHEAD, Policy.ahead)), frozenset(data.get(_IGNORE, ())))
    too_short = [
        f"{name}: {age:g}: is not more than ahead, {policy.ahead:g}, so that it would always be due: write "
        f"more days, or a smaller ahead"
        for name in policy.dataset_types
        if (age := policy.ages[name]) is not None and age <= policy.ahead
    ]
    if too_short:
        raise PolicyError("; ".join(too_short))
    return policy


def _problems(data: Mapping[object, object]) -> Iterator[str]:
    for key, value in data.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, 1)
            hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(_KEYS)}"
            yield f"{str(key)[:60]}: unknown; {hint}"
        elif key == _IGNORE:
            yield from _ignore_problems(value)
        elif value is None and key != _AHEAD:
            continue
        elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            yield f"{key}: {str(value)[:60]!r}: is not a number; write days, such as {key}: {_example(key)}"
        elif not 0 < value <= _MAX_DAYS:
            yield (
                f"{key}: {value}: is not between 0 and {_MAX_DAYS:g} days; write days, such as {key}: "
                f"{_example(key)}"
            )


def _example(key: str) -> str:
    # What is as far ahead as an age would have everything due.
    age = DEFAULT_AGES.get(key)
    return f"{Policy.ahead if age is None else age:g}"


def _ignore_problems(value: object) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"ignore: {str(value)[:60]!r}: is not a list; write, for example, ignore: [ptc, defects]"
        return
    if unknown := [str(each)[:60] for each in value if not isinstance(each, str) or each not in PRODUCTS]:
        yield f"ignore: {', '.join(unknown)}: unknown; write some of {', '.join(PRODUCTS)}"
    elif len(set(value)) == len(PRODUCTS):
        yield "ignore: nothing is left to look up; leave one out of the list"
