# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the texts of runs and of commands propose is tried, and helps.

A trial gives the product what makes it say something, takes what is proposed
out of that text, does it, and yields the text. Texts of the source that
propose something and that no trial has yielded are an error, unless they are
in one of the two registers at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import datetime
import errno
import itertools
import json
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trials_of_detectors  # noqa: F401 - it adds trials
import yaml
from click.testing import CliRunner
from lsst.ts.calibrationscripts.butler.repository import ButlerRepository
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.cli._environment import check_sal, check_simulation
from lsst.ts.calibrationscripts.codec import read_record, write_document
from lsst.ts.calibrationscripts.config import ConfigurationError, parse
from lsst.ts.calibrationscripts.decertification import RefusedError, choose
from lsst.ts.calibrationscripts.deciding import Choice, DecisionError
from lsst.ts.calibrationscripts.deciding._replay import Replay
from lsst.ts.calibrationscripts.desk import TokenFileError, read_tokens
from lsst.ts.calibrationscripts.due import PolicyError, read_policy
from lsst.ts.calibrationscripts.files.journal import FileJournal
from lsst.ts.calibrationscripts.forecast import Facts, Kind, make_forecast
from lsst.ts.calibrationscripts.instruments import LATISS, ImageType
from lsst.ts.calibrationscripts.light import LightLevel
from lsst.ts.calibrationscripts.observatory import sal
from lsst.ts.calibrationscripts.observatory.notifying import check_addresses
from lsst.ts.calibrationscripts.outcomes import Certification, Outcome, RunState
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.plan._order import in_order
from lsst.ts.calibrationscripts.ports import CameraError, IngestReport, ObservatoryError, PreconditionError
from lsst.ts.calibrationscripts.record import DecisionKind
from lsst.ts.calibrationscripts.report import RunDocument, RunReport, next_steps, summary_text
from lsst.ts.calibrationscripts.simulation.observatory import (
    SimulatedObservatory,
    SimulationSettings,
    WorkFolderError,
)
from lsst.ts.calibrationscripts.simulation.repository import RepositoryKind, create_repository
from lsst.ts.calibrationscripts.verification import FailureLevel, StatisticsError, dataset_name, judge
from lsst.ts.calibrationscripts.wheels import unknown_settings
from named import BIAS
from remedies import (
    PROPERTIES,
    ROOT,
    Template,
    accepted,
    commands,
    keys,
    one_line,
    options,
    pairs,
    quoted,
    templates,
    understood,
)
from test_blocks import problems_of as problems_of_block
from test_blocks import test_what_the_scheduler_would_refuse_is_refused_with_a_remedy as wrong_blocks
from test_decertification import proof
from test_finish import finish_in, released
from test_release import RELEASED, Later, session
from test_remedies import CASES, FOLLOWED, with_earlier
from test_spoilt_frames import CHAIN, SPOILT
from test_verdict_command import FIRST, FLATS, run_level
from trying import (
    TRIALS,
    calibscripts,
    helps,
    leave_journal,
    outcome,
    problems_of,
    refused,
    refused_command,
    resumed,
    run,
    step_of,
    trial,
    with_journal,
)
from virtual_time import virtually
from world import World

OLD, NEW = 'pipeline_generation: "2022"', 'pipeline_generation: "current"'
MADE: dict[str, Any] = {
    "generate_calibrations": True,
    "certify_calib_begin_date": "2026-11-23T12:00:00",
    "certify_calib_end_date": "2026-11-24T12:00:00",
}


def mistakes_of_blocks() -> list[tuple[str, str]]:
    """Return those of the tests of BLOCKs, with what is said of each."""
    (mark,) = (each for each in wrong_blocks.pytestmark if each.name == "parametrize")  # type: ignore[attr-defined]
    return list(mark.args[1])


# What the report of a run says that is to be done now


@trial
def after_what_is_certified_though_worse(folder: Path) -> Iterator[str]:
    world = World(residual=9.0)
    report = with_journal(run(world, {**MADE, "script_mode": "BIAS"}), folder)
    leave_journal(world, folder)
    step = step_of(report, "undo it")
    (command,) = commands(step)
    given = understood(command).params
    assert (given["run_id"], given["products"]) == ("run", ("BIAS",))
    assert choose(read_record(world.journal), world.proofs, given["products"])
    yield step


TWO_SETS = [{"filter": "SDSSr_65mm"}, {"filter": "SDSSg_65mm"}]
SMALL_SET = {"filter": "SDSSi_65mm", "n_flat": 3}


def again_used(world: World) -> set[int]:
    """Return the frames that jobs were given."""
    return {int(i) for each in world.requests.values() for i in re.findall(r"\d{13}", each.data_query)}


@trial
def after_frames_that_never_came(folder: Path) -> Iterator[str]:
    for data, lost in (
        ({"script_mode": "BIAS"}, 2026112300003),
        ({"script_mode": "BIAS_DARK"}, 2026112300003),
        ({"script_mode": "BIAS_DARK", "do_verify": False}, 2026112300030),
        ({"do_defects": True, "n_flat": 2, "exp_times_flat": 5}, 2026112300046),
        ({"do_ptc": True, "n_flat": 4, "exp_times_flat": [5, 5, 6, 6]}, 2026112300003),
        ({"script_mode": "BIAS", "n_bias": 3}, 2026112300003),
        ({"script_mode": "BIAS_DARK", "n_bias": 3}, 2026112300003),
        ({"script_mode": "BIAS_DARK", "n_dark": 3, "exp_times_dark": 5, "do_verify": False}, 2026112300024),
        # A frame of the second set, and one of a set that would be too small
        ({"script_mode": "FLAT", "flat_sets": TWO_SETS}, 2026112300031),
        ({"script_mode": "FLAT", "flat_sets": [*TWO_SETS, SMALL_SET]}, 2026112300045),
        ({"script_mode": "BIAS", "spoilt_frames": "exclude", "retakes": 1}, 2026112300003),
    ):
        written = {**MADE, **data}
        world = World(ingest=IngestReport(missing=(lost,)))
        report = run(world, written)
        step = step_of(report, "never came")
        # A key that is named can be written beside the run's id.
        for key in keys(step):
            if key not in ("script_mode", "exposures"):
                accepted({"resume": "run", key: 1000}, report.config)
        if "'without: " in step:
            # The others are used, with the frames still lost.
            again = copy.deepcopy(world)
            new = resumed(again, next_steps(report)[-1], pairs(step))
            assert new.complete and lost not in again_used(again)
        # Once the frames came, the run is resumed to its end.
        if proposed := pairs(step).get("exposures"):
            how = re.compile(r"script_mode|n_.*|exp_times_.*|filter|grating|flat_sets")
            config = accepted(
                {**{k: v for k, v in written.items() if not how.fullmatch(k)}, "exposures": proposed}
            )
            named = {i for series in config.series for i in series.exposures or ()}
            assert named and lost not in named
            again = World()
            again.exposures, again.certified = world.exposures, list(world.certified)
            new = run(
                again, {**{k: v for k, v in written.items() if not how.fullmatch(k)}, "exposures": proposed}
            )
            assert (
                new.complete and outcome(new, "certify BIAS" if "BIAS" in proposed else "certify DARK").good
            )
        world.ingest = IngestReport()
        assert resumed(world, next_steps(report)[-1]).complete
        yield from next_steps(report)


