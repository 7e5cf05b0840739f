# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true of whatever is certified, by the repository itself.

Nothing here uses the proof, the judgement or the readers of the product.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from astropy.time import Time
from butler_world import CLEAR, DAILY, DETECTORS, PRODUCTS, RUN_ID, ButlerWorld, Ended
from lsst.daf.butler import CollectionType, Timespan
from lsst.ts.calibrationscripts.codec import read_record
from lsst.ts.calibrationscripts.config import CalibrationConfig
from lsst.ts.calibrationscripts.proof import Proof
from named import stage

NAMES = {dataset_type: name for name, dataset_type in PRODUCTS.items()}
FRAMES = {"bias": "BIAS", "dark": "DARK", "flat": "FLAT", "ptc": "FLAT"}
"""What each product is made from."""


@dataclass(frozen=True)
class Certified:
    """A dataset that is certified, as the repository has it."""

    id: str
    name: str
    run: str
    detector: int
    physical_filter: str | None
    timespan: Timespan

    def __str__(self) -> str:
        return f"{self.name} of detector {self.detector} in {self.run}"


def certified(world: ButlerWorld) -> frozenset[Certified]:
    """Return what is certified where runs certify into."""
    if not world.is_there(DAILY):
        return frozenset()
    return frozenset(
        Certified(
            str(each.ref.id),
            name,
            each.ref.run,
            each.ref.dataId["detector"],
            each.ref.dataId.get("physical_filter"),
            each.timespan,
        )
        for name in world.butler.collections.get_info(DAILY, include_summary=True).dataset_types or ()
        for each in world.butler.registry.queryDatasetAssociations(
            name, collections=[DAILY], collectionTypes={CollectionType.CALIBRATION}
        )
        if each.collection == DAILY
    )


def faults(
    world: ButlerWorld, ended: Ended, before: Collection[Certified], now: Collection[Certified]
) -> Iterator[str]:
    """Yield what contradicts the invariant.

    Parameters
    ----------
    world : `ButlerWorld`
        As the run left it.
    ended : `Ended`
        The run.
    before, now : `~collections.abc.Collection` [`Certified`]
        What was certified before and after it.
    """
    new = [each for each in now if each not in before]
    reported = [] if ended.report is None else list(ended.report.proofs)
    timespan = _timespan(ended.config)
    offered = [
        proof for proof in ended.offered if {each.id for each in proof.datasets} & {each.id for each in new}
    ]
    named = {dataset.id for proof in offered for dataset in proof.datasets}
    for each in new:
        if each.id not in named or each.timespan != timespan:
            yield f"{each} was certified for {each.timespan} without evidence"
    for proof in dict.fromkeys((*reported, *offered)):
        for fault in _Checker(world, ended.config, proof).faults(now):
            yield f"{proof.subject}: {fault}"


def _timespan(config: CalibrationConfig) -> Timespan:
    dates = (config.certify_calib_begin_date, config.certify_calib_end_date)
    return Timespan(*(Time(date, scale="tai") for date in dates))


