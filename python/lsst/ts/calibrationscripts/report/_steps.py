# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the observer should do after a run."""

from __future__ import annotations

__all__ = ["NOT_BEGUN", "decide_command", "next_steps", "resumable"]

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from ..config import PRODUCT_PARAMETERS, SERIES_PARAMETERS
from ..instruments import ImageType
from ..outcomes import Outcome, RunState, StageResult
from ..pipelines import noise_left, pipelines_of
from ..ports import SurroundingsError
from ..products import Product, StageKind
from ._model import RunReport
from ._rest import after_bad_detectors, after_rest, few_are_bad

_ERROR = re.compile(r"[\w.]*(Error|Exception)\b")
"""What the last line of a traceback begins with."""

NOT_BEGUN = "Nothing was begun. Correct it and run again."
_NO_FRAME = "No frame was taken. Correct it and run again."


def next_steps(report: RunReport, warnings: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what the observer should do now.

    Parameters
    ----------
    report : `RunReport`
        The run.
    warnings : `~collections.abc.Sequence` [`str`], optional
        What is unlike earlier runs.

    Returns
    -------
    steps : `tuple` [`str`, ...]
        Sentences, the most urgent first.
    """
    return tuple(_steps(report, warnings))


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
    if not report.journal or report.complete or _run_again(report):
        return False
    return _resuming_helps(report)


def _resuming_helps(report: RunReport) -> bool:
    """Return whether it would do more than read the results again."""
    unfinished = {Outcome.FAILED, Outcome.ABORTED} & {result.outcome for result in report.stages}
    refused = [
        result
        for result in report.stages
        if result.outcome is Outcome.HELD and result.stage.kind is StageKind.CERTIFY
    ]
    rest = any(map(few_are_bad, report.stages))
    return report.state is not RunState.DONE or bool(unfinished or refused or rest)


def decide_command(run_id: str, journal: str) -> str:
    """Return the command that accepts or rejects what is waiting.

    Parameters
    ----------
    run_id : `str`
        The run.
    journal : `str`
        Path of its journal, whose folder is named: by default, that of the
        user is meant, who may not be that of the script.

    Returns
    -------
    command : `str`
    """
    folder = f" --journals {shlex.quote(str(PurePath(journal).parent))}" if journal else ""
    return f"calibscripts decide {run_id}{folder}"


def _steps(report: RunReport, warnings: Sequence[str]) -> Iterator[str]:
    if report.waiting:
        named = ", ".join(proof.subject.name for proof in report.waiting)
        yield f"Look at {named}, then accept or reject: {decide_command(report.run_id, report.journal)}"
    used = [judgement for judgement in report.judgements if set(judgement.spoilt) - set(judgement.excluded)]
    for judgement in used:
        ids = " ".join(str(i) for i in judgement.spoilt if i not in judgement.excluded)
        which = "Some" if judgement.excluded else "They"
        yield (
            f"{judgement.series}: see which frames are spoilt. {which} were used. If they are bad, "
            f"'calibscripts remake {report.run_id} --without {ids}' makes it anew; or take others."
        )
    if report.complete and used:
        return
    if report.complete:
        if warnings:
            yield (
                f"Look at the {len(warnings)} warning(s) below: something is unlike earlier runs. Inform the "
                "calibration experts if it comes again; it has decided nothing."
            )
        elif not report.waiting:
            yield "Nothing to do." + ("" if report.certifications else " Nothing was to be certified.")
        return
    if again := _run_again(report):
        yield again
        return
    if report.rest_only:
        yield after_rest(report)
        if report.state is RunState.DONE and all(result.outcome.good for result in report.stages):
            return
    if report.pending:
        yield _how_to_finish(report)
    for result in report.stages:
        if few_are_bad(result):
            yield after_bad_detectors(report, result)
        elif result.outcome is Outcome.FAILED:
            yield _after_missing(report, result) if result.missing else _after_failed(report, result)
    decided = {decision.subject for decision in report.decisions if not decision.superseded}
    undecided = [
        one
        for one in report.stages
        if not one.outcome.good and one.outcome is not Outcome.PENDING and one.stage.subject not in decided
    ]
    if report.pending and report.state is RunState.DONE and not undecided:
        return
    if report.state is RunState.DONE and not undecided:
        yield "Nothing to do: what is held was decided by a person."
        return
    for result in report.stages:
        held = result.outcome is Outcome.HELD and not few_are_bad(result)
        if held and result.stage.subject not in decided:
            yield _after_held(report, result)
    if report.run_id and report.journal:
        yield _how_to_resume(report)
    elif report.run_id:
        yield "It has no journal, so it cannot be resumed: process its frames with 'exposures' in a new run."


def _how_to_finish(report: RunReport) -> str:
    """Return how the results of jobs are collected that are to come."""
    return (
        f"Collect the results with 'calibscripts finish {report.run_id}', which waits for the jobs, or with "
        f"the configuration 'resume: {report.run_id}' in the script queue."
    )


def _run_again(report: RunReport) -> str:
    """Return what to do where there is nothing to resume; "" if there is."""
    if report.state is RunState.DONE:
        return ""
    if not report.stages and not report.journal:
        return NOT_BEGUN
    has_frames = any(report.exposures.values())
    has_jobs = any(result.job_id for result in report.stages)
    return _NO_FRAME if report.stages and not has_frames and not has_jobs else ""


def _how_to_resume(report: RunReport) -> str:
    command, own = report.resume_command, f"'resume: {report.run_id}'"
    if not _resuming_helps(report):
        return (
            f"{command or own} resumes this run with the frames that it has; what "
            "was held because of them stays held."
        )
    how = command or f"the configuration {own}"
    is_broken = report.state is RunState.FAILED or any(
        result.outcome is Outcome.FAILED for result in report.stages
    )
    begin = "Once the cause is fixed, resume" if is_broken else "Resume"
    other = "into a file, which is named at its end" if command else "beside it"
    return (
        f"{begin} the run with {how}. Changes of the configuration are written {other}. What is done is not "
        "done again; frames that exist are not taken again."
    )


def _after_failed(report: RunReport, result: StageResult) -> str:
    if result.error_type == SurroundingsError.error_type:
        return (
            f"{result.name}: do what is said of it above. To take its frames nevertheless, write "
            "'preconditions: warn' when you resume."
        )
    if not result.log or result.stage.kind is StageKind.CERTIFY:
        return f"{result.name} failed: see why above."
    ends = f" It ends: {_cause_in(result.log_tail)}" if result.log_tail else ""
    parameters = PRODUCT_PARAMETERS.get(result.stage.subject.product)
    write = ""
    if parameters and result.stage.kind is not StageKind.VERIFY:
        if report.config.get(parameters.options):
            write = f" If it is an option of the job, write another {parameters.options} when you resume."
        elif ends:
            write = f" If an option of the job helps, write it as {parameters.options} when you resume."
    return f"{result.name} failed: read its log, {result.log}.{ends}{write}"


def _cause_in(lines: Sequence[str]) -> str:
    """Return the last error that lines of a log name, as a sentence."""
    found = [line for line in lines if _ERROR.match(line)] or list(lines)
    return found[-1] if found[-1].endswith(".") else f"{found[-1]}."


def _after_missing(report: RunReport, result: StageResult) -> str:
    """Return what to do about frames that never came into the Butler."""
    lost = ", ".join(map(str, result.missing))
    image_type = ImageType(result.stage.subject.product.value)
    text = (
        f"{result.name}: exposure(s) {lost} never came into the Butler. Have the OODS ingest them, and "
        "resume. If they come late, write a longer 'oods_timeout' when you resume."
    )
    left_out = {*result.missing, *report.discarded.get(image_type, ())}
    kept = [i for i in report.exposures.get(image_type, ()) if i not in left_out]
    if not kept or result.stage.subject.part:
        return f"{text} If they are lost, take the frames again in a new run."
    ids = ", ".join(map(str, kept))
    return (
        f"{text} If they are lost, process the others in a new run: in place of the keys that say which "
        f"frames are taken, write exposures: {{{image_type}: [{ids}]}}"
    )


def _after_held(report: RunReport, result: StageResult) -> str:
    subject = result.stage.subject
    verdict = report.verdicts.get(subject)
    if result.stage.kind is StageKind.CERTIFY:
        return (
            f"{subject}: see how it compares with the one in use. If it is right nevertheless, write "
            "'certify_if: passed' when you resume, or 'certify: ask' for a person to decide."
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
        if n == 1 or ("NOISE" in tests and n < pipelines_of(report.config).fewest_frames):
            return (
                f"{subject}: take more frames, 20 rather than {n}. What is combined from {n} frames has so "
                f"much of the noise of each that only {noise_left(n):.0%} of it is left to verify. "
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
