# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Earlier runs that only the Butler has a record of."""

from __future__ import annotations

__all__ = ["read_history"]

import statistics
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import TYPE_CHECKING

from ..pipelines import GENERATIONS
from ..ports import ObservatoryError
from ..products import Product
from ..trend import BIAS_LEVEL, GAIN, READ_NOISE, Key, Run, gain_conditions, noise_conditions
from ._header import finite, read_header

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetRef

    _ByRun = Callable[[str], dict[str, list[DatasetRef]]]
    """Returns the newest datasets of a type, by RUN collection."""

_TIME_LIMIT = 60.0
"""What cannot be read in this time is left out (s)."""

_MAX_RUNS = 50
_MAX_EXPOSURES = 5
"""Exposures of a run whose statistics are read: the median of a few does."""

_NEWEST = 5000
"""Datasets of a type that are looked at."""

_NOISE_TYPE = "verifyBiasDetStats"
_IMAGE_TYPES = {"2022": "verifyBiasProc", "current": "verifyBiasIsrExp"}
_GAIN_TYPES = {"2022": "cpPtcExtract", "current": "cpPtcPartial"}
"""By generation of the pipelines."""


def read_history(
    repo: str, instrument: str, known: Collection[str] = (), time_limit: float = _TIME_LIMIT
) -> tuple[Run, ...]:
    """Read noise, bias level and gains of the newest jobs in a repository.

    Parameters
    ----------
    repo : `str`
        URI or label of the Butler repository.
    instrument : `str`
        Name of the camera whose jobs are wanted.
    known : `~collections.abc.Collection` [`str`], optional
        Output collections of jobs whose values are known already.
    time_limit : `float`, optional
        What cannot be read in this time is left out (s).

    Returns
    -------
    runs : `tuple` [`Run`, ...]
        One for each RUN collection that has any of them.

    Raises
    ------
    ObservatoryError
        If the repository cannot be read.
    """
    from lsst.daf.butler import Butler

    deadline = time.monotonic() + time_limit
    try:
        with Butler.from_config(repo) as butler:
            of_camera = partial(_by_run, butler, instrument, known)
            return (*_noises(butler, of_camera, deadline), *_gains(butler, of_camera, deadline))
    except Exception as error:
        text = str(error).partition("\n")[0]
        raise ObservatoryError(f"{repo}: could not be read: {type(error).__name__}: {text}") from error


def _by_run(
    butler: Butler, instrument: str, known: Collection[str], dataset_type: str
) -> dict[str, list[DatasetRef]]:
    """Return the newest datasets of a type, by RUN collection."""
    from lsst.daf.butler import MissingDatasetTypeError

    try:
        refs = butler.query_datasets(
            dataset_type,
            collections="*",
            instrument=instrument,
            find_first=False,
            with_dimension_records=True,
            order_by="-exposure",
            limit=_NEWEST,
            explain=False,
        )
    except MissingDatasetTypeError:
        return {}
    found: dict[str, dict[DatasetRef, None]] = {}
    for ref in refs:
        if not any(ref.run == name or ref.run.startswith(f"{name}/") for name in known):
            found.setdefault(ref.run, {})[ref] = None
    return {run: list(same) for run, same in list(found.items())[:_MAX_RUNS]}


def _began(refs: list[DatasetRef]) -> float:
    """Return when the first exposure began (s)."""
    return min(float(ref.dataId.records["exposure"].timespan.begin.unix_tai) for ref in refs)


def _noises(butler: Butler, of_camera: _ByRun, deadline: float) -> Iterator[Run]:
    """Yield read noise and bias level of verified biases."""
    images: dict[str, list[DatasetRef]] = {}
    generations: dict[str, str] = {}
    for generation, name in _IMAGE_TYPES.items():
        for run, refs in of_camera(name).items():
            images[run], generations[run] = refs, generation
    for run, refs in of_camera(_NOISE_TYPE).items():
        if time.monotonic() > deadline:
            return
        exposures = sorted({int(ref.dataId["exposure"]) for ref in refs})
        used = set(exposures[:_MAX_EXPOSURES])
        generation = generations.get(run, "")
        internal = _is_internal(butler, run, exposures[0], generation)
        conditions = noise_conditions(internal, len(exposures), generation)
        first_images: dict[int, DatasetRef] = {}
        for ref in sorted(images.get(run, ()), key=lambda ref: int(ref.dataId["exposure"])):
            first_images.setdefault(int(ref.dataId["detector"]), ref)
        headers = {detector: read_header(butler, ref) for detector, ref in first_images.items()}
        noises: dict[Key, list[float]] = {}
        for ref in refs:
            if int(ref.dataId["exposure"]) not in used:
                continue
            detector = int(ref.dataId["detector"])
            unit = headers[detector].unit if detector in headers else "ADU"
            for amplifier, measured in butler.get(ref)["AMP"].items():
                if (noise := finite(measured.get("NOISE"))) is not None:
                    key = Key(READ_NOISE, unit, detector, amplifier, conditions)
                    noises.setdefault(key, []).append(noise)
        values = {key: statistics.median(same) for key, same in noises.items()}
        for detector, header in headers.items():
            for amplifier, level in header.level.items():
                values[Key(BIAS_LEVEL, "ADU", detector, amplifier)] = level
        yield Run(run, _began(refs), values)


def _is_internal(butler: Butler, run: str, exposure: int, generation: str) -> bool | None:
    """Return whether biases were compared with what was made of them.

    Then the job that combined them is among the inputs. `None` if that is
    not known.
    """
    from lsst.daf.butler import CollectionType, MissingCollectionError, MissingDatasetTypeError

    if generation not in GENERATIONS:
        return None
    # The chain of a job has its RUN collection, and its inputs.
    chain = run.rpartition("/")[0]
    try:
        runs = butler.collections.query(chain, collection_types={CollectionType.RUN}, flatten_chains=True)
        combined = butler.query_datasets(
            str(GENERATIONS[generation].generators[Product.BIAS].per_exposure),
            collections=list(runs),
            where="exposure = exposure_id",
            bind={"exposure_id": exposure},
            find_first=False,
            limit=1,
            explain=False,
        )
    except MissingCollectionError:
        return None
    except MissingDatasetTypeError:
        return False
    return bool(combined)


def _gains(butler: Butler, of_camera: _ByRun, deadline: float) -> Iterator[Run]:
    """Yield the gains of flat pairs."""
    for generation, dataset_type in _GAIN_TYPES.items():
        for run, refs in of_camera(dataset_type).items():
            if time.monotonic() > deadline:
                return
            gains: dict[tuple[int, str], list[float]] = {}
            for ref in refs:
                for amplifier, value in butler.get(ref).gain.items():
                    if (gain := finite(value)) is not None:
                        gains.setdefault((int(ref.dataId["detector"]), amplifier), []).append(gain)
            filters = sorted({str(ref.dataId.records["exposure"].physical_filter) for ref in refs})
            n_pairs = max(map(len, gains.values()), default=0)
            conditions = gain_conditions(", ".join(filters), n_pairs, generation)
            values = {
                Key(GAIN, "e-/ADU", detector, amplifier, conditions): statistics.fmean(same)
                for (detector, amplifier), same in gains.items()
            }
            yield Run(run, _began(refs), values)
