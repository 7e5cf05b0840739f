# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cameras: obs_lsst 0e84d755, and ts_externalscripts 34c05572."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pytest
from lsst.ts.calibrationscripts import get_scripts_dir
from lsst.ts.calibrationscripts.butler._measuring import sample
from lsst.ts.calibrationscripts.config import ConfigurationError, load_schema, parse
from lsst.ts.calibrationscripts.instruments import (
    E2V,
    INSTRUMENTS,
    ITL,
    LATISS,
    LSSTCAM,
    LSSTCOMCAM,
    WAVEFRONT,
    Instrument,
    named_detectors,
    same_filter,
)
from lsst.ts.calibrationscripts.observatory.scripts import SCRIPTS
from lsst.ts.calibrationscripts.offline import of_instrument
from lsst.ts.calibrationscripts.plan import disk_needed, make_plan
from lsst.ts.calibrationscripts.record import RunRecord
from lsst.ts.calibrationscripts.simulation.ccd import CcdModel
from lsst.ts.calibrationscripts.simulation.exposure import Detector, Exposure

# Of each raft in policy/rafts.yaml: its first id; policy/lsstCam/<raft>.yaml
# says whose CCDs it has. The names of corner rafts lose their W.
FIRST_IDS = {
    "R01": 0, "R02": 9, "R03": 18, "R10": 27, "R11": 36, "R12": 45, "R13": 54, "R14": 63, "R20": 72,
    "R21": 81, "R22": 90, "R23": 99, "R24": 108, "R30": 117, "R31": 126, "R32": 135, "R33": 144, "R34": 153,
    "R41": 162, "R42": 171, "R43": 180,
}  # fmt: skip
OF_ITL = {"R01", "R02", "R03", "R10", "R20", "R41", "R42", "R43"}
HALVES = {
    191: "R00_SW0", 192: "R00_SW1", 195: "R04_SW0", 196: "R04_SW1",
    199: "R40_SW0", 200: "R40_SW1", 203: "R44_SW0", 204: "R44_SW1",
}  # fmt: skip
GUIDERS = {
    189: "R00_SG0", 190: "R00_SG1", 193: "R04_SG0", 194: "R04_SG1",
    197: "R40_SG0", 198: "R40_SG1", 201: "R44_SG0", 202: "R44_SG1",
}  # fmt: skip

# In ts_externalscripts, make_comcam_calibrations.py and its like. The Butler's
# configurations there, butler+sasquatch.yaml, are those of the same
# repositories, and send measurements elsewhere beside.
DEFAULTS = {
    "LATISS": (1, "ATOODS", "/repo/LATISS", 1),
    "LSSTComCam": (2, "CCOODS", "/repo/LSSTComCam", 9),
    "LSSTCam": (3, "MTOODS", "/repo/LSSTCam", 197),
}


def test_lsstcam_has_189_science_detectors_and_8_corner_halves_as_obs_lsst() -> None:
    expected = {
        first + i: f"{raft}_S{i // 3}{i % 3}" for raft, first in FIRST_IDS.items() for i in range(9)
    } | HALVES
    assert len(expected) == 197
    assert {detector.id: detector.name for detector in LSSTCAM.detectors} == expected
    assert {guider.id: guider.name for guider in LSSTCAM.guiders} == GUIDERS
    assert [detector.name for detector in LSSTCOMCAM.detectors] == [f"R22_S{i // 3}{i % 3}" for i in range(9)]


def test_rafts_are_of_itl_and_e2v_as_obs_lsst_has_them() -> None:
    types = {detector.name: detector.ccd for detector in LSSTCAM.detectors}
    assert {raft for raft in FIRST_IDS if types[f"{raft}_S11"] is ITL} == OF_ITL
    assert {raft for raft in FIRST_IDS if types[f"{raft}_S11"] is E2V} == set(FIRST_IDS) - OF_ITL
    assert {types[name] for name in HALVES.values()} == {WAVEFRONT}
    assert {detector.ccd for detector in LSSTCOMCAM.detectors} == {ITL}
    # From cameraHeader.yaml: the segments (x, y), of two rows of eight.
    assert (ITL.amplifier_columns, ITL.amplifier_rows) == (509, 2000)
    assert (E2V.amplifier_columns, E2V.amplifier_rows) == (512, 2002)


def test_a_corner_half_has_the_eight_amplifiers_of_one_row_from_right_to_left() -> None:
    # In cameraHeader.yaml, C10 of ITL_WF has ixy [7, 0] and C17 [0, 0].
    half = next(detector for detector in LSSTCAM.detectors if detector.name == "R44_SW1")
    assert half.amplifiers == ("C17", "C16", "C15", "C14", "C13", "C12", "C11", "C10")
    assert half.area == 0.5


@pytest.mark.parametrize(("detector", "shape"), [(0, (4000, 4072)), (94, (4004, 4096)), (191, (2000, 4072))])
def test_a_simulated_ccd_has_the_size_of_the_real_one(detector: int, shape: tuple[int, int]) -> None:
    (found,) = (each for each in LSSTCAM.detectors if each.id == detector)
    ccd = found.ccd
    rows = len(found.amplifiers) // 8
    assert (rows * ccd.amplifier_rows, 8 * ccd.amplifier_columns) == shape


