# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the observer should do after a run."""

from __future__ import annotations

__all__ = ["NOTHING", "NOT_BEGUN", "next_steps", "resumable"]

import itertools
import re
from collections.abc import Iterator, Sequence

from ..config import PRODUCT_PARAMETERS, SERIES_PARAMETERS, FlatSet
from ..instruments import INSTRUMENTS, ImageType
from ..outcomes import Outcome, RunState, StageResult
from ..pipelines import noise_left, pipelines_of
from ..ports import SurroundingsError
from ..products import Product, StageId, StageKind, Subject
from ..record import camera_of
from ..spoilt import MIN_FRAMES, SeriesJudgement
from ._commands import (
    decertify_command,
    decide_command,
    finish_command,
    remake_command,
    resume_configuration,
)
from ._model import RunReport
from ._plain import certified_though_worse
from ._rest import after_bad_detectors, after_rest, few_are_bad

_ERROR = re.compile(r"[\w.]*(Error|Exception)\b")
"""What the last line of a traceback begins with."""

NOTHING = "Nothing to do"
"""What a run begins its steps with that leaves none."""

NOT_BEGUN = "Nothing was begun. Correct it and run again."
_USUAL_FRAMES = 20
"""What observers take where it need not be less."""

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
        if result.outcome is Outcome.HELD
        and result.stage.kind is StageKind.CERTIFY
        # What a person has rejected or decertified stays as it is.
        and result.stage.subject not in _decided(report)
    ]
    rest = any(map(few_are_bad, report.stages))
    return report.state is not RunState.DONE or bool(unfinished or refused or rest)


def _decided(report: RunReport) -> set[Subject]:
    """Return the products about which a person has decided."""
    return {decision.subject for decision in report.decisions if not decision.superseded}


def _steps(report: RunReport, warnings: Sequence[str]) -> Iterator[str]:
    if report.waiting:
        named = ", ".join(proof.subject.name for proof in report.waiting)
        yield f"Look at {named}, then accept or reject: {decide_command(report.run_id, report.journal)}"
    used = [judgement for judgement in report.judgements if set(judgement.spoilt) - set(judgement.excluded)]
    yield from (_after_spoilt(report, judgement) for judgement in used)
    # Also if something else was held: what is certified is in use already.
    if worse := certified_though_worse(report):
        yield _after_worse(report, [one.subject.name for one in worse])
    if report.complete and used:
        return
    if report.complete:
        if warnings:
            yield (
                f"Look at the {len(warnings)} warning(s) below: something is unlike earlier runs. Inform the "
                "calibration experts if it comes again; it has decided nothing."
            )
        elif not report.waiting and not worse:
            yield f"{NOTHING}." + ("" if report.certifications else " Nothing was to be certified.")
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
    unusable = [StageId(StageKind.EXPOSE, one.series) for one in report.judgements if one.unusable]
    for result in report.stages:
        if few_are_bad(result):
            yield after_bad_detectors(report, result)
        elif result.outcome is Outcome.FAILED and result.stage not in unusable:
            yield _after_missing(report, result) if result.missing else _after_failed(report, result)
    decided = _decided(report)
    undecided = [
        one
        for one in report.stages
        if not one.outcome.good and one.outcome is not Outcome.PENDING and one.stage.subject not in decided
    ]
    if report.pending and report.state is RunState.DONE and not undecided:
        return
    if report.state is RunState.DONE and not undecided:
        yield f"{NOTHING}: what is held was decided by a person."
        return
    for result in report.stages:
        held = result.outcome is Outcome.HELD and not few_are_bad(result)
        if held and result.stage.subject not in decided:
            yield _after_held(report, result)
    if report.run_id and report.journal:
        yield _how_to_resume(report)
    elif report.run_id:
        yield "It has no journal, so it cannot be resumed: process its frames with 'exposures' in a new run."


