# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration says of filters and gratings, by their names."""

from __future__ import annotations

__all__ = ["physical_filter", "selected", "setting_names", "settings_to_change", "unknown_settings"]

from collections.abc import Iterator, Mapping, Sequence

from .config import Series
from .instruments import Instrument


def selected(series: Series, instrument: Instrument) -> dict[str, int | str]:
    """Return what the observer selects, by wheel of the instrument.

    Parameters
    ----------
    series : `Series`
        Flats.
    instrument : `Instrument`
        Whose wheels.

    Returns
    -------
    settings : `dict` [`str`, `int` or `str`]
        Name or slot; nothing for a wheel that is left as it is.
    """
    choices = {"filter": series.filter, "grating": series.grating}
    return {wheel: value for wheel in instrument.wheels if (value := choices[wheel]) is not None}


def unknown_settings(
    series: Series, instrument: Instrument, names: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Yield what is selected that a wheel does not have.

    Parameters
    ----------
    series : `Series`
        Flats.
    instrument : `Instrument`
        Whose wheels.
    names : `~collections.abc.Mapping` [`str`, sequence of `str`]
        What is in each wheel, by slot.

    Yields
    ------
    problem : `str`
        With what there is.
    """
    component = instrument.components.spectrograph or instrument.components.camera
    for wheel, value in selected(series, instrument).items():
        if value in names[wheel] or value in range(len(names[wheel])):
            continue
        known = ", ".join(f"{name} (slot {slot})" for slot, name in enumerate(names[wheel]) if name)
        yield f"{wheel}: {value}: {component} does not have this {wheel}; write one of {known}"


def setting_names(
    series: Series, instrument: Instrument, names: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return the names of what is selected, which the wheels have.

    Parameters
    ----------
    series : `Series`
        Flats.
    instrument : `Instrument`
        Whose wheels.
    names : `~collections.abc.Mapping` [`str`, sequence of `str`]
        What is in each wheel, by slot.

    Returns
    -------
    names : `dict` [`str`, `str`]
        By wheel.
    """
    return {
        wheel: value if isinstance(value, str) else names[wheel][value]
        for wheel, value in selected(series, instrument).items()
    }


def settings_to_change(
    series: Series,
    instrument: Instrument,
    names: Mapping[str, Sequence[str]],
    in_beam: Mapping[str, str],
) -> Iterator[str]:
    """Yield what is selected that is not in the beam.

    Parameters
    ----------
    series : `Series`
        Flats.
    instrument : `Instrument`
        Whose wheels a run does not turn.
    names : `~collections.abc.Mapping` [`str`, sequence of `str`]
        What is in each wheel, by slot.
    in_beam : `~collections.abc.Mapping` [`str`, `str`]
        What each wheel has in the beam.

    Yields
    ------
    problem : `str`
        With what to do.
    """
    for wheel, name in setting_names(series, instrument, names).items():
        if name != in_beam[wheel]:
            yield (
                f"{wheel}: {name}: {instrument.components.camera} has {in_beam[wheel]} in the light path, "
                f"and a run does not change the {wheel} of {instrument.name}; change it first, or leave "
                f"{wheel} out"
            )


def physical_filter(
    series: Series, instrument: Instrument, names: Mapping[str, Sequence[str]] | None
) -> str | None:
    """Return the physical filter of flats, as far as the text says it.

    Parameters
    ----------
    series : `Series`
        Flats.
    instrument : `Instrument`
        Whose wheels.
    names : `~collections.abc.Mapping` [`str`, sequence of `str`] or `None`
        What is in each wheel, by slot; `None` if that is not known.

    Returns
    -------
    name : `str` or `None`
        `None` if a wheel is left as it is, or its slot has no known name.
    """
    settings = selected(series, instrument)
    by_slot = any(isinstance(value, int) for value in settings.values())
    if settings.keys() != set(instrument.wheels) or (by_slot and names is None):
        return None
    return "~".join(setting_names(series, instrument, names or {}).values())
