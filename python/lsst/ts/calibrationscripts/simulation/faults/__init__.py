# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong in the simulated observatory, by name.

Faults are objects, made by `parse_fault` or by their classes. A
`SimulatedObservatory` takes any number of them. Each strikes on one occasion,
such as the third exposure, and ends with the observatory: another one in the
same folder starts without it.
"""

from __future__ import annotations

__all__ = ["FAULTS", "Fault", "parse_fault"]

import difflib

from .base import Fault
from .camera import CameraFault, CameraSilent, HeaderWrongFilter, HeaderWrongType, ReadoutNeverEnds
from .detector import DeadAmplifier, HotRegion
from .frames import LampFails, LightLeak, SaturatedBias
from .jobs import (
    DiskFull,
    JobDropsExposure,
    JobFails,
    JobKilled,
    JobMakesNothing,
    StatisticsMissing,
)
from .ocps import (
    OcpsDuplicates,
    OcpsForeignResult,
    OcpsHttpError,
    OcpsLeavesEnabled,
    OcpsLosesJob,
    OcpsLosesResult,
    OcpsNeverAcknowledges,
    OcpsRejects,
    OcpsReorders,
    OcpsResultFirst,
)
from .one_detector import BadDetector, DetectorFailedIngest, DetectorLate, DetectorMissing
from .oods import (
    OodsFailedIngest,
    OodsForeignImages,
    OodsLate,
    OodsMissing,
    OodsUnannounced,
    OodsUnreadableFile,
)
from .process import Killed, SecondObservatory, SecondOwner
from .repository import (
    CertificationConflict,
    CollectionChanged,
    CollectionRemoved,
    RepositoryLocked,
    RepositoryStaysLocked,
)
from .spectrograph import WheelMoved, WheelTimeout, WrongFilter
from .surroundings import BoardTooWarm, DomeOpen, LampCold, LampOff, TelescopeElsewhere, WhiteLightSilent

FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        CameraFault,
        CameraSilent,
        ReadoutNeverEnds,
        HotRegion,
        DeadAmplifier,
        HeaderWrongType,
        HeaderWrongFilter,
        LampFails,
        LightLeak,
        SaturatedBias,
        WheelTimeout,
        WrongFilter,
        WheelMoved,
        OodsLate,
        OodsMissing,
        OodsUnannounced,
        OodsFailedIngest,
        OodsUnreadableFile,
        OodsForeignImages,
        DetectorLate,
        DetectorMissing,
        DetectorFailedIngest,
        BadDetector,
        OcpsRejects,
        OcpsLosesResult,
        OcpsNeverAcknowledges,
        OcpsDuplicates,
        OcpsReorders,
        OcpsResultFirst,
        OcpsForeignResult,
        OcpsHttpError,
        OcpsLeavesEnabled,
        OcpsLosesJob,
        JobFails,
        JobKilled,
        JobDropsExposure,
        JobMakesNothing,
        StatisticsMissing,
        DiskFull,
        RepositoryLocked,
        RepositoryStaysLocked,
        CollectionRemoved,
        CollectionChanged,
        CertificationConflict,
        SecondOwner,
        SecondObservatory,
        Killed,
        LampCold,
        LampOff,
        DomeOpen,
        TelescopeElsewhere,
        BoardTooWarm,
        WhiteLightSilent,
    )
}
"""All faults, by name."""


def parse_fault(text: str) -> Fault:
    """Make the fault that a text names.

    Parameters
    ----------
    text : `str`
        Name, and the occasion after a colon unless it is the first, such as
        ``ocps-loses-result:2``.

    Returns
    -------
    fault : `Fault`

    Raises
    ------
    ValueError
        If the fault does not exist, or its occasion is not a number from 1.
    """
    name, colon, when = text.partition(":")
    if name not in FAULTS:
        near = difflib.get_close_matches(name, FAULTS, n=1, cutoff=0.0)
        raise ValueError(f"{name!r}: is not a fault; did you mean {near[0]}?")
    fault = FAULTS[name]
    if not colon:
        return fault()
    if not (when.isascii() and when.isdigit() and int(when) > 0):
        raise ValueError(f"{text!r}: write after the colon the {fault.counts} it strikes, a number from 1.")
    return fault(int(when))
