# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Butler repository, as a procedure needs it."""

from __future__ import annotations

__all__ = ["CalibrationRepository"]

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from ..comparison import AmplifierResiduals
from ..outcomes import Certification, DetectorDefects, Gain
from ..products import Subject
from ..proof import ProductRecord, Proof
from ..spoilt import AmplifierMeasure
from ..verification import ExposureDetail
from ._records import Applied, Curves, ExposureRecord, Lookup, Missing, Wanted


class CalibrationRepository(Protocol):
    """The Butler repository, as far as calibrations need it."""

    async def check(
        self, inputs: Collection[str], certifications: Sequence[Certification]
    ) -> tuple[str, ...]:
        """Return what would make a job or a certification fail later.

        Parameters
        ----------
        inputs : `~collections.abc.Collection` [`str`]
            Input collections of the jobs.
        certifications : `~collections.abc.Sequence` [`Certification`]
            What the run wants to certify. Sources that do not exist yet are
            ""; what is certified from those that do is not a conflict.
        """

    async def unavailable(self, lookups: Collection[Lookup]) -> Mapping[Lookup, tuple[int, ...]]:
        """Return the detectors for which look-ups will find nothing.

        Called once, before the run begins. A look-up that finds a
        calibration for every frame and detector is left out, and so is one
        in collections of which none exists: `check` names those.

        Parameters
        ----------
        lookups : `~collections.abc.Collection` [`Lookup`]
            What jobs will look up.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def raw_level(self, exposure: int) -> float:
        """Return the median level of a raw frame (ADU above bias).

        Raises
        ------
        ObservatoryError
            If it cannot be read.
        """

    async def measure_raw(self, exposure: int) -> tuple[AmplifierMeasure, ...]:
        """Return what is measured of the amplifiers of a raw frame.

        Called for each frame of a series, once all are ingested.

        Raises
        ------
        ObservatoryError
            If it cannot be read or measured.
        """

    async def exposure_of_group(self, group: str) -> int | None:
        """Return the exposure that was taken as a group of its own.

        `None` if there is none in the repository; the last one if there are
        several.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def exposure_records(self, exposures: Collection[int]) -> Mapping[int, ExposureRecord]:
        """Return what is known of exposures; those unknown are left out.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def raws(self, exposures: Collection[int]) -> frozenset[tuple[int, int]]:
        """Return which (exposure, detector) pairs have been ingested.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def exposures_with(self, dataset_type: str, collection: str) -> frozenset[tuple[int, int]] | None:
        """Return the (exposure, detector) pairs that have such a dataset.

        None have it in a collection that does not exist. `None` if the
        repository does not know the dataset type, so that this is not known.
        """

    async def missing(self, wanted: Wanted, run_collection: str) -> tuple[Missing, ...]:
        """Return what a job has not made.

        Called when a job has ended, and before one of an earlier run is used
        again.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def statistics(
        self, dataset_type: str, run_collection: str, physical_filter: str | None = None
    ) -> object:
        """Return the run statistics of a verification.

        Parameters
        ----------
        dataset_type : `str`
            Their type.
        run_collection : `str`
            RUN collection of the job, which holds what it made and nothing
            that it read.
        physical_filter : `str`, optional
            What the frames were taken through, where that is a dimension.

        Raises
        ------
        ObservatoryError
            If they cannot be read.
        """

    async def failure_details(
        self, subject: Subject, run_collection: str, exposures: Collection[int]
    ) -> Mapping[int, ExposureDetail]:
        """Return what else cp_verify wrote about exposures.

        Called for those whose failures the run statistics hide.

        Raises
        ------
        ObservatoryError
            If it cannot be read.
        """

    async def gains(
        self, dataset_type: str, run_collection: str, pairs: Sequence[tuple[int, int, float]]
    ) -> tuple[Gain, ...]:
        """Return the gains measured on pairs of flats.

        Parameters
        ----------
        dataset_type : `str`
            Their type.
        run_collection : `str`
            RUN collection of the job.
        pairs : `~collections.abc.Sequence`
            The two exposure ids and the exposure time (s) of each pair.

        Raises
        ------
        ObservatoryError
            If they cannot be read.
        """

    async def reference_gains(
        self, collections: Sequence[str], exposure: int
    ) -> Mapping[tuple[int, str], float]:
        """Return the gains (e-/ADU) that are certified for an exposure.

        They are taken from the first ``ptc`` in the collections, by detector
        and amplifier; none if they have no ``ptc``.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def defects(
        self, dataset_type: str, run_collection: str, inputs: Sequence[str], exposure: int
    ) -> tuple[DetectorDefects, ...]:
        """Return the defects that a job has found, beside the earlier ones.

        Parameters
        ----------
        dataset_type : `str`
            Their type.
        run_collection : `str`
            RUN collection of the job.
        inputs : `~collections.abc.Sequence` [`str`]
            Collections in which the earlier ones are looked for. Those of the
            job itself are not earlier ones.
        exposure : `int`
            Id of an exposure that they were made from, for which the earlier
            ones are valid.

        Raises
        ------
        ObservatoryError
            If they cannot be read.
        """

    async def residuals(self, applied: Applied) -> tuple[str, tuple[AmplifierResiduals, ...]]:
        """Return what a new image and the one in use leave of frames.

        Called for each detector before it is certified.

        Parameters
        ----------
        applied : `Applied`
            The new image and the frames.

        Returns
        -------
        reference : `str`
            RUN collection of the one in use; "" if there is none.
        residuals : `tuple` [`AmplifierResiduals`, ...]

        Raises
        ------
        ObservatoryError
            If they cannot be read.
        """

    async def curves(
        self, dataset_type: str, run_collection: str, inputs: Sequence[str], exposure: int
    ) -> Curves:
        """Return a new photon transfer curve and the one in use.

        Called before it is certified.

        Parameters
        ----------
        dataset_type : `str`
            Its type.
        run_collection : `str`
            RUN collection that has it.
        inputs : `~collections.abc.Sequence` [`str`]
            Collections in which its frames find another.
        exposure : `int`
            Id of one of its frames.

        Raises
        ------
        ObservatoryError
            If they cannot be read.
        """

    async def products(self, dataset_type: str, run_collection: str) -> tuple[ProductRecord, ...]:
        """Return the datasets of a type that a job has made.

        Called before they are certified.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def searched(self, collection: str) -> tuple[str, ...]:
        """Return where a job has looked for calibrations.

        Called for a verification before something is certified.

        Parameters
        ----------
        collection : `str`
            The job's output collection, which is chained to them.

        Returns
        -------
        collections : `tuple` [`str`, ...]
            In the order in which they were searched, without chains.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def found_before(self, dataset_type: str, collection: str, run_collection: str) -> tuple[str, ...]:
        """Return where a job found such datasets before those of a run.

        Called for a verification before something is certified: what runs
        the jobs may look elsewhere first.

        Parameters
        ----------
        dataset_type : `str`
            The type.
        collection : `str`
            The job's output collection.
        run_collection : `str`
            The RUN collection in which it was to find them.

        Returns
        -------
        collections : `tuple` [`str`, ...]
            Also those whose datasets are for other times or detectors.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def first_written(self, dataset_types: Collection[str], run_collection: str) -> float | None:
        """Return when a job has put the first of such datasets there.

        Called for a verification before something is certified.

        Parameters
        ----------
        dataset_types : `~collections.abc.Collection` [`str`]
            Which; some need not exist.
        run_collection : `str`
            RUN collection of the job.

        Returns
        -------
        time : `float` or `None`
            TAI, as a Unix timestamp (s); `None` if it has none of them.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def is_certified(self, proof: Proof) -> bool:
        """Return whether its datasets are certified, for exactly its dates.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """

    async def certify(self, *proofs: Proof) -> None:
        """Certify what is proven, and see that it is certified.

        Of several certifications either all are made or none.

        Parameters
        ----------
        *proofs : `Proof`
            What to certify. The datasets are those that the proofs name.

        Raises
        ------
        ObservatoryError
            If they cannot.
        """
