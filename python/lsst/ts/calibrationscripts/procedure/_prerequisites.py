# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrations that jobs need, looked up before the first frame."""

from __future__ import annotations

__all__ = ["missing_prerequisites"]

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..config import PRODUCT_PARAMETERS, parameters_owner
from ..forecast import MissingCalibration
from ..instruments import named_detectors
from ..outcomes import Cause
from ..pipelines import GENERATIONS, PipelineSet
from ..plan import Prerequisite, Stage, prerequisites
from ..ports import Lookup
from ..products import Product, StageKind, Subject
from ._context import Context
from ._exposer import Exposer
from ._remaining import jobs_left

_HOW_TO_MAKE = {
    Product.BIAS: "generate_calibrations: true, and BIAS in script_mode",
    Product.DARK: "generate_calibrations: true, and DARK in script_mode",
    Product.FLAT: "generate_calibrations: true, and FLAT in script_mode",
    Product.DEFECTS: "do_defects: true",
}
"""What to write so that a run makes a calibration for its own jobs."""


@dataclass(frozen=True)
class _Missing:
    """What a job will not find."""

    stage: Stage
    lookup: Lookup
    detectors: tuple[int, ...]

    @property
    def place(self) -> str:
        """For what there is none, and where, in words."""
        plural = "s" if len(self.detectors) > 1 else ""
        which = named_detectors(self.detectors)
        of_filter = f" through {self.lookup.physical_filter}" if self.lookup.physical_filter else ""
        where = ", ".join(self.lookup.collections)
        return f"for detector{plural} {which}{of_filter} in {where}"


async def missing_prerequisites(context: Context, exposer: Exposer) -> tuple[MissingCalibration, ...]:
    """Return what jobs need, but will not find.

    Parameters
    ----------
    context : `Context`
        The run.
    exposer : `Exposer`
        Has the frames, and has checked what they are taken through.

    Returns
    -------
    missing : `tuple` [`MissingCalibration`, ...]
        One for each dataset type, with its remedy.

    Raises
    ------
    ObservatoryError
        If the repository cannot be read.
    """
    left = jobs_left(context.plan, context.config, context.recorder.record)
    needed = [each for each in prerequisites(context.plan, context.pipelines) if each.stage.id in left]
    if not needed:
        return ()
    times = await exposer.times()
    filters = exposer.physical_filters
    lookups = [
        (each.stage, lookup)
        for each in needed
        for lookup in _lookups(
            each, times, filters if context.pipelines.is_of_filter(each.dataset_type) else {}
        )
    ]
    unavailable = await context.world.repository.unavailable({lookup for _, lookup in lookups})
    missing = [
        _Missing(stage, lookup, unavailable[lookup]) for stage, lookup in lookups if lookup in unavailable
    ]
    missing = [each for each in missing if not _goes_on_without(context, each)]
    return tuple(
        _problem(
            dataset_type, [each for each in missing if each.lookup.dataset_type == dataset_type], context
        )
        for dataset_type in dict.fromkeys(each.lookup.dataset_type for each in missing)
    )


def _goes_on_without(context: Context, missing: _Missing) -> bool:
    """Return whether the detectors without a calibration are left out.

    They are so from their frames on, since nothing else can use these.
    """
    incomplete, job = context.incomplete, missing.stage.job
    if job is None or len(missing.detectors) == len(incomplete.detectors):
        return False
    text = f"no {missing.lookup.dataset_type} is valid for its frames"
    texts = dict.fromkeys(missing.detectors, text)
    exposed = [stage for stage in context.plan.stages_of(StageKind.EXPOSE) if stage.subject in job.series]
    return all(incomplete.find(stage, Cause.NO_CALIBRATION, texts) for stage in exposed)


def _lookups(
    prerequisite: Prerequisite,
    times: Mapping[Subject, tuple[tuple[float, float], ...]],
    filters: Mapping[Subject, str],
) -> Iterator[Lookup]:
    """Yield what a job looks up: for each series, if that has a filter."""
    job = prerequisite.stage.job
    assert job is not None, "no other stage has prerequisites"
    for name in dict.fromkeys(filters.get(series) for series in job.series):
        of_filter = [series for series in job.series if filters.get(series) == name]
        yield Lookup(
            prerequisite.dataset_type,
            prerequisite.collections,
            tuple(time for series in of_filter for time in times[series]),
            name or None,
        )


def _problem(dataset_type: str, missing: Sequence[_Missing], context: Context) -> MissingCalibration:
    """Return that a calibration is missing, for which jobs, and the remedy."""
    clauses = []
    for place in dict.fromkeys(each.place for each in missing):
        there = [each for each in missing if each.place == place]
        begin = min(time for each in there for time, _ in each.lookup.times)
        end = max(time for each in there for _, time in each.lookup.times)
        when = " to ".join(dict.fromkeys(map(_text, (begin, end))))
        which = _all(each.stage.name for each in there)
        clauses.append(f"none {place} is valid for the frames of {which} ({when} TAI)")
    stages = [each.stage for each in missing]
    remedies = [
        "have one certified there",
        f"name a collection that has one in {_all(map(_collections_parameter, stages))}",
        *_ways_around(dataset_type, stages, context),
    ]
    if {detector for each in missing for detector in each.detectors} < set(context.detectors):
        remedies.append("write incomplete: certify_rest to go on with the other detectors")
    return MissingCalibration(
        dataset_type,
        stages=tuple(dict.fromkeys(stage.id for stage in stages)),
        cause="; ".join(clauses),
        remedy=f"Before the run, {', or '.join(remedies)}",
    )


def _ways_around(dataset_type: str, stages: Sequence[Stage], context: Context) -> Iterator[str]:
    """Yield what to write so that no calibration is needed from before."""
    pipelines = context.pipelines
    for product, how in _HOW_TO_MAKE.items():
        if pipelines.generators[product].dataset_type == dataset_type and all(
            _is_given(product, stage, pipelines) for stage in stages
        ):
            yield f"make it in the run ({how})"
    for name, pipelines_of in GENERATIONS.items():
        other = pipelines_of.for_camera(context.instrument)
        if name != context.config.pipeline_generation and not any(
            dataset_type in _needed(stage, other) for stage in stages
        ):
            yield f'write pipeline_generation: "{name}" if the OCPS has those pipelines, which need none'


def _is_given(product: Product, stage: Stage, pipelines: PipelineSet) -> bool:
    """Return whether a job is given a product that the run makes."""
    of_stage = stage.subject.product
    if stage.kind is StageKind.VERIFY and of_stage is product:
        return True
    return product in pipelines.generators[of_stage].corrections


def _needed(stage: Stage, pipelines: PipelineSet) -> tuple[str, ...]:
    verification = stage.kind is StageKind.VERIFY
    return pipelines.prerequisites_of(stage.subject.product, verification=verification)


def _collections_parameter(stage: Stage) -> str:
    """Return which parameter names the collections that a job searches."""
    names = PRODUCT_PARAMETERS[parameters_owner(stage.subject.product)]
    return (stage.kind is StageKind.VERIFY and names.verify_inputs) or names.inputs


def _all(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _text(time: float) -> str:
    return f"{datetime.datetime.fromtimestamp(time, datetime.UTC):%Y-%m-%d %H:%M}"
