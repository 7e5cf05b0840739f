# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""From statistics to a verdict."""

from __future__ import annotations

__all__ = ["hidden_exposures", "judge", "without_result"]

from collections.abc import Collection, Iterable, Mapping

from ..pipelines import StatisticsKey
from ..products import Subject
from ..thresholds import DEFAULT_THRESHOLD, Thresholds
from ._details import ExposureDetail, explain
from ._forms import Entry, check_level, exposure_id, ids_text, own_success, read_entry, shown
from ._records import FailedTest, FailureLevel, StatisticsError, UnitResult, Verdict

_NOT_EXPOSURES = {"SUCCESS", "RUN", "VERIFY"}
_NO_DETAIL = ExposureDetail()


def judge(
    statistics: object,
    subject: Subject,
    *,
    n_detectors: int,
    threshold: int = DEFAULT_THRESHOLD,
    key: StatisticsKey = StatisticsKey.EXPOSURE,
    expected: Collection[int] | None = None,
    details: Mapping[int, ExposureDetail] | None = None,
) -> Verdict:
    """Judge a calibration by its run statistics.

    Parameters
    ----------
    statistics : `collections.abc.Mapping`
        ``verify<Type>Stats`` as the Butler returns it: by exposure id, the
        failures of that exposure, beside keys that are not exposures.
    subject : `Subject`
        What was verified.
    n_detectors : `int`
        How many detectors were verified.
    threshold : `int`, optional
        Failures per detector and test type that fail it.
    key : `StatisticsKey`, optional
        Whether the statistics are by exposure or, for what is verified as a
        whole, by detector.
    expected : `collections.abc.Collection` [`int`], optional
        Ids of the exposures of the run, which must have a result each, and
        no others; `None` if they are not known, as of a saved file. It is
        not used for statistics by detector.
    details : `collections.abc.Mapping` [`int`, `ExposureDetail`], optional
        By exposure id, where the failures are that the run statistics hide;
        see `hidden_exposures`. A hidden exposure without it counts as
        failed.

    Returns
    -------
    verdict : `Verdict`

    Raises
    ------
    StatisticsError
        If they are of another form, or contradict themselves, or are not
        about exactly the exposures that are expected.
    """
    if key is StatisticsKey.DETECTOR:
        results: tuple[UnitResult, ...] = (_of_detectors(statistics, subject, n_detectors),)
    else:
        entries = _by_exposure(statistics, subject)
        if expected is not None:
            _check_exposures(entries, set(expected))
        results = tuple(
            explain(exposure, entry, (details or {}).get(exposure, _NO_DETAIL), subject, n_detectors)
            if entry.hides
            else UnitResult(exposure, tuple(map(FailedTest.parse, entry.failures)))
            for exposure, entry in sorted(entries.items())
        )
    verdict = Verdict(
        subject=subject,
        n_detectors=n_detectors,
        thresholds=Thresholds.make(threshold, n_detectors, len(results)),
        units=key,
        results=results,
        run_tests_failed=_own_success(statistics) is False
        and not any(result.failures or result.unlisted for result in results),
    )
    if verdict.with_failures and _own_success(statistics):
        raise StatisticsError(
            "SUCCESS of the run is true, but an entry failed; read the dataset again from the repository"
        )
    return verdict


def hidden_exposures(statistics: object, subject: Subject) -> tuple[int, ...]:
    """Return the exposures whose failures the run statistics hide.

    Parameters
    ----------
    statistics : `collections.abc.Mapping`
        ``verify<Type>Stats`` by exposure, as of `judge`.
    subject : `Subject`
        What was verified.

    Returns
    -------
    exposures : `tuple` [`int`, ...]
        Ids of the exposures that failed, without a list of tests or with
        tests of the exposure as a whole only; `judge` needs an
        `ExposureDetail` of each.

    Raises
    ------
    StatisticsError
        If the statistics are of another form.
    """
    return tuple(sorted(id_ for id_, entry in _by_exposure(statistics, subject).items() if entry.hides))


