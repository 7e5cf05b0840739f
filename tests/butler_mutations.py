# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may happen to a repository and a journal between two sessions.

Each takes two numbers that choose where, and returns what it did, or "" if
there is nothing that it could be done to.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any, TypeVar

from astropy.time import Time
from butler_world import DAILY, FOREIGN, GREEN, PRODUCTS, REFERENCE, ButlerWorld
from lsst.daf.butler import CollectionType, DatasetRef, Timespan
from lsst.ts.calibrationscripts.codec import read_record, to_json
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.record import RunRecord

Mutation = Callable[[ButlerWorld, int, int], str]
T = TypeVar("T")

ALL_TIMES = Timespan(None, None)


def _one(items: Any, i: int) -> Any:
    ordered = list(items)
    return ordered[i % len(ordered)] if ordered else None


def _rewrite(world: ButlerWorld, **changes: Any) -> None:
    record = dataclasses.replace(read_record(world.state.journal), **changes)
    world.state.journal = json.dumps(to_json(record))


def _record(world: ButlerWorld) -> RunRecord | None:
    return read_record(world.state.journal) if world.state.journal else None


def _jobs(world: ButlerWorld, *, verify: bool) -> list[str]:
    """Return the jobs that have left a collection."""
    return [
        job_id
        for job_id in world.state.requests
        if ("_verify" in job_id) is verify and world.is_there(f"u/ocps/{job_id}/run")
    ]


def _statistics(world: ButlerWorld, i: int) -> tuple[str, str, DatasetRef] | None:
    """Return a verification job, what it verified, and its statistics."""
    job_id = _one(_jobs(world, verify=True), i)
    if job_id is None:
        return None
    name = job_id.partition("_verify")[2]
    refs = world.datasets(f"verify{name}Stats", f"u/ocps/{job_id}/run")
    return (job_id, name, refs[0]) if refs else None


def _product(world: ButlerWorld, i: int, j: int) -> DatasetRef | None:
    """Return what a job has made of a detector."""
    job_id = _one(_jobs(world, verify=False), i)
    if job_id is None:
        return None
    name = PRODUCTS[job_id.partition("_cp")[2]]
    return _one(world.datasets(name, f"u/ocps/{job_id}/run"), j)  # type: ignore[no-any-return]


# The journal


def swap_frames(world: ButlerWorld, i: int, j: int) -> str:
    record = _record(world)
    if record is None or len(record.frames) < 2:
        return ""
    frames = list(record.frames)
    i, j = i % len(frames), j % len(frames)
    frames[i], frames[j] = (
        dataclasses.replace(frames[i], exposure=frames[j].exposure),
        dataclasses.replace(frames[j], exposure=frames[i].exposure),
    )
    _rewrite(world, frames=tuple(frames))
    return f"frames {i} and {j} of the journal have each other's exposure"


def use_a_foreign_frame(world: ButlerWorld, i: int, j: int) -> str:
    record = _record(world)
    if record is None or not record.frames:
        return ""
    frames = list(record.frames)
    i, j = i % len(frames), j % len(FOREIGN)
    frames[i] = dataclasses.replace(frames[i], exposure=FOREIGN[j])
    _rewrite(world, frames=tuple(frames))
    return f"frame {i} of the journal is exposure {FOREIGN[j]} of another night"


def repeat_a_frame(world: ButlerWorld, i: int, j: int) -> str:
    record = _record(world)
    if record is None or len(record.frames) < 2:
        return ""
    frames = list(record.frames)
    i, j = i % len(frames), j % len(frames)
    frames[i] = dataclasses.replace(frames[i], exposure=frames[j].exposure)
    _rewrite(world, frames=tuple(frames))
    return f"frame {i} of the journal is the exposure of frame {j}"


def lose_the_id_of_a_frame(world: ButlerWorld, i: int, j: int) -> str:
    record = _record(world)
    if record is None or not record.frames:
        return ""
    frames = list(record.frames)
    i %= len(frames)
    frames[i] = dataclasses.replace(frames[i], exposure=None)
    _rewrite(world, frames=tuple(frames))
    return f"the journal has no id of frame {i}"


def swap_jobs(world: ButlerWorld, i: int, j: int) -> str:
    record = _record(world)
    if record is None or len(record.jobs) < 2:
        return ""
    jobs = list(record.jobs)
    i, j = i % len(jobs), j % len(jobs)
    jobs[i], jobs[j] = (
        dataclasses.replace(jobs[i], job_id=jobs[j].job_id),
        dataclasses.replace(jobs[j], job_id=jobs[i].job_id),
    )
    _rewrite(world, jobs=tuple(jobs))
    return f"jobs {i} and {j} of the journal have each other's id"


