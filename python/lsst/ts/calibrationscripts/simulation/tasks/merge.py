# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge of verification outcomes: of an exposure, then of the run."""

from __future__ import annotations

from typing import Any

import numpy as np
from lsst.pex.config import Field
from lsst.pipe.base import (
    InputQuantizedConnection,
    OutputQuantizedConnection,
    PipelineTask,
    PipelineTaskConnections,
    QuantumContext,
    Struct,
)

from .base import DETECTOR, EXPOSURE, FRAME, TaskConfig, outcome, outcomes

__all__ = [
    "MergeDetectorsConfig",
    "MergeDetectorsTask",
    "MergeExposureConfig",
    "MergeExposureTask",
    "MergeFlatExposureConfig",
    "MergeFlatExposureTask",
    "MergeRunByFilterConfig",
    "MergeRunByFilterTask",
    "MergeRunConfig",
    "MergeRunTask",
]


RUN = ("instrument",)
"""Dimensions of what exists once for a run."""

RUN_OF_FILTER = ("instrument", "physical_filter")
"""Dimensions of what exists once for a run and filter."""


class MergeExposureConnections(PipelineTaskConnections, dimensions=EXPOSURE):  # type: ignore[call-arg]
    """Outcomes of an exposure's detectors, and of the exposure."""

    inputStats = outcomes("verifyDetStats", "Statistics of each detector.", FRAME)
    outputStats = outcome("verifyExpStats", "Failed tests by detector.", EXPOSURE)


class MergeExposureConfig(TaskConfig, pipelineConnections=MergeExposureConnections):  # type: ignore[call-arg]
    """No options."""


class MergeExposureTask(PipelineTask):
    """List the tests that failed, for each detector of an exposure."""

    ConfigClass = MergeExposureConfig
    _DefaultName = "cpVerifyExpMerge"

    def runQuantum(
        self,
        butlerQC: QuantumContext,
        inputRefs: InputQuantizedConnection,
        outputRefs: OutputQuantizedConnection,
    ) -> None:
        """Read, merge and write; see `lsst.pipe.base.PipelineTask`."""
        by_detector = {
            ref.dataId.records["detector"].full_name: butlerQC.get(ref) for ref in inputRefs.inputStats
        }
        butlerQC.put(self.run(by_detector), outputRefs)

    def run(self, by_detector: dict[str, dict[str, Any]]) -> Struct:
        """Merge the outcomes of one exposure's detectors.

        Parameters
        ----------
        by_detector : `dict` [`str`, `dict`]
            What the verification found, by name of the detector.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputStats`` (`dict`): for each detector ``SUCCESS``, and
            where that is `False` ``FAILURES``, such as "C00 NOISE" of an
            amplifier or "SCATTER" of the detector; and ``SUCCESS``.
        """
        merged: dict[str, Any] = {}
        for name, statistics in sorted(by_detector.items()):
            merged[name] = {"SUCCESS": statistics["SUCCESS"]}
            if not statistics["SUCCESS"]:
                merged[name]["FAILURES"] = _failures(statistics["VERIFY"])
        success = all(found["SUCCESS"] for found in merged.values())
        return Struct(outputStats=merged | {"SUCCESS": success})


class MergeFlatExposureConfig(  # type: ignore[call-arg]
    MergeExposureConfig, pipelineConnections=MergeExposureConnections
):
    """The criterion of an exposure as a whole."""

    scatterTolerance = Field[float](
        doc="Largest scatter of the detectors' means (ADU), absolute as in cp_verify.", default=0.05
    )


class MergeFlatExposureTask(MergeExposureTask):
    """The same for a flat, whose detectors are compared with each other.

    ``SCATTER``, of the exposure: the detectors' means agree (DMTN-101 test
    10.Z). Its outcome is in ``EXP`` of ``VERIFY``.
    """

    ConfigClass = MergeFlatExposureConfig
    _DefaultName = "cpVerifyFlatExpMerge"

    def run(self, by_detector: dict[str, dict[str, Any]]) -> Struct:
        """Merge the outcomes of one flat's detectors; see the base class."""
        merged = super().run(by_detector).outputStats
        scatter = float(np.std([statistics["DET"]["MEAN"] for statistics in by_detector.values()]))
        agree = bool(scatter <= self.config.scatterTolerance)
        success = merged.pop("SUCCESS") and agree
        whole = {"EXP": {"SCATTER": scatter}, "VERIFY": {"EXP": {"SCATTER": agree}}, "SUCCESS": success}
        return Struct(outputStats=merged | whole)


