# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a simulated run takes, in time and on disk."""

from __future__ import annotations

__all__ = ["as_simulated"]

from dataclasses import replace

from ..instruments import Instrument, Pace
from .ccd import DEFAULT_SCALE, FocalPlane

_VALUE_SIZE = 4
"""A pixel of a raw or processed frame (byte)."""

_HEADERS_SIZE = 10_000
"""Headers of a frame (byte)."""

_JOB_TIME = 3.0
_JOB_TIME_PER_FRAME = 0.1
_JOB_TIME_PER_AREA = 0.2
"""Of a frame of one detector, and beside that of the pixels of an ITL CCD at
the default scale. With the above, 9 s for 20 biases: what a job takes on two
cores of 2024 that do little else (s)."""

_FRAME_TIME = 0.18
_FRAME_TIME_PER_DETECTOR = 0.02
"""To make and write it (s)."""

_CERTIFICATION_TIME = 2.0
_INGEST_TIME = 0.5


def as_simulated(focal_plane: FocalPlane, time_scale: float) -> Instrument:
    """Return an instrument with what a run of its simulation takes.

    Parameters
    ----------
    focal_plane : `FocalPlane`
        The simulated CCDs.
    time_scale : `float`
        Exposures and readout last this fraction of their time.

    Returns
    -------
    instrument : `Instrument`
        For plans only: its times and sizes are those of the simulation.
    """
    detector = next(iter(focal_plane.ccds.values())).detector
    instrument = focal_plane.instrument
    first, *_ = focal_plane.ccds
    # Of a whole ITL CCD, whatever the first one is.
    n = len(detector.gains) * detector.amp_height / instrument.area((first,))
    n_detectors, area = len(focal_plane.ccds), instrument.area(tuple(focal_plane.ccds))
    pixels = (DEFAULT_SCALE / focal_plane.scale) ** 2
    return replace(
        instrument,
        raw_size=n * (detector.amp_width + detector.overscan) * _VALUE_SIZE + _HEADERS_SIZE,
        processed_size=n * detector.amp_width * _VALUE_SIZE + _HEADERS_SIZE,
        pace=Pace(
            exposing=time_scale,
            frame=_FRAME_TIME + _FRAME_TIME_PER_DETECTOR * n_detectors,
            ingest=_INGEST_TIME,
            job=_JOB_TIME,
            job_per_frame=_JOB_TIME_PER_FRAME * n_detectors / area + _JOB_TIME_PER_AREA * pixels,
            certification=_CERTIFICATION_TIME,
        ),
    )
