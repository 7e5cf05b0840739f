# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instruments have a script, and which one.

Only `script_class` imports SAL, so that a schema can be had without it.
"""

from __future__ import annotations

__all__ = ["SCRIPTS", "script_class"]

import importlib
from typing import TYPE_CHECKING

from ..instruments import LATISS, LSSTCAM, LSSTCOMCAM, Instrument

if TYPE_CHECKING:
    from .script import BaseMakeCalibrations

SCRIPTS = {
    LATISS.name: (f"{__package__}.make_latiss_calibrations", "MakeLatissCalibrations"),
    LSSTCOMCAM.name: (f"{__package__}.make_comcam_calibrations", "MakeComCamCalibrations"),
    LSSTCAM.name: (f"{__package__}.make_lsstcam_calibrations", "MakeLSSTCamCalibrations"),
}
"""Module and class of each instrument's script, by name of the instrument."""


def script_class(instrument: Instrument) -> type[BaseMakeCalibrations]:
    """Return the class of an instrument's script.

    Parameters
    ----------
    instrument : `Instrument`
        The instrument, one of `SCRIPTS`.

    Returns
    -------
    script_class : `type`
        A subclass of `BaseMakeCalibrations`.

    Raises
    ------
    SalNotInstalledError
        If SAL is not installed.
    """
    # Before its subclass, so that the error without SAL names salobj.
    from . import script

    module, name = SCRIPTS[instrument.name]
    found: type[script.BaseMakeCalibrations] = getattr(importlib.import_module(module), name)
    return found
