# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certifications: what prevents them, and how they are read back."""

from __future__ import annotations

__all__ = [
    "advice_by_hand",
    "associations",
    "by_hand",
    "certify",
    "change",
    "obstacles",
    "products",
    "source_run",
    "uncertified",
    "validity",
]

import shlex
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..instruments import same_filter
from ..outcomes import Certification
from ..proof import Proof
from ._collections import datasets, exists, run_of
from ._visiting import CONTENTION, UnprovenError, error_codes

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetAssociation, DatasetRef, Timespan


def obstacles(
    butler: Butler, certifications: Sequence[Certification], detectors: Collection[int]
) -> Iterator[str]:
    """Yield what prevents datasets from being certified.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    certifications : `~collections.abc.Sequence` [`Certification`]
        What is to be certified.
    detectors : `~collections.abc.Collection` [`int`]
        Ids of the detectors whose datasets they are.

    Yields
    ------
    problem : `str`
        With its remedy.
    """
    from lsst.daf.butler import CollectionType

    for collection in sorted({certification.collection for certification in certifications}):
        if not exists(butler, collection):
            continue
        kind = butler.collections.get_info(collection).type
        if kind is not CollectionType.CALIBRATION:
            yield (
                f"calib_collection {collection} is a {kind.name} collection, which nothing can be "
                "certified into. Write another name"
            )
            continue
        conflicts = [
            f"{certification.dataset_type}, valid {taken}"
            for certification in certifications
            if certification.collection == collection
            and (taken := _conflict(butler, certification, detectors))
        ]
        if conflicts:
            first = certifications[0]
            yield (
                f"calib_collection {collection} has calibrations already ({'; '.join(conflicts)}): none "
                f"can be certified for {first.begin_date} to {first.end_date}. Write another "
                "calib_collection, or other certify_calib_begin_date and certify_calib_end_date"
            )


def _conflict(butler: Butler, certification: Certification, detectors: Collection[int]) -> Timespan | None:
    """Return the validity range that is in conflict, if there is one."""
    wanted = validity(certification)
    own_run = source_run(butler, certification)
    for association in associations(butler, certification.dataset_type, [certification.collection]):
        data_id = association.ref.dataId
        taken = association.timespan
        if association.ref.run == own_run and taken == wanted:
            continue
        if taken is None or not taken.overlaps(wanted) or data_id["detector"] not in detectors:
            continue
        other_filter = data_id.get("physical_filter")
        this_filter = certification.physical_filter
        if other_filter and this_filter and not same_filter(other_filter, this_filter):
            continue
        return taken
    return None


def associations(
    butler: Butler, dataset_type: str, collections: Collection[str], *, calibrations_only: bool = True
) -> Iterator[DatasetAssociation]:
    """Yield what collections have of a dataset type, and for when.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    dataset_type : `str`
        Its name; of one that the repository does not know there is nothing.
    collections : `~collections.abc.Collection` [`str`]
        Names of collections that exist.
    calibrations_only : `bool`, optional
        Whether to leave out what is in other than CALIBRATION collections.

    Yields
    ------
    association : `lsst.daf.butler.DatasetAssociation`
    """
    from lsst.daf.butler import CollectionType, MissingDatasetTypeError

    types = {CollectionType.CALIBRATION} if calibrations_only else CollectionType.all()
    try:
        yield from butler.registry.queryDatasetAssociations(
            dataset_type, collections=list(collections), collectionTypes=types
        )
    except MissingDatasetTypeError:
        return


def certify(
    butler: Butler, wanted: Mapping[Certification, Sequence[DatasetRef]], given_up: threading.Event
) -> None:
    """Certify datasets: all of them, or none.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    wanted : `~collections.abc.Mapping`
        The datasets of each certification.
    given_up : `threading.Event`
        Set once the caller no longer waits.

    Raises
    ------
    TimeoutError
        If it was given up while it waited for another's lock.
    """

    def write(certification: Certification) -> None:
        if refs := sorted(wanted[certification], key=lambda ref: ref.dataId):
            butler.registry.certify(certification.collection, refs, validity(certification))

    change(butler, wanted, write, given_up)


def change(
    butler: Butler,
    certifications: Collection[Certification],
    write: Callable[[Certification], None],
    given_up: threading.Event,
) -> None:
    """Change what is certified: all of it, or nothing.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    certifications : `~collections.abc.Collection` [`Certification`]
        What to change.
    write : callable
        Makes or undoes one of them. It may be called for all of them again.
    given_up : `threading.Event`
        Set once the caller no longer waits.

    Raises
    ------
    TimeoutError
        If it was given up while it waited for another's lock.
    """
    try:
        _change_once(butler, certifications, write, given_up)
    except Exception as error:
        if not error_codes(error) & CONTENTION:
            raise
        # The database has undone this one so that another could end, which
        # may be a conflict now.
        _change_once(butler, certifications, write, given_up)


