# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Butler repository, read and certified in worker threads."""

from __future__ import annotations

__all__ = ["ButlerRepository"]

import asyncio
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..instruments import Instrument
from ..ports import Certification, Gain, ObservatoryError

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, Timespan

_TIMEOUT = 120.0
"""Longest that one visit to the repository may take (s)."""

T = TypeVar("T")


class ButlerRepository:
    """A `CalibrationRepository` over `lsst.daf.butler`.

    Parameters
    ----------
    repo : `str`
        URI or label of the repository.
    instrument : `Instrument`
        Whose datasets are looked at.
    detectors : `tuple` [`int`, ...]
        Ids of the detectors that are processed.
    """

    def __init__(self, repo: str, instrument: Instrument, detectors: tuple[int, ...]) -> None:
        self._repo = repo
        self._instrument = instrument
        self._detectors = detectors

    async def check(
        self, inputs: Collection[str], certifications: Sequence[Certification]
    ) -> tuple[str, ...]:
        """Return what would make a job or a certification fail later."""

        def look(butler: Butler) -> tuple[str, ...]:
            return (
                *self._missing_inputs(butler, inputs),
                *self._obstacles(butler, certifications),
            )

        try:
            return await self._visit("look at the collections", look)
        except ObservatoryError as error:
            return (f"{error}. Check the configuration key 'repo'.",)

    def _missing_inputs(self, butler: Butler, inputs: Collection[str]) -> Iterator[str]:
        from lsst.daf.butler import MissingCollectionError

        for name in sorted(inputs):
            try:
                butler.collections.get_info(name)
            except MissingCollectionError:
                yield f"input collection {name} does not exist in {self._repo}"

    def _obstacles(self, butler: Butler, certifications: Sequence[Certification]) -> Iterator[str]:
        """Yield what keeps datasets from being certified."""
        from lsst.daf.butler import CollectionType, MissingCollectionError

        for collection in sorted({certification.collection for certification in certifications}):
            try:
                kind = butler.collections.get_info(collection).type
            except MissingCollectionError:
                continue
            if kind is not CollectionType.CALIBRATION:
                yield (
                    f"calib_collection {collection} is a {kind.name} collection, which nothing can be "
                    "certified into. Write another name"
                )
                continue
            conflicts = [
                f"{certification.dataset_type}, valid {taken}"
                for certification in certifications
                if certification.collection == collection and (taken := self._conflict(butler, certification))
            ]
            if conflicts:
                first = certifications[0]
                yield (
                    f"calib_collection {collection} has calibrations already ({'; '.join(conflicts)}): none "
                    f"can be certified for {first.begin_date} to {first.end_date}. Write another "
                    "calib_collection, or other certify_calib_begin_date and certify_calib_end_date"
                )

    def _conflict(self, butler: Butler, certification: Certification) -> Timespan | None:
        """Return the validity range that stands in the way, if one does."""
        from lsst.daf.butler import CollectionType, MissingDatasetTypeError

        wanted = _timespan(certification)
        try:
            associations = butler.registry.queryDatasetAssociations(
                certification.dataset_type,
                collections=[certification.collection],
                collectionTypes={CollectionType.CALIBRATION},
            )
            for association in associations:
                data_id = association.ref.dataId
                taken = association.timespan
                if taken is None or not taken.overlaps(wanted) or data_id["detector"] not in self._detectors:
                    continue
                other_filter = data_id.get("physical_filter")
                this_filter = certification.physical_filter
                if other_filter and this_filter and not _same_filter(other_filter, this_filter):
                    continue
                return taken
        except MissingDatasetTypeError:
            pass
        return None

    async def raws(self, exposures: Collection[int]) -> frozenset[tuple[int, int]]:
        """Return which (exposure, detector) pairs have been ingested."""

        def look(butler: Butler) -> frozenset[tuple[int, int]]:
            refs = butler.query_datasets(
                "raw",
                collections=f"{self._instrument.name}/raw/all",
                where="instrument = instrument_name AND exposure IN (exposure_ids)",
                bind={"instrument_name": self._instrument.name, "exposure_ids": tuple(exposures)},
                explain=False,
                limit=None,
            )
            return frozenset((ref.dataId["exposure"], ref.dataId["detector"]) for ref in refs)

        if not exposures:
            return frozenset()
        return await self._visit("look for raw frames", look)

    async def exposures_with(self, dataset_type: str, collection: str) -> frozenset[tuple[int, int]] | None:
        """Return the (exposure, detector) pairs that have such a dataset."""
        from lsst.daf.butler import MissingDatasetTypeError

        def look(butler: Butler) -> frozenset[tuple[int, int]] | None:
            try:
                refs = butler.query_datasets(
                    dataset_type, collections=collection, find_first=False, explain=False, limit=None
                )
            except MissingDatasetTypeError:
                return None
            return frozenset((ref.dataId["exposure"], ref.dataId["detector"]) for ref in refs)

        return await self._visit(f"list {dataset_type} in {collection}", look)

    async def statistics(
        self, dataset_type: str, collection: str, physical_filter: str | None = None
    ) -> object:
        """Return the run statistics of a verification."""

        def read(butler: Butler) -> Any:
            # The frames' own physical_filter, since the spectrograph may
            # name it otherwise.
            refs = butler.query_datasets(dataset_type, collections=collection)
            if physical_filter is not None:
                refs = [ref for ref in refs if _same_filter(ref.dataId["physical_filter"], physical_filter)]
            if len(refs) != 1:
                raise LookupError(f"{len(refs)} datasets for {physical_filter or 'the run'} instead of one")
            return butler.get(refs[0])

        return await self._visit(f"read {dataset_type} from {collection}", read)

    async def gains(
        self, dataset_type: str, collection: str, pairs: Sequence[tuple[int, int, float]]
    ) -> tuple[Gain, ...]:
        """Return the gains measured on pairs of flats."""

        def read(butler: Butler) -> tuple[Gain, ...]:
            return tuple(
                Gain(
                    (first, second),
                    exp_time,
                    detector,
                    amplifier,
                    _finite(gain),
                    _finite(result.noise[amplifier]),
                )
                for first, second, exp_time in pairs
                for detector in self._detectors
                for result in [
                    butler.get(
                        dataset_type,
                        instrument=self._instrument.name,
                        exposure=first,
                        detector=detector,
                        collections=collection,
                    )
                ]
                for amplifier, gain in result.gain.items()
            )

        return await self._visit(f"read {dataset_type} from {collection}", read)

    async def reference_gains(
        self, collections: Sequence[str], exposure: int
    ) -> Mapping[tuple[int, str], float]:
        """Return the gains that are certified for an exposure."""
        from lsst.daf.butler import DatasetNotFoundError, MissingDatasetTypeError

        def read(butler: Butler) -> dict[tuple[int, str], float]:
            gains = {}
            for detector in self._detectors:
                try:
                    ptc = butler.get(
                        "ptc",
                        instrument=self._instrument.name,
                        detector=detector,
                        exposure=exposure,
                        collections=collections,
                    )
                except (DatasetNotFoundError, MissingDatasetTypeError):
                    continue
                gains.update(
                    {
                        (detector, amplifier): float(gain)
                        for amplifier, gain in ptc.gain.items()
                        if math.isfinite(gain)
                    }
                )
            return gains

        return await self._visit(f"read the reference ptc from {', '.join(collections)}", read)

    async def certify(self, certification: Certification) -> None:
        """Certify, and see that the datasets can be found by date."""

        def certify(butler: Butler) -> None:
            from lsst.daf.butler.script import certifyCalibrations

            certifyCalibrations(
                repo=self._repo,
                input_collection=certification.source,
                output_collection=certification.collection,
                dataset_type_name=certification.dataset_type,
                begin_date=_lower_bound(certification),
                end_date=certification.end_date,
                search_all_inputs=False,
            )
            butler.registry.refresh()
            timespan = _timespan(certification)
            children = butler.collections.get_info(certification.source).children
            run = children[0] if children else certification.source
            for ref in butler.query_datasets(certification.dataset_type, collections=run):
                found = butler.find_dataset(
                    certification.dataset_type,
                    ref.dataId,
                    collections=certification.collection,
                    timespan=timespan,
                )
                if found is None or found.id != ref.id:
                    raise LookupError(f"{ref} was certified but cannot be found in its validity range")

        await self._visit(f"certify {certification.dataset_type} into {certification.collection}", certify)

    async def _visit(self, purpose: str, action: Callable[[Butler], T]) -> T:
        """Run an action on the repository, in a thread of its own.

        Raises
        ------
        ObservatoryError
            Whatever goes wrong, with its cause: a Butler raises errors of
            many families (its own, KeyError, LookupError, OSError and the
            database's).
        """

        def visit() -> T:
            from lsst.daf.butler import Butler

            # A new Butler knows the collections that jobs have made since.
            with Butler.from_config(self._repo, writeable=False) as butler:
                return action(butler)

        try:
            return await asyncio.wait_for(asyncio.to_thread(visit), _TIMEOUT)
        except TimeoutError as error:
            raise ObservatoryError(f"{self._repo}: could not {purpose} within {_TIMEOUT:g} s") from error
        except Exception as error:
            raise ObservatoryError(
                f"{self._repo}: could not {purpose}: {type(error).__name__}: {error}"
            ) from error


def _finite(value: float) -> float | None:
    """Return a measurement, or `None` for one that failed."""
    return float(value) if math.isfinite(value) else None


def _timespan(certification: Certification) -> Timespan:
    import astropy.time
    from lsst.daf.butler import Timespan

    begin = _lower_bound(certification)
    return Timespan(
        None if begin is None else astropy.time.Time(begin, scale="tai"),
        astropy.time.Time(certification.end_date, scale="tai"),
    )


def _lower_bound(certification: Certification) -> str | None:
    """Return the beginning, or `None` if the Butler would ignore it.

    Its time begins in 1970; it takes anything before that as unbounded,
    with a warning for each.
    """
    return certification.begin_date if certification.begin_date >= "1970" else None


def _same_filter(one: str, other: str) -> bool:
    """Compare, as empty slots are numbered in one place and not in another."""
    return re.sub(r"empty_\d+", "empty", one) == re.sub(r"empty_\d+", "empty", other)
