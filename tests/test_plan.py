# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration makes the observatory do."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from lsst.ts.calibrationscripts.codec import plan_json
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.instruments import LATISS, LSSTCAM
from lsst.ts.calibrationscripts.pipelines import GENERATIONS
from lsst.ts.calibrationscripts.plan import JobRequest, RunPlan, make_plan
from lsst.ts.calibrationscripts.products import StageId
from named import BIAS, DARK, FLAT, names


def plan_of(text: str) -> RunPlan:
    return make_plan(parse(text, LATISS), LATISS)


def needs(plan: RunPlan) -> dict[str, tuple[str, ...]]:
    return {stage.name: names(stage.needs) for stage in plan.stages}


def test_the_daily_default_verifies_externally() -> None:
    plan = plan_of("")
    assert [len(plan.exposures_of(series)) for series in (BIAS, DARK, FLAT)] == [21, 23, 21]
    assert sum(exposure.exp_time for exposure in plan.exposures) == 640
    # No type waits for another: only the camera's order is kept.
    assert needs(plan) == {
        "expose BIAS": (),
        "expose DARK": (),
        "expose FLAT": (),
        "verify BIAS": ("expose BIAS",),
        "verify DARK": ("expose DARK",),
        "verify FLAT": ("expose FLAT",),
        "measure GAIN": ("expose FLAT",),
    }


def test_generated_calibrations_are_a_chain() -> None:
    plan = plan_of("generate_calibrations: true")
    assert needs(plan)["generate DARK"] == ("expose DARK", "certify BIAS")
    assert needs(plan)["generate FLAT"] == ("expose FLAT", "certify BIAS", "certify DARK")
    assert needs(plan)["verify FLAT"] == ("expose FLAT", "generate FLAT")
    assert needs(plan)["certify FLAT"] == ("verify FLAT",)
    # Today they cancel in the difference of a pair; in 2022 they were applied.
    assert needs(plan)["measure GAIN"] == ("expose FLAT",)
    plan = plan_of("{pipeline_generation: 2022, generate_calibrations: true}")
    assert needs(plan)["measure GAIN"] == ("expose FLAT", "certify BIAS", "certify DARK")


def test_without_verification_what_is_generated_is_certified() -> None:
    plan = plan_of("{script_mode: BIAS, generate_calibrations: true, do_verify: false}")
    assert needs(plan)["certify BIAS"] == ("generate BIAS",)


@pytest.mark.parametrize(
    ("generation", "options", "folder"),
    [("current", "", "LATISS"), ("2022", " -c isr:doDefect=False", "Latiss")],
)
def test_a_dark_is_made_with_the_bias_of_this_run(generation: str, options: str, folder: str) -> None:
    # Given a chain, when the dark's job is written out
    plan = plan_of(
        "{generate_calibrations: true, calib_collection: LATISS/calib/u/me, n_processes: 4, "
        f"pipeline_generation: {generation}}}"
    )
    stage = next(stage for stage in plan.stages if stage.name == "generate DARK")
    assert stage.job is not None
    request = stage.job.request(
        generated=["u/ocps/bias"],
        exposures=[1, 2],
        instrument="LATISS",
        detectors=[0],
        n_processes=4,
        products=(),
    )
    # Then the run's own bias is found before that of LATISS/calib
    assert request.config == (
        f"-j 4 -i u/ocps/bias,LATISS/calib/u/me,LATISS/calib --register-dataset-types{options}"
    )
    assert request.data_query == "instrument='LATISS' AND detector IN (0) AND exposure IN (1, 2)"
    assert request.pipeline == f"${{CP_PIPE_DIR}}/pipelines/{folder}/cpDark.yaml"


