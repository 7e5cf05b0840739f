# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a configuration to everything that a run will do."""

from __future__ import annotations

__all__ = ["JobPlan", "JobRequest", "PlannedExposure", "RunPlan", "Stage", "make_plan"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from .config import CalibrationConfig, Series, flat_pairs
from .instruments import LATISS, ImageType, Instrument
from .pipelines import GENERATIONS
from .products import Product, StageKind

_JOB_OVERHEAD = 60.0
_JOB_TIME_PER_EXPOSURE = 5.4
"""With the overhead, 168 s for 20 biases: a verification job recorded at
the summit."""

_CERTIFICATION_TIME = 5.0

_INGEST_TIME = 5.0
"""From the end of readout to the frame being in the Butler (s)."""


@dataclass(frozen=True)
class PlannedExposure:
    """One frame that the camera is to take."""

    image_type: ImageType
    series: str
    """Name of its series: the image type, or that and one of several filter
    and grating pairs."""

    exp_time: float
    """Exposure time (s)."""

    discard: bool
    """Whether the frame only settles the detector and is not processed."""

    number: int
    """Place in its series, from 1."""

    series_length: int
    """Frames in its series, discarded ones included."""

    @property
    def label(self) -> str:
        """What the operator reads while it is taken."""
        return f"{self.series} {self.number}/{self.series_length}, {self.exp_time:g} s"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "image_type": self.image_type.value,
            "series": self.series,
            "exp_time": self.exp_time,
            "discard": self.discard,
        }


@dataclass(frozen=True)
class JobRequest:
    """A ``pipetask run``, in the words of the OCPS command ``execute``."""

    pipeline: str
    config: str
    data_query: str


@dataclass(frozen=True)
class JobPlan:
    """What the OCPS is to run for a stage, but for ids yet unknown."""

    pipeline: str
    """URI of the pipeline."""

    options: tuple[str, ...]
    """Further arguments of ``pipetask run``."""

    inputs_from: tuple[str, ...]
    """Stages whose output collections are searched first, in order."""

    inputs: tuple[str, ...]
    """Input collections searched after those, in order."""

    series: tuple[str, ...]
    """Whose kept frames are processed."""

    def request(
        self,
        *,
        generated: Sequence[str],
        exposures: Sequence[int],
        instrument: str,
        detectors: Sequence[int],
        n_processes: int,
    ) -> JobRequest:
        """Fill in what is known once the frames are taken.

        Parameters
        ----------
        generated : `~collections.abc.Sequence` [`str`]
            Output collections of the stages ``inputs_from``.
        exposures, detectors : `~collections.abc.Sequence` [`int`]
            Ids of what is processed.
        instrument : `str`
            The Butler's name of the instrument.
        n_processes : `int`
            Processes that the job may use.

        Returns
        -------
        request : `JobRequest`
        """
        inputs = ",".join((*generated, *self.inputs))
        # The OCPS splits this at blanks, without a shell's quoting.
        words = ("-j", str(n_processes), "-i", inputs, "--register-dataset-types", *self.options)
        query = (
            f"instrument='{instrument}' AND detector IN ({', '.join(map(str, detectors))})"
            f" AND exposure IN ({', '.join(map(str, exposures))})"
        )
        return JobRequest(self.pipeline, " ".join(words), query)


@dataclass(frozen=True)
class Stage:
    """A node of the stage graph."""

    kind: StageKind
    product: Product
    needs: tuple[str, ...]
    """Stages that must have succeeded."""

    part: str = ""
    """Which of several filter and grating pairs it is about, if so."""

    after: tuple[str, ...] = ()
    """Stages that must have ended, however they ended."""

    duration: float = 0.0
    """Expected duration (s)."""

    job: JobPlan | None = None

    @property
    def subject(self) -> str:
        """What it is about: the product, and the part if there is one."""
        return f"{self.product} {self.part}".rstrip()

    @property
    def name(self) -> str:
        """Its name, unique in a plan."""
        return f"{self.kind} {self.subject}"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "product": self.product.value,
            "needs": list(self.needs),
            "after": list(self.after),
            "duration": self.duration,
        }


