# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened to each product in plain words, and what to do now."""

from __future__ import annotations

__all__ = ["Kind", "ProductOutcome", "conclusion", "held_reason", "next_steps", "products", "without_list"]

import enum
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..outcomes import Outcome, RunState, StageResult
from ..pipelines import pipelines_of
from ..products import Product, StageKind, Subject
from ..verification import FailureLevel, Verdict, dataset_name
from ._model import RunReport
from ._spoilt import spoilt_conclusion

_FEW_FRAMES = 11
"""What is combined from fewer fails NOISE by itself, if noise that is too low
is a failure: of a frame's noise, the root of 1 - 1/n is left when the mean of
n such frames is subtracted, and that is less than the 95 % that the test asks
for. Of one frame nothing is left, and other tests fail."""

RUN_AGAIN = "Nothing was begun. Correct it and run again."
"""What to do where there is nothing to resume."""

Stages = Mapping[StageKind, StageResult]
"""The stages of one product."""


class Kind(enum.StrEnum):
    """How a product is shown."""

    GOOD = "good"
    HELD = "held"
    FAILED = "failed"
    NOT_DONE = "not-done"


@dataclass(frozen=True)
class ProductOutcome:
    """What happened to a product."""

    name: str
    word: str
    """The verdict in one word or two."""

    text: str
    """Why, in a sentence without its full stop; may be blank."""

    kind: Kind


def products(report: RunReport) -> tuple[ProductOutcome, ...]:
    """Return what happened to each product.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    outcomes : `tuple` [`ProductOutcome`, ...]
        In the order of the stages.
    """
    by_subject: dict[Subject, dict[StageKind, StageResult]] = {}
    for result in report.stages:
        by_subject.setdefault(result.stage.subject, {})[result.stage.kind] = result
    return tuple(
        _outcome(report, subject, stages)
        for subject, stages in by_subject.items()
        # A bootstrap that fails is the cause that DEFECTS gives.
        if not subject.product.is_bootstrap
    )


def _outcome(report: RunReport, subject: Subject, stages: Stages) -> ProductOutcome:
    def first(outcome: Outcome) -> StageResult | None:
        return next((result for result in stages.values() if result.outcome is outcome), None)

    verdict = report.verdicts.get(subject)
    if failed := first(Outcome.FAILED):
        return ProductOutcome(subject.name, "failed", f"{failed.name}: {failed.reason}", Kind.FAILED)
    if held := first(Outcome.HELD):
        if verdict is None or verdict.passed:
            return ProductOutcome(subject.name, "held", held.reason, Kind.HELD)
        # Defects are made, if asked for, whatever else is only verified.
        made = report.config.get("generate_calibrations") or subject.product is Product.DEFECTS
        word = "held" if made else "did not pass"
        return ProductOutcome(subject.name, word, held_reason(verdict), Kind.HELD)
    if certified := first(Outcome.CERTIFIED):
        text = "; ".join(
            filter(None, (f"into {certified.collection}", certified.reason, _blemishes(verdict)))
        )
        return ProductOutcome(subject.name, "certified", text, Kind.GOOD)
    if waiting := first(Outcome.WAITING):
        text = "; ".join(filter(None, (waiting.reason, _blemishes(verdict))))
        return ProductOutcome(subject.name, "waits", text, Kind.GOOD)
    if aborted := first(Outcome.ABORTED):
        return ProductOutcome(subject.name, "stopped", f"{aborted.name}: {aborted.reason}", Kind.NOT_DONE)
    if skipped := first(Outcome.SKIPPED):
        return ProductOutcome(subject.name, "not made", skipped.reason, Kind.NOT_DONE)
    if StageKind.VERIFY in stages and verdict:
        return ProductOutcome(subject.name, "passed", _blemishes(verdict) or _all_passed(verdict), Kind.GOOD)
    if subject.product in (Product.GAIN, Product.PTC):
        return ProductOutcome(
            subject.name, "measured", _gains(report, subject) or _last_reason(stages), Kind.GOOD
        )
    return ProductOutcome(subject.name, "done", _last_reason(stages), Kind.GOOD)


def _last_reason(stages: Stages) -> str:
    return next((result.reason for result in reversed(list(stages.values())) if result.reason), "")


def _gains(report: RunReport, subject: Subject) -> str:
    # Each filter has its own; a curve of all of them has no part.
    mine = [gain for gain in report.gains if not subject.part or gain.part == subject.part]
    gains = [gain.gain for gain in mine if gain.gain is not None]
    if not gains:
        return ""
    n_pairs = len({gain.exposures for gain in mine})
    return f"median gain {statistics.median(gains):.3f} e-/ADU from {n_pairs} pair(s)"


def held_reason(verdict: Verdict) -> str:
    """Return why a product is held, in one sentence without its full stop.

    Parameters
    ----------
    verdict : `Verdict`
        One that did not pass.

    Returns
    -------
    reason : `str`
        How many exposures fail, by which tests, and how many may.
    """
    if not verdict.of_exposures:
        counts = ", ".join(f"{test} ({count})" for test, count in verdict.results[0].counts.items())
        listed = f"amplifiers fail {counts}" if counts else ""
        unlisted = f"it failed {without_list(verdict)}" if verdict.unlisted else ""
        return "; ".join(filter(None, (listed, unlisted)))
    n_failed, limit = len(verdict.failed), verdict.thresholds.exposures_to_fail - 1
    how = _how_exposures_fail(verdict)
    return f"{n_failed} of {len(verdict.results)} exposures fail {how}; at most {limit} may fail"