def test_many_exposures_of_a_job_are_ranges_of_ids() -> None:
    first = 2026112300001
    # Given a thousand exposures, of which a person has left out one, in any
    # order
    exposures = (*range(first + 9, first + 1000), *range(first, first + 8))
    request = JobRequest("cpBias.yaml", ("LATISS/raw/all",), (), "LATISS", (0,), exposures)
    assert request.data_query == (
        "instrument='LATISS' AND detector IN (0) AND exposure IN "
        f"({first}..{first + 7}, {first + 9}..{first + 999})"
    )
    few = replace(request, exposures=(*range(first, first + 499), first + 600))
    assert few.data_query.count(str(first)[:8]) == 500 and ".." not in few.data_query


def test_no_pairs_no_gain_stage() -> None:
    plan = plan_of("{n_flat: 3, exp_times_flat: [1, 2, 3]}")
    assert "measure GAIN" not in needs(plan)
    assert any("gain" in notice for notice in plan.notices)


@pytest.mark.parametrize(
    ("generation", "pair"),
    [
        ("current", "two flats in succession whose times agree within 5 ms"),
        ("2022", "the first two flats of each exposure time"),
    ],
)
def test_the_plan_tells_which_flats_give_gains_and_how_to_get_more(generation: str, pair: str) -> None:
    (notice,) = plan_of(f"pipeline_generation: {generation}").notices
    assert "1 flat pair(s), 2 of the 20 flats" in notice
    assert f"a pair is {pair}" in notice
    # And what it advises gives ten.
    advice = "exp_times_flat: {pairs: 10, exp_time: 5}"
    assert advice in notice
    assert plan_of(f"pipeline_generation: {generation}\n{advice}").notices == ()


def test_pairs_are_those_of_the_generation() -> None:
    # Given times of which each generation makes other pairs,
    times = "n_flat: 4\nexp_times_flat: [5, 10, 5, 10]\n"
    # then gains are measured only where there are some.
    assert "measure GAIN" not in needs(plan_of(times))
    assert "measure GAIN" in needs(plan_of(f"{times}pipeline_generation: 2022"))


def test_a_known_fault_of_a_pipeline_is_worked_around() -> None:
    jobs = {stage.name: stage.job for stage in plan_of("").stages if stage.job}
    # cpPtcLSST.yaml of cp_pipe f029a3f2 asks the EFD for photodiode data.
    expected = ("-c", "cpPtcExtractPair:useEfdPhotodiodeData=False")
    assert jobs["measure GAIN"].options == expected
    plan = plan_of(
        "{do_ptc: true, exp_times_flat: {pairs: 3, exp_time: 1}, n_flat: 6, "
        "config_options_ptc: '-c cpPtcIsr:doDefect=False'}"
    )
    jobs = {stage.name: stage.job for stage in plan.stages if stage.job}
    assert jobs["generate PTC"].options == (*expected, "-c", "cpPtcIsr:doDefect=False")


def test_a_ptc_takes_the_place_of_gains_and_defects_use_darks_and_flats() -> None:
    plan = plan_of("{pipeline_generation: 2022, do_ptc: true, do_defects: true}")
    assert needs(plan)["generate DEFECTS"] == ("expose DARK", "expose FLAT")
    # What is built on frames needs their verification.
    assert needs(plan)["certify PTC"] == ("generate PTC", "verify FLAT")
    assert needs(plan)["certify DEFECTS"] == ("generate DEFECTS", "verify DARK", "verify FLAT")
    assert "measure GAIN" not in needs(plan)


def test_the_duration_is_exposures_readout_and_the_processing_that_remains() -> None:
    plan = plan_of("")
    camera_time = 640 + 65 * 2
    tail = plan.duration - camera_time
    # One job of 20 flats takes minutes; those before it ran beside exposures.
    assert 60 < tail < 300
    assert plan_of("wait_between_exposures: 10").duration == pytest.approx(plan.duration + 650)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("mode", ["BIAS", "DARK", "FLAT", "BIAS_DARK", "BIAS_DARK_FLAT"])
