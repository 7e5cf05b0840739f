# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was written to values, each of which is checked by itself."""

from __future__ import annotations

__all__ = ["ParsedConfig", "WrittenSet", "known_keys", "over_earlier", "parse_values"]

import dataclasses
import difflib
import functools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..instruments import Instrument
from ._fields import parse_field
from ._findings import Findings
from ._messages import example, explain
from ._parameters import FRAME_PARAMETERS, WHEEL_PARAMETERS
from ._problems import Unusable
from ._schema import parameter_names, shared_schema

if TYPE_CHECKING:
    from jsonschema import Draft7Validator, ValidationError

_Values = Mapping[str, Any]


@dataclass(frozen=True)
class WrittenSet:
    """A set of flats as it was written."""

    place: str
    """Where it is, as in ``flat_sets[0]``."""

    own: _Values
    """What it has of its own, by parameter; what is null is left out."""

    def source(self, key: str) -> str:
        """Return where the set takes a parameter's value from."""
        return f"{self.place}.{key}" if key in self.own else key


@dataclass(frozen=True)
class ParsedConfig:
    """The values of all parameters, before frames are resolved."""

    instrument: Instrument

    given: _Values
    """What was written, as it was written. Where a run is resumed, that run's
    values too, except those that say which frames it is about."""

    values: _Values
    """Every parameter's value, defaults filled in. Those that `Findings` has
    as unusable are as they were written."""

    flat_sets: tuple[WrittenSet | None, ...] | None
    """`None` if there are none; `None` for one that is not a mapping."""

    is_resume: bool
    """Whether a run is resumed."""

    is_complete: bool
    """Whether all values are known: not if a run is resumed whose
    configuration is not available."""

    @property
    def properties(self) -> dict[str, dict[str, Any]]:
        """The parameters of the camera's schema."""
        properties: dict[str, dict[str, Any]] = shared_schema(self.instrument)["properties"]
        return properties

    def default(self, key: str) -> Any:
        """Return the default of a parameter, as the schema has it."""
        return self.properties[key]["default"]

    def changed(self, key: str) -> bool:
        """Return whether something else than the default was written."""
        return key in self.given and bool(self.given[key] != self.default(key))

    def some_set_lacks(self, *keys: str) -> bool:
        """Return whether the flats of a set depend on all these parameters.

        Without sets, all flats do.
        """
        if self.flat_sets is None:
            return True
        return any(one is not None and one.own.keys().isdisjoint(keys) for one in self.flat_sets)


def _set_properties(instrument: Instrument) -> dict[str, dict[str, Any]]:
    """Return the parameters that a set of flats can have."""
    properties = shared_schema(instrument)["properties"]
    of_a_set: dict[str, dict[str, Any]] = (
        properties["flat_sets"]["items"]["properties"] if "flat_sets" in properties else {}
    )
    return of_a_set


def known_keys(written: Mapping[Any, Any], instrument: Instrument, findings: Findings) -> dict[str, Any]:
    """Report unknown keys, and take each as the one it resembles.

    Parameters
    ----------
    written : `~collections.abc.Mapping`
        What was written, by key.
    instrument : `Instrument`
        The camera.
    findings : `Findings`
        Takes the problems.

    Returns
    -------
    known : `dict` [`str`, `Any`]
        What was written, by parameter.
    """
    return _known(written, shared_schema(instrument)["properties"], instrument, findings)


def _known(
    written: Mapping[Any, Any],
    properties: _Values,
    instrument: Instrument,
    findings: Findings,
    prefix: str = "",
) -> dict[str, Any]:
    known = {key: value for key, value in written.items() if key in properties}
    for key, value in written.items():
        if key in properties:
            continue
        place = f"{prefix}{key}"
        if key in shared_schema(instrument)["properties"]:
            findings.report(place, None, "is not part of a set", f"write {key} outside flat_sets")
            continue
        name, *rest = re.split(" *[:=] *", str(key), maxsplit=1)
        if rest and name in properties:
            findings.report(
                place, None, "is not a parameter and its value", f"write {name}: {rest[0]}".rstrip()
            )
            continue
        # What another camera has is not another parameter misspelt.
        is_of_wheels = key in parameter_names(WHEEL_PARAMETERS)
        near = [] if is_of_wheels else difflib.get_close_matches(str(key).lower(), properties, n=1)
        findings.report(place, None, "unknown", f"did you mean {near[0]}?" if near else "leave it out")
        if near and near[0] not in known:
            known[near[0]] = value
            findings.read_as(place, f"{prefix}{near[0]}")
    return known