@trial
def after_frames_that_are_not_what_was_asked_for(folder: Path) -> Iterator[str]:
    data = {"script_mode": "BIAS_DARK", "n_dark": 6, "exp_times_dark": 15}
    wrong = 2026112300025
    world = World(headers={"DARK 4/7, 15 s": {"exp_time": 30.0}})
    report = run(world, {**MADE, **data})
    step = step_of(report, "not what was asked for")
    assert pairs(step)["without"] == [wrong]
    new = resumed(world, next_steps(report)[-1], pairs(step))
    assert new.complete and wrong not in again_used(world)
    yield from next_steps(report)
    # Of three frames, too few would be left: they are taken again.
    few = run(World(headers={"DARK 3/4, 15 s": {"exp_time": 30.0}}), {**MADE, **data, "n_dark": 3})
    assert not pairs(step_of(few, "not what was asked for"))
    assert run(World(), {**MADE, **data}).complete
    yield from next_steps(few)


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


# What is known before a run


def changed(written: Mapping[str, Any], remedy: str, facts: Facts | None = None) -> set[tuple[Kind, str]]:
    """Return what is found once one has done as it says."""
    config = accepted({**written, **pairs(remedy)})
    found = make_forecast(config, make_plan(config, LATISS, (facts or Facts()).begin), LATISS, facts)
    return {(each.kind, each.cause) for each in found.findings}


@trial
def a_forecast(folder: Path) -> Iterator[str]:
    ids = [2026112300001 + i for i in range(40)]
    paired = dict.fromkeys(ids, 5.0)
    begin = Facts(begin=datetime.datetime(2026, 11, 23, 14, tzinfo=datetime.UTC))
    dates = {"certify_calib_begin_date": "2026-11-20", "certify_calib_end_date": "2026-11-21"}
    every = {"BIAS": ids[:3], "DARK": ids[3:6], "FLAT": ids[6:8]}
    for written, facts, kind in (
        ({"script_mode": "BIAS", "n_bias": 3}, None, Kind.NOISE),
        ({"script_mode": "DARK", "n_dark": 2, "exp_times_dark": [5, 7]}, None, Kind.NOISE),
        ({"script_mode": "BIAS", **dates}, begin, Kind.VALIDITY),
        ({"exposures": every, "do_ptc": True}, Facts(exp_times={**paired, ids[7]: 6.0}), Kind.PAIRS),
    ):
        data = {**MADE, "pipeline_generation": "2022", **written}
        config = accepted(data)
        plan = make_plan(config, LATISS, facts.begin if facts else None)
        findings = make_forecast(config, plan, LATISS, facts).findings
        finding = next(each for each in findings if each.kind is kind)
        assert pairs(finding.remedy)
        assert (kind, finding.cause) not in changed(data, finding.remedy, facts)
        yield finding.remedy
    # Of frames that exist, as many are named as it says.
    data = {**MADE, "pipeline_generation": "2022", "exposures": {"DARK": ids[:2]}}
    config = accepted(data)
    found = make_forecast(config, make_plan(config, LATISS), LATISS, Facts(exp_times=paired)).findings
    remedy = next(each.remedy for each in found if each.kind is Kind.NOISE)
    for n in map(int, re.findall(r"\b\d+\b", remedy)):
        named = {**data, "exposures": {"DARK": ids[:n]}}
        assert Kind.NOISE not in {each for each, _ in changed(named, "", Facts(exp_times=paired))}
    yield remedy


@trial
def notices_of_a_plan(folder: Path) -> Iterator[str]:
    def notices(data: Mapping[str, Any]) -> tuple[str, ...]:
        config = accepted(data)
        return (*make_plan(config, LATISS).notices, *config.notices)

    for data, word in (
        ({"script_mode": "FLAT", "n_flat": 20, "exp_times_flat": 5}, "ten pairs"),
        ({"script_mode": "FLAT", "n_flat": 4, "exp_times_flat": [3, 3, 3, 3]}, "ten pairs"),
        ({"do_ptc": True, "n_flat": 2, "exp_times_flat": 5}, "one exposure time only"),
        ({"script_mode": "BIAS", "generate_calibrations": True}, "For daily calibrations"),
    ):
        found = [each for each in notices(data) if word in each]
        assert found, data
        for notice in found:
            proposed = pairs(notice)
            if not proposed:
                # It names keys, and a person has the values.
                proposed = {key: MADE.get(key, [5, 5, 9, 9]) for key in keys(notice)[-2:]}
            if "exp_times_flat" in proposed:
                proposed["n_flat"] = None
            assert not [each for each in notices({**data, **proposed}) if word in each]
            yield notice


