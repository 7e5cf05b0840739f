# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of JSON Schema in the words of an observer."""

from __future__ import annotations

__all__ = ["NO_RUN_ID", "example", "explain"]

import difflib
import math
import re
from typing import TYPE_CHECKING, Any

from ..instruments import Instrument
from ..pipelines import RENAMED
from ._camera import flat_examples, setting_text
from ._dates import meant_date
from ._fields import PLACEHOLDER
from ._parameters import WHEEL_PARAMETERS
from ._problems import shown

if TYPE_CHECKING:
    from jsonschema import ValidationError

NO_RUN_ID = "write the id of the run that is to be resumed, or leave resume out"

_EXPOSURE_RANGE = re.compile(r"\s*(\d{13})\s*(?:\.\.+|-|:|to)\s*(\d{13})\s*", re.ASCII)
_IMAGE_NAME = re.compile(r"[A-Z]{2}_O_(\d{8})_0(\d{5})", re.ASCII)
_MAX_RANGE = 100
"""Longest range of ids that is written out."""

_TIMES = ("exp_times_", "wait_", "oods_timeout", "job_timeout", "background_")
_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "True or False",
    "string": "text",
    "array": "a list",
    "null": "null",
}
_EXAMPLES = {
    "exp_times_dark": "30",
    "exp_times_flat.pairs": "10",
    "exp_times_flat.exp_time": "5",
    "exposures": "{BIAS: [2022092900004, 2022092900005]}",
    "flat_counts": "[20000, 40000]",
    "exposures.BIAS": "[2022092900004, 2022092900005]",
    "exposures.DARK": "[2022092900026, 2022092900027]",
    "exposures.FLAT": "[2022092900049, 2022092900050]",
    "resume": "20261123T053300-100001",
    "without": "[2022092900004, 2022092900005]",
    "without_reason": "light in the dome",
    "without_by": "jdoe",
    "fail_on": "[processing]",
    "journal_dir": "/scratch/journals",
    "publish": "/scratch/published",
    "notify": "[/home/saluser/apprise.conf]",
    "background_task_timeout": "30",
    "test_case": "{name: LVV-T2190, execution: LVV-E192, version: '1.0'}",
    "test_case.initial_step": "1",
}


def example(key: str, default: object, instrument: Instrument) -> str:
    """Return a value that could be written for a parameter.

    Parameters
    ----------
    key : `str`
        The parameter; of a set, as in ``flat_sets[0].filter``.
    default : `object`
        Its default.
    instrument : `Instrument`
        The camera.

    Returns
    -------
    value : `str`
        As YAML.
    """
    name = re.sub(r"\d+", "", key.rpartition("].")[2])
    first, second = flat_examples(instrument)
    flats, other_flats = (f"{{{setting_text(wheels)}}}" for wheels in (first, second))
    of_camera = {
        **first,
        "detectors": f"[{instrument.detectors[0].id}]",
        "flat_sets": f"[{flats}, {other_flats}]",
        "flat_sets[]": other_flats,
    }
    return of_camera.get(name) or _EXAMPLES.get(name) or ("some text" if default is None else shown(default))


def explain(key: str, default: object, error: ValidationError, instrument: Instrument) -> tuple[str, str]:
    """Say what a schema error means.

    Parameters
    ----------
    key : `str`
        The parameter.
    default : `object`
        Its default.
    error : `jsonschema.ValidationError`
        What is wrong with its value.
    instrument : `Instrument`
        The camera.

    Returns
    -------
    what, remedy : `str`
        What is wrong, and what to write instead.
    """
    value: Any = error.instance
    limit: Any = error.validator_value
    if isinstance(value, str) and PLACEHOLDER.search(value):
        return (
            "is a placeholder",
            f"replace the placeholder, for example by {example(key, default, instrument)}",
        )
    is_time = key.rpartition("].")[2].startswith(_TIMES) and not key.endswith(".pairs")
    unit = " s" if is_time else ""
    match error.validator:
        case "type":
            return _explain_type(key, default, error, instrument)
        case "enum":
            if isinstance(value, str) and value in RENAMED:
                return "is its earlier name", f'write "{RENAMED[value]}"'
            # False is what YAML makes of off without quotes.
            choices = {str(choice).upper(): str(choice) for choice in limit if choice is not False}
            near = difflib.get_close_matches(str(value).upper(), choices, n=1)
            return "is unknown", f"write {choices[near[0]] if near else ' or '.join(choices.values())}"
        case "pattern" if key == "resume" and not value.strip():
            return "is empty", NO_RUN_ID
        case "pattern":
            return "does not have the required form", f"write for example {example(key, default, instrument)}"
        case "minimum" | "maximum" if _has_exposure_ids(key):
            return "is not an exposure id", "write its 13 digits, for example 2022092900004"
        case "minimum":
            return "is too small", f"write {limit}{unit} or more"
        case "exclusiveMinimum":
            return "is too small", f"write more than {limit}{unit}"
        case "maximum":
            return "is too large", f"write {limit}{unit} or less"
        case "minItems" | "minLength" | "minProperties":
            what = f"has {len(value)} value" if value else "is empty"
            return what, f"write for example {example(key, default, instrument)}"
        case "maxItems":
            return f"has {len(value)} values", f"write {limit} or fewer"
        case "maxLength":
            return f"has {len(value)} characters", f"write {limit} or fewer"
        case "required":
            missing = ", ".join(name for name in limit if name not in value)
            return f"lacks {missing}", f"write {', '.join(limit)}"
        case _:
            known: Any = error.schema
            extra = next(name for name in value if name not in known["properties"])
            return f"{shown(extra)} is unknown", f"write {', '.join(known['properties'])} only"


