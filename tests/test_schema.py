# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema is what LOVE shows and what the script queue fills in."""

from __future__ import annotations

import subprocess
import sys

import jsonschema
import pytest
from lsst.ts.calibrationscripts.config import CalibrationConfig, load_schema, parse, schema_text
from lsst.ts.calibrationscripts.config._schema import write_schema
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS, LATISS, Instrument

PROPERTIES = load_schema(LATISS)["properties"]
SET_PROPERTIES = PROPERTIES["flat_sets"]["items"]["properties"]

# As the procedure gives them.
PROCEDURE_DEFAULTS = {
    "script_mode": "BIAS_DARK_FLAT",
    "n_bias": 20,
    "n_discard_bias": 1,
    "n_dark": 22,
    "n_discard_dark": 1,
    "exp_times_dark": [5] * 5 + [15] * 2 + [30] * 16,
    "n_flat": 20,
    "n_discard_flat": 1,
    "exp_times_flat": 5,
    "filter": None,
    "grating": None,
    "detectors": [],
    "do_verify": True,
    "generate_calibrations": False,
    "config_options_bias": None,
    "config_options_dark": None,
    "config_options_flat": None,
    "do_defects": False,
    "config_options_defects": None,
    "do_ptc": False,
    "config_options_ptc": None,
    "do_gain_from_flat_pairs": True,
    "input_collections_bias": "LATISS/calib",
    "input_collections_verify_bias": "LATISS/calib",
    "input_collections_dark": "LATISS/calib",
    "input_collections_verify_dark": "LATISS/calib",
    "input_collections_flat": "LATISS/calib",
    "input_collections_verify_flat": "LATISS/calib",
    "input_collections_defects": "LATISS/calib",
    "input_collections_ptc": "LATISS/calib",
    "calib_collection": "LATISS/calib/daily",
    "repo": "/repo/LATISS",
    "n_processes": 8,
    "certify_calib_begin_date": "1950-01-01",
    "certify_calib_end_date": "2050-01-01",
    "oods_timeout": 120,
}
IN_USE_DEFAULTS = {
    "flat_sets": None,
    "exposures": None,
    "resume": None,
    "without": [],
    "without_reason": None,
    "without_by": None,
    "certify": "each",
    "pipeline_generation": "auto",
    "keep_order": False,
    "release": False,
    "wait_between_exposures": 0,
    "flat_counts": None,
    "flat_counts_min": None,
    "flat_counts_max": None,
    "spoilt_frames": "report",
    "retakes": 0,
    "preconditions": "check",
    "ignore": [],
    "certify_if": "passed",
    "incomplete": "hold",
    "hold_out": 0,
    "strict": False,
    "number_verification_tests_threshold_bias": 8,
    "number_verification_tests_threshold_dark": 8,
    "number_verification_tests_threshold_flat": 8,
    "background_task_timeout": None,
    "job_timeout": 3600,
    "job_retries": 1,
    "job_service": "ocps",
    "bps_config": None,
    "fail_on": [],
    "journal_dir": None,
    "publish": None,
    "notify": [],
    # Not the procedure's /scratch/uws/{job_id}/outs: lsst-dm/uws-api-server
    # 763f609 (and since f232932, March 2021) makes <mount>/jobs/{job_id}/out,
    # lsst-dm/uws_scripts 6b6d9b1 writes ocps.log there, and lsst-sqre/phalanx
    # 650a0ef2 (applications/uws/values-summit.yaml) mounts /scratch/uws.
    "ocps_log_path": "/scratch/uws/jobs/{job_id}/out/ocps.log",
    "program": None,
    "reason": None,
    "note": None,
    "test_case": None,
}


def test_the_schema_is_draft_07_and_flat() -> None:
    schema = load_schema(LATISS)

    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert schema["title"] == "MakeLatissCalibrations v1"
    assert schema["additionalProperties"] is False


def test_the_defaults_are_those_of_the_procedure() -> None:
    defaults = {key: entry["default"] for key, entry in PROPERTIES.items()}

    assert defaults == PROCEDURE_DEFAULTS | IN_USE_DEFAULTS
    jsonschema.Draft7Validator(load_schema(LATISS)).validate(defaults)


@pytest.mark.parametrize("key", PROPERTIES)
def test_every_property_has_a_description_for_the_observer(key: str) -> None:
    description = PROPERTIES[key]["description"]

    assert len(description) > 20
    assert description.endswith(".")


@pytest.mark.parametrize("key", SET_PROPERTIES)
def test_a_set_of_flats_has_parameters_of_the_whole_run(key: str) -> None:
    ours, of_the_run = SET_PROPERTIES[key], PROPERTIES[key]

    limits = ["minimum", "maximum", "minItems", "maxItems", "maxLength", "items"]
    assert [ours.get(limit) for limit in limits] == [of_the_run.get(limit) for limit in limits]
    assert set(ours["type"]) == {*of_the_run["type"], "null"}
    assert f"parameter {key} says" in ours["description"] or key == "exp_times_flat"


@pytest.mark.parametrize("key", ["filter", "grating"])
def test_the_wheels_have_slots_0_to_3(key: str) -> None:
    assert (PROPERTIES[key]["minimum"], PROPERTIES[key]["maximum"]) == (0, 3)


@pytest.mark.parametrize("key", [key for key in PROPERTIES if "timeout" in key or "exp_times" in key])
def test_times_name_their_unit(key: str) -> None:
    assert "seconds" in PROPERTIES[key]["description"]


def test_the_deprecated_parameter_says_so() -> None:
    assert PROPERTIES["background_task_timeout"]["description"].startswith("Deprecated")


def test_script_modes() -> None:
    assert PROPERTIES["script_mode"]["enum"] == ["BIAS", "DARK", "FLAT", "BIAS_DARK", "BIAS_DARK_FLAT"]


def test_each_property_has_one_attribute() -> None:
    assert parse("", LATISS).to_dict().keys() == PROPERTIES.keys()


def test_a_callers_changes_stay_his_own() -> None:
    load_schema(LATISS)["properties"].clear()

    assert load_schema(LATISS)["properties"]
    assert isinstance(parse("", LATISS), CalibrationConfig)


@pytest.mark.parametrize("camera", INSTRUMENTS.values(), ids=lambda camera: camera.name)
def test_the_document_of_a_camera_is_the_one_made_from_the_base(camera: Instrument) -> None:
    # If not: python -m lsst.ts.calibrationscripts.config
    assert schema_text(camera) == write_schema(camera)


@pytest.mark.parametrize(
    ("call", "unwanted"),
    [
        # The script queue gives `script 0 --schema` a few seconds.
        ("schema_text", {"numpy", "astropy", "jsonschema", "lsst.daf", "lsst.pipe", "yaml"}),
        ("load_schema", {"numpy", "astropy", "jsonschema", "lsst.daf", "lsst.pipe"}),
    ],
)
def test_the_schema_loads_without_anything_heavy(call: str, unwanted: set[str]) -> None:
    code = (
        f"import sys; from lsst.ts.calibrationscripts.config import {call}; "
        f"from lsst.ts.calibrationscripts.instruments import LATISS; {call}(LATISS); "
        f"print(*{unwanted} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stdout.strip()) == (0, "")
