# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is: on top of its page, and at its end."""

from __future__ import annotations

__all__ = ["Banner", "Card", "banner", "cards", "configuration", "exposure_rows", "facts", "stage_rows"]

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..config import load_schema
from ..instruments import INSTRUMENTS, LATISS, ImageType
from ..outcomes import Certification, Outcome, RunState, StageResult
from ..report import Kind, ProductOutcome, RunReport, conclusion, products

_MARKS = {Kind.GOOD: "\u2713", Kind.HELD: "\u2717", Kind.FAILED: "\u2717", Kind.NOT_DONE: "\u2013"}
"""What distinguishes the kinds without colour."""

_BECAUSE = re.compile(r"(\w+ [^:]*) ended ([A-Z]+): (.*)", re.DOTALL)
"""Of a stage that another one prevents: "verify BIAS ended HELD: <why>"."""


class Banner(NamedTuple):
    """How a run ended, in a line."""

    kind: Kind
    mark: str
    text: str


class Card(NamedTuple):
    """What happened to a product."""

    kind: Kind
    title: str
    text: str
    validity: str
    """From when to when it is, or would be, certified; may be blank."""


class StageRow(NamedTuple):
    """A stage in the list of stages."""

    name: str
    outcome: Outcome
    reason: str

    where: tuple[tuple[str, str], ...]
    """Its collection, job and log, each with what it is."""


class ExposureRow(NamedTuple):
    """A frame in the list of frames."""

    exposure: int
    kind: str
    """Class of its mark: "held" if it is bad, else ""."""

    remark: str
    """What is special about it; may be blank."""


def banner(report: RunReport) -> Banner:
    """Return how a run ended, in one line.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    banner : `Banner`
        A script that failed looks failed, whatever it did before.
    """
    outcomes = {result.outcome for result in report.stages}
    kind = Kind.GOOD if report.complete else Kind.HELD
    if report.state in (RunState.FAILED, RunState.CONFIGURE_FAILED) or Outcome.FAILED in outcomes:
        kind = Kind.FAILED
    elif report.state is not RunState.DONE:
        kind = Kind.NOT_DONE
    return Banner(kind, _MARKS[kind], f"{conclusion(report).rstrip('.')}.")


def cards(report: RunReport) -> tuple[Card, ...]:
    """Return what happened to each product, each cause once.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    cards : `tuple` [`Card`, ...]
    """
    told = [report.reason] if report.state is not RunState.DONE else []
    validity = dict(_validities(report))
    shown = []
    for product in products(report):
        text = _shortened(product, told)
        told.append(product.text)
        title = f"{_MARKS[product.kind]} {product.name}: {product.word}"
        shown.append(Card(product.kind, title, text, validity.get(product.name, "")))
    return tuple(shown)


def _shortened(product: ProductOutcome, told: list[str]) -> str:
    """Return why, but for a cause that has been told above."""
    if product.kind is Kind.GOOD:
        return product.text
    because = _BECAUSE.match(product.text)
    cause = because[3] if because else product.text
    if not any(cause and (cause in each or each in cause) for each in told if each):
        return product.text
    return _referring(because) if because else "for the cause given above"


def _referring(because: re.Match[str]) -> str:
    """Return which stage the cause is to be read of, without the cause."""
    return f"because {because[1]} ended {because[2]}"


def stage_rows(report: RunReport) -> tuple[StageRow, ...]:
    """Return the stages of a run, each cause in full once.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    stages : `tuple` [`StageRow`, ...]
    """
    rows: list[StageRow] = []
    for result in report.stages:
        because = _BECAUSE.match(result.reason)
        reason = result.reason
        if because and any(because[3] in each.reason for each in rows):
            reason = _referring(because)
        elif not result.outcome.good:
            same = next((each for each in rows if reason and each.reason == reason), None)
            reason = f"as {same.name}" if same else reason
        rows.append(StageRow(result.name, result.outcome, reason, tuple(_where(result))))
    return tuple(rows)


def _where(result: StageResult) -> Iterator[tuple[str, str]]:
    """Yield where a stage has left something."""
    if result.collection:
        yield "Collection", result.collection
    # The OCPS names collections by jobs.
    if result.job_id and result.job_id not in (result.collection or ""):
        yield "Job", result.job_id
    if result.log:
        yield "Log", result.log


def _validities(report: RunReport) -> Iterator[tuple[str, str]]:
    for proof in report.proofs:
        yield proof.subject.name, f"valid {_range(proof.certification)}"
    for proof in report.waiting:
        yield proof.subject.name, f"once accepted, valid {_range(proof.certification)}"


