# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What trials of proposals have in common; see test_run_remedies.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import read_record
from lsst.ts.calibrationscripts.files.journal import FileJournal
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.ports import ObservatoryError, PreconditionError
from lsst.ts.calibrationscripts.record import RunRecord
from lsst.ts.calibrationscripts.report import RunReport, next_steps
from remedies import options, quoted
from virtual_time import virtually
from world import World

Trial = Callable[[Path], Iterator[str]]
TRIALS: dict[str, Trial] = {}


def trial(function: Trial) -> Trial:
    TRIALS[function.__name__] = function
    return function


def calibscripts(*words: object, given: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], input=given)


def run(world: World, data: Mapping[str, Any] | str, *, resume: bool = False) -> RunReport:
    """Run a configuration to its end, however that is."""
    text = data if isinstance(data, str) else yaml.safe_dump(dict(data))
    procedure = world.procedure(text, resume=resume)
    try:
        virtually(procedure.run())
    except ObservatoryError:
        assert procedure.report.stages
    return procedure.report


def resumed(world: World, step: str, more: Mapping[str, Any] | None = None) -> RunReport:
    """Resume a run by what a text proposes, and what else is written."""
    (own,) = [each for each in quoted(step) if "resume" in each]
    return run(world, {**own, **(more or {})}, resume=True)


def refused(world: World, text: str, *, resume: bool = False) -> tuple[str, ...]:
    with pytest.raises(PreconditionError) as caught:
        virtually(world.procedure(text, resume=resume).run())
    return caught.value.problems


def problems_of(world: World, data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return why a run does not begin, none if it does."""
    try:
        virtually(world.procedure(yaml.safe_dump(dict(data))).run())
    except PreconditionError as error:
        return error.problems
    return ()


def outcome(report: RunReport, name: str) -> Outcome:
    return next(result.outcome for result in report.stages if result.name == name)


def step_of(report: RunReport, word: str) -> str:
    (step,) = [each for each in next_steps(report) if word in each]
    return step


def leave_journal(world: World, folder: Path, **changes: Any) -> RunRecord:
    """Leave the journal of a run on disk, as a script would."""
    record = read_record(world.journal)
    frames = tuple(
        dataclasses.replace(frame, group_id=frame.group_id.replace("/", "-")) for frame in record.frames
    )
    record = dataclasses.replace(record, frames=frames, **changes)
    FileJournal(folder, record.run_id).write(record)
    return record


def with_journal(report: RunReport, folder: Path) -> RunReport:
    return dataclasses.replace(report, journal=str(folder / f"{report.run_id}.journal.json"))


def refused_command(*words: object, given: str | None = None) -> str:
    """Return what a command says that cannot be followed.

    Each option that it names is one of that command.
    """
    result = calibscripts(*words, given=given)
    assert result.exit_code in (1, 2) and "Traceback" not in result.output, result.output
    command = main.commands[str(words[0])]  # type: ignore[attr-defined]
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    assert {*options(result.output)} <= known, result.output
    return result.output


def helps(text: str, *words: object, given: str | None = None) -> None:
    """See that a command is not refused for the same reason."""
    result = calibscripts(*words, given=given)
    assert "Traceback" not in result.output
    assert text.splitlines()[-1] not in result.output, result.output
