# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The failures of an exposure that the statistics of its run hide."""

from __future__ import annotations

__all__ = ["ExposureDetail", "explain"]

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..products import Subject
from ._forms import Entry, check_level, own_success, read_entry, shown
from ._records import FailedTest, FailureLevel, StatisticsError, UnitResult, dataset_name

_NOT_DETECTORS = {"SUCCESS", "EXP", "VERIFY"}


@dataclass(frozen=True)
class ExposureDetail:
    """What cp_verify wrote about one exposure, besides the run statistics."""

    exposure: object = None
    """``verify<Type>ExpStats`` as the Butler returns it; `None` if there is
    none."""

    detectors: Mapping[str, object] = field(default_factory=dict)
    """``verify<Type>DetStats`` as the Butler returns it, by name of the
    detector, as far as they exist. They are needed if those of the exposure
    do not exist, or have an empty list too."""


@dataclass
class _Found:
    """The failures that have been found so far."""

    failures: list[FailedTest]
    level: FailureLevel
    complete: bool = True

    def add(self, detector: str, texts: Iterable[str]) -> None:
        """Add the failures of a detector."""
        self.failures += [FailedTest.parse(f"{detector} {text}") for text in texts]


def explain(
    exposure: int, entry: Entry, detail: ExposureDetail, subject: Subject, n_detectors: int
) -> UnitResult:
    """Find which tests an exposure failed.

    Parameters
    ----------
    exposure : `int`
        Its id.
    entry : `Entry`
        What the run statistics have of it: that it failed, and perhaps tests
        of the exposure as a whole.
    detail : `ExposureDetail`
        What else there is.
    subject : `Subject`
        What was verified.
    n_detectors : `int`
        How many detectors were verified.

    Returns
    -------
    result : `UnitResult`
        If the failures are not all found, its level is
        `FailureLevel.NONE`.

    Raises
    ------
    StatisticsError
        If the detail is of another form, or of another exposure.
    """
    whole = [FailedTest.parse(text) for text in entry.failures]
    if detail.exposure is not None:
        found = _of_exposure(exposure, whole, detail, subject, n_detectors)
    else:
        found = _Found(whole, FailureLevel.DETECTOR, len(detail.detectors) >= n_detectors)
        for name, statistics in detail.detectors.items():
            _add_detector(found, exposure, name, statistics, subject)
    # A failure that nothing explains is not the only one, perhaps.
    level = found.level if found.complete and found.failures else FailureLevel.NONE
    return UnitResult(exposure, tuple(dict.fromkeys(found.failures)), level)


def _of_exposure(
    exposure: int, whole: list[FailedTest], detail: ExposureDetail, subject: Subject, n_detectors: int
) -> _Found:
    """Return what the statistics of the exposure list, and complete it."""
    name = dataset_name(subject, FailureLevel.EXPOSURE)
    where = f"{name} of exposure {exposure}"
    if not isinstance(detail.exposure, Mapping):
        raise StatisticsError(f"{where}: expected a mapping from detector to results")
    check_level(detail.exposure, subject, FailureLevel.EXPOSURE, f"{where}: ")
    if own_success(detail.exposure, f"{where}: "):
        raise StatisticsError(
            f"exposure {exposure}: it failed by the run statistics, and passed by {name}, so they are not of "
            "one job; give those of one"
        )
    entries = {
        str(detector): read_entry(f"{detector} in {where}", value)
        for detector, value in detail.exposure.items()
        if detector not in _NOT_DETECTORS
    }
    found = _Found(whole, FailureLevel.EXPOSURE, len(entries) >= n_detectors)
    verified = _mapping(detail.exposure.get("VERIFY", {}), where)
    found.add("", _failed(_mapping(verified.get("EXP", {}), where), where))
    for detector, entry in entries.items():
        if entry.failures:
            found.add(detector, entry.failures)
        elif not entry.passed and detector in detail.detectors:
            found.level = FailureLevel.DETECTOR
            _add_detector(found, exposure, detector, detail.detectors[detector], subject)
        elif not entry.passed:
            found.complete = False
    return found


def _add_detector(found: _Found, exposure: int, detector: str, statistics: object, subject: Subject) -> None:
    """Add what the statistics of a detector have."""
    where = f"{dataset_name(subject, FailureLevel.DETECTOR)} of exposure {exposure}, {detector}"
    own = _mapping(statistics, where)
    check_level(own, subject, FailureLevel.DETECTOR, f"{where}: ")
    success = own_success(own, f"{where}: ")
    if success is None:
        raise StatisticsError(f"{where}: SUCCESS is missing, so nothing says whether it passed")
    verified = _mapping(own.get("VERIFY", {}), where)
    failed = [
        test
        for group in ("EXP", "DET", "CATALOG")
        for test in _failed(_mapping(verified.get(group, {}), where), where)
    ]
    for amplifier, tests in _mapping(verified.get("AMP", {}), where).items():
        failed += [f"{amplifier} {test}" for test in _failed(_mapping(tests, where), where)]
    found.add(detector, failed)
    if not success and not failed:
        found.complete = False


def _mapping(value: object, where: str) -> Mapping[object, object]:
    if not isinstance(value, Mapping):
        raise StatisticsError(f"{where}: expected a mapping of tests, not {shown(value)}")
    return value


def _failed(tests: Mapping[object, object], where: str) -> list[str]:
    """Return the tests that failed, of some that belong together."""
    for test, passed in tests.items():
        if not isinstance(test, str) or not test.split():
            raise StatisticsError(f"{where}: {shown(test)} is not the name of a test")
        if not isinstance(passed, bool):
            raise StatisticsError(f"{where}: {test} is neither true nor false but {shown(passed)}")
    failed = [str(test) for test, passed in tests.items() if test != "SUCCESS" and not passed]
    if tests.get("SUCCESS") is False and not failed:
        raise StatisticsError(f"{where}: SUCCESS is False, but no test failed: {shown(dict(tests))}")
    return failed