def name_an_older_job(world: ButlerWorld, i: int, j: int) -> str:
    record = _record(world)
    if record is None or not record.jobs:
        return ""
    jobs = list(record.jobs)
    i %= len(jobs)
    kind = jobs[i].job_id.partition("_")[2]
    alike = [job_id for job_id in world.state.requests if job_id.partition("_")[2] == kind]
    older = _one(alike, j)
    if older is None:
        return ""
    jobs[i] = dataclasses.replace(jobs[i], job_id=older)
    _rewrite(world, jobs=tuple(jobs))
    return f"job {i} of the journal is {older}"


def say_that_all_passed(world: ButlerWorld, i: int, j: int) -> str:
    record = _record(world)
    if record is None:
        return ""
    outcomes = (Outcome.PASSED, Outcome.CERTIFIED, Outcome.ABORTED)
    stages = tuple(dataclasses.replace(result, outcome=_one(outcomes, i)) for result in record.stages)
    _rewrite(world, stages=stages)
    return f"the journal has every stage as {_one(outcomes, i)}"


# Frames


def change_a_record(world: ButlerWorld, i: int, j: int) -> str:
    world.ingest_all()
    if not world.state.n_exposures:
        return ""
    record = _record(world)
    exposure = _one([frame.exposure for frame in record.frames if frame.exposure] if record else [], i)
    changes: dict[str, Any] = _one(
        (
            {"observation_type": "dark"},
            {"observation_type": "flat"},
            {"observation_type": "bias"},
            {"physical_filter": GREEN},
            {"exposure_time": 7.5},
        ),
        j,
    )
    if exposure is None or not world.records([exposure]):
        return ""
    world.change_record(exposure, **changes)
    return f"exposure {exposure} has {changes} in the repository"


def remove_a_raw(world: ButlerWorld, i: int, j: int) -> str:
    world.ingest_all()
    refs = [ref for ref in world.datasets("raw", "Duo/raw/all") if ref.dataId["exposure"] not in FOREIGN]
    ref = _one(refs, i)
    if ref is None:
        return ""
    world.butler.registry.removeDatasets([ref])
    return f"the raw of exposure {ref.dataId['exposure']} is gone"


def let_a_type_fail(world: ButlerWorld, i: int, j: int) -> str:
    name = _one(PRODUCTS, i)
    world.state.failing ^= {name}
    return f"jobs find that {name} {'fails' if name in world.state.failing else 'passes'} from now on"


# Statistics


def delete_statistics(world: ButlerWorld, i: int, j: int) -> str:
    found = _statistics(world, i)
    if found is None:
        return ""
    world.remove([found[2]])
    return f"the statistics of job {found[0]} are gone"


def delete_statistics_of_exposures(world: ButlerWorld, i: int, j: int) -> str:
    found = _statistics(world, i)
    below = ("verifyFlatExpStats", "verifyFlatDetStats")[: 1 + j % 2]
    refs = [ref for name in below for ref in world.datasets(name, f"u/ocps/{found[0]}/run")] if found else []
    if not refs or found is None:
        return ""
    world.remove(refs)
    return f"the statistics of the exposures of job {found[0]} are gone"


def _replace_statistics(world: ButlerWorld, ref: DatasetRef, statistics: Any) -> None:
    world.remove([ref])
    world.put(statistics, ref.datasetType.name, ref.run, physical_filter=ref.dataId.get("physical_filter"))


def damage_statistics(world: ButlerWorld, i: int, j: int) -> str:
    """Let statistics fail, or say nothing about an exposure."""
    found = _statistics(world, i)
    if found is None:
        return ""
    statistics = dict(world.butler.get(found[2]))
    exposures = [key for key in statistics if isinstance(key, int)]
    if not exposures:
        return ""
    bad = {"SUCCESS": False, "FAILURES": ["R00_S00 C00 NOISE"] * 16}
    choice = j % 8
    if choice < 2:
        statistics = {**statistics, **dict.fromkeys(exposures, bad), "SUCCESS": False}
    else:
        entry: Any = ({}, {"SUCCESS": None}, {"SUCCESS": 0}, {"SUCCESS": "False"}, None, bad)[choice - 2]
        statistics[exposures[0]] = entry
    _replace_statistics(world, found[2], statistics)
    return f"the statistics of job {found[0]} are damaged ({choice})"


