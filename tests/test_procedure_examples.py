# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: N806, N812 - names are written as in the procedure
"""The examples of the observers' procedure, run to their end.

A run takes most of a processor for half a minute. So each scenario is played
once, two at a time, and its tests look at what it left behind.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lsst.daf.butler as dB
import numpy as np
import pytest
from astropy.time import Time
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.simulation.ccd import CcdTruth
from lsst.ts.calibrationscripts.simulation.repository import (
    certify_references,
    create_repository,
    read_focal_plane,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

Record = Callable[[str, object], None]

WITH_PTC = """\
pipeline_generation: "2022"
script_mode: BIAS_DARK_FLAT
n_flat: 14
exp_times_flat: [5, 5, 10, 10, 15, 15, 20, 20, 25, 25, 30, 30, 35, 35]
filter: SDSSr_65mm
grating: empty_1
generate_calibrations: True
calib_collection: "LATISS/calib/daily/calibs.2022NOV04.1"
certify_calib_begin_date: "2022-11-04"
certify_calib_end_date: "2022-11-05"
do_defects: True
do_ptc: True
"""
ANOTHER_PTC = """\
pipeline_generation: "2022"
n_bias: 6
n_dark: 6
exp_times_dark: [5, 5, 5, 10, 15, 20]
n_flat: 14
exp_times_flat: [0.1, 0.1, 0.35, 0.35, 0.6, 0.6, 0.8, 0.8, 1.0, 1.0, 1.35, 1.35, 1.6, 1.6]
calib_collection: "LATISS/calib/u/plazas/daily.2021SEP13.test1"
do_verify: True
input_collections_verify_bias: "u/czw/DM-28920/calib.20210720,LATISS/calib"
input_collections_verify_dark: "u/czw/DM-28920/calib.20210720,LATISS/calib"
input_collections_verify_flat: "u/czw/DM-28920/calib.20210720,LATISS/calib"
certify_calib_begin_date: "2021-07-15"
certify_calib_end_date: "2021-07-17"
script_mode: BIAS_DARK_FLAT
do_defects: True
do_ptc: True
"""
TIMES_AND_NUMBERS = """\
pipeline_generation: "2022"
n_bias: 30
n_dark: 5
exp_times_dark: [5, 10, 15, 20, 25]
n_flat: 10
exp_times_flat: [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]
"""
SOME_PAIRS = """\
pipeline_generation: "2022"
script_mode: FLAT
exp_times_flat: [0.1, 0.1, 0.35, 0.35, 0.6, 0.6, 1, 1.5, 1.7, 2.1, 2.3]
"""
INTERNAL_VERIFICATION = """\
pipeline_generation: "2022"
generate_calibrations: True
calib_collection: LATISS/calib/daily/calib.2022NOV04.1
certify_calib_begin_date: "2022-11-04"
certify_calib_end_date: "2022-11-05"
"""
FLAT_SETS = """\
pipeline_generation: "2022"
script_mode: BIAS_DARK_FLAT
n_bias: 14
n_dark: 14
exp_times_dark: 15
flat_sets:
  - {filter: SDSSr_65mm, grating: empty_1, exp_times_flat: [5, 5, 10, 10]}
  - {filter: empty_1, grating: SDSSy_65mm, exp_times_flat: [8, 8, 12]}
generate_calibrations: True
calib_collection: LATISS/calib/weekly/calib.2022NOV04.1
certify_calib_begin_date: "2022-11-04"
certify_calib_end_date: "2022-11-05"
"""
THIRD_FILTER = """\
pipeline_generation: "2022"
script_mode: FLAT
n_flat: 3
filter: SDSSi_65mm
grating: empty_1
generate_calibrations: True
do_gain_from_flat_pairs: False
calib_collection: LATISS/calib/weekly/calib.2022NOV04.1
certify_calib_begin_date: "2022-11-04"
certify_calib_end_date: "2022-11-05"
"""
CURRENT_PIPELINES = """\
pipeline_generation: current
n_bias: 14
n_dark: 14
exp_times_dark: 15
exp_times_flat: [5, 5, 10, 10, 15, 15, 25, 25]
generate_calibrations: True
calib_collection: LATISS/calib/daily/calib.2022NOV04.1
certify_calib_begin_date: "2022-11-04"
certify_calib_end_date: "2022-11-05"
do_defects: True
do_ptc: True
"""
CURRENT_FLAT_SETS = """\
pipeline_generation: current
exp_times_flat: [5, 5]
script_mode: FLAT
flat_sets:
  - {filter: SDSSr_65mm, grating: empty_1}
  - {filter: empty_1, grating: SDSSy_65mm}
