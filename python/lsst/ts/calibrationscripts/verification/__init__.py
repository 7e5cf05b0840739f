# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the statistics of cp_verify to a verdict.

The rule is that of the observers' procedure: an exposure fails if, for at
least one type of test, the majority of tests fail in the majority of
detectors; a calibration fails if the majority of exposures fail. Of several
detectors, each is also judged as if it were the only one.
"""

__all__ = [
    "ExposureDetail",
    "FailedTest",
    "FailingDetector",
    "FailingTest",
    "FailureLevel",
    "StatisticsError",
    "UnitResult",
    "Verdict",
    "dataset_name",
    "hidden_exposures",
    "judge",
    "without_result",
]

from ._details import ExposureDetail
from ._judge import hidden_exposures, judge, without_result
from ._records import (
    FailedTest,
    FailingDetector,
    FailingTest,
    FailureLevel,
    StatisticsError,
    UnitResult,
    Verdict,
    dataset_name,
)
