# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the observer can do about bad detectors."""

from __future__ import annotations

__all__ = ["after_bad_detectors", "after_rest", "few_are_bad"]

from ..outcomes import Outcome, StageResult, named_detectors
from ..thresholds import detectors_to_fail
from ._commands import resume_configuration
from ._model import RunReport

_MAX_IDS = 16
"""Ids of detectors that are written out to be copied: a line."""


def few_are_bad(result: StageResult) -> bool:
    """Return whether a stage ended for a minority of bad detectors.

    Parameters
    ----------
    result : `StageResult`
        How it ended.

    Returns
    -------
    few : `bool`
        If so, the rest can be certified.
    """
    ended = result.outcome in (Outcome.HELD, Outcome.FAILED)
    return ended and 0 < len(result.bad_detectors) < detectors_to_fail(result.n_detectors)


def after_bad_detectors(report: RunReport, result: StageResult) -> str:
    """Return what to do about the few bad detectors of a stage.

    Parameters
    ----------
    report : `RunReport`
        The run.
    result : `StageResult`
        One with `few_are_bad`.

    Returns
    -------
    step : `str`
        Sentences.
    """
    names = [bad.name for bad in result.bad_detectors]
    named, them = named_detectors(names, result.n_detectors), "it" if len(names) == 1 else "them"
    text = (
        f"{result.stage.subject}: {named}. See what is wrong with {them}. To go on with the others, resume "
        f"with {_resuming(report)}: none of their jobs is run again."
    )
    bad = {each.detector for each in result.bad_detectors}
    good = [each for each in report.config.get("detectors") or () if each not in bad]
    if 0 < len(good) <= _MAX_IDS:
        text += f" Or leave the bad ones out of a new run: detectors: {good}."
    return text


def _resuming(report: RunReport) -> str:
    """Return what resumes a run with the rest, in words."""
    if report.resume_command:
        file = "a file with 'incomplete: certify_rest', which is named at its end"
        return f"'{report.resume_command}' and {file}"
    return f"'{resume_configuration(report.run_id, report.config, incomplete='certify_rest')}'"


def after_rest(report: RunReport) -> str:
    """Return what to do about the detectors that a run went on without.

    Parameters
    ----------
    report : `RunReport`
        One that has some.

    Returns
    -------
    step : `str`
        A sentence or two.
    """
    left_out = {bad.detector: bad.name for result in report.rest_only for bad in result.bad_detectors}
    n_detectors = max(result.n_detectors for result in report.rest_only)
    named = named_detectors(tuple(left_out.values()), n_detectors)
    ids = f"'detectors: {sorted(left_out)}'" if len(left_out) <= _MAX_IDS else "'detectors'"
    return (
        f"Left out: {named}. Once the cause is fixed, a run with {ids} in place of 'incomplete' makes what "
        "is missing, from the same frames if 'exposures' names them."
    )
