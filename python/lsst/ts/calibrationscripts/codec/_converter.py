# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each record is written, and read back."""

from __future__ import annotations

__all__ = ["make_converter", "parts"]

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cattrs import Converter, override
from cattrs.gen import AttributeOverride, make_dict_structure_fn, make_dict_unstructure_fn

from ..comparison import Better, Comparison, Quantity
from ..instruments import ImageType
from ..outcomes import BadDetector, Cause, Outcome, RunState, StageResult
from ..pipelines import StatisticsKey
from ..products import Product, StageId, StageKind, Subject
from ..proof import Proof
from ..record import Decision, DecisionKind, Frame, JobRecord, SoughtTime, Span
from ..report import Area, CurvePoints, Place, RunReport, Statistics, Thumbnail
from ..spoilt import MarkKind, SeriesJudgement
from ..thresholds import Thresholds
from ..verification import FailedTest, FailureLevel, UnitResult, Verdict

T = TypeVar("T")
Json = dict[str, Any]

_THRESHOLDS = {
    "failures_to_fail_detector": "failures_per_detector_per_test_type",
    "detectors_to_fail": "failed_detectors",
    "failures_to_fail_exposure": "failed_tests_per_exposure",
    "exposures_to_fail": "failed_exposures",
}
"""Keys of the thresholds, as the procedure calls them."""

_IF_ANY = override(omit_if_default=True)
"""How bad detectors are written: where there are any. A run of one detector
has none."""


def parts(stage: StageId) -> Json:
    """Return what identifies a stage."""
    return {"kind": stage.kind.value, **_subject_parts(stage.subject)}


def _subject_parts(subject: Subject) -> Json:
    return {"product": subject.product.value, "part": subject.part}


def _take_parts(data: dict[str, Any]) -> Json:
    """Remove what identifies a subject; return it as its class wants it."""
    return {"product": data.pop("product"), "part": data.pop("part")}


def _strictly(kind: type[T]) -> Callable[[Any, Any], T]:
    """Return what takes a value of JSON as it is, or refuses it."""
    accepted: tuple[type, ...] = (int, float) if kind is float else (kind,)

    def structure(value: Any, _: Any) -> T:
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise TypeError(f"{value!r} is not of type {kind.__name__}")
        return kind(value)  # type: ignore[call-arg]

    return structure


def make_converter() -> Converter:
    converter = Converter(unstruct_collection_overrides={tuple: list})
    for kind in (bool, int, float, str):
        converter.register_structure_hook(kind, _strictly(kind))
    # They are subclasses of str, whose hook they would get.
    for enumeration in (
        Better,
        Cause,
        DecisionKind,
        FailureLevel,
        ImageType,
        MarkKind,
        Outcome,
        Product,
        Quantity,
        RunState,
        StageKind,
        StatisticsKey,
    ):
        converter.register_structure_hook(enumeration, lambda value, cls: cls(value))
    converter.register_structure_hook(
        Place, lambda data, _: Place(*converter.structure(data, tuple[int, str, str]))
    )
    converter.register_structure_hook(
        Area, lambda data, _: Area(*converter.structure(data, tuple[str, float, float, float, float]))
    )
    converter.register_unstructure_hook(FailedTest, str)
    converter.register_structure_hook(FailedTest, lambda text, _: FailedTest.parse(str(text)))
    _register(converter, BadDetector, write=lambda bad: {"raft": bad.raft}, read=_without_raft)
    _register_staged(converter, StageResult, bad_detectors=_IF_ANY, n_detectors=_IF_ANY)
    for cls in (JobRecord, Span):
        _register_staged(converter, cls)
    _register_about(converter, Comparison, "subject")
    _register_about(converter, Frame, "series")
    _register_about(converter, SeriesJudgement, "series")
    _register_about(converter, SoughtTime, "series")
    _register_about(converter, Statistics, "subject")
    _register_about(converter, Thumbnail, "subject")
    _register(converter, CurvePoints)
    _without_nan(converter, CurvePoints)
    _register_verdict(converter)
    # What is part of a record is registered before it.
    _register_about(converter, Decision, "subject")
    _register_about(converter, Proof, "subject", left_out=_IF_ANY, withheld=_IF_ANY)
    _register(
        converter,
        RunReport,
        verdicts=override(
            unstruct_hook=lambda verdicts: {
                subject.name: converter.unstructure(verdict) for subject, verdict in verdicts.items()
            },
            struct_hook=lambda data, _: {
                verdict.subject: verdict for verdict in converter.structure(data, dict[str, Verdict]).values()
            },
        ),
    )
    return converter