@dataclass(frozen=True)
class RunPlan:
    """Everything that a run will do, in order where order matters."""

    exposures: tuple[PlannedExposure, ...]
    stages: tuple[Stage, ...]
    """Every stage stands after those that it needs."""

    notices: tuple[str, ...]
    """What the observer should know before pressing run."""

    @cached_property
    def starts(self) -> dict[str, float]:
        """When each stage starts if each does as soon as it may (s)."""
        starts: dict[str, float] = {}
        ends: dict[str, float] = {}
        for stage in self.stages:
            starts[stage.name] = max((ends[name] for name in stage.needs + stage.after), default=0.0)
            ends[stage.name] = starts[stage.name] + stage.duration
        return starts

    @property
    def duration(self) -> float:
        """Expected time to the end of the last stage (s)."""
        return max((self.starts[stage.name] + stage.duration for stage in self.stages), default=0.0)

    def exposures_of(self, series: str) -> tuple[PlannedExposure, ...]:
        """Return the frames of the named series."""
        return tuple(exposure for exposure in self.exposures if exposure.series == series)

    def generation_of(self, stage: Stage) -> Stage | None:
        """Return the stage that makes what a stage is about, if one does."""
        return self._of(stage, StageKind.GENERATE) or self._of(stage, StageKind.MEASURE)

    def verification_of(self, stage: Stage) -> Stage | None:
        """Return the stage that verifies what a stage is about, if any."""
        return self._of(stage, StageKind.VERIFY)

    def _of(self, stage: Stage, kind: StageKind) -> Stage | None:
        return next((s for s in self.stages if s.kind is kind and s.subject == stage.subject), None)

    def consumers(self, name: str) -> tuple[Stage, ...]:
        """Return the stages that need the named one themselves."""
        return tuple(stage for stage in self.stages if name in stage.needs)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "n_exposures": len(self.exposures),
            "duration": self.duration,
            "exposures": [exposure.to_dict() for exposure in self.exposures],
            "stages": [stage.to_dict() | {"start": self.starts[stage.name]} for stage in self.stages],
            "notices": list(self.notices),
        }


def make_plan(config: CalibrationConfig, instrument: Instrument = LATISS) -> RunPlan:
    """Plan a run.

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.
    instrument : `Instrument`, optional
        Whose frames are taken.

    Returns
    -------
    plan : `RunPlan`
    """
    planner = _Planner(config, instrument)
    stages = planner.stages()
    return RunPlan(
        exposures=tuple(exposure for series in config.series for exposure in _exposures(series)),
        stages=stages,
        notices=config.notices + tuple(planner.notices()),
    )


def _exposures(series: Series) -> Iterator[PlannedExposure]:
    for i, exp_time in enumerate(series.exp_times):
        yield PlannedExposure(
            series.image_type, series.name, exp_time, i < series.n_discard, i + 1, series.n_frames
        )


def _expose_name(series: Series) -> str:
    return f"{StageKind.EXPOSE} {series.name}"


