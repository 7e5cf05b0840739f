# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""At which counts of failures something fails."""

from __future__ import annotations

__all__ = ["DEFAULT_THRESHOLD", "Thresholds", "detectors_to_fail"]

from dataclasses import dataclass

DEFAULT_THRESHOLD = 8
"""Failures per detector and test type that fail it: half of 16 amplifiers."""


def detectors_to_fail(n_detectors: int) -> int:
    """Return how many detectors are the majority that fails an exposure.

    Parameters
    ----------
    n_detectors : `int`
        How many detectors are verified.

    Returns
    -------
    n : `int`
    """
    return n_detectors // 2 + 1


@dataclass(frozen=True)
class Thresholds:
    """At which counts of failures something fails.

    A count that reaches its threshold is a failure.
    """

    failures_to_fail_detector: int
    """Failures of one test type in a detector; configurable."""

    detectors_to_fail: int
    """The majority of the detectors."""

    failures_to_fail_exposure: int
    """Failures of one test type in an exposure, summed over its detectors."""

    exposures_to_fail: int
    """Failed exposures that fail a calibration."""

    @classmethod
    def make(cls, per_detector: int, n_detectors: int, n_exposures: int) -> Thresholds:
        """Derive the thresholds from the size of a run.

        Parameters
        ----------
        per_detector : `int`
            Failures of one test type that fail a detector.
        n_detectors, n_exposures : `int`
            How many were verified.

        Returns
        -------
        thresholds : `Thresholds`

        Notes
        -----
        The procedure's own numbers (3 of 3 exposures, 11 of 20) come from
        ``int((n_exposures + 1) / 2) + 1``. That is 2 of 1, so it is limited
        to the number of exposures: otherwise one exposure could never fail.

        With several detectors an exposure does not fail by the number of
        detectors that fail: the failures of a test type are summed over all
        detectors, and fail the exposure when they are as many as a majority
        of failed detectors has at the least. Many failures in one detector
        and few in each of many count alike.
        """
        to_fail = detectors_to_fail(n_detectors)
        return cls(
            failures_to_fail_detector=per_detector,
            detectors_to_fail=to_fail,
            failures_to_fail_exposure=per_detector * to_fail,
            exposures_to_fail=min((n_exposures + 1) // 2 + 1, n_exposures),
        )
