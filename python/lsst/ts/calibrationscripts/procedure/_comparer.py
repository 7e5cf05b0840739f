# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""New products, compared with those in use before they are certified."""

from __future__ import annotations

__all__ = ["Comparer"]

from collections.abc import Sequence

from ..comparison import Better, Comparison, compare_curves, compare_defects, compare_images
from ..outcomes import Gain, by_amplifier
from ..plan import Stage
from ..ports import Applied, ObservatoryError
from ..products import Product
from ..proof import Proof
from ._context import Context
from ._exposer import Exposer

_N_FRAMES = 5
"""Frames that are looked at, spread over the series: enough for a standard
error, and few enough to be read in seconds."""

_METHOD = "each of {n} frames with the mean of the others"

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
    exposer : `Exposer`
        Has the frames.
    """

    def __init__(self, context: Context, exposer: Exposer) -> None:
        self._context = context
        self._exposer = exposer
        self._repository = context.world.repository
        self._operator = context.world.operator
        self._wanted = context.config.certify_if
        self.done: list[Comparison] = []
        """What was compared."""

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
                return compare_curves(subject, curves.new, curves.old, measured, reference=curves.reference)
            case _:
                return await self._compare_images(proof, run)

    async def _compare_images(self, proof: Proof, run: str) -> Comparison:
        subject = proof.subject
        verifier = self._context.pipelines.verifiers.get(subject.product)
        if proof.verification is None or verifier is None or verifier.per_exposure is None:
            raise ObservatoryError("no frames were verified with it")
        step = max(1, len(proof.frames) // _N_FRAMES)
        chosen = [frame.exposure for frame in proof.frames[::step][:_N_FRAMES]]
        applied = Applied(
            subject.product,
            proof.certification.dataset_type,
            run,
            self._context.config.of(subject.product).verify_inputs,
            verifier.per_exposure,
            self._context.world.jobs.run_collection(proof.verification.job_id),
            tuple((exposure, self._exposer.records[exposure].exp_time) for exposure in chosen),
            len(proof.frames),
        )
        reference, residuals = await self._repository.residuals(applied)
        if not reference:
            return Comparison(subject, Better.FIRST)
        return compare_images(
            subject,
            residuals,
            reference=reference,
            exposures=chosen,
            method=_METHOD.format(n=len(chosen)),
        )
