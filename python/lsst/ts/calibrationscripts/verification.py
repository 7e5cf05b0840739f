# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the run statistics of cp_verify to a verdict.

The rule is that of the observers' procedure: an exposure fails if, for at
least one type of test, the majority of tests fail in the majority of
detectors; a calibration fails if the majority of exposures fail.
"""

from __future__ import annotations

__all__ = [
    "FailedTest",
    "StatisticsError",
    "UnitResult",
    "Verdict",
    "judge",
]

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from .pipelines import StatisticsKey
from .products import Subject
from .thresholds import DEFAULT_THRESHOLD, Thresholds

_NOT_EXPOSURES = {"SUCCESS", "RUN", "VERIFY"}


class StatisticsError(ValueError):
    """The run statistics cannot be judged."""

    error_type = "statistics"


@dataclass(frozen=True, order=True)
class FailedTest:
    """A test that failed on an exposure.

    Tests of a whole detector have no amplifier, those of a whole exposure
    have no detector either.
    """

    detector: str
    amplifier: str
    test: str

    @classmethod
    def parse(cls, text: str) -> FailedTest:
        """Read cp_verify's form, such as ``RXX_S00 C00 NOISE``.

        Parameters
        ----------
        text : `str`
            Words separated by blanks: the detector first, the test last.

        Returns
        -------
        failed : `FailedTest`

        Raises
        ------
        StatisticsError
            If it is blank.
        """
        *place, test = text.split() or [""]
        if not test:
            raise StatisticsError("a failure is blank; expected 'DETECTOR AMPLIFIER TEST'")
        return cls(place[0] if place else "", " ".join(place[1:]), test)

    def __str__(self) -> str:
        return " ".join(word for word in (self.detector, self.amplifier, self.test) if word)


@dataclass(frozen=True)
class UnitResult:
    """What verification found on one exposure, or on a product as a whole."""

    exposure: int | None
    """Exposure id; `None` for what is verified as a whole."""

    failures: tuple[FailedTest, ...]

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of failures by test type, in the order of test types."""
        return dict(sorted(Counter(failure.test for failure in self.failures).items()))

    def fails(self, thresholds: Thresholds) -> bool:
        """Return whether some test type failed too often."""
        return any(count >= thresholds.failures_to_fail_exposure for count in self.counts.values())


@dataclass(frozen=True)
class Verdict:
    """Whether a calibration passes, and all that this is based on."""

    subject: Subject
    """What was verified."""

    n_detectors: int
    thresholds: Thresholds

    units: StatisticsKey
    """What the run statistics were about: each exposure has a result of its
    own; detectors have one together, that of the product as a whole."""

    results: tuple[UnitResult, ...]
    """In order of exposure id."""

    run_tests_failed: bool = False
    """Whether tests of the run as a whole failed; the rule ignores them."""

    @property
    def name(self) -> str:
        """What people read."""
        return self.subject.name

    @property
    def of_exposures(self) -> bool:
        """Whether exposures were verified, not a product as a whole."""
        return self.units is StatisticsKey.EXPOSURE

    @cached_property
    def failed(self) -> tuple[UnitResult, ...]:
        """The results that fail."""
        return tuple(result for result in self.results if result.fails(self.thresholds))

    @property
    def failed_ids(self) -> tuple[int, ...]:
        """Ids of the exposures that fail."""
        return tuple(result.exposure for result in self.failed if result.exposure is not None)

    @property
    def passed(self) -> bool:
        """Whether too few exposures fail to fail the calibration."""
        return len(self.failed) < self.thresholds.exposures_to_fail

    @property
    def with_failures(self) -> tuple[UnitResult, ...]:
        """The results with any test that failed."""
        return tuple(result for result in self.results if result.failures)

    @cached_property
    def failing_tests(self) -> dict[str, int]:
        """By test type, the results that it fails; the most frequent first."""
        return dict(
            Counter(
                test
                for result in self.results
                for test, count in result.counts.items()
                if count >= self.thresholds.failures_to_fail_exposure
            ).most_common()
        )


def judge(
    statistics: object,
    subject: Subject,
    *,
    n_detectors: int,
    threshold: int = DEFAULT_THRESHOLD,
    key: StatisticsKey = StatisticsKey.EXPOSURE,
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

    Returns
    -------
    verdict : `Verdict`

    Raises
    ------
    StatisticsError
        If they are of another form, or contradict themselves.
    """
    if not isinstance(statistics, Mapping):
        raise StatisticsError(
            f"run statistics are a mapping from exposure id to results, not {type(statistics).__name__}"
        )
    entries = {entry: value for entry, value in statistics.items() if entry not in _NOT_EXPOSURES}
    if not entries:
        raise StatisticsError(f"the run statistics hold no {key.value}")
    if key is StatisticsKey.DETECTOR:
        # Here a failure does not name the detector, which is the key.
        found = [
            FailedTest.parse(f"{detector} {text}")
            for detector, entry in entries.items()
            for text in _failures(detector, entry)
        ]
        results: tuple[UnitResult, ...] = (UnitResult(None, tuple(found)),)
    else:
        by_id = {_exposure_id(entry): _failures(entry, value) for entry, value in entries.items()}
        if len(by_id) < len(entries):
            raise StatisticsError("an exposure is given twice, as a number and as text")
        results = tuple(
            UnitResult(exposure, tuple(map(FailedTest.parse, texts)))
            for exposure, texts in sorted(by_id.items())
        )
    any_failure = any(result.failures for result in results)
    return Verdict(
        subject=subject,
        n_detectors=n_detectors,
        thresholds=Thresholds.make(threshold, n_detectors, len(results)),
        units=key,
        results=results,
        run_tests_failed=statistics.get("SUCCESS") is False and not any_failure,
    )


def _exposure_id(key: object) -> int:
    # YAML and JSON written by other tools may quote the exposure ids.
    if isinstance(key, bool) or not (isinstance(key, int) or (isinstance(key, str) and key.isdecimal())):
        raise StatisticsError(f"{key!r} is neither an exposure id nor one of {sorted(_NOT_EXPOSURES)}")
    return int(key)


def _failures(key: object, entry: object) -> list[str]:
    """Return the failures listed for an exposure or detector."""
    if not isinstance(entry, Mapping):
        raise StatisticsError(f"entry {key}: expected a mapping with SUCCESS or FAILURES, not {entry!r}")
    failures = entry.get("FAILURES", [])
    if not isinstance(failures, list) or not all(isinstance(text, str) for text in failures):
        raise StatisticsError(f"entry {key}: FAILURES is not a list of texts")
    if entry.get("SUCCESS") is False and not failures:
        raise StatisticsError(f"entry {key}: SUCCESS is False, but no failure is listed")
    return failures
