# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera as the configuration's descriptions and hints write it."""

from __future__ import annotations

__all__ = [
    "count_amplifiers",
    "flat_examples",
    "never_fails",
    "schema_facts",
    "setting_text",
    "threshold_limit",
]

from pathlib import PurePosixPath

from ..instruments import Instrument
from ..thresholds import detectors_to_fail
from ._surroundings import ignored_example, preconditions_text


def threshold_limit(instrument: Instrument, selected: tuple[int, ...] = ()) -> int:
    """Return the largest verification threshold at which a frame can fail.

    Parameters
    ----------
    instrument : `Instrument`
        The camera.
    selected : `tuple` [`int`, ...], optional
        Ids of the detectors that are processed; none means all.

    Returns
    -------
    limit : `int`
        For one detector, the number of its amplifiers.
    """
    n_detectors = len(instrument.detector_ids(selected))
    return count_amplifiers(instrument, selected) // detectors_to_fail(n_detectors)


def never_fails(threshold: int, instrument: Instrument, selected: tuple[int, ...] = ()) -> str:
    """Return why no frame can fail a verification, "" if one can.

    Parameters
    ----------
    threshold : `int`
        Of the verification.
    instrument : `Instrument`
        The camera.
    selected : `tuple` [`int`, ...], optional
        Ids of the detectors that are processed; none means all.

    Returns
    -------
    why : `str`
        A clause.
    """
    if threshold <= threshold_limit(instrument, selected):
        return ""
    n_detectors = len(instrument.detector_ids(selected))
    why = f"{instrument.name} has {count_amplifiers(instrument, selected)} amplifiers"
    if n_detectors > 1:
        needed = threshold * detectors_to_fail(n_detectors)
        why = f"that needs {needed} failures, {why} in {n_detectors} detectors"
    return why


def count_amplifiers(instrument: Instrument, selected: tuple[int, ...] = ()) -> int:
    """Return how many amplifiers the detectors have that are processed."""
    ids = instrument.detector_ids(selected)
    return sum(len(detector.amplifiers) for detector in instrument.detectors if detector.id in ids)


def flat_examples(instrument: Instrument) -> tuple[dict[str, str], dict[str, str]]:
    """Return two settings of a camera's wheels, by parameter.

    Parameters
    ----------
    instrument : `Instrument`
        The camera.

    Returns
    -------
    first, second : `dict` [`str`, `str`]
        For example ``{"filter": "SDSSr_65mm", "grating": "empty_1"}``.
    """
    first, second = instrument.flat_examples or (
        tuple(f"{wheel}_{i}" for wheel in instrument.wheels) for i in (1, 2)
    )
    return (
        dict(zip(instrument.wheels, first, strict=True)),
        dict(zip(instrument.wheels, second, strict=True)),
    )


def schema_facts(instrument: Instrument) -> dict[str, str | int]:
    """Return the words in ``<>`` of the base schema, and their values.

    Parameters
    ----------
    instrument : `Instrument`
        The camera.

    Returns
    -------
    facts : `dict` [`str`, `str` or `int`]
    """
    script = PurePosixPath(instrument.scripts[0]).stem
    n_detectors, limit = len(instrument.detectors), threshold_limit(instrument)
    first, second = flat_examples(instrument)
    low, high = instrument.usable_counts
    return {
        "name": instrument.name,
        "script": script,
        "title": instrument.script_title or "".join(word.capitalize() for word in script.split("_")),
        "repo": instrument.repo,
        "raw_collection": instrument.raw_collection,
        "calib_collection": instrument.calib_collection,
        "detectors": f"{instrument.name} has only detector {instrument.detectors[0].id}, so leave it out."
        if n_detectors == 1
        else f"{instrument.name} has {n_detectors} detectors.",
        "most_failures": f"{limit}, the amplifiers of a {instrument.name} image"
        if n_detectors == 1
        else str(limit),
        "usable_min": f"{low:.0f}",
        "usable_max": f"{high:.0f}",
        "wheels": " and ".join(instrument.wheels),
        "preconditions": preconditions_text(instrument.name),
        "ignored": ignored_example(instrument.name),
        "filter_use": "to set before the flats"
        if instrument.wheels_turn
        else "in place, which a run does not change",
        "filter_id": "the slot of the filter wheel"
        if instrument.components.spectrograph
        else f"its place in the list of filters that {instrument.components.camera} reports",
        "last_slot": instrument.wheel_slots - 1,
        **first,
        **{f"other_{wheel}": name for wheel, name in second.items()},
        "flats": setting_text(first),
        "other_flats": setting_text(second),
    }


def setting_text(wheels: dict[str, str]) -> str:
    """Return a setting of the wheels as it is written in YAML."""
    return ", ".join(f"{wheel}: {name}" for wheel, name in wheels.items())