@trial
def calibrations_that_are_missing(folder: Path) -> Iterator[str]:
    for data, missing in (
        ({"script_mode": "DARK", **MADE}, "bias"),
        ({"script_mode": "FLAT", **MADE}, "dark"),
        ({"script_mode": "BIAS_DARK"}, "bias"),
        ({"script_mode": "FLAT", "n_flat": 2}, "flat"),
        (
            {"do_ptc": True, "exp_times_flat": {"pairs": 3, "exp_time": 5}, **MADE, "do_verify": False},
            "defects",
        ),
        ({"script_mode": "BIAS", **MADE}, "crosstalk"),
    ):
        world = World(unavailable=frozenset({missing}))
        (problem,) = [each for each in refused(world, yaml.safe_dump(data)) if each.startswith(missing)]
        ways = re.split(r", or ", problem.split("Before the run, ")[1])
        # Each way is tried by itself; only another collection is for the
        # keys that it names.
        for way in ways:
            config = {**data, **pairs(way)}
            if found := re.search(r"([A-Z]+) in script_mode", way):
                config["script_mode"] = next(
                    mode
                    for mode in PROPERTIES["script_mode"]["enum"]
                    if {found[1], *data.get("script_mode", mode).split("_")} <= {*mode.split("_")}
                )
            if "name a collection" in way:
                another = keys(way)
                assert another
                virtually(_looked_up(world, data, another))
            elif config != data:
                assert not [each for each in problems_of(world, config) if each.startswith(missing)], way
            yield way
        yield problem


async def _looked_up(world: World, data: Mapping[str, Any], names: list[str]) -> None:
    """See that what is looked up is looked up where the keys say."""
    written = {**data, **dict.fromkeys(names, "u/me/made")}
    with pytest.raises(PreconditionError):
        await world.procedure(yaml.safe_dump(written)).run()
    assert any("u/me/made" in lookup.collections for lookup in world.looked_up)


# Runs that are resumed, remade, decided


@trial
def frames_that_cannot_be_left_out(folder: Path) -> Iterator[str]:
    world = World(exposure_error=("BIAS 5/", CameraError("BIAS 5/7: not taken")))
    run(world, {"script_mode": "BIAS", "n_bias": 6, "journal_dir": str(folder)})
    leave_journal(world, folder)
    taken = sorted(world.exposures)
    result = calibscripts("remake", "run", "--without", taken[1], "--journals", folder)
    (own,) = [each for each in quoted(result.output) if "resume" in each]
    assert own["journal_dir"] == str(folder)
    world.exposure_error = None
    assert "without" in pairs(result.output)
    report = run(world, {**own, "without": [taken[1]]}, resume=True)
    assert report.complete and report.judgements[0].excluded == (taken[1],)
    yield result.output
    # All frames but a few, and those of another run
    leave_journal(world, folder)
    for ids in (sorted(world.exposures)[1:6], [2026112300099]):
        text = yaml.safe_dump({"resume": "run", "without": ids, "journal_dir": str(folder)})
        (folder / "c.yaml").write_text(text)
        result = calibscripts("run", folder / "c.yaml")
        assert result.exit_code == 2
        yield result.output


@trial
def a_run_that_did_not_ask(folder: Path) -> Iterator[str]:
    world = World()
    report = run(world, {**MADE, "script_mode": "BIAS", "do_verify": True, "certify_if": "better"})
    assert outcome(report, "certify BIAS") is Outcome.CERTIFIED
    world = World(residual=7.0)
    run(world, {**MADE, "script_mode": "BIAS", "certify_if": "not_worse"})
    record = leave_journal(world, folder)
    with pytest.raises(DecisionError) as caught:
        Replay(folder, record, Choice(DecisionKind.ACCEPT, "ann", "fine"))
    *_, proposed = quoted(str(caught.value))
    config = accepted({"resume": "run", **proposed}, record.config)
    assert config.certify == "ask"
    # Then a decision is possible once it was resumed
    resumed_record = dataclasses.replace(record, config=config.to_dict())
    Replay(folder, resumed_record, Choice(DecisionKind.ACCEPT, "ann", "fine"))
    yield str(caught.value)


@trial
def a_run_that_has_certified_nothing(folder: Path) -> Iterator[str]:
    # Given a run that was killed when it had certified
    world = World()
    world.on_event = lambda event: world.kill() if event == "certified bias" else None
    procedure = world.procedure(yaml.safe_dump({**MADE, "script_mode": "BIAS"}))
    with pytest.raises(BaseException):  # noqa: B017 - as SIGKILL, it is no Exception
        virtually(procedure.run())
    with pytest.raises(RefusedError, match="resume") as caught:
        choose(read_record(world.journal), ())
    # When it is resumed, its journal says so
    world.on_event, world.killed = None, False
    run(world, {"resume": "run"}, resume=True)
    assert choose(read_record(world.journal), world.proofs)
    yield str(caught.value)


@trial
def nothing_to_collect(folder: Path) -> Iterator[str]:
    for end in ("BIAS 2/4, 0 s", "DARK 2/4, 5 s"):
        world = Later()

        def kill(event: str, world: Later = world, end: str = end) -> None:
            if event == end:
                world.on_event = None
                world.kill()

        world.on_event = kill
        session(world, RELEASED.replace("}", f", journal_dir: {folder}}}"))
        world.killed = False
        leave_journal(world, folder)
        result = calibscripts("finish", "run", "--journals", folder)
        assert result.exit_code == 2
        (own,) = quoted(result.output)
        assert own["journal_dir"] == str(folder)
        report = session(world, yaml.safe_dump(own), resume=True)
        world.end_jobs()
        assert resumed(world, step_of(report, "Collect")).complete
        yield result.output


@trial
def addresses_that_no_journal_keeps(folder: Path) -> Iterator[str]:
    world, _ = released(folder, notify=["slack://token"])
    with pytest.MonkeyPatch.context() as patch:
        finish_in(world, patch)
        result = calibscripts("finish", "run", "--journals", folder)
    (line,) = [line for line in one_line(result.output).split("\n") if "No messages go to" in line]
    (option,) = {*options(line)}
    words = ["calibscripts", "finish", "run", option, "/home/ann/apprise.conf"]
    assert understood(words).params["addresses"] == ("/home/ann/apprise.conf",)
    yield result.output


# Commands


