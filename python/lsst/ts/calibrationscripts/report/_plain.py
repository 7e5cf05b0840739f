# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of each product in plain words, and what to do now."""

from __future__ import annotations

__all__ = ["ProductOutcome", "conclusion", "next_steps", "products", "subject_of"]

import enum
import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ..outcomes import Outcome, StageResult
from ..verification import Verdict
from ._model import RunReport

_FEW_FRAMES = 11
"""What is combined from fewer fails NOISE by itself: of a frame's noise, the
root of 1 - 1/n is left when the mean of n such frames is subtracted, and
that is less than the 95 % that the test asks for."""


class Kind(enum.StrEnum):
    """How a product is shown."""

    GOOD = "good"
    HELD = "held"
    FAILED = "failed"
    NOT_DONE = "not-done"


@dataclass(frozen=True)
class ProductOutcome:
    """What became of a product."""

    name: str
    word: str
    """The verdict in one word or two."""

    text: str
    """Why, in a sentence without its full stop; may be blank."""

    kind: Kind


def subject_of(stage_name: str) -> str:
    """Return what a stage is about, such as ``BIAS``."""
    return stage_name.partition(" ")[2]


def products(report: RunReport) -> tuple[ProductOutcome, ...]:
    """Tell what became of each product.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    outcomes : `tuple` [`ProductOutcome`, ...]
        In the order of the stages.
    """
    by_subject: dict[str, dict[str, StageResult]] = {}
    for result in report.stages:
        kind, _, subject = result.name.partition(" ")
        by_subject.setdefault(subject, {})[kind] = result
    return tuple(
        _outcome(report, subject, stages)
        for subject, stages in by_subject.items()
        # Made on the way to defects, and told of there if they fail.
        if not subject.endswith("_BOOTSTRAP")
    )


def _outcome(report: RunReport, subject: str, stages: dict[str, StageResult]) -> ProductOutcome:
    def first(outcome: Outcome) -> StageResult | None:
        return next((result for result in stages.values() if result.outcome is outcome), None)

    verdict = report.verdicts.get(subject)
    if failed := first(Outcome.FAILED):
        return ProductOutcome(subject, "failed", f"{failed.name}: {failed.reason}", Kind.FAILED)
    if held := first(Outcome.HELD):
        text = _why_held(verdict) if verdict else held.reason
        word = "held" if report.config.get("generate_calibrations") else "did not pass"
        return ProductOutcome(subject, word, text, Kind.HELD)
    if certified := first(Outcome.CERTIFIED):
        text = "; ".join(
            filter(None, (f"into {certified.collection}", certified.reason, _blemishes(verdict)))
        )
        return ProductOutcome(subject, "certified", text, Kind.GOOD)
    if aborted := first(Outcome.ABORTED):
        return ProductOutcome(subject, "stopped", f"{aborted.name}: {aborted.reason}", Kind.NOT_DONE)
    if skipped := first(Outcome.SKIPPED):
        return ProductOutcome(subject, "not made", skipped.reason, Kind.NOT_DONE)
    if "verify" in stages and verdict:
        return ProductOutcome(subject, "passed", _blemishes(verdict) or _all_passed(verdict), Kind.GOOD)
    if subject.startswith(("GAIN", "PTC")):
        return ProductOutcome(subject, "measured", _gains(report) or _last_reason(stages), Kind.GOOD)
    return ProductOutcome(subject, "done", _last_reason(stages), Kind.GOOD)


def _last_reason(stages: dict[str, StageResult]) -> str:
    return next((result.reason for result in reversed(stages.values()) if result.reason), "")


def _gains(report: RunReport) -> str:
    gains = [gain.gain for gain in report.gains if gain.gain is not None]
    if not gains:
        return ""
    n_pairs = len({gain.exposures for gain in report.gains})
    return f"median gain {statistics.median(gains):.3f} e-/ADU from {n_pairs} pair(s)"


def _why_held(verdict: Verdict) -> str:
    if not verdict.of_exposures:
        counts = verdict.exposures[0].counts
        return "amplifiers fail " + ", ".join(f"{test} ({count})" for test, count in counts.items())
    failing = Counter(
        test
        for result in verdict.exposures
        for test, count in result.counts.items()
        if count >= verdict.thresholds.per_exposure
    )
    (test, count), *others = failing.most_common() or [("verification", len(verdict.failed_exposures))]
    more = "".join(f", {count} fail {test}" for test, count in others)
    limit = verdict.thresholds.failed_exposures - 1
    return f"{count} of {len(verdict.exposures)} exposures fail {test}{more}; at most {limit} may fail"


def _blemishes(verdict: Verdict | None) -> str:
    """Tell of tests that failed without failing the product."""
    if verdict is None or not verdict.exposures_with_failures:
        return ""
    n_tests = sum(len(result.failures) for result in verdict.exposures)
    if not verdict.of_exposures:
        return f"{n_tests} test(s) failed, fewer than fail it"
    n = len(verdict.exposures_with_failures)
    return f"{n_tests} test(s) on {n} of {len(verdict.exposures)} exposures failed, fewer than fail it"


def _all_passed(verdict: Verdict) -> str:
    if not verdict.of_exposures:
        return "no test failed"
    return f"no test failed on any of the {len(verdict.exposures)} exposures"


def conclusion(report: RunReport) -> str:
    """Say in one sentence what the run came to."""
    if report.state != "DONE":
        return f"The script ended {report.state}" + (f": {report.reason}" if report.reason else "")
    if report.complete:
        return "Everything that was asked for passed"
    return "Not everything passed"


def next_steps(report: RunReport) -> tuple[str, ...]:
    """Say what the observer should do now.

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


def _steps(report: RunReport) -> Iterator[str]:
    if report.complete:
        yield "Nothing to do." + ("" if report.certifications else " Nothing was to be certified.")
        return
    for result in report.stages:
        if result.outcome is Outcome.FAILED:
            yield f"{result.name} failed: " + (
                f"read its log, {result.log}." if result.log else "see why above."
            )
    for result in report.stages:
        if result.outcome is Outcome.HELD:
            yield _after_held(report, subject_of(result.name))
    if not report.run_id:
        return
    unfinished = {Outcome.FAILED, Outcome.ABORTED} & {result.outcome for result in report.stages}
    if report.state != "DONE" or unfinished:
        yield (
            f"Once the cause is mended, carry the run on with the configuration 'resume: {report.run_id}'. "
            "What is done is not done again; frames that exist are not taken again."
        )
    else:
        yield (
            f"'resume: {report.run_id}' carries this run on with the frames that it has; what was held on "
            "their account stays held."
        )


def _after_held(report: RunReport, subject: str) -> str:
    verdict = report.verdicts.get(subject)
    if verdict is None or not verdict.of_exposures:
        return f"{subject}: see which amplifiers fail, below."
    n = len(verdict.exposures)
    tests = {test for result in verdict.exposures for test in result.counts}
    if report.config.get("generate_calibrations"):
        if n < _FEW_FRAMES and "NOISE" in tests:
            return (
                f"{subject}: take more frames, 20 rather than {n}. What is combined from {n} frames holds so "
                f"much of the noise of each that only {(1 - 1 / n) ** 0.5:.0%} of it is left to verify."
            )
        return (
            f"{subject}: see below which amplifiers and exposures fail. If all do, suspect the frames "
            "(light, voltages, sequencer); if a few do, suspect the detector. Then take the frames anew."
        )
    return (
        f"{subject}: the frames differ from the reference calibrations. See below which amplifiers and "
        "exposures fail; if the change is there to stay, make new calibrations "
        "('generate_calibrations: true')."
    )
