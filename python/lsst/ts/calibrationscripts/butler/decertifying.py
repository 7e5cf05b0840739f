# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certifications that are undone, and what look-ups find then."""

from __future__ import annotations

__all__ = ["decertify", "read_reach"]

import threading
import uuid
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from ..decertification import (
    Exposure,
    Exposures,
    Reach,
    RefusedError,
    Standing,
    Undo,
    Unit,
    Valid,
    make_routes,
    make_standing,
)
from ..outcomes import Certification
from ._certifying import associations, change, products, source_run, validity
from ._collections import exists
from ._holding import held, unit_of
from ._visiting import OpenRepository, visit

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, CollectionInfo, DatasetRef

TIMEOUT = 120.0
"""Longest that one visit to the repository may take (s)."""


async def read_reach(repo: str, undos: Sequence[Undo], timeout: float = TIMEOUT) -> tuple[Reach, ...]:
    """Return what undoing certifications changes; change nothing.

    Parameters
    ----------
    repo : `str`
        URI or label of the repository.
    undos : `~collections.abc.Sequence` [`Undo`]
        What is to be undone.
    timeout : `float`, optional
        Longest that it may take (s).

    Returns
    -------
    reaches : `tuple` [`Reach`, ...]
        In the same order.

    Raises
    ------
    ObservatoryError
        If the repository cannot be read, or a dataset is not the run's.
    """

    def look(butler: Butler) -> tuple[Reach, ...]:
        return tuple(_reach(butler, undo) for undo in undos)

    return await visit(OpenRepository(repo), f"look at {_named(undos)}", look, timeout=timeout)


async def decertify(repo: str, undos: Sequence[Undo], timeout: float = TIMEOUT) -> frozenset[Undo]:
    """Undo certifications, all of them or none, and see that they are undone.

    Parameters
    ----------
    repo : `str`
        URI or label of the repository.
    undos : `~collections.abc.Sequence` [`Undo`]
        What to undo.
    timeout : `float`, optional
        Longest that one visit to the repository may take (s).

    Returns
    -------
    gone : `frozenset` [`Undo`]
        Those of them that were not certified any more.

    Raises
    ------
    RefusedError
        If others have changed any of it since.
    ObservatoryError
        If the repository cannot be changed.
    """
    by_certification = {undo.certification: undo for undo in undos}
    given_up = threading.Event()

    def undo_all(butler: Butler) -> frozenset[Undo] | RefusedError:
        gone: set[Undo] = set()

        def write(certification: Certification) -> None:
            undo = by_certification[certification]
            gone.discard(undo)
            if not _undo(butler, undo):
                gone.add(undo)

        try:
            change(butler, by_certification, write, given_up)
        except RefusedError as error:
            return error
        return frozenset(gone)

    def read_back(butler: Butler) -> None:
        for undo in undos:
            if not _standing(butler, undo, _refs(butler, undo)).gone:
                raise LookupError(f"{undo.subject} was decertified but can still be found")

    try:
        result = await visit(
            OpenRepository(repo),
            f"decertify {_named(undos)}",
            undo_all,
            timeout=timeout,
            advice="Then give the command again: it records what is undone already, and undoes the rest",
            writeable=True,
        )
    finally:
        given_up.set()
    if isinstance(result, RefusedError):
        raise result
    await visit(OpenRepository(repo), f"read back {_named(undos)}", read_back, timeout=timeout)
    return result


def _named(undos: Sequence[Undo]) -> str:
    return " and ".join(
        f"{undo.certification.dataset_type} in {undo.certification.collection}" for undo in undos
    )


def _undo(butler: Butler, undo: Undo) -> bool:
    """Undo a certification in a transaction; return whether it existed."""
    from lsst.daf.butler import Timespan

    certification = undo.certification
    refs = _refs(butler, undo)
    if not refs or not exists(butler, certification.collection):
        return False
    data_ids = sorted(ref.dataId for ref in refs)

    def remove(timespan: Timespan) -> None:
        butler.registry.decertify(
            certification.collection, certification.dataset_type, timespan, dataIds=data_ids
        )

    # It removes nothing, but locks the table until the transaction ends, so
    # that what is seen next is what is removed.
    remove(Timespan.makeEmpty())
    standing = _standing(butler, undo, refs)
    if standing.problem:
        raise RefusedError(standing.problem)
    if not standing.gone:
        remove(validity(certification))
    return not standing.gone


def _refs(butler: Butler, undo: Undo) -> list[DatasetRef]:
    """Return the datasets that a run has certified, as far as they exist.

    What its job has made beside those of the proof, and is certified in the
    same way, is among them: a session may have certified more detectors than
    another that has left the proof.
    """
    certification = undo.certification
    refs = _named_refs(butler, undo)
    if not exists(butler, certification.collection):
        return refs
    span = validity(certification)
    found = list(associations(butler, certification.dataset_type, [certification.collection]))
    if undo.of_another:
        refs += [ref for ref in products(butler, certification) if ref not in refs]
        valid = {each.ref.id for each in found if each.timespan is None or each.timespan.overlaps(span)}
        return [ref for ref in refs if ref.id in valid]
    same = {each.ref.id for each in found if each.timespan == span} - {ref.id for ref in refs}
    return refs + [ref for ref in products(butler, certification) if ref.id in same]


