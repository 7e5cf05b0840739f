# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Butler repository, read and certified in worker threads."""

from __future__ import annotations

__all__ = ["ButlerRepository"]

import asyncio
import contextlib
import errno
import math
import re
import shlex
import shutil
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..instruments import Instrument
from ..outcomes import Certification, Gain
from ..ports import ExposureRecord, ObservatoryError
from ..threads import in_thread

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetRef, Timespan

_REMEDIES: tuple[tuple[frozenset[tuple[str, int | str]], str], ...] = (
    (
        frozenset(
            {
                *(("sqlite", code) for code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)),
                *(("postgresql", code) for code in ("25006", "42501")),
                *(("system", code) for code in (errno.EROFS, errno.EACCES, errno.EPERM)),
            }
        ),
        "This account may not do that: have the permissions of the repository mended",
    ),
    (
        frozenset(
            {
                ("sqlite", sqlite3.SQLITE_FULL),
                ("postgresql", "53100"),
                *(("system", code) for code in (errno.ENOSPC, errno.EDQUOT)),
            }
        ),
        "The disk of the repository is full: make room there",
    ),
    (
        frozenset(
            {("sqlite", sqlite3.SQLITE_BUSY), ("sqlite", sqlite3.SQLITE_LOCKED), ("postgresql", "55P03")}
        ),
        "Another program keeps the repository locked: see who writes there",
    ),
)
"""What to do about errors, by the codes of who raised them."""

T = TypeVar("T")