def _range(certification: Certification) -> str:
    return f"from {certification.begin_date} to {certification.end_date} (TAI)"


def facts(report: RunReport, used: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what identifies a run, by name.

    Parameters
    ----------
    report : `RunReport`
        The run.
    used : `~collections.abc.Mapping` [`str`, `str`]
        Versions that its jobs have used, by product; empty if not known.

    Returns
    -------
    facts : `list` [`tuple` [`str`, `str`]]
        Those that are known.
    """
    config = report.config
    state = f"{report.state}" + (f", resumed {n} time(s)" if (n := report.resumed) else "")
    found = [
        ("Instrument", report.instrument),
        ("Night", ", ".join(_nights(report))),
        ("State of the script", state),
        ("Repository", str(config.get("repo") or "")),
        ("Program", str(config.get("program") or "")),
        ("Reason", str(config.get("reason") or "")),
        ("Versions", _listed({name: of for name, of in report.versions.items() if name not in used})),
        ("Versions that the jobs used", _listed(used)),
    ]
    return [(name, value) for name, value in found if value]


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _nights(report: RunReport) -> list[str]:
    """Return the observing days of a run, or that on which it began."""
    days = sorted({exposure // 100_000 for ids in report.exposures.values() for exposure in ids})
    if not days and (begun := re.match(r"(\d{8}T\d{6})", report.run_id)):
        # A day lasts from noon to noon.
        try:
            noon = datetime.datetime.strptime(begun[1], "%Y%m%dT%H%M%S") - datetime.timedelta(hours=12)
        except ValueError:
            return []
        return [f"{noon:%Y-%m-%d}"]
    return [f"{day // 10_000}-{day // 100 % 100:02}-{day % 100:02}" for day in days]


def configuration(report: RunReport) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the configuration, apart what differs from the default.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    changed, rest : `list` [`tuple` [`str`, `str`]]
        Keys and values, as one would write them.
    """
    properties = load_schema(INSTRUMENTS.get(report.instrument, LATISS)).get("properties", {})
    changed: list[tuple[str, str]] = []
    rest: list[tuple[str, str]] = []
    for key, value in report.config.items():
        same = _is_default(value, properties.get(key, {}).get("default"))
        (rest if same else changed).append((key, _written(value)))
    return changed, rest


def _is_default(value: object, default: object) -> bool:
    """Return whether a value is the default, also if it was filled in."""
    if isinstance(value, list) and not isinstance(default, list):
        # The exposure time of each frame, where the default is that of all.
        return all(each == default for each in value)
    return value == default or (value is not False and not value and not default)


def _written(value: object) -> str:
    """Return a value of the configuration as one would write it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return "\n".join(f"- {json.dumps(_short(each), ensure_ascii=False)}" for each in value)
    return json.dumps(_short(value), ensure_ascii=False)


def _short(value: object) -> object:
    """Return a value with the exposure time of all in place of each."""
    if isinstance(value, dict):
        return {key: _short(each) for key, each in value.items()}
    if isinstance(value, list) and len(value) > 1 and isinstance(value[0], float) and len(set(value)) == 1:
        return value[0]
    return value


def exposure_rows(report: RunReport) -> list[tuple[ImageType, list[ExposureRow]]]:
    """Return the frames of a run, with what is special about them.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    rows : `list`
        Image types, and frames in the order in which they were taken.
    """
    failed: dict[int, list[str]] = {}
    for verdict in report.verdicts.values():
        for result in verdict.results if verdict.of_exposures else ():
            if result.exposure is not None and result.exposure in verdict.failed_ids:
                counts = ", ".join(f"{test} ({n})" for test, n in result.counts.items())
                failed.setdefault(result.exposure, []).append(f"{verdict.name} fails {counts}".rstrip())
    spoilt: dict[int, list[str]] = {}
    for judgement in report.judgements:
        for mark in judgement.marks:
            left_out = " (left out)" if mark.exposure in judgement.excluded else ""
            spoilt.setdefault(mark.exposure, []).append(f"spoilt: {mark.kind}{left_out}")
    rows = []
    for image_type, ids in report.exposures.items():
        discarded = set(report.discarded.get(image_type, ()))
        rows.append(
            (image_type, [_row(i, [*failed.get(i, ()), *spoilt.get(i, ())], i in discarded) for i in ids])
        )
    return [(image_type, frames) for image_type, frames in rows if frames]


def _row(exposure: int, bad: list[str], discarded: bool) -> ExposureRow:
    remark = "; ".join([*bad, *(["discarded"] if discarded else [])])
    return ExposureRow(exposure, "held" if bad else "", remark)
