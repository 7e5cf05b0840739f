# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON of what runs leave: their journals, reports and verdicts.

The records themselves are plain dataclasses; here is how each is written and
read back. A stage is written as its kind, product and part, beside the name
that people read; names are never taken apart.
"""

from __future__ import annotations

__all__ = [
    "FORMAT",
    "FormatError",
    "change_text",
    "forecast_json",
    "from_json",
    "plan_json",
    "read_document",
    "read_record",
    "record_text",
    "to_json",
    "write_document",
]

import json
from dataclasses import replace
from typing import Any, TypeVar

import cattrs

from ..forecast import Finding, Forecast
from ..outcomes import Certification, DetectorDefects, Gain, StageResult
from ..plan import PlannedExposure, RunPlan, Stage
from ..proof import Proof
from ..record import Decision, RunRecord
from ..report import Evidence, RunDocument, RunReport
from ..spoilt import Mark
from ..verification import Verdict
from ._changes import apply_changes, splice
from ._converter import make_converter, parts

FORMAT = 1
"""Number of the format of journals and of the JSON of runs. It changes when a
field is removed, or changes its name or meaning."""

T = TypeVar("T")
Record = (
    RunRecord
    | RunReport
    | Evidence
    | StageResult
    | Certification
    | Decision
    | DetectorDefects
    | Gain
    | Mark
    | Proof
    | Verdict
)
Json = dict[str, Any]


class FormatError(ValueError):
    """A text is not what a run leaves, or not in a format that is known."""


def to_json(record: Record) -> Json:
    """Return a record as JSON has it.

    Parameters
    ----------
    record : dataclass
        What to write.

    Returns
    -------
    data : `dict` [`str`, `Any`]
        Of what JSON knows only. Records of a whole run begin with the number
        of their format.
    """
    data: Json = _CONVERTER.unstructure(record)
    return {"format": FORMAT, **data} if isinstance(record, RunRecord | RunReport) else data


def write_document(document: RunDocument) -> str:
    """Return the JSON that a run leaves beside its journal.

    Parameters
    ----------
    document : `RunDocument`
        The run.

    Returns
    -------
    text : `str`
    """
    data = to_json(document.report)
    if document.evidence is not None:
        data["evidence"] = to_json(document.evidence)
    data["trend"] = list(document.trend)
    return json.dumps(data) + "\n"


def read_document(text: str) -> RunDocument:
    """Read what `write_document` wrote, or the JSON of a `RunReport`.

    Parameters
    ----------
    text : `str`
        The JSON.

    Returns
    -------
    document : `RunDocument`

    Raises
    ------
    FormatError
        If it is something else.
    """
    data = _load(text)
    evidence, trend = data.pop("evidence", None), data.pop("trend", [])
    report = from_json(data, RunReport)
    return RunDocument(
        report,
        None if evidence is None else from_json(evidence, Evidence),
        from_json(trend, tuple[str, ...]),
    )


def read_record(text: str) -> RunRecord:
    """Read the journal of a run.

    Parameters
    ----------
    text : `str`
        What `record_text` has written, or other JSON of a `RunRecord`, and
        behind it the lines of `change_text`, if any.

    Returns
    -------
    record : `RunRecord`
        With all changes but, if only a part of it was written, the last.

    Raises
    ------
    FormatError
        If it is something else; says where.
    """
    start = len(text) - len(text.lstrip())
    try:
        data, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not JSON: {error}") from error
    record = _checked(data)
    try:
        apply_changes(record, text[end:], text.count("\n", 0, end))
    except ValueError as error:
        raise FormatError(str(error)) from error
    return from_json(record, RunRecord)


def record_text(record: RunRecord) -> str:
    """Return the text of a journal.

    Parameters
    ----------
    record : `RunRecord`
        What to write.

    Returns
    -------
    text : `str`
        The JSON of `to_json`, with each frame, job and so on in a line.
    """
    many = _many(record)
    texts = {name: json.dumps(value) for name, value in _few_json(record).items()}
    for name, items in many.items():
        lines = (json.dumps(_CONVERTER.unstructure(item)) for item in items)
        texts[name] = "[\n" + ",\n".join(lines) + "\n]"
    return "{\n" + ",\n".join([f'"{name}": {text}' for name, text in texts.items()]) + "\n}\n"


def change_text(before: RunRecord, after: RunRecord, number: int) -> str:
    """Return what has changed in a record, to be added to its journal.

    Parameters
    ----------
    before : `RunRecord`
        What the journal has.
    after : `RunRecord`
        What it is to have. What has not changed of its frames and so on is
        the same objects as before.
    number : `int`
        How many changes it is since the record was written as a whole.

    Returns
    -------
    line : `str`
        As long as what is new, however long the record is.
    """
    lists: Json = {}
    for name, items in _many(after).items():
        if (changed := splice(getattr(before, name), items)) is not None:
            start, stop, new = changed
            new_json = [_CONVERTER.unstructure(item) for item in new]
            lists[name] = {"from": start, "to": stop, "items": new_json}
    rest = ((name, value) for name, value in vars(after).items() if not isinstance(value, tuple))
    names = [name for name, value in rest if value is not getattr(before, name)]
    few = _few_json(after) if names else {}
    return json.dumps({"change": number, "set": {name: few[name] for name in names}, "lists": lists}) + "\n"


def _many(record: RunRecord) -> dict[str, tuple[Any, ...]]:
    """Return the fields of a record that grow, by name."""
    return {name: value for name, value in vars(record).items() if isinstance(value, tuple)}


def _few_json(record: RunRecord) -> Json:
    """Return a record as JSON, without what grows."""
    nothing: dict[str, Any] = dict.fromkeys(_many(record), ())
    return to_json(replace(record, **nothing))


def from_json(data: object, cls: type[T]) -> T:
    """Read back what `to_json` wrote, without the number of its format.

    Parameters
    ----------
    data : `object`
        What JSON holds.
    cls : `type`
        Class of the record.

    Returns
    -------
    record : ``cls``

    Raises
    ------
    FormatError
        If it is something else; says where.
    """
    try:
        return _CONVERTER.structure(data, cls)
    except (cattrs.BaseValidationError, LookupError, TypeError, ValueError) as error:
        what = "; ".join(cattrs.transform_error(error, path="$"))
        raise FormatError(f"JSON, but not a run's: {what}") from error


def plan_json(plan: RunPlan, forecast: Forecast | None = None) -> Json:
    """Return a plan as JSON has it; it is not read back.

    Parameters
    ----------
    plan : `RunPlan`
        What to write.
    forecast : `Forecast`, optional
        Its forecast.

    Returns
    -------
    data : `dict` [`str`, `Any`]
    """

    def exposure(planned: PlannedExposure) -> Json:
        return {
            "image_type": planned.image_type.value,
            "series": planned.series.name,
            "exp_time": planned.exp_time,
            "discard": planned.discard,
        }

    def stage(planned: Stage) -> Json:
        return {
            "name": planned.name,
            **parts(planned.id),
            "needs": [other.name for other in planned.needs],
            "after": [other.name for other in planned.after],
            "duration": planned.duration,
            "start": plan.starts[planned.id],
        }

    return {
        "n_exposures": len(plan.exposures),
        "duration": plan.duration,
        "exposures": [exposure(planned) for planned in plan.exposures],
        "stages": [stage(planned) for planned in plan.stages],
        "notices": list(plan.notices),
        "forecast": None if forecast is None else forecast_json(forecast),
    }


def _load(text: str) -> Json:
    """Return the fields of a document whose format is known."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not JSON: {error}") from error
    return _checked(data)


