# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the observer should do after a run."""

from __future__ import annotations

__all__ = ["decide_command", "next_steps", "resumable"]

import shlex
from collections.abc import Iterator
from pathlib import PurePath

from ..config import PRODUCT_PARAMETERS, SERIES_PARAMETERS
from ..instruments import ImageType
from ..outcomes import Outcome, RunState, StageResult
from ..pipelines import pipelines_of
from ..products import Product, StageKind
from ._model import RunReport

_FEW_FRAMES = 11
"""What is combined from fewer fails NOISE by itself, if noise that is too low
is a failure: of a frame's noise, the root of 1 - 1/n is left when the mean of
n such frames is subtracted, and that is less than the 95 % that the test asks
for. Of one frame nothing is left, and other tests fail."""

_NOT_BEGUN = "Nothing was begun. Correct it and run again."
_NO_FRAME = "No frame was taken. Correct it and run again."


def next_steps(report: RunReport) -> tuple[str, ...]:
    """Return what the observer should do now.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    steps : `tuple` [`str`, ...]
        Sentences, the most urgent first.
    """
    return tuple(_steps(report))


def resumable(report: RunReport) -> bool:
    """Return whether there is something to resume.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    resumable : `bool`
    """
    return bool(report.journal) and not report.complete and not _run_again(report)


def decide_command(report: RunReport) -> str:
    """Return the command that accepts or rejects what is waiting.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    command : `str`
        It names the folder of the run, which is another user's default.
    """
    folder = f" --journals {shlex.quote(str(PurePath(report.journal).parent))}" if report.journal else ""
    return f"calibscripts decide {report.run_id}{folder}"


def _steps(report: RunReport) -> Iterator[str]:
    if report.waiting:
        named = ", ".join(proof.subject.name for proof in report.waiting)
        yield f"Look at {named}, then accept or reject: {decide_command(report)}"
    used = [
        judgement.series for judgement in report.judgements if judgement.spoilt and not judgement.excluded
    ]
    for series in used:
        yield f"{series}: see which frames are spoilt. They were used: if they are bad, take others."
    if report.complete and used:
        return
    if report.complete:
        if not report.waiting:
            yield "Nothing to do." + ("" if report.certifications else " Nothing was to be certified.")
        return
    if again := _run_again(report):
        yield again
        return
    for result in report.stages:
        if result.outcome is Outcome.FAILED:
            yield _after_failed(report, result)
    decided = {decision.subject for decision in report.decisions}
    undecided = [one for one in report.stages if not one.outcome.good and one.stage.subject not in decided]
    if report.state is RunState.DONE and not undecided:
        yield "Nothing to do: what is held was decided by a person."
        return
    for result in report.stages:
        if result.outcome is Outcome.HELD and result.stage.subject not in decided:
            yield _after_held(report, result)
    if report.run_id and report.journal:
        yield _how_to_resume(report)
    elif report.run_id:
        yield "It has no journal, so it cannot be resumed: process its frames with 'exposures' in a new run."


def _run_again(report: RunReport) -> str:
    """Return what to do where there is nothing to resume; "" if there is."""
    if report.state is RunState.DONE:
        return ""
    if not report.stages and not report.journal:
        return _NOT_BEGUN
    has_frames = any(report.exposures.values())
    has_jobs = any(result.job_id for result in report.stages)
    return _NO_FRAME if report.stages and not has_frames and not has_jobs else ""


def _how_to_resume(report: RunReport) -> str:
    unfinished = {Outcome.FAILED, Outcome.ABORTED} & {result.outcome for result in report.stages}
    if report.state is not RunState.DONE or unfinished:
        once = "" if report.state is RunState.STOPPED else "Once the cause is fixed, "
        resume = _resume(report)
        return (
            f"{once}{resume if once else resume[:1].upper() + resume[1:]}. What is done is not done again; "
            "frames that exist are not taken again."
        )
    return f"To read its results again, {_resume(report)}; what was held because of its frames stays held."


