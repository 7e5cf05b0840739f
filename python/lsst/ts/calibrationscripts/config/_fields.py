# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the schema cannot say about the value of a single parameter."""

from __future__ import annotations

__all__ = ["PLACEHOLDER", "parse_field"]

import datetime
import math
import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..instruments import ImageType, Instrument
from ..pairs import times_of_pairs
from ..products import Product
from ._addresses import parse_notify, parse_publish
from ._bps import parse_bps_config
from ._counts import parse_flat_counts
from ._dates import begin_date, end_date
from ._detectors import parse_detectors
from ._options import parse_options
from ._parameters import PRODUCT_PARAMETERS, WHEEL_PARAMETERS
from ._problems import Unusable, shown
from ._surroundings import parse_ignore, parse_preconditions

PLACEHOLDER = re.compile(r"\$\{|\$[A-Za-z_]")
"""What an observing block, or an example, has for a value to be filled in."""

MAX_EXP_TIME = 3600.0
"""Longest exposure time (s), as in the schema."""


def _text(value: str, placeholder_for: str = "its value") -> str:
    """Return one line of ASCII, as FITS headers and command lines need it."""
    value = value.strip()
    if not value.isprintable():
        raise Unusable("has line breaks or control characters", "write one line of plain text")
    if not value.isascii():
        raise Unusable("has other than ASCII characters", "write it without accents and symbols")
    if PLACEHOLDER.search(value):
        raise Unusable("is a placeholder", f"replace the placeholder by {placeholder_for}")
    return value


def _header_value(value: str | None) -> str | None:
    if value is None:
        return None
    value = _text(value)
    # The camera reads "reason: ..., program: ...".
    if "," in value or ":" in value:
        raise Unusable("has a comma or colon", f"write {re.sub(r'[,:]+ *', ' ', value).strip()!r}")
    return value or None


def _note(value: str | None) -> str | None:
    return None if value is None else _text(value) or None


def _element(kind: str) -> Callable[[str | int | None], str | int | None]:
    """Return a parser for the name or ID of a filter or grating."""

    def parse(value: str | int | None) -> str | int | None:
        if not isinstance(value, str):
            return None if value is None else int(value)
        name = _text(value, placeholder_for=f"a {kind} name or ID")
        if name.lower() in {"", "none"}:
            raise Unusable("is not a name", f"write null, or leave {kind} out")
        if re.fullmatch(r"\d{1,2}", name, re.ASCII):
            raise Unusable(
                "is a name, because of the quotes", f"write {int(name)}, without quotes, for the ID"
            )
        if re.fullmatch(r"[\w.+-]+(~[\w.+-]+)+", name, re.ASCII):
            parts = ", ".join(map(": ".join, zip(WHEEL_PARAMETERS, name.split("~"), strict=False)))
            raise Unusable("is a physical filter, the names of several wheels", f"write {parts}")
        if not re.fullmatch(r"[A-Za-z0-9_.+-]+", name):
            raise Unusable("is not a name", f"write one {kind} name or ID, letters, digits and _ . + - only")
        return name

    return parse


def _collection(value: str, instrument: Instrument) -> str:
    name = _text(value, placeholder_for="a collection")
    if not name:
        raise Unusable("is empty", f"write a collection, for example {instrument.calib_collection}/daily")
    if "," in name:
        raise Unusable("names several collections", "write one")
    _check_collection(name)
    return name


def _collections(value: str) -> tuple[str, ...]:
    text = _text(value, placeholder_for="collections")
    if not text:
        return ()
    names = tuple(text.split(","))
    trimmed = tuple(name.strip() for name in names)
    if names != trimmed:
        raise Unusable("has a blank beside a comma", f"write {','.join(trimmed)}")
    if "" in names:
        raise Unusable("has a comma too many", f"write {','.join(filter(None, names)) or 'a collection'}")
    for name in names:
        _check_collection(name)
    return names


def _check_collection(name: str) -> None:
    if " " in name:
        joined = ",".join(name.split())
        raise Unusable("has a blank in a name", f"write it without blanks, or commas between names: {joined}")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./@+-]*", name) or re.search(r"//|/$|(^|/)\.\.?(/|$)", name):
        raise Unusable(
            f"{shown(name)} is not a collection",
            "write letters, digits and _ . @ + -, with single slashes between parts",
        )


def _options(product: Product) -> Callable[[str | None], tuple[str, ...] | None]:
    return lambda value: None if value is None else parse_options(_text(value), product)


def _is_path(text: str, character: str) -> bool:
    """Return whether a text is a path; only an absolute one has blanks."""
    word = f"{character}+"
    return re.fullmatch(rf"(?=[A-Za-z0-9_/.~]){word}|/{word}( {word})*", text) is not None


def _repo(value: str, instrument: Instrument) -> str:
    repo = _text(value, placeholder_for="a Butler repository")
    if not repo:
        raise Unusable("is empty", f"write a Butler repository, for example {instrument.repo}")
    if not _is_path(repo, r"[A-Za-z0-9_/.:+@%~-]"):
        raise Unusable("has blanks or special characters", "write a path or URI without them")
    return repo


def _journal_dir(value: str | None) -> str | None:
    if value is None:
        return None
    folder = _text(value, placeholder_for="a folder, and write a path without variables")
    if not folder:
        raise Unusable("is empty", "write a folder, or null")
    if not _is_path(folder, r"[A-Za-z0-9_/.+@~-]"):
        raise Unusable("has blanks or special characters", "write a path without them")
    return folder


