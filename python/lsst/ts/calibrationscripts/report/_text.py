# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator reads."""

from __future__ import annotations

__all__ = ["defects_found", "defects_text", "gains_text", "verdict_text"]

import itertools
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..config import PRODUCT_PARAMETERS
from ..outcomes import AmplifierDefects, AmplifierGain, DetectorDefects, Gain, by_amplifier
from ..verification import FailedTest, FailureLevel, UnitResult, Verdict, dataset_name
from ._lines import fold, fold_list
from ._plain import without_list

_MAX_LISTED_TESTS = 160
"""Failed tests that are still listed one by one; more are counted."""

_MAX_NAMED_DETECTORS = 8


def verdict_text(
    verdict: Verdict,
    *,
    verification_collection: str | None = None,
    generation_collection: str | None = None,
    asks: bool = False,
    rest: bool = False,
) -> str:
    """Return a verdict and everything that it is based on.

    Parameters
    ----------
    verdict : `Verdict`
        The verdict.
    verification_collection : `str`, optional
        Output collection of the verification job; `None` if it is not known.
    generation_collection : `str`, optional
        Output collection of the job that made the calibration; `None` if
        none was made, and the frames were compared with older ones.
    asks : `bool`, optional
        Whether a person has to accept what passed.
    rest : `bool`, optional
        Whether detectors that fail by themselves are left out, and the others
        pass.

    Returns
    -------
    text : `str`
        A headline and, where any test failed, its details.
    """
    lines = [_headline(verdict, generated=generation_collection is not None, asks=asks, rest=rest)]
    lines += _bad_lines(verdict)
    if verdict.with_failures:
        lines += _failure_lines(verdict)
    if verdict.run_tests_failed:
        lines.append("Tests of the run as a whole failed; see the run statistics. They do not decide.")
    if verdict.with_failures or not verdict.passed:
        lines += _threshold_lines(verdict)
    if verification_collection:
        none = "none; the frames were compared with reference calibrations"
        lines.append(f"Generation collection: {generation_collection or none}")
        lines.append(f"Verification collection: {verification_collection}")
    return fold("\n".join(lines))


def _headline(verdict: Verdict, *, generated: bool, asks: bool, rest: bool) -> str:
    name, n_bad = verdict.name, len(verdict.failing_detectors)
    passes = rest or (verdict.passed and not n_bad)
    but = ", but there are tests that did not pass:" if verdict.with_failures else "."
    n = verdict.n_detectors
    for_rest = f" for {n - n_bad} of {n} detectors" if passes and n_bad else ""
    if not verdict.of_exposures:
        return f"{name} passed verification{for_rest}{but}" if passes else f"{name} failed verification."
    match generated, passes:
        case True, True:
            once = " once a person accepts it" if asks else ""
            passed = f"{name} calibration passed the overall verification criteria{for_rest}"
            return f"{passed} and will be certified{once}{but}"
        case True, False:
            return f"{name} calibration failed verification and will not be certified."
        case False, True:
            return f"{name} exposures passed the overall verification criteria{for_rest}{but}"
        case _:
            return f"{name} exposures failed verification."


def _bad_lines(verdict: Verdict) -> Iterator[str]:
    """Name the detectors of several that fail by themselves, if they are few.

    If they are the majority, they are no exception.
    """
    failing = verdict.failing_detectors
    if not _is_minority(verdict):
        return
    fail = "fails by itself" if len(failing) == 1 else "fail by themselves"
    yield f"{len(failing)} of {verdict.n_detectors} detectors {fail}:"
    by_text: dict[str, list[str]] = {}
    for each in failing[:_MAX_NAMED_DETECTORS]:
        by_text.setdefault(each.text, []).append(each.name)
    yield from (f"    {', '.join(names)}: {text}" for text, names in by_text.items())
    if len(failing) > _MAX_NAMED_DETECTORS:
        yield f"    and {len(failing) - _MAX_NAMED_DETECTORS} more"


def _columns(items: Iterable[object], indent: int) -> str:
    return fold_list(map(str, items), indent)


def _by(
    results: Iterable[UnitResult], what: Callable[[UnitResult], Any]
) -> Iterator[tuple[Any, list[int | None]]]:
    """Group exposures that have something in common."""
    groups: dict[Any, list[int | None]] = {}
    for result in results:
        groups.setdefault(what(result), []).append(result.exposure)
    yield from groups.items()


