# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages that follow from a configuration."""

from __future__ import annotations

__all__ = ["make_plan"]

import datetime
from collections.abc import Iterator
from dataclasses import replace

from ..config import N_TRIALS, CalibrationConfig, Series
from ..instruments import ImageType, Instrument
from ..pipelines import GENERATIONS, pipeline_uri
from ..products import Product, StageId, StageKind, Subject
from ._order import in_order, order_notices
from ._records import JobPlan, PlannedExposure, RunPlan, Stage
from ._validity import validity_notices

_SUBMISSION_TIME = 2.0
"""Of a job that is not waited for (s)."""


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
    exposures = tuple(exposure for series in in_order(config) for exposure in planner.exposures(series))
    exposing = sum(exposure.duration for exposure in exposures)
    return RunPlan(
        exposures=exposures,
        stages=stages,
        notices=(
            *config.notices,
            *order_notices(config),
            *planner.notices(),
            *planner.notices_of_jobs(stages),
            *validity_notices(config, begin, exposing),
        ),
    )


def _n_trials(config: CalibrationConfig, series: Series) -> int:
    is_sought = config.flat_counts is not None and series.image_type is ImageType.FLAT
    return N_TRIALS if is_sought and series.exp_times else 0


def _hours(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02}"


def _expose(series: Series) -> StageId:
    return StageId(StageKind.EXPOSE, series.subject)