class _Planner:
    """Builds the stages of one configuration."""

    def __init__(self, config: CalibrationConfig, instrument: Instrument) -> None:
        self._config = config
        self._instrument = instrument
        self._pipelines = GENERATIONS[config.pipeline_generation]
        self._certified = {Product(series.image_type.value) for series in config.series}
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
        needs = tuple(name for stage in certify for name in stage.needs)
        certify = [replace(stage, needs=needs) for stage in certify]
        return tuple(stage for stage in stages if stage.kind is not StageKind.CERTIFY) + tuple(certify)

    def _stages(self) -> Iterator[Stage]:
        config = self._config
        previous: tuple[str, ...] = ()
        for series in config.series:
            yield self._expose(series, previous)
            previous = (_expose_name(series),)
        for series in config.series:
            product, used = Product(series.image_type.value), (series,)
            yield from self._product(product, used, series.part, generate=config.generate_calibrations)
        if config.do_defects:
            defects = self._pipelines.generators[Product.DEFECTS]
            for product in defects.built_on:
                yield self._generate(product, self._of(self._pipelines.generators[product].frames))
            yield from self._product(Product.DEFECTS, self._of(defects.frames))
        if config.do_ptc:
            yield from self._product(Product.PTC, (self._paired[0],))
        if config.do_gain_from_flat_pairs:
            # The photon transfer curve gives the gains of its own pairs.
            for series in self._paired[1:] if config.do_ptc else self._paired:
                yield from self._product(Product.GAIN, (series,), series.part)

    def _expose(self, series: Series, previous: tuple[str, ...]) -> Stage:
        overhead = self._instrument.readout_time + self._config.wait_between_exposures
        n_frames = len(series.exp_times)
        return Stage(
            StageKind.EXPOSE,
            Product(series.image_type.value),
            needs=(),
            part=series.part,
            after=previous,
            duration=sum(series.exp_times) + n_frames * overhead,
        )

    def _product(
        self, product: Product, used: tuple[Series, ...], part: str = "", *, generate: bool = True
    ) -> Iterator[Stage]:
        """Yield what makes, verifies and certifies a product."""
        stage = generated = self._generate(product, used, part) if generate else None
        if generated:
            yield generated
        if self._config.do_verify and product in self._pipelines.verifiers:
            stage = self._verify(product, used, part, generated)
            yield stage
        if generated and stage and product is not Product.GAIN:
            yield Stage(
                StageKind.CERTIFY, product, needs=(stage.name,), part=part, duration=_CERTIFICATION_TIME
            )

    def _passed(self, product: Product) -> str:
        """Return the last stage before the certification of a product."""
        return f"{StageKind.VERIFY if self._config.do_verify else StageKind.GENERATE} {product}"

    def _generate(self, product: Product, used: tuple[Series, ...], part: str = "") -> Stage:
        """Plan a job that makes a product from frames of this run."""
        generator = self._pipelines.generators[product]
        corrections = [p for p in generator.corrections if p in self._certified]
        if not self._config.generate_calibrations:
            corrections = []
        # Certified together, they are not in the collection before the end.
        together = self._config.certify == "together"
        certified = (self._config.calib_collection,) if corrections and not together else ()
        built_on = tuple(f"{StageKind.GENERATE} {p}" for p in generator.built_on)
        return Stage(
            StageKind.MEASURE if product is Product.GAIN else StageKind.GENERATE,
            product,
            needs=(
                *map(_expose_name, used),
                *(
                    self._passed(correction) if together else f"{StageKind.CERTIFY} {correction}"
                    for correction in corrections
                ),
                *built_on,
            ),
            part=part,
            duration=self._job_duration(used),
            job=JobPlan(
                pipeline=generator.path,
                options=self._config.of(product).options,
                # These come first: the run's own calibrations are then used
                # whatever validity range they are certified for.
                inputs_from=(*built_on, *(f"{StageKind.GENERATE} {p}" for p in corrections)),
                inputs=tuple(dict.fromkeys(certified + self._config.of(product).inputs)),
                series=tuple(series.name for series in used),
            ),
        )

    def _verify(
        self, product: Product, used: tuple[Series, ...], part: str, generated: Stage | None
    ) -> Stage:
        inputs_from = (generated.name,) if generated else ()
        return Stage(
            StageKind.VERIFY,
            product,
            needs=(*map(_expose_name, used), *inputs_from),
            part=part,
            duration=self._job_duration(used),
            job=JobPlan(
                pipeline=self._pipelines.verifiers[product].path,
                options=(),
                inputs_from=inputs_from,
                inputs=self._config.of(product).verify_inputs,
                series=tuple(series.name for series in used),
            ),
        )

    def _job_duration(self, used: tuple[Series, ...]) -> float:
        n = sum(series.n for series in used)
        return _INGEST_TIME + _JOB_OVERHEAD + _JOB_TIME_PER_EXPOSURE * n