@trial
def options_of_commands(folder: Path) -> Iterator[str]:
    bias, block = folder / "bias.yaml", folder / "block.json"
    bias.write_text("script_mode: BIAS\n")
    script = {
        "name": "maintel/make_latiss_calibrations.py",
        "standard": False,
        "parameters": {"n_bias": "$n"},
    }
    block.write_text(
        json.dumps(
            {
                "name": "BLOCK-1",
                "program": "BLOCK-1",
                "scripts": [script, script],
                "configuration_schema": "type: object\nproperties:\n  n: {type: integer, default: 5}\n",
            }
        )
    )
    cameras = folder / "cameras.json"
    of_each = [
        {"name": f"maintel/make_{name}_calibrations.py", "standard": False, "parameters": {}}
        for name in ("comcam", "lsstcam")
    ]
    cameras.write_text(json.dumps({"name": "BLOCK-2", "program": "BLOCK-2", "scripts": of_each}))
    no_folder = folder / "bias.yaml" / "here"
    # Each row: what is typed, and what a person types who follows the text
    rows: tuple[tuple[tuple[object, ...], tuple[object, ...]], ...] = (
        (("validate", "-", "-"), ("validate", "-")),
        (("validate", bias, "--set", "n=3"), ("validate", bias)),
        (("validate", block, "--set", "n"), ("validate", block, "--set", "n=3")),
        (("validate", block, "--set", "n=3", "--set", "n=4"), ("validate", block, "--set", "n=3")),
        (("validate", block, "--set", "m=3"), ("validate", block, "--set", "n=3")),
        (("run", block), ("plan", block)),
        (("due", "--nights", "2", "--from", "2026-11-20"), ("due", "--nights", "2", "--repo", folder)),
        (
            ("due", "--from", "2026-11-24", "--to", "2026-11-20"),
            ("due", "--from", "2026-11-20", "--to", "2026-11-24", "--repo", folder),
        ),
        (("due", "--collections", ","), ("due", "--collections", "LATISS/calib", "--repo", folder)),
        (("due", "--policy", bias), ("due", "--repo", folder)),
        (
            ("trend", "--journals", folder, "-o", folder / "t.html"),
            ("trend", "--journals", folder, "--repo", folder, "-o", folder / "t.html"),
        ),
        (("desk", "--read-only", "--tokens", bias), ("desk", "--tokens", bias)),
        (("remake", "run"), ("remake", "run", "--without", "2026112300001", "--journals", folder)),
        (
            ("remake", "run", "2026112300001"),
            ("remake", "run", "--without", "2026112300001", "--journals", folder),
        ),
        (
            ("remake", "run", "--without", "1", "--journals", folder, "--workdir", folder),
            ("remake", "run", "--without", "2026112300001"),
        ),
        (
            ("remake", "run", "--without", "2026112300001", "--journals", folder, "--workdir", folder),
            ("remake", "run", "--without", "2026112300001", "--workdir", folder),
        ),
        (
            ("simulate", bias, "--workdir", folder, "--resume", "../x"),
            ("simulate", bias, "--workdir", folder, "--resume"),
        ),
        (
            ("simulate", block, "--workdir", folder, "--resume", "run"),
            ("simulate", block, "--workdir", folder, "--resume", "run", "--script", "0"),
        ),
        (
            ("simulate", block, "--workdir", folder, "--script", "7"),
            ("simulate", block, "--workdir", no_folder, "--script", "1"),
        ),
        (("simulate", bias, "--workdir", no_folder), ("plan", bias)),
        (
            ("simulate", bias, "--workdir", folder / "w", "--fault", "job-fails:x"),
            ("simulate", bias, "--workdir", no_folder, "--fault", "job-fails:2"),
        ),
        (
            ("simulate", bias, "--workdir", folder / "w", "--job-service", "bps", "--fault", "job-fails"),
            ("simulate", bias, "--workdir", no_folder, "--job-service", "bps"),
        ),
        (
            ("simulate", bias, "--workdir", folder / "w", "--job-service", "bps", "--fault", "job-fails"),
            ("simulate", bias, "--workdir", no_folder, "--job-service", "ocps", "--fault", "job-fails"),
        ),
        (("simulate", bias, "--workdir", no_folder, "--job-service", "bps"), ("plan", bias)),
        (
            ("simulate", cameras, "--workdir", folder / "w"),
            ("simulate", cameras, "--workdir", no_folder, "--script", "1"),
        ),
        (("validate", bias, "--instrument", "LATISSS"), ("validate", bias, "--instrument", "LATISS")),
        (
            ("decide", "run", "accept", "--journals", folder),
            ("decide", "run", "accept", "--journals", folder, "--reason", "good"),
        ),
    )
    for wrong, right in rows:
        text = refused_command(*wrong)
        helps(text, *right)
        yield text
    # What is written as an example is accepted
    text = refused_command("due", "--from", "soon")
    (day,) = re.findall(r"\d{4}-\d\d-\d\d", text)
    helps(text, "due", "--from", day, "--repo", folder)
    yield text
    text = refused_command("remake", "run", "--without", "11")
    (exposure,) = re.findall(r"\b\d{13}\b", text)
    helps(text, "remake", "run", "--without", exposure, "--journals", folder)
    yield text
    text = refused_command("validate", block, "--set", "n")
    *_, example = re.findall(r"--set (\w+=\w+)", text)
    helps(text, "validate", block, "--set", example)
    yield text


@trial
def help_of_commands(folder: Path) -> Iterator[str]:
    """Each example of a help is understood; each is a command of a shell."""
    (folder / "flats").mkdir()
    for name, command in main.commands.items():  # type: ignore[attr-defined]
        text = calibscripts(name, "--help").output
        for line in text.splitlines():
            if found := re.search(r"(?:^|\| )\s*(calibscripts .*)", line):
                if found[1].startswith("calibscripts [OPTIONS]"):
                    continue
                words = shlex.split(re.split(r" [|>] ", found[1])[0])
                for option in options(" ".join(words)):
                    assert option in {each for one in command.params for each in one.opts}, line
                if words[1] == name:
                    with contextlib.chdir(folder), contextlib.suppress(SystemExit):
                        understood(words)
                yield found[1]


@trial
def a_policy(folder: Path) -> Iterator[str]:
    for text, right in (
        ("bias: week", None),
        ("ahead:", None),
        ("flat: 0", None),
        ("ignore: ptc", None),
        ("- bias", None),
        ("bias: [", None),
        ("flat: 1", "flat: 2"),
        ("flat: 1 ", "flat: 1\nahead: 0.5"),
        ("7: 7", "bias: 7"),
        ("ignore: [pct]", "ignore: [ptc]"),
        ("ignore: [bias, dark, flat, defects, ptc]", "ignore: [bias, dark, flat, defects]"),
        ("#" * 20_000, "bias: 3"),
    ):
        with pytest.raises(PolicyError) as caught:
            read_policy(text)
        said = str(caught.value)
        if right is None:
            (right,) = re.findall(r"(?:write[\w, ]*?(?:such as|for example),? )'?(\w+: [^';]*)'?", said)
        read_policy(right)
        yield said