class _Checker:
    """Checks one certification against the repository."""

    def __init__(self, world: ButlerWorld, config: CalibrationConfig, proof: Proof) -> None:
        self._world = world
        self._config = config
        self._proof = proof
        self._detectors = config.detectors or tuple(DETECTORS)
        left_out = {bad.detector for bad in proof.left_out}
        self._certified = tuple(each for each in self._detectors if each not in left_out)
        self._name = proof.certification.dataset_type
        self._request = world.state.requests[proof.generation.job_id]
        self._exposures = sorted(self._request.exposures)

    def faults(self, now: Collection[Certified]) -> Iterator[str]:
        ids = {dataset.id for dataset in self._proof.datasets}
        timespan = _timespan(self._config)
        found = [each for each in now if each.id in ids and each.timespan == timespan]
        if len(self._certified) < len(self._detectors):
            yield from self._of_rest(now)
        yield from self._of_datasets(found)
        yield from self._of_frames(found)
        if not self._config.do_verify:
            return
        if self._proof.verification is None or not self._proof.verdicts:
            yield "nothing verified it"
            return
        yield from self._of_verification(self._name, self._proof.verification.job_id)
        yield from self._of_reference(self._proof.verification.job_id, ids)
        if self._name == "ptc":
            flat = read_record(self._world.state.journal).job_of(stage("verify FLAT"))
            yield from (
                ["its flats were not verified"]
                if flat is None
                else self._of_verification("flat", flat.job_id)
            )

    def _of_rest(self, now: Collection[Certified]) -> Iterator[str]:
        """Yield what is wrong where detectors are left out."""
        if self._config.incomplete != "certify_rest" or not self._certified:
            yield f"only {self._certified} of {self._detectors} are certified"
        run = f"u/ocps/{self._proof.generation.job_id}/run"
        for each in now:
            if (each.run, each.name) == (run, self._name) and each.detector not in self._certified:
                yield f"{each} is certified, and was left out"

    def _of_datasets(self, found: Collection[Certified]) -> Iterator[str]:
        if sorted(each.detector for each in found) != sorted(self._certified):
            yield f"certified are {[str(each) for each in found]}, not one of each detector"
        for each in found:
            if each.name != self._name:
                yield f"{each} is not a {self._name}"
            if each.run != f"u/ocps/{self._proof.generation.job_id}/run":
                yield f"{each} is not of job {self._proof.generation.job_id}"

    def _of_frames(self, found: Collection[Certified]) -> Iterator[str]:
        """Yield what is wrong with the frames, by their records."""
        (series,) = (one for one in self._config.series if one.image_type == FRAMES[self._name])
        if sorted(frame.exposure for frame in self._proof.frames) != self._exposures:
            yield "the evidence names other frames than the job was given"
        run = f"u/ocps/{self._proof.generation.job_id}/run"
        used = {
            ref.dataId["exposure"]
            for ref in self._world.datasets(f"cp{NAMES[self._name]}IsrExp", run)
            if ref.dataId["detector"] in self._certified
        }
        if sorted(used) != self._exposures:
            yield f"the job has used {sorted(used)}"
        records = self._world.records(self._exposures)
        times = [record.exposure_time for record in records]
        if sorted(times) != sorted(series.exp_times[series.n_discard :]):
            yield f"it was made of frames of {times} s"
        for record in records:
            if record.observation_type.upper() != FRAMES[self._name]:
                yield f"frame {record.id} is a {record.observation_type}"
            if not record.group.startswith(RUN_ID):
                yield f"frame {record.id} is of group {record.group}"
            if self._name in ("flat", "ptc") and record.physical_filter != (series.filter or CLEAR):
                yield f"frame {record.id} is of filter {record.physical_filter}"
            if self._name == "flat" and {record.physical_filter} != {each.physical_filter for each in found}:
                yield f"frame {record.id} is not of the product's filter"

    def _of_verification(self, name: str, job_id: str) -> Iterator[str]:
        """Yield what a verification does not show."""
        request = self._world.state.requests[job_id]
        asked = set(request.detectors)
        if sorted(request.exposures) != self._exposures or not set(self._certified) <= asked:
            yield f"job {job_id} verified other frames"
        statistics = self._statistics(name, job_id)
        if statistics is None:
            yield f"job {job_id} has not one dataset of statistics of its own"
        elif name == "ptc":
            passes = all(statistics[DETECTORS[detector]] == {"SUCCESS": True} for detector in self._certified)
            if not passes:
                yield f"the statistics of job {job_id} fail"
        else:
            yield from self._of_statistics(name, job_id, statistics)

    def _statistics(self, name: str, job_id: str) -> Any:
        """Return what is in the job's own run, and nowhere else."""
        own = f"u/ocps/{job_id}/run"
        refs = [
            ref
            for ref in self._world.datasets(f"verify{NAMES[name]}Stats", own)
            if ref.run == own
            and ref.dataId.get("physical_filter")
            in (None, *(series.filter or CLEAR for series in self._config.series))
        ]
        return self._world.butler.get(refs[0]) if len(refs) == 1 else None

    def _of_statistics(self, name: str, job_id: str, statistics: Mapping[Any, Any]) -> Iterator[str]:
        """Judge as the procedure says: by counts of each test."""
        entries = {key: value for key, value in statistics.items() if key not in ("SUCCESS", "RUN", "VERIFY")}
        if sorted(entries) != self._exposures:
            yield f"the statistics of job {job_id} are of {sorted(map(str, entries))}"
            return
        threshold = next(
            value
            for key, value in self._config.to_dict().items()
            if key == f"number_verification_tests_threshold_{name}"
        )
        # All that are certified together, and each by itself.
        for detectors in (self._certified, *([each] for each in self._certified)):
            names = {DETECTORS[each] for each in detectors}
            too_many = threshold * (len(names) // 2 + 1)
            failed = [
                exposure
                for exposure, entry in entries.items()
                if entry.get("SUCCESS") is not True and self._fails(job_id, exposure, entry, too_many, names)
            ]
            if len(failed) >= min((len(entries) + 1) // 2 + 1, len(entries)):
                yield f"the statistics of job {job_id} fail for {names}: {failed}"

    def _fails(
        self, job_id: str, exposure: int, entry: Mapping[str, Any], too_many: int, names: Collection[str]
    ) -> bool:
        failures = list(entry.get("FAILURES", []))
        if not all(" " in failure for failure in failures) or not failures:
            below = [
                ref
                for ref in self._world.datasets("verifyFlatExpStats", f"u/ocps/{job_id}/run")
                if ref.dataId["exposure"] == exposure
            ]
            if len(below) != 1:
                return self._fails_below(job_id, exposure, too_many, names)
            of_exposure = self._world.butler.get(below[0])
            failures += [
                f"{detector} {failure}"
                for detector in DETECTORS.values()
                for failure in of_exposure.get(detector, {}).get("FAILURES", [])
            ]
        counts = Counter(failure.split()[-1] for failure in failures if failure.split()[0] in names)
        return not failures or max(counts.values(), default=0) >= too_many

    def _fails_below(self, job_id: str, exposure: int, too_many: int, names: Collection[str]) -> bool:
        """Judge by the statistics of detectors, where there are no others."""
        counts: Counter[str] = Counter()
        for ref in self._world.datasets("verifyFlatDetStats", f"u/ocps/{job_id}/run"):
            if ref.dataId["exposure"] == exposure and DETECTORS[ref.dataId["detector"]] in names:
                for tests in self._world.butler.get(ref)["VERIFY"]["AMP"].values():
                    failed = {name for name, passes in tests.items() if passes is not True}
                    counts.update(failed - {"SUCCESS"})
        return not counts or max(counts.values()) >= too_many

    def _of_reference(self, job_id: str, ids: set[str]) -> Iterator[str]:
        """Yield how the reference differs from what the evidence names."""
        request = self._world.state.requests[job_id]
        source = self._proof.certification.source
        if self._proof.reference != source or request.inputs[0] != source:
            yield f"job {job_id} searched {request.inputs[0]} first, not {source}"
        own = {
            str(ref.id)
            for ref in self._world.datasets(self._name, f"u/ocps/{self._proof.generation.job_id}/run")
            if ref.dataId["detector"] in request.detectors
        }
        if not ids <= self._world.state.compared_with[job_id] == own:
            yield f"job {job_id} compared the frames with another {self._name} than is certified"