def _explain_type(
    key: str, default: object, error: ValidationError, instrument: Instrument
) -> tuple[str, str]:
    value: Any = error.instance
    schema: Any = error.schema
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    parts = schema.get("required") or list(schema.get("properties", ()))
    kinds = _TYPES | {"object": f"a mapping of {' and '.join([', '.join(parts[:-1]), *parts[-1:]])}"}
    what = f"must be {' or '.join(kinds[name] for name in types)}"
    if value is None:
        return f"null: {what}", f"write {example(key, default, instrument)}, or leave {key} out"
    a_list_of_ids = "array" in types and (key == "detectors" or _has_exposure_ids(key))
    if a_list_of_ids and isinstance(value, int) and not isinstance(value, bool):
        return what, f"write [{value}]"
    if key == "fail_on" and value in schema["items"]["enum"]:
        return what, f"write [{value}]"
    if key.startswith("input_collections_") and isinstance(value, list):
        return what, f"write {','.join(str(name).strip() for name in value)}"
    if _has_exposure_ids(key) and isinstance(value, str) and (ids := _meant_ids(value)):
        one_of_a_list = types == ["integer"]
        if len(ids) == 1:
            return what, f"write for example [{ids[0]}], the 13 digits of each"
        return what, f"write {'each id: ' if one_of_a_list else ''}[{', '.join(map(str, ids))}]"
    if key.rpartition(".")[2] in WHEEL_PARAMETERS and isinstance(value, list) and len(value) > 1:
        return what, _one_set_each(key, value)
    if "enum" in schema:
        return what, f"write {' or '.join(dict.fromkeys(map(str, schema['enum'])))}"
    if types[0] == "string" and isinstance(value, int | float):
        date = meant_date(str(value)) if key.endswith("_date") else None
        return what, f'write it in quotes{", as a date" if date else ""}: "{date or value}"'
    if "array" in types and isinstance(value, str) and (meant := _meant_list(value, schema)):
        return what, f"write the list in brackets: [{meant}]"
    if types[0] in ("integer", "number") and isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            return what, f"write {number:.15g}, without quotes"
    if types[0] == "boolean":
        return what, f"write {key}: True or {key}: False"
    return what, f"write for example {example(key, default, instrument)}"


def _has_exposure_ids(key: str) -> bool:
    return key == "without" or key.startswith("exposures.")


def _meant_ids(text: str) -> list[int]:
    """Return the exposure ids that a range or an image name stands for."""
    if name := _IMAGE_NAME.fullmatch(text.strip()):
        return [int(name[1] + name[2])]
    if ends := _EXPOSURE_RANGE.fullmatch(text):
        first, last = int(ends[1]), int(ends[2])
        if first < last < first + _MAX_RANGE:
            return list(range(first, last + 1))
        return [first, last]
    return []


def _meant_list(text: str, schema: Any) -> str:
    """Return the numbers of a list without brackets, if it may have them."""
    from jsonschema.validators import validator_for

    words = [word for word in re.split(r"[\s,;]+", text.strip(" ,;")) if word]
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return ""
    if len(numbers) < 2 or not all(map(math.isfinite, numbers)):
        return ""
    may_be = validator_for(schema)(schema).is_valid(numbers)
    return ", ".join(f"{number:.15g}" for number in numbers) if may_be else ""


def _one_set_each(key: str, names: list[Any]) -> str:
    """Return how to write flats through several filters or gratings."""
    wheel = key.rpartition(".")[2]
    sets = ", ".join(f"{{{wheel}: {name}}}" for name in names)
    if key != wheel:
        return f"write a set for each: {sets}"
    return f"write one, or a set of flats for each: flat_sets: [{sets}]"
