# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be so around a camera before its frames are taken."""

from __future__ import annotations

import dataclasses
import re

import pytest
from lsst.ts.calibrationscripts.config import ConfigurationError, parse
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS, LATISS, ImageType, Instrument
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.ports import PreconditionError
from lsst.ts.calibrationscripts.preconditions import (
    Finding,
    Precondition,
    Reading,
    Standing,
    component_key,
    judge,
    preconditions_of,
    way_out,
)
from lsst.ts.calibrationscripts.report import next_steps
from test_procedure import run
from test_resume import outcomes
from test_resume import run as run_to_its_end
from world import World, met_value

OFF, ON, WARMUP = 1.0, 2.0, 4.0
"""States of the lamp (ts_xml a724e1a, enums/ATWhiteLight.py)."""

LAMP = "the lamp of the white light"
TEMPERATURE = "the temperature of the WREB"


def about(what: str, camera: str = "LATISS") -> Precondition:
    return next(each for each in preconditions_of(camera) if each.what == what)


def judged(what: str, value: float | None, camera: str = "LATISS", **reading: float) -> Finding:
    (finding,) = judge({about(what, camera): Reading(value, **reading)})
    return finding


# The judgement


@pytest.mark.parametrize(
    ("what", "good", "bad"),
    [
        (LAMP, [2], [0, 1, 3, 4, 5, 6, 7, 8, 9]),
        ("the shutter of the white light", [2], [0, 1, 3]),
        ("the main door of the dome", [1], [2, 3, 4, 5]),
        ("the dropout door of the dome", [1], [2, 3, 4, 5]),
        ("the azimuth of the dome", [3.0, -2.0, 358.0, 363.0, 8.1], [8.2, 180.0, 285.0, -2.2]),
        ("the elevation of the telescope", [38.0, 39.0, 40.0], [17.0, 80.0]),
        ("the azimuth of the telescope", [188.7, -171.3], [0.0, 180.0, 190.0]),
        ("the cover of the primary mirror", [2], [1, 3, 4]),
        (TEMPERATURE, [26.0, 27.5, 29.0], [25.9, 29.1, -3.0]),
    ],
)
def test_the_limits_of_latiss(what: str, good: list[float], bad: list[float]) -> None:
    assert {judged(what, value).standing for value in good} == {Standing.MET}
    assert {judged(what, value).standing for value in bad} == {Standing.UNMET}


def test_the_limits_of_lsstcam_are_those_of_the_public_script() -> None:
    # ts_externalscripts 34c0557: MTDomeTrajectory ENABLED, MTDome DISABLED
    # or ENABLED, before flats.
    states = {"DISABLED": 1, "ENABLED": 2, "FAULT": 3, "OFFLINE": 4, "STANDBY": 5}

    def accepted(what: str) -> set[str]:
        return {
            name for name, value in states.items() if judged(what, value, "LSSTCam").standing is Standing.MET
        }

    assert accepted("the summary state of MTDomeTrajectory") == {"ENABLED"}
    assert accepted("the summary state of MTDome") == {"DISABLED", "ENABLED"}
    assert not preconditions_of("LSSTCam", [ImageType.BIAS, ImageType.DARK])


def test_a_message_says_what_was_read_what_is_needed_and_what_to_do() -> None:
    text = judged(TEMPERATURE, 31.24).text
    assert text.startswith("ATCamera: the temperature of the WREB is 31.2 deg C, not 26 to 29 deg C. ")
    assert text.endswith("in warm weather later in the day, or early in the morning.")
    text = judged("the summary state of MTDome", 3, "LSSTCam").text
    assert "the summary state of MTDome is FAULT, not DISABLED or ENABLED" in text


@pytest.mark.parametrize("each", [each for name in INSTRUMENTS for each in preconditions_of(name)])
def test_every_precondition_can_be_met_and_has_a_remedy(each: Precondition) -> None:
    (finding,) = judge({each: Reading(met_value(each))})
    assert finding.standing is Standing.MET
    assert each.remedy.endswith(".")
    # Only what the component repeats can become too old.
    assert (each.max_age is not None) == each.topic.startswith("tel_")


def test_a_lamp_that_warms_up_says_when_it_is_warm() -> None:
    text = judged(LAMP, WARMUP, met_in=412.0).text
    assert text.endswith("is WARMUP, not ON, which it will be in 412 s. Wait for it.")
    assert judged(LAMP, WARMUP).text.endswith("and waits until it is warm.")


