# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification of defects, which today merges by visit.

Only frames on the sky have a visit. So there is nothing to do for frames of
calibrations, as with cp_verify 5855743, and no run names this pipeline.
"""

from __future__ import annotations

import numpy as np
from lsst.pipe.base import (
    InputQuantizedConnection,
    OutputQuantizedConnection,
    PipelineTask,
    PipelineTaskConnections,
    QuantumContext,
    Struct,
)

from ..exposure import Amplifier, Exposure
from .base import FRAME, TaskConfig, frame, outcome, outcomes
from .merge import RUN, MergeExposureTask, MergeRunConfig, MergeRunTask
from .verify import verify_amplifiers

__all__ = [
    "MergeVisitConfig",
    "MergeVisitRunConfig",
    "MergeVisitRunTask",
    "MergeVisitTask",
    "VerifyDefectsConfig",
    "VerifyDefectsTask",
]

VISIT = ("instrument", "visit")
"""Dimensions of what exists once for each visit."""


class VerifyDefectsConnections(PipelineTaskConnections, dimensions=FRAME):  # type: ignore[call-arg]
    """An image with and without its defects masked, and the result."""

    inputExp = frame("verifyDefectsIsrExp", "Corrected image.")
    uncorrectedExp = frame("verifyUncorrectedDefectsIsrExp", "The same with the defects in it.")
    outputStats = outcome("verifyDefectsDetStats", "Statistics and outcome of each test.", FRAME)


class VerifyDefectsConfig(TaskConfig, pipelineConnections=VerifyDefectsConnections):  # type: ignore[call-arg]
    """No options."""


class VerifyDefectsTask(PipelineTask):
    """Verify that an image has no larger extremes without its defects."""

    ConfigClass = VerifyDefectsConfig
    _DefaultName = "cpVerifyDefects"

    def run(self, inputExp: Exposure, uncorrectedExp: Exposure) -> Struct:
        """Verify one image.

        Parameters
        ----------
        inputExp, uncorrectedExp : `Exposure`
            The image with its defects masked, and with them in it (ADU).

        Returns
        -------
        result : `lsst.pipe.base.Struct`
            ``outputStats`` (`dict`): as of `VerifyTask`.
        """
        arrays = [image.image.array for image in (inputExp, uncorrectedExp)]

        def verify(amplifier: Amplifier) -> tuple[dict[str, float], dict[str, bool]]:
            masked, whole = (array[amplifier.section] for array in arrays)
            measured = {
                "DEFECT_PIXELS": float(np.isnan(masked).sum()),
                "MIN": float(np.nanmin(masked)),
                "MAX": float(np.nanmax(masked)),
                "UNMASKED_MIN": float(np.nanmin(whole)),
                "UNMASKED_MAX": float(np.nanmax(whole)),
            }
            return measured, {
                "MIN": measured["UNMASKED_MIN"] <= measured["MIN"],
                "MAX": measured["UNMASKED_MAX"] >= measured["MAX"],
            }

        return Struct(outputStats=verify_amplifiers(inputExp.detector, verify))


class MergeVisitConnections(PipelineTaskConnections, dimensions=VISIT):  # type: ignore[call-arg]
    """Outcomes of the frames of a visit, and of the visit."""

    inputStats = outcomes("verifyDefectsDetStats", "Statistics of each frame.", FRAME)
    outputStats = outcome("verifyDefectsExpStats", "Failed tests by exposure.", VISIT)


class MergeVisitConfig(TaskConfig, pipelineConnections=MergeVisitConnections):  # type: ignore[call-arg]
    """No options."""


class MergeVisitTask(MergeExposureTask):
    """List the tests that failed, for each exposure of a visit."""

    ConfigClass = MergeVisitConfig
    _DefaultName = "cpVerifyVisitExpMerge"

    def runQuantum(
        self,
        butlerQC: QuantumContext,
        inputRefs: InputQuantizedConnection,
        outputRefs: OutputQuantizedConnection,
    ) -> None:
        """Read, merge and write; see `lsst.pipe.base.PipelineTask`."""
        by_exposure = {str(ref.dataId["exposure"]): butlerQC.get(ref) for ref in inputRefs.inputStats}
        butlerQC.put(self.run(by_exposure), outputRefs)


class MergeVisitRunConnections(PipelineTaskConnections, dimensions=RUN):  # type: ignore[call-arg]
    """Outcomes of all visits, and of the run."""

    inputStats = outcomes("verifyDefectsExpStats", "Failed tests of each visit.", VISIT)
    outputStats = outcome("verifyDefectsStats", "Failed tests by visit.", RUN)


class MergeVisitRunConfig(  # type: ignore[call-arg]
    MergeRunConfig, pipelineConnections=MergeVisitRunConnections
):
    """The form of the statistics."""


class MergeVisitRunTask(MergeRunTask):
    """List the tests that failed, for each visit of a run."""

    ConfigClass = MergeVisitRunConfig
    _DefaultName = "cpVerifyVisitRunMerge"

    def runQuantum(
        self,
        butlerQC: QuantumContext,
        inputRefs: InputQuantizedConnection,
        outputRefs: OutputQuantizedConnection,
    ) -> None:
        """Read, merge and write; see `lsst.pipe.base.PipelineTask`."""
        by_visit = {int(ref.dataId["visit"]): butlerQC.get(ref) for ref in inputRefs.inputStats}
        butlerQC.put(self.run(by_visit), outputRefs)
