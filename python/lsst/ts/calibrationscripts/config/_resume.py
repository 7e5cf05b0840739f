# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a run that is to be carried on."""

from __future__ import annotations

__all__ = ["find_earlier"]

from collections.abc import Callable, Mapping
from typing import Any

from ._checks import check, value_is_valid
from ._fields import parse_field
from ._model import CalibrationConfig
from ._problems import ConfigurationError, Problem
from ._text import WrittenConfig


def find_earlier(
    written: WrittenConfig, earlier: Callable[[str], Mapping[str, Any]] | None
) -> CalibrationConfig | None:
    """Look up the run that a text asks to carry on.

    Parameters
    ----------
    written : `WrittenConfig`
        What the text says; a run that cannot be carried on is added to its
        problems.
    earlier : `~collections.abc.Callable` or `None`
        As for `parse`.

    Returns
    -------
    config : `CalibrationConfig` or `None`
        `None` if there is no such run, or none is asked for.
    """
    run_id = written.values.get("resume")
    if earlier is None or run_id is None or not value_is_valid("resume", run_id):
        return None
    run_id = parse_field("resume", run_id)
    try:
        values = dict(earlier(run_id))
    except LookupError as error:
        what = str(error.args[0]) if error.args else "there is no such run"
        _report(written, run_id, what, "write the id of a run that there is, or leave resume out")
        return None
    # That run may itself have carried on from another.
    values.pop("resume", None)
    try:
        return check(WrittenConfig(values=values))
    except ConfigurationError as error:
        problem = error.problems[0]
        what = f"the configuration of that run cannot be used: {problem.key}: {problem.what}"
        _report(written, run_id, what, "leave resume out; exposures takes the ids of its frames")
        return None


def _report(written: WrittenConfig, run_id: str, what: str, remedy: str) -> None:
    written.unreadable.add("resume")
    written.problems.append(Problem("resume", run_id, what, remedy, written.lines.get("resume")))
