# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that a person wants left out."""

from __future__ import annotations

__all__ = ["check_without", "notice_of_without", "reasons_of_earlier"]

from collections.abc import Mapping
from typing import Any

from ._findings import Findings
from ._values import ParsedConfig

_REASONS = ("without_reason", "without_by")


def check_without(parsed: ParsedConfig, findings: Findings, *, of_run: bool) -> None:
    """Check that the frames can be those of the run.

    Which frames a run has that takes them is not known here.

    Parameters
    ----------
    parsed : `ParsedConfig`
        Values, of which some may be unusable.
    findings : `Findings`
        Takes the problem.
    of_run : `bool`
        Whether the values are those of a run that has frames.
    """
    if not findings.usable("without", "exposures", "resume"):
        return
    without, exposures = parsed.values["without"], parsed.values["exposures"]
    if not without:
        return
    if exposures is None:
        if not parsed.is_resume and not of_run:
            findings.report(
                "without",
                list(without),
                "names frames, but a new run has none yet",
                "write resume and the id of the run that has taken them, or leave without out",
            )
        return
    known = {exposure_id for ids in exposures.values() for exposure_id in ids}
    if unknown := [exposure_id for exposure_id in without if exposure_id not in known]:
        named = ", ".join(map(str, unknown))
        are = "is" if len(unknown) == 1 else "are"
        findings.report("without", None, f"{named} {are} not in exposures", "write ids of exposures only")


def reasons_of_earlier(given: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a run that is resumed.

    Parameters
    ----------
    given : `~collections.abc.Mapping` [`str`, `Any`]
        What is written beside the id of the run.
    earlier : `~collections.abc.Mapping` [`str`, `Any`]
        Its configuration.

    Returns
    -------
    values : `dict` [`str`, `Any`]
        The same. Where other frames are written, its reasons are not theirs.
    """
    values = dict(earlier)
    return values | dict.fromkeys(_REASONS) if "without" in given else values


def notice_of_without(values: Mapping[str, Any]) -> str:
    """Return which frames are left out, and why; "" if none are."""
    without = values["without"]
    if not without:
        return ""
    by, reason = values["without_by"] or "a person", values["without_reason"]
    ids = ", ".join(map(str, without))
    plural = "s" if len(without) > 1 else ""
    why = f": {reason.rstrip('.')}" if reason else ""
    return f"Everything is made without exposure{plural} {ids}, left out by {by}{why}."