def _level_lines(verdict: Verdict) -> Iterator[str]:
    """Say which statistics the failures were read from, if not the run's."""
    levels = Counter(result.level for result in verdict.results)
    for level in (FailureLevel.EXPOSURE, FailureLevel.DETECTOR):
        if levels[level]:
            yield (
                f"The run statistics do not list the failures of {levels[level]} exposure(s); these were "
                f"read from {dataset_name(verdict.subject, level)} ({level} level)."
            )


def _is_minority(verdict: Verdict) -> bool:
    return 0 < len(verdict.failing_detectors) < verdict.thresholds.detectors_to_fail


def _failure_lines(verdict: Verdict) -> Iterator[str]:
    failing = verdict.with_failures
    if verdict.of_exposures:
        yield "Exposures with verification tests that failed:"
        yield _columns((result.exposure for result in failing), 4)
    yield from _level_lines(verdict)
    yield "Number of tests that failed per test type:"
    for (counts, unlisted), ids in _by(failing, lambda each: (tuple(each.counts.items()), each.unlisted)):
        yield _exposures_line(ids)
        yield from (f"        {test}: {count}" for test, count in counts)
        if unlisted:
            yield f"        failed {without_list(verdict)}"
    # Detectors that fail by themselves are named above.
    bad = {each.name for each in verdict.failing_detectors} if _is_minority(verdict) else set()

    def of_others(result: UnitResult) -> tuple[FailedTest, ...]:
        return tuple(sorted({failure for failure in result.failures if failure.detector not in bad}))

    groups = [group for group in _by(failing, of_others) if group[0]]
    if groups:
        of_which = " of the other detectors" if bad else ""
        yield f"Test types that failed verification{of_which} per exposure, detector, and amplifier:"
    listed = sum(len(failures) for failures, _ in groups) <= _MAX_LISTED_TESTS
    for failures, ids in groups:
        yield _exposures_line(ids)
        yield from _listed(failures) if listed else _counted(failures)
    n_clean = len(verdict.results) - len(failing)
    if n_clean:
        yield f"No failures in the other {n_clean} of {len(verdict.results)} exposures."


def _exposures_line(ids: list[int | None]) -> str:
    if ids == [None]:
        return "    Calibration as a whole"
    return _columns(("Exposure ID:" if len(ids) == 1 else "Exposure IDs:", *ids), 4)


def _listed(failures: tuple[FailedTest, ...]) -> Iterator[str]:
    by_test = sorted(failures, key=lambda failure: (failure.test, failure))
    for _, group in itertools.groupby(by_test, key=lambda failure: failure.test):
        yield _columns(group, 8)


def _counted(failures: tuple[FailedTest, ...]) -> Iterator[str]:
    for test in sorted({failure.test for failure in failures}):
        per_detector = Counter(failure.detector for failure in failures if failure.test == test)
        worst = [f"{name} {count}" for name, count in per_detector.most_common(_MAX_NAMED_DETECTORS)]
        more = len(per_detector) - len(worst)
        yield f"        {test}: {per_detector.total()} in {len(per_detector)} detector(s), most in:"
        yield _columns(worst + ([f"and {more} more"] if more else []), 12)


def _threshold_lines(verdict: Verdict) -> Iterator[str]:
    thresholds = verdict.thresholds
    per_detector, per_exposure = thresholds.failures_to_fail_detector, thresholds.failures_to_fail_exposure
    yield "Threshold values:"
    yield f"    Acceptable maximum number of failures per detector per test type: {per_detector}"
    parameters = PRODUCT_PARAMETERS.get(verdict.subject.product)
    if parameters and parameters.threshold:
        yield f"    This value is controlled by the configuration parameter: '{parameters.threshold}'"
    yield f"    Acceptable maximum number of failed detectors: {thresholds.detectors_to_fail}"
    if not verdict.of_exposures:
        yield f"    Acceptable maximum number of failed tests per test type: {per_exposure}"
        return
    yield f"    Acceptable maximum number of failed tests per exposure: {per_exposure}"
    yield f"    Acceptable maximum number of failed exposures: {thresholds.exposures_to_fail}"
    yield f"    Final number of exposures that failed verification: {len(verdict.failed)}"
    yield (
        "Verification fails if, for at least one type of test, the majority of tests\n"
        "fail in the majority of detectors and in the majority of exposures: if the final\n"
        "number of failed exposures is greater than or equal to the acceptable maximum."
    )
    if verdict.failing_detectors:
        yield "A detector fails by itself if it would fail as the only one of its run."


