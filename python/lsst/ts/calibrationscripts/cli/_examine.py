# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge configurations before they are queued: one function for each.

`examine` is the only place where ``validate``, ``plan`` and ``simulate`` find
out about a configuration.
"""

from __future__ import annotations

__all__ = ["Examined", "Examiner", "exit_code", "inputs_json"]

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._common import ExitCode
from ._inputs import Configuration, Input
from ._job_service import site_findings

if TYPE_CHECKING:
    from ..config import CalibrationConfig
    from ..forecast import Forecast
    from ..plan import RunPlan

VALID, INVALID, SKIPPED = "valid", "invalid", "skipped"


@dataclass(frozen=True)
class Examined:
    """What is known of a configuration before it is run."""

    given: Configuration
    source: str
    """What messages call it."""

    begin: datetime.datetime
    """When it would begin: the second script of a BLOCK when the first
    ends."""

    config: CalibrationConfig | None = None
    """`None` if there are problems."""

    plan: RunPlan | None = None
    forecast: Forecast | None = None
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """``valid`` or ``invalid``."""
        return INVALID if self.problems else VALID


@dataclass(frozen=True)
class Examiner:
    """Judges configurations of one command.

    Parameters
    ----------
    earlier, find_generation : `~collections.abc.Callable`, optional
        As for `config.parse`; the generation is by default that of this
        installation.
    """

    earlier: Callable[[str, str | None], Mapping[str, Any]] | None = None
    find_generation: Callable[[str], tuple[str, str]] | None = None
    forecasts: bool = True
    """Whether it looks at the repository for what is certain to fail, and
    into the site file of bps."""

    def examine_all(self, each: Input, begin: datetime.datetime) -> list[Examined]:
        """Judge the configurations of a file, one after the other.

        Parameters
        ----------
        each : `Input`
            What was given.
        begin : `datetime.datetime`
            When the first would begin.

        Returns
        -------
        examined : `list` [`Examined`]
        """
        found = []
        for given in each.configurations:
            found.append(self.examine(given, each.source(given), begin))
            if (plan := found[-1].plan) is not None:
                begin += datetime.timedelta(seconds=plan.duration)
        return found

    def examine(self, given: Configuration, source: str, begin: datetime.datetime) -> Examined:
        """Judge a configuration.

        Parameters
        ----------
        given : `Configuration`
            What the script would be given.
        source : `str`
            What messages call it.
        begin : `datetime.datetime`
            When it would begin.

        Returns
        -------
        examined : `Examined`
        """
        if given.problems:
            return Examined(given, source, begin, problems=tuple(map(str, given.problems)))
        from ..butler.generation import find_generation as of_installation
        from ..config import ConfigurationError, parse
        from ..plan import make_plan
        from ._forecast import forecast_of

        find = self.find_generation or (lambda repo: of_installation(repo, given.instrument))
        try:
            config = parse(given.text, given.instrument, self.earlier, find)
        except ConfigurationError as error:
            problems = error.problems
            if given.place is not None:
                # The lines are not those of the JSON.
                problems = tuple(dataclasses.replace(problem, line=None) for problem in problems)
            return Examined(given, source, begin, problems=tuple(map(str, problems)))
        plan = make_plan(config, given.instrument, begin)
        forecast = forecast_of(config, plan, given.instrument, begin) if self.forecasts else None
        objections = forecast.objections(strict=config.strict) if forecast else ()
        of_site, notes = site_findings(config) if self.forecasts else ((), ())
        notices = (*given.notices, *config.notices, *notes)
        return Examined(given, source, begin, config, plan, forecast, (*of_site, *objections), notices)


def exit_code(judged: Sequence[tuple[Input, Sequence[Examined]]]) -> ExitCode:
    """Return the worst of all inputs.

    Parameters
    ----------
    judged : sequence of `tuple`
        What was given, each with its configurations.

    Returns
    -------
    code : `ExitCode`
    """
    wrong = any(each.problems or any(one.problems for one in examined) for each, examined in judged)
    return ExitCode.INVALID if wrong else ExitCode.SUCCESS


def inputs_json(
    judged: Sequence[tuple[Input, Sequence[Examined]]], *, with_plan: bool = False
) -> dict[str, Any]:
    """Return what was found as one document.

    Parameters
    ----------
    judged : sequence of `tuple`
        What was given, each with its configurations.
    with_plan : `bool`, optional
        Whether it has the plans.

    Returns
    -------
    data : `dict` [`str`, `Any`]
    """
    from ..codec import FORMAT, forecast_json, plan_json

    entries: list[dict[str, Any]] = []
    for each, examined in judged:
        if each.is_block or each.problems:
            outcome = INVALID if each.problems else VALID if examined else SKIPPED
            entries.append(_entry(each, None, outcome, each.problems, each.notices))
        for one in examined:
            entries.append(_entry(each, one.given, one.outcome, one.problems, one.notices))
            entries[-1]["forecast"] = None if one.forecast is None else forecast_json(one.forecast)
            if with_plan:
                entries[-1]["plan"] = None if one.plan is None else plan_json(one.plan, one.forecast)
    return {"format": FORMAT, "exit_code": int(exit_code(judged)), "inputs": entries}


def _entry(
    each: Input,
    given: Configuration | None,
    outcome: str,
    problems: Sequence[str],
    notices: Sequence[str],
) -> dict[str, Any]:
    return {
        "file": each.name,
        "kind": "block" if given is None and each.is_block else "configuration",
        "block": None if each.block is None else each.block.name,
        "program": None if each.block is None else each.block.program,
        "place": None if given is None else given.place,
        "script": None if given is None else given.script,
        "outcome": outcome,
        "problems": list(problems),
        "notices": list(notices),
        "skipped": list(each.skipped) if given is None else [],
    }
