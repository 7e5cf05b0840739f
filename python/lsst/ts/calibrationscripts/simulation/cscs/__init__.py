# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mock CSCs of the simulated observatory, written for salobj.

They hear of each other through SAL alone, as the real ones do: the camera
reads the spectrograph's positions, the header service the camera's
``endReadout``, the OODS the header service's ``largeFileObjectAvailable``.
"""

from __future__ import annotations

__all__ = [
    "AtCameraCsc",
    "AtHeaderServiceCsc",
    "AtOodsCsc",
    "AtSpectrographCsc",
    "OcpsCsc",
    "SimulatedCsc",
]

from .atcamera import AtCameraCsc
from .atheaderservice import AtHeaderServiceCsc
from .atoods import AtOodsCsc
from .atspectrograph import AtSpectrographCsc
from .base import SimulatedCsc
from .ocps import OcpsCsc