def parse_values(written: _Values, instrument: Instrument, findings: Findings) -> ParsedConfig:
    """Check each value by itself, and fill in the defaults.

    Parameters
    ----------
    written : `~collections.abc.Mapping` [`str`, `Any`]
        What was written, by parameter.
    instrument : `Instrument`
        The camera.
    findings : `Findings`
        Takes the problems.

    Returns
    -------
    parsed : `ParsedConfig`
    """
    properties = shared_schema(instrument)["properties"]
    values: dict[str, Any] = {key: entry["default"] for key, entry in properties.items()}
    values |= written
    sets = values.get("flat_sets")
    if isinstance(sets, list):
        own = _set_properties(instrument)
        sets = values["flat_sets"] = [
            _known(one, own, instrument, findings, f"flat_sets[{i}].") if isinstance(one, dict) else one
            for i, one in enumerate(sets)
        ]
    _check_finite(values, instrument, findings)
    _check_schema({key: values[key] for key in written}, instrument, findings)
    for place, key, holder in _places(values, findings):
        if not findings.usable(place):
            continue
        # JSON Schema takes 20.0 for an integer.
        if isinstance(holder[key], float) and "integer" in properties[key]["type"]:
            holder[key] = int(holder[key])
        try:
            holder[key] = parse_field(key, holder[key], instrument)
        except Unusable as error:
            findings.report(place, holder[key], error.what, error.remedy)
    is_resume = written.get("resume") is not None
    return ParsedConfig(
        instrument=instrument,
        given=written,
        values=values,
        flat_sets=_written_sets(sets) if isinstance(sets, list) and findings.usable("flat_sets") else None,
        is_resume=is_resume,
        is_complete=not is_resume,
    )


def over_earlier(parsed: ParsedConfig, earlier: _Values) -> ParsedConfig:
    """Use the values of the run that is resumed where none is written.

    Parameters
    ----------
    parsed : `ParsedConfig`
        What is written beside the run's id, all of it not about frames.
    earlier : `~collections.abc.Mapping` [`str`, `Any`]
        The configuration of that run, as from `CalibrationConfig.to_dict`.

    Returns
    -------
    parsed : `ParsedConfig`
    """
    values = {key: parse_field(key, value, parsed.instrument) for key, value in earlier.items()}
    beside = {key: value for key, value in earlier.items() if key not in FRAME_PARAMETERS}
    sets = earlier.get("flat_sets")
    return dataclasses.replace(
        parsed,
        given={**beside, **parsed.given},
        values=values | {key: parsed.values[key] for key in parsed.given},
        flat_sets=None if sets is None else _written_sets(sets),
        is_complete=True,
    )


def _written_sets(sets: list[Any]) -> tuple[WrittenSet | None, ...]:
    return tuple(
        WrittenSet(f"flat_sets[{i}]", {key: value for key, value in one.items() if value is not None})
        if isinstance(one, dict)
        else None
        for i, one in enumerate(sets)
    )


def _places(values: dict[str, Any], findings: Findings) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield where each value is, its key, and what it is kept in."""
    for key in list(values):
        yield key, key, values
    sets = values.get("flat_sets")
    for i, one in enumerate(sets if isinstance(sets, list) else ()):
        if findings.usable("flat_sets") and isinstance(one, dict):
            for key in one:
                yield f"flat_sets[{i}].{key}", key, one


def _check_finite(values: dict[str, Any], instrument: Instrument, findings: Findings) -> None:
    properties = shared_schema(instrument)["properties"]
    for place, key, holder in _places(values, findings):
        if not findings.usable(place) or "number" not in properties[key]["type"]:
            continue
        numbers = holder[key] if isinstance(holder[key], list) else [holder[key]]
        if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
            number = example(key, properties[key]["default"], instrument)
            findings.report(place, holder[key], "is not finite", f"write a number, for example {number}")


@functools.cache
def _validator(instrument: Instrument) -> Draft7Validator:
    from jsonschema import Draft7Validator

    return Draft7Validator(shared_schema(instrument))


def _check_schema(given: _Values, instrument: Instrument, findings: Findings) -> None:
    properties = shared_schema(instrument)["properties"]
    errors = sorted(_validator(instrument).iter_errors(given), key=lambda error: list(error.path))
    reported = {key for key in properties if not findings.usable(key)}
    for error in errors:
        place, key = _place_of(error)
        if str(error.path[0]) in reported or place in reported or not findings.usable(place):
            continue
        reported.add(place)
        what, remedy = explain(place, properties[key]["default"], error, instrument)
        findings.report(place, error.instance, what, remedy)


def _place_of(error: ValidationError) -> tuple[str, str]:
    """Return where an error is, and the parameter that it is about."""
    parameter, *within = map(str, error.path)
    if parameter == "test_case":
        return ".".join([parameter, *within]), parameter
    if parameter == "exposures":
        return ".".join([parameter, *within[:1]]), parameter
    # Lists of numbers are reported without the number's index.
    names = [name for name in within if not name.isdigit()]
    if parameter == "flat_sets" and within:
        return ".".join([f"{parameter}[{within[0]}]", *names]), names[0] if names else parameter
    return ".".join([parameter, *(names if parameter == "exp_times_flat" else ())]), parameter