def _in_order(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Move stages behind those that they need; keep the order else."""
    pending, ordered = list(stages), dict[StageId, Stage]()
    while pending:
        first = next(stage for stage in pending if ordered.keys() >= {*stage.needs, *stage.after})
        pending.remove(first)
        ordered[first.id] = first
    return tuple(ordered.values())


class _Planner:
    """Builds the stages of one configuration."""

    def __init__(self, config: CalibrationConfig, instrument: Instrument) -> None:
        self._config = config
        self._instrument = instrument
        self._pace = instrument.pace
        self._pipelines = GENERATIONS[config.pipeline_generation].for_camera(instrument)
        self._rule = self._pipelines.pair_rule
        self._paired = [series for series in self._of((ImageType.FLAT,)) if series.may_have_pairs(self._rule)]

    def _of(self, image_types: tuple[ImageType, ...]) -> tuple[Series, ...]:
        return tuple(series for series in self._config.series if series.image_type in image_types)

    def notices(self) -> Iterator[str]:
        """Yield what the plan adds to the configuration's own notices."""
        yield from self._notices_of_frames_held_out()
        if not (self._config.do_ptc or self._config.do_gain_from_flat_pairs):
            return
        for series in self._paired:
            n_pairs = len(self._rule.pairs(series.kept_exp_times))
            if n_pairs and 2 * n_pairs < series.n:
                exp_time = min(series.kept_exp_times)
                ten = (
                    f" For ten pairs write exp_times_flat: {{pairs: 10, exp_time: {exp_time:g}}}, whose "
                    "times differ by 10 ms from pair to pair."
                )
                yield (
                    f"{series.name}: gains come from {n_pairs} flat pair(s), {2 * n_pairs} of the {series.n} "
                    f"flats: a pair is {self._rule.value}, and further flats of that time are not used."
                    + ("" if self._config.flat_counts else ten)
                )

    def notices_of_jobs(self, stages: tuple[Stage, ...]) -> Iterator[str]:
        """Yield that a job may take longer than it has."""
        config = self._config
        longest = max((stage for stage in stages if stage.job), key=lambda each: each.duration, default=None)
        # A batch system processes many detectors at once.
        if longest is None or config.job_service != "ocps" or longest.duration <= config.job_timeout:
            return
        n_detectors = len(self._instrument.detector_ids(config.detectors))
        yield (
            f"{longest.name} may take {_hours(longest.duration)} (h:mm), which is longer than job_timeout: "
            f"{config.job_timeout:g}. That is for {n_detectors} detector(s), one after the other. Raise "
            "job_timeout, or process fewer detectors."
        )

    def _notices_of_frames_held_out(self) -> Iterator[str]:
        every = self._config.hold_out_every
        for series in self._config.series if every and self._config.generate_calibrations else ():
            n = series.n - series.n // every
            # Their noise and that of the combined one, against NOISE's limit.
            fails = (1 + 1 / n) ** 0.5 > 1 + self._pipelines.noise_tolerance
            yield (
                f"{series.name}: made from {n} of {series.n} frames; every {every}. is held out, to compare "
                "the new one with the one in use."
                + (
                    f" What is combined from {n} is so noisy that those held out may fail NOISE: take more."
                    if fails and series.image_type is not ImageType.FLAT
                    else ""
                )
            )

    def stages(self) -> tuple[Stage, ...]:
        """Return the stages, each after those that it needs."""
        stages = tuple(self._stages())
        if self._config.certify != "together":
            return _in_order(stages)
        certify = [stage for stage in stages if stage.kind is StageKind.CERTIFY]
        needs = tuple(needed for stage in certify for needed in stage.needs)
        certify = [replace(stage, needs=needs) for stage in certify]
        return tuple(stage for stage in stages if stage.kind is not StageKind.CERTIFY) + tuple(certify)

    def _stages(self) -> Iterator[Stage]:
        config = self._config
        previous: tuple[StageId, ...] = ()
        for series in in_order(config):
            yield self._exposing(series, previous)
            previous = (_expose(series),)
        # What is applied comes first, and so does what it is built on itself.
        defects_first = Product.DEFECTS in self._pipelines.generators[Product.DARK].corrections
        if defects_first:
            yield from self._defects()
        for series in config.series:
            yield from self._product(series.subject, (series,), generate=config.generate_calibrations)
        if not defects_first:
            yield from self._defects()
        if config.do_ptc:
            yield from self._product(Subject(Product.PTC), (self._paired[0],))
        if config.do_gain_from_flat_pairs:
            # The photon transfer curve gives the gains of its own pairs.
            for series in self._paired[1:] if config.do_ptc else self._paired:
                yield from self._product(Subject(Product.GAIN, series.part), (series,))

    def _defects(self) -> Iterator[Stage]:
        """Yield what makes defects, and what they are built on."""
        if not self._config.do_defects:
            return
        defects = self._pipelines.generators[Product.DEFECTS]
        for product in defects.built_on:
            frames = self._pipelines.generators[product].frames
            yield self._generate(Subject(product), self._of(frames))
        yield from self._product(Subject(Product.DEFECTS), self._of(defects.frames))

    def exposures(self, series: Series) -> Iterator[PlannedExposure]:
        """Yield the frames of a series."""
        overhead = self._instrument.readout_time + self._config.wait_between_exposures
        for k in range(1, _n_trials(self._config, series) + 1):
            exp_time = series.exp_times[0]
            yield PlannedExposure(
                series.image_type,
                series.subject,
                exp_time,
                True,
                k - N_TRIALS,
                N_TRIALS,
                exp_time + overhead,
                trial=k,
            )
        for i, exp_time in enumerate(series.exp_times):
            yield PlannedExposure(
                series.image_type,
                series.subject,
                exp_time,
                i < series.n_discard,
                i + 1,
                series.n_frames,
                exp_time + overhead,
            )

    def _exposing(self, series: Series, previous: tuple[StageId, ...]) -> Stage:
        n_trials = _n_trials(self._config, series)
        times = [*series.exp_times[:1] * n_trials, *series.exp_times]
        camera = sum(times) + len(times) * self._instrument.readout_time
        waiting = len(times) * (self._config.wait_between_exposures + self._pace.frame)
        # Each trial is looked at before what follows.
        waiting += n_trials * self._pace.ingest
        return Stage(_expose(series), after=previous, duration=camera * self._pace.exposing + waiting)

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
            yield Stage(StageId(StageKind.CERTIFY, subject), tuple(needs), duration=self._pace.certification)

    def _verifications(self, used: tuple[Series, ...]) -> Iterator[StageId]:
        """Yield what verifies frames: what is built on them needs it too."""
        for series in used:
            if self._config.do_verify and series.subject.product in self._pipelines.verifiers:
                yield StageId(StageKind.VERIFY, series.subject)

    @property
    def _made(self) -> frozenset[Product]:
        """Calibrations of this run that its own products can use."""
        frames = {series.subject.product for series in self._config.series}
        made = frames if self._config.generate_calibrations else set()
        return frozenset(made | ({Product.DEFECTS} if self._config.do_defects else set()))

    def _applied(self, product: Product) -> StageId:
        """Return the stage after which a product of this run is applied."""
        if product is Product.DEFECTS:
            kind = StageKind.GENERATE
        elif self._config.certify == "each":
            kind = StageKind.CERTIFY
        else:
            kind = StageKind.VERIFY if self._config.do_verify else StageKind.GENERATE
        return StageId(kind, Subject(product))

    def _generate(self, subject: Subject, used: tuple[Series, ...]) -> Stage:
        """Plan a job that makes a product from frames of this run."""
        product = subject.product
        generator = self._pipelines.generators[product]
        corrections = [p for p in generator.corrections if p in self._made]
        # Those are certified once frames that they are applied to have
        # passed. What needs them takes them from where they were made.
        certified = [p for p in corrections if p is not Product.DEFECTS]
        # Certified together or by a person, they are not in it yet.
        at_once = self._config.certify == "each"
        collections = (self._config.calib_collection,) if certified and at_once else ()
        applied = [self._applied(p) for p in corrections]
        built_on = [StageId(StageKind.GENERATE, Subject(p)) for p in generator.built_on]
        configured = self._config.of(product)
        return Stage(
            StageId(StageKind.MEASURE if product is Product.GAIN else StageKind.GENERATE, subject),
            needs=(*map(_expose, used), *applied, *built_on),
            duration=self._job_duration(used),
            job=JobPlan(
                pipeline=pipeline_uri(generator.path, self._instrument),
                options=generator.workarounds + configured.options,
                # These come first: the run's own calibrations are then used
                # whatever validity range they are certified for.
                inputs_from=(*built_on, *(StageId(StageKind.GENERATE, Subject(p)) for p in corrections)),
                inputs=tuple(dict.fromkeys(collections + configured.inputs)),
                series=tuple(series.subject for series in used),
                hold_out=self._config.hold_out_every if used[0].subject == subject else 0,
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
        if self._config.release and self._config.resume is None:
            # The script does not wait for the job's end.
            return self._pace.ingest + _SUBMISSION_TIME
        # As if one detector were processed after the other: how many are at
        # once is the machine's, and is not known here.
        n = sum(series.n for series in used) * self._instrument.area(self._config.detectors)
        return self._pace.ingest + self._pace.job + self._pace.job_per_frame * n
