# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages that follow from a configuration."""

from __future__ import annotations

__all__ = ["make_plan"]

import datetime
from collections.abc import Iterator
from dataclasses import replace

from ..config import CalibrationConfig, Series, flat_pairs
from ..instruments import ImageType, Instrument
from ..pipelines import GENERATIONS, pipeline_uri
from ..products import Product, StageId, StageKind, Subject
from ._records import JobPlan, PlannedExposure, RunPlan, Stage
from ._validity import validity_notices

_JOB_OVERHEAD = 60.0
_JOB_TIME_PER_EXPOSURE = 5.4
"""With the overhead, 168 s for 20 biases: a verification job recorded at
the summit."""

_CERTIFICATION_TIME = 5.0

_INGEST_TIME = 5.0
"""From the end of readout to the frame being in the Butler (s)."""


def make_plan(
    config: CalibrationConfig, instrument: Instrument, begin: datetime.datetime | None = None
) -> RunPlan:
    """Plan a run.

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.
    instrument : `Instrument`
        Whose frames are taken.
    begin : `datetime.datetime`, optional
        When the first frame would be taken, with a time zone. Without it,
        nothing is known of validity ranges and frames to come.

    Returns
    -------
    plan : `RunPlan`
    """
    planner = _Planner(config, instrument)
    stages = planner.stages()
    exposing = sum(stage.duration for stage in stages if stage.kind is StageKind.EXPOSE)
    return RunPlan(
        exposures=tuple(exposure for series in config.series for exposure in _exposures(series)),
        stages=stages,
        notices=(*config.notices, *planner.notices(), *validity_notices(config, begin, exposing)),
    )


def _exposures(series: Series) -> Iterator[PlannedExposure]:
    for i, exp_time in enumerate(series.exp_times):
        yield PlannedExposure(
            series.image_type, series.subject, exp_time, i < series.n_discard, i + 1, series.n_frames
        )


def _expose(series: Series) -> StageId:
    return StageId(StageKind.EXPOSE, series.subject)


