# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The preconditions of each camera.

SAL does not tell whether the screen is lit evenly, which of several light
sources is meant, or where the light goes behind the mirrors. That the first
flat of a set has light is looked at by its counts.
"""

from __future__ import annotations

__all__ = ["preconditions_of"]

from collections.abc import Collection, Mapping

from ..instruments import ImageType
from ._records import OneOf, Precondition, Within, component_key

_ALL_TYPES = tuple(ImageType)

_DOOR = OneOf(("CLOSED",), ("CLOSED", "OPENED", "PARTIALLYOPENED", "OPENING", "CLOSING"), first=1)

_SUMMARY_STATES = ("DISABLED", "ENABLED", "FAULT", "OFFLINE", "STANDBY")

_SET_UP = "Run auxtel/prepare_for/flat.py (BLOCK-309), which moves telescope and dome for flats."

_LAMP_ON = (
    "Run auxtel/calibrations/power_on_atcalsys.py (BLOCK-309), which opens its shutter, switches the lamp on "
    "and waits until it is warm."
)

# Positions are those to which observatory-control's ATCS moves for flats. It
# takes the dome to be there within 5.1 deg. The telescope follows within
# 0.004 deg; a degree leaves room for another place on the same screen.
_LATISS = (
    Precondition(
        what="the lamp of the white light",
        component="ATWhiteLight",
        topic="evt_lampState",
        field="basicState",
        limit=OneOf(
            # Its component says ON only when its warm-up time is over.
            ("ON",),
            (
                "UNKNOWN",
                "OFF",
                "ON",
                "COOLDOWN",
                "WARMUP",
                "TURNING_ON",
                "TURNING_OFF",
                "UNEXPECTEDLY_ON",
                "UNEXPECTEDLY_OFF",
            ),
            coming=("WARMUP", "TURNING_ON"),
        ),
        remedy=_LAMP_ON,
        met_at="warmupEndTime",
    ),
    Precondition(
        what="the shutter of the white light",
        component="ATWhiteLight",
        topic="evt_shutterState",
        field="actualState",
        limit=OneOf(("OPEN",), ("UNKNOWN", "CLOSED", "OPEN", "INVALID")),
        remedy=_LAMP_ON,
    ),
    Precondition(
        what="the main door of the dome",
        component="ATDome",
        topic="evt_mainDoorState",
        field="state",
        limit=_DOOR,
        remedy=f"Flats have daylight otherwise. {_SET_UP}",
    ),
    Precondition(
        what="the dropout door of the dome",
        component="ATDome",
        topic="evt_dropoutDoorState",
        field="state",
        limit=_DOOR,
        remedy=f"Flats have daylight otherwise. {_SET_UP}",
    ),
    Precondition(
        what="the azimuth of the dome",
        component="ATDome",
        topic="tel_position",
        field="azimuthPosition",
        limit=Within(-2.1, 8.1, "deg", period=360.0),
        remedy=f"The telescope does not see the screen otherwise. {_SET_UP}",
        max_age=30.0,
    ),
    Precondition(
        what="the elevation of the telescope",
        component="ATMCS",
        topic="tel_mount_AzEl_Encoders",
        field="elevationCalculatedAngle",
        limit=Within(38.0, 40.0, "deg"),
        remedy=f"It does not see the screen otherwise. {_SET_UP}",
        max_age=30.0,
    ),
    Precondition(
        what="the azimuth of the telescope",
        component="ATMCS",
        topic="tel_mount_AzEl_Encoders",
        field="azimuthCalculatedAngle",
        limit=Within(187.7, 189.7, "deg", period=360.0),
        remedy=f"It does not see the screen otherwise. {_SET_UP}",
        max_age=30.0,
    ),
    Precondition(
        what="the cover of the primary mirror",
        component="ATPneumatics",
        topic="evt_m1CoverState",
        field="state",
        limit=OneOf(("OPENED",), ("CLOSED", "OPENED", "INMOTION", "INVALID"), first=1),
        remedy=_SET_UP,
    ),
    Precondition(
        what="the temperature of the WREB",
        component="ATCamera",
        topic="tel_focal_plane_Reb",
        # The one that observers look at in Chronograf.
        field="temp2",
        limit=Within(26.0, 29.0, "deg C"),
        remedy="Gains and bias change with it. Wait until its fan controls it: in warm weather later in the "
        "day, or early in the morning.",
        image_types=_ALL_TYPES,
        max_age=120.0,
    ),
)

# What the public make_lsstcam_calibrations demands before flats. Its light is
# that of LEDs or of a laser, from several places: the configuration does not
# say which, so that nothing can be demanded of them.
_LSSTCAM = (
    Precondition(
        what="the summary state of MTDomeTrajectory",
        component="MTDomeTrajectory",
        topic="evt_summaryState",
        field="summaryState",
        limit=OneOf(("ENABLED",), _SUMMARY_STATES, first=1),
        remedy="It publishes whether the telescope is vignetted, which the headers of flats need. Enable it "
        "with set_summary_state.py.",
    ),
    Precondition(
        what="the summary state of MTDome",
        component="MTDome",
        topic="evt_summaryState",
        field="summaryState",
        limit=OneOf(("DISABLED", "ENABLED"), _SUMMARY_STATES, first=1),
        remedy="It reports where the dome is only then. Change its state with set_summary_state.py.",
    ),
)

_BY_CAMERA: Mapping[str, tuple[Precondition, ...]] = {
    "LATISS": _LATISS,
    # It is at no telescope, and its public script demands nothing.
    "LSSTComCam": (),
    "LSSTCam": _LSSTCAM,
}


def preconditions_of(
    camera: str, image_types: Collection[ImageType] = _ALL_TYPES, ignored: Collection[str] = ()
) -> tuple[Precondition, ...]:
    """Return the preconditions of frames of a camera.

    Parameters
    ----------
    camera : `str`
        The Butler's name of the instrument.
    image_types : `~collections.abc.Collection` [`ImageType`], optional
        The frames that are to be taken.
    ignored : `~collections.abc.Collection` [`str`], optional
        Components that are not looked at, as configurations name them.

    Returns
    -------
    preconditions : `tuple` [`Precondition`, ...]
        None for a camera of which none are known.
    """
    return tuple(
        each
        for each in _BY_CAMERA.get(camera, ())
        if set(each.image_types) & set(image_types) and component_key(each.component) not in ignored
    )