class MergeDetectorsConnections(PipelineTaskConnections, dimensions=RUN):  # type: ignore[call-arg]
    """Outcomes of a product's detectors, and of the run."""

    inputStats = outcomes("verifyDetStats", "Statistics of each detector.", DETECTOR)
    outputStats = outcome("verifyStats", "Failed tests by detector.", RUN)


class MergeDetectorsConfig(  # type: ignore[call-arg]
    MergeExposureConfig, pipelineConnections=MergeDetectorsConnections
):
    """No options."""


class MergeDetectorsTask(MergeExposureTask):
    """List the tests that failed, for each detector of a product."""

    ConfigClass = MergeDetectorsConfig
    _DefaultName = "cpVerifyCalibMerge"


def _failures(verified: dict[str, Any]) -> list[str]:
    failures = _failed(verified.get("DET", {}))
    for amplifier, tests in verified["AMP"].items():
        failures += [f"{amplifier} {test}" for test in _failed(tests)]
    return failures


def _failed(tests: dict[str, bool]) -> list[str]:
    """List the tests that failed, and what else is wrong where one has."""
    if tests.get("SUCCESS"):
        return []
    return [test for test, passed in tests.items() if test != "SUCCESS" and not passed]


class MergeRunConnections(PipelineTaskConnections, dimensions=RUN):  # type: ignore[call-arg]
    """Outcomes of all exposures, and of the run."""

    inputStats = outcomes("verifyExpStats", "Failed tests of each exposure.", EXPOSURE)
    outputStats = outcome("verifyStats", "Failed tests by exposure.", RUN)


class MergeRunConfig(TaskConfig, pipelineConnections=MergeRunConnections):  # type: ignore[call-arg]
    """The form of the statistics."""

    failureHasSuccess = Field[bool](
        doc="Does a failed exposure have SUCCESS: False too? In 2022 it had only FAILURES.",
        default=True,
    )


class MergeRunTask(PipelineTask):
    """List the tests that failed, for each exposure of a run."""

    ConfigClass = MergeRunConfig
    _DefaultName = "cpVerifyRunMerge"

    def runQuantum(
        self,
        butlerQC: QuantumContext,
        inputRefs: InputQuantizedConnection,
        outputRefs: OutputQuantizedConnection,
    ) -> None:
        """Read, merge and write; see `lsst.pipe.base.PipelineTask`."""
        by_exposure = {int(ref.dataId["exposure"]): butlerQC.get(ref) for ref in inputRefs.inputStats}
        butlerQC.put(self.run(by_exposure), outputRefs)

    def run(self, by_exposure: dict[int, dict[str, Any]]) -> Struct:
        """Merge the outcomes of the exposures.

        Parameters
        ----------
        by_exposure : `dict` [`int`, `dict`]
            What `MergeExposureTask` made, by exposure id.

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputStats`` (`dict`): by exposure id, ``FAILURES`` such as
            "RXX_S00 C00 NOISE" where there are some, else ``SUCCESS``; and
            ``SUCCESS`` of the run.
        """
        merged: dict[int | str, Any] = {}
        for exposure_id, merged_before in sorted(by_exposure.items()):
            if merged_before["SUCCESS"]:
                merged[exposure_id] = {"SUCCESS": True}
                continue
            merged[exposure_id] = {"SUCCESS": False} if self.config.failureHasSuccess else {}
            merged[exposure_id]["FAILURES"] = _failures_of_exposure(merged_before)
        success = all(found["SUCCESS"] for found in by_exposure.values())
        return Struct(outputStats=merged | {"SUCCESS": success})


def _failures_of_exposure(merged: dict[str, Any]) -> list[str]:
    """List what failed, as cp_verify does.

    Where the exposure has tests of its own, as a flat has, it looks at
    these alone, and leaves out what failed in the detectors.
    """
    if "VERIFY" in merged:
        return _failed(merged["VERIFY"]["EXP"])
    return [
        f"{detector} {failure}"
        for detector, found in merged.items()
        if detector != "SUCCESS"
        for failure in found.get("FAILURES", ())
    ]


class MergeRunByFilterConnections(MergeRunConnections, dimensions=RUN_OF_FILTER):  # type: ignore[call-arg]
    """The same for each filter."""

    outputStats = outcome("verifyStats", "Failed tests by exposure, of one filter.", RUN_OF_FILTER)


class MergeRunByFilterConfig(  # type: ignore[call-arg]
    MergeRunConfig, pipelineConnections=MergeRunByFilterConnections
):
    """The form of the statistics."""


class MergeRunByFilterTask(MergeRunTask):
    """List the tests that failed, for each exposure through a filter."""

    ConfigClass = MergeRunByFilterConfig
    _DefaultName = "cpVerifyRunMergeByFilter"