def _after_spoilt(report: RunReport, judgement: SeriesJudgement) -> str:
    """Return what to do about spoilt frames that were used."""
    left = [i for i in judgement.spoilt if i not in judgement.excluded]
    if judgement.unusable:
        return _after_unusable(report, judgement)
    which = "Some" if judgement.excluded else "They"
    text = f"{judgement.series}: see which frames are spoilt. {which} were used. If they are bad"
    n_good = len(set(judgement.judged) - set(judgement.spoilt))
    if n_good < MIN_FRAMES or not report.run_id or not report.journal:
        return f"{text}, take others."
    if any(one.stage.kind is StageKind.EXPOSE and not one.outcome.good for one in report.stages):
        without = _without(report, (*judgement.excluded, *left))
        return f"{text}, write 'without: {without}' when you resume; or take others."
    command = remake_command(report.run_id, left, report.journal, report.resume_command)
    return f"{text}, '{command}' makes it anew; or take others."


def _after_unusable(report: RunReport, judgement: SeriesJudgement) -> str:
    """Return what to do about frames that are not what was asked for."""
    wrong = judgement.unusable
    one = len(wrong) == 1
    text = (
        f"{judgement.series}: {'exposure' if one else 'exposures'} {', '.join(map(str, wrong))} "
        f"{'is' if one else 'are'} not what was asked for, so that nothing was made of the series."
    )
    if not _can_be_left_out(report, judgement):
        return f"{text} Take the frames again in a new run."
    return f"{text} Write 'without: {_without(report)}' when you resume: the others are used."


def _can_be_left_out(report: RunReport, judgement: SeriesJudgement) -> bool:
    """Return whether enough frames are left without those that are wrong."""
    n_left = len(set(judgement.judged) - set(judgement.excluded) - set(judgement.unusable))
    return n_left >= MIN_FRAMES and bool(report.run_id and report.journal)


def _without(report: RunReport, others: Sequence[int] = ()) -> list[int]:
    """Return all frames that a resumed run is to do without.

    They can be written once only, so that each step names those of all.
    """
    found = {*(report.config.get("without") or ()), *others}
    for one in report.judgements:
        if one.unusable and _can_be_left_out(report, one):
            found.update((*one.excluded, *one.unusable))
    for result in report.stages:
        if result.missing and _n_left(report, result) >= MIN_FRAMES:
            found.update(result.missing)
    return sorted(found)


def _after_worse(report: RunReport, names: Sequence[str]) -> str:
    """Return what to do about what is certified, though worse."""
    text = f"{', '.join(names)}: see how it compares with the one that was in use."
    if not report.run_id or not report.journal:
        return text
    undo = decertify_command(report.run_id, names, report.journal)
    return f"{text} If that one is to be used, undo it: '{undo}'."


def _how_to_finish(report: RunReport) -> str:
    """Return how the results of jobs are collected that are to come."""
    command = finish_command(report.run_id, report.journal)
    where = "" if report.resume_command else " in the script queue"
    return (
        f"Collect the results with '{command}', which waits for the jobs, or with {_resuming(report)}{where}."
    )


def _resuming(report: RunReport) -> str:
    """Return what resumes a run, in words."""
    if report.resume_command:
        return f"'{report.resume_command}'"
    return f"the configuration '{resume_configuration(report.run_id, report.config)}'"


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
    how = _resuming(report)
    if not _resuming_helps(report):
        return (
            f"{how[0].upper()}{how[1:]} resumes this run with the frames that it has; what was held because "
            "of them stays held, unless the configuration is changed."
        )
    is_broken = report.state is RunState.FAILED or any(
        result.outcome is Outcome.FAILED for result in report.stages
    )
    begin = "Once the cause is fixed, resume" if is_broken else "Resume"
    other = "into a file, which is named at its end" if report.resume_command else "beside it"
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
    if _n_left(report, result) >= MIN_FRAMES and report.run_id and report.journal:
        without = _without(report)
        return f"{text} If they are lost, write 'without: {without}' when you resume: the others are used."
    if not (kept := _frames_left(report, image_type)):
        return f"{text} If they are lost, take the frames again in a new run."
    written = ", ".join(f"{each}: [{', '.join(map(str, ids))}]" for each, ids in kept.items())
    return (
        f"{text} If they are lost, process the others in a new run: in place of script_mode and all else "
        f"that says which frames are taken, write exposures: {{{written}}}"
    )


