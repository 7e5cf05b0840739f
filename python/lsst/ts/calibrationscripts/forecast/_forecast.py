# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a plan, and what was found out outside, to a forecast."""

from __future__ import annotations

__all__ = ["make_forecast"]

from collections.abc import Iterator

from ..config import (
    PRODUCT_PARAMETERS,
    SERIES_PARAMETERS,
    CalibrationConfig,
    Series,
    count_amplifiers,
    never_fails,
)
from ..instruments import ImageType, Instrument, named_detectors
from ..outcomes import Outcome
from ..pipelines import GENERATIONS, noise_left
from ..plan import RunPlan, Stage, disk_needed, validity_notices
from ..products import Product, StageId, StageKind, Subject
from ..thresholds import Thresholds
from ._noise import noise_level, parts_held_out, parts_left
from ._records import Facts, Finding, Forecast, Kind, Level

_USUAL_FRAMES = 20
"""What observers take where it need not be less."""


def make_forecast(
    config: CalibrationConfig, plan: RunPlan, instrument: Instrument, facts: Facts | None = None
) -> Forecast:
    """Say how stages must end, where that can be known.

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.
    plan : `RunPlan`
        What follows from it.
    instrument : `Instrument`
        Whose frames are taken.
    facts : `Facts`, optional
        What was found out of the repository and its disk. Without it,
        nothing is said of those.

    Returns
    -------
    forecast : `Forecast`
    """
    facts = facts or Facts()
    forecaster = _Forecaster(config, plan, instrument, facts)
    findings = sorted(forecaster.findings(), key=lambda finding: list(Level).index(finding.level))
    return Forecast(tuple(findings), facts.unknown)


