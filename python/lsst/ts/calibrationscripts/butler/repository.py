# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Butler repository, read and certified in worker threads."""

from __future__ import annotations

__all__ = ["ButlerRepository"]

import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..comparison import AmplifierResiduals
from ..instruments import Instrument, same_filter
from ..outcomes import Certification, DetectorDefects, Gain
from ..ports import Applied, Curves, ExposureRecord, Lookup, Missing, ObservatoryError, Wanted
from ..products import Subject
from ..proof import ProductRecord, Proof
from ..spoilt import AmplifierMeasure
from ..verification import ExposureDetail, FailureLevel, dataset_name
from ._certifying import advice_by_hand, obstacles, uncertified
from ._certifying import certify as make_certifications
from ._collections import datasets, exists
from ._defects import read_defects
from ._gains import read_curves, read_gains, read_reference_gains
from ._looking_up import unavailable
from ._measuring import measure_frame, raw_level
from ._products import first_written, found_before, product_records
from ._visiting import OpenRepository, UnprovenError, try_to_write, visit
from .comparing import read_residuals

if TYPE_CHECKING:
    from lsst.daf.butler import Butler

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
    writes : `bool`, optional
        Whether to check that it can be written.
    """

    TIMEOUT = 120.0
    """Longest that one visit to the repository may take (s)."""

    MIN_FREE_SPACE = 100_000_000
    """Room that must be left on the disk of a repository of files: a raw
    frame takes 38 MB, what is made of it about twice that (byte)."""

    def __init__(
        self, repo: str, instrument: Instrument, detectors: tuple[int, ...], *, writes: bool = True
    ) -> None:
        self._repo = repo
        self._repository = OpenRepository(repo)
        self._instrument = instrument
        self._detectors = detectors
        self._detector_names = {detector.id: detector.name for detector in instrument.detectors}
        self._writes = writes
        self._present: set[str] = set()
        """Collections certified into that have been seen to exist."""

    async def check(
        self, inputs: Collection[str], certifications: Sequence[Certification]
    ) -> tuple[str, ...]:
        """Return what would make a job or a certification fail later."""

        def look(butler: Butler) -> tuple[str, ...]:
            collections = {certification.collection for certification in certifications}
            self._present.update(name for name in collections if exists(butler, name))
            missing = (
                f"input collection {name} does not exist in {self._repo}"
                for name in sorted(inputs)
                if not exists(butler, name)
            )
            return (*missing, *obstacles(butler, certifications, self._detectors))

        try:
            problems = await self._visit(
                "look at the collections", look, advice="Check the configuration key 'repo'"
            )
            if certifications and self._writes:
                await self._visit("write into the registry", try_to_write, writeable=True)
        except ObservatoryError as error:
            return (str(error),)
        return (*problems, *self._lack_of_space())

    def _lack_of_space(self) -> Iterator[str]:
        free = self.free_space()
        if free is not None and free < self.MIN_FREE_SPACE:
            yield (
                f"{self._repo}: only {free / 1e6:.0f} MB are left on its disk, and frames and their products "
                f"need at least {self.MIN_FREE_SPACE / 1e6:.0f} MB. Make room there"
            )

    def free_space(self) -> int | None:
        """Return the room on its disk (byte); `None` if it has none here.

        A disk that hangs makes this hang.
        """
        from lsst.daf.butler import Butler

        root = Butler.get_repo_uri(self._repo, return_label=True)
        return shutil.disk_usage(root.ospath).free if root.isLocal else None

    async def unavailable(self, lookups: Collection[Lookup]) -> Mapping[Lookup, tuple[int, ...]]:
        """Return the detectors for which look-ups will find nothing."""
        return await self._visit(
            "look up the prerequisite calibrations",
            lambda butler: unavailable(butler, lookups, self._instrument.name, self._detectors),
        )

    async def raw_level(self, exposure: int) -> float:
        """Return the median level of a raw frame (ADU above bias)."""
        return await self._visit(
            f"read the raw frame of exposure {exposure}",
            lambda butler: raw_level(butler, self._instrument, exposure, self._detectors),
        )

    async def measure_raw(self, exposure: int) -> tuple[AmplifierMeasure, ...]:
        """Measure the amplifiers of a raw frame."""
        return await self._visit(
            f"measure the raw frame of exposure {exposure}",
            lambda butler: measure_frame(butler, self._instrument, exposure, self._detectors),
        )

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
                    begin=float(record.timespan.begin.unix_tai),
                    end=float(record.timespan.end.unix_tai),
                )
                for record in records
            }

        return await self._visit("look at the exposures", look) if exposures else {}

    async def raws(self, exposures: Collection[int]) -> frozenset[tuple[int, int]]:
        """Return which (exposure, detector) pairs have been ingested."""

        def look(butler: Butler) -> frozenset[tuple[int, int]]:
            refs = butler.query_datasets(
                "raw",
                collections=self._instrument.raw_collection,
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
        from lsst.daf.butler import MissingCollectionError, MissingDatasetTypeError

        def look(butler: Butler) -> frozenset[tuple[int, int]] | None:
            try:
                refs = butler.query_datasets(
                    dataset_type, collections=collection, find_first=False, explain=False, limit=None
                )
            except MissingDatasetTypeError:
                return None
            except MissingCollectionError:
                # A job that failed at once has made none.
                return frozenset()
            return frozenset((ref.dataId["exposure"], ref.dataId["detector"]) for ref in refs)

        return await self._visit(f"list {dataset_type} in {collection}", look)

    async def missing(self, wanted: Wanted, run_collection: str) -> tuple[Missing, ...]:
        """Return what a job has not made."""
        detectors = wanted.detectors or self._detectors

        def look(butler: Butler) -> tuple[Missing, ...]:
            made = [ref.dataId for ref in datasets(butler, wanted.dataset_type, run_collection)]
            if not wanted.by_detector:
                return () if made else (Missing(),)
            if not wanted.exposures:
                found = {data_id["detector"] for data_id in made}
                return tuple(Missing(each) for each in detectors if each not in found)
            pairs = {(data_id["exposure"], data_id["detector"]) for data_id in made}
            return tuple(
                Missing(detector, group)
                for group in wanted.exposures
                for detector in detectors
                if not any((exposure, detector) in pairs for exposure in group)
            )

        return await self._visit(f"look for {wanted.dataset_type} in {run_collection}", look)

    async def products(self, dataset_type: str, run_collection: str) -> tuple[ProductRecord, ...]:
        """Return the datasets of a type that a job has made."""
        return await self._visit(
            f"list {dataset_type} in {run_collection}",
            lambda butler: product_records(butler, dataset_type, run_collection),
        )

    async def searched(self, collection: str) -> tuple[str, ...]:
        """Return where a job has looked for calibrations."""

        def look(butler: Butler) -> tuple[str, ...]:
            # The first is what the job made itself.
            return tuple(butler.collections.query(collection, flatten_chains=True))[1:]

        return await self._visit(f"look at the collections of {collection}", look)

    async def found_before(self, dataset_type: str, collection: str, run_collection: str) -> tuple[str, ...]:
        """Return where a job found such datasets before those of a run."""
        return await self._visit(
            f"look at the collections of {collection}",
            lambda butler: found_before(butler, dataset_type, collection, run_collection),
        )

    async def first_written(self, dataset_types: Collection[str], run_collection: str) -> float | None:
        """Return when a job has put the first of such datasets there."""
        return await self._visit(
            f"look when {run_collection} was written",
            lambda butler: first_written(butler, dataset_types, run_collection),
        )

    async def statistics(
        self, dataset_type: str, run_collection: str, physical_filter: str | None = None
    ) -> object:
        """Return the run statistics of a verification."""

        def read(butler: Butler) -> Any:
            # The frames' own physical_filter, since the spectrograph may
            # name it otherwise.
            refs = datasets(butler, dataset_type, run_collection)
            if physical_filter is not None:
                refs = [ref for ref in refs if same_filter(ref.dataId["physical_filter"], physical_filter)]
            if len(refs) != 1:
                raise LookupError(f"{len(refs)} datasets for {physical_filter or 'the run'} instead of one")
            return butler.get(refs[0])

        return await self._visit(f"read {dataset_type} from {run_collection}", read)

    async def failure_details(
        self, subject: Subject, run_collection: str, exposures: Collection[int]
    ) -> Mapping[int, ExposureDetail]:
        """Return what else cp_verify wrote about exposures."""
        by_exposure, by_detector = (
            dataset_name(subject, level) for level in (FailureLevel.EXPOSURE, FailureLevel.DETECTOR)
        )

        def read(butler: Butler) -> dict[int, ExposureDetail]:
            wholes = {
                ref.dataId["exposure"]: butler.get(ref)
                for ref in datasets(butler, by_exposure, run_collection)
                if ref.dataId["exposure"] in exposures
            }
            parts: dict[int, dict[str, object]] = {exposure: {} for exposure in exposures}
            for ref in datasets(butler, by_detector, run_collection):
                if ref.dataId["exposure"] in parts:
                    name = self._detector_names[ref.dataId["detector"]]
                    parts[ref.dataId["exposure"]][name] = butler.get(ref)
            return {exposure: ExposureDetail(wholes.get(exposure), parts[exposure]) for exposure in exposures}

        return await self._visit(f"read {by_exposure} and {by_detector} from {run_collection}", read)

    async def gains(
        self, dataset_type: str, run_collection: str, pairs: Sequence[tuple[int, int, float]]
    ) -> tuple[Gain, ...]:
        """Return the gains measured on pairs of flats."""

        def read(butler: Butler) -> tuple[Gain, ...]:
            refs = datasets(butler, dataset_type, run_collection)
            made = {(ref.dataId["exposure"], ref.dataId["detector"]) for ref in refs}
            # A detector that lacks a pair is one that the job has failed for.
            complete = [
                each
                for each in self._detectors
                if all({(first, each), (second, each)} & made for first, second, _ in pairs)
            ]
            return tuple(read_gains(butler, refs, pairs, complete or self._detectors))

        return await self._visit(f"read {dataset_type} from {run_collection}", read)

    async def reference_gains(
        self, collections: Sequence[str], exposure: int
    ) -> Mapping[tuple[int, str], float]:
        """Return the gains that are certified for an exposure."""

        def read(butler: Butler) -> Mapping[tuple[int, str], float]:
            return read_reference_gains(butler, self._instrument.name, self._detectors, exposure, collections)

        return await self._visit(f"read the reference ptc from {', '.join(collections)}", read)

    async def defects(
        self, dataset_type: str, run_collection: str, inputs: Sequence[str], exposure: int
    ) -> tuple[DetectorDefects, ...]:
        """Return the defects that a job has found, beside the earlier ones."""

        def read(butler: Butler) -> tuple[DetectorDefects, ...]:
            refs = datasets(butler, dataset_type, run_collection)
            return read_defects(butler, refs, self._instrument, exposure, inputs)

        return await self._visit(f"read {dataset_type} from {run_collection} and what was before", read)

    async def residuals(self, applied: Applied) -> tuple[str, tuple[AmplifierResiduals, ...]]:
        """Return what a new image and the one in use leave of frames."""
        return await self._visit(
            f"compare {applied.dataset_type} of {applied.run_collection} with the one in use",
            lambda butler: read_residuals(butler, applied),
        )

    async def curves(
        self, dataset_type: str, run_collection: str, inputs: Sequence[str], exposure: int
    ) -> Curves:
        """Return a new photon transfer curve and the one in use."""
        return await self._visit(
            f"compare {dataset_type} of {run_collection} with the one in use",
            lambda butler: read_curves(
                butler, datasets(butler, dataset_type, run_collection), inputs, exposure
            ),
        )

    async def is_certified(self, proof: Proof) -> bool:
        """Return whether all that is to be certified is so already."""
        certification = proof.certification

        def look(butler: Butler) -> bool:
            try:
                return not uncertified(butler, proof)
            except UnprovenError:
                # Of the same name there may be others meanwhile.
                return False

        return await self._visit(f"look for {certification.dataset_type} in {certification.collection}", look)

    async def certify(self, *proofs: Proof) -> None:
        """Certify what is proven, and see that it is certified."""
        from lsst.daf.butler import CollectionType

        certifications = [proof.certification for proof in proofs]
        given_up = threading.Event()

        def certify(butler: Butler) -> None:
            collections = {certification.collection for certification in certifications}
            for collection in sorted(collections & self._present):
                if not exists(butler, collection):
                    # A Butler would make it anew, without what it held.
                    raise LookupError(f"{collection} existed before and has been removed meanwhile")
            wanted = {proof.certification: uncertified(butler, proof) for proof in proofs}
            for collection in sorted(collections):
                butler.collections.register(collection, CollectionType.CALIBRATION)
            make_certifications(butler, wanted, given_up)

        def read_back(butler: Butler) -> None:
            for proof in proofs:
                for ref in uncertified(butler, proof):
                    raise LookupError(f"{ref} was certified but cannot be found in its validity range")

        what = " and ".join(certification.dataset_type for certification in certifications)
        where = " and ".join(dict.fromkeys(certification.collection for certification in certifications))
        try:
            await self._visit(
                f"certify {what} into {where}",
                certify,
                advice=advice_by_hand(self._repo, proofs),
                writeable=True,
            )
        finally:
            given_up.set()
        self._present.update(certification.collection for certification in certifications)
        await self._visit(f"read back {what} from {where}", read_back)

    async def _visit(
        self, purpose: str, action: Callable[[Butler], T], *, advice: str = "", writeable: bool = False
    ) -> T:
        """Run an action on the repository; see `visit`."""
        return await visit(
            self._repository, purpose, action, timeout=self.TIMEOUT, advice=advice, writeable=writeable
        )
