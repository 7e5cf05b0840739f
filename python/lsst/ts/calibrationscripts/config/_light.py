# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The level that flats are to have."""

from __future__ import annotations

__all__ = ["check_level", "level_notices"]

from collections.abc import Iterator

from ..instruments import ImageType
from ._counts import LONGEST_SOUGHT, N_TRIALS, SHORTEST_SOUGHT
from ._findings import Findings
from ._frames import Frames
from ._values import ParsedConfig
from ._words import no_effect, not_taken

_LIMITS = ("flat_counts_min", "flat_counts_max")


def check_level(parsed: ParsedConfig, frames: Frames, findings: Findings) -> None:
    """Check what flats are to have.

    Parameters
    ----------
    parsed : `ParsedConfig`
        Values, of which some may be unusable.
    frames : `Frames`
        The frames that they come to.
    findings : `Findings`
        Takes the problems.
    """
    if findings.usable(*_LIMITS):
        low, high = (parsed.values[key] for key in _LIMITS)
        if low is not None and high is not None and low >= high:
            findings.report(
                "flat_counts_max", high, f"is not above flat_counts_min, {low:g}", "write a larger number"
            )
    if findings.usable("flat_counts") and parsed.values["flat_counts"] is not None:
        _check_sought(parsed, frames, findings)


def _check_sought(parsed: ParsedConfig, frames: Frames, findings: Findings) -> None:
    key, wanted = "flat_counts", parsed.values["flat_counts"]
    written = parsed.given.get(key, list(wanted))
    clipped = parsed.instrument.saturated_counts
    if wanted[1] >= clipped:
        findings.report(
            key,
            written,
            f"ends where flats of {parsed.instrument.name} saturate, {clipped:g} counts",
            f"write less, for example [{parsed.instrument.usable_counts[0]:g}, 40000]",
        )
    for limit in _LIMITS:
        if findings.usable(limit) and parsed.values[limit] is not None:
            findings.report(
                limit, parsed.values[limit], "flat_counts has the limits", f"leave {limit} or flat_counts out"
            )
    if parsed.values["exposures"] is not None or not parsed.is_complete:
        return
    for series in frames.flats:
        place = "flat_sets" if frames.flat_sets else "exp_times_flat"
        if not findings.usable(key, place):
            return
        which = f" for {series.name}" if len(frames.flats) > 1 else ""
        times = sorted(set(series.exp_times))
        if len(times) > 1:
            findings.report(
                key,
                written,
                f"seeks one exposure time for all flats of a set, but {place} has {len(times)}{which}: a "
                "ramp, or pairs, keep the times that are written",
                f"write one number for exp_times_flat, or leave {key} out",
            )
        elif times[0] > LONGEST_SOUGHT:
            findings.report(
                key,
                written,
                f"takes flats of {LONGEST_SOUGHT:g} s at most, but {place} begins with {times[0]:g} s{which}",
                f"write an exp_times_flat to begin with of {LONGEST_SOUGHT:g} or less, or leave {key} out",
            )


def level_notices(parsed: ParsedConfig, frames: Frames) -> Iterator[str]:
    """Yield what ``flat_counts`` means for the frames.

    Parameters
    ----------
    parsed : `ParsedConfig`
        Values without problems.
    frames : `Frames`
        The frames that they come to.

    Yields
    ------
    notice : `str`
        A sentence or two.
    """
    wanted = parsed.values["flat_counts"]
    if wanted is None or parsed.values["exposures"] is not None:
        return
    if ImageType.FLAT not in frames.image_types:
        yield no_effect(["flat_counts"], not_taken(ImageType.FLAT, parsed))
        return
    times = ", ".join(f"{time:g}" for time in dict.fromkeys(one.exp_times[0] for one in frames.flats))
    yield (
        f"flat_counts: up to {N_TRIALS} trial flats of each set, the first of {times} s, find the exposure "
        f"time that gives {wanted[0]:,.0f} to {wanted[1]:,.0f} counts, {SHORTEST_SOUGHT:g} to "
        f"{LONGEST_SOUGHT:g} s. The number of exposures and the duration are for the times that are written "
        "and all trial flats."
    )