def _change_once(
    butler: Butler,
    certifications: Collection[Certification],
    write: Callable[[Certification], None],
    given_up: threading.Event,
) -> None:
    """Write in one transaction, in the same order as every other program.

    In two orders, each of two programs would wait for what the other has
    locked.
    """

    def check() -> None:
        # Each statement may have waited for another's lock longer than the
        # caller waited for it.
        if given_up.is_set():
            raise TimeoutError("given up")

    with butler.transaction():
        check()
        for certification in sorted(certifications, key=_locking_order):
            write(certification)
        check()


def _locking_order(certification: Certification) -> tuple[str, ...]:
    return (
        certification.dataset_type,
        certification.collection,
        certification.begin_date,
        certification.end_date,
        certification.physical_filter or "",
    )


def by_hand(repo: str, certification: Certification) -> str:
    """Return the command that certifies by hand.

    Parameters
    ----------
    repo : `str`
        URI or label of the repository.
    certification : `Certification`
        What is to be certified.

    Returns
    -------
    command : `str`
        For a shell.
    """
    begin = _lower_bound(certification)
    return shlex.join(
        (
            *("butler", "certify-calibrations", repo, certification.source),
            *(certification.collection, certification.dataset_type),
            *(() if begin is None else ("--begin-date", begin)),
            *("--end-date", certification.end_date),
        )
    )


def advice_by_hand(repo: str, proofs: Sequence[Proof]) -> str:
    """Return how what is proven is certified later, without a full stop.

    Parameters
    ----------
    repo : `str`
        URI or label of the repository.
    proofs : `~collections.abc.Sequence` [`Proof`]
        What is proven.

    Returns
    -------
    advice : `str`
    """
    if any(proof.left_out for proof in proofs):
        # The command takes all that a collection has of a dataset type.
        return "To certify later, resume the run: by hand, the bad detectors would be certified too"
    return "To certify later: " + " && ".join(by_hand(repo, proof.certification) for proof in proofs)


def source_run(butler: Butler, certification: Certification) -> str | None:
    """Return the run that is certified from, if it exists.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    certification : `Certification`
        What is certified.

    Returns
    -------
    run : `str` or `None`
    """
    if not certification.source or not exists(butler, certification.source):
        return None
    return run_of(butler, certification.source)


def products(butler: Butler, certification: Certification) -> list[DatasetRef]:
    """Return the datasets that are to be certified; none before they exist."""
    run = source_run(butler, certification)
    return [] if run is None else datasets(butler, certification.dataset_type, run)


def _proven_datasets(butler: Butler, proof: Proof) -> list[DatasetRef]:
    """Return the very datasets that a proof names.

    They are without those of detectors that are left out.
    """
    refs = products(butler, proof.certification)
    if not refs:
        raise UnprovenError(f"no {proof.certification.dataset_type} in {proof.certification.source}")
    if {str(ref.id) for ref in refs} != {dataset.id for dataset in (*proof.datasets, *proof.withheld)}:
        raise UnprovenError(
            f"{proof.certification.source} has other {proof.certification.dataset_type} than those that were "
            "verified"
        )
    proven = {dataset.id for dataset in proof.datasets}
    return [ref for ref in refs if str(ref.id) in proven]


def uncertified(butler: Butler, proof: Proof) -> list[DatasetRef]:
    """Return what a proof names and is not certified for exactly its dates.

    An earlier session may have certified it, so and for these dates, for
    other detectors. A look-up by time would also be content with a range that
    overlaps.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    proof : `Proof`
        What is proven.

    Returns
    -------
    refs : `list` [`lsst.daf.butler.DatasetRef`]

    Raises
    ------
    UnprovenError
        If the run holds others than the proof names.
    """
    certification, refs = proof.certification, _proven_datasets(butler, proof)
    if not exists(butler, certification.collection):
        return refs
    wanted = validity(certification)
    found = associations(butler, certification.dataset_type, [certification.collection])
    certified = {each.ref.id for each in found if each.timespan == wanted}
    return [ref for ref in refs if ref.id not in certified]


def validity(certification: Certification) -> Timespan:
    """Return the validity range of a certification.

    Parameters
    ----------
    certification : `Certification`
        What is certified.

    Returns
    -------
    timespan : `lsst.daf.butler.Timespan`
        Without a beginning if that is before the Butler's time.
    """
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
