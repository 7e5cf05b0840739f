# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Products of a simulated run are made anew without a spoilt frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from lsst.daf.butler import Butler, Timespan
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.files.journal import load_record, newest_run
from lsst.ts.calibrationscripts.files.marks import known_marks
from lsst.ts.calibrationscripts.spoilt import MarkKind

COLLECTION = "LATISS/calib/daily/remake"
# A bias that is saturated in part is used, and no limit keeps it out.
CONFIG = f"""
script_mode: BIAS
generate_calibrations: true
n_bias: 5
number_verification_tests_threshold_bias: 1000
calib_collection: {COLLECTION}
certify_calib_begin_date: "2026-11-25T12:00:00"
certify_calib_end_date: "2026-11-26T12:00:00"
certify: ask
n_processes: 1
"""


def invoke(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def certified_bias(repo: Path) -> Any:
    """Return what a frame of that day finds."""
    from astropy.time import Time

    when = Time("2026-11-26T00:00:00", scale="tai")
    with Butler.from_config(str(repo)) as butler:
        found = butler.find_dataset(
            "bias",
            instrument="LATISS",
            detector=0,
            collections=COLLECTION,
            timespan=Timespan.fromInstant(when),
        )
        return None if found is None else butler.get(found)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_product_that_was_certified_by_mistake_is_made_anew_without_the_spoilt_frame(
    tmp_path: Path,
) -> None:
    # Given a bias with a frame that is saturated, which a person has accepted
    config, work = tmp_path / "config.yaml", tmp_path / "w"
    config.write_text(CONFIG, encoding="utf-8")
    first = invoke("simulate", config, "--workdir", work, "--scale", 16, "--fault", "saturated-bias:4")
    assert first.exit_code == 0, first.output
    journals, repo = work / "journal", work / "repo"
    run_id = newest_run(journals)
    assert run_id is not None
    (bad,) = load_record(journals, run_id).judgements[0].spoilt
    # and says by which command it is made without that frame
    remake = ("remake", run_id, "--without", bad, "--workdir", work, "--reason", "saturated")
    assert f"calibscripts remake {run_id} --without {bad}" in (journals / f"{run_id}.html").read_text(
        encoding="utf-8"
    )
    accept = ("decide", run_id, "accept", "--journals", journals, "--reason", "it passed")
    accepted = invoke(*accept)
    assert accepted.exit_code == 0, accepted.output
    record = load_record(journals, run_id)
    mistaken = certified_bias(repo).image.array

    # When it is to be made anew, that is refused as long as it is certified
    refused = invoke(*remake)
    assert refused.exit_code == 2
    assert f"calibscripts decertify {run_id} BIAS --reason TEXT" in refused.output
    assert load_record(journals, run_id) == record
    undone = invoke("decertify", run_id, "BIAS", "--journals", journals, "--reason", "a saturated frame")
    assert undone.exit_code == 0 and certified_bias(repo) is None

    # Then it is made and verified without it, waits, and no frame is taken
    out = tmp_path / "run.json"
    again = invoke(*remake, "--json", out)
    assert again.exit_code == 0, again.output
    data = json.loads(out.read_text(encoding="utf-8"))
    assert data["exposures"]["BIAS"] == [frame.exposure for frame in record.frames]
    (proof,) = data["waiting"]
    used = [frame["exposure"] for frame in proof["frames"]]
    assert len(used) == 4 and bad not in used
    assert [result["outcome"] for result in data["stages"] if result["kind"] == "certify"] == ["WAITING"]
    assert f"exposure {bad} PERSON: saturated" in again.output

    # And once it is accepted, butler.get finds one without what that frame
    # had added
    accepted = invoke(*accept)
    assert accepted.exit_code == 0, accepted.output
    bias = certified_bias(repo).image.array
    assert bias.std() < mistaken.std() / 10

    # and later runs know the frame, and why
    marks = {mark.kind: mark for mark in known_marks(journals, [bad], "LATISS")}
    assert marks.keys() == {MarkKind.SATURATED, MarkKind.PERSON}
    assert (marks[MarkKind.PERSON].text, marks[MarkKind.PERSON].run) == ("saturated", run_id)
    given = tmp_path / "given.yaml"
    ids = [frame.exposure for frame in record.frames][1:]
    given.write_text(
        f"exposures: {{BIAS: {ids}}}\ngenerate_calibrations: true\nspoilt_frames: exclude\n"
        f"calib_collection: {COLLECTION}.2\ndo_verify: false\nn_processes: 1\n",
        encoding="utf-8",
    )
    later = invoke("simulate", given, "--workdir", work, "--json", out)
    assert later.exit_code == 0, later.output
    (judgement,) = json.loads(out.read_text(encoding="utf-8"))["judgements"]
    assert judgement["excluded"] == [bad]
    assert "PERSON: saturated (left out by " in later.output and f"(noted by run {run_id})" in later.output