def _register(
    converter: Converter,
    cls: type[Any],
    *,
    write: Callable[[Any], dict[str, Any]] = lambda record: {},
    read: Callable[[dict[str, Any]], dict[str, Any]] = lambda data: {},
    **overrides: Any,
) -> None:
    """Register how a class is written and read back.

    Parameters
    ----------
    converter : `cattrs.Converter`
        Where.
    cls : `type`
        A dataclass.
    write : callable, optional
        Takes the record, returns keys of the JSON that are not attributes.
    read : callable, optional
        Takes the JSON, removes those keys from it, and returns attributes.
    **overrides
        What differs for an attribute; see `cattrs.override`.
    """
    unstructure = make_dict_unstructure_fn(cls, converter, **overrides)
    to_read: dict[str, Any] = {name: _to_read(each) for name, each in overrides.items()}
    structure = make_dict_structure_fn(cls, converter, **to_read)

    def read_whole(data: Any, _: Any) -> Any:
        if not isinstance(data, Mapping):
            raise TypeError(f"{data!r} is not a mapping")
        rest = dict(data)
        attributes = read(rest)
        return structure({**rest, **attributes}, cls)

    converter.register_unstructure_hook(cls, lambda record: {**write(record), **unstructure(record)})
    converter.register_structure_hook(cls, read_whole)


def _to_read(given: AttributeOverride) -> AttributeOverride:
    """Return an override for reading: what is not written is read apart."""
    return override(rename=given.rename, struct_hook=given.struct_hook)


def _without_raft(data: dict[str, Any]) -> Json:
    """Remove what the name says too."""
    data.pop("raft", None)
    return {}


def _register_staged(converter: Converter, cls: type[Any], **overrides: Any) -> None:
    """Register a class with a stage, which is written as its parts."""

    def write(record: Any) -> Json:
        return {"name": getattr(record, "name", record.stage.name), **parts(record.stage)}

    def read(data: dict[str, Any]) -> Json:
        data.pop("name", None)
        if data.get("outcome") == Outcome.WAITING and "remarks" not in data:
            # Journals of before have them in the reason alone.
            data["remarks"] = [data.get("reason", "")]
        return {"stage": {"kind": data.pop("kind"), "subject": _take_parts(data)}}

    _register(converter, cls, write=write, read=read, stage=override(omit=True), **overrides)


def _register_about(converter: Converter, cls: type[Any], attribute: str, **overrides: Any) -> None:
    """Register a class with a subject, which is written as its parts."""

    def write(record: Any) -> Json:
        subject = getattr(record, attribute)
        return {attribute: subject.name, **_subject_parts(subject)}

    _register(
        converter,
        cls,
        write=write,
        read=lambda data: {attribute: _take_parts(data)},
        **{attribute: override(omit=True), **overrides},
    )


def _without_nan(converter: Converter, cls: type[Any]) -> None:
    """Write what is not a number as null, which JSON knows, and read it."""
    unstructure = converter.get_unstructure_hook(cls)
    structure = converter.get_structure_hook(cls)

    def write(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: write(each) for key, each in value.items()}
        if isinstance(value, list):
            return [write(each) for each in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    def read(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: read(each) for key, each in value.items()}
        if isinstance(value, list):
            return [read(each) for each in value]
        return math.nan if value is None else value

    converter.register_unstructure_hook(cls, lambda record: write(unstructure(record)))
    converter.register_structure_hook(cls, lambda data, _: structure(read(data), cls))


def _register_verdict(converter: Converter) -> None:
    """Register verdicts, which are written with what follows from them."""

    def write(verdict: Verdict) -> Json:
        failing = [{"name": each.name, "text": each.text} for each in verdict.failing_detectors]
        return {
            "name": verdict.name,
            **_subject_parts(verdict.subject),
            "passed": verdict.passed,
            "n_failed_exposures": len(verdict.failed),
            "failed_exposures": list(verdict.failed_ids),
            **({"failing_detectors": failing} if failing else {}),
        }

    def read(data: dict[str, Any]) -> Json:
        for derived in ("name", "passed", "n_failed_exposures", "failed_exposures", "failing_detectors"):
            data.pop(derived, None)
        return {"subject": _take_parts(data)}

    def read_counts(data: dict[str, Any]) -> Json:
        data.pop("counts", None)
        return {}

    thresholds: dict[str, Any] = {name: override(rename=written) for name, written in _THRESHOLDS.items()}
    _register(converter, Thresholds, **thresholds)
    _register(converter, UnitResult, write=lambda result: {"counts": result.counts}, read=read_counts)
    _register(
        converter,
        Verdict,
        write=write,
        read=read,
        subject=override(omit=True),
        results=override(rename="exposures"),
    )
