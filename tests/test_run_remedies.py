# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the texts of runs and of commands propose is tried, and helps.

A trial gives the product what makes it say something, takes what is proposed
out of that text, does it, and yields the text. Texts of the source that
propose something and that no trial has yielded are an error, unless they are
in one of the two registers at the end.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import read_record, to_json
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.decertification import RefusedError, choose
from lsst.ts.calibrationscripts.deciding import Choice, DecisionError
from lsst.ts.calibrationscripts.deciding._replay import Replay
from lsst.ts.calibrationscripts.files.journal import FileJournal
from lsst.ts.calibrationscripts.forecast import Facts, Kind, make_forecast
from lsst.ts.calibrationscripts.instruments import LATISS, ImageType
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.ports import CameraError, IngestReport, ObservatoryError, PreconditionError
from lsst.ts.calibrationscripts.record import DecisionKind, RunRecord
from lsst.ts.calibrationscripts.report import RunReport, next_steps, summary_text
from remedies import (
    PROPERTIES,
    Template,
    accepted,
    commands,
    keys,
    left_out,
    one_line,
    options,
    pairs,
    quoted,
    templates,
    understood,
)
from test_release import RELEASED, Later, session
from test_spoilt_frames import CHAIN, SPOILT
from virtual_time import virtually
from world import World

Trial = Callable[[Path], Iterator[str]]
TRIALS: dict[str, Trial] = {}

OLD, NEW = 'pipeline_generation: "2022"', 'pipeline_generation: "current"'
MADE: dict[str, Any] = {
    "generate_calibrations": True,
    "certify_calib_begin_date": "2026-11-23T12:00:00",
    "certify_calib_end_date": "2026-11-24T12:00:00",
}


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


# What the report of a run says that is to be done now


@trial
def after_frames_that_never_came(folder: Path) -> Iterator[str]:
    for data, lost in (
        ({"script_mode": "BIAS"}, 2026112300003),
        ({"script_mode": "BIAS_DARK"}, 2026112300003),
        ({"script_mode": "BIAS_DARK", "do_verify": False}, 2026112300030),
        ({"do_defects": True, "n_flat": 2, "exp_times_flat": 5}, 2026112300046),
        ({"do_ptc": True, "n_flat": 4, "exp_times_flat": [5, 5, 6, 6]}, 2026112300003),
        ({"script_mode": "BIAS", "n_bias": 3}, 2026112300003),
        ({"script_mode": "FLAT", "flat_sets": [{"filter": "SDSSr_65mm"}, {"filter": "SDSSg_65mm"}]}, 2026112300003),
    ):
        written = {**MADE, **data}
        world = World(ingest=IngestReport(missing=(lost,)))
        report = run(world, written)
        step = step_of(report, "never came")
        # A key that is named can be written beside the run's id.
        for key in keys(step):
            if key not in ("script_mode", "exposures"):
                accepted({"resume": "run", key: 1000}, report.config)
        # Once the frames came, the run is resumed to its end.
        if proposed := pairs(step).get("exposures"):
            how = re.compile(r"script_mode|n_.*|exp_times_.*|filter|grating|flat_sets")
            config = accepted({**{k: v for k, v in written.items() if not how.fullmatch(k)}, "exposures": proposed})
            named = {i for series in config.series for i in series.exposures or ()}
            assert named and lost not in named
            again = World()
            again.exposures, again.certified = world.exposures, list(world.certified)
            new = run(again, {**{k: v for k, v in written.items() if not how.fullmatch(k)}, "exposures": proposed})
            assert new.complete and outcome(new, "certify BIAS" if "BIAS" in proposed else "certify DARK").good
        world.ingest = IngestReport()
        assert resumed(world, next_steps(report)[-1]).complete
        yield from next_steps(report)