def _publish(value: str | None) -> str | None:
    if value is None:
        return None
    return parse_publish(_text(value, placeholder_for="a folder, and write it without variables"))


def _ocps_log_path(value: str) -> str:
    path = _text(value, placeholder_for="a path")
    remedy = "write {job_id} for the id of the job, and no other braces"
    try:
        fields = [part[1:] for part in string.Formatter().parse(path) if part[1] is not None]
    except ValueError:
        raise Unusable("has a brace without the other", remedy) from None
    for name, spec, conversion in fields:
        if name != "job_id" or spec or conversion:
            raise Unusable(f"has {shown(name)} in braces, which is not {{job_id}}", remedy)
    if not fields:
        raise Unusable("has no {job_id}", remedy)
    return path


def _fail_on(value: list[str]) -> tuple[str, ...]:
    _check_each_once(value)
    return tuple(value)


def _exposures(value: Mapping[str, list[int]] | None) -> dict[str, tuple[int, ...]] | None:
    if value is None:
        return None
    exposures = {
        image_type.value: tuple(int(exposure_id) for exposure_id in value[image_type])
        for image_type in ImageType
        if image_type in value
    }
    types: dict[int, str] = {}
    for image_type, ids in exposures.items():
        for exposure_id in _exposure_ids(ids):
            if exposure_id in types:
                raise Unusable(
                    f"has {exposure_id} as {types[exposure_id]} and as {image_type}", "leave one of them out"
                )
            types[exposure_id] = image_type
    return exposures


def _exposure_ids(value: Sequence[int]) -> tuple[int, ...]:
    ids = tuple(int(exposure_id) for exposure_id in value)
    _check_each_once(ids)
    for exposure_id in ids:
        try:
            datetime.date.fromisoformat(str(exposure_id)[:8])
        except ValueError:
            raise Unusable(
                f"{exposure_id} does not begin with a date",
                "write the day and a number of 5 digits, for example 2022092900004",
            ) from None
    return ids


def _check_each_once(values: Sequence[str | int]) -> None:
    # Not left to the schema: its check is slow for long lists of any kind.
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise Unusable(f"has {twice[0]} twice", "write each once")


def _run_id(value: str | None) -> str | None:
    return None if value is None else _text(value)


def _hold_out(value: int | str) -> int | str:
    if value == 1:
        raise Unusable("holds out every frame", "write 0, 2 or more, or the id of a run")
    return _text(value, placeholder_for="a number, or the id of a run") if isinstance(value, str) else value


def _generation(value: str | int) -> str:
    # Without quotes, YAML takes a year for a number.
    return str(value)


def _times(value: Any) -> Any:
    """Return exposure times; pairs become a list."""
    if not isinstance(value, Mapping):
        return value
    if math.isnan(value["exp_time"]):
        raise Unusable("is not finite", "write a number for exp_time, for example 5")
    times = list(times_of_pairs(int(value["pairs"]), float(value["exp_time"])))
    if times[-1] > MAX_EXP_TIME:
        raise Unusable(f"comes to {times[-1]:g} s", f"write less, the limit is {MAX_EXP_TIME:g} s")
    return times


def _test_case(value: Mapping[str, Any] | None) -> dict[str, str | int] | None:
    if value is None:
        return None
    return {key: _text(item) if isinstance(item, str) else int(item) for key, item in value.items()}


_PARSERS: dict[str, Callable[[Any], object]] = {
    "program": _header_value,
    "reason": _header_value,
    "note": _note,
    "test_case": _test_case,
    "pipeline_generation": _generation,
    "exp_times_flat": _times,
    "flat_counts": parse_flat_counts,
    "filter": _element("filter"),
    "grating": _element("grating"),
    "exposures": _exposures,
    "resume": _run_id,
    "without": _exposure_ids,
    "without_reason": _note,
    "without_by": _note,
    "fail_on": _fail_on,
    "hold_out": _hold_out,
    "journal_dir": _journal_dir,
    "publish": _publish,
    "notify": parse_notify,
    "preconditions": parse_preconditions,
    "bps_config": parse_bps_config,
    "ocps_log_path": _ocps_log_path,
    "certify_calib_begin_date": lambda value: begin_date(_text(value)),
    "certify_calib_end_date": lambda value: end_date(_text(value)),
    **{parameters.options: _options(product) for product, parameters in PRODUCT_PARAMETERS.items()},
    **{parameters.inputs: _collections for parameters in PRODUCT_PARAMETERS.values()},
    **{
        parameters.verify_inputs: _collections
        for parameters in PRODUCT_PARAMETERS.values()
        if parameters.verify_inputs is not None
    },
}
_CAMERA_PARSERS: dict[str, Callable[[Any, Instrument], object]] = {
    "detectors": parse_detectors,
    "calib_collection": _collection,
    "repo": _repo,
    "ignore": parse_ignore,
}


def parse_field(key: str, value: Any, instrument: Instrument) -> Any:
    """Return a parameter's value as the configuration keeps it.

    Parameters
    ----------
    key : `str`
        The parameter.
    value : `Any`
        A value that the schema accepts.
    instrument : `Instrument`
        The camera.

    Returns
    -------
    value : `Any`
        Stripped, split and converted.

    Raises
    ------
    Unusable
        If the value cannot be used.
    """
    if key in _CAMERA_PARSERS:
        return _CAMERA_PARSERS[key](value, instrument)
    return _PARSERS[key](value) if key in _PARSERS else value
