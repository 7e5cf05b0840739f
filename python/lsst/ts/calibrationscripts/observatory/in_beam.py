# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in front of the camera, as its components report it."""

from __future__ import annotations

__all__ = ["in_beam", "not_in_place"]

from collections.abc import Mapping, Sequence

from ..config import Series
from ..instruments import Instrument
from ..wheels import settings_to_change
from .control import Control
from .errors import SAL_ERRORS, explain


async def in_beam(control: Control, instrument: Instrument) -> dict[str, str]:
    """Return the name of what each wheel has in the beam.

    Parameters
    ----------
    control : `Control`
        The instrument.
    instrument : `Instrument`
        Whose wheels.

    Returns
    -------
    names : `dict` [`str`, `str`]
        By wheel.

    Raises
    ------
    TimeoutError
        If a position was never reported.
    RuntimeError
        If it cannot be understood.
    """
    names = {}
    for wheel in instrument.wheels:
        data = await control.wheel_event(wheel).aget(timeout=control.fast_timeout)
        names[wheel] = (await control.read_wheel(wheel, data)).name
    return names


async def not_in_place(
    control: Control,
    instrument: Instrument,
    flats: Sequence[Series],
    names: Mapping[str, Sequence[str]],
) -> tuple[str, ...]:
    """Return why flats cannot be taken if no wheel may be turned.

    Parameters
    ----------
    control : `Control`
        The instrument.
    instrument : `Instrument`
        Whose wheels a run does not turn.
    flats : `~collections.abc.Sequence` [`Series`]
        What is to be taken.
    names : `~collections.abc.Mapping` [`str`, sequence of `str`]
        What is in each wheel, by slot.

    Returns
    -------
    problems : `tuple` [`str`, ...]
    """
    try:
        present = await in_beam(control, instrument)
    except SAL_ERRORS as error:
        component = instrument.components.camera
        return (f"{component} does not report its {' and '.join(instrument.wheels)}: {explain(error)}",)
    return tuple(
        problem for series in flats for problem in settings_to_change(series, instrument, names, present)
    )
