# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gains of pairs of flats, and those that are certified."""

from __future__ import annotations

__all__ = ["read_curves", "read_gains", "read_reference_gains"]

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..comparison import CurveFit
from ..outcomes import Gain
from ..ports import Curves
from ._collections import in_use

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetRef


def read_gains(
    butler: Butler,
    refs: Collection[DatasetRef],
    pairs: Sequence[tuple[int, int, float]],
    detectors: Collection[int],
) -> Iterator[Gain]:
    """Read the gains that were measured on pairs of flats.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    refs : `~collections.abc.Collection` [`lsst.daf.butler.DatasetRef`]
        The results of the pairs.
    pairs : `~collections.abc.Sequence`
        The two exposure ids and the exposure time (s) of each pair.
    detectors : `~collections.abc.Collection` [`int`]
        Ids of the detectors.

    Yields
    ------
    gain : `Gain`
        Of each pair, detector and amplifier.

    Raises
    ------
    LookupError
        If a pair has no result.
    """
    made = {(ref.dataId["exposure"], ref.dataId["detector"]): ref for ref in refs}
    for first, second, exp_time in pairs:
        for detector in detectors:
            results = [made.get((exposure, detector)) for exposure in (first, second)]
            for amplifier, gain, noise in _measured(butler, results):
                yield Gain((first, second), exp_time, detector, amplifier, _finite(gain), _finite(noise))


def read_reference_gains(
    butler: Butler, instrument: str, detectors: Collection[int], exposure: int, collections: Sequence[str]
) -> Mapping[tuple[int, str], float]:
    """Read the gains that are certified for an exposure.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    instrument : `str`
        Its name.
    detectors : `~collections.abc.Collection` [`int`]
        Ids of the detectors.
    exposure : `int`
        Id of the exposure.
    collections : `~collections.abc.Sequence` [`str`]
        Where to look for a ``ptc``.

    Returns
    -------
    gains : `~collections.abc.Mapping` [`tuple` [`int`, `str`], `float`]
        By detector and amplifier (e-/ADU); none of a detector without a
        ``ptc``.
    """
    from lsst.daf.butler import DatasetNotFoundError, MissingDatasetTypeError

    gains = {}
    for detector in detectors:
        try:
            ptc = butler.get(
                "ptc", instrument=instrument, detector=detector, exposure=exposure, collections=collections
            )
        except (DatasetNotFoundError, MissingDatasetTypeError):
            continue
        known = ((amplifier, float(gain)) for amplifier, gain in ptc.gain.items() if math.isfinite(gain))
        gains.update({(detector, amplifier): gain for amplifier, gain in known})
    return gains


def read_curves(butler: Butler, refs: Sequence[DatasetRef], inputs: Sequence[str], exposure: int) -> Curves:
    """Read photon transfer curves, and those in use.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    refs : `~collections.abc.Sequence` [`lsst.daf.butler.DatasetRef`]
        The new ones, one of each detector.
    inputs : `~collections.abc.Sequence` [`str`]
        Where to look for others.
    exposure : `int`
        Id of an exposure that they are valid for.

    Returns
    -------
    curves : `Curves`
    """
    (record,) = butler.query_dimension_records(
        "exposure",
        where="instrument = instrument_name AND exposure = exposure_id",
        bind={"instrument_name": refs[0].dataId["instrument"], "exposure_id": exposure},
        explain=False,
    )
    new: dict[tuple[int, str], CurveFit] = {}
    old: dict[tuple[int, str], CurveFit] = {}
    runs = []
    for ref in refs:
        detector = int(ref.dataId["detector"])
        new |= _fits(butler.get(ref), detector)
        before = in_use(butler, ref, record.timespan, inputs)
        if before is not None:
            old |= _fits(butler.get(before), detector)
            runs.append(before.run)
    return Curves(new, old, ", ".join(dict.fromkeys(runs)))


def _fits(curve: Any, detector: int) -> dict[tuple[int, str], CurveFit]:
    return {
        (detector, amplifier): CurveFit(
            float(gain),
            float(curve.gainErr.get(amplifier, math.nan)),
            float(curve.ptcTurnoff.get(amplifier, math.nan)),
        )
        for amplifier, gain in curve.gain.items()
    }


def _measured(butler: Butler, refs: Sequence[DatasetRef | None]) -> list[tuple[str, float, float]]:
    """Return amplifier, gain and noise of a pair, from either exposure.

    On which of the two the result is depends on the pipeline; the other has
    nothing, or a dummy without gains.
    """
    results = [butler.get(ref) for ref in refs if ref is not None]
    if not results:
        raise LookupError("a pair of flats has no result")
    best = max(results, key=lambda result: sum(map(math.isfinite, result.gain.values())))
    return [(amplifier, gain, best.noise[amplifier]) for amplifier, gain in best.gain.items()]


def _finite(value: float) -> float | None:
    """Return a measurement, or `None` for one that failed."""
    return float(value) if math.isfinite(value) else None