def without_result(statistics: object, subject: Subject, detectors: Iterable[str]) -> tuple[str, ...]:
    """Return the detectors of which run statistics by detector have nothing.

    Parameters
    ----------
    statistics : `collections.abc.Mapping`
        ``verify<Type>Stats`` by detector, as of `judge`.
    subject : `Subject`
        What was verified.
    detectors : `collections.abc.Iterable` [`str`]
        Names of the detectors.

    Returns
    -------
    names : `tuple` [`str`, ...]
        In the same order.

    Raises
    ------
    StatisticsError
        If the statistics are of another form.
    """
    entries = _entries(statistics, subject, StatisticsKey.DETECTOR)
    return tuple(name for name in detectors if name not in entries)


def _own_success(statistics: object) -> bool | None:
    return own_success(statistics, "of the run, ") if isinstance(statistics, Mapping) else None


def _entries(statistics: object, subject: Subject, key: StatisticsKey) -> dict[object, object]:
    """Return the entries that are about exposures or detectors."""
    if not isinstance(statistics, Mapping):
        raise StatisticsError(
            f"run statistics are a mapping from exposure id to results, not {type(statistics).__name__}"
        )
    # Statistics of a run by detector look like those of an exposure.
    level = FailureLevel.RUN if key is StatisticsKey.EXPOSURE else FailureLevel.EXPOSURE
    check_level(statistics, subject, level, "")
    _own_success(statistics)
    entries = {entry: value for entry, value in statistics.items() if entry not in _NOT_EXPOSURES}
    if not entries:
        raise StatisticsError(f"the run statistics hold no {key.value}, so they prove nothing")
    return entries


def _by_exposure(statistics: object, subject: Subject) -> dict[int, Entry]:
    """Return what the run statistics say about each exposure."""
    found: dict[int, Entry] = {}
    twice = set()
    for key, value in _entries(statistics, subject, StatisticsKey.EXPOSURE).items():
        exposure = exposure_id(key)
        if exposure is None:
            raise StatisticsError(
                f"{shown(key)} is neither an exposure id nor one of {sorted(_NOT_EXPOSURES)}"
            )
        if exposure in found:
            twice.add(exposure)
        found[exposure] = read_entry(key, value)
    if twice:
        raise StatisticsError(
            f"an exposure is given twice, as a number and as text: {ids_text(twice)}; "
            "read the dataset again from the repository"
        )
    return found


def _check_exposures(found: Collection[int], expected: set[int]) -> None:
    """Raise if the statistics are not about exactly the run's exposures."""
    foreign, missing = set(found) - expected, expected - set(found)
    faults = []
    if foreign:
        faults.append(f"hold {len(foreign)} exposure(s) that are not of this run: {ids_text(foreign)}")
    if missing:
        faults.append(
            f"have no result of {len(missing)} of this run's {len(expected)} exposures: {ids_text(missing)}"
        )
    if faults:
        raise StatisticsError(
            f"the run statistics {', and '.join(faults)}. They do not prove anything about this run; see "
            "whether they are in the output of its own job, and what the log of that job says"
        )


def _of_detectors(statistics: object, subject: Subject, n_detectors: int) -> UnitResult:
    """Return the result of what is verified as a whole, by detector."""
    entries = {
        name: read_entry(name, value)
        for name, value in _entries(statistics, subject, StatisticsKey.DETECTOR).items()
    }
    if len(entries) != n_detectors:
        raise StatisticsError(
            f"the run statistics are about {len(entries)} detector(s) instead of {n_detectors}; see the log "
            "of the job"
        )
    # Here a failure does not name the detector, which is the key.
    found = [
        FailedTest.parse(f"{detector} {text}")
        for detector, entry in entries.items()
        for text in entry.failures
    ]
    unlisted = any(not entry.passed and not entry.failures for entry in entries.values())
    return UnitResult(None, tuple(found), FailureLevel.NONE if unlisted else FailureLevel.RUN)
