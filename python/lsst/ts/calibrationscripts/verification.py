# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the run statistics of cp_verify to a verdict.

The rule is that of the observers' procedure: an exposure fails if, for at
least one type of test, the majority of tests fail in the majority of
detectors; a calibration fails if the majority of exposures fail.
"""

from __future__ import annotations

__all__ = ["ExposureResult", "FailedTest", "StatisticsError", "Thresholds", "Verdict", "judge"]

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .pipelines import StatisticsKey

DEFAULT_THRESHOLD = 8
"""Failures per detector and test type that fail it: half of 16 amplifiers."""

_NOT_EXPOSURES = {"SUCCESS", "RUN", "VERIFY"}


class StatisticsError(ValueError):
    """The run statistics cannot be judged."""


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
            If there is no word in it.
        """
        *place, test = text.split() or [""]
        if not test:
            raise StatisticsError("a failure is blank; expected 'DETECTOR AMPLIFIER TEST'")
        return cls(place[0] if place else "", " ".join(place[1:]), test)

    def __str__(self) -> str:
        return " ".join(word for word in (self.detector, self.amplifier, self.test) if word)


@dataclass(frozen=True)
class Thresholds:
    """What the counts of failures are held against.

    A count that reaches its threshold is a failure.
    """

    per_detector: int
    """Failures per detector and test type; configurable."""

    failed_detectors: int
    """The majority of the detectors."""

    per_exposure: int
    """Failures of one test type that fail an exposure."""

    failed_exposures: int
    """Failed exposures that fail a calibration."""

    @classmethod
    def make(cls, per_detector: int, n_detectors: int, n_exposures: int) -> Thresholds:
        """Derive the thresholds from the size of a run.

        Parameters
        ----------
        per_detector : `int`
            Failures per detector and test type.
        n_detectors, n_exposures : `int`
            How many were verified.

        Returns
        -------
        thresholds : `Thresholds`

        Notes
        -----
        The procedure's own numbers (3 of 3 exposures, 11 of 20) come from
        ``int((n_exposures + 1) / 2) + 1``. That is 2 of 1, so it is held to
        the number of exposures: otherwise one exposure could never fail.
        """
        failed_detectors = n_detectors // 2 + 1
        return cls(
            per_detector=per_detector,
            failed_detectors=failed_detectors,
            per_exposure=per_detector * failed_detectors,
            failed_exposures=min((n_exposures + 1) // 2 + 1, n_exposures),
        )


@dataclass(frozen=True)
class ExposureResult:
    """What verification found on one exposure.

    What is verified as a whole, such as a photon transfer curve, has a
    single result with the exposure id 0.
    """

    exposure: int
    failures: tuple[FailedTest, ...]

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of failures by test type, in the order of test types."""
        return dict(sorted(Counter(failure.test for failure in self.failures).items()))

    def fails(self, thresholds: Thresholds) -> bool:
        """Tell whether some test type failed too often."""
        return any(count >= thresholds.per_exposure for count in self.counts.values())


@dataclass(frozen=True)
class Verdict:
    """Whether a calibration passes, and all that it rests on."""

    name: str
    """What was verified: an image type or product, and its part."""

    n_detectors: int
    thresholds: Thresholds
    exposures: tuple[ExposureResult, ...]
    """Every exposure that was verified, in order of exposure id."""

    run_tests_failed: bool = False
    """Whether tests of the run as a whole failed; the rule ignores them."""

    @property
    def of_exposures(self) -> bool:
        """Whether exposures were verified, not something as a whole."""
        return all(result.exposure for result in self.exposures)

    @cached_property
    def failed_exposures(self) -> tuple[int, ...]:
        """Ids of the exposures that fail."""
        return tuple(result.exposure for result in self.exposures if result.fails(self.thresholds))

    @property
    def passed(self) -> bool:
        """Whether too few exposures fail to fail the calibration."""
        return len(self.failed_exposures) < self.thresholds.failed_exposures

    @property
    def exposures_with_failures(self) -> tuple[ExposureResult, ...]:
        """The exposures on which any test failed."""
        return tuple(result for result in self.exposures if result.failures)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "name": self.name,
            "passed": self.passed,
            "n_detectors": self.n_detectors,
            "thresholds": {
                "failures_per_detector_per_test_type": self.thresholds.per_detector,
                "failed_detectors": self.thresholds.failed_detectors,
                "failed_tests_per_exposure": self.thresholds.per_exposure,
                "failed_exposures": self.thresholds.failed_exposures,
            },
            "n_failed_exposures": len(self.failed_exposures),
            "failed_exposures": list(self.failed_exposures),
            "run_tests_failed": self.run_tests_failed,
            "exposures": [
                {
                    "exposure": result.exposure,
                    "counts": result.counts,
                    "failures": [str(failure) for failure in result.failures],
                }
                for result in self.exposures
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """Read back what `to_dict` wrote."""
        thresholds = data["thresholds"]
        return cls(
            name=data["name"],
            n_detectors=data["n_detectors"],
            thresholds=Thresholds(
                per_detector=thresholds["failures_per_detector_per_test_type"],
                failed_detectors=thresholds["failed_detectors"],
                per_exposure=thresholds["failed_tests_per_exposure"],
                failed_exposures=thresholds["failed_exposures"],
            ),
            exposures=tuple(
                ExposureResult(entry["exposure"], tuple(FailedTest.parse(text) for text in entry["failures"]))
                for entry in data["exposures"]
            ),
            run_tests_failed=data["run_tests_failed"],
        )


def judge(
    statistics: object,
    name: str,
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
        failures of that exposure, beside keys that are no exposures.
    name : `str`
        What was verified, such as ``BIAS``.
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
        results: tuple[ExposureResult, ...] = (ExposureResult(0, tuple(found)),)
    else:
        each = (_exposure_result(*entry) for entry in entries.items())
        results = tuple(sorted(each, key=lambda result: result.exposure))
    any_failure = any(result.failures for result in results)
    return Verdict(
        name=name,
        n_detectors=n_detectors,
        thresholds=Thresholds.make(threshold, n_detectors, len(results)),
        exposures=results,
        run_tests_failed=statistics.get("SUCCESS") is False and not any_failure,
    )


def _exposure_result(key: object, entry: object) -> ExposureResult:
    # YAML and JSON written by other tools may quote the exposure ids.
    if isinstance(key, bool) or not (isinstance(key, int) or (isinstance(key, str) and key.isdecimal())):
        raise StatisticsError(f"{key!r} is neither an exposure id nor one of {sorted(_NOT_EXPOSURES)}")
    return ExposureResult(int(key), tuple(map(FailedTest.parse, _failures(key, entry))))


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
