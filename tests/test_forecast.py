# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a forecast says, and that what it proposes helps."""

from __future__ import annotations

import datetime
import importlib.util
import itertools
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.forecast import (
    Facts,
    Finding,
    Forecast,
    Kind,
    Level,
    MissingCalibration,
    forecast_text,
    make_forecast,
)
from lsst.ts.calibrationscripts.instruments import LATISS, LSSTCAM, LSSTCOMCAM, Instrument
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.pipelines import GENERATIONS
from lsst.ts.calibrationscripts.plan import disk_needed, make_plan
from lsst.ts.calibrationscripts.products import Product, StageId, StageKind, Subject
from made_up_camera import DUO
from named import unfolded

OLD = "pipeline_generation: '2022'\ngenerate_calibrations: true\n"
NEW = "pipeline_generation: current\ngenerate_calibrations: true\n"


def forecast(text: str, facts: Facts | None = None, instrument: Instrument = LATISS) -> Forecast:
    config = parse(text, instrument)
    return make_forecast(config, make_plan(config, instrument), instrument, facts)


def failures(text: str, facts: Facts | None = None) -> dict[str, Level]:
    """Return the verifications that fail, and how sure that is."""
    return {
        stage.name: finding.level for finding in forecast(text, facts).failures for stage in finding.stages
    }


def only(findings: Sequence[Finding]) -> Finding:
    (finding,) = findings
    return finding


# Frames that are verified with what is combined of them


def test_the_fewest_frames_follow_from_the_tolerance() -> None:
    assert GENERATIONS["2022"].fewest_frames == 11
    assert GENERATIONS["current"].fewest_frames == 2


@pytest.mark.parametrize("n", range(1, 14))
def test_fewer_than_11_frames_cannot_pass_where_noise_is_tested_on_both_sides(n: int) -> None:
    text = f"{OLD}script_mode: BIAS\nn_bias: {n}"
    found = failures(text)
    if n < 6:
        # An amplifier would need more noise than the test allows with many.
        assert found == {"verify BIAS": Level.CERTAIN}
    else:
        assert found == ({"verify BIAS": Level.LIKELY} if n < 10 else {})
    if n == 10:
        # It is 94.9 % against 95 %, which some of the simulated runs pass.
        finding = only(forecast(text).findings)
        assert finding.level is Level.REMARK
        assert "94.9% of the noise of each is left" in finding.text and "may fail" in finding.text
        assert "Write n_bias: 20, 11 at the least." in finding.text
    assert (Kind.NOISE in {each.kind for each in forecast(text).findings}) == (n < 11)


@pytest.mark.parametrize("n", range(2, 14))
def test_today_few_frames_pass(n: int) -> None:
    assert failures(f"{NEW}script_mode: BIAS_DARK\nn_bias: {n}\nn_dark: {n}\nexp_times_dark: 30") == {}


def test_frames_compared_with_references_may_be_few() -> None:
    assert failures("pipeline_generation: '2022'\nscript_mode: BIAS\nn_bias: 1") == {}


def test_nothing_is_left_of_one_frame() -> None:
    assert failures(f"{NEW}script_mode: BIAS\nn_bias: 1") == {"verify BIAS": Level.CERTAIN}
    # With options of its own, it is corrected otherwise than it is verified.
    options = "config_options_bias: -c cpBiasIsr:doLinearize=False"
    assert failures(f"{NEW}script_mode: BIAS\nn_bias: 1\n{options}") == {"verify BIAS": Level.LIKELY}
    # A dark is divided by its time, which leaves what is rounded.
    dark = "script_mode: DARK\nn_dark: 1\nexp_times_dark: 30"
    assert failures(f"{NEW}{dark}") == {"verify DARK": Level.LIKELY}
    assert failures(f"{OLD}{dark}") == {"verify DARK": Level.CERTAIN}


def test_long_darks_have_noise_of_their_own() -> None:
    text = f"{OLD}script_mode: DARK\nn_dark: 5\nexp_times_dark: "
    assert failures(f"{text}1") == {"verify DARK": Level.CERTAIN}
    assert failures(f"{text}30") == {"verify DARK": Level.LIKELY}
    assert failures(f"{text}1000") == {}