def _resume(report: RunReport, beside: str = "") -> str:
    """Return in words how a run is resumed, and what is written beside."""
    if not report.resume_command:
        return f"resume the run with the configuration 'resume: {report.run_id}'{beside and f' and {beside}'}"
    if not beside:
        return f"resume the run with {report.resume_command}"
    return f"write {beside} into a file, and resume the run with {report.resume_command} FILE"


def _after_failed(report: RunReport, result: StageResult) -> str:
    if result.missing:
        return _after_missing(report, result)
    if not result.log or result.stage.kind is StageKind.CERTIFY:
        return f"{result.name} failed: see why above."
    ends = f" It ends: {result.log_tail[-1]}" if result.log_tail else ""
    parameters = PRODUCT_PARAMETERS.get(result.stage.subject.product)
    options = parameters.options if parameters and result.stage.kind is not StageKind.VERIFY else None
    corrected = f"{options}, corrected" if options else "what is to be corrected"
    return (
        f"{result.name} failed: read its log, {result.log}.{ends} If the cause is in the configuration, "
        f"{_resume(report, corrected)}. If it is the service or the disk, resume once it is fixed."
    )


def _after_missing(report: RunReport, result: StageResult) -> str:
    """Return what to do about frames that never came into the Butler."""
    lost = ", ".join(map(str, result.missing))
    image_type = ImageType(result.stage.subject.product.value)
    text = (
        f"{result.name}: have the OODS ingest exposure(s) {lost}, then {_resume(report)}. If they are late, "
        f"write a longer 'oods_timeout' beside it."
    )
    left_out = {*result.missing, *report.discarded.get(image_type, ())}
    kept = [i for i in report.exposures.get(image_type, ()) if i not in left_out]
    if not kept or result.stage.subject.part:
        return f"{text} If they are lost, take the frames again."
    ids = f"[{', '.join(map(str, kept))}]"
    return (
        f"{text} If they are lost, process the others in a new run, with 'exposures: {{{image_type}: ...}}' "
        f"in place of the keys that say which frames are taken: exposures: {{{image_type}: {ids}}}"
    )


def _after_held(report: RunReport, result: StageResult) -> str:
    subject = result.stage.subject
    verdict = report.verdicts.get(subject)
    if result.stage.kind is StageKind.CERTIFY:
        passed = "'certify_if: passed'"
        return (
            f"{subject}: see how it compares with the one in use. If it is right nevertheless, "
            f"{_resume(report, passed)}; with 'certify: ask' a person decides."
        )
    if subject.product is Product.DEFECTS:
        return (
            "DEFECTS: see where pixels were gained or lost. If the detector has changed (a hot region, "
            "an amplifier lost), certify them with 'do_verify: false'. Otherwise suspect the frames (light "
            "in the darks, dust, dark or saturated flats), and take them again."
        )
    if verdict is None or not verdict.of_exposures:
        return f"{subject}: see which amplifiers fail."
    n = len(verdict.results)
    tests = {test for result in verdict.results for test in result.counts}
    if report.config.get("generate_calibrations"):
        too_quiet = "NOISE" in tests and pipelines_of(report.config).noise_two_sided
        if n == 1 or (n < _FEW_FRAMES and too_quiet):
            return (
                f"{subject}: take more frames, 20 rather than {n}. What is combined from {n} frames has so "
                f"much of the noise of each that only {(1 - 1 / n) ** 0.5:.0%} of it is left to verify. "
                f"Write {SERIES_PARAMETERS[ImageType(subject.product.value)].n}: 20."
            )
        return (
            f"{subject}: see which amplifiers and exposures fail. If all do, suspect the frames "
            "(light, voltages, sequencer); if a few do, suspect the detector. Then take the frames again."
        )
    return (
        f"{subject}: the frames differ from the reference calibrations. See which amplifiers and "
        "exposures fail; if the change is permanent, make new calibrations "
        "('generate_calibrations: true')."
    )
