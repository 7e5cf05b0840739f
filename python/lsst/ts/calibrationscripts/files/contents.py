# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what runs have left can be theirs, beyond its types."""

from __future__ import annotations

__all__ = ["check_document", "check_record", "is_run_id"]

import datetime
import math
import re
from collections.abc import Iterable
from itertools import chain

from ..config import LONGEST_SOUGHT, N_TRIALS, SHORTEST_SOUGHT
from ..outcomes import Certification, StageResult
from ..record import RunRecord
from ..report import PICTURE_NAME, RunDocument, picture_names
from ..spoilt import SeriesJudgement
from .private import one_line

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,99}")

_MAX_NAME = 400

_MAX_TIME = 2**32
"""Of a Unix timestamp: in the year 2106 (s)."""


def is_run_id(text: str) -> bool:
    """Return whether a text can be the id of a run.

    Parameters
    ----------
    text : `str`
        The text; it becomes part of a file's name.

    Returns
    -------
    is_run_id : `bool`
        As the configuration's key ``resume`` accepts it.
    """
    return _RUN_ID.fullmatch(text) is not None


def check_record(record: RunRecord, run_id: str) -> None:
    """Refuse a journal that cannot be that of a run.

    Parameters
    ----------
    record : `RunRecord`
        What was read.
    run_id : `str`
        The run, after the name of the file.

    Raises
    ------
    ValueError
        If it cannot be; says what and where.
    """
    if record.run_id != run_id:
        raise ValueError(f"run_id: it is that of run {one_line(record.run_id)}")
    _check_exposures(frame.exposure for frame in record.frames if frame.exposure is not None)
    for i, frame in enumerate(record.frames):
        _check_name(f"frames[{i}].group_id", frame.group_id)
        # Trial flats come before the first.
        if frame.number < 1 - N_TRIALS:
            raise ValueError(f"frames[{i}].number: {frame.number} is less than {1 - N_TRIALS}")
    if len({(frame.series, frame.number) for frame in record.frames}) < len(record.frames):
        raise ValueError("frames: one of them is there twice")
    for i, job in enumerate(record.jobs):
        _check_job_id(f"jobs[{i}].job_id", job.job_id)
    for i, sought in enumerate(record.sought):
        if not SHORTEST_SOUGHT <= sought.exp_time <= LONGEST_SOUGHT:
            raise ValueError(f"sought[{i}].exp_time: {sought.exp_time} is not an exposure time to find")
    _check_results(record.stages, record.certifications)
    _check_marks(record.judgements)


def check_document(document: RunDocument) -> None:
    """Refuse what cannot be left by a run.

    Parameters
    ----------
    document : `RunDocument`
        What was read.

    Raises
    ------
    ValueError
        If it cannot be; says what and where.
    """
    report = document.report
    if not is_run_id(report.run_id):
        raise ValueError(f"run_id: {one_line(report.run_id)!r} is not the id of a run")
    _check_exposures(chain.from_iterable(report.exposures.values()))
    for i, span in enumerate(report.timeline):
        if not (math.isfinite(span.begin) and 0 <= span.begin < _MAX_TIME):
            raise ValueError(f"timeline[{i}]: {span.begin} is not a time")
    _check_results(report.stages, report.certifications)
    _check_marks(report.judgements)
    for name in picture_names(document.evidence) if document.evidence else ():
        if PICTURE_NAME.fullmatch(name) is None:
            raise ValueError(f"evidence: {one_line(name, 80)!r} is not the name of a picture")


def _check_marks(judgements: Iterable[SeriesJudgement]) -> None:
    marks = [mark for judgement in judgements for mark in judgement.marks]
    _check_exposures({mark.exposure for mark in marks})
    for mark in marks:
        if mark.time is not None and not (math.isfinite(mark.time) and 0 <= mark.time < _MAX_TIME):
            raise ValueError(f"judgements: {mark.time} is not a time")
        if mark.run and not is_run_id(mark.run):
            raise ValueError(f"judgements: {one_line(mark.run, 80)!r} is not the id of a run")


def _check_results(stages: Iterable[StageResult], certifications: Iterable[Certification]) -> None:
    for i, result in enumerate(stages):
        if result.job_id is not None:
            _check_job_id(f"stages[{i}].job_id", result.job_id)
        if result.collection is not None:
            _check_name(f"stages[{i}].collection", result.collection, is_path=True)
    for i, certification in enumerate(certifications):
        _check_name(f"certifications[{i}].source", certification.source, is_path=True)
        _check_name(f"certifications[{i}].collection", certification.collection, is_path=True)
        _check_name(f"certifications[{i}].dataset_type", certification.dataset_type)


def _check_exposures(ids: Iterable[int]) -> None:
    """Refuse ids that do not begin with a day, or are there twice."""
    seen: set[int] = set()
    for exposure in ids:
        text = str(exposure)
        try:
            datetime.date.fromisoformat(text[:8])
        except ValueError:
            text = ""
        if len(text) != 13:
            raise ValueError(f"{one_line(str(exposure), 40)} is not an exposure id")
        if exposure in seen:
            raise ValueError(f"exposure {exposure} is there twice")
        seen.add(exposure)


def _check_job_id(place: str, job_id: str) -> None:
    # It becomes part of collections and of the path of a log.
    if _JOB_ID.fullmatch(job_id) is None:
        raise ValueError(f"{place}: {one_line(job_id, 80)!r} is not the id of a job")


def _check_name(place: str, name: str, *, is_path: bool = False) -> None:
    parts = name.split("/")
    allowed = name.isprintable() and len(name) <= _MAX_NAME and (is_path or len(parts) == 1)
    if not allowed or not {"", ".", ".."}.isdisjoint(parts):
        raise ValueError(f"{place}: {one_line(name, 80)!r} is not a name")
