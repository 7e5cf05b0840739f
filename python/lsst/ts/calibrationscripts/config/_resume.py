# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a run that is to be resumed."""

from __future__ import annotations

__all__ = ["Check", "Earlier", "check_frame_parameters", "find_earlier"]

from collections.abc import Callable, Mapping
from typing import Any

from ._findings import Findings
from ._model import CalibrationConfig
from ._problems import ConfigurationError

Earlier = Callable[[str, str | None], Mapping[str, Any]]
"""Takes the id of a run and the text's ``journal_dir``; returns that run's
configuration."""

Check = Callable[[Mapping[str, Any]], CalibrationConfig]
"""Takes values by parameter and returns their configuration, or raises
`ConfigurationError`."""

_UNKNOWN = ("that run is not known", "write the id of a run that exists, or leave resume out")
"""What is wrong with an id that nothing more is known of, and the remedy."""


def find_earlier(
    run_id: str, journal_dir: str | None, earlier: Earlier, check: Check, findings: Findings
) -> CalibrationConfig | None:
    """Look up the run that a text asks to resume.

    Parameters
    ----------
    run_id : `str`
        The id of that run.
    journal_dir : `str` or `None`
        The folder of journals, if the text names one.
    earlier : `~collections.abc.Callable`
        As for `parse`.
    check : `~collections.abc.Callable`
        Checks that run's configuration, which may be an old one.
    findings : `Findings`
        Takes the problem if it cannot be resumed.

    Returns
    -------
    config : `CalibrationConfig` or `None`
        `None` if the run is not found, or cannot be used.
    """
    try:
        values = dict(earlier(run_id, journal_dir))
    except LookupError as error:
        what, remedy = (*map(str, error.args), *_UNKNOWN[len(error.args) :])[:2]
        findings.report("resume", run_id, what, remedy)
        return None
    # That run may itself have resumed another.
    values.pop("resume", None)
    try:
        return check(values)
    except ConfigurationError as error:
        problem = error.problems[0]
        what = f"the configuration of that run cannot be used: {problem.key}: {problem.what}"
        findings.report("resume", run_id, what, "leave resume out; exposures takes the ids of its frames")
        return None


def check_frame_parameters(
    written: Mapping[str, Any], earlier: CalibrationConfig | None, check: Check, findings: Findings
) -> None:
    """Report parameters that would change the frames of a resumed run.

    Parameters
    ----------
    written : `~collections.abc.Mapping` [`str`, `Any`]
        What is written about frames, beside the id of the run. It may be
        there only if it says the same as that run.
    earlier : `CalibrationConfig` or `None`
        The configuration of that run; if it is not known, the defaults are
        taken for it.
    check : `~collections.abc.Callable`
        Checks what is written.
    findings : `Findings`
        Takes the problems.
    """
    if not written:
        return
    before = (earlier or check({})).to_dict()
    try:
        now = check(written).to_dict()
    except ConfigurationError:
        now = None
    for key, value in written.items():
        if now is None or now[key] != before[key]:
            findings.report(key, value, "resume uses the frames of that run", f"leave {key} out")