@trial
def a_block(folder: Path) -> Iterator[str]:
    for text, message in mistakes_of_blocks():
        said = str(problems_of_block(text))
        assert message in said
        # What it writes in JSON is JSON, and what it shows of a BLOCK is one.
        for found in re.findall(r'write ("\w+": (?:"[^"]*"|\[\]|\{\}|\w+))(?=$|[,;\n])', said):
            json.loads(f"{{{found}}}")
        yield said


@trial
def variables_of_a_block(folder: Path) -> Iterator[str]:
    schema = "type: object\nproperties:\n  n_bias: {type: integer, default: 5}\n"
    for reason in ("$n_bais", "$filter_name", "$other", "5$", "fine"):
        for program in ("$program", "BLOCK-2"):
            parameters = {"script_mode": "BIAS", "reason": reason, "program": program}
            file = folder / "block.json"

            def write(parameters: dict[str, str], schema: str, file: Path = file) -> None:
                name = "maintel/make_latiss_calibrations.py"
                scripts = [{"name": name, "standard": False, "parameters": parameters}]
                content = {"name": "B", "program": "B", "scripts": scripts, "configuration_schema": schema}
                file.write_text(json.dumps(content))

            write(parameters, schema)
            result = calibscripts("validate", file)
            said = one_line(result.output)
            if found := re.search(r"give --set (\w+)=VALUE", said):
                assert calibscripts("validate", file, "--set", f"{found[1]}=x").exit_code == 0
            if found := re.search(r"write (\w+) and its default into configuration_schema", said):
                write(parameters, f"{schema}  {found[1]}: {{type: string, default: a}}\n")
                assert calibscripts("validate", file).exit_code == 0
            if found := re.search(r'write (?:a name [^"$]*)?"?(\$\w+)"?', said):
                key = "program" if found[1] == "$program" else "reason"
                write({**parameters, "reason": "x", key: found[1]}, schema)
                again = calibscripts("validate", file)
                assert (again.exit_code == 0 and found[0] not in one_line(again.output)) or key == "reason"
            yield said
    write({"script_mode": "BIAS", "n_bias": "$n"}, "")
    said = one_line(calibscripts("validate", file, "--set", "n=3").output)
    (name,) = re.findall(r"write one whose properties have (\w+)", said)
    write(
        {"script_mode": "BIAS", "n_bias": "$n"}, f"type: object\nproperties:\n  {name}: {{type: integer}}\n"
    )
    assert "write one" not in one_line(calibscripts("validate", file, "--set", "n=3").output)
    yield said
    write(
        {"script_mode": "BIAS", "n_bias": "$n"},
        "type: object\nproperties:\n  n: {type: integer, default: 10}\n",
    )
    said = one_line(calibscripts("validate", file, "--set", "n=010").output)
    (setting,) = re.findall(r"give for example --set (\S+)", said)
    assert calibscripts("validate", file, "--set", setting).exit_code == 0
    yield said


@trial
def tokens_of_the_desk(folder: Path) -> Iterator[str]:
    file = folder / "tokens"
    good = "ann: 0123456789abcdef\n"
    for text, mode in ((good, 0o644), ("ann 0123456789abcdef", 0o600), ("", 0o600)):
        file.write_text(text)
        file.chmod(mode)
        with pytest.raises(TokenFileError) as caught:
            read_tokens(file)
        said = str(caught.value)
        if found := re.search(r"write '(chmod [^']*)'", said):
            subprocess.run(shlex.split(found[1]), check=True)
        else:
            (form,) = re.findall(r"NAME: TOKEN", said)
            file.write_text(form.replace("NAME", "ann").replace("TOKEN", "0123456789abcdef"))
        assert read_tokens(file) == {"0123456789abcdef": "ann"}
        yield said


@trial
def statistics_that_are_not_those(folder: Path) -> Iterator[str]:
    exposure, detector = {"RXX_S00": {"SUCCESS": True}, "SUCCESS": True}, {"AMP": {"C00": {"NOISE": True}}}
    for statistics in (exposure, detector):
        with pytest.raises(StatisticsError) as caught:
            judge(statistics, BIAS, n_detectors=1)
        # The dataset that it names is that which a run's verdict is read from
        (name,) = re.findall(r"give the dataset (\w+)", str(caught.value))
        assert name == dataset_name(BIAS, FailureLevel.RUN)
        yield str(caught.value)


@trial
def json_of_several_runs(folder: Path) -> Iterator[str]:
    run_json = json.loads(write_document(RunDocument(RunReport(RunState.DONE, run_id="run"))))
    file, page = folder / "runs.json", folder / "run.html"
    file.write_text(
        json.dumps({"runs": [{"source": "a", "run": run_json}, {"source": "b", "run": run_json}]})
    )
    said = refused_command("report", file, "-o", page)
    (picked, command) = re.search(r"jq '([^']*)' FILE \| (calibscripts [^.\n]*)", one_line(said)).groups()  # type: ignore[union-attr]
    data = json.loads(file.read_text())
    for key, number in re.findall(r"\.(\w+)(?:\[(\d+)\])?", picked):
        data = data[key][int(number)] if number else data[key]
    words = [str(page) if word == "PAGE" else word for word in shlex.split(command)]
    result = calibscripts(*words[1:], given=json.dumps(data))
    assert result.exit_code == 0 and page.exists(), result.output
    yield said


# What the procedure, its parts and its surroundings say


@trial
def flats_and_their_light(folder: Path) -> Iterator[str]:
    for counts, exp_times in ((900.0, ()), (200.0, (1.0, 5.0, 9.0)), (90_000.0, ()), (51.0, ()), (3e6, ())):
        level = LightLevel("FLAT", 1, 5.0, counts, (1e4, 4e4), exp_times=exp_times)
        assert not level.acceptable or not level.usable
        if found := re.search(r"An exposure time of ([\d.]+) s", level.text):
            exp_time = float(found[1])
            accepted({"script_mode": "FLAT", "exp_times_flat": exp_time})
            assert LightLevel("FLAT", 1, exp_time, counts * exp_time / 5.0, (1e4, 4e4)).usable
        yield level.text


