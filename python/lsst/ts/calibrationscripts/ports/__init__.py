# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the procedure needs from the world.

`lsst.ts.calibrationscripts.observatory` and
`lsst.ts.calibrationscripts.butler` implement these; tests implement them with
a few lines each. Each method says when the procedure calls it.
"""

from __future__ import annotations

__all__ = [
    "Applied",
    "CalibrationRepository",
    "Camera",
    "CameraError",
    "ComponentLostError",
    "CorrectedFrames",
    "Curves",
    "ExposureRecord",
    "Ingest",
    "IngestReport",
    "JobLostError",
    "JobRefusedError",
    "JobResult",
    "JobService",
    "JobTimeoutError",
    "Journal",
    "JournalFile",
    "LightError",
    "Lookup",
    "LostRaw",
    "Missing",
    "NotTakenError",
    "Notifier",
    "ObservatoryError",
    "Operator",
    "OutcomeError",
    "Pipelines",
    "PreconditionError",
    "Surroundings",
    "SurroundingsError",
    "Wanted",
    "Watcher",
    "World",
]

from ._errors import (
    CameraError,
    ComponentLostError,
    JobLostError,
    JobRefusedError,
    JobTimeoutError,
    LightError,
    NotTakenError,
    ObservatoryError,
    OutcomeError,
    PreconditionError,
    SurroundingsError,
)
from ._protocols import (
    Camera,
    Ingest,
    JobService,
    Journal,
    JournalFile,
    Notifier,
    Operator,
    Pipelines,
    Watcher,
    World,
)
from ._records import (
    Applied,
    CorrectedFrames,
    Curves,
    ExposureRecord,
    IngestReport,
    JobResult,
    Lookup,
    LostRaw,
    Missing,
    Wanted,
)
from ._repository import CalibrationRepository
from ._surroundings import Surroundings
