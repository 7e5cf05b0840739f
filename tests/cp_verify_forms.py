# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics in the forms in which cp_verify writes them.

They follow its ``verifyFlat.py`` and ``mergeResults.py`` at commit 5855743
(lsst/cp_verify, 2026), the fault of its run merge included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Form = dict[Any, Any]


def detector_level(amplifiers: Mapping[str, list[str]], detector: list[str] | None = None) -> Form:
    """Return ``verifyFlatDetStats`` of a detector with these failures."""
    amp = {
        name: {"NOISE": "NOISE" not in failed, "MEAN": "MEAN" not in failed, "SUCCESS": not failed}
        for name, failed in amplifiers.items()
    }
    det = {"SCATTER": not detector, "SUCCESS": not detector}
    return {
        "AMP": {name: {"MEAN": 6000.0, "NOISE": 70.0} for name in amplifiers},
        "METADATA": {},
        "CATALOG": {},
        "DET": {"MEAN": 6000.0, "SCATTER": float("nan")},
        "VERIFY": {"AMP": amp, "DET": det},
        "SUCCESS": not detector and not any(amplifiers.values()),
    }


def exposure_level(detectors: Mapping[str, Form], scatter_passes: bool = True) -> Form:
    """Return ``verifyFlatExpStats`` of an exposure, merged from these."""
    merged: Form = {}
    for name, statistics in detectors.items():
        merged[name] = {"SUCCESS": statistics["SUCCESS"]}
        if not statistics["SUCCESS"]:
            verified = statistics["VERIFY"]
            merged[name]["FAILURES"] = [test for test, passed in verified["DET"].items() if not passed][
                :1
            ] + [
                f"{amplifier} {test}"
                for amplifier, tests in verified["AMP"].items()
                for test, passed in tests.items()
                if test != "SUCCESS" and not passed
            ]
    success = scatter_passes and all(each["SUCCESS"] for each in detectors.values())
    return {
        **merged,
        "EXP": {"SCATTER": 0.1},
        "VERIFY": {"EXP": {"SCATTER": scatter_passes}},
        "SUCCESS": success,
    }


def run_level(exposures: Mapping[int, Form]) -> Form:
    """Return ``verifyFlatStats``: only VERIFY of an exposure is looked at."""
    merged: Form = {}
    for exposure, statistics in exposures.items():
        merged[exposure] = {"SUCCESS": statistics["SUCCESS"]}
        if not statistics["SUCCESS"]:
            whole = statistics["VERIFY"]["EXP"]
            merged[exposure]["FAILURES"] = [test for test, passed in whole.items() if not passed]
    return {**merged, "SUCCESS": all(each["SUCCESS"] for each in exposures.values())}


def intact_run_level(exposures: Mapping[int, Form]) -> Form:
    """Return what the merge of a run should have written."""
    merged = run_level(exposures)
    for exposure, statistics in exposures.items():
        merged[exposure].setdefault("FAILURES", []).extend(
            f"{name} {failure}"
            for name, entry in statistics.items()
            if name not in ("EXP", "VERIFY", "SUCCESS")
            for failure in entry.get("FAILURES", [])
        )
    return merged