def test_of_darks_of_several_times_nothing_is_certain() -> None:
    assert failures(f"{OLD}script_mode: DARK\nn_dark: 3\nexp_times_dark: [10, 10, 11]") == {
        "verify DARK": Level.LIKELY
    }


def test_named_exposures_count_too() -> None:
    ids = [2026112300001, 2026112300002]
    text = f"{OLD}script_mode: DARK\nexposures: {{DARK: {ids}}}"
    assert failures(text) == {"verify DARK": Level.LIKELY}
    finding = only(forecast(text, Facts(exp_times=dict.fromkeys(ids, 5.0))).failures)
    assert finding.level is Level.CERTAIN
    assert finding.remedy == "Name more exposures in exposures.DARK: 20, 11 at the least."


def test_what_needs_a_held_product_is_named() -> None:
    finding = only(forecast(f"{OLD}script_mode: BIAS_DARK\nn_bias: 3").failures)
    assert finding.stages == (StageId(StageKind.VERIFY, Subject(Product.BIAS)),)
    assert finding.outcome is Outcome.HELD
    assert [stage.name for stage in finding.skipped] == [
        "certify BIAS",
        "generate DARK",
        "verify DARK",
        "certify DARK",
    ]


def test_certified_together_none_is_certified_if_one_is_held() -> None:
    text = f"{OLD}script_mode: BIAS_DARK\nn_dark: 2\nexp_times_dark: 5\ncertify: together"
    finding = only(forecast(text).failures)
    assert [stage.name for stage in finding.skipped] == ["certify BIAS", "certify DARK"]


def test_without_verification_nothing_fails_it() -> None:
    assert failures(f"{OLD}script_mode: BIAS\nn_bias: 1\ndo_verify: false") == {}


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    "data", [{"script_mode": "BIAS", "n_bias": 1}, {"script_mode": "DARK", "n_dark": 1, "exp_times_dark": 30}]
)
def test_what_it_proposes_helps(generation: str, data: dict[str, Any]) -> None:
    data = data | {"pipeline_generation": generation, "generate_calibrations": True}
    finding = only(forecast(yaml.safe_dump(data)).failures)
    # When the keys are written that the remedy has
    proposed = {key: yaml.safe_load(value) for key, value in re.findall(r"(\w+): ([\d.]+)", finding.remedy)}
    assert proposed
    # Then the configuration is valid, and nothing fails any more; and with
    # the least that it names neither.
    assert not failures(yaml.safe_dump(data | proposed))
    (least,) = re.findall(r"(\d+) at the least", finding.remedy)
    (n_key,) = [key for key in proposed if key.startswith("n_")]
    assert not failures(yaml.safe_dump(data | proposed | {n_key: int(least)}))


# What cannot fail


def test_a_threshold_above_the_amplifiers_is_a_remark() -> None:
    text = f"{OLD}script_mode: BIAS\nn_bias: 3\nnumber_verification_tests_threshold_bias: "
    finding = only(forecast(f"{text}17").findings)
    assert (finding.kind, finding.level, finding.fails) == (Kind.THRESHOLD, Level.REMARK, False)
    # In the words of the notice, so that it is shown once.
    assert finding.notice in parse(f"{text}17", LATISS).notices
    assert Kind.THRESHOLD not in {each.kind for each in forecast(f"{text}16").findings}
    assert failures(f"{text}16")


def test_thresholds_count_over_the_detectors() -> None:
    n = sum(len(detector.amplifiers) for detector in DUO.detectors)
    key = "number_verification_tests_threshold_bias"
    most = max(
        threshold
        for threshold in range(1, n + 2)
        if not forecast(f"script_mode: BIAS\n{key}: {threshold}", instrument=DUO).findings
    )
    config = parse(f"script_mode: BIAS\n{key}: {most + 1}", DUO)
    assert only(forecast(f"script_mode: BIAS\n{key}: {most + 1}", instrument=DUO).findings).notice in (
        config.notices
    )


# Pairs of flats, dates