def _checked(data: object) -> Json:
    """Return the fields of a document, if its format is known."""
    if not isinstance(data, dict):
        raise FormatError("JSON, but not a run's: not a mapping")
    found = data.pop("format", None)
    if found == FORMAT:
        return data
    if found is None and "run_id" not in data:
        raise FormatError("JSON, but not a run's: it has no format and no run_id")
    if isinstance(found, int) and found > FORMAT:
        raise FormatError(
            f"its format is {found}, of a newer ts_calibrationscripts; this one reads format {FORMAT}. "
            "Update ts_calibrationscripts"
        )
    age = "none, of a version before formats were numbered" if found is None else str(found)
    raise FormatError(f"its format is {age}; this ts_calibrationscripts reads format {FORMAT}")


_CONVERTER = make_converter()


def forecast_json(forecast: Forecast) -> Json:
    """Return a forecast as JSON has it; it is not read back.

    Parameters
    ----------
    forecast : `Forecast`
        What to write.

    Returns
    -------
    data : `dict` [`str`, `Any`]
    """

    def finding(each: Finding) -> Json:
        return {
            "level": each.level.value,
            "kind": each.kind.value,
            "stages": [stage.name for stage in each.stages],
            "outcome": each.outcome.value if each.outcome else None,
            "cause": each.cause,
            "remedy": each.remedy,
            "skipped": [stage.name for stage in each.skipped],
        }

    return {
        "fails": bool(forecast.failures),
        "findings": [finding(each) for each in forecast.findings],
        "not_looked_at": list(forecast.unknown),
    }