def gains_text(gains: tuple[Gain, ...], series: str = "FLAT") -> str:
    """Return the gains per pair, detector and amplifier.

    Parameters
    ----------
    gains : `tuple` [`Gain`, ...]
        In the order of their pairs.
    series : `str`, optional
        Name of the series that the pairs are from.

    Returns
    -------
    text : `str`
        Each gain; then, by amplifier, the mean over the pairs, its spread
        (standard deviation) if there are several pairs, and the difference
        to the reference if there is one.
    """
    lines = [f"Gains estimated from flat pairs of {series} (e-/ADU):"]
    for (first, second), pair in itertools.groupby(gains, key=lambda gain: gain.exposures):
        of_pair = list(pair)
        lines.append(f"    Exposures {first} and {second}, {of_pair[0].exp_time:g} s each")
        for detector, group in itertools.groupby(of_pair, key=lambda gain: gain.detector):
            amplifiers = list(group)
            measured = [gain.gain for gain in amplifiers if gain.gain is not None]
            median = f"median {statistics.median(measured):.3f}" if measured else "none could be measured"
            lines.append(f"        Detector {detector}, {median}")
            lines.append(_columns((f"{gain.amplifier}: {_number(gain.gain)}" for gain in amplifiers), 12))
    lines += _gain_summary(gains)
    return fold("\n".join(lines))


def _gain_summary(gains: tuple[Gain, ...]) -> Iterator[str]:
    """Yield what the pairs agree on, if there is anything to compare."""
    measured = [amplifier for amplifier in by_amplifier(gains) if amplifier.values]
    n_pairs = max((len(amplifier.values) for amplifier in measured), default=0)
    has_reference = any(gain.reference is not None for gain in gains)
    if n_pairs < 2 and not has_reference:
        return
    yield (
        f"    Mean of {n_pairs} pair(s)"
        + (", +- their spread" if n_pairs > 1 else "")
        + (", and its difference to the reference ptc" if has_reference else "")
    )
    for detector, group in itertools.groupby(measured, key=lambda amplifier: amplifier.detector):
        yield f"        Detector {detector}"
        yield _columns(map(_gain_cell, group), 12)


def _number(gain: float | None) -> str:
    return "none" if gain is None else f"{gain:.3f}"


def _gain_cell(gain: AmplifierGain) -> str:
    spread = "" if gain.spread is None else f" +- {gain.spread:.3f}"
    difference = "" if gain.difference is None else f" ({gain.difference:+z.1%})"
    return f"{gain.amplifier}: {gain.mean:.3f}{spread}{difference}"


def defects_text(defects: tuple[DetectorDefects, ...]) -> str:
    """Return the defects per detector and amplifier.

    Parameters
    ----------
    defects : `tuple` [`DetectorDefects`, ...]
        Of each detector.

    Returns
    -------
    text : `str`
        What was found, what it was compared with, and the pixels of each
        amplifier, with those gained and lost.
    """
    lines = ["Defects, in pixels; those at the edge of the detector do not count:"]
    for one in defects:
        lines.append(f"    Detector {one.detector}, {defects_found((one,))}")
        if one.previous is not None:
            lines.append(f"    Compared with {one.previous.n_boxes} boxes from {one.previous.run}")
        lines.append(_columns(map(_defects_cell, one.amplifiers), 8))
    return fold("\n".join(lines))


def _defects_cell(one: AmplifierDefects) -> str:
    changes = "" if one.gained is None or one.lost is None else f" (+{one.gained} -{one.lost})"
    return f"{one.amplifier}: {one.area}{changes}"


def defects_found(defects: tuple[DetectorDefects, ...]) -> str:
    """Return in a line how many defects there are, and what changed.

    Parameters
    ----------
    defects : `tuple` [`DetectorDefects`, ...]
        Of each detector.

    Returns
    -------
    text : `str`
        Without a full stop.
    """
    n_boxes, area, n_pixels = (
        sum(getattr(one, name) for one in defects) for name in ("n_boxes", "area", "n_pixels")
    )
    text = f"{n_boxes} boxes, {area / n_pixels if n_pixels else 0:.2%} of the pixels ({area})"
    if all(one.previous is None for one in defects):
        return text
    gained, lost = (sum(getattr(one, name) for one in defects) for name in ("gained", "lost"))
    return f"{text}; {gained} gained, {lost} lost"
