# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mock CSCs of the simulated observatory, written for salobj.

They communicate only through SAL, as the real ones do: the camera reads the
spectrograph's positions, the header service the camera's ``endReadout``, and
the OODS the header service's ``largeFileObjectAvailable``. Their names are
those of the camera's components.
"""

from __future__ import annotations

__all__ = [
    "CameraCsc",
    "FilterCameraCsc",
    "HeaderServiceCsc",
    "ObservingDay",
    "OcpsCsc",
    "OodsCsc",
    "SimulatedCsc",
    "SpectrographCsc",
    "SurroundingCsc",
    "Surroundings",
]

from .base import SimulatedCsc
from .camera import CameraCsc, ObservingDay
from .filter_camera import FilterCameraCsc
from .headerservice import HeaderServiceCsc
from .ocps import OcpsCsc
from .oods import OodsCsc
from .spectrograph import SpectrographCsc
from .surroundings import SurroundingCsc, Surroundings