def test_a_simulated_half_keeps_its_amplifiers_in_a_file() -> None:
    # Given a corner half, when its geometry is written and read
    half = next(detector for detector in LSSTCAM.detectors if detector.id == 191)
    ccd = CcdModel(half, scale=32)
    raw = Exposure(ccd.expose("BIAS", 0, 1), ccd.detector.to_metadata())
    # Then its only row is that of C1, with C17 on the left
    again = Detector.from_metadata(raw.metadata)
    assert again.grid == (1, 8) and again.shape == (62, 8 * 16)
    assert {each.name: each.columns.start for each in again}["C17"] == 0
    assert {each.name: each.columns.start for each in again}["C10"] == 7 * 16


@pytest.mark.parametrize("instrument", INSTRUMENTS.values(), ids=lambda instrument: instrument.name)
def test_defaults_are_those_of_the_public_scripts(instrument: Instrument) -> None:
    config = parse("", instrument)
    n_detectors = len(instrument.detector_ids(config.detectors))
    assert (instrument.ocps_index, instrument.components.oods, config.repo, n_detectors) == DEFAULTS[
        instrument.name
    ]
    assert config.calib_collection == f"{instrument.name}/calib/daily"
    assert {product.inputs for product in config.products.values()} == {(f"{instrument.name}/calib",)}
    class_name = SCRIPTS[instrument.name][1]
    assert load_schema(instrument)["title"] == f"{class_name} v1"
    assert ("grating" in load_schema(instrument)["properties"]) == (instrument is LATISS)
    for script in instrument.scripts:
        assert os.access(get_scripts_dir() / script, os.X_OK)


def test_guiders_are_not_processed_and_the_message_says_what_is() -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse("detectors: [94, 189]", LSSTCAM)
    assert str(refused.value.problems[0]).startswith(
        "detectors: [94, 189]: 189 is R00_SG0, a guider, which is not processed; write ids of "
        "0-188, 191-192, 195-196, 199-200, 203-204, or leave detectors out for all"
    )
    with pytest.raises(ConfigurationError, match="LSSTComCam has no detector 9; write ids of 0-8"):
        parse("detectors: [9]", LSSTCOMCAM)


def test_a_run_of_lsstcam_has_one_filter_and_leaves_it_in_place() -> None:
    assert parse("script_mode: FLAT\nflat_sets: [{filter: r_57}]", LSSTCAM).series[0].filter == "r_57"
    with pytest.raises(ConfigurationError, match="does not change the filter of LSSTCam"):
        parse("flat_sets: [{filter: r_57}, {filter: i_39}]", LSSTCAM)
    assert parse("flat_sets: [{filter: r_03}, {filter: i_06}]", LSSTCOMCAM).flat_sets
    assert (
        "in place, which a run does not change" in load_schema(LSSTCAM)["properties"]["filter"]["description"]
    )


def test_the_disk_of_halves_is_half() -> None:
    def needed(detectors: str) -> float:
        config = parse(f"script_mode: BIAS\ndetectors: {detectors}", LSSTCAM)
        return disk_needed(config, make_plan(config, LSSTCAM), LSSTCAM)

    assert needed("[191, 192]") == pytest.approx(needed("[0]"))


def test_no_filter_has_one_name_on_sal_and_another_in_the_butler() -> None:
    assert same_filter("NONE", "none") and not same_filter("NONE", "r_57")


def test_frames_are_measured_on_nine_detectors_of_several_rafts() -> None:
    ids = LSSTCAM.detector_ids()
    names = {detector.id: detector.name for detector in LSSTCAM.detectors}
    assert len(sample(ids)) == 9
    assert len({names[each][:3] for each in sample(ids)}) == 9
    assert sample(LSSTCOMCAM.detector_ids()) == LSSTCOMCAM.detector_ids()
    assert sample((191,)) == (191,)


def test_a_run_is_resumed_by_the_script_of_its_own_camera() -> None:
    # Given a run of ComCam whose record says so, when another script asks
    record = RunRecord("20261126T100106-1060", {}, instrument="LSSTComCam")
    assert of_instrument(record, LSSTCOMCAM) is record

    def earlier(run_id: str, journal_dir: str | None) -> Mapping[str, Any]:
        return of_instrument(record, LATISS).config

    with pytest.raises(ConfigurationError) as refused:
        parse(f"resume: {record.run_id}", LATISS, earlier)
    # Then it is refused, and the right one named
    text = str(refused.value.problems[0])
    assert "is a run of LSSTComCam, and this is the script of LATISS" in text
    assert "maintel/make_comcam_calibrations.py, or --instrument LSSTComCam" in text


def test_ids_of_detectors_are_written_as_ranges() -> None:
    assert named_detectors([3, 0, 1, 2, 5]) == "0-3, 5"
