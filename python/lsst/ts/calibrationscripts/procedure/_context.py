# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of a procedure share."""

from __future__ import annotations

__all__ = ["Context"]

from dataclasses import dataclass

from ..config import CalibrationConfig
from ..instruments import Instrument
from ..pipelines import GENERATIONS, PipelineSet
from ..plan import RunPlan
from ..ports import World
from ._incomplete import Incomplete
from ._recorder import Recorder
from ._timeline import Timeline


@dataclass(frozen=True)
class Context:
    """What a run is about, what it talks to, and where it is noted."""

    config: CalibrationConfig
    plan: RunPlan
    instrument: Instrument
    world: World
    recorder: Recorder
    timeline: Timeline
    incomplete: Incomplete

    @property
    def detectors(self) -> tuple[int, ...]:
        """Ids of the detectors that the run is about."""
        return self.instrument.detector_ids(self.config.detectors)

    @property
    def pipelines(self) -> PipelineSet:
        """The pipelines that jobs run."""
        return GENERATIONS[self.config.pipeline_generation].for_camera(self.instrument)