@pytest.mark.parametrize("generate", ["true", "false"])
def test_stages_come_after_those_they_need(mode: str, generate: str, generation: str) -> None:
    products = "do_defects: true, do_ptc: true, " if mode == "BIAS_DARK_FLAT" else ""
    plan = plan_of(
        f"{{script_mode: {mode}, generate_calibrations: {generate}, {products}"
        f"pipeline_generation: {generation}}}"
    )
    seen: set[StageId] = set()
    for stage in plan.stages:
        assert set(stage.needs) | set(stage.after) <= seen
        assert stage.job is None or set(stage.job.inputs_from) <= seen
        seen.add(stage.id)


def test_json_tells_exposures_stages_and_duration() -> None:
    data = json.loads(json.dumps(plan_json(plan_of("script_mode: BIAS_DARK"))))
    assert data["n_exposures"] == 44 == len(data["exposures"])
    assert data["exposures"][0] == {
        "image_type": "BIAS",
        "series": "BIAS",
        "exp_time": 0.0,
        "discard": True,
    }
    assert data["stages"][1]["after"] == ["expose BIAS"]
    assert data["duration"] > 0


TWO_SETS = """
generate_calibrations: true
flat_sets:
  - {filter: SDSSr_65mm, grating: empty_1, n_flat: 4, exp_times_flat: [1, 1, 2, 2]}
  - {filter: empty_1, grating: SDSSy_65mm, n_flat: 3, exp_times_flat: 5}
"""


def test_each_flat_set_is_exposed_made_verified_and_certified_by_itself() -> None:
    plan = plan_of(f"pipeline_generation: 2022\n{TWO_SETS}")
    r, y = "SDSSr_65mm~empty_1", "empty_1~SDSSy_65mm"
    assert [exposure.label for exposure in plan.exposures[-4:]] == [
        f"FLAT {y} {k}/4, 5 s" for k in range(1, 5)
    ]
    assert needs(plan)[f"generate FLAT {r}"] == (f"expose FLAT {r}", "certify BIAS", "certify DARK")
    assert needs(plan)[f"certify FLAT {y}"] == (f"verify FLAT {y}",)
    assert needs(plan)[f"measure GAIN {y}"] == (f"expose FLAT {y}", "certify BIAS", "certify DARK")
    jobs = {stage.name: stage.job for stage in plan.stages if stage.job}
    assert names(jobs[f"generate FLAT {y}"].series) == (f"FLAT {y}",)


def test_defects_use_every_flat_set_and_a_ptc_the_first_with_pairs() -> None:
    plan = plan_of(TWO_SETS + "pipeline_generation: 2022\ndo_defects: true\ndo_ptc: true\n")
    jobs = {stage.name: stage.job for stage in plan.stages if stage.job}
    assert names(jobs["generate DEFECTS"].series) == (
        "DARK",
        "FLAT SDSSr_65mm~empty_1",
        "FLAT empty_1~SDSSy_65mm",
    )
    assert names(jobs["generate PTC"].series) == ("FLAT SDSSr_65mm~empty_1",)
    # The other set's gains are not in that curve.
    assert "measure GAIN empty_1~SDSSy_65mm" in needs(plan)
    assert "measure GAIN SDSSr_65mm~empty_1" not in needs(plan)


def test_current_defects_are_built_on_bootstrap_products() -> None:
    plan = plan_of("{pipeline_generation: current, do_defects: true}")
    assert needs(plan)["generate DARK_BOOTSTRAP"] == ("expose DARK", "generate BIAS_BOOTSTRAP")
    assert needs(plan)["generate DEFECTS"][3:] == (
        "generate BIAS_BOOTSTRAP",
        "generate DARK_BOOTSTRAP",
        "generate FLAT_BOOTSTRAP",
    )
    assert needs(plan)["certify DEFECTS"] == (
        *("generate DEFECTS", "verify BIAS", "verify DARK", "verify FLAT"),
    )
    assert "certify BIAS_BOOTSTRAP" not in needs(plan)
    jobs = {stage.name: stage.job for stage in plan.stages if stage.job}
    assert jobs["generate DEFECTS"].pipeline == "${CP_PIPE_DIR}/pipelines/LATISS/cpDefects.yaml"
    assert jobs["generate DEFECTS"].options == ()