@trial
def wheels_and_filters(folder: Path) -> Iterator[str]:
    names = {"filter": ["empty_1", "SDSSr_65mm"], "grating": ["empty_1", "ronchi90lpmm"]}

    def said(data: Mapping[str, Any]) -> list[str]:
        config = accepted({"script_mode": "FLAT", **data})
        return [each for one in config.series for each in unknown_settings(one, LATISS, names)]

    for wheel in names:
        (problem,) = said({wheel: "nowhere"})
        known = re.findall(r"(\w+) \(slot (\d)\)", problem)
        assert len(known) == 2
        for name, slot in known:
            assert not said({wheel: name}) and not said({wheel: int(slot)})
        yield problem
    # Flats of several filters
    world = World()
    run(world, {"script_mode": "FLAT", "n_flat": 3, "flat_sets": [{"filter": "a"}, {"filter": "b"}]})
    ids = sorted(world.exposures)
    (problem,) = problems_of(world, {"exposures": {"FLAT": ids}})
    filters = {i: world.exposures[i][1].physical_filter for i in ids}
    named = [name for name in set(filters.values()) if name in problem]
    assert len(named) == 2
    for name in named:
        assert not problems_of(world, {"exposures": {"FLAT": [i for i in ids if filters[i] == name]}})
    yield problem
    sets = [{"filter": name, "grating": grating} for name, grating in (("a", "x"), ("b", "y"), ("a", "y"))]
    data = {"script_mode": "FLAT", "flat_sets": sets}
    (notice,) = [each for each in make_plan(accepted(data), LATISS).notices if "keep_order" in each]
    config = accepted({**data, **pairs(notice)})
    assert in_order(config) == config.series
    yield notice


@trial
def spoilt_frames_that_are_used(folder: Path) -> Iterator[str]:
    world = World(spoilt=SPOILT)
    text = summary_text(run(world, CHAIN % "report"))
    proposed, *_ = [each for each in quoted(text) if "spoilt_frames" in each]
    data = {**yaml.safe_load(CHAIN % "report"), **proposed}
    report = run(World(spoilt=SPOILT), data)
    assert all(judgement.excluded == judgement.spoilt for judgement in report.judgements)
    yield text
    # Of a run that has frames to take, they are left out as it is resumed.
    world = World(spoilt=SPOILT, exposure_error=("DARK 7/", CameraError("DARK 7/7: not taken")))
    report = run(world, CHAIN % "report")
    steps = [each for each in next_steps(report) if "spoilt" in each]
    how = next_steps(report)[-1]
    world.exposure_error = None
    for step in steps:
        proposed = pairs(step)
        assert resumed(world, how, proposed).judgements[0].excluded == tuple(proposed["without"])
        yield step


@trial
def a_run_without_a_journal(folder: Path) -> Iterator[str]:
    world = World(failing_types=frozenset({"BIAS"}))
    report = dataclasses.replace(run(world, {"script_mode": "BIAS"}), journal="")
    step = step_of(report, "no journal")
    (key,) = re.findall(r"'(\w+)'", step)
    kept = [i for i in report.exposures[ImageType.BIAS] if i not in report.discarded[ImageType.BIAS]]
    world.failing_types = frozenset()
    assert run(world, {key: {"BIAS": kept}}).complete
    yield step


@trial
def what_is_not_installed(folder: Path) -> Iterator[str]:
    """What is to be installed is an extra of this distribution."""
    with (ROOT.parents[3] / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    texts = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lsst.ts.calibrationscripts.cli._installation.is_installed", lambda module: False)
        texts.append(calibscripts("simulate").output)
        check = check_simulation()
        texts.append(f"{check.message}. {check.remedy}")
        patch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ConfigurationError) as caught:
            check_addresses(["/etc/apprise.conf"])
        texts.append(str(caught.value))
        accepted({})
        patch.setitem(sys.modules, "lsst.ts.calibrationscripts.desk", None)
        texts.append(calibscripts("desk").output)
    for text in texts:
        (extra,) = re.findall(r"(?:install |install ')ts-calibrationscripts\[(\w+)\]", one_line(text))
        assert extra in extras
        yield text
    assert check_simulation().remedy == ""
    yield check_simulation().message
    # Whatever else that is wanted of an environment
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALIBSCRIPTS_SAL", "dds")
        with pytest.raises(ValueError) as unknown:
            sal.provider()
        for text in (check_sal({"CALIBSCRIPTS_SAL": "dds"}).remedy, str(unknown.value)):
            for word in re.findall(r"\b(salobj|local)\b", text):
                patch.setenv("CALIBSCRIPTS_SAL", word)
                assert sal.provider().value == word
            yield text


@trial
def folders_of_journals(folder: Path) -> Iterator[str]:
    """Another folder is taken, and is written."""
    file = folder / "file"
    file.write_text("")
    (problem,) = FileJournal(file / "below", "run").check()
    (key,) = keys(problem)
    config = accepted({key: str(folder / "another")})
    assert FileJournal(Path(config.journal_dir or ""), "run").check() == ()
    yield problem