def test_flats_without_pairs_give_no_gain() -> None:
    text = f"{NEW}script_mode: FLAT\nn_flat: 3\nexp_times_flat: [1, 2, 3]"
    finding = only(forecast(text).findings)
    assert (finding.kind, finding.level) == (Kind.PAIRS, Level.REMARK)
    assert finding.notice in parse(text, LATISS).notices


def test_named_flats_without_pairs_fail_the_ptc() -> None:
    ids = {
        name: [2026112300001 + 10 * i + k for k in range(2)]
        for i, name in enumerate(("BIAS", "DARK", "FLAT"))
    }
    text = f"{NEW}exposures: {ids}\ndo_ptc: true"
    assert "generate PTC" not in failures(text)
    times = dict.fromkeys(itertools.chain(*ids.values()), 5.0)
    assert "generate PTC" not in failures(text, Facts(exp_times=times))
    times[ids["FLAT"][1]] = 6.0
    assert failures(text, Facts(exp_times=times))["generate PTC"] is Level.CERTAIN


def test_dates_that_miss_the_frames_are_a_remark_on_what_is_certified() -> None:
    dates = 'certify_calib_begin_date: "2026-11-20"\ncertify_calib_end_date: "2026-11-21"'
    begin = datetime.datetime(2026, 11, 23, 14, tzinfo=datetime.UTC)
    finding = only(forecast(f"{NEW}script_mode: BIAS\n{dates}", Facts(begin=begin)).findings)
    assert (finding.kind, finding.level) == (Kind.VALIDITY, Level.REMARK)
    assert [stage.name for stage in finding.stages] == ["certify BIAS"]
    assert finding.remedy.startswith('Write certify_calib_begin_date: "2026-11-23T12:00:00"')


# What the repository says


def test_a_missing_calibration_is_certain_to_fail_the_jobs_that_need_it() -> None:
    stage = StageId(StageKind.VERIFY, Subject(Product.FLAT))
    lacking = MissingCalibration("flat", (stage,), "none through SDSSr_65mm~empty", "Have one certified")
    finding = only(
        forecast("script_mode: FLAT\nn_flat: 2\nexp_times_flat: 2", Facts(missing=(lacking,))).failures
    )
    assert (finding.kind, finding.level, finding.stages) == (Kind.CALIBRATION, Level.CERTAIN, (stage,))
    assert "flat: none through SDSSr_65mm~empty" in finding.text and "Have one certified." in finding.text


def test_a_disk_that_does_not_suffice_will_most_likely_fail_the_run() -> None:
    config = parse("", LATISS)
    needed = disk_needed(config, make_plan(config, LATISS), LATISS)
    assert failures("", Facts(free_space=needed)) == {}
    finding = only(forecast("", Facts(free_space=needed - 1)).failures)
    assert (finding.kind, finding.level, finding.stages) == (Kind.DISK, Level.LIKELY, ())


def test_of_a_resumed_run_the_disk_is_needed_for_what_is_left() -> None:
    config = parse("", LATISS)
    plan = make_plan(config, LATISS)
    left = plan.only_for([StageId(StageKind.VERIFY, Subject(Product.BIAS))])
    needed = disk_needed(config, left, LATISS)
    assert 0 < needed < disk_needed(config, plan, LATISS)
    assert not forecast("", Facts(left=left, free_space=needed)).failures


# How it is shown


def test_the_text_fits_80_columns_and_leaves_out_what_is_said_already() -> None:
    text = f"{OLD}n_bias: 5\nnumber_verification_tests_threshold_flat: 17"
    said = parse(text, LATISS).notices
    shown = forecast_text(forecast(text, Facts(unknown=("the moon",))), 80, said)
    assert max(map(len, shown.splitlines())) <= 80
    joined = " ".join(shown.split())
    assert "verify BIAS is certain to fail" in joined and "not looked at: the moon" in joined
    assert "no flat can fail" not in joined
    assert forecast_text(Forecast(()), 80) == "Forecast: nothing is known that fails."


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    file = tmp_path / "few.yaml"
    file.write_text(f"{OLD}script_mode: BIAS\nn_bias: 3\nrepo: /repo/not/here\n")
    return file


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_the_commands_print_it_and_strict_refuses(command: str, failing: Path) -> None:
    result = CliRunner().invoke(main, [command, str(failing)])
    assert result.exit_code == 0, result.output
    assert "verify BIAS is certain to fail" in result.stdout
    failing.write_text(f"{failing.read_text()}strict: true\n")
    result = CliRunner().invoke(main, [command, str(failing)])
    assert result.exit_code == 2
    assert "strict: verify BIAS is certain to fail" in unfolded(result.stderr)
    assert "Write n_bias: 20, 11 at the least." in unfolded(result.stderr)


