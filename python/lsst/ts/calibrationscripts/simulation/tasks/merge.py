# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collection of verification outcomes: by exposure, then of the run."""

from __future__ import annotations

from typing import Any

import lsst.pipe.base.connectionTypes as cT
from lsst.pex.config import Field
from lsst.pipe.base import (
    InputQuantizedConnection,
    OutputQuantizedConnection,
    PipelineTask,
    PipelineTaskConfig,
    PipelineTaskConnections,
    QuantumContext,
    Struct,
)

__all__ = [
    "MergeDetectorsConfig",
    "MergeDetectorsTask",
    "MergeExposureConfig",
    "MergeExposureTask",
    "MergeRunByFilterConfig",
    "MergeRunByFilterTask",
    "MergeRunConfig",
    "MergeRunTask",
]


class MergeExposureConnections(  # type: ignore[call-arg]
    PipelineTaskConnections, dimensions=("instrument", "exposure")
):
    """Outcomes of an exposure's detectors, and of the exposure."""

    inputStats = cT.Input(
        name="verifyDetStats",
        doc="Statistics of each detector.",
        storageClass="StructuredDataDict",
        dimensions=("instrument", "exposure", "detector"),
        multiple=True,
    )
    outputStats = cT.Output(
        name="verifyExpStats",
        doc="Failed tests by detector.",
        storageClass="StructuredDataDict",
        dimensions=("instrument", "exposure"),
    )


class MergeExposureConfig(  # type: ignore[call-arg]
    PipelineTaskConfig, pipelineConnections=MergeExposureConnections
):
    """There is nothing to choose."""

    def setDefaults(self) -> None:
        """Leave the log to the job, which has one file for all quanta."""
        self.saveLogOutput = False


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
        success = all(outcome["SUCCESS"] for outcome in merged.values())
        return Struct(outputStats=merged | {"SUCCESS": success})


class MergeDetectorsConnections(PipelineTaskConnections, dimensions=("instrument",)):  # type: ignore[call-arg]
    """Outcomes of a product's detectors, and of the run."""

    inputStats = cT.Input(
        name="verifyDetStats",
        doc="Statistics of each detector.",
        storageClass="StructuredDataDict",
        dimensions=("instrument", "detector"),
        multiple=True,
    )
    outputStats = cT.Output(
        name="verifyStats",
        doc="Failed tests by detector.",
        storageClass="StructuredDataDict",
        dimensions=("instrument",),
    )


class MergeDetectorsConfig(  # type: ignore[call-arg]
    MergeExposureConfig, pipelineConnections=MergeDetectorsConnections
):
    """There is nothing to choose."""


class MergeDetectorsTask(MergeExposureTask):
    """List the tests that failed, for each detector of a product."""

    ConfigClass = MergeDetectorsConfig
    _DefaultName = "cpVerifyCalibMerge"


def _failures(outcomes: dict[str, Any]) -> list[str]:
    failures = _failed(outcomes.get("DET", {}))
    for amplifier, outcome in outcomes["AMP"].items():
        failures += [f"{amplifier} {test}" for test in _failed(outcome)]
    return failures


def _failed(outcome: dict[str, bool]) -> list[str]:
    return [test for test, passed in outcome.items() if test != "SUCCESS" and not passed]


class MergeRunConnections(PipelineTaskConnections, dimensions=("instrument",)):  # type: ignore[call-arg]
    """Outcomes of all exposures, and of the run."""

    inputStats = cT.Input(
        name="verifyExpStats",
        doc="Failed tests of each exposure.",
        storageClass="StructuredDataDict",
        dimensions=("instrument", "exposure"),
        multiple=True,
    )
    outputStats = cT.Output(
        name="verifyStats",
        doc="Failed tests by exposure.",
        storageClass="StructuredDataDict",
        dimensions=("instrument",),
    )


class MergeRunConfig(PipelineTaskConfig, pipelineConnections=MergeRunConnections):  # type: ignore[call-arg]
    """Which of its shapes the statistics have."""

    failureHasSuccess = Field[bool](
        doc="Does an exposure that failed say SUCCESS: False too? In 2022 it had FAILURES alone.",
        default=True,
    )

    def setDefaults(self) -> None:
        """Leave the log to the job, which has one file for all quanta."""
        self.saveLogOutput = False


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
        for exposure_id, outcome in sorted(by_exposure.items()):
            if outcome["SUCCESS"]:
                merged[exposure_id] = {"SUCCESS": True}
                continue
            merged[exposure_id] = {"SUCCESS": False} if self.config.failureHasSuccess else {}
            merged[exposure_id]["FAILURES"] = [
                f"{detector} {failure}"
                for detector, found in outcome.items()
                if detector != "SUCCESS"
                for failure in found.get("FAILURES", ())
            ]
        success = all(outcome["SUCCESS"] for outcome in by_exposure.values())
        return Struct(outputStats=merged | {"SUCCESS": success})


class MergeRunByFilterConnections(  # type: ignore[call-arg]
    MergeRunConnections, dimensions=("instrument", "physical_filter")
):
    """The same for each filter by itself."""

    outputStats = cT.Output(
        name="verifyStats",
        doc="Failed tests by exposure, of one filter.",
        storageClass="StructuredDataDict",
        dimensions=("instrument", "physical_filter"),
    )


class MergeRunByFilterConfig(  # type: ignore[call-arg]
    MergeRunConfig, pipelineConnections=MergeRunByFilterConnections
):
    """Which of its shapes the statistics have."""


class MergeRunByFilterTask(MergeRunTask):
    """List the tests that failed, for each exposure through a filter."""

    ConfigClass = MergeRunByFilterConfig
    _DefaultName = "cpVerifyRunMergeByFilter"