@trial
def statistics_of_files(folder: Path) -> Iterator[str]:
    run_file = folder / "stats.yaml"
    failing = {"FAILURES": ["RXX_S00 C00 NOISE"]}
    for text, right in (
        ("2026112500061: &a {SUCCESS: true}\n2026112500062: {<<: *a}\n", None),
        ("2026112500061: !!python/object:os.system {}\n", None),
        ("16: {SUCCESS: true}\n0x10: {SUCCESS: true}\n", None),
        ("2026112500061: {SUCCESS: true}\n'2026112500061': {SUCCESS: true}\n", None),
        ("{2026112500061: {FAILURES: [RXX_S00 C00 NOISE]}, SUCCESS: true}\n", None),
    ):
        run_file.write_text(text)
        result = calibscripts("verdict", run_file, "--type", "BIAS")
        assert result.exit_code == 2, result.output
        run_file.write_text(right or json.dumps({"2026112500061": failing, "SUCCESS": False}))
        helps(result.output, "verdict", run_file, "--type", "BIAS")
        yield result.output
    # What fails without a list asks for another file, named as it says.
    run_file.write_text(yaml.safe_dump(run_level(FLATS)))
    result = calibscripts("verdict", run_file, "--type", "FLAT")
    (option,) = options(result.stderr)
    yield result.stderr
    (folder / "x.yaml").write_text(yaml.safe_dump(FLATS[FIRST]))
    refused = calibscripts("verdict", run_file, "--type", "FLAT", option, folder / "x.yaml")
    (name,) = re.findall(r"such as (\d{13})\.yaml", refused.output)
    assert len(name) == len(str(FIRST))
    (folder / "given").mkdir()
    for exposure, statistics in FLATS.items():
        (folder / "given" / f"{exposure}.yaml").write_text(yaml.safe_dump(statistics))
    again = calibscripts("verdict", run_file, "--type", "FLAT", option, folder / "given")
    assert (again.exit_code, again.stderr) == (0, ""), again.output
    yield refused.output
    (folder / "given" / f"{FIRST}.yaml").write_text(
        yaml.safe_dump({"RXX_S00": {"SUCCESS": True}, "SUCCESS": True})
    )
    yield calibscripts("verdict", run_file, "--type", "FLAT", option, folder / "given").output


