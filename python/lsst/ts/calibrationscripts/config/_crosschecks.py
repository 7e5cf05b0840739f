# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what several parameters say together."""

from __future__ import annotations

__all__ = ["check_together"]

from ..instruments import ImageType
from ..pipelines import GENERATIONS
from ._bps import check_job_service
from ._dates import parse_date
from ._findings import Findings
from ._frames import Frames
from ._light import check_level
from ._parameters import SERIES_PARAMETERS
from ._release import check_release
from ._values import ParsedConfig

MAX_TOTAL_TIME = 86_400.0
"""Longest time that exposures and the waits between them may take (s)."""

_SMALLEST_HOLD_OUT = 2

_DATES = ("certify_calib_begin_date", "certify_calib_end_date")


def check_together(parsed: ParsedConfig, frames: Frames, findings: Findings) -> None:
    """Check what is known by what else is known.

    Parameters
    ----------
    parsed : `ParsedConfig`
        Values, of which some may be unusable.
    frames : `Frames`
        The frames that they come to.
    findings : `Findings`
        Takes the problems.
    """
    if findings.usable(*_DATES) and (parsed.is_complete or parsed.given.keys() >= set(_DATES)):
        _check_dates(parsed, findings)
    check_level(parsed, frames, findings)
    if parsed.is_complete:
        check_release(parsed, findings)
        check_job_service(parsed, findings)
    if frames.flat_sets and not parsed.instrument.wheels_turn:
        _check_one_set(parsed, frames, findings)
    if findings.usable("spoilt_frames", "retakes"):
        _check_retakes(parsed, findings)
    if findings.usable("incomplete", "detectors"):
        _check_rest(parsed, findings)
    if findings.usable("script_mode", "exposures") and parsed.is_complete:
        _check_image_types(parsed, frames, findings)
        if findings.usable("hold_out", "generate_calibrations", "do_verify"):
            _check_hold_out(parsed, frames, findings)
        if findings.usable("do_ptc") and parsed.values["do_ptc"]:
            _check_pairs(parsed, frames, findings)
        if findings.usable("wait_between_exposures") and parsed.values["exposures"] is None:
            _check_duration(parsed, frames, findings)


def _check_dates(parsed: ParsedConfig, findings: Findings) -> None:
    begin, end = (parsed.values[key] for key in _DATES)
    if parse_date(begin) >= parse_date(end):
        findings.report(
            "certify_calib_end_date",
            end,
            f"is not after certify_calib_begin_date, {begin}",
            "write a later end or an earlier beginning",
        )


def _check_retakes(parsed: ParsedConfig, findings: Findings) -> None:
    if parsed.values["retakes"] and parsed.values["spoilt_frames"] != "exclude":
        findings.report(
            "retakes",
            parsed.values["retakes"],
            f"spoilt frames are used with spoilt_frames: {parsed.values['spoilt_frames']}",
            "write spoilt_frames: exclude, or leave retakes out",
        )


def _check_rest(parsed: ParsedConfig, findings: Findings) -> None:
    """Refuse to certify the rest of one detector."""
    detectors = parsed.instrument.detector_ids(tuple(parsed.values["detectors"]))
    if parsed.values["incomplete"] == "certify_rest" and len(detectors) == 1:
        findings.report(
            "incomplete",
            "certify_rest",
            f"the run is about detector {detectors[0]} alone, of which there is no rest",
            "leave incomplete out",
        )


def _check_one_set(parsed: ParsedConfig, frames: Frames, findings: Findings) -> None:
    """Check that flats are taken through one filter, which stays in place."""
    if len(frames.flat_sets) > 1:
        findings.report(
            "flat_sets",
            None,
            f"has {len(frames.flat_sets)} sets, and a run does not change the filter of "
            f"{parsed.instrument.name}",
            "write one configuration for each filter, and change the filter between them",
        )