class ButlerRepository:
    """A `CalibrationRepository` over `lsst.daf.butler`.

    A repository that another program has locked is waited for: a Butler on
    SQLite does so for five minutes, this for `TIMEOUT`.

    Parameters
    ----------
    repo : `str`
        URI or label of the repository.
    instrument : `Instrument`
        Whose datasets are looked at.
    detectors : `tuple` [`int`, ...]
        Ids of the detectors that are processed.
    """

    TIMEOUT = 120.0
    """Longest that one visit to the repository may take (s)."""

    MIN_FREE_SPACE = 100_000_000
    """Room that must be left on the disk of a repository of files: a raw
    frame takes 38 MB, what is made of it about twice that (byte)."""

    def __init__(self, repo: str, instrument: Instrument, detectors: tuple[int, ...]) -> None:
        self._repo = repo
        self._instrument = instrument
        self._detectors = detectors
        self._present: set[str] = set()
        """Collections certified into that have been seen to exist."""

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
            problems = await self._visit(
                "look at the collections", look, "Check the configuration key 'repo'"
            )
            if certifications:
                await self._visit("write into the registry", _try_to_write, writeable=True)
        except ObservatoryError as error:
            return (str(error),)
        return (*problems, *self._want_of_space())

    def _want_of_space(self) -> Iterator[str]:
        from lsst.daf.butler import Butler

        root = Butler.get_repo_uri(self._repo, return_label=True)
        if not root.isLocal:
            return
        free = shutil.disk_usage(root.ospath).free
        if free < self.MIN_FREE_SPACE:
            yield (
                f"{self._repo}: only {free / 1e6:.0f} MB are left on its disk, and frames and their products "
                f"need {self.MIN_FREE_SPACE / 1e6:.0f} MB at the least. Make room there"
            )

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
            self._present.add(collection)
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
        own_run = _source_run(butler, certification)
        try:
            associations = butler.registry.queryDatasetAssociations(
                certification.dataset_type,
                collections=[certification.collection],
                collectionTypes={CollectionType.CALIBRATION},
            )
            for association in associations:
                data_id = association.ref.dataId
                taken = association.timespan
                if association.ref.run == own_run:
                    continue
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

    async def raw_level(self, exposure: int) -> float:
        """Return the median level of a raw frame (ADU above bias)."""
        import numpy as np

        def read(butler: Butler) -> float:
            levels = []
            for detector in self._detectors:
                raw = butler.get(
                    "raw",
                    instrument=self._instrument.name,
                    exposure=exposure,
                    detector=detector,
                    collections=f"{self._instrument.name}/raw/all",
                )
                # A tenth of a raw frame is overscan, which has no light.
                bias, level = np.percentile(raw.image.array, [5, 50])
                levels.append(float(level - bias))
            return float(np.median(levels))

        return await self._visit(f"read the raw frame of exposure {exposure}", read)

    async def exposure_of_group(self, group: str) -> int | None:
        """Return the exposure that was taken as a group of its own."""

        def look(butler: Butler) -> int | None:
            records = butler.query_dimension_records(
                "exposure",
                where="instrument = instrument_name AND exposure.group = group_name",
                bind={"instrument_name": self._instrument.name, "group_name": group},
                explain=False,
            )
            return max((int(record.id) for record in records), default=None)

        return await self._visit(f"look for the exposure of group {group}", look)

    async def exposure_records(self, exposures: Collection[int]) -> Mapping[int, ExposureRecord]:
        """Return what is known of exposures; those unknown are left out."""

        def look(butler: Butler) -> dict[int, ExposureRecord]:
            records = butler.query_dimension_records(
                "exposure",
                where="instrument = instrument_name AND exposure IN (exposure_ids)",
                bind={"instrument_name": self._instrument.name, "exposure_ids": tuple(exposures)},
                explain=False,
                limit=None,
            )
            return {
                int(record.id): ExposureRecord(
                    image_type=record.observation_type.upper(),
                    exp_time=float(record.exposure_time),
                    physical_filter=record.physical_filter,
                    group=record.group,
                )
                for record in records
            }

        return await self._visit("look at the exposures", look) if exposures else {}

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

    async def product_in(self, dataset_type: str, run_collection: str) -> bool:
        """Return whether a run has made such a dataset for each detector."""

        def look(butler: Butler) -> bool:
            made = [ref.dataId for ref in _datasets(butler, dataset_type, run_collection)]
            # Statistics are of the whole run, without a detector.
            detectors = {data_id.get("detector") for data_id in made}
            return None in detectors or detectors.issuperset(self._detectors)

        return await self._visit(f"look for {dataset_type} in {run_collection}", look)

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

    async def is_certified(self, certification: Certification) -> bool:
        """Return whether all that is to be certified is so already."""

        def look(butler: Butler) -> bool:
            refs = _products(butler, certification)
            return bool(refs) and all(_is_found(butler, certification, ref) for ref in refs)

        return await self._visit(f"look for {certification.dataset_type} in {certification.collection}", look)

    async def certify(self, *certifications: Certification) -> None:
        """Certify, and see that the datasets can be found by date."""
        from lsst.daf.butler import CollectionType

        given_up = threading.Event()

        def certify(butler: Butler) -> None:
            collections = {certification.collection for certification in certifications}
            for collection in sorted(collections & self._present):
                if not _exists(butler, collection):
                    # A Butler would make it anew, without what it held.
                    raise LookupError(f"{collection} existed before and has been removed meanwhile")
            products = {certification: _products(butler, certification) for certification in certifications}
            for certification, refs in products.items():
                if not refs:
                    raise LookupError(f"no {certification.dataset_type} in {certification.source}")
            for collection in collections:
                butler.collections.register(collection, CollectionType.CALIBRATION)
            with butler.transaction():
                # This may have waited for another's lock longer than anyone
                # waited for it.
                if given_up.is_set():
                    raise TimeoutError("given up")
                for certification, refs in products.items():
                    butler.registry.certify(certification.collection, refs, _timespan(certification))

        def read_back(butler: Butler) -> None:
            for certification in certifications:
                for ref in _products(butler, certification):
                    if not _is_found(butler, certification, ref):
                        raise LookupError(f"{ref} was certified but cannot be found in its validity range")

        what = " and ".join(certification.dataset_type for certification in certifications)
        where = " and ".join(dict.fromkeys(certification.collection for certification in certifications))
        by_hand = " && ".join(map(self._command, certifications))
        try:
            await self._visit(
                f"certify {what} into {where}",
                certify,
                f"To certify later: {by_hand}",
                writeable=True,
            )
        finally:
            given_up.set()
        self._present.update(certification.collection for certification in certifications)
        await self._visit(f"read back {what} from {where}", read_back)

    def _command(self, certification: Certification) -> str:
        """Return what certifies by hand."""
        begin = _lower_bound(certification)
        return shlex.join(
            (
                *("butler", "certify-calibrations", self._repo, certification.source),
                *(certification.collection, certification.dataset_type),
                *(() if begin is None else ("--begin-date", begin)),
                *("--end-date", certification.end_date),
            )
        )

    async def _visit(
        self, purpose: str, action: Callable[[Butler], T], advice: str = "", *, writeable: bool = False
    ) -> T:
        """Run an action on the repository, in a thread of its own.

        Raises
        ------
        ObservatoryError
            Whatever goes wrong, with its cause and a remedy: a Butler raises
            errors of many families (its own, KeyError, LookupError, OSError
            and the database's).
        """

        def visit() -> T:
            from lsst.daf.butler import Butler

            # A new Butler knows the collections that jobs have made since.
            # Only the registry is ever written.
            with Butler.from_config(self._repo, writeable=writeable, without_datastore=writeable) as butler:
                return action(butler)

        def failure(what: str, *remedies: str) -> ObservatoryError:
            sentences = (f"{self._repo}: could not {purpose}{what}", *remedies, advice)
            return ObservatoryError(". ".join(filter(None, sentences)))

        try:
            return await asyncio.wait_for(in_thread(visit), self.TIMEOUT)
        except TimeoutError as error:
            remedy = "See whether another program keeps it locked"
            raise failure(f" within {self.TIMEOUT:g} s", remedy) from error
        except Exception as error:
            text = str(error).partition("\n")[0].rstrip(".")
            raise failure(f": {type(error).__name__}: {text}", *_remedies(error)) from error


