# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations of cameras other than LATISS."""

from __future__ import annotations

import dataclasses

import jsonschema
import pytest
import yaml
from lsst.ts.calibrationscripts.config import ConfigurationError, FlatSet, load_schema, parse, schema_text
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS, Components, Detector, Instrument
from lsst.ts.calibrationscripts.products import Product, Subject

AMPLIFIERS = tuple(f"C{i:02}" for i in range(8))
DUO = Instrument(
    name="Duo",
    detectors=(Detector(0, "R00_S00", AMPLIFIERS), Detector(1, "R00_S01", AMPLIFIERS)),
    components=Components(camera="DuoCamera", header_service="DuoHeaderService", oods="DuoOODS"),
    ocps_index=9,
    image_prefix="DU",
    wheels=("filter",),
    wheel_slots=6,
    flat_examples=(("red",), ("blue",)),
    pipelines_folder="Duo",
    repo="/repo/duo",
)
BARE = dataclasses.replace(DUO, name="Bare", wheels=(), flat_examples=None)
WITHOUT_EXAMPLES = dataclasses.replace(DUO, flat_examples=None)

CAMERAS = [*INSTRUMENTS.values(), DUO, BARE, WITHOUT_EXAMPLES]


def lines(text: str, camera: Instrument = DUO) -> list[str]:
    """Return the problems as the observer reads them."""
    with pytest.raises(ConfigurationError) as caught:
        parse(text, camera)
    return list(map(str, caught.value.problems))


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda camera: camera.name)
def test_every_camera_has_a_schema_whose_defaults_are_valid(camera: Instrument) -> None:
    schema = load_schema(camera)

    jsonschema.Draft7Validator.check_schema(schema)
    defaults = {key: entry["default"] for key, entry in schema["properties"].items()}
    jsonschema.Draft7Validator(schema).validate(defaults)
    assert yaml.safe_load(schema_text(camera)) == schema
    assert "<" not in schema_text(camera)


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda camera: camera.name)
def test_every_camera_has_a_configuration_with_the_keys_of_its_schema(camera: Instrument) -> None:
    config = parse("", camera)

    data = config.to_dict()
    assert list(data) == list(load_schema(camera)["properties"])
    assert parse(yaml.safe_dump(data), camera) == config
    assert config.notices == ()


@pytest.mark.parametrize("camera", [DUO, BARE, WITHOUT_EXAMPLES], ids=["Duo", "Bare", "without examples"])
def test_nothing_in_the_schema_of_another_camera_is_of_latiss(camera: Instrument) -> None:
    text = schema_text(camera)

    assert not [word for word in ("LATISS", "Latiss", "SDSS", "empty_1", "grating") if word in text]


def test_the_schema_has_the_facts_of_the_camera() -> None:
    schema = load_schema(DUO)
    properties = schema["properties"]

    assert schema["title"] == "MakeDuoCalibrations v1"
    assert schema["$id"].endswith("/schema/make_duo_calibrations.yaml")
    assert properties["repo"]["default"] == "/repo/duo"
    assert properties["calib_collection"]["default"] == "Duo/calib/daily"
    assert properties["input_collections_bias"]["default"] == "Duo/calib"
    assert properties["filter"]["maximum"] == 5
    assert (
        "for example red, or its ID, its place in the list of filters that DuoCamera reports, 0 to 5"
        in (properties["filter"]["description"])
    )
    assert "Duo has 2 detectors" in properties["detectors"]["description"]
    # An exposure fails by twice the threshold, and there are 16 amplifiers.
    assert (
        "above 8, no bias can fail" in (properties["number_verification_tests_threshold_bias"]["description"])
    )


def test_a_camera_without_gratings_has_none_in_its_configuration() -> None:
    assert load_schema(DUO)["properties"].keys() >= {"filter", "flat_sets"}
    assert "grating" not in load_schema(DUO)["properties"]
    assert load_schema(DUO)["properties"]["flat_sets"]["items"]["properties"].keys() == {
        "filter",
        "n_flat",
        "exp_times_flat",
    }

    assert lines("grating: 1\nflat_sets: [{filter: red, grating: 1}]") == [
        "grating: unknown; leave it out (line 1)",
        "flat_sets[0].grating: unknown; leave it out (line 2)",
    ]


def test_a_camera_without_wheels_has_no_sets_of_flats() -> None:
    assert lines("filter: red\nflat_sets: [{filter: red}]", BARE) == [
        "filter: unknown; leave it out (line 1)",
        "flat_sets: unknown; leave it out (line 2)",
    ]


def test_sets_of_flats_are_named_by_the_wheels_that_there_are() -> None:
    config = parse("flat_sets: [{filter: red}, {filter: 3, exp_times_flat: 9}]", DUO)

    assert [series.subject for series in config.series[2:]] == [
        Subject(Product.FLAT, "red"),
        Subject(Product.FLAT, "3"),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "detectors: [0, 2]",
            "detectors: [0, 2]: Duo has no detector 2; write [0, 1], or leave detectors out",
        ),
        ("filter: 6", "filter: 6: is too large; write 5 or less"),
        ("filter: [1]", "filter: [1]: must be text or a whole number or null; write for example red"),
        ("flat_sets: []", "flat_sets: []: is empty; write for example [{filter: red}, {filter: blue}]"),
        ("flat_sets: [red]", "flat_sets[0]: 'red': must be a mapping of filter, n_flat and exp_times_flat; "),
        (
            "calib_collection: ''",
            "calib_collection: '': is empty; write a collection, for example Duo/calib/daily",
        ),
        ("repo: ''", "repo: '': is empty; write a Butler repository, for example /repo/duo"),
        (
            "flat_sets: [{filter: red}, {filter: red, n_flat: 2}]",
            "flat_sets[1]: 'red': has the filter of flat_sets[0]; "
            "leave one of the two out, or write another filter",
        ),
    ],
)
def test_hints_are_about_the_camera(text: str, line: str) -> None:
    (found,) = lines(text)

    assert found.startswith(line)


def test_one_of_two_detectors_may_be_processed() -> None:
    assert parse("detectors: [1]", DUO).detectors == (1,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "that needs 18 failures, Duo has 16 amplifiers in 2 detectors"),
        ("detectors: [1]", "Duo has 8 amplifiers"),
    ],
)
def test_a_threshold_that_cannot_be_reached_is_noticed(text: str, why: str) -> None:
    threshold = "number_verification_tests_threshold_dark"

    assert parse(f"{text}\n{threshold}: 8", DUO).notices == ()
    assert parse(f"{text}\n{threshold}: 9", DUO).notices == (f"{threshold} is 9: no dark can fail, {why}.",)


def test_sets_are_written_out_with_the_wheels_that_there_are() -> None:
    config = parse("script_mode: FLAT\nflat_sets: [{filter: red, n_flat: 2}]", DUO)

    assert config.flat_sets == (FlatSet("red", None, 2, (5.0,) * 3),)
    assert config.to_dict()["flat_sets"] == [
        {"filter": "red", "n_flat": 2, "exp_times_flat": [5.0, 5.0, 5.0]}
    ]


def test_a_run_of_another_camera_is_resumed() -> None:
    first = parse("flat_sets: [{filter: red}, {filter: blue}]", DUO).to_dict()

    config = parse("resume: a-1", DUO, lambda run_id, journal_dir: first)

    assert config.to_dict() == first | {"resume": "a-1"}