def test_a_lamp_that_was_switched_off_early_promises_nothing() -> None:
    # Its component keeps the time at which it would have been warm.
    assert "which it will be" not in judged(LAMP, OFF, met_in=412.0).text


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        (Reading(None), "ATCamera has not published focal_plane_Reb"),
        (Reading(27.0, age=121.0), "ATCamera last published focal_plane_Reb 121 s ago"),
        (Reading(float("nan")), "ATCamera.focal_plane_Reb has no number"),
        (Reading(None, alive=False), "ATCamera sends no heartbeat"),
    ],
)
def test_what_cannot_be_read_is_not_known(reading: Reading, why: str) -> None:
    (finding,) = judge({about(TEMPERATURE): reading})
    assert finding.standing is Standing.UNKNOWN
    assert finding.text.startswith(why)
    assert "whether the temperature of the WREB is 26 to 29 deg C. Check ATCamera." in finding.text


def test_the_last_event_of_a_component_that_died_says_nothing() -> None:
    assert judged(LAMP, ON).standing is Standing.MET
    assert judged(LAMP, ON, alive=False).standing is Standing.UNKNOWN


def test_a_fresh_value_needs_no_heartbeat() -> None:
    assert judged(TEMPERATURE, 27.0, age=60.0, alive=False).standing is Standing.MET


def test_a_silent_component_is_reported_once() -> None:
    dome = [each for each in preconditions_of("LATISS") if each.component == "ATDome"]
    findings = judge({each: Reading(None, alive=False) for each in dome})
    assert len(dome) == 3
    assert len(findings) == 1
    assert all(each.what in findings[0].text for each in dome)


def test_the_way_out_names_the_components() -> None:
    findings = judge({each: Reading(None) for each in preconditions_of("LATISS", [ImageType.FLAT])})
    assert way_out(findings) == (
        "To take the frames nevertheless, write preconditions: warn; or, to look at the others alone, "
        "ignore: [atwhitelight, atdome, atmcs, atpneumatics, atcamera]."
    )


# The configuration


@pytest.mark.parametrize("text", ["off", "'off'", "no", "false"])
def test_off_needs_no_quotes(text: str) -> None:
    config = parse(f"preconditions: {text}", LATISS)
    assert config.preconditions == config.to_dict()["preconditions"] == "off"


def test_a_misspelt_mode_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigurationError, match="'ignore': is unknown; write check or warn or off"):
        parse("preconditions: ignore", LATISS)


def test_components_are_ignored_as_in_the_public_script() -> None:
    config = parse("ignore: [atdome, MTHexapod:1, mthexapod_2, ATDome]", LATISS)
    assert config.ignore == ("atdome", "mthexapod_1", "mthexapod_2")
    assert parse("", LATISS).ignore == ()


@pytest.mark.parametrize("camera", INSTRUMENTS.values(), ids=lambda camera: camera.name)
def test_the_example_of_what_to_ignore_is_a_component_of_the_camera(camera: Instrument) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse("ignore: [the dome]", camera)
    (example,) = re.findall(r"for example (\[\w+\])", caught.value.problems[0].remedy)
    notices = parse(f"{{script_mode: FLAT, ignore: {example}}}", camera).notices
    assert any("has no effect" in each for each in notices) == (not preconditions_of(camera.name))


def test_what_is_not_looked_at_is_said_beforehand() -> None:
    assert any(
        "preconditions: off: ATWhiteLight, " in each for each in parse("preconditions: off", LATISS).notices
    )
    notices = parse("ignore: [atdome, mtrotator]", LATISS).notices
    assert "ignore: ATDome: not looked at before frames are taken." in notices
    assert any(each.startswith("ignore: mtrotator: has no effect") for each in notices)


def test_frames_that_exist_need_no_preconditions() -> None:
    text = "{exposures: {BIAS: [2022092900004, 2022092900005]}, preconditions: warn, ignore: [atdome]}"
    assert any("preconditions, ignore have no effect" in each for each in parse(text, LATISS).notices)


# The procedure

FLATS = (
    "{script_mode: BIAS_DARK_FLAT, n_bias: 2, n_dark: 2, exp_times_dark: 5, n_flat: 2, exp_times_flat: 5%s}"
)
TWO_SETS = "{script_mode: FLAT, n_flat: 2, exp_times_flat: 5, flat_sets: [{filter: a}, {filter: b}]%s}"


def test_no_exposure_is_taken_when_the_lamp_is_off() -> None:
    world = World(around={LAMP: Reading(OFF)})
    with pytest.raises(PreconditionError) as caught:
        run(world, FLATS % "")
    assert world.taken == []
    assert world.journal == ""
    assert "ATWhiteLight: the lamp of the white light is OFF, not ON." in caught.value.problems[0]
    assert "preconditions: warn" in caught.value.problems[1]


