# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened to each product in plain words, and what to do now."""

from __future__ import annotations

__all__ = [
    "Kind",
    "ProductOutcome",
    "certified_though_worse",
    "conclusion",
    "held_reason",
    "products",
    "without_list",
]

import enum
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ..comparison import Better, Comparison
from ..outcomes import Outcome, RunState, StageResult
from ..products import Product, StageKind, Subject
from ..verification import FailureLevel, Verdict, dataset_name
from ._model import RunReport
from ._spoilt import spoilt_conclusion

_MAX_NAMED = 8
"""Detectors that are left out of a run which a sentence names."""

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
        if certified.bad_detectors:
            return ProductOutcome(subject.name, "certified in part", text, Kind.HELD)
        return ProductOutcome(subject.name, "certified", text, Kind.GOOD)
    if waiting := first(Outcome.WAITING):
        text = "; ".join(filter(None, (waiting.reason, _blemishes(verdict))))
        return ProductOutcome(subject.name, "waits", text, Kind.HELD if waiting.bad_detectors else Kind.GOOD)
    if aborted := first(Outcome.ABORTED):
        # The cause of the whole run is said once, for all of them.
        why = "" if aborted.reason == report.reason else f": {aborted.reason}"
        return ProductOutcome(subject.name, "stopped", f"{aborted.name}{why}", Kind.NOT_DONE)
    if pending := first(Outcome.PENDING):
        return ProductOutcome(subject.name, "pending", pending.reason, Kind.NOT_DONE)
    if skipped := first(Outcome.SKIPPED):
        if any(result.stays for result in stages.values()):
            text = f"{skipped.reason}; what an earlier session has certified stays certified"
            return ProductOutcome(subject.name, "not made again", text, Kind.NOT_DONE)
        return ProductOutcome(subject.name, "not made", skipped.reason, Kind.NOT_DONE)
    if without := [stage for stage in stages.values() if stage.bad_detectors]:
        return ProductOutcome(subject.name, "passed in part", without[-1].reason, Kind.HELD)
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
    # Those of detectors that are left out are named where that is said.
    bad = {each.name for each in verdict.failing_detectors}
    counts = [sum(each.detector not in bad for each in result.failures) for result in verdict.results]
    n_tests, n_unlisted = sum(counts), len(verdict.unlisted)
    if not verdict.of_exposures:
        return f"{n_tests} test(s) failed, fewer than fail it" if n_tests else ""
    n = sum(count > 0 or result.unlisted for count, result in zip(counts, verdict.results, strict=True))
    found = f"{n_tests} test(s) on {n} of {len(verdict.results)} exposures failed, fewer than fail it"
    return "" if not n else f"{found}; {n_unlisted} failed {without_list(verdict)}" if n_unlisted else found


def _all_passed(verdict: Verdict) -> str:
    if not verdict.of_exposures:
        return "no test failed"
    return f"no test failed on any of the {len(verdict.results)} exposures"


def conclusion(report: RunReport) -> str:
    """Return in one sentence, without its full stop, how the run ended."""
    if report.state is not RunState.DONE:
        return f"The script ended {report.state}" + (f": {_sentence(report.reason)}" if report.reason else "")
    spoilt = spoilt_conclusion(report)
    if report.complete:
        return f"{_all_done(report)}{spoilt}"
    bad = Counter(result.outcome for result in report.stages if not result.outcome.good)
    if set(bad) == {Outcome.PENDING}:
        n = len(report.pending)
        return f"Everything is taken, and {n} job(s) are submitted; their results are still to come{spoilt}"
    if not bad:
        return f"Everything passed, but not for all detectors: {_left_out(report)}{spoilt}"
    return "Not everything passed: " + ", ".join(f"{n} {outcome}" for outcome, n in bad.items()) + spoilt


def _left_out(report: RunReport) -> str:
    """Return which detectors the run went on without."""
    names = sorted({bad.name for result in report.rest_only for bad in result.bad_detectors})
    shown = ", ".join(names[:_MAX_NAMED]) + (
        f" and {len(names) - _MAX_NAMED} more" * (len(names) > _MAX_NAMED)
    )
    return f"{shown} {'is' if len(names) == 1 else 'are'} left out (incomplete: certify_rest)"


def _all_done(report: RunReport) -> str:
    """Return in what way all that was asked for was done."""
    if report.config.get("do_verify") is False:
        return "Everything that was asked for was made; nothing was verified (do_verify: false)"
    passed = "Everything that was asked for passed"
    if report.waiting:
        named = ", ".join(proof.subject.name for proof in report.waiting)
        return f"{passed}; {named} {'waits' if len(report.waiting) == 1 else 'wait'} for a person to accept"
    if worse := certified_though_worse(report):
        named = ", ".join(one.subject.name for one in worse)
        return f"{passed}; {named} {'is' if len(worse) == 1 else 'are'} worse than what was in use"
    return passed


def certified_though_worse(report: RunReport) -> tuple[Comparison, ...]:
    """Return how certified products compare that are worse than others."""
    certified = {one.stage.subject for one in report.stages if one.outcome is Outcome.CERTIFIED}
    return tuple(one for one in report.comparisons if one.better is Better.WORSE and one.subject in certified)


def _sentence(text: str) -> str:
    """Return a sentence without its full stop."""
    return text.removesuffix(".")