def _how_exposures_fail(verdict: Verdict) -> str:
    """Return which tests fail how many of the exposures that fail."""
    n_failed, n_unlisted = len(verdict.failed), len(verdict.unlisted)
    if n_unlisted == n_failed:
        return without_list(verdict)
    (test, count), *others = verdict.failing_tests.items()
    how = test + "".join(f", {count} fail {test}" for test, count in others)
    if count < n_failed:
        how = "(" + ", ".join(f"{test}: {count}" for test, count in verdict.failing_tests.items()) + ")"
    return f"{how}, {n_unlisted} of them {without_list(verdict)}" if n_unlisted else how


def without_list(verdict: Verdict) -> str:
    """Return in words that failures are not listed, and where they are.

    Parameters
    ----------
    verdict : `Verdict`
        One with such results.

    Returns
    -------
    words : `str`
    """
    level = FailureLevel.EXPOSURE if verdict.of_exposures else FailureLevel.DETECTOR
    extent = "full list" if any(result.failures for result in verdict.unlisted) else "list"
    return f"without a {extent} of tests; see dataset {dataset_name(verdict.subject, level)}"


def _blemishes(verdict: Verdict | None) -> str:
    """Return which tests failed without failing the product."""
    if verdict is None or not verdict.with_failures:
        return ""
    n_tests = sum(len(result.failures) for result in verdict.results)
    if not verdict.of_exposures:
        return f"{n_tests} test(s) failed, fewer than fail it"
    n = len(verdict.with_failures)
    found = f"{n_tests} test(s) on {n} of {len(verdict.results)} exposures failed, fewer than fail it"
    return f"{found}; {len(verdict.unlisted)} failed {without_list(verdict)}" if verdict.unlisted else found


def _all_passed(verdict: Verdict) -> str:
    if not verdict.of_exposures:
        return "no test failed"
    return f"no test failed on any of the {len(verdict.results)} exposures"


def conclusion(report: RunReport) -> str:
    """Return in one sentence, without its full stop, how the run ended."""
    if report.state is not RunState.DONE:
        return f"The script ended {report.state}" + (f": {report.reason}" if report.reason else "")
    spoilt = spoilt_conclusion(report)
    if report.complete:
        return f"Everything that was asked for passed{spoilt}"
    bad = Counter(result.outcome for result in report.stages if not result.outcome.good)
    return "Not everything passed: " + ", ".join(f"{n} {outcome}" for outcome, n in bad.items()) + spoilt


def never_begun(report: RunReport) -> bool:
    """Return whether a run was refused, so that it cannot be resumed."""
    return report.state is not RunState.DONE and not report.stages and not report.journal


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


def _steps(report: RunReport, warnings: Sequence[str]) -> Iterator[str]:
    if report.waiting:
        named = ", ".join(proof.subject.name for proof in report.waiting)
        yield f"Look at {named}, then accept or reject: calibscripts decide {report.run_id}."
    used = [
        judgement.series for judgement in report.judgements if judgement.spoilt and not judgement.excluded
    ]
    for series in used:
        yield f"{series}: see below which frames are spoilt. They were used: if they are bad, take others."
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
    for result in report.stages:
        if result.outcome is Outcome.FAILED:
            yield f"{result.name} failed: " + (
                f"read its log, {result.log}." if result.log else "see why above."
            )
    decided = {decision.subject for decision in report.decisions}
    undecided = [one for one in report.stages if not one.outcome.good and one.stage.subject not in decided]
    if report.state is RunState.DONE and not undecided:
        yield "Nothing to do: what is held was decided by a person."
        return
    for result in report.stages:
        if result.outcome is Outcome.HELD and result.stage.subject not in decided:
            yield _after_held(report, result)
    if not report.run_id:
        return
    if never_begun(report):
        yield RUN_AGAIN
        return
    unfinished = {Outcome.FAILED, Outcome.ABORTED} & {result.outcome for result in report.stages}
    if report.state is not RunState.DONE or unfinished:
        yield (
            f"Once the cause is fixed, resume the run with the configuration 'resume: {report.run_id}'. "
            "What is done is not done again; frames that exist are not taken again."
        )
    else:
        yield (
            f"'resume: {report.run_id}' resumes this run with the frames that it has; what was held because "
            "of them stays held."
        )


def _after_held(report: RunReport, result: StageResult) -> str:
    subject = result.stage.subject
    verdict = report.verdicts.get(subject)
    if result.stage.kind is StageKind.CERTIFY:
        return (
            f"{subject}: see below how it compares with the one in use. If it is right nevertheless, resume "
            "the run with 'certify_if: passed', or with 'certify: ask' for a person to decide."
        )
    if subject.product is Product.DEFECTS:
        return (
            "DEFECTS: see below where pixels were gained or lost. If the detector has changed (a hot region, "
            "an amplifier lost), certify them with 'do_verify: false'. Otherwise suspect the frames (light "
            "in the darks, dust, dark or saturated flats), and take them again."
        )
    if verdict is None or not verdict.of_exposures:
        return f"{subject}: see which amplifiers fail, below."
    n = len(verdict.results)
    tests = {test for result in verdict.results for test in result.counts}
    if report.config.get("generate_calibrations"):
        too_quiet = "NOISE" in tests and pipelines_of(report.config).noise_two_sided
        if n == 1 or (n < _FEW_FRAMES and too_quiet):
            return (
                f"{subject}: take more frames, 20 rather than {n}. What is combined from {n} frames has so "
                f"much of the noise of each that only {(1 - 1 / n) ** 0.5:.0%} of it is left to verify."
            )
        return (
            f"{subject}: see below which amplifiers and exposures fail. If all do, suspect the frames "
            "(light, voltages, sequencer); if a few do, suspect the detector. Then take the frames again."
        )
    return (
        f"{subject}: the frames differ from the reference calibrations. See below which amplifiers and "
        "exposures fail; if the change is permanent, make new calibrations "
        "('generate_calibrations: true')."
    )