def _n_left(report: RunReport, result: StageResult) -> int:
    """Return how many frames of a series are left without the lost ones."""
    lost = {*result.missing, *(report.config.get("without") or ())}
    image_type = ImageType(result.stage.subject.product.value)
    kept = set(report.exposures.get(image_type, ())) - set(report.discarded.get(image_type, ()))
    if not (part := result.stage.subject.part):
        return len(kept - lost)
    # Which of the flats are of a set is not known here; how many is.
    camera = INSTRUMENTS.get(camera_of(report.instrument))
    sets = [FlatSet(**each) for each in report.config.get("flat_sets") or ()]
    return next((each.n_flat - len(lost) for each in sets if camera and each.part(camera.wheels) == part), 0)


def _frames_left(report: RunReport, image_type: ImageType) -> dict[ImageType, list[int]]:
    """Return the frames that a new run can process, without lost ones.

    They are of all types that the run has taken, or of those that what is
    asked for needs; none, if these are not there.
    """
    exposing = [result for result in report.stages if result.stage.kind is StageKind.EXPOSE]
    # A configuration names flats of one filter only, and what is certified
    # already is not certified again for the same dates.
    unusable = {result.stage.subject.product for result in exposing if result.stage.subject.part}
    unusable |= {one.stage.subject.product for one in report.stages if one.outcome is Outcome.CERTIFIED}
    complete = [
        ImageType(one.stage.subject.product.value)
        for one in exposing
        if (one.outcome.good or one.missing) and one.stage.subject.product not in unusable
    ]
    lost = {i for result in exposing for i in result.missing}
    kept = {
        each: [i for i in report.exposures.get(each, ()) if i not in {*lost, *report.discarded.get(each, ())}]
        for each in complete
    }
    kept = {each: ids for each, ids in kept.items() if ids}
    chain = list(itertools.takewhile(kept.__contains__, ImageType))
    if image_type in chain and len(chain) == len(exposing):
        return {each: kept[each] for each in chain}
    if image_type not in kept or report.config.get("do_defects") or report.config.get("do_ptc"):
        return {}
    return {each: kept[each] for each in (chain if image_type in chain else [image_type])}


def _after_held(report: RunReport, result: StageResult) -> str:
    subject = result.stage.subject
    verdict = report.verdicts.get(subject)
    if result.stage.kind is StageKind.CERTIFY:
        return (
            f"{subject}: see how it compares with the one in use. If it is right nevertheless, write "
            "'certify_if: passed' when you resume, and 'certify: ask' beside it if a person is to decide."
        )
    if subject.product is Product.DEFECTS:
        return (
            "DEFECTS: see where pixels were gained or lost. If the detector has changed (a hot region, "
            "an amplifier lost), write 'do_verify: false' when you resume: then all that the run makes is "
            "certified unverified. Otherwise suspect the frames (light in the darks, dust, dark or saturated "
            "flats), and take them again."
        )
    if verdict is None or not verdict.of_exposures:
        return f"{subject}: see which amplifiers fail."
    n = len(verdict.results)
    tests = {test for result in verdict.results for test in result.counts}
    if report.config.get("generate_calibrations"):
        if n == 1 or ("NOISE" in tests and n < pipelines_of(report.config).fewest_frames):
            return (
                f"{subject}: take more frames, {_USUAL_FRAMES} rather than {n}. What is combined from {n} "
                f"frames has so much of the noise of each that only {noise_left(n):.0%} of it is left to "
                f"verify. {_more_frames(report, ImageType(subject.product.value))}"
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


def _more_frames(report: RunReport, image_type: ImageType) -> str:
    """Return what a new run has to have for more frames."""
    if report.config.get("exposures"):
        return f"In a new run, name more of them in exposures.{image_type}."
    names = SERIES_PARAMETERS[image_type]
    times = report.config.get(names.exp_times) if names.exp_times else None
    if isinstance(times, list | tuple) and times:
        times = max(times)
    # A number alone does not fit the times of another number of frames.
    beside = f" and {names.exp_times}: {times:g}" if isinstance(times, int | float) else ""
    return f"In a new run, write {names.n}: {_USUAL_FRAMES}{beside}."