@trial
def after_few_frames(folder: Path) -> Iterator[str]:
    for data in (
        {"script_mode": "BIAS", "n_bias": 3},
        {"script_mode": "DARK", "n_dark": 3, "exp_times_dark": [5, 10, 20]},
        {"script_mode": "DARK", "n_dark": 3, "exp_times_dark": 7},
        {"script_mode": "DARK", "exp_times_dark": [5, 5, 5]},
    ):
        written = {**MADE, **data, "pipeline_generation": "2022"}
        report = run(World(failing_types=frozenset({data["script_mode"]})), written)
        step = step_of(report, "take more frames")
        proposed = pairs(step)
        assert proposed
        config = accepted({**written, **proposed})
        (series,) = config.series
        assert series.n > report.verdicts[series.subject].results.__len__()
        assert not make_forecast(config, make_plan(config, LATISS), LATISS).failures
        yield step
    # Of frames that exist, others have to be named.
    world = World()
    run(world, {"script_mode": "BIAS", "n_bias": 20})
    ids = sorted(world.exposures)[1:]
    world.failing_types = frozenset({"BIAS"})
    written = {**MADE, "exposures": {"BIAS": ids[:3]}, "pipeline_generation": "2022"}
    step = step_of(run(world, written), "take more frames")
    assert "exposures.BIAS" in step
    world.failing_types = frozenset()
    assert run(world, {**written, "exposures": {"BIAS": ids}}).complete
    yield step


@trial
def after_frames_unlike_references(folder: Path) -> Iterator[str]:
    written = {"script_mode": "BIAS"}
    step = step_of(run(World(failing_types=frozenset({"BIAS"})), written), "reference")
    (proposed,) = quoted(step)
    report = run(World(), {**written, **proposed})
    assert outcome(report, "certify BIAS") is Outcome.CERTIFIED
    yield step


@trial
def after_what_is_worse_than_what_is_in_use(folder: Path) -> Iterator[str]:
    world = World(residual=7.0)
    written = {**MADE, "script_mode": "BIAS", "certify_if": "not_worse"}
    report = run(world, written)
    step, how = step_of(report, "in use"), next_steps(report)[-1]
    ends, proposed = [], {}
    for each in quoted(step):
        # The second is proposed beside the first.
        proposed |= each
        another = World(residual=7.0)
        run(another, written)
        ends.append(outcome(resumed(another, how, proposed), "certify BIAS"))
    assert ends == [Outcome.CERTIFIED, Outcome.WAITING]
    yield from (step, how)


@trial
def after_defects_that_are_held(folder: Path) -> Iterator[str]:
    world = World(gained_defects=900_000)
    report = run(world, {**MADE, "do_defects": True})
    assert outcome(report, "generate DEFECTS") is Outcome.HELD
    step, how = step_of(report, "DEFECTS"), next_steps(report)[-1]
    (proposed,) = quoted(step)
    assert outcome(resumed(world, how, proposed), "certify DEFECTS") is Outcome.CERTIFIED
    yield from (step, how)


@trial
def after_a_job_that_failed(folder: Path) -> Iterator[str]:
    for given in ({}, {"config_options_bias": "-c cpBiasIsr:doLinearize=False"}):
        written = {**MADE, **given, "script_mode": "BIAS"}
        world = World(exit_codes={"cpBias": 1})
        report = run(world, written)
        step, how = step_of(report, "read its log"), next_steps(report)[-1]
        (key,) = keys(step)
        option = "-c cpBiasIsr:doCrosstalk=False"
        assert resumed(world, how, {key: option}).complete
        (again,) = [name for name in world.requests if name.startswith("cpBias-")]
        assert option in world.requests[again].config
        yield from (step, how)


