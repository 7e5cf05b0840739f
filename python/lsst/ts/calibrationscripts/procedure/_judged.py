# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a verification ends by its verdict."""

from __future__ import annotations

__all__ = ["judged", "judged_by_itself"]

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

from ..judgement import Judgement
from ..outcomes import Cause, DetectorDefects, Gain, Outcome
from ..plan import Stage
from ..report import held_reason
from ..verification import StatisticsError, Verdict
from ._incomplete import Incomplete

Found = TypeVar("Found", Gain, DetectorDefects)


def judged(stage: Stage, verdict: Verdict, incomplete: Incomplete) -> tuple[Outcome, str]:
    """Return how a verification ends.

    Parameters
    ----------
    stage : `Stage`
        The verification.
    verdict : `Verdict`
        On all detectors that have statistics.
    incomplete : `Incomplete`
        Where bad detectors are noted.

    Returns
    -------
    outcome : `Outcome`
        PASSED if all detectors pass; or, if the observer wants that, if the
        others pass without the bad ones, as a run of their own.
    reason : `str`
        Why.

    Raises
    ------
    StatisticsError
        If they are about a detector that is not of the run.
    """
    ids = {incomplete.name(detector): detector for detector in incomplete.detectors_of(stage)}
    if unknown := [each.name for each in verdict.failing_detectors if each.name not in ids]:
        raise StatisticsError(f"the statistics are about {', '.join(unknown)}, which the run is not about")
    failing = {ids[each.name]: each.text for each in verdict.failing_detectors}
    goes_on = not failing or incomplete.find(stage, Cause.FAILED, failing)
    if not goes_on:
        if verdict.passed:
            return Outcome.HELD, incomplete.why_not(stage)
        few = "" if incomplete.too_many(stage) else f"; {incomplete.why_not(stage)}"
        return Outcome.HELD, f"{held_reason(verdict)}{few}"
    rest = verdict.of(incomplete.names(incomplete.left_of(stage)))
    without = incomplete.without(stage)
    reason = _passed(rest) if rest.passed else held_reason(rest)
    outcome = Outcome.PASSED if rest.passed else Outcome.HELD
    return outcome, ", ".join(filter(None, (reason, without)))


def _passed(verdict: Verdict) -> str:
    """Return what failed nevertheless."""
    if verdict.of_exposures:
        return f"{len(verdict.failed)} of {len(verdict.results)} exposures failed"
    counts = ", ".join(f"{test} {count}" for test, count in verdict.results[0].counts.items())
    return f"tests that failed: {counts}" if counts else ""


def judged_by_itself(
    stage: Stage,
    found: Sequence[Found],
    judge: Callable[[Iterable[Found], Collection[int]], Judgement],
    incomplete: Incomplete,
) -> Judgement:
    """Judge gains or defects, and leave out the detectors that fail alone.

    Parameters
    ----------
    stage : `Stage`
        Which has measured them.
    found : `~collections.abc.Sequence`
        What was measured of all detectors.
    judge : `~collections.abc.Callable`
        Judges that of some detectors.
    incomplete : `Incomplete`
        Where bad detectors are noted.

    Returns
    -------
    judgement : `Judgement`
        On those that the run goes on with.
    """

    def of(detectors: Sequence[int]) -> Judgement:
        return judge([each for each in found if each.detector in detectors], detectors)

    judgement = of(incomplete.left_of(stage))
    if judgement.passed or not incomplete.several:
        return judgement
    alone = {detector: of([detector]) for detector in incomplete.left_of(stage)}
    texts = {detector: one.reason for detector, one in alone.items() if not one.passed}
    return of(incomplete.left_of(stage)) if incomplete.find(stage, Cause.FAILED, texts) else judgement
