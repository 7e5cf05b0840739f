# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrations that jobs need are missed before the first exposure."""

from __future__ import annotations

import pytest
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.instruments import LATISS, LSSTCAM, LSSTCOMCAM, Instrument
from lsst.ts.calibrationscripts.pipelines import GENERATIONS, Generator, Verifier, looked_up
from lsst.ts.calibrationscripts.plan import make_plan, prerequisites
from lsst.ts.calibrationscripts.ports import CameraError, ObservatoryError, PreconditionError
from lsst.ts.calibrationscripts.products import Product
from virtual_time import virtually
from world import FIRST_FRAME, World

ISR = {"crosstalk", "linearizer", "ptc"}

SETTINGS = {
    "doBias": "bias",
    "doBrighterFatter": "bfk",
    "doCrosstalk": "crosstalk",
    "doDark": "dark",
    "doDefect": "defects",
    "doDeferredCharge": "cti",
    "doFlat": "flat",
    "doLinearize": "linearizer",
}
"""What IsrTaskLSST looks up for its settings: ip_isr d2a69bfd,
isrTaskLSST.py, IsrTaskLSSTConnections. Without doBootstrap, ptc comes too."""

# Settings that are True in pipelines/_ingredients/*LSST.yaml (for flats,
# *SingleChipLSST.yaml), and not False in pipelines/LATISS/*.yaml, after
# configureIsrTaskLSSTForCalibrations, which switches all off: cp_pipe
# f029a3f2 and cp_verify 5855743.
GENERATORS = {
    Product.BIAS: {"doCrosstalk", "doLinearize"},
    Product.DARK: {"doCrosstalk", "doLinearize", "doBias", "doDefect"},
    Product.FLAT: {"doCrosstalk", "doLinearize", "doBias", "doDark", "doBrighterFatter"},
    Product.PTC: {"doBootstrap", "doCrosstalk", "doDeferredCharge", "doLinearize", "doDefect"},
    Product.BIAS_BOOTSTRAP: {"doBootstrap", "doCrosstalk"},
    # Their bias and dark are those of the bootstrap.
    Product.DARK_BOOTSTRAP: {"doBootstrap", "doCrosstalk"},
    Product.FLAT_BOOTSTRAP: {"doBootstrap", "doCrosstalk"},
}
VERIFIERS = {
    Product.BIAS: {"doCrosstalk", "doLinearize", "doBias", "doDefect"},
    Product.DARK: {"doCrosstalk", "doLinearize", "doBias", "doDark", "doDefect"},
    Product.FLAT: {"doCrosstalk", "doLinearize", "doBias", "doDark", "doDefect", "doFlat"},
}
PIPELINES = [
    *((GENERATIONS["current"].generators[product], on) for product, on in GENERATORS.items()),
    *((GENERATIONS["current"].verifiers[product], on) for product, on in VERIFIERS.items()),
]


@pytest.mark.parametrize(("pipeline", "switched_on"), PIPELINES, ids=lambda each: getattr(each, "path", None))
def test_the_prerequisites_are_those_of_the_real_pipelines(
    pipeline: Generator | Verifier, switched_on: set[str]
) -> None:
    expected = {SETTINGS[name] for name in switched_on - {"doBootstrap"}}
    if "doBootstrap" not in switched_on:
        expected |= {"ptc"}
    assert set(pipeline.prerequisites) == expected


def needed(text: str, camera: Instrument = LATISS) -> dict[str, set[str]]:
    """Return what the jobs of a configuration look up and it does not make."""
    config = parse(text, camera)
    found: dict[str, set[str]] = {}
    pipelines = GENERATIONS[config.pipeline_generation].for_camera(camera)
    for each in prerequisites(make_plan(config, camera), pipelines):
        found.setdefault(each.stage.name, set()).add(each.dataset_type)
    return found


def test_what_is_verified_against_references_needs_them_all() -> None:
    assert needed("") == {
        "verify BIAS": ISR | {"bias", "defects"},
        "verify DARK": ISR | {"bias", "dark", "defects"},
        "verify FLAT": ISR | {"bias", "dark", "defects", "flat"},
        "measure GAIN": {"crosstalk", "linearizer", "defects", "cti"},
    }


def test_what_a_run_makes_feeds_its_later_jobs() -> None:
    assert needed("{generate_calibrations: true, do_gain_from_flat_pairs: false}") == {
        "generate BIAS": ISR,
        "verify BIAS": ISR | {"defects"},
        "generate DARK": ISR | {"defects"},
        # The bias is in the output chain of the job that made the dark.
        "verify DARK": ISR | {"defects"},
        "generate FLAT": ISR | {"bfk"},
        "verify FLAT": ISR | {"defects"},
    }


