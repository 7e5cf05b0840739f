# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trials of what is proposed for bad detectors, other cameras, what is around
them, and batch systems; see test_run_remedies.py."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from lsst.ts.calibrationscripts.bps.jobs import BpsJobs
from lsst.ts.calibrationscripts.bps.site import SiteError, read_site
from lsst.ts.calibrationscripts.bps.submission import make_submission
from lsst.ts.calibrationscripts.butler._certifying import advice_by_hand
from lsst.ts.calibrationscripts.cli._results import parse_to_run
from lsst.ts.calibrationscripts.config import ConfigurationError, parse
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS, LATISS, LSSTCAM
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.plan import JobRequest
from lsst.ts.calibrationscripts.ports import ObservatoryError
from lsst.ts.calibrationscripts.preconditions import Reading
from lsst.ts.calibrationscripts.report import RunReport, next_steps
from lsst.ts.calibrationscripts.simulation.faults import parse_fault
from lsst.ts.calibrationscripts.simulation.repository import WorkFolderError
from lsst.ts.calibrationscripts.wheels import settings_to_change
from remedies import ROOT, accepted, commands, keys, one_line, options, pairs, quoted, understood
from test_incomplete import ALL, BAD, HOLD, KINDS, OTHERS, PROOF, REST, comcam, result
from test_preconditions import FLATS, LAMP, OFF, TEMPERATURE, TWO_SETS
from test_remedies import BATCH
from trying import (
    calibscripts,
    leave_journal,
    outcome,
    refused,
    resumed,
    run,
    step_of,
    trial,
)
from world import World

# Bad detectors


def rest_is_certified(world: World, report: RunReport) -> bool:
    return outcome(report, "certify DARK") is Outcome.CERTIFIED and {
        proof.detectors for proof in world.proofs
    } == {OTHERS}


@trial
def bad_detectors_of_a_run(folder: Path) -> Iterator[str]:
    for name, (faults, where, *_) in KINDS.items():
        # Given a run that is held, some with a folder of journals of its own
        world = comcam(**faults)
        data = yaml.safe_load(HOLD) | ({"journal_dir": str(folder)} if name == "noisy" else {})
        report = run(world, data)
        step, why = step_of(report, "To go on with the others"), result(report, where).reason
        assert quoted(why) == [{"incomplete": "certify_rest"}]
        # When it is resumed as it says, then none of their jobs is run again
        # but one that has made nothing of any
        (own,) = quoted(step)
        assert own.get("journal_dir") == data.get("journal_dir")
        requests = set(world.requests)
        assert rest_is_certified(world, resumed(world, step))
        again = {job for job in world.requests if "-" in job}
        assert requests <= set(world.requests) and (not again or "blocked" in name)
        yield from (step, why)


@trial
def bad_detectors_of_a_simulated_run(folder: Path) -> Iterator[str]:
    command = f"calibscripts simulate --workdir {folder} --resume run"
    report = dataclasses.replace(run(comcam(noisy={"BIAS": {BAD}}), HOLD), resume_command=command)
    step = step_of(report, "To go on with the others")
    (words,) = commands(step)
    assert understood([*words, "changes.yaml"]).params["resume"] == "run"
    world = comcam(noisy={"BIAS": {BAD}})
    run(world, HOLD)
    (changes,) = quoted(step)
    assert rest_is_certified(world, run(world, {"resume": "run", **changes}, resume=True))
    yield step


@trial
def bad_detectors_that_are_left_out_of_a_new_run(folder: Path) -> Iterator[str]:
    data = {**yaml.safe_load(HOLD), "detectors": [*ALL]}
    step = step_of(run(comcam(noisy={"BIAS": {BAD}}), data), "leave the bad ones out")
    assert pairs(step)["detectors"] == [*OTHERS]
    world = comcam(noisy={"BIAS": {BAD}})
    report = run(world, {**data, "detectors": pairs(step)["detectors"]})
    assert report.complete and rest_is_certified(world, report)
    yield step


@trial
def bad_detectors_that_were_left_out(folder: Path) -> Iterator[str]:
    world = comcam(noisy={"BIAS": {BAD}})
    report = run(world, REST)
    (step,) = next_steps(report)
    # When the cause is fixed, a run in which 'incomplete' is replaced makes
    # what is missing of the same frames.
    again = comcam()
    again.exposures = world.exposures
    kept = {
        str(each): [i for i in ids if i not in report.discarded.get(each, ())]
        for each, ids in report.exposures.items()
    }
    data = {"exposures": kept, "generate_calibrations": True, **quoted(step)[0]}
    assert "in place of 'incomplete'" in step and run(again, data).complete
    assert {proof.detectors for proof in again.proofs} == {(BAD,)}
    yield step