def test_all_that_is_not_met_is_said_at_once() -> None:
    world = World(
        around={LAMP: Reading(OFF), TEMPERATURE: Reading(31.0)}, problems=("ATOODS is not ENABLED",)
    )
    with pytest.raises(PreconditionError) as caught:
        run(world, FLATS % "")
    assert len(caught.value.problems) == 4


def test_biases_and_darks_need_no_lamp() -> None:
    world = World(around={LAMP: Reading(OFF)})
    assert run(world, "{script_mode: BIAS_DARK, n_bias: 2, n_dark: 2, exp_times_dark: 5}").complete


def test_every_frame_needs_the_temperature() -> None:
    world = World(around={TEMPERATURE: Reading(31.0)})
    with pytest.raises(PreconditionError, match="temperature of the WREB"):
        run(world, "{script_mode: BIAS, n_bias: 2}")
    assert world.taken == []


def test_a_value_that_cannot_be_read_costs_no_exposure_either() -> None:
    world = World(around={LAMP: Reading(None, alive=False)})
    with pytest.raises(PreconditionError, match=r"(?s)ATWhiteLight sends no heartbeat.*preconditions: warn"):
        run(world, FLATS % "")
    assert world.taken == []


def test_a_warning_costs_nothing_and_comes_once() -> None:
    world = World(around={LAMP: Reading(OFF)})
    report = run(world, TWO_SETS % ", preconditions: warn")
    assert report.complete
    warnings = [text for kind, text in world.log if kind == "warning" and LAMP in text]
    assert len(warnings) == 1


@pytest.mark.parametrize("said", [", preconditions: off", ", ignore: [atwhitelight]"])
def test_what_is_not_to_be_looked_at_prevents_nothing(said: str) -> None:
    world = World(around={LAMP: Reading(OFF)})
    assert run(world, TWO_SETS % said).complete
    assert (world.looked_around == 0) == ("off" in said)


def test_a_lamp_that_dies_between_sets_costs_the_next_set_alone() -> None:
    def lamp_dies(event: str) -> None:
        if event.startswith("FLAT a") and " 3/3" in event:
            world.around[LAMP] = Reading(OFF)

    # Given two sets of flats, and a lamp that dies after the first
    world = World(on_event=lamp_dies)
    report = run(world, TWO_SETS % "")
    # Then no frame of the second is taken, and the wheel is not turned for it
    assert len(world.taken) == 3
    assert [event for _, event in world.events if event.startswith("set up")] == ["set up FLAT a~current"] * 2
    failed = next(each for each in report.stages if each.name.startswith("expose FLAT b"))
    assert failed.outcome is Outcome.FAILED
    assert failed.error_type == "surroundings"
    assert failed.reason.startswith("no more frames taken: ATWhiteLight: the lamp of the white light is OFF")
    assert "power_on_atcalsys.py" in failed.reason
    # And the first goes on being processed.
    assert outcomes(report)["verify FLAT a~current"] is Outcome.PASSED
    assert report.state == "DONE"
    # And the observer is told what to do, or to write.
    assert any(
        step.startswith("expose FLAT b~current: do what is said") and "'preconditions: warn'" in step
        for step in next_steps(report)
    )
    # And a resumed run takes what was left.
    world.on_event = None
    world.around.clear()
    assert run_to_its_end(world, "resume: run", resume=True).complete
    assert len(world.taken) == 6


def test_a_lamp_that_dies_after_the_biases_leaves_them_to_be_processed() -> None:
    def lamp_dies(event: str) -> None:
        if event == "DARK 3/3, 5 s":
            world.around[LAMP] = Reading(WARMUP, met_in=100.0)

    world = World(on_event=lamp_dies)
    ended = outcomes(run(world, FLATS % ""))
    assert ended["verify BIAS"] is ended["verify DARK"] is Outcome.PASSED
    assert ended["expose FLAT"] is Outcome.FAILED
    assert ended["verify FLAT"] is Outcome.SKIPPED


def test_a_resumed_run_looks_only_at_what_it_still_takes() -> None:
    world = World()
    assert run(world, TWO_SETS % "").complete
    world.around[LAMP] = Reading(OFF)
    looked = world.looked_around
    assert run_to_its_end(world, "resume: run", resume=True).complete
    assert world.looked_around == looked


def test_preconditions_are_of_the_camera_by_name() -> None:
    other = dataclasses.replace(LATISS, name="Duo")
    assert preconditions_of(other.name) == ()
    assert component_key("MTHexapod:1") == "mthexapod_1"