PTC = "{script_mode: BIAS_DARK_FLAT, do_ptc: true, exp_times_flat: {pairs: 10, exp_time: 5}, "


def test_a_curve_needs_defects_unless_the_run_makes_them() -> None:
    without, with_defects = needed(PTC + "do_defects: false}"), needed(PTC + "do_defects: true}")
    assert without["generate PTC"] == {"crosstalk", "linearizer", "defects", "cti"}
    assert with_defects["generate PTC"] == {"crosstalk", "linearizer", "cti"}
    # Its own verification is of the curve just made.
    assert "verify PTC" not in without
    bootstraps = {name for name in with_defects if name.endswith("BOOTSTRAP")}
    assert [with_defects[name] for name in bootstraps] == [{"crosstalk"}] * 3
    assert "generate DEFECTS" not in with_defects


def test_pipelines_of_2022_need_less() -> None:
    # cp_pipe ff196a94: doDefect is False in Latiss/cpBias.yaml, and True for
    # darks and flats. In the IsrTask of ip_isr 9ca82378, crosstalk, linearizer
    # and kernels have minimum=0: they are not needed.
    chain = 'pipeline_generation: "2022"\ngenerate_calibrations: true\ndo_gain_from_flat_pairs: false'
    verified = {"verify BIAS": {"defects"}, "verify DARK": {"defects"}, "verify FLAT": {"defects"}}
    assert needed(chain) == verified
    # Its default options switch the defects off.
    own_options = f"{chain}\nconfig_options_dark: -c isr:doWrite=True"
    assert needed(own_options) == verified | {"generate DARK": {"defects"}}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ("crosstalk", "ptc", "bfk")),
        (("-c", "cpFlatIsr:doCrosstalk=False"), ("ptc", "bfk")),
        (("-c", "cpFlatIsr:doCrosstalk=True"), ("crosstalk", "ptc", "bfk")),
        (("-c", "cpFlatIsr:connections.bfKernel=mine", "--fail-fast"), ("crosstalk", "ptc")),
        (("-c", "cpFlatIsr:doBootstrap=True"), ("crosstalk", "bfk")),
        (("-C", "cpFlatIsr:/home/me/flat.py"), ()),
        (("-c", "cpFlatIsr:doDefect=True"), ("crosstalk", "ptc", "bfk", "defects")),
        (("-c", "cpFlatIsr:doBias=True", "-c", "cpFlatIsr:doBias=False"), ("crosstalk", "ptc", "bfk")),
        (
            ("-c", "cpFlatIsr:doBias=False", "-c", "cpFlatIsr:doBias=True"),
            ("crosstalk", "ptc", "bfk", "bias"),
        ),
    ],
)
def test_what_options_switch_off_is_not_looked_up(
    options: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert looked_up(("crosstalk", "ptc", "bfk"), options) == expected


@pytest.mark.parametrize(
    ("option", "camera", "generation", "dataset_type"),
    [
        ("cpBiasIsr:doDefect=True", LATISS, "current", "defects"),
        ("cpBiasIsr:doBrighterFatter=True", LATISS, "current", "bfk"),
        # It corrects by another method: lsstCam/isrLSST.py, obs_lsst 0e84d755.
        ("cpBiasIsr:doBrighterFatter=True", LSSTCAM, "current", "electroBfDistortionMatrix"),
        ("isr:doDefect=True", LATISS, "2022", "defects"),
        # These were not needed in 2022, see above.
        ("isr:doCrosstalk=True", LATISS, "2022", None),
    ],
)
def test_what_options_switch_on_is_looked_up(
    option: str, camera: Instrument, generation: str, dataset_type: str | None
) -> None:
    text = "{script_mode: BIAS, generate_calibrations: true, do_verify: false, pipeline_generation: '%s'%s}"
    without = needed(text % (generation, ""), camera)["generate BIAS"] if generation == "current" else set()
    found = needed(text % (generation, f", config_options_bias: -c {option}"), camera)
    assert found.get("generate BIAS", set()) == without | ({dataset_type} if dataset_type else set())


def run(world: World, text: str, *, resume: bool = False) -> None:
    virtually(world.procedure(text, resume=resume).run())


def problems(world: World, text: str, *, resume: bool = False) -> tuple[str, ...]:
    """Return what a run is refused for; see that nothing was done."""
    n_events = len(world.events)
    with pytest.raises(PreconditionError) as caught:
        run(world, text, resume=resume)
    assert not [name for _, name in world.events[n_events:] if not name.startswith("writing")]
    return caught.value.problems


def test_a_missing_prerequisite_is_named_before_the_first_exposure() -> None:
    world = World(unavailable=frozenset({"crosstalk"}))
    assert problems(world, "{script_mode: BIAS, generate_calibrations: true, n_bias: 3}") == (
        "crosstalk: none for detector 0 in LATISS/calib is valid for the frames of generate BIAS, verify "
        "BIAS (2026-11-23 14:00 TAI). Before the run, have one certified there, or name a "
        "collection that has one in input_collections_bias, input_collections_verify_bias, or write "
        'pipeline_generation: "2022" if the OCPS has those pipelines, which need none',
    )
    assert world.taken == [] and world.requests == {}


def test_there_is_one_problem_for_each_dataset_type() -> None:
    world = World(unavailable=frozenset({"cti", "flat", "bias", "linearizer"}))
    found = problems(world, "")
    assert sorted(text.partition(":")[0] for text in found) == ["bias", "cti", "flat", "linearizer"]


@pytest.mark.parametrize(
    ("missing", "text", "way"),
    [
        (
            "defects",
            "do_ptc: true\nexp_times_flat: {pairs: 3, exp_time: 5}\ndo_verify: false",
            "do_defects: true",
        ),
        ("bias", "script_mode: BIAS", "generate_calibrations: true, and BIAS in script_mode"),
        # Verification of a bias is not given the run's defects.
        ("defects", "script_mode: BIAS", None),
        ("ptc", "script_mode: BIAS", None),
    ],
)
def test_what_the_run_can_make_is_proposed(missing: str, text: str, way: str | None) -> None:
    (problem,) = problems(World(unavailable=frozenset({missing})), text)
    if way:
        assert f"or make it in the run ({way})" in problem
    else:
        assert "make it in the run" not in problem


def test_each_place_where_it_is_missing_is_named() -> None:
    text = "{script_mode: BIAS_DARK, input_collections_verify_dark: 'u/me/darks,LATISS/calib'}"
    (problem,) = problems(World(unavailable=frozenset({"ptc"})), text)
    assert "none for detector 0 in LATISS/calib is valid for the frames of verify BIAS (" in problem
    assert (
        "; none for detector 0 in LATISS/calib, u/me/darks is valid for the frames of verify DARK" in problem
    )


def test_a_flat_is_looked_up_for_its_filter() -> None:
    world = World()
    sets = "[{filter: SDSSr_65mm, grating: empty_1}, {filter: SDSSg_65mm, grating: empty_1}]"
    run(world, f"script_mode: FLAT\nflat_sets: {sets}\nexp_times_flat: 5\nn_flat: 4")
    by_filter = {each.physical_filter for each in world.looked_up if each.dataset_type == "flat"}
    assert by_filter == {"SDSSr_65mm~empty_1", "SDSSg_65mm~empty_1"}
    assert {each.physical_filter for each in world.looked_up if each.dataset_type != "flat"} == {None}
    world.unavailable = frozenset({"flat"})
    (problem,) = problems(world, "{script_mode: FLAT, filter: BG40_65mm_1}")
    assert "none for detector 0 through BG40_65mm_1~empty_1 in LATISS/calib" in problem


def test_frames_to_come_are_expected_from_now_on() -> None:
    world = World()
    run(world, "{script_mode: BIAS_DARK, n_bias: 3, n_dark: 3, exp_times_dark: 15}")
    times = {each.times for each in world.looked_up if each.dataset_type == "dark"}
    # Two seconds of readout for each of four biases, then 15 s more a dark.
    assert times == {((FIRST_FRAME + 8,) * 2, (FIRST_FRAME + 8 + 4 * 17,) * 2)}


CHAIN = "{script_mode: BIAS_DARK, generate_calibrations: true, n_bias: 3, n_dark: 3, exp_times_dark: 15}"


def test_a_resumed_run_needs_what_is_left_of_its_jobs() -> None:
    # Given a run that has come to its last job but one,
    world = World(
        exposure_error=("DARK 3/", CameraError("shutter stuck")), job_times={"cpBias": 1, "verifyBias": 1}
    )
    with pytest.raises(CameraError):
        run(world, CHAIN)
    # when a calibration is gone that only the ended jobs have used,
    world.exposure_error = None
    world.looked_up.clear()
    run(world, CHAIN, resume=True)
    # then it is not looked up.
    assert {each.dataset_type for each in world.looked_up} == ISR | {"defects"}
    frames = [record for label, record in world.exposures.values() if label.startswith("DARK")][:2]
    (times,) = {each.times for each in world.looked_up}
    # Frames that exist have their own times.
    assert times[:2] == tuple((frame.begin, frame.end) for frame in frames)
    assert len(times) == 4


def test_a_resumed_run_is_refused_for_what_it_still_needs() -> None:
    world = World(
        exposure_error=("DARK 3/", CameraError("shutter stuck")), job_times={"cpBias": 1, "verifyBias": 1}
    )
    with pytest.raises(CameraError):
        run(world, CHAIN)
    world.exposure_error, world.unavailable = None, frozenset({"defects"})
    n_taken = len(world.taken)
    (problem,) = problems(world, CHAIN, resume=True)
    assert "generate DARK, verify DARK (" in problem and "BIAS" not in problem
    assert len(world.taken) == n_taken


def test_a_job_that_is_asked_for_in_other_words_is_looked_up_again() -> None:
    world = World(failing_types=frozenset({"DARK"}))
    text = "{script_mode: BIAS_DARK, n_bias: 3, n_dark: 3, exp_times_dark: 15}"
    run(world, text)
    world.looked_up.clear()
    run(world, text, resume=True)
    assert world.looked_up == set()
    run(world, text[:-1] + ", input_collections_verify_bias: u/me/biases}", resume=True)
    assert {each.collections for each in world.looked_up} == {("u/me/biases",)}


def test_a_repository_that_cannot_be_read_is_one_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    async def fail(*args: object) -> None:
        raise ObservatoryError("/repo: no answer")

    async def refuse(*args: object) -> tuple[str, ...]:
        return ("/repo: could not look at the collections",)

    monkeypatch.setattr(world.repository, "unavailable", fail)
    assert problems(world, "") == ("/repo: no answer",)
    monkeypatch.setattr(world.repository, "check", refuse)
    assert problems(world, "") == ("/repo: could not look at the collections",)


# What the task connections and settings of other cameras add: doManualDefects
# of LSSTCam/ and LSSTComCam/cpDefects.yaml, the tasks cpFlatFitGradients and
# cpFlatApplyGradients of _ingredients/cpFlatCorrectedLSST.yaml, which only
# LSSTCam/cpFlat.yaml imports, in cp_pipe f029a3f2.
WITH_DEFECTS = "{generate_calibrations: true, do_defects: true, do_gain_from_flat_pairs: false}"


@pytest.mark.parametrize("camera", [LATISS, LSSTCOMCAM, LSSTCAM], ids=lambda camera: camera.name)
def test_defects_that_persons_have_found_are_looked_up_where_they_are_merged(camera: Instrument) -> None:
    found = needed(WITH_DEFECTS, camera)
    assert found.get("generate DEFECTS", set()) == ({"manual_defects"} if camera is not LATISS else set())


def test_flats_of_lsstcam_are_compared_with_the_gradient_of_the_sky() -> None:
    chain = "{generate_calibrations: true, do_gain_from_flat_pairs: false}"
    assert needed(chain, LSSTCAM)["generate FLAT"] == ISR | {"cti", "defects", "flat_gradient_reference"}
    # Defects that the run makes come first, and are in the job's inputs.
    assert needed(WITH_DEFECTS, LSSTCAM)["generate FLAT"] == ISR | {"cti", "flat_gradient_reference"}
    assert "flat_gradient_reference" not in needed(chain, LSSTCOMCAM)["generate FLAT"]


def test_the_gradient_of_the_sky_is_looked_up_for_the_filter_of_the_flats() -> None:
    # Given flats of 197 detectors through the filter in the beam
    world = World(instrument=LSSTCAM, unavailable=frozenset({"flat_gradient_reference"}))
    # When the gradient of that filter has no reference
    (problem,) = problems(world, "{script_mode: FLAT, generate_calibrations: true, filter: r_57}")
    # Then that is said before the first frame, and in few words.
    (lookup,) = (each for each in world.looked_up if each.dataset_type == "flat_gradient_reference")
    assert lookup.physical_filter == "r_57"
    assert problem.startswith(
        "flat_gradient_reference: none for detector 0 through r_57 in LSSTCam/calib is valid for the frames "
        "of generate FLAT ("
    )
    assert "make it in the run" not in problem
