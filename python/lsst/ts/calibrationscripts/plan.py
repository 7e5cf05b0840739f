# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a configuration to everything that a run will do."""

from __future__ import annotations

__all__ = ["JobPlan", "JobRequest", "PlannedExposure", "RunPlan", "Stage", "StageKind", "make_plan"]

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .config import CalibrationConfig, ImageType, Series, flat_pairs
from .instruments import LATISS, Instrument
from .pipelines import PROCEDURE, PipelineSet, Product

_JOB_OVERHEAD = 60.0
_JOB_TIME_PER_EXPOSURE = 5.4
"""With the overhead, 168 s for 20 biases: a verification job recorded at
the summit."""

_CERTIFICATION_TIME = 5.0

_INGEST_TIME = 5.0
"""From the end of readout to the frame being in the Butler (s)."""


class StageKind(enum.StrEnum):
    """What a stage does with its product."""

    EXPOSE = "expose"
    GENERATE = "generate"
    VERIFY = "verify"
    CERTIFY = "certify"
    MEASURE = "measure"


@dataclass(frozen=True)
class PlannedExposure:
    """One frame that the camera is to take."""

    image_type: ImageType
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
        return f"{self.image_type} {self.number}/{self.series_length}, {self.exp_time:g} s"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {"image_type": self.image_type.value, "exp_time": self.exp_time, "discard": self.discard}


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

    image_types: tuple[ImageType, ...]
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

    after: tuple[str, ...] = ()
    """Stages that must have ended, however they ended."""

    duration: float = 0.0
    """Expected duration (s)."""

    job: JobPlan | None = None

    @property
    def name(self) -> str:
        """Its name, unique in a plan."""
        return f"{self.kind} {self.product}"

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

    duration: float
    """Expected time to the end of the last stage (s)."""

    notices: tuple[str, ...]
    """What the observer should know before pressing run."""

    def exposures_of(self, image_type: ImageType | Product) -> tuple[PlannedExposure, ...]:
        """Return the frames of one series."""
        return tuple(exposure for exposure in self.exposures if exposure.image_type.value == image_type.value)

    def find(self, kind: StageKind, product: Product) -> Stage | None:
        """Return the stage of this kind and product, if it is planned."""
        return next((s for s in self.stages if s.kind is kind and s.product is product), None)

    def consumers(self, name: str) -> tuple[Stage, ...]:
        """Return the stages that need the named one themselves."""
        return tuple(stage for stage in self.stages if name in stage.needs)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "n_exposures": len(self.exposures),
            "duration": self.duration,
            "exposures": [exposure.to_dict() for exposure in self.exposures],
            "stages": [stage.to_dict() for stage in self.stages],
            "notices": list(self.notices),
        }


def make_plan(
    config: CalibrationConfig, instrument: Instrument = LATISS, pipelines: PipelineSet = PROCEDURE
) -> RunPlan:
    """Plan a run.

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.
    instrument : `Instrument`, optional
        Whose frames are taken.
    pipelines : `PipelineSet`, optional
        What processes them.

    Returns
    -------
    plan : `RunPlan`
    """
    planner = _Planner(config, instrument, pipelines)
    stages = tuple(planner.stages())
    return RunPlan(
        exposures=tuple(exposure for series in config.series for exposure in _exposures(series)),
        stages=stages,
        duration=_duration(stages),
        notices=config.notices + planner.notices(),
    )


def _exposures(series: Series) -> Iterator[PlannedExposure]:
    for i, exp_time in enumerate(series.exp_times):
        yield PlannedExposure(series.image_type, exp_time, i < series.n_discard, i + 1, series.n_frames)


def _duration(stages: tuple[Stage, ...]) -> float:
    """Return when the last stage ends if each starts as soon as it may."""
    end: dict[str, float] = {}
    for stage in stages:
        start = max((end[name] for name in stage.needs + stage.after), default=0.0)
        end[stage.name] = start + stage.duration
    return max(end.values(), default=0.0)


