# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exposures, and the calibrations that are there for them."""

from __future__ import annotations

__all__ = ["Nights", "WrongQueryError", "flat_times", "made_at", "read_due"]

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..due import Stock, Taken
from ..ports import ObservatoryError
from ._collections import exists
from ._holding import held
from ._products import first_written
from ._visiting import OpenRepository, visit

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DataCoordinate
    from lsst.daf.butler.queries import Query

TIMEOUT = 120.0
"""Longest that one visit to the repository may take (s)."""

_NEWEST_FLATS = 200
"""Flats through a filter whose exposure times are read."""


@dataclass(frozen=True)
class Nights:
    """Which exposures are meant."""

    newest: int | None = None
    """Only those of so many of the newest observing days that have any."""

    first: int | None = None
    """First observing day, such as 20261125."""

    last: int | None = None
    """Last observing day."""

    where: str = ""
    """Expression of the Butler's, such as ``exposure.exposure_time > 10``."""


class WrongQueryError(ObservatoryError):
    """Collections or an expression that the repository cannot use."""


async def read_due(
    repo: str,
    instrument: str,
    nights: Nights,
    collections: Sequence[str],
    dataset_types: Collection[str],
    daily: str,
    timeout: float = TIMEOUT,
) -> tuple[tuple[Taken, ...], Stock]:
    """Read exposures, and all that collections have for them at any time.

    Parameters
    ----------
    repo : `str`
        URI or label of the repository.
    instrument : `str`
        The Butler's name of the instrument.
    nights : `Nights`
        Which exposures.
    collections : `~collections.abc.Sequence` [`str`]
        Where calibrations are looked up, in order.
    dataset_types : `~collections.abc.Collection` [`str`]
        Which calibrations.
    daily : `str`
        Beginning of the names that a new collection may have.
    timeout : `float`, optional
        Longest that it may take (s).

    Returns
    -------
    exposures : `tuple` [`Taken`, ...]
    stock : `Stock`

    Raises
    ------
    WrongQueryError
        If a collection does not exist, or the expression cannot be used.
    ObservatoryError
        If the repository cannot be read.
    """

    def look(butler: Butler) -> tuple[tuple[Taken, ...], Stock] | WrongQueryError:
        from lsst.daf.butler import ButlerUserError

        missing = [name for name in collections if not exists(butler, name)]
        if missing:
            known = ", ".join(butler.collections.query(f"{instrument}/calib*")[:5]) or "none"
            return WrongQueryError(
                f"--collections {','.join(missing)}: {repo} has no collection of that name. It has, for "
                f"{instrument}: {known}"
            )
        try:
            exposures = tuple(_exposures(butler, instrument, nights))
        except (ButlerUserError, ValueError, LookupError) as error:
            if not nights.where:
                raise
            text = " ".join(str(error).split())
            return WrongQueryError(
                f"--where {nights.where!r}: is not an expression that the Butler can use: {text}"
            )
        return exposures, _stock(butler, instrument, collections, dataset_types, daily)

    result = await visit(
        OpenRepository(repo), "look at exposures and their calibrations", look, timeout=timeout
    )
    if isinstance(result, WrongQueryError):
        raise result
    return result


def _exposures(butler: Butler, instrument: str, nights: Nights) -> Iterator[Taken]:
    """Yield the exposures that are meant."""

    def meant(query: Query) -> Query:
        query = query.join_dimensions(["exposure"]).where(instrument=instrument)
        x = query.expression_factory
        if nights.first is not None:
            query = query.where(x.day_obs >= nights.first)
        if nights.last is not None:
            query = query.where(x.day_obs <= nights.last)
        return query.where(nights.where) if nights.where else query

    with butler.query() as query:
        query = meant(query)
        if nights.newest is not None:
            days = list(query.data_ids(["day_obs"]).order_by("-day_obs").limit(nights.newest))
            if not days:
                return
            query = query.where(query.expression_factory.day_obs >= int(days[-1]["day_obs"]))
        for record in query.dimension_records("exposure").order_by("exposure"):
            yield Taken(
                int(record.id),
                None if record.timespan is None else record.timespan.nsec,
                str(record.physical_filter),
                str(record.observation_type or ""),
            )