class _Forecaster:
    """Makes the findings on one run."""

    def __init__(
        self, config: CalibrationConfig, plan: RunPlan, instrument: Instrument, facts: Facts
    ) -> None:
        self._config = config
        self._plan = plan
        self._instrument = instrument
        self._facts = facts
        self._pipelines = GENERATIONS[config.pipeline_generation].for_camera(instrument)

    def findings(self) -> Iterator[Finding]:
        """Yield all of them."""
        yield from self._refused()
        for stage in self._plan.stages_of(StageKind.VERIFY):
            yield from self._few_frames(stage)
            yield from self._threshold(stage)
        yield from self._pairs()
        yield from self._detectors()
        yield from self._disk()
        yield from self._validity()

    def _refused(self) -> Iterator[Finding]:
        """Yield why the run would not begin."""
        for text in self._facts.refused:
            cause, _, remedy = text.rpartition(". ")
            yield Finding(
                Level.CERTAIN, Kind.REFUSED, (), _sentence(cause or text), _sentence(remedy if cause else "")
            )
        for lacking in self._facts.missing:
            cause = f"{lacking.dataset_type}: {lacking.cause}, so that the run does not begin"
            yield Finding(
                Level.CERTAIN,
                Kind.CALIBRATION,
                lacking.stages,
                _sentence(cause),
                _sentence(lacking.remedy),
            )

    def _series(self, subject: Subject) -> Series:
        return next(series for series in self._config.series if series.subject == subject)

    def _times(self, series: Series) -> tuple[float, ...]:
        """Return the exposure times of the frames, none if not known (s)."""
        if series.exposures is None:
            return series.kept_exp_times
        known = self._facts.exp_times
        return tuple(known[i] for i in series.exposures) if known.keys() >= set(series.exposures) else ()

    def _few_frames(self, stage: Stage) -> Iterator[Finding]:
        """Yield that too little is left of the noise of the very frames."""
        product = stage.subject.product
        generated = self._plan.generation_of(stage.subject)
        made = generated is not None and stage.job is not None and generated.id in stage.job.inputs_from
        if not made or product not in (Product.BIAS, Product.DARK) or self._never_fails(stage):
            return
        series = self._series(stage.subject)
        level = self._noise_level(product, series)
        if level is None:
            return
        yield Finding(
            level,
            Kind.NOISE,
            (stage.id,),
            self._noise_cause(product, series.n - self._n_held_out(series), level),
            self._more_frames(series),
            Outcome.HELD,
            () if level is Level.REMARK else self._skipped(stage.id),
        )

    def _noise_level(self, product: Product, series: Series) -> Level | None:
        times = () if product is Product.BIAS else self._times(series)
        unknown = product is Product.DARK and not times
        if series.n == 1 and not self._pipelines.noise_two_sided:
            # With options of their own, frames are corrected otherwise when
            # they are verified; and a dark is divided by its time, which
            # leaves what is rounded.
            exactly = product is Product.BIAS and not self._config.of(product).options
            return Level.CERTAIN if exactly else Level.LIKELY
        n_detectors = len(self._instrument.detector_ids(self._config.detectors))
        n_held_out = self._n_held_out(series)
        if n_held_out and len(set(times)) > 1:
            return None
        level = noise_level(
            product,
            parts_left(times, series.n - n_held_out) + parts_held_out(series.n - n_held_out, n_held_out),
            times,
            self._pipelines,
            Thresholds.make(self._config.of(product).threshold, n_detectors, series.n),
            count_amplifiers(self._instrument, self._config.detectors),
        )
        return Level.LIKELY if level is Level.CERTAIN and unknown and series.n > 1 else level

    def _n_held_out(self, series: Series) -> int:
        """Return how many frames are verified and not combined."""
        every = self._config.hold_out_every
        return series.n // every if every else 0

    def _noise_cause(self, product: Product, n: int, level: Level) -> str:
        name = product.value.lower()
        if n == 1:
            return (
                f"The {name} is combined from one frame and is subtracted from that very frame, of which "
                "nothing is left to verify."
            )
        asked = f"NOISE asks for {1 - self._pipelines.noise_tolerance:.0%} at the least"
        unless = {
            Level.LIKELY: ", which amplifiers noisier than the nominal read noise may still have",
            Level.REMARK: ", so that it may fail",
        }.get(level, "")
        return (
            f"The {name} is combined from {n} frames and is subtracted from these very frames: "
            f"{noise_left(n):.1%} of the noise of each is left, and {asked}{unless}."
        )

    def _more_frames(self, series: Series) -> str:
        fewest = self._pipelines.fewest_frames
        least = f"{fewest} at the least" if fewest < _USUAL_FRAMES else ""
        if series.exposures is not None:
            return f"Name more exposures in exposures.{series.image_type}: {_USUAL_FRAMES}, {least}."
        names = SERIES_PARAMETERS[series.image_type]
        times = f" and {names.exp_times}: {max(series.kept_exp_times):g}" if names.exp_times else ""
        return f"Write {names.n}: {_USUAL_FRAMES}, {least}{times}."

    def _skipped(self, held: StageId) -> tuple[StageId, ...]:
        """Return the stages that need one, and those that need these."""
        lost = {held}
        for stage in self._plan.stages:
            if not lost.isdisjoint(stage.needs):
                lost.add(stage.id)
        return tuple(stage.id for stage in self._plan.stages if stage.id in lost - {held})

    def _never_fails(self, stage: Stage) -> str:
        """Return why a verification cannot fail, "" if it can."""
        threshold = self._config.of(stage.subject.product).threshold
        return never_fails(threshold, self._instrument, self._config.detectors)

    def _threshold(self, stage: Stage) -> Iterator[Finding]:
        product = stage.subject.product
        why = self._never_fails(stage)
        key = PRODUCT_PARAMETERS[product].threshold if product in PRODUCT_PARAMETERS else None
        if not why or key is None:
            return
        threshold = self._config.of(product).threshold
        # The words of the configuration's notice, which is shown beside it.
        cause = f"{key} is {threshold}: no {product.lower()} can fail, {why}."
        yield Finding(Level.REMARK, Kind.THRESHOLD, (stage.id,), cause, "", Outcome.HELD)

    def _pairs(self) -> Iterator[Finding]:
        """Yield what has no pairs of flats."""
        rule, flats = self._pipelines.pair_rule, self._flats
        if self._config.do_gain_from_flat_pairs:
            for series in flats:
                which = f" for {series.name}" if len(flats) > 1 else ""
                if not self._may_have_pairs(series):
                    cause = f"No gain can be measured{which}: no flats are a pair, which is {rule.value}."
                    measured = self._plan.generation_of(Subject(Product.GAIN, series.part))
                    yield Finding(Level.REMARK, Kind.PAIRS, (measured.id,) if measured else (), cause, "")
        for stage in self._plan.stages_of(StageKind.GENERATE):
            if stage.subject.product is not Product.PTC or stage.job is None:
                continue
            if not any(self._may_have_pairs(self._series(subject)) for subject in stage.job.series):
                yield Finding(
                    Level.CERTAIN,
                    Kind.PAIRS,
                    (stage.id,),
                    f"None of its flats are a pair, which is {rule.value}.",
                    "Name flats in exposures.FLAT that are pairs, or write do_ptc: False.",
                    Outcome.FAILED,
                    self._skipped(stage.id),
                )

    def _detectors(self) -> Iterator[Finding]:
        """Yield what is made of detectors that its pipeline cannot do with."""
        processed = set(self._instrument.detector_ids(self._config.detectors))
        for stage in self._plan.stages_of(StageKind.GENERATE):
            needed = self._pipelines.generators[stage.subject.product].needs_one_of
            if needed and processed.isdisjoint(needed):
                yield Finding(
                    Level.CERTAIN,
                    Kind.DETECTORS,
                    (stage.id,),
                    f"Its pipeline compares the detectors with one of {named_detectors(needed)}, in the "
                    "middle of the focal plane.",
                    "Add one of them to detectors.",
                    Outcome.FAILED,
                    self._skipped(stage.id),
                )

    @property
    def _flats(self) -> tuple[Series, ...]:
        return tuple(series for series in self._config.series if series.image_type is ImageType.FLAT)

    def _may_have_pairs(self, series: Series) -> bool:
        times = self._times(series)
        if series.exposures is not None and times:
            return bool(self._pipelines.pair_rule.pairs(times))
        return series.may_have_pairs(self._pipelines.pair_rule)

    def _disk(self) -> Iterator[Finding]:
        free = self._facts.free_space
        needed = disk_needed(self._config, self._facts.left or self._plan, self._instrument)
        if free is not None and free < needed:
            yield Finding(
                Level.LIKELY,
                Kind.DISK,
                (),
                f"About {needed / 1e9:.1f} GB are needed on the disk of {self._config.repo}, and "
                f"{free / 1e9:.1f} GB are left.",
                "Make room there.",
            )

    def _validity(self) -> Iterator[Finding]:
        certified = tuple(stage.id for stage in self._plan.stages_of(StageKind.CERTIFY))
        exposing = sum(stage.duration for stage in self._plan.stages_of(StageKind.EXPOSE))
        for notice in validity_notices(self._config, self._facts.begin, exposing):
            cause, written, remedy = notice.rpartition(" Write ")
            yield Finding(Level.REMARK, Kind.VALIDITY, certified, cause, f"{written.strip()} {remedy}")


def _sentence(text: str) -> str:
    return f"{text.rstrip('.')}." if text else ""
