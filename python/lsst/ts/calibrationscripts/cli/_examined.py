# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found out about configurations, in a terminal."""

from __future__ import annotations

__all__ = ["show_block", "show_count", "show_each", "show_note", "show_problems"]

from collections.abc import Sequence

from ._common import show
from ._examine import INVALID, VALID, Examined
from ._forecast import show_forecast
from ._inputs import Input

Judged = Sequence[tuple[Input, Sequence[Examined]]]


def show_each(judged: Judged) -> None:
    """Print how everything was judged, problems to stderr.

    Parameters
    ----------
    judged : sequence of `tuple`
        What was given, each with its configurations.
    """
    everything = [one for _, examined in judged for one in examined]
    of_all = _shared_notices(everything)
    for each, examined in judged:
        show_block(each)
        show_problems(each, examined)
        of_block = [notice for notice in _shared_notices(examined) if notice not in of_all]
        for notice in of_block:
            show_note(notice, "each script: ")
        for one in examined:
            if one.problems:
                continue
            for notice in one.notices:
                if notice not in of_all and notice not in of_block:
                    show_note(notice, f"{one.given.place}: " if one.given.place else "")
            if one.forecast is not None and one.forecast.findings:
                show_forecast(one.forecast, one.notices, one.source if len(everything) > 1 else "")
            show(f"{one.source}: valid{', but certain to fail' if _is_certain_to_fail(one) else ''}")
    for notice in of_all:
        show_note(notice, "for all: ")
    show_count(judged)


def show_block(each: Input) -> None:
    """Print what a BLOCK has; nothing for other inputs.

    Parameters
    ----------
    each : `Input`
        What was given.
    """
    # What it makes is not known if a variable has no value that fits.
    if each.block is None or each.problems:
        return
    n_ours, n = len(each.configurations), len(each.block.scripts)
    block = (
        each.block.name
        if each.block.name == each.block.program
        else f"{each.block.program}, {each.block.name}"
    )
    show(f"{each.name}: {block}: {n_ours} of {n} scripts make calibrations")
    for notice in each.notices:
        show_note(notice)


def show_note(text: str, source: str = "") -> None:
    """Print a notice.

    Parameters
    ----------
    text : `str`
        The notice.
    source : `str`, optional
        Whose it is, if that is not clear.
    """
    from ..report import fold

    show(fold(f"note: {source}{text}"))


def show_problems(each: Input, examined: Sequence[Examined]) -> None:
    """Print all that is wrong with what was given, to stderr.

    Parameters
    ----------
    each : `Input`
        What was given.
    examined : sequence of `Examined`
        Its configurations.
    """
    from ..report import fold

    for text in each.problems:
        show(fold(f"{each.name}: {text}"), error=True)
    for one in examined:
        if one.problems:
            n = len(one.problems)
            name = f" of {one.given.script}" if one.given.script else ""
            heading = f"{one.source}: {n} problem{'' if n == 1 else 's'} in the configuration{name}:"
            show("\n".join([heading, *(f"  {problem}" for problem in one.problems)]), error=True)


def show_count(judged: Judged) -> None:
    """Print how many configurations are valid, if there are several.

    Parameters
    ----------
    judged : sequence of `tuple`
        What was given, each with its configurations.
    """
    outcomes = [one.outcome for _, examined in judged for one in examined]
    outcomes += [INVALID for each, _ in judged if each.problems]
    if len(outcomes) > 1:
        counts = [
            f"{outcomes.count(outcome)} {outcome}" for outcome in (VALID, INVALID) if outcome in outcomes
        ]
        n_failing = sum(_is_certain_to_fail(one) for _, examined in judged for one in examined)
        failing = f" {n_failing} of the valid will fail, says the forecast." if n_failing else ""
        show(f"{len(outcomes)} in all: {', '.join(counts)}.{failing}")


def _is_certain_to_fail(one: Examined) -> bool:
    return not one.problems and one.forecast is not None and one.forecast.is_certain


def _shared_notices(examined: Sequence[Examined]) -> list[str]:
    """Return the notices that all of several configurations have."""
    valid = [one for one in examined if not one.problems]
    if len(valid) < 2:
        return []
    return [notice for notice in valid[0].notices if all(notice in one.notices for one in valid)]