def test_the_json_of_a_plan_has_the_forecast(failing: Path) -> None:
    result = CliRunner().invoke(main, ["plan", str(failing), "--json"])
    data = json.loads(result.stdout)["forecast"]
    assert data["fails"] is True
    assert data["not_looked_at"] == ["/repo/not/here, which is not here; the script looks at it"]
    (finding,) = data["findings"]
    assert (finding["level"], finding["kind"], finding["stages"]) == ("certain", "noise", ["verify BIAS"])
    assert (finding["outcome"], finding["skipped"]) == ("HELD", ["certify BIAS"])


# Against the simulation


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    file = Path(__file__).parents[1] / "benchmarks" / "forecasts.py"
    spec = importlib.util.spec_from_file_location("forecasts", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look themselves up there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_forecasts_hold_for_frames_of_the_simulation(benchmark: ModuleType) -> None:
    """A few of what ``benchmarks/forecasts.py`` plays 200 of."""
    base = {"generate_calibrations": True, "script_mode": "BIAS_DARK", "exp_times_dark": 5}
    few = [
        base | {"pipeline_generation": generation, "n_bias": n_bias, "n_dark": n_dark}
        for generation, n_bias, n_dark in (
            ("2022", 3, 12),
            ("2022", 12, 4),
            ("current", 1, 2),
            ("current", 3, 3),
        )
    ]
    never = base | {
        "pipeline_generation": "2022",
        "n_bias": 2,
        "number_verification_tests_threshold_bias": 17,
    }
    false: list[str] = []
    counts = benchmark.count((benchmark.play(data, 7) for data in (*few, never)), false.append)
    assert not false
    assert counts["certain", True] >= 3 and counts["remark", True] == 1
    # What it says nothing of passes.
    assert set(benchmark.play(few[3], 7).outcomes.values()) == {Outcome.PASSED}


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_forecasts_hold_for_whole_runs(benchmark: ModuleType, tmp_path: Path) -> None:
    source = (data for data in benchmark.configurations(2) if data["pipeline_generation"] == "2022")
    false: list[str] = []
    runs = (
        benchmark.run(data | {"calib_collection": f"LATISS/calib/f{i}"}, tmp_path)
        for i, data in enumerate(itertools.islice(source, 3))
    )
    counts = benchmark.count(runs, lambda text: false.append(text) if not text.startswith("likely") else None)
    assert not false
    assert sum(counts.values())


@pytest.mark.parametrize("detectors", [[0, 90, 92, 204], [0]])
def test_flats_of_lsstcam_cannot_be_made_without_the_middle_of_the_focal_plane(detectors: list[int]) -> None:
    # Given detectors of which none is within 25 mm of the middle, by which
    # cpFlatFitGradients normalizes the flats (cp_pipe f029a3f2,
    # cpFlatGradients.py: the median of no pixel, then a fit to no pixel)
    text = "{script_mode: FLAT, generate_calibrations: true, do_gain_from_flat_pairs: false, detectors: %s}"
    finding = only(forecast(text % detectors, instrument=LSSTCAM).failures)
    # Then it is known before the first flat that none comes of them,
    assert (finding.kind, finding.level) == (Kind.DETECTORS, Level.CERTAIN)
    assert [stage.name for stage in finding.stages] == ["generate FLAT"]
    assert "compares the detectors with one of 91, 93-95, 97" in finding.cause
    # and one of those that are named is enough.
    assert not forecast(text % [*detectors, 97], instrument=LSSTCAM).failures
    assert not forecast(text % [0], instrument=LSSTCOMCAM).failures
    external = text.replace("generate_calibrations: true, ", "")
    assert not forecast(external % detectors, instrument=LSSTCAM).failures
