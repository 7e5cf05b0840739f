# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics and combined images of a run, read from the Butler."""

from __future__ import annotations

__all__ = ["gather"]

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..comparison import Better
from ..config import PRODUCT_PARAMETERS
from ..outcomes import StageResult
from ..pipelines import pipelines_of
from ..products import Product, StageKind, Subject
from ..report import Evidence, Place, Replaced, RunReport, Statistics, Thumbnail
from ..verification import FailureLevel, dataset_name
from ._collections import exists, run_of, with_records
from ._header import Header, finite, read_header
from ._notes import Notes
from ._pairs import old_of, replaced_by
from ._pictures import with_pictures
from ._thumbnail import THUMBNAIL_WIDTH, make_thumbnail, shrink
from ._versions import versions_of

if TYPE_CHECKING:
    import numpy as np
    from lsst.daf.butler import Butler, DataCoordinate, DatasetRef

_TIME_LIMIT = 60.0
"""What cannot be read in this time is left out (s)."""

_PICTURES_TIME_LIMIT = 15.0
"""Of curves, maps of defects and the geometry of detectors, after it (s)."""

_STATISTICS_SHARE = 0.6
"""The statistics' part of that time."""

_MAX_THUMBNAILS = 8
"""Detectors of which combined images are shown, with what they replace."""

_IMAGES = (Product.BIAS, Product.DARK, Product.FLAT)
_STATISTICS = ("MEAN", "NOISE", "CR_NOISE")


_Measured = dict[int, dict[tuple[int, str], dict[str, Any]]]
"""By exposure, by detector and its name: what cp_verify stored."""


def gather(
    report: RunReport, repo: str, time_limit: float = _TIME_LIMIT, warn: Callable[[str], None] | None = None
) -> Evidence:
    """Read statistics and combined images of a run.

    Parameters
    ----------
    report : `RunReport`
        The run.
    repo : `str`
        URI or label of the Butler repository.
    time_limit : `float`, optional
        What cannot be read in this time is left out (s).
    warn : `~collections.abc.Callable`, optional
        Takes a sentence on each thing that failed; it is in the notes too.

    Returns
    -------
    evidence : `Evidence`
        All that could be read; its notes say what could not, and why.
    """
    notes = Notes(warn)

    def read() -> Evidence:
        from lsst.daf.butler import Butler

        with Butler.from_config(repo) as butler:
            evidence = _Reader(butler, report, notes, time_limit).evidence()
            return with_pictures(butler, report, evidence, notes, _PICTURES_TIME_LIMIT)

    return notes.attempt(read, f"the repository {repo}") or Evidence(notes=tuple(notes))


