# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SAL interfaces of what is around cameras: see `interfaces`."""

from __future__ import annotations

__all__ = ["SURROUNDINGS"]

_ENCODER = ", ".join(f"{axis}Encoder{i}Raw long[100]" for axis in ("elevation", "azimuth") for i in (1, 2, 3))

SURROUNDINGS: dict[str, dict[str, str]] = {
    "ATCamera": {
        "tel_focal_plane_Reb": (
            "anaI double, anaV double, aspicl_Temp0 double, aspicu_Temp0 double, clkHI double, clkHV double, "
            "clkLV double, digI double, digV double, hVBiasSwitch double, htrPI double, htrPV double, "
            "htrV double, htrW double, location string, oDI double, oDV double, pClk0 double, pClkL double, "
            "pClkU double, power double, rG0 double, rGL double, rGU double, rTDTemp double, sClk0 double, "
            "sClkL double, sClkU double, temp1 double, temp2 double, temp3 double, temp4 double, "
            "temp5 double, temp6 double"
        ),
    },
    "ATDome": {
        "evt_dropoutDoorState": "state long",
        "evt_mainDoorState": "state long",
        "tel_position": (
            "dropoutDoorOpeningPercentage float, mainDoorOpeningPercentage float, azimuthPosition double, "
            "azimuthEncoderPosition long long"
        ),
    },
    "ATMCS": {
        "tel_mount_AzEl_Encoders": (
            "cRIO_timestamp double, elevationCalculatedAngle double[100], "
            f"azimuthCalculatedAngle double[100], {_ENCODER}, trackId long"
        ),
    },
    "ATPneumatics": {"evt_m1CoverState": "state long"},
    "ATWhiteLight": {
        "evt_lampState": (
            "basicState int, controllerError int, controllerState int, lightDetected boolean, "
            "setPower float, cooldownEndTime double, warmupEndTime double"
        ),
        "evt_shutterState": "commandedState int, actualState int, enabled boolean",
    },
    "MTDome": {},
    "MTDomeTrajectory": {},
}
"""By component: topics beside those that every CSC has."""