def mix_exposures_of_statistics(world: ButlerWorld, i: int, j: int) -> str:
    """Let statistics be about others, too many or too few exposures."""
    found = _statistics(world, i)
    if found is None:
        return ""
    statistics = dict(world.butler.get(found[2]))
    exposures = [key for key in statistics if isinstance(key, int)]
    if not exposures:
        return ""
    match j % 4:
        case 0:
            statistics = {key: {"SUCCESS": True} for key in FOREIGN[: len(exposures)]} | {"SUCCESS": True}
        case 1:
            statistics.update({key: {"SUCCESS": True} for key in FOREIGN[:5]})
        case 2:
            del statistics[exposures[0]]
        case _:
            statistics[str(exposures[0])] = {"SUCCESS": True}
    _replace_statistics(world, found[2], statistics)
    return f"the statistics of job {found[0]} are about other exposures ({j % 4})"


def move_statistics_to_an_input(world: ButlerWorld, i: int, j: int) -> str:
    """Let what a job left be only in another run of its chain, and pass."""
    found = _statistics(world, i)
    if found is None:
        return ""
    job_id, name, ref = found
    exposures = sorted(set(world.state.requests[job_id].exposures))
    physical_filter = ref.dataId.get("physical_filter")
    world.remove([ref])
    other = f"u/someone/{job_id}"
    world.butler.collections.register(other)
    if name == "Flat":
        for below in ("verifyFlatExpStats", "verifyFlatDetStats"):
            world.remove(world.datasets(below, other))
    if not world.datasets(ref.datasetType.name, other):
        world.put_statistics(name, exposures, (), other, physical_filter=physical_filter)
    chain = f"u/ocps/{job_id}"
    children = world.butler.collections.get_info(chain).children
    world.butler.collections.redefine_chain(chain, [*children, other])
    return f"the statistics of job {job_id} are only in an input"


# Products


def delete_a_product(world: ButlerWorld, i: int, j: int) -> str:
    ref = _product(world, i, j)
    if ref is None:
        return ""
    world.remove([ref])
    return f"the {ref.datasetType.name} of detector {ref.dataId['detector']} in {ref.run} is gone"


def replace_a_product(world: ButlerWorld, i: int, j: int) -> str:
    ref = _product(world, i, j)
    if ref is None:
        return ""
    name, detector = ref.datasetType.name, ref.dataId["detector"]
    world.remove([ref])
    new = world.put_product(name, detector, ref.dataId.get("physical_filter"), ref.run)
    world.state.bad_references.add(str(new.id))
    return f"the {name} of detector {detector} in {ref.run} is another one"


def delete_outputs(world: ButlerWorld, i: int, j: int) -> str:
    """Remove all that a job has made, with its collections."""
    job_id = _one(_jobs(world, verify=bool(j % 2)), i)
    if job_id is None:
        return ""
    _remove_collections(world, job_id)
    return f"the collections of job {job_id} are gone"


def _remove_collections(world: ButlerWorld, job_id: str) -> None:
    run, chain = f"u/ocps/{job_id}/run", f"u/ocps/{job_id}"
    butler = world.butler
    info = butler.collections.get_info(run)
    for parent in butler.collections.query_info("*", include_parents=True, flatten_chains=False):
        if run in parent.children:
            kept = [child for child in parent.children if child != run]
            butler.collections.redefine_chain(parent.name, kept)
    if info.type is CollectionType.CHAINED:
        butler.collections.x_remove(run)
    else:
        for dataset_type in butler.collections.get_info(run, include_summary=True).dataset_types or ():
            refs = world.datasets(dataset_type, run)
            stored = [ref for ref in refs if butler.stored(ref)]
            butler.pruneDatasets(stored, disassociate=True, unstore=True, purge=True)
            rest = [ref for ref in refs if ref not in stored]
            butler.registry.removeDatasets(rest)
        butler.collections.x_remove(run)
    for parent in butler.collections.query_info("*", include_parents=True, flatten_chains=False):
        if chain in parent.children:
            kept = [child for child in parent.children if child != chain]
            butler.collections.redefine_chain(parent.name, kept)
    if world.is_there(chain):
        butler.collections.x_remove(chain)


# Collections


