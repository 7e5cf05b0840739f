# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run cannot do whose jobs are left to themselves."""

from __future__ import annotations

__all__ = ["check_release", "release_notices"]

from collections.abc import Iterator

from ._findings import Findings
from ._parameters import MAKES
from ._values import ParsedConfig


def check_release(parsed: ParsedConfig, findings: Findings) -> None:
    """Refuse ``release`` where the script has to wait for its jobs.

    Parameters
    ----------
    parsed : `ParsedConfig`
        Values, of which some may be unusable.
    findings : `Findings`
        Takes the problems.
    """
    values = parsed.values
    if not findings.usable("release") or not values["release"]:
        return
    for key in MAKES:
        if findings.usable(key) and values[key]:
            findings.report(
                "release",
                True,
                f"{key} makes calibrations, job after job, and certifies them: the script has to wait",
                f"write release: False, or {key}: False",
            )
    if findings.usable("do_verify") and not values["do_verify"]:
        findings.report(
            "release",
            True,
            "do_verify is False: there is no verification whose result could be collected later",
            "write do_verify: True, or leave release out",
        )
    if findings.usable("spoilt_frames") and values["spoilt_frames"] == "exclude":
        findings.report(
            "release",
            True,
            "spoilt_frames: exclude measures all frames before the jobs begin: the script has to wait",
            "write spoilt_frames: report, or release: False",
        )


def release_notices(parsed: ParsedConfig) -> Iterator[str]:
    """Yield what differs if the jobs are left to themselves.

    Parameters
    ----------
    parsed : `ParsedConfig`
        Values without problems.

    Yields
    ------
    notice : `str`
        A sentence or two.
    """
    if not parsed.values["release"]:
        return
    yield (
        "release: the script ends once all jobs are submitted, without verdicts. Collect them with "
        "calibscripts finish and the id of the run, or with resume in the script queue."
    )
    if parsed.values["fail_on"]:
        yield "fail_on has no effect before the verdicts are collected: the script ends DONE."
