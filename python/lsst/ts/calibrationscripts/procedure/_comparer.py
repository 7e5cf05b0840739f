# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""New products, compared with those in use before they are certified."""

from __future__ import annotations

__all__ = ["Comparer"]

from collections.abc import Sequence

from ..comparison import (
    AmplifierResiduals,
    Better,
    Comparison,
    compare_curves,
    compare_defects,
    compare_images,
)
from ..outcomes import Gain, by_amplifier
from ..plan import Stage
from ..ports import Applied, CorrectedFrames, ObservatoryError
from ..products import Product, StageId, StageKind, Subject
from ..proof import Proof
from ._context import Context

_N_FRAMES = 5
"""Frames that are looked at, spread over the series: enough for a standard
error, and few enough to be read in seconds."""

_FEWEST_FRAMES = 2
"""Fewest frames that have a standard error."""

_ACCEPTED = {
    "passed": frozenset(Better),
    "not_worse": frozenset({Better.BETTER, Better.EQUAL, Better.FIRST}),
    "better": frozenset({Better.BETTER, Better.FIRST}),
}
"""What the values of the configuration's ``certify_if`` let be certified."""


class Comparer:
    """Compares products with those that their frames find without them.

    Parameters
    ----------
    context : `Context`
        The run.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._repository = context.world.repository
        self._operator = context.world.operator
        self._wanted = context.config.certify_if
        self.done: list[Comparison] = []
        """What was compared."""

    async def check(self) -> tuple[str, ...]:
        """Return why products cannot be compared as configured, if so."""
        run_id = self._context.config.hold_out
        if not isinstance(run_id, str):
            return ()
        try:
            await self._context.world.earlier_run(run_id)
        except ObservatoryError as error:
            return (f"hold_out: {error}",)
        return ()

    async def refusal(self, stage: Stage | None, proof: Proof, gains: Sequence[Gain]) -> str:
        """Compare a product; return why it is not to be certified, if so.

        Parameters
        ----------
        stage : `Stage`
            That which has made it.
        proof : `Proof`
            What proves it.
        gains : `~collections.abc.Sequence` [`Gain`]
            Those that were measured on pairs of flats.

        Returns
        -------
        refusal : `str`
            "" if the configuration's ``certify_if`` is met.
        """
        assert stage is not None, "what is proven was made"
        try:
            comparison = await self._compare(stage, proof, gains)
        except Exception as error:  # noqa: BLE001 - what is only compared must not fail what is proven
            cause = str(error) if isinstance(error, ObservatoryError) else f"{type(error).__name__}: {error}"
            text = f"{proof.subject} is not compared with what is in use: {cause}"
            if self._wanted == "passed":
                self._operator.warning(f"{text}.")
                return ""
            return f"{text} (certify_if: {self._wanted})"
        self.done.append(comparison)
        log = self._operator.info if comparison.not_worse else self._operator.warning
        log(f"{proof.subject}: {comparison.text}.")
        if comparison.better in _ACCEPTED[self._wanted]:
            return ""
        return f"{comparison.text} (certify_if: {self._wanted})"

    async def _compare(self, stage: Stage, proof: Proof, gains: Sequence[Gain]) -> Comparison:
        assert stage.job is not None, f"{stage.name} has no job"
        subject, run = proof.subject, self._context.world.jobs.run_collection(proof.generation.job_id)
        match subject.product:
            case Product.DEFECTS:
                return compare_defects(subject, proof.defects)
            case Product.PTC:
                curves = await self._repository.curves(
                    proof.certification.dataset_type, run, stage.job.inputs, proof.frames[0].exposure
                )
                if not curves.reference:
                    return Comparison(subject, Better.FIRST)
                measured = {(one.detector, one.amplifier): one for one in by_amplifier(gains)}
                new = {place: fit for place, fit in curves.new.items() if place[0] in proof.detectors}
                return compare_curves(subject, new, curves.old, measured, reference=curves.reference)
            case _:
                return await self._compare_images(proof, run)

    async def _compare_images(self, proof: Proof, run: str) -> Comparison:
        verifier = self._context.pipelines.verifiers.get(proof.subject.product)
        if proof.verification is None or verifier is None or verifier.per_exposure is None:
            raise ObservatoryError("no frames were verified with it")
        own = self._own_frames(proof, verifier.per_exposure)
        comparison = await self._compare_on(*own, proof, run)
        other_run = self._context.config.hold_out
        if isinstance(other_run, int) or comparison.better is Better.FIRST:
            return comparison
        # Both count: where an amplifier is dead now, earlier frames look well.
        frames = await self._frames_of(other_run, proof.subject, verifier.per_exposure)
        method = f"{len(frames.exposures)} frames of run {other_run}"
        return (await self._compare_on(frames, method, proof, run)).together_with(comparison)

    async def _compare_on(self, frames: CorrectedFrames, method: str, proof: Proof, run: str) -> Comparison:
        runs: list[str] = []
        residuals: list[AmplifierResiduals] = []
        # One by one: each visit to the repository has a time limit.
        for detector in proof.detectors:
            applied = Applied(
                proof.subject.product,
                proof.certification.dataset_type,
                run,
                detector,
                proof.frames[0].exposure,
                self._context.config.of(proof.subject.product).verify_inputs,
                frames,
            )
            reference, of_detector = await self._repository.residuals(applied)
            runs += [reference] if reference else []
            residuals += of_detector
        if not runs:
            return Comparison(proof.subject, Better.FIRST)
        return compare_images(
            proof.subject,
            residuals,
            reference=", ".join(dict.fromkeys(runs)),
            exposures=frames.exposures,
            method=method,
        )

    def _own_frames(self, proof: Proof, frame_type: str) -> tuple[CorrectedFrames, str]:
        """Return frames that this run has verified, and how in words."""
        assert proof.verification is not None, "frames are verified by a job"
        jobs = self._context.world.jobs
        held_out = bool(self._context.config.hold_out_every)
        chosen = _spread([frame.exposure for frame in (proof.held_out if held_out else proof.frames)])
        if held_out and len(chosen) < _FEWEST_FRAMES:
            raise ObservatoryError(f"{len(chosen)} frame(s) are held out, which says nothing of the error")
        frames = CorrectedFrames(
            frame_type,
            jobs.run_collection(proof.verification.job_id),
            chosen,
            (jobs.run_collection(proof.generation.job_id),),
            0 if held_out else len(proof.frames),
        )
        if held_out:
            return frames, f"{len(chosen)} frames that were held out"
        return frames, f"each of {len(chosen)} frames with the mean of the others"

    async def _frames_of(self, run_id: str, subject: Subject, frame_type: str) -> CorrectedFrames:
        """Return frames that another run has verified."""
        record = await self._context.world.earlier_run(run_id)
        verified = record.job_of(StageId(StageKind.VERIFY, subject))
        if verified is None:
            raise ObservatoryError(f"run {run_id} has verified no {subject}")
        made = record.job_of(StageId(StageKind.GENERATE, subject))
        exposures = (verified if made is None else made).request.exposures
        if len(exposures) < _FEWEST_FRAMES:
            raise ObservatoryError(f"run {run_id} has {len(exposures)} frame(s) of {subject}")
        return CorrectedFrames(
            frame_type,
            self._context.world.jobs.run_collection(verified.job_id),
            _spread(exposures),
            verified.request.inputs,
            0 if made is None else len(exposures),
        )


def _spread(exposures: Sequence[int]) -> tuple[int, ...]:
    """Return some of the exposures, spread over all."""
    step = max(1, len(exposures) // _N_FRAMES)
    return tuple(exposures[::step][:_N_FRAMES])