class _Reader:
    """Reads one run's evidence.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    report : `RunReport`
        The run.
    notes : `Notes`
        Gets what is left out.
    time_limit : `float`
        When to stop (s).
    """

    def __init__(self, butler: Butler, report: RunReport, notes: Notes, time_limit: float) -> None:
        self._butler = butler
        self._report = report
        self._notes = notes
        self._begin = time.monotonic()
        self._time_limit = time_limit
        self._pipelines = pipelines_of(report.config)
        self._verified: dict[Subject, list[DataCoordinate]] = {}
        """Data ids of one exposure of each subject."""

    def _late(self, share: float) -> bool:
        """Return whether a share of the time is used up."""
        return time.monotonic() - self._begin > share * self._time_limit

    def evidence(self) -> Evidence:
        """Read all of it."""
        versions = self._notes.attempt(self._versions, "the versions that the jobs have used")
        statistics, thumbnails = [], []
        verified = list(self._stages(StageKind.VERIFY))
        for i, (subject, stage) in enumerate(verified):
            share = _STATISTICS_SHARE * (i + 1) / len(verified)
            found = self._notes.attempt(
                lambda: self._statistics(subject, stage, share),  # noqa: B023
                f"{subject} statistics",
            )
            if found:
                statistics.append(found)
        generated = dict(self._stages(StageKind.GENERATE))
        subjects = dict.fromkeys([*generated, *(subject for subject, _ in verified)])
        for subject in subjects:
            images = self._notes.attempt(
                lambda: self._thumbnails(subject, generated.get(subject)),  # noqa: B023
                f"combined {subject}",
            )
            thumbnails += images or []
        return Evidence(tuple(statistics), tuple(thumbnails), tuple(self._notes), versions=versions or {})

    def _versions(self) -> dict[str, str]:
        """Read which versions the jobs have used."""
        runs = {
            result.name: run_of(self._butler, result.collection)
            for result in self._report.stages
            if result.job_id and result.collection and exists(self._butler, result.collection)
        }
        return versions_of(self._butler, runs)

    def _stages(self, kind: StageKind) -> Iterator[tuple[Subject, StageResult]]:
        """Yield subjects of combined images, with their stages of a kind."""
        for result in self._report.stages:
            subject = result.stage.subject
            if result.stage.kind is kind and result.collection and subject.product in _IMAGES:
                yield subject, result

    def _statistics(self, subject: Subject, stage: StageResult, share: float) -> Statistics | None:
        """Read the statistics of what a stage verified."""
        verifier = self._pipelines.verifiers[subject.product]
        assert stage.collection is not None, "only such stages are looked at"
        run = run_of(self._butler, stage.collection)
        by_exposure: dict[int, list[DatasetRef]] = {}
        for ref in with_records(self._butler, dataset_name(subject, FailureLevel.DETECTOR), run):
            by_exposure.setdefault(int(ref.dataId["exposure"]), []).append(ref)
        if by_exposure:
            self._verified[subject] = [ref.dataId for ref in min(by_exposure.items())[1]]
        measured = self._read_statistics(subject, by_exposure, share)
        if not measured:
            return None
        headers = {}
        for ref in with_records(self._butler, verifier.per_exposure or "", run):
            detector = int(ref.dataId["detector"])
            if detector not in headers and not self._late(share):
                headers[detector] = read_header(self._butler, ref)
        return self._assemble(subject, measured, headers)

    def _read_statistics(
        self, subject: Subject, by_exposure: Mapping[int, list[DatasetRef]], share: float
    ) -> _Measured:
        """Read exposures, those with failures first, while there is time."""
        verdict = self._report.verdicts.get(subject)
        failing = {result.exposure for result in verdict.with_failures} if verdict else set()
        measured: _Measured = {}
        for exposure in sorted(by_exposure, key=lambda i: (i not in failing, i)):
            # At least one, however slow the repository is.
            if measured and self._late(share):
                break
            measured[exposure] = {
                (
                    int(ref.dataId["detector"]),
                    str(ref.dataId.records["detector"].full_name),
                ): self._butler.get(ref)
                for ref in by_exposure[exposure]
            }
        if len(measured) < len(by_exposure):
            self._notes.append(
                f"{subject}: statistics of {len(measured)} of {len(by_exposure)} exposures are shown; there "
                "was no time to read more."
            )
        return dict(sorted(measured.items()))

    def _assemble(
        self,
        subject: Subject,
        measured: _Measured,
        headers: Mapping[int, Header],
    ) -> Statistics:
        """Order by exposure and amplifier what was read."""
        places = tuple(
            dict.fromkeys(
                Place(detector, name, amplifier)
                for of_exposure in measured.values()
                for (detector, name), entry in sorted(of_exposure.items())
                for amplifier in entry["AMP"]
            )
        )

        def row(exposure: int, statistic: str) -> tuple[float | None, ...]:
            found = measured[exposure]
            return tuple(
                finite(
                    found.get((place.detector, place.name), {"AMP": {}})["AMP"]
                    .get(place.amplifier, {})
                    .get(statistic)
                )
                for place in places
            )

        def noted(what: str) -> tuple[float | None, ...]:
            values = [getattr(headers.get(place.detector), what, {}).get(place.amplifier) for place in places]
            return tuple(map(finite, values)) if any(value is not None for value in values) else ()

        values = {name: tuple(row(exposure, name) for exposure in measured) for name in _STATISTICS}
        is_flat = subject.product is Product.FLAT
        statistics = Statistics(
            subject=subject,
            unit=next((header.unit for header in headers.values()), "ADU"),
            exposures=tuple(measured),
            places=places,
            values={
                name: rows
                for name, rows in values.items()
                if any(value is not None for row in rows for value in row)
            },
            nominal_noise=() if is_flat else noted("nominal_noise"),
            two_sided=self._pipelines.noise_two_sided,
            level=noted("level"),
            scatter=tuple(_scatter(measured.values())) if is_flat else (),
        )
        return statistics if is_flat else self._checked(statistics, measured)

    def _checked(self, statistics: Statistics, measured: _Measured) -> Statistics:
        """Drop limits that are not those which decided."""
        limits = statistics.noise_limits()
        for exposure, row in zip(statistics.exposures, statistics.values.get("NOISE", ()), strict=True):
            for place, limit, noise in zip(statistics.places, limits, row, strict=True):
                entry = measured[exposure].get((place.detector, place.name), {})
                decided = entry.get("VERIFY", {}).get("AMP", {}).get(place.amplifier, {}).get("NOISE")
                if noise is None or decided is None or limit == (None, None):
                    continue
                if limit.hold(noise) != decided:
                    self._notes.append(
                        f"{statistics.subject}: the limits of the noise are not shown, as those "
                        "known here are not those that the pipeline used."
                    )
                    return replace(statistics, nominal_noise=())
        return statistics

    def _thumbnails(self, subject: Subject, generated: StageResult | None) -> list[Thumbnail]:
        """Make the combined images of a subject small."""
        dataset_type = self._pipelines.generators[subject.product].dataset_type
        if generated is not None and generated.collection is not None:
            refs = with_records(self._butler, dataset_type, run_of(self._butler, generated.collection))
        else:
            refs = list(self._references(dataset_type, subject))
        named = self._worst_first(subject, refs)
        thumbnails: list[Thumbnail] = []
        n_old_unread = 0
        for name, ref in named[:_MAX_THUMBNAILS]:
            if self._late(1.0):
                break
            small = shrink(self._butler.get(ref).image.array, THUMBNAIL_WIDTH)
            thumbnail = make_thumbnail(
                small, subject, dataset_type, name, ref.run, reference=generated is None
            )
            if generated is not None and self._late(1.0):
                n_old_unread += 1
            elif generated is not None:
                replaced = self._notes.attempt(
                    lambda: self._replaced(subject, small, ref),  # noqa: B023
                    f"the {subject} in use for {name}",
                )
                thumbnail = replace(thumbnail, replaced=replaced)
            thumbnails.append(thumbnail)
        if len(thumbnails) < len(named):
            self._notes.append(
                f"{subject}: combined images of {len(thumbnails)} of {len(named)} detectors are shown, those "
                "with most failures first, then those that are worse than the ones in use."
            )
        if n_old_unread:
            self._notes.append(
                f"{subject}: {n_old_unread} combined images are shown without those in use; there was no "
                "time to read more."
            )
        return thumbnails

    def _worst_first(self, subject: Subject, refs: Iterable[DatasetRef]) -> list[tuple[str, DatasetRef]]:
        """Sort images by failures, then by what is worse; name them."""
        verdict = self._report.verdicts.get(subject)
        n_failures = Counter(
            failure.detector for result in (verdict.results if verdict else ()) for failure in result.failures
        )
        n_worse = Counter(
            amplifier.detector
            for comparison in self._report.comparisons
            if comparison.subject == subject
            for amplifier in comparison.amplifiers
            if amplifier.better in (Better.WORSE, Better.UNCLEAR)
        )
        named = [(str(ref.dataId.records["detector"].full_name), ref) for ref in refs]

        def rank(item: tuple[str, DatasetRef]) -> tuple[int, int, int]:
            detector = int(item[1].dataId["detector"])
            return -n_failures[item[0]], -n_worse[detector], detector

        return sorted(named, key=rank)

    def _replaced(self, subject: Subject, small: np.ndarray, new: DatasetRef) -> Replaced | None:
        """Draw what would be used without an image; `None` if nothing."""
        for comparison in self._report.comparisons:
            if comparison.subject == subject and comparison.better is Better.FIRST:
                return None
        old = old_of(self._butler, self._report, subject, new)
        return None if old is None else replaced_by(self._butler, small, new, old, THUMBNAIL_WIDTH)

    def _references(self, dataset_type: str, subject: Subject) -> Iterator[DatasetRef]:
        """Yield the calibrations that frames were compared with."""
        option = PRODUCT_PARAMETERS[subject.product].verify_inputs or ""
        collections = [name.strip() for name in str(self._report.config.get(option, "")).split(",")]
        dimensions = self._butler.get_dataset_type(dataset_type).dimensions
        for data_id in self._verified.get(subject, ()):
            ref = self._butler.find_dataset(
                dataset_type,
                data_id.subset(dimensions),
                collections=collections,
                timespan=data_id.records["exposure"].timespan,
                dimension_records=True,
            )
            if ref is not None:
                yield ref


def _scatter(exposures: Iterable[dict[tuple[int, str], dict[str, Any]]]) -> Iterator[float]:
    """Yield the largest relative scatter of a detector, by exposure."""
    for of_exposure in exposures:
        known = [entry["DET"] for entry in of_exposure.values() if entry.get("DET", {}).get("MEAN")]
        yield round(max((entry["SCATTER"] / entry["MEAN"] for entry in known), default=0.0), 6)