def _check_hold_out(parsed: ParsedConfig, frames: Frames, findings: Findings) -> None:
    """Check that enough frames are held out, and enough are left."""
    every = parsed.values["hold_out"]
    if not every:
        return
    for key in ("generate_calibrations", "do_verify"):
        if not parsed.values[key]:
            nothing = f"nothing is compared with {key}: False"
            findings.report("hold_out", every, nothing, f"write {key}: True, or hold_out: 0")
            return
    for series in (one for of_type in frames.series.values() for one in of_type):
        if isinstance(every, int) and series.n < 2 * every:
            findings.report(
                "hold_out",
                every,
                f"{series.name} has {series.n} frames: fewer than 2 are held out",
                f"write {series.n // 2} or less, or take {2 * every} frames"
                if series.n >= 2 * _SMALLEST_HOLD_OUT
                else f"write hold_out: 0, or take {2 * every} frames",
            )
            return


def _check_image_types(parsed: ParsedConfig, frames: Frames, findings: Findings) -> None:
    """Check that defects and photon transfer curves have all frames."""
    others = "script_mode: BIAS_DARK_FLAT, or "
    if parsed.values["exposures"] is not None:
        others = "ids of the other types too, or "
    if parsed.is_resume:
        others = ""
    for key in ("do_defects", "do_ptc"):
        if findings.usable(key) and parsed.values[key] and len(frames.image_types) < len(ImageType):
            findings.report(
                key,
                True,
                f"needs biases, darks and flats, script_mode is {parsed.values['script_mode']}",
                f"write {others}{key}: False",
            )


def _check_pairs(parsed: ParsedConfig, frames: Frames, findings: Findings) -> None:
    """Check that a photon transfer curve has pairs of flats."""
    flats, rule = frames.flats, GENERATIONS[parsed.values["pipeline_generation"]].pair_rule
    if not flats or any(series.may_have_pairs(rule) for series in flats):
        return
    first = flats[0]
    if parsed.is_resume:
        findings.report("do_ptc", True, "needs pairs of flats, that run has none", "write do_ptc: False")
    elif first.exposures is not None:
        findings.report(
            "exposures.FLAT",
            list(first.exposures),
            "do_ptc needs pairs of flats",
            "write 2 ids or more, or do_ptc: False",
        )
    elif frames.flat_sets:
        findings.report(
            "flat_sets",
            None,
            f"do_ptc needs pairs of flats, no set has one: a pair is {rule.value}",
            "write every time of a set twice in succession, for example [5, 5, 10, 10], or do_ptc: False",
        )
    elif first.n < 2:
        findings.report("n_flat", first.n, "do_ptc needs pairs of flats", "write 2 or more, or do_ptc: False")
    else:
        findings.report(
            "exp_times_flat",
            list(first.kept_exp_times),
            f"do_ptc needs pairs of flats, there is none: a pair is {rule.value}",
            "write every time twice in succession, for example [5, 5, 10, 10], or do_ptc: False",
        )


def _check_duration(parsed: ParsedConfig, frames: Frames, findings: Findings) -> None:
    """Refuse a run that would not end within a day."""
    wait = "wait_between_exposures"
    totals: dict[str, float] = {wait: 0.0}
    for image_type, of_type in frames.series.items():
        names = SERIES_PARAMETERS[image_type]
        has_sets = image_type is ImageType.FLAT and bool(frames.flat_sets)
        if not findings.usable(*(["flat_sets"] if has_sets else names.names)):
            continue
        key = "flat_sets" if has_sets else names.exp_times
        if key is not None:
            totals[key] = sum(sum(series.exp_times) for series in of_type)
        totals[wait] += sum(series.n_frames for series in of_type) * parsed.values[wait]
    total, largest = sum(totals.values()), max(totals, key=lambda key: totals[key])
    if parsed.is_resume:
        # The frames are those of the earlier run.
        largest = wait
    if total > MAX_TOTAL_TIME:
        findings.report(
            largest,
            None if largest == "flat_sets" else parsed.given.get(largest),
            f"all exposures and waits together last {total / 3600:.1f} h",
            f"write less, the limit is {MAX_TOTAL_TIME / 3600:.0f} h",
        )