class _Planner:
    """Builds the stages of one configuration."""

    def __init__(self, config: CalibrationConfig, instrument: Instrument, pipelines: PipelineSet) -> None:
        self._config = config
        self._instrument = instrument
        self._pipelines = pipelines
        self._products = tuple(Product(series.image_type.value) for series in config.series)
        self._n_kept = {series.image_type: series.n for series in config.series}
        flats = next((series for series in config.series if series.image_type is ImageType.FLAT), None)
        self._pairs = flat_pairs(flats.kept_exp_times) if flats else ()

    def notices(self) -> tuple[str, ...]:
        if not self._measures_gain or not self._pairs:
            return ()
        n_paired, n_flats = 2 * len(self._pairs), self._n_kept[ImageType.FLAT]
        if n_paired == n_flats:
            return ()
        return (
            f"Gains come from {len(self._pairs)} flat pair(s), {n_paired} of the {n_flats} flats: the first "
            "two flats of each exposure time are paired.",
        )

    @property
    def _measures_gain(self) -> bool:
        return self._config.do_ptc or self._config.do_gain_from_flat_pairs

    def stages(self) -> Iterator[Stage]:
        """Yield the stages, each after those that it needs."""
        previous: tuple[str, ...] = ()
        for series in self._config.series:
            yield self._expose(series, previous)
            previous = (f"{StageKind.EXPOSE} {series.image_type}",)
        for product in self._products:
            yield from self._image_stages(product)
        if self._config.do_defects:
            yield from self._derived_stages(Product.DEFECTS, (ImageType.DARK, ImageType.FLAT))
        if self._config.do_ptc:
            yield from self._derived_stages(Product.PTC, (ImageType.FLAT,))
        elif self._config.do_gain_from_flat_pairs and self._pairs:
            yield self._job_stage(
                StageKind.MEASURE, Product.GAIN, (ImageType.FLAT,), self._config.input_collections_ptc
            )

    def _expose(self, series: Series, previous: tuple[str, ...]) -> Stage:
        overhead = self._instrument.readout_time + self._config.wait_between_exposures
        return Stage(
            StageKind.EXPOSE,
            Product(series.image_type.value),
            needs=(),
            after=previous,
            duration=sum(series.exp_times) + series.n_frames * overhead,
        )

    def _image_stages(self, product: Product) -> Iterator[Stage]:
        """Yield what becomes of the frames of one image type."""
        config, image_type = self._config, ImageType(product.value)
        if config.generate_calibrations:
            yield self._job_stage(StageKind.GENERATE, product, (image_type,), self._inputs(product))
        if config.do_verify:
            yield self._verify(product, image_type)
        if config.generate_calibrations:
            yield self._certify(product)

    def _derived_stages(self, product: Product, image_types: tuple[ImageType, ...]) -> Iterator[Stage]:
        yield self._job_stage(StageKind.GENERATE, product, image_types, self._inputs(product))
        yield self._certify(product)

    def _inputs(self, product: Product) -> tuple[str, ...]:
        return getattr(self._config, f"input_collections_{product.lower()}")  # type: ignore[no-any-return]

    def _options(self, product: Product) -> tuple[str, ...]:
        source = Product.PTC if product is Product.GAIN else product
        return getattr(self._config, f"config_options_{source.lower()}")  # type: ignore[no-any-return]

    def _corrections(self, product: Product) -> tuple[Product, ...]:
        """Return the products of this run that ISR applies on the way."""
        if not self._config.generate_calibrations:
            return ()
        applied = {Product.BIAS: (), Product.DARK: (Product.BIAS,)}.get(product, (Product.BIAS, Product.DARK))
        return tuple(correction for correction in applied if correction in self._products)

    def _job_stage(
        self, kind: StageKind, product: Product, image_types: tuple[ImageType, ...], inputs: tuple[str, ...]
    ) -> Stage:
        """Plan a job that makes a product from frames of this run."""
        corrections = self._corrections(product)
        # The generation collections come first: the run's own calibrations
        # are then used whatever validity range they are certified for.
        own = (self._config.calib_collection,) if corrections else ()
        return Stage(
            kind,
            product,
            needs=tuple(f"{StageKind.EXPOSE} {image_type}" for image_type in image_types)
            + tuple(f"{StageKind.CERTIFY} {correction}" for correction in corrections),
            duration=self._job_duration(image_types),
            job=JobPlan(
                pipeline=self._pipelines.generators[product].path,
                options=self._options(product),
                inputs_from=tuple(f"{StageKind.GENERATE} {correction}" for correction in corrections),
                inputs=tuple(dict.fromkeys(own + inputs)),
                image_types=image_types,
            ),
        )

    def _verify(self, product: Product, image_type: ImageType) -> Stage:
        generated = (f"{StageKind.GENERATE} {product}",) if self._config.generate_calibrations else ()
        return Stage(
            StageKind.VERIFY,
            product,
            needs=(f"{StageKind.EXPOSE} {product}", *generated),
            duration=self._job_duration((image_type,)),
            job=JobPlan(
                pipeline=self._pipelines.verifiers[product].path,
                options=(),
                inputs_from=generated,
                inputs=getattr(self._config, f"input_collections_verify_{product.lower()}"),
                image_types=(image_type,),
            ),
        )

    def _certify(self, product: Product) -> Stage:
        verified = self._config.do_verify and product in self._pipelines.verifiers
        return Stage(
            StageKind.CERTIFY,
            product,
            needs=(f"{StageKind.VERIFY if verified else StageKind.GENERATE} {product}",),
            duration=_CERTIFICATION_TIME,
        )

    def _job_duration(self, image_types: tuple[ImageType, ...]) -> float:
        n = sum(self._n_kept[image_type] for image_type in image_types)
        return _INGEST_TIME + _JOB_OVERHEAD + _JOB_TIME_PER_EXPOSURE * n