@trial
def after_a_camera_that_failed(folder: Path) -> Iterator[str]:
    # Given a run that has a folder of journals of its own
    for data in ({"script_mode": "BIAS"}, {"script_mode": "BIAS", "journal_dir": f"{folder}/my journals"}):
        world = World(exposure_error=("BIAS 3/", CameraError("BIAS 3/21: not taken. Check ATCamera")))
        report = run(world, data)
        how = next_steps(report)[-1]
        (own,) = quoted(how)
        # Then what resumes it looks where its journal is
        looked: list[str | None] = []

        def earlier(
            run_id: str, where: str | None, report: RunReport = report, looked: list[str | None] = looked
        ) -> Mapping[str, Any]:
            looked.append(where)
            return report.config

        parse(yaml.safe_dump(own), LATISS, earlier)
        assert looked == [data.get("journal_dir")]
        world.exposure_error = None
        assert resumed(world, how).complete
        yield how
    # and one that has taken nothing is run again
    world = World(exposure_error=("BIAS 1/", CameraError("BIAS 1/21: not taken. Check ATCamera")))
    (step,) = next_steps(run(world, {"script_mode": "BIAS"}))
    assert not quoted(step) and run(World(), {"script_mode": "BIAS"}).complete
    yield step
    (step,) = next_steps(RunReport(state=report.state))
    yield step


@trial
def after_a_simulated_run(folder: Path) -> Iterator[str]:
    command = f"calibscripts simulate --workdir {folder} --resume run"
    world = World(exposure_error=("BIAS 3/", CameraError("BIAS 3/21: not taken. Check ATCamera")))
    report = dataclasses.replace(run(world, {"script_mode": "BIAS"}), resume_command=command)
    how = next_steps(report)[-1]
    # Then the file of changes can be named at the end of the command
    assert "named at its end" in how
    (words,) = commands(how)
    found = understood([*words, "changes.yaml"]).params
    assert (found["resume"], found["workdir"]) == ("run", folder)
    assert [file.name for file in found["files"]] == ["changes.yaml"]
    yield how
    # and a command that makes something anew is for its work folder
    report = dataclasses.replace(run(World(spoilt=SPOILT), CHAIN % "report"), resume_command=command)
    for step in next_steps(report):
        (words,) = commands(step)
        assert understood(words).params["workdir"] == folder
        yield step


@trial
def after_spoilt_frames(folder: Path) -> Iterator[str]:
    world = World(spoilt=SPOILT)
    report = with_journal(run(world, CHAIN % "report"), folder)
    record = leave_journal(world, folder)
    steps = [each for each in next_steps(report) if "spoilt" in each]
    assert steps
    for step in steps:
        (words,) = commands(step)
        context = understood(words)
        # It finds the journal, and is refused only for what is certified;
        # the command that undoes that is of the same run.
        assert context.params["journals"] == folder
        result = calibscripts(*words[1:])
        assert result.exit_code == 2
        (undo,) = commands(result.output)
        undoing = understood(undo)
        assert undoing.params["journals"] == folder and undoing.params["reason"]
        proofs = report.proofs
        assert choose(record, proofs, undoing.params["products"])
        yield from (step, result.output)


@trial
def after_jobs_left_to_themselves(folder: Path) -> Iterator[str]:
    world = Later()
    report = with_journal(session(world), folder)
    leave_journal(world, folder)
    step = step_of(report, "Collect")
    (words,) = commands(step)
    context = understood(words)
    assert (context.params["run_id"], context.params["journals"]) == ("run", folder)
    world.end_jobs()
    assert resumed(world, step).complete
    yield step


@trial
def after_what_waits(folder: Path) -> Iterator[str]:
    world = World()
    report = with_journal(run(world, {**MADE, "script_mode": "BIAS", "certify": "ask"}), folder)
    leave_journal(world, folder)
    step = step_of(report, "accept or reject")
    (words,) = commands(step)
    result = calibscripts(*words[1:])
    assert result.exit_code == 0 and "BIAS" in result.output
    yield step


# Trials, and what they have tried


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[str, ...]]:
    """Return what makes a trial, once, and returns the texts it has tried."""
    known: dict[str, tuple[str, ...]] = {}

    def of(name: str) -> tuple[str, ...]:
        if name not in known:
            known[name] = tuple(map(one_line, TRIALS[name](tmp_path_factory.mktemp(name))))
        return known[name]

    return of


@pytest.mark.parametrize("name", TRIALS)
def test_what_is_proposed_helps(name: str, tried: Callable[[str], tuple[str, ...]]) -> None:
    assert tried(name)