def test_no_stage_runs_a_verification_that_always_fails() -> None:
    # verifyDefects and verifyGainFromFlatPairs of cp_verify 5855743 do.
    stages = needs(plan_of("{pipeline_generation: current, do_defects: true}"))
    assert not {"verify DEFECTS", "verify GAIN", "certify GAIN"} & set(stages)


@pytest.mark.parametrize(
    ("generation", "products"),
    [("current", {"generate DARK", "generate PTC"}), ("2022", {"generate PTC"})],
)
@pytest.mark.parametrize("certify", ["each", "together"])
def test_defects_of_the_run_come_before_what_applies_them(
    generation: str, products: set[str], certify: str
) -> None:
    # Given defects and what applies them, all made in one run,
    plan = plan_of(
        "{generate_calibrations: true, do_defects: true, do_ptc: true, n_flat: 4, "
        f"exp_times_flat: [1, 1, 2, 2], certify: {certify}, pipeline_generation: {generation}}}"
    )
    # then those jobs wait for them and search them first, before they are
    # certified; and no other job does.
    jobs = {stage.name: stage.job for stage in plan.stages if stage.job}
    assert {name for name in jobs if "generate DEFECTS" in needs(plan)[name]} == products
    for name in products:
        assert "generate DEFECTS" in names(jobs[name].inputs_from)


def test_defects_are_applied_to_a_curve_if_nothing_else_is_generated() -> None:
    plan = plan_of("{do_defects: true, do_ptc: true, n_flat: 4, exp_times_flat: [1, 1, 2, 2]}")
    assert needs(plan)["generate PTC"] == ("expose FLAT", "generate DEFECTS")
    assert needs(plan)["verify PTC"] == ("expose FLAT", "generate PTC")


BIASES = "{script_mode: BIAS, n_bias: 20, detectors: %s}"


def durations(detectors: object) -> dict[str, float]:
    plan = make_plan(parse(BIASES % detectors, LSSTCAM), LSSTCAM)
    return {stage.name: stage.duration for stage in plan.stages}


def test_a_job_takes_as_long_as_the_pixels_that_it_processes() -> None:
    # Given one detector of the size of that of LATISS, then it takes as long
    latiss = plan_of("{script_mode: BIAS, n_bias: 20}")
    assert durations([0]) == {stage.name: stage.duration for stage in latiss.stages}
    assert durations([0])["verify BIAS"] == pytest.approx(5 + 168)
    # and each frame of each further one adds to that, half of one half of it.
    assert durations([0, 1])["verify BIAS"] == pytest.approx(5 + 60 + 2 * 108)
    assert durations([0, 191])["verify BIAS"] == pytest.approx(5 + 60 + 1.5 * 108)
    assert durations([])["verify BIAS"] == pytest.approx(65 + 108 * LSSTCAM.area())
    # The camera takes all at once.
    assert durations([])["expose BIAS"] == durations([0])["expose BIAS"]


def test_a_job_that_may_exceed_its_time_is_told_before() -> None:
    def notices(text: str) -> list[str]:
        plan = make_plan(parse(text, LSSTCAM), LSSTCAM)
        return [notice for notice in plan.notices if "job_timeout" in notice]

    assert notices(BIASES % []) == [
        "verify BIAS may take 5:50 (h:mm), which is longer than job_timeout: 3600. That is for 197 "
        "detector(s), one after the other. Raise job_timeout, or process fewer detectors."
    ]
    assert notices("{script_mode: BIAS, n_bias: 20, job_timeout: 21600}") == []
    assert notices(BIASES % [0, 1, 2]) == []
    # A batch system has as many processes as its site gives it.
    assert notices("{script_mode: BIAS, n_bias: 20, job_service: bps, bps_config: /site.yaml}") == []