@trial
def a_bad_detector_without_a_calibration(folder: Path) -> Iterator[str]:
    data = {"script_mode": "DARK", "generate_calibrations": True, "n_dark": 3, "exp_times_dark": 15}
    world = comcam(unavailable=frozenset({"bias"}))
    (problem,) = refused(world, yaml.safe_dump(data))
    proposed = pairs(problem.partition("or write ")[2])
    assert proposed == {"incomplete": "certify_rest"}
    assert outcome(run(world, {**data, **proposed}), "certify DARK") is Outcome.CERTIFIED
    yield problem


@trial
def what_could_not_be_certified_of_the_rest(folder: Path) -> Iterator[str]:
    world = comcam(noisy={"BIAS": {BAD}}, certify_error=ObservatoryError(advice_by_hand("/repo", [PROOF])))
    report = run(world, REST)
    why = result(report, "certify BIAS").reason
    assert "resume the run" in why and not world.proofs
    world.certify_error = None
    assert rest_is_certified(world, resumed(world, next_steps(report)[-1]))
    yield why


# Other cameras


@trial
def flats_of_several_filters_that_a_run_does_not_change(folder: Path) -> Iterator[str]:
    sets = [{"filter": "r_57"}, {"filter": "i_39"}]
    with pytest.raises(ConfigurationError) as caught:
        parse(yaml.safe_dump({"script_mode": "FLAT", "flat_sets": sets}), LSSTCAM)
    (problem,) = caught.value.problems
    configs = [parse(yaml.safe_dump({"script_mode": "FLAT", **one}), LSSTCAM) for one in sets]
    names, in_beam = {"filter": ["r_57", "i_39"]}, {"filter": "r_57"}
    found = [list(settings_to_change(each.series[-1], LSSTCAM, names, in_beam)) for each in configs]
    # The filter of the first is in place, that of the second is changed first
    assert found[0] == [] and len(found[1]) == 1
    (text,) = found[1]
    assert not list(settings_to_change(configs[1].series[-1], LSSTCAM, names, {"filter": "i_39"}))
    # or it is left out.
    (left_out,) = re.findall(r"leave (\w+) out", text)
    assert left_out == "filter"
    series = parse("script_mode: FLAT", LSSTCAM).series[-1]
    assert not list(settings_to_change(series, LSSTCAM, names, in_beam))
    yield from (problem.remedy, text)


@trial
def a_run_of_another_camera(folder: Path) -> Iterator[str]:
    world = comcam()
    run(world, REST)
    leave_journal(world, folder, instrument="LSSTComCam")
    file = folder / "resume.yaml"
    file.write_text(yaml.safe_dump({"resume": "run", "journal_dir": str(folder)}))
    text = one_line(calibscripts("run", file).output)
    (script, option, name) = re.search(r"resume it with (\S+), or (--\w+) (\w+)", text).groups()  # type: ignore[union-attr]
    assert script in INSTRUMENTS[name].scripts
    camera = understood(["calibscripts", "run", str(file), option, name]).params["instrument"]
    assert parse_to_run(file.read_text(), camera).resume == "run"
    yield text


# What is around the camera


@trial
def what_is_not_as_frames_need_it(folder: Path) -> Iterator[str]:
    data = yaml.safe_load(FLATS % "")
    around = {LAMP: Reading(OFF), TEMPERATURE: Reading(31.0)}
    *_, way = refused(World(around=around), yaml.safe_dump(data))
    proposed = pairs(way)
    assert proposed.keys() == {"preconditions", "ignore"}
    for key, value in proposed.items():
        assert run(World(around=around), {**data, key: value}).complete
    # To look at the others alone: what is wrong with one of them is found
    *_, way = refused(World(around={LAMP: Reading(OFF)}), yaml.safe_dump(data))
    found = refused(World(around=around), yaml.safe_dump({**data, "ignore": pairs(way)["ignore"]}))
    assert TEMPERATURE in found[0] and not [each for each in found if LAMP in each]
    yield way


@trial
def a_lamp_that_dies_within_a_run(folder: Path) -> Iterator[str]:
    world = World()

    def dies(event: str) -> None:
        if event.startswith("FLAT a") and " 3/3" in event:
            world.around[LAMP] = Reading(OFF)

    world.on_event = dies
    report = run(world, TWO_SETS % "")
    step = step_of(report, "do what is said of it above")
    proposed, how = quoted(step), next_steps(report)[-1]
    # With the lamp as it is, it takes the frames only as it says.
    assert LAMP in refused(world, "resume: run", resume=True)[0]
    assert resumed(world, how, proposed[0]).complete
    yield from (step, how)


@trial
def a_fault_that_a_camera_has_nothing_of(folder: Path) -> Iterator[str]:
    camera = SimpleNamespace(intercept=lambda step, strike: None)
    bare = SimpleNamespace(camera=camera, time_scale=1.0, surroundings=object(), instrument=LSSTCAM)
    with pytest.raises(WorkFolderError) as caught:
        parse_fault("lamp-off").attach(bare)  # type: ignore[arg-type]
    text = str(caught.value)
    assert options(text) == ["--fault"] and text.endswith("Leave it out.")
    understood(["calibscripts", "simulate", "--workdir", str(folder), "--instrument", LSSTCAM.name])
    yield text