@trial
def the_port_of_the_desk(folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        result = calibscripts("desk", "--read-only", "--port", busy.getsockname()[1], "--journals", folder)
    (any_port,) = re.findall(r"(\d+) for any", result.output)
    understood(["calibscripts", "desk", "--port", any_port])
    yield result.output


@trial
def work_folders(folder: Path) -> Iterator[str]:
    """Another work folder, or the other value, is what is asked for."""
    kind = RepositoryKind("LATISS", 16, 1, "current")
    camera = dataclasses.replace(LATISS, name="Other")
    for instrument, settings in (
        (camera, SimulationSettings(generation="current")),
        (LATISS, SimulationSettings(generation="2022")),
        (LATISS, SimulationSettings(generation="current", scale=8)),
    ):
        observatory = SimulatedObservatory(folder, instrument=instrument, settings=settings)
        with pytest.raises(WorkFolderError) as caught:
            observatory._check(kind)
        text = str(caught.value)
        for option in options(text):
            assert understood(["calibscripts", "simulate", option, str(folder / "another")]).params["workdir"]
        if generation := pairs(text.rpartition(" or ")[2]).get("pipeline_generation"):
            another = SimulationSettings(generation=str(generation))
            SimulatedObservatory(folder, instrument=LATISS, settings=another)._check(kind)
        elif "Leave it out" in text:
            SimulatedObservatory(folder, instrument=LATISS)._check(kind)
        yield text


@trial
def a_repository(folder: Path) -> Iterator[str]:
    """Look into a real one: what stands in the way, and what goes round it."""
    from lsst.daf.butler import Butler, CollectionType
    from lsst.daf.butler.cli.butler import cli as butler_command

    repo = folder / "repo"
    create_repository(repo, LATISS, scale=16)
    repository = ButlerRepository(str(repo), LATISS, (0,))
    daily, source = "LATISS/calib/daily/1", "u/ocps/1"
    with Butler.from_config(str(repo), writeable=True) as butler:
        butler.collections.register(source)
        data_id = {"instrument": "LATISS", "detector": 0}
        refs = butler.registry.insertDatasets(butler.get_dataset_type("bias"), [data_id], run=source)
        butler.collections.register("LATISS/taken", CollectionType.TAGGED)
    made = Certification(
        "bias", source, daily, MADE["certify_calib_begin_date"], MADE["certify_calib_end_date"]
    )
    proven = proof(BIAS, made, str(refs[0].id))

    def problems(**changes: str) -> tuple[str, ...]:
        wanted = dataclasses.replace(made, source="u/ocps/2", **changes)
        return asyncio.run(repository.check((), [wanted]))

    # The command that certifies later does it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lsst.daf.butler._registry_shim.RegistryShim.certify", _disk_full)
        with pytest.raises(ObservatoryError) as caught:
            asyncio.run(repository.certify(proven))
    (command,) = re.findall(r"(butler certify.*)$", str(caught.value).rstrip("."))
    result = CliRunner().invoke(butler_command, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output
    assert asyncio.run(repository.is_certified(proven))
    yield str(caught.value)
    # What is certified is in the way of what is to be certified again.
    (taken,) = problems()
    names = keys(taken.partition("Write ")[2])
    assert {*names} == {"calib_collection", "certify_calib_begin_date", "certify_calib_end_date"}
    assert not problems(collection="LATISS/calib/daily/2")
    assert not problems(begin_date="2026-11-24T12:00:00", end_date="2026-11-25T12:00:00")
    yield taken
    (wrong,) = problems(collection="LATISS/taken")
    assert not problems(collection="LATISS/another")
    yield wrong
    # due names what there is
    for option, value in (("--collections", "LATISS/calib/nothing"), ("--where", "nonsense = 3")):
        text = refused_command("due", "--repo", repo, "--nights", 3, option, value)
        if option == "--collections":
            (known,) = re.findall(r"It has, for LATISS: (.*)", one_line(text))
            helps(text, "due", "--repo", repo, "--nights", 3, option, known.split(", ")[0])
        yield text
    text = refused_command("due", "--repo", repo, "--nights", 3)
    yield text


def _disk_full(*args: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


OF_PIPETASK = frozenset(
    {
        *("--fail-fast", "--no-versions", "--raise-on-partial-outputs", "--enable-implicit-threading"),
        *("--timeout", "--config-file", "--butler-config", "--data-query", "--input", "--processes"),
        *("--output", "--output-run", "--pipeline", "--begin-date", "--end-date"),
    }
)

# What is not tried here

ELSEWHERE: dict[str, tuple[str, ...]] = {
    "test_doctor.py breaks an installation in which nothing is wrong, one thing at a time": (
        "pip install {}",
        "Set up {} of generation",
        "To check options, dataset types",
        "Set them, or name a folder",
        "Write one of those in its place",
        "Write a field that it has",
        "{}. Write one of those in its place",
        "{}Set {} to a file",
        "Write another repo, or see",
        "Write a path as repo",
        "Write others as input_collections_*",
        "Register the instrument with",
        "Have the OODS ingest a frame",
        "Write another name as calib_collection",
        "A dataset type cannot be changed",
        "See why its disk hangs",
        "Set up the observatory's SAL environment",
        "Set it to that of the components",
        "{}: only 'calibscripts simulate' can run here",
        "CALIBSCRIPTS_SAL=local: no component",
        "Write another journal_dir, or have",
        "Give no options for it.",
    ),
    "test_repository.py has other programs write at the same time": (
        "Other programs write into the repository",
        "Calibrations were certified for these dates meanwhile",
    ),
    "test_decertification.py and test_decertifying.py give the command again": (
        "Then give the command again",
        "It is undone but not noted",
    ),
    "test_deciding.py accepts again what could not be completed": (
        "{}: {} was {}, and may be certified.",
        "{} It does not say how this ended",
    ),
    "test_cli.py opens what was certified by it": ("Open the certified {}",),
    "test_notifying.py has addresses of each kind": ("write an address that apprise knows",),
    "test_plan.py raises it, and takes fewer": ("{} may take {} (h:mm)",),
    "test_trend_index.py gives it": ("{} runs of other cameras are left out",),
    "test_verdict_command.py writes them so": (
        "--detectors {}: {}",
        "write ids and ranges of them",
        "{}: has failures of {}, which --detectors leaves out",
    ),
    "test_procedure.py and the runs of simulation/live resume it": (
        "This takes no frames and runs no jobs",
        "the OCPS is not reached without --ocps",
    ),
}
"""Beginnings of texts, by what tries them."""

NOTHING_TO_TRY: dict[str, tuple[str, ...]] = {
    "it proposes nothing": (
        "To resume it:",
        "--json {}: cannot be written",
        "bps_config: {} is not checked",
        "Nothing was changed (--dry-run)",
        "--with {}: not left out",
        "--resume: no run has left a journal",
        "flat_counts: up to {} trial flats",
        "resume: the configuration of run",
        "{} other results, {}",
        "  and {} more marks",
        "index 0 is for --schema only",
        "{} (certify_if: {})",
        "flat_sets: two sets are of the same",
        "Everything that was asked for was made",
        "a job cannot write its files",
        "another process tries to resume",
        "This leaves some 480 topics",
    ),
    "it is for hands, or for another day": (
        "The repository did not answer within",
        "{}{} could not be reached within",
        "allow this user to write there",
        "{}. Leave --ocps out",
        "{} could not be reached within {} s. Leave",
        "{} Or leave --ocps out.",
        "LSST_TOPIC_SUBNAME={}",
        "{} is used by {}. Wait",
        "{} is not a finished simulated repository",
        "{} was made by another version",
        "SUCCESS of the run is true",
        "an exposure is given twice",
        "read the dataset again",
    ),
    "it names a whole that is to be given, in words": (
        "give one BLOCK",
        "Write a FILE to check",
        "git show HEAD:daily.yaml",
        "calibscripts COMMAND -h",
        "{} has only detector {}",
        "write a plain number, text or list",
        "notify: the addresses of an earlier run",
        "release: the script ends once all jobs",
        "Both {} id {} and name {} given",
        "{} is not installed here (no module",
        "lsst.ts.salobj is not installed here",
        "Statistics and images are not in the run's JSON",
        "{}give --collections {}",
    ),
    "only a Butler that others change within a run shows it": ("Do not certify it by hand",),
}
"""Beginnings of texts that a test cannot do as they say, by why."""


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


def config_remedies() -> Iterator[str]:
    """Yield what test_remedies.py tries."""
    for _, problem, _ in CASES:
        yield from (one_line(problem.remedy), one_line(problem.what))
    for text in FOLLOWED:
        for problem in with_earlier(text):
            yield from (one_line(problem.remedy), one_line(problem.what))


REGISTERED = [*itertools.chain(*ELSEWHERE.values(), *NOTHING_TO_TRY.values())]


def is_registered(template: Template) -> bool:
    return any(template.text.startswith(text) for text in REGISTERED)


def test_the_registers_have_nothing_that_nobody_says() -> None:
    said = [each.text for each in templates()]
    assert [one for one in REGISTERED if not any(text.startswith(one) for text in said)] == []
    assert len(REGISTERED) == len({*REGISTERED})
    # Nor what is tried after all
    tried = [*dict.fromkeys(config_remedies())]
    registered = [each for each in templates() if is_registered(each)]
    assert [each.text for each in registered if any(each.pattern.search(text) for text in tried)] == []


def test_every_option_command_and_key_that_a_text_names_exists() -> None:
    commands_of = main.commands  # type: ignore[attr-defined]
    known = {
        name
        for command in commands_of.values()
        for each in command.params
        for name in (*each.opts, *each.secondary_opts)
    }
    # Of the scripts, of pipetask and of the Butler, and of any command
    known |= {"--name"}  # of scancel, which what_runs_jobs_of_bps tries
    known |= {"--schema", "--version", "--help", "--mode", "--register-dataset-types", "--config"}
    wrong = []
    for each in templates():
        wrong += [
            f"{each.place}: {one} in: {each.text}"
            for one in options(each.text)
            if one not in known | OF_PIPETASK
        ]
        for name in re.findall(r"(?:^|')calibscripts ([a-z]+)", each.text):
            if name not in commands_of:
                wrong.append(f"{each.place}: calibscripts {name}")
        for key in re.findall(r"'([a-z]+_[a-z_]+)(?:: [^']*)?'", each.text):
            if (
                key not in PROPERTIES
                and not key.startswith("input_collections")
                and key not in ("configuration_schema",)
            ):
                wrong.append(f"{each.place}: the key {key} in: {each.text}")
    assert wrong == []


def test_every_text_that_proposes_something_is_tried(tried: Callable[[str], tuple[str, ...]]) -> None:
    texts = [*config_remedies()]
    for name in TRIALS:
        texts += tried(name)
    all_of_them = "\n".join(dict.fromkeys(texts))
    new = [
        f"{each.place}: {each.text}"
        for each in templates()
        if not is_registered(each) and not each.pattern.search(all_of_them)
    ]
    assert not new, "\n".join(new)