class _Planner:
    """Builds the stages of one configuration."""

    def __init__(self, config: CalibrationConfig, instrument: Instrument) -> None:
        self._config = config
        self._instrument = instrument
        self._pipelines = GENERATIONS[config.pipeline_generation]
        self._certified = {series.subject.product for series in config.series}
        self._paired = [series for series in self._of((ImageType.FLAT,)) if series.may_have_pairs]

    def _of(self, image_types: tuple[ImageType, ...]) -> tuple[Series, ...]:
        return tuple(series for series in self._config.series if series.image_type in image_types)

    def notices(self) -> Iterator[str]:
        """Yield what the plan adds to the configuration's own notices."""
        if not (self._config.do_ptc or self._config.do_gain_from_flat_pairs):
            return
        for series in self._paired:
            n_pairs = len(flat_pairs(series.kept_exp_times))
            if n_pairs and 2 * n_pairs < series.n:
                yield (
                    f"{series.name}: gains come from {n_pairs} flat pair(s), {2 * n_pairs} of the {series.n} "
                    "flats: the first two flats of each exposure time are paired."
                )

    def stages(self) -> tuple[Stage, ...]:
        """Return the stages, each after those that it needs."""
        stages = tuple(self._stages())
        if self._config.certify != "together":
            return stages
        certify = [stage for stage in stages if stage.kind is StageKind.CERTIFY]
        needs = tuple(needed for stage in certify for needed in stage.needs)
        certify = [replace(stage, needs=needs) for stage in certify]
        return tuple(stage for stage in stages if stage.kind is not StageKind.CERTIFY) + tuple(certify)

    def _stages(self) -> Iterator[Stage]:
        config = self._config
        previous: tuple[StageId, ...] = ()
        for series in config.series:
            yield self._exposing(series, previous)
            previous = (_expose(series),)
        for series in config.series:
            yield from self._product(series.subject, (series,), generate=config.generate_calibrations)
        if config.do_defects:
            defects = self._pipelines.generators[Product.DEFECTS]
            for product in defects.built_on:
                frames = self._pipelines.generators[product].frames
                yield self._generate(Subject(product), self._of(frames))
            yield from self._product(Subject(Product.DEFECTS), self._of(defects.frames))
        if config.do_ptc:
            yield from self._product(Subject(Product.PTC), (self._paired[0],))
        if config.do_gain_from_flat_pairs:
            # The photon transfer curve gives the gains of its own pairs.
            for series in self._paired[1:] if config.do_ptc else self._paired:
                yield from self._product(Subject(Product.GAIN, series.part), (series,))

    def _exposing(self, series: Series, previous: tuple[StageId, ...]) -> Stage:
        overhead = self._instrument.readout_time + self._config.wait_between_exposures
        return Stage(
            _expose(series),
            after=previous,
            duration=sum(series.exp_times) + len(series.exp_times) * overhead,
        )

    def _product(
        self, subject: Subject, used: tuple[Series, ...], *, generate: bool = True
    ) -> Iterator[Stage]:
        """Yield what makes, verifies and certifies a product."""
        last: Stage | None = None
        generated: StageId | None = None
        if generate:
            last = self._generate(subject, used)
            generated = last.id
            yield last
        if self._config.do_verify and subject.product in self._pipelines.verifiers:
            last = self._verify(subject, used, generated)
            yield last
        if generated and last and subject.product is not Product.GAIN:
            needs = dict.fromkeys((last.id, *self._verifications(used)))
            yield Stage(StageId(StageKind.CERTIFY, subject), tuple(needs), duration=_CERTIFICATION_TIME)

    def _verifications(self, used: tuple[Series, ...]) -> Iterator[StageId]:
        """Yield what verifies frames: what is built on them needs it too."""
        for series in used:
            if self._config.do_verify and series.subject.product in self._pipelines.verifiers:
                yield StageId(StageKind.VERIFY, series.subject)

    def _passed(self, product: Product) -> StageId:
        """Return the last stage before the certification of a product."""
        kind = StageKind.VERIFY if self._config.do_verify else StageKind.GENERATE
        return StageId(kind, Subject(product))

    def _generate(self, subject: Subject, used: tuple[Series, ...]) -> Stage:
        """Plan a job that makes a product from frames of this run."""
        product = subject.product
        generator = self._pipelines.generators[product]
        corrections = [p for p in generator.corrections if p in self._certified]
        if not self._config.generate_calibrations:
            corrections = []
        # Certified together, they are not in the collection before the end.
        together = self._config.certify == "together"
        certified = (self._config.calib_collection,) if corrections and not together else ()
        applied = [
            self._passed(p) if together else StageId(StageKind.CERTIFY, Subject(p)) for p in corrections
        ]
        built_on = [StageId(StageKind.GENERATE, Subject(p)) for p in generator.built_on]
        configured = self._config.of(product)
        return Stage(
            StageId(StageKind.MEASURE if product is Product.GAIN else StageKind.GENERATE, subject),
            needs=(*map(_expose, used), *applied, *built_on),
            duration=self._job_duration(used),
            job=JobPlan(
                pipeline=pipeline_uri(generator.path, self._instrument),
                options=configured.options,
                # These come first: the run's own calibrations are then used
                # whatever validity range they are certified for.
                inputs_from=(*built_on, *(StageId(StageKind.GENERATE, Subject(p)) for p in corrections)),
                inputs=tuple(dict.fromkeys(certified + configured.inputs)),
                series=tuple(series.subject for series in used),
            ),
        )

    def _verify(self, subject: Subject, used: tuple[Series, ...], generated: StageId | None) -> Stage:
        inputs_from = (generated,) if generated else ()
        return Stage(
            StageId(StageKind.VERIFY, subject),
            needs=(*map(_expose, used), *inputs_from),
            duration=self._job_duration(used),
            job=JobPlan(
                pipeline=pipeline_uri(self._pipelines.verifiers[subject.product].path, self._instrument),
                options=(),
                inputs_from=inputs_from,
                inputs=self._config.of(subject.product).verify_inputs,
                series=tuple(series.subject for series in used),
            ),
        )

    def _job_duration(self, used: tuple[Series, ...]) -> float:
        n = sum(series.n for series in used)
        return _INGEST_TIME + _JOB_OVERHEAD + _JOB_TIME_PER_EXPOSURE * n