"""
ONE_BIAS = """\
pipeline_generation: auto
script_mode: BIAS
n_bias: 1
n_discard_bias: 0
generate_calibrations: true
calib_collection: LATISS/calib/daily/calib.2026NOV25.1
certify_calib_begin_date: "2026-11-25"
certify_calib_end_date: "2026-11-26"
"""

EXPERT_COLLECTION = "u/czw/DM-28920/calib.20210720"


@dataclass(frozen=True)
class Run:
    """What ``calibscripts simulate`` left behind."""

    repo: str
    exit_code: int
    output: str
    data: Mapping[str, Any]

    @property
    def calib_collection(self) -> str:
        return str(self.data["config"]["calib_collection"])

    @property
    def stages(self) -> dict[str, Any]:
        return {stage["name"]: stage for stage in self.data["stages"]}

    @property
    def certified(self) -> list[str]:
        return sorted(entry["dataset_type"] for entry in self.data["certifications"])

    @property
    def truth(self) -> CcdTruth:
        return read_focal_plane(Path(self.repo), LATISS).ccds[0].truth

    def collection(self, stage: str) -> str:
        """Return where a stage left its datasets."""
        return str(self.stages[stage]["collection"])

    def kept(self, image_type: str) -> list[int]:
        discarded = self.data["discarded"][image_type]
        return [id for id in self.data["exposures"][image_type] if id not in discarded]

    def pairs(self) -> dict[tuple[int, ...], dict[str, float]]:
        """Return the gains by pair and amplifier."""
        pairs: dict[tuple[int, ...], dict[str, float]] = {}
        for gain in self.data["gains"]:
            pairs.setdefault(tuple(gain["exposures"]), {})[gain["amplifier"]] = gain["gain"]
        return pairs


def simulate(folder: Path, text: str) -> Run:
    """Run a configuration, with a work folder relative to where one is."""
    (folder / "config.yaml").write_text(text)
    (folder / "run.json").unlink(missing_ok=True)
    command = [sys.executable, "-c", "from lsst.ts.calibrationscripts.cli import main; main()"]
    command += ["simulate", "config.yaml", "--workdir", "observatory", "--json", "run.json"]
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
    )
    report = folder / "run.json"
    assert report.exists(), done.stdout
    return Run(str(folder / "observatory/repo"), done.returncode, done.stdout, json.loads(report.read_text()))


Play = Callable[[Path], list[Run]]

SCENARIOS: dict[str, Play] = {}


def scenario(play: Play) -> Any:
    """Turn a function that runs configurations into a fixture."""
    name = play.__name__
    SCENARIOS[name] = play

    @pytest.fixture(scope="module", name=name)
    def outcome(playing: Mapping[str, Future[list[Run]]]) -> list[Run]:
        return playing[name].result()

    return outcome


@pytest.fixture(scope="module")
def playing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[list[Run]]]]:
    """Play the scenarios that the selected tests ask for."""
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    pool = ThreadPoolExecutor(max_workers=2)
    yield {
        name: pool.submit(play, tmp_path_factory.mktemp(name))
        for name, play in SCENARIOS.items()
        if name in wanted
    }
    pool.shutdown(cancel_futures=True)


def errors(measured: Mapping[str, float], truth: Mapping[str, float]) -> np.ndarray:
    """Return the relative errors by amplifier."""
    return np.array([measured[name] / truth[name] - 1 for name in truth])


def assert_gains_are_true(run: Run, n_pairs: int) -> str:
    """Hold each pair to 2 % in the median over amplifiers; describe it."""
    by_pair = [errors(gains, run.truth.gain) for gains in run.pairs().values()]
    assert len(by_pair) == n_pairs
    medians = np.array([np.median(pair) for pair in by_pair])
    assert np.abs(medians).max() < 0.02
    single = np.abs(np.concatenate(by_pair))
    return (
        f"{n_pairs} pair(s): median over amplifiers within {np.abs(medians).max():.2%}; "
        f"of single values {np.median(single):.2%}, largest {single.max():.2%}"
    )


def assert_defects_were_judged(run: Run) -> None:
    """See that the proof has a judgement, and what it compared with."""
    (proof,) = (each for each in run.data["proofs"] if each["subject"] == "DEFECTS")
    assert proof["judgement"] == {"faults": [], "passed": True, "compared": True}
    assert proof["defects"] == run.data["defects"]
    assert proof["defects"][0]["previous"]["run"] == "LATISS/calib/reference"


def assert_curve_is_true(run: Run, ptc: Any) -> str:
    """Hold a photon transfer curve to 1 %; describe it."""
    gain = errors(ptc.gain, run.truth.gain)
    assert abs(np.median(gain)) < 0.01
    assert np.median(np.abs(gain)) < 0.01
    return f"median error {np.median(gain):+.2%}, largest {np.abs(gain).max():.2%}"


@scenario
def with_ptc(folder: Path) -> list[Run]:
    return [simulate(folder, WITH_PTC)]


@scenario
def another_ptc(folder: Path) -> list[Run]:
    # Given a colleague's calibrations of that summer
    repo = folder / "observatory/repo"
    create_repository(repo, LATISS, generation="2022")
    summer = dB.Timespan(Time("2021-07-01", scale="tai"), Time("2021-09-01", scale="tai"))
    with dB.Butler.from_config(str(repo), writeable=True) as butler:
        focal_plane = read_focal_plane(repo, LATISS)
        certify_references(butler, focal_plane, f"{EXPERT_COLLECTION}/run", EXPERT_COLLECTION, summer)
    return [simulate(folder, ANOTHER_PTC)]


@scenario
def internal_verification(folder: Path) -> list[Run]:
    return [simulate(folder, INTERNAL_VERIFICATION) for _ in range(2)]


@scenario
def times_and_numbers(folder: Path) -> list[Run]:
    return [simulate(folder, TIMES_AND_NUMBERS), simulate(folder, SOME_PAIRS)]


@scenario
def flat_sets(folder: Path) -> list[Run]:
    return [simulate(folder, text) for text in (FLAT_SETS, THIRD_FILTER, THIRD_FILTER)]


@scenario
def current_pipelines(folder: Path) -> list[Run]:
    return [simulate(folder, text) for text in (CURRENT_PIPELINES, CURRENT_FLAT_SETS)]


@scenario
def one_bias(folder: Path) -> list[Run]:
    return [simulate(folder, ONE_BIAS)]


class TestIncludingAPhotonTransferCurve:
    """The first example with do_ptc, with a filter and a grating."""

    def test_everything_is_certified(self, with_ptc: list[Run]) -> None:
        (run,) = with_ptc
        assert run.exit_code == 0, run.output
        assert run.certified == ["bias", "dark", "defects", "flat", "ptc"]
        assert {kind: verdict["passed"] for kind, verdict in run.data["verdicts"].items()} == {
            "BIAS": True,
            "DARK": True,
            "FLAT": True,
        }
        # These pipelines verify no curve, and the outcome says so.
        assert run.stages["certify PTC"]["reason"] == "not verified itself, only its frames"

    def test_gains_and_defects_are_those_of_the_ccd(
        self, with_ptc: list[Run], record_property: Record
    ) -> None:
        (run,) = with_ptc
        record_property("procedure's first PTC example, gains of flat pairs", assert_gains_are_true(run, 7))
        truth, exposure = run.truth, run.kept("BIAS")[0]
        with dB.Butler(run.repo, collections=[run.calib_collection]) as butler:
            ptc = butler.get("ptc", detector=0, exposure=exposure, instrument="LATISS")
            defects = butler.get("defects", detector=0, exposure=exposure, instrument="LATISS")
        record_property("procedure's first PTC example, gain of the curve", assert_curve_is_true(run, ptc))
        assert ptc.inputExpIdPairs["C00"] == list(run.pairs())
        mask = defects.mask(truth.hot.shape)
        assert_defects_were_judged(run)
        good = ~(truth.hot | truth.dead)
        assert mask[truth.hot].mean() >= 0.95
        assert mask[good].mean() <= 0.001
        record_property(
            "procedure's first PTC example, defects",
            f"hot pixels found {mask[truth.hot].mean():.1%}, false {mask[good].mean():.5%}",
        )
        # The references were made from the truth.
        assert all(gain["reference"] == truth.gain[gain["amplifier"]] for gain in run.data["gains"])

    def test_calibrations_are_had_by_exposure_id(self, with_ptc: list[Run]) -> None:
        (run,) = with_ptc
        # The procedure's lines
        butler = dB.Butler(run.repo, collections=[run.calib_collection])
        detector = 0
        for exposure in (run.kept("BIAS")[:2], run.kept("FLAT")[-2:]):
            bias = butler.get("bias", detector=detector, exposure=exposure[0], instrument="LATISS")
            dark = butler.get("dark", detector=detector, exposure=exposure[0], instrument="LATISS")
            flat = butler.get("flat", detector=detector, exposure=exposure[0], instrument="LATISS")
            defects = butler.get("defects", detector=detector, exposure=exposure[0], instrument="LATISS")
            ptc = butler.get("ptc", detector=detector, exposure=exposure[0], instrument="LATISS")
            for image, image_type in ((bias, "BIAS"), (dark, "DARK"), (flat, "FLAT")):
                assert image.getMetadata()["IMGTYPE"] == image_type
                assert np.isfinite(image.getImage().getArray()).all()
            assert len(defects) > 0
            assert set(ptc.gain) == {amplifier.getName() for amplifier in bias.getDetector()}
        butler.close()

    def test_gains_of_a_pair_are_had_from_one_of_its_flats(self, with_ptc: list[Run]) -> None:
        (run,) = with_ptc
        truth = run.truth
        butler = dB.Butler(run.repo, collections=[run.collection("generate PTC")])
        for flat1ID, _ in run.pairs():
            cpCov = butler.get("cpPtcExtract", detector=0, exposure=flat1ID, instrument="LATISS")
            gain_values = cpCov.gain
            noise_values = cpCov.noise
            assert abs(np.median(errors(gain_values, truth.gain))) < 0.02
            assert abs(np.median(errors(noise_values, truth.read_noise))) < 0.02
        butler.close()

    def test_statistics_and_images_of_verification_are_had(self, with_ptc: list[Run]) -> None:
        (run,) = with_ptc
        flatExposureID = run.kept("FLAT")[0]
        butler = dB.Butler(run.repo, collections=[run.collection("verify FLAT")])
        runStats = butler.get("verifyFlatStats", instrument="LATISS")
        runDetStats = butler.get(
            "verifyFlatDetStats", instrument="LATISS", detector=0, exposure=flatExposureID
        )
        imProc = butler.get("verifyFlatProc", detector=0, exposure=flatExposureID, instrument="LATISS")
        butler.close()

        assert set(runStats) == {*run.kept("FLAT"), "SUCCESS"}
        assert len(runDetStats["AMP"]) == 16
        calibArray = imProc.getImage().getArray()
        q25, q50, q75 = np.percentile(calibArray.flatten(), [25, 50, 75])
        sigma = 0.74 * (q75 - q25)
        # Shot noise is what is left, as the verification's tests found it.
        assert q50 == pytest.approx(runDetStats["DET"]["MEAN"], rel=1e-3)
        assert sigma == pytest.approx(runDetStats["AMP"]["C00"]["NOISE"], rel=0.05)


class TestAnotherExampleWithPhotonTransferCurve:
    """The second example with do_ptc: other references, no generation."""

    def test_defects_and_curve_alone_are_certified(self, another_ptc: list[Run]) -> None:
        (run,) = another_ptc
        assert run.exit_code == 0, run.output
        assert run.certified == ["defects", "ptc"]
        assert {key: len(run.kept(key)) for key in run.data["exposures"]} == {
            "BIAS": 6,
            "DARK": 6,
            "FLAT": 14,
        }
        # The simulated night lies where what it certifies is valid.
        assert {id // 100_000 for id in run.kept("FLAT")} == {20210715}
        with dB.Butler(run.repo, collections=[run.calib_collection]) as butler:
            for dataset_type in ("defects", "ptc"):
                assert butler.get(dataset_type, detector=0, exposure=run.kept("BIAS")[0], instrument="LATISS")

    @pytest.mark.parametrize("image_type", ["BIAS", "DARK", "FLAT"])
    def test_the_first_of_the_verify_collections_wins(self, another_ptc: list[Run], image_type: str) -> None:
        (run,) = another_ptc
        with dB.Butler(run.repo, collections=[run.collection(f"verify {image_type}")]) as butler:
            exposure = butler.registry.expandDataId(
                instrument="LATISS", detector=0, exposure=run.kept(image_type)[0]
            )
            used = butler.find_dataset(image_type.lower(), exposure, timespan=exposure.timespan)
        assert used is not None
        assert used.run == f"{EXPERT_COLLECTION}/run"

    def test_gains_are_those_of_the_ccd(self, another_ptc: list[Run], record_property: Record) -> None:
        (run,) = another_ptc
        record_property("procedure's second PTC example, gains of flat pairs", assert_gains_are_true(run, 7))
        with dB.Butler(run.repo, collections=[run.calib_collection]) as butler:
            ptc = butler.get("ptc", detector=0, exposure=run.kept("FLAT")[0], instrument="LATISS")
        record_property("procedure's second PTC example, gain of the curve", assert_curve_is_true(run, ptc))


@pytest.mark.nightly
class TestTimesAndNumbers:
    """Other exposure times and numbers of exposures, verified externally."""

    def test_as_many_are_taken_as_were_asked_for(self, times_and_numbers: list[Run]) -> None:
        run, _ = times_and_numbers
        assert run.exit_code == 0, run.output
        assert {key: len(ids) for key, ids in run.data["exposures"].items()} == {
            "BIAS": 31,
            "DARK": 6,
            "FLAT": 11,
        }
        assert run.certified == []

    def test_without_two_equal_times_no_gain_is_measured_and_that_is_said(
        self, times_and_numbers: list[Run]
    ) -> None:
        run, _ = times_and_numbers
        assert "measure GAIN" not in run.stages
        assert run.data["gains"] == []
        assert any("No gain can be measured" in notice for notice in run.data["notices"])

    def test_gains_come_from_the_pairs_there_are(
        self, times_and_numbers: list[Run], record_property: Record
    ) -> None:
        _, run = times_and_numbers
        assert run.exit_code == 0, run.output
        flats = run.kept("FLAT")
        assert list(run.pairs()) == [(flats[0], flats[1]), (flats[2], flats[3]), (flats[4], flats[5])]
        record_property("procedure's flats with three pairs, gains", assert_gains_are_true(run, 3))


@pytest.mark.nightly
class TestInternalVerification:
    """The example that certifies for a day, its typing errors fixed."""

    def test_what_was_made_is_certified_and_had(self, internal_verification: list[Run]) -> None:
        run, _ = internal_verification
        assert run.exit_code == 0, run.output
        assert run.certified == ["bias", "dark", "flat"]
        with dB.Butler(run.repo, collections=[run.calib_collection]) as butler:
            for image_type in ("BIAS", "DARK", "FLAT"):
                image = butler.get(
                    image_type.lower(), detector=0, exposure=run.kept(image_type)[0], instrument="LATISS"
                )
                assert image.getMetadata()["NCOMBINE"] == len(run.kept(image_type))

    def test_again_it_is_refused_before_the_first_exposure(self, internal_verification: list[Run]) -> None:
        _, again = internal_verification
        assert again.exit_code == 1
        assert not any(again.data["exposures"].values())
        assert "Write another calib_collection" in again.output


class TestFlatSets:
    """Several filter and grating pairs in one run, and then one more."""

    R, Y = "SDSSr_65mm~empty_1", "empty_1~SDSSy_65mm"

    def test_each_set_has_its_own_verdict_and_flat(self, flat_sets: list[Run]) -> None:
        run, *_ = flat_sets
        assert run.exit_code == 0, run.output
        assert set(run.data["verdicts"]) == {"BIAS", "DARK", f"FLAT {self.R}", f"FLAT {self.Y}"}
        assert run.certified == ["bias", "dark", "flat", "flat"]
        flats = run.kept("FLAT")
        assert len(flats) == 4 + 3
        with dB.Butler(run.repo, collections=[run.calib_collection]) as butler:
            for name, ids in ((self.R, flats[:4]), (self.Y, flats[4:])):
                verdict = run.data["verdicts"][f"FLAT {name}"]
                assert [exposure["exposure"] for exposure in verdict["exposures"]] == ids
                for id in ids:
                    flat = butler.get("flat", detector=0, exposure=id, instrument="LATISS")
                    header = flat.getMetadata()
                    assert f"{header['FILTER']}~{header['GRATING']}" == name
                    assert header["NCOMBINE"] == len(ids)

    def test_each_set_has_gains_of_its_own_pairs(self, flat_sets: list[Run], record_property: Record) -> None:
        run, *_ = flat_sets
        flats = run.kept("FLAT")
        assert set(run.pairs()) == {(flats[0], flats[1]), (flats[2], flats[3]), (flats[4], flats[5])}
        record_property("two flat sets, gains of flat pairs", assert_gains_are_true(run, 3))

    def test_another_filter_can_be_added_to_the_collection(self, flat_sets: list[Run]) -> None:
        _, third, _ = flat_sets
        assert third.exit_code == 0, third.output
        (certification,) = third.data["certifications"]
        assert certification["physical_filter"] == "SDSSi_65mm~empty_1"

    def test_the_same_filter_cannot(self, flat_sets: list[Run]) -> None:
        *_, again = flat_sets
        assert again.exit_code == 1
        assert again.data["exposures"].get("FLAT", []) == []
        assert "Write another calib_collection" in again.output


@pytest.mark.nightly
class TestCurrentPipelines:
    """The same procedure with the pipelines of today."""

    def test_the_curve_is_verified_before_it_is_certified(self, current_pipelines: list[Run]) -> None:
        run, _ = current_pipelines
        assert run.exit_code == 0, run.output
        assert run.certified == ["bias", "dark", "defects", "flat", "ptc"]
        for product in ("BIAS", "DARK", "FLAT", "PTC"):
            assert run.data["verdicts"][product]["passed"]
            assert run.stages[f"verify {product}"]["outcome"] == "PASSED"
            assert run.stages[f"certify {product}"]["outcome"] == "CERTIFIED"
            assert "without verification" not in run.stages[f"certify {product}"]["reason"]

    def test_defects_are_judged_before_they_are_certified(self, current_pipelines: list[Run]) -> None:
        run, _ = current_pipelines
        assert_defects_were_judged(run)

    def test_gains_are_those_of_the_ccd(self, current_pipelines: list[Run], record_property: Record) -> None:
        run, _ = current_pipelines
        record_property("current pipelines, gains of flat pairs", assert_gains_are_true(run, 4))
        with dB.Butler(run.repo, collections=[run.calib_collection]) as butler:
            ptc = butler.get("ptc", detector=0, exposure=run.kept("FLAT")[0], instrument="LATISS")
        record_property("current pipelines, gain of the curve", assert_curve_is_true(run, ptc))

    def test_each_flat_set_has_statistics_of_its_own(self, current_pipelines: list[Run]) -> None:
        _, run = current_pipelines
        assert run.exit_code == 0, run.output
        for name, ids in (
            ("SDSSr_65mm~empty_1", run.kept("FLAT")[:2]),
            ("empty_1~SDSSy_65mm", run.kept("FLAT")[2:]),
        ):
            assert run.data["verdicts"][f"FLAT {name}"]["passed"]
            with dB.Butler(run.repo, collections=[run.collection(f"verify FLAT {name}")]) as butler:
                statistics = butler.get("verifyFlatStats", instrument="LATISS", physical_filter=name)
            assert set(ids) <= set(statistics)


class TestOneBias:
    """A bias of one frame, of which its verification leaves 0 / 0."""

    def test_it_is_held_and_its_job_does_not_fail(self, one_bias: list[Run]) -> None:
        (run,) = one_bias
        assert run.exit_code == 3, run.output
        verify = run.stages["verify BIAS"]
        assert verify["outcome"] == "HELD"
        assert verify["reason"].startswith("1 of 1 exposures fail ")
        assert run.certified == []
        assert "RXX_S00 C00 CR_NOISE" in run.output

    def test_the_plan_says_which_pipelines_run(self, one_bias: list[Run]) -> None:
        (run,) = one_bias
        assert run.data["config"]["pipeline_generation"] == "current"
        assert "Pipelines: generation current of cp_pipe and cp_verify" in run.output