def _named_refs(butler: Butler, undo: Undo) -> list[DatasetRef]:
    """Return those of the proof; without one, those of the job."""
    certification = undo.certification
    run = source_run(butler, certification)
    made = products(butler, certification)
    if not undo.datasets:
        if run is None:
            raise LookupError(
                f"{certification.source} does not exist any more, and the run has left no proof of what was "
                "in it, so that its datasets are not known"
            )
        return made
    by_id = {str(ref.id): ref for ref in made}
    # One by one only what is elsewhere.
    found = (by_id.get(each) or butler.get_dataset(uuid.UUID(each)) for each in undo.datasets)
    refs = [ref for ref in found if ref is not None]
    for ref in refs:
        if ref.datasetType.name != certification.dataset_type or run not in (None, ref.run):
            raise LookupError(
                f"the run's proof names a {ref.datasetType.name} of {ref.run}, which is not the "
                f"{certification.dataset_type} of {certification.source}"
            )
    return refs


def _standing(butler: Butler, undo: Undo, refs: Sequence[DatasetRef]) -> Standing:
    certification = undo.certification
    if not exists(butler, certification.collection):
        return Standing(gone=True)
    datasets = {unit_of(ref): str(ref.id) for ref in refs}
    found = _held(butler, certification.dataset_type, [certification.collection], refs)
    begin, end = validity(certification).nsec
    return make_standing(undo, datasets, found[certification.collection], begin, end)


def _held(
    butler: Butler, dataset_type: str, collections: Collection[str], refs: Sequence[DatasetRef]
) -> dict[str, dict[Unit, list[Valid]]]:
    """Return what collections have for the units of some datasets."""
    return held(butler, dataset_type, collections, {ref.dataId for ref in refs}.__contains__)


def _reach(butler: Butler, undo: Undo) -> Reach:
    certification = undo.certification
    span = validity(certification).nsec
    refs = _refs(butler, undo)
    standing = _standing(butler, undo, refs)
    datasets = {unit_of(ref): str(ref.id) for ref in refs}
    detectors = tuple(sorted({unit.detector for unit in datasets}))
    if standing.gone or standing.problem:
        return Reach(undo, standing, span, detectors)
    collection = certification.collection
    chains = dict(_searched_through(butler, collection))
    members = {name for searched in chains.values() for name in searched}
    found = _held(butler, certification.dataset_type, members, refs)
    exposures = list(_exposures(butler, certification, refs))
    filters = {unit.physical_filter for unit in datasets}
    return Reach(
        undo,
        standing,
        span,
        detectors,
        Exposures.of(each for each in exposures if not filters.isdisjoint({None, each.physical_filter})),
        make_routes(collection, chains, found, datasets, span, exposures),
    )


def _exposures(
    butler: Butler, certification: Certification, refs: Sequence[DatasetRef]
) -> Iterator[Exposure]:
    """Yield the exposures of the instrument in a validity range."""
    records = butler.query_dimension_records(
        "exposure",
        where="instrument = instrument_name AND exposure.timespan OVERLAPS (validity)",
        bind={"instrument_name": refs[0].dataId["instrument"], "validity": validity(certification)},
        explain=False,
        limit=None,
    )
    for record in records:
        begin, end = record.timespan.nsec
        yield Exposure(int(record.id), begin, end, str(record.physical_filter))


def _searched_through(butler: Butler, collection: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield through which collections another is searched, and what else is.

    Yields
    ------
    name : `str`
        First the collection itself; then every chain that it is in, whether
        directly or in another chain.
    searched : `tuple` [`str`, ...]
        What is searched through it, in order.
    """
    infos: dict[str, CollectionInfo] = {}

    def learn(names: Collection[str]) -> list[CollectionInfo]:
        unknown = [name for name in names if name not in infos]
        found = butler.collections.query_info(unknown, include_parents=True) if unknown else []
        infos.update({info.name: info for info in found})
        return list(found)

    above = learn([collection])
    while above:
        above = learn(sorted({name for info in above for name in info.parents or ()}))
    searching = list(infos)
    below = list(infos.values())
    while below:
        below = learn(sorted({name for info in below for name in info.children}))

    def searched(name: str) -> Iterator[str]:
        children = infos[name].children
        yield from (each for child in children for each in searched(child)) if children else (name,)

    for name in searching:
        # What is in a chain twice is searched once.
        yield name, tuple(dict.fromkeys(searched(name)))