# Batch systems


def site_file(folder: Path, kind: str) -> Path:
    path = folder / "site.yaml"
    site = {"here": {"class": f"lsst.ctrl.bps.parsl.sites.{kind}", "cores": 1}}
    service = "lsst.ctrl.bps.parsl.ParslService"
    path.write_text(yaml.safe_dump({"wmsServiceClass": service, "computeSite": "here", "site": site}))
    return path


@trial
def a_file_of_settings_of_bps(folder: Path) -> Iterator[str]:
    path = folder / "site.yaml"

    def said() -> str:
        with pytest.raises(SiteError) as caught:
            read_site(path)
        return str(caught.value)

    yield said()
    for text in ("- a", "computeSite: here"):
        path.write_text(text)
        yield (problem := said())
        # What it writes is the service, whose place is asked for next,
        (proposed,) = re.findall(r"wmsServiceClass: \S+", problem)
        path.write_text(proposed)
        yield (where := said())
        assert where != problem
    # by the names that it has to be written with.
    names = re.findall(r"\b(?:computeSite|site|class)\b", where.partition("write ")[2])
    assert names == ["computeSite", "site", "class"]
    compute, site, kind = names
    path.write_text(
        f"{proposed}\n{compute}: here\n{site}: {{here: {{{kind}: lsst.ctrl.bps.parsl.sites.Local}}}}"
    )
    assert read_site(path).is_parsl


@trial
def what_runs_jobs_of_bps(folder: Path) -> Iterator[str]:
    programs = folder / "bin"
    programs.mkdir()
    site = read_site(site_file(folder, "Slurm"))

    async def answers(*words: str) -> tuple[int, str]:
        return 0, ""

    def jobs(journals: Path) -> BpsJobs:
        found = BpsJobs(
            site,
            repo="/repo/LATISS",
            raws="LATISS/raw/all",
            journals=journals,
            run_id="run",
            job_timeout=60.0,
            environment={"PATH": str(programs)},
        )
        patch.setattr(found, "_ask", answers)
        return found

    with pytest.MonkeyPatch.context() as patch:
        # Given nothing at all, what it names is set up, or is an extra
        with pytest.MonkeyPatch.context() as nothing:
            nothing.setattr("shutil.which", lambda name, path=None: None)
            (absent,) = asyncio.run(jobs(folder).check())
        for name in re.search(r"needs (.*), which", absent)[1].split(", "):  # type: ignore[index]
            (programs / name).touch(0o755)
        assert asyncio.run(jobs(folder).check()) == ()
        with (ROOT.parents[3] / "pyproject.toml").open("rb") as file:
            extras = tomllib.load(file)["project"]["optional-dependencies"]
        (extra,) = re.findall(r"install ts-calibrationscripts\[(\w+)\]", absent)
        assert extra in extras
        yield absent
        # A folder of journals that cannot be made
        (folder / "file").touch()
        (unmade,) = asyncio.run(jobs(folder / "file" / "below").check())
        (key,) = keys(unmade)
        another = accepted({key: str(folder / "another")}).journal_dir
        assert another is not None and asyncio.run(jobs(Path(another)).check()) == ()
        yield unmade
        # What is left in the queue is ended by the name that it has there
        patch.setattr("lsst.ts.calibrationscripts.bps.jobs.end_all", lambda *words, **more: "Slurm jobs 7")
        with pytest.raises(ObservatoryError) as caught:
            asyncio.run(jobs(folder).abort("run_a"))
    request = JobRequest("cpBias.yaml", ("LATISS/calib",), (), "LATISS", (0,), (2026112300001,))
    submitted = make_submission(
        "run_a", request, site, folder / "submit", repo="/repo/LATISS", raws="LATISS/raw/all", output="u/a"
    )
    words = shlex.split(str(caught.value).partition("End it with: ")[2])
    assert words == ["scancel", f"--name={submitted['project']}.{submitted['campaign']}"]
    yield str(caught.value)


@trial
def what_has_no_effect_with_a_service(folder: Path) -> Iterator[str]:
    for text in ("bps_config: /etc/site.yaml", f"{BATCH}ocps_log_path: /scratch/{{job_id}}.log"):
        (notice,) = [each for each in parse(text, LATISS).notices if "no effect with job_service" in each]
        written = yaml.safe_load(text)
        left = {key: value for key, value in written.items() if not notice.startswith(key)}
        assert len(left) < len(written)
        assert not [each for each in parse(yaml.safe_dump(left), LATISS).notices if "job_service" in each]
        yield notice