def let_a_chain_begin_with_another_job(world: ButlerWorld, i: int, j: int) -> str:
    jobs = _jobs(world, verify=False)
    job_id, other = _one(jobs, i), _one(jobs, j)
    if job_id is None or job_id == other:
        return ""
    chain = f"u/ocps/{job_id}"
    children = world.butler.collections.get_info(chain).children
    first = f"u/ocps/{other}/run"
    rest = [child for child in children if child != first]
    world.butler.collections.redefine_chain(chain, [first, *rest])
    return f"{chain} begins with what job {other} made"


def replace_a_run_by_a_chain(world: ButlerWorld, i: int, j: int) -> str:
    """Let the run of a job be a chain to that of a job like it."""
    jobs = _jobs(world, verify=bool(j % 2))
    job_id = _one(jobs, i)
    others = [
        other
        for other in jobs
        if other != job_id and other.partition("_")[2] == (job_id or "").partition("_")[2]
    ]
    other = _one(others, j)
    if job_id is None or other is None:
        return ""
    _remove_collections(world, job_id)
    run, chain = f"u/ocps/{job_id}/run", f"u/ocps/{job_id}"
    collections = world.butler.collections
    if f"u/ocps/{other}/run" not in collections.query("*"):
        return f"the collections of job {job_id} are gone"
    collections.register(run, CollectionType.CHAINED)
    collections.redefine_chain(run, [f"u/ocps/{other}/run"])
    collections.register(chain, CollectionType.CHAINED)
    collections.redefine_chain(chain, [run, REFERENCE])
    return f"the run of job {job_id} is a chain to that of {other}"


def replace_the_calib_collection(world: ButlerWorld, i: int, j: int) -> str:
    collections = world.butler.collections
    if world.is_there(DAILY):
        if any(DAILY in info.children for info in collections.query_info("*", flatten_chains=False)):
            return ""
        collections.x_remove(DAILY)
    kind = _one((None, CollectionType.CHAINED, CollectionType.RUN, CollectionType.CALIBRATION), i)
    if kind is None:
        return f"{DAILY} is gone"
    collections.register(DAILY, kind)
    if kind is CollectionType.CHAINED:
        collections.redefine_chain(DAILY, [REFERENCE])
    return f"{DAILY} is a new {kind.name}"


def certify_something_else(world: ButlerWorld, i: int, j: int) -> str:
    """Let another program certify for dates that overlap."""
    collections = world.butler.collections
    if world.is_there(DAILY) and collections.get_info(DAILY).type is not CollectionType.CALIBRATION:
        return ""
    name = _one(("bias", "dark", "flat"), i)
    dates = _one((("2026-11-01", "2026-11-20"), ("2026-11-20", "2026-11-24")), j)
    timespan = Timespan(*(Time(date, scale="tai") for date in dates))
    collections.register(DAILY, CollectionType.CALIBRATION)
    try:
        world.certify_into(DAILY, f"{REFERENCE}/reference", timespan, name)
    except Exception as error:
        if type(error).__name__ != "ConflictingDefinitionError":
            raise
        return ""
    return f"{DAILY} has another {name} from {dates[0]} to {dates[1]}"


def replace_the_reference(world: ButlerWorld, i: int, j: int) -> str:
    """Let a standard calibration be another, which may be bad."""
    name, run = _one(("bias", "dark", "flat"), j), f"{REFERENCE}/replaced{i % 2}"
    world.make_calibrations(run, name)
    if i % 2:
        world.state.bad_references |= {str(ref.id) for ref in world.datasets(name, run)}
    world.butler.registry.decertify(REFERENCE, name, ALL_TIMES)
    world.certify_into(REFERENCE, run, ALL_TIMES, name)
    return f"{REFERENCE} has the {'bad' if i % 2 else 'good'} {name} of {run}"


MUTATIONS: dict[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (
        swap_frames,
        use_a_foreign_frame,
        repeat_a_frame,
        lose_the_id_of_a_frame,
        swap_jobs,
        name_an_older_job,
        say_that_all_passed,
        change_a_record,
        remove_a_raw,
        let_a_type_fail,
        delete_statistics,
        delete_statistics_of_exposures,
        damage_statistics,
        mix_exposures_of_statistics,
        move_statistics_to_an_input,
        delete_a_product,
        replace_a_product,
        delete_outputs,
        let_a_chain_begin_with_another_job,
        replace_a_run_by_a_chain,
        replace_the_calib_collection,
        certify_something_else,
        replace_the_reference,
    )
}