def _stock(
    butler: Butler, instrument: str, names: Sequence[str], dataset_types: Collection[str], daily: str
) -> Stock:
    from lsst.daf.butler import CollectionType, MissingDatasetTypeError

    infos = butler.collections.query_info(list(names), flatten_chains=True)
    collections = tuple(info.name for info in infos)

    def wanted(data_id: DataCoordinate) -> bool:
        return bool(data_id["instrument"] == instrument)

    filtered = {"flat"} & set(dataset_types)
    for dataset_type in dataset_types:
        try:
            has_filter = "physical_filter" in butler.get_dataset_type(dataset_type).dimensions
        except MissingDatasetTypeError:
            continue
        (filtered.add if has_filter else filtered.discard)(dataset_type)
    first = butler.collections.get_info(names[0])
    return Stock(
        collections,
        {name: held(butler, name, collections, wanted) for name in dataset_types},
        frozenset(info.name for info in infos if info.type is not CollectionType.CALIBRATION),
        frozenset(filtered),
        frozenset(butler.collections.query(f"{daily}/*")),
        first.name if first.type is CollectionType.CHAINED else None,
    )


async def made_at(
    repo: str, wanted: Collection[tuple[str, str]], timeout: float = TIMEOUT
) -> dict[tuple[str, str], float]:
    """Return when datasets came into the repository.

    Parameters
    ----------
    repo : `str`
        URI or label of the repository.
    wanted : `~collections.abc.Collection` [`tuple` [`str`, `str`]]
        Dataset types, and RUN collections that have some of the type.
    timeout : `float`, optional
        Longest that it may take (s).

    Returns
    -------
    times : `dict` [`tuple` [`str`, `str`], `float`]
        Of one of the datasets: TAI, as a Unix timestamp (s).

    Raises
    ------
    ObservatoryError
        If the repository cannot be read.
    """

    def look(butler: Butler) -> dict[tuple[str, str], float]:
        times = {(kind, run): first_written(butler, [kind], run) for kind, run in wanted}
        return {each: time for each, time in times.items() if time is not None}

    return await visit(OpenRepository(repo), "look up when calibrations were made", look, timeout=timeout)


async def flat_times(
    repo: str, instrument: str, filters: Collection[str], timeout: float = TIMEOUT
) -> dict[str, float]:
    """Return which exposure time the newest flats through filters have.

    Parameters
    ----------
    repo : `str`
        URI or label of the repository.
    instrument : `str`
        The Butler's name of the instrument.
    filters : `~collections.abc.Collection` [`str`]
        Physical filters.
    timeout : `float`, optional
        Longest that it may take (s).

    Returns
    -------
    times : `dict` [`str`, `float`]
        That of most flats of the newest observing day that has any (s).
        Filters without one, such as after a ramp, are left out.

    Raises
    ------
    ObservatoryError
        If the repository cannot be read.
    """

    def look(butler: Butler) -> dict[str, float]:
        return {each: time for each in filters if (time := _flat_time(butler, instrument, each))}

    return await visit(OpenRepository(repo), "look up how flats were taken", look, timeout=timeout)


def _flat_time(butler: Butler, instrument: str, physical_filter: str) -> float | None:
    with butler.query() as query:
        x = query.expression_factory
        query = query.join_dimensions(["exposure"]).where(
            x.exposure.observation_type.in_iterable(["flat", "FLAT"]),
            instrument=instrument,
            physical_filter=physical_filter,
        )
        flats = list(query.dimension_records("exposure").order_by("-exposure").limit(_NEWEST_FLATS))
    times = Counter(flat.exposure_time for flat in flats if flat.day_obs == flats[0].day_obs)
    time, n = next(iter(times.most_common(1)), (None, 0))
    return float(time) if time and 2 * n > times.total() else None