def _remedies(error: BaseException) -> Iterator[str]:
    """Yield what helps against an error."""
    from lsst.daf.butler.registry import ConflictingDefinitionError

    if isinstance(error, ConflictingDefinitionError):
        yield "Somebody has certified for these dates meanwhile: choose other dates or another collection"
    codes: set[tuple[str, int | str]] = set()
    link: BaseException | None = error
    while link is not None:
        # The low byte of SQLite's extended codes is the kind of error.
        codes.add(("sqlite", getattr(link, "sqlite_errorcode", 0) & 0xFF))
        codes.add(("postgresql", getattr(link, "pgcode", None) or ""))
        codes.add(("system", getattr(link, "errno", None) or 0))
        link = link.__cause__
    for known, remedy in _REMEDIES:
        if known & codes:
            yield remedy


class _RollBackError(Exception):
    """Ends a transaction without effect."""


def _try_to_write(butler: Butler) -> None:
    """Raise if the registry cannot be written; leave it as it is."""
    for collection in butler.registry.queryCollections(flattenChains=False):
        with contextlib.suppress(_RollBackError), butler.transaction():
            doc = butler.registry.getCollectionDocumentation(collection)
            butler.registry.setCollectionDocumentation(collection, doc)
            raise _RollBackError
        break


def _exists(butler: Butler, collection: str) -> bool:
    from lsst.daf.butler import MissingCollectionError

    try:
        butler.collections.get_info(collection)
    except MissingCollectionError:
        return False
    return True


def _source_run(butler: Butler, certification: Certification) -> str | None:
    """Return the run that is certified from, if it exists."""
    if not certification.source or not _exists(butler, certification.source):
        return None
    children = butler.collections.get_info(certification.source).children
    # What a job read comes after what it made.
    return children[0] if children else certification.source


def _datasets(butler: Butler, dataset_type: str, run: str) -> list[DatasetRef]:
    """Return the datasets of a run; none if there is no such run or type."""
    from lsst.daf.butler import MissingCollectionError, MissingDatasetTypeError

    try:
        return butler.query_datasets(
            dataset_type, collections=run, find_first=False, explain=False, limit=None
        )
    except (MissingCollectionError, MissingDatasetTypeError):
        return []


def _products(butler: Butler, certification: Certification) -> list[DatasetRef]:
    run = _source_run(butler, certification)
    return [] if run is None else _datasets(butler, certification.dataset_type, run)


def _is_found(butler: Butler, certification: Certification, ref: DatasetRef) -> bool:
    """Return whether a dataset is what is found in the validity range."""
    if not _exists(butler, certification.collection):
        return False
    found = butler.find_dataset(
        certification.dataset_type,
        ref.dataId,
        collections=certification.collection,
        timespan=_timespan(certification),
    )
    return found is not None and found.id == ref.id


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
