# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A validity range that leaves out frames is noticed before they are taken."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.plan import make_plan, observing_day_of
from lsst.ts.calibrationscripts.report import itinerary

CERTIFY = "generate_calibrations: true\nscript_mode: BIAS\n"


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


def noticed(text: str, begin: datetime.datetime | None = None) -> list[str]:
    """Return what a plan says of the validity range."""
    notices = make_plan(parse(text, LATISS), LATISS, begin).notices
    return [notice for notice in notices if notice.startswith("Calibrations will be valid")]


def dates(begin: str, end: str) -> str:
    return f'certify_calib_begin_date: "{begin}"\ncertify_calib_end_date: "{end}"\n'


DAY_TO_NEXT_DAY = dates("2022-11-04", "2022-11-05")
OBSERVING_DAY = dates("2022-11-04T12:00:00", "2022-11-05T12:00:00")


def proposed(notice: str) -> str:
    return "\n".join(re.findall(r'certify_calib_\w+_date: "[\d:T-]+"', notice)) + "\n"


def test_day_to_next_day_ends_before_most_of_the_chilean_night() -> None:
    # Given calibrations that are taken in the afternoon
    [notice] = noticed(CERTIFY + DAY_TO_NEXT_DAY, at("2022-11-04T19:00"))

    assert "ends at 00:00 TAI on 2022-11-05, before the night of the observing day 2022-11-04 does" in notice
    assert "(in Chile about 22:00 to 10:00 UTC)" in notice
    assert proposed(notice) == OBSERVING_DAY


@pytest.mark.parametrize(
    "time", ["2022-11-04T13:00", "2022-11-04T23:50", "2022-11-05T03:00", "2022-11-05T11:00"]
)
def test_the_observing_day_holds_frames_and_night(time: str) -> None:
    assert noticed(CERTIFY + OBSERVING_DAY, at(time)) == []


@pytest.mark.parametrize(
    ("time", "why"),
    [
        ("2022-11-05T03:00", "ends before the frames to be taken, from 2022-11-05 03:00"),
        ("2022-11-03T18:00", "begins after the frames to be taken, from 2022-11-03 18:00"),
        ("2022-11-04T23:59", "holds only some of the frames to be taken"),
        ("2023-11-04T18:00", "ends before the frames to be taken"),
    ],
)
def test_a_range_that_misses_the_frames_is_noticed(time: str, why: str) -> None:
    [notice] = noticed(CERTIFY + DAY_TO_NEXT_DAY, at(time))

    assert why in notice
    # What is proposed holds them.
    assert noticed(CERTIFY + proposed(notice), at(time)) == []


def test_the_clock_of_the_reader_may_be_in_any_zone() -> None:
    chile = datetime.timezone(datetime.timedelta(hours=-3))
    assert noticed(CERTIFY + OBSERVING_DAY, at("2022-11-05T02:00").astimezone(chile)) == []
    assert noticed(CERTIFY + DAY_TO_NEXT_DAY, at("2022-11-05T02:00").astimezone(chile))


def test_dates_are_tai_and_clocks_are_utc() -> None:
    # A bias of 2 s ends at 11:59:22 UTC, 2 s before the end, or after it.
    one = f"{CERTIFY}n_bias: 1\nn_discard_bias: 0\n{dates('2022-11-04', '2022-11-05T12:00:01')}"
    assert not noticed(one, at("2022-11-05T11:59:20"))
    assert noticed(one, at("2022-11-05T11:59:23"))


def test_a_long_range_and_the_default_are_not_noticed() -> None:
    assert noticed(CERTIFY, at("2022-11-04T19:00")) == []
    assert noticed(CERTIFY + dates("2022-11-03", "2022-11-10"), at("2022-11-04T19:00")) == []


def test_nothing_is_noticed_if_nothing_is_certified() -> None:
    assert noticed(f"script_mode: BIAS\n{DAY_TO_NEXT_DAY}", at("2023-11-05T03:00")) == []


@pytest.mark.parametrize("key", ["do_defects", "do_ptc"])
def test_defects_and_photon_transfer_curves_are_certified_too(key: str) -> None:
    assert noticed(f"{key}: true\n{DAY_TO_NEXT_DAY}", at("2023-11-05T03:00"))


def test_without_a_clock_nothing_is_known_of_frames_to_come() -> None:
    assert noticed(CERTIFY + DAY_TO_NEXT_DAY) == []


EARLIER = "exposures: {{BIAS: {}}}\ngenerate_calibrations: true\ndo_verify: false\n"
TWO_DAYS = EARLIER.format([2026112400001, 2026112400002, 2026112500001, 2026112500002])


def test_the_days_of_frames_taken_earlier_are_in_their_ids() -> None:
    # Given last year's file, whose year was not changed
    [notice] = noticed(TWO_DAYS + dates("2025-11-25", "2025-11-26"))

    assert "does not hold the frames of 2026-11-24, 2026-11-25" in notice
    assert proposed(notice) == dates("2026-11-24T12:00:00", "2026-11-26T12:00:00")
    assert noticed(TWO_DAYS + proposed(notice)) == []


def test_one_of_two_days_that_is_missed_is_named() -> None:
    [notice] = noticed(TWO_DAYS + dates("2026-11-24", "2026-11-25T12:00:00"))

    assert "does not hold the frames of 2026-11-25:" in notice


def test_a_part_of_an_observing_day_is_noticed() -> None:
    [notice] = noticed(EARLIER.format([2026112400001]) + dates("2026-11-24", "2026-11-25"))

    assert "holds only a part of the observing day 2026-11-24, from 12:00 UTC" in notice
    assert proposed(notice) == dates("2026-11-24T12:00:00", "2026-11-25T12:00:00")


@pytest.mark.parametrize("exposure", [2026112500004, 3026112500004, 7026112500004])
def test_images_of_other_controllers_are_of_the_same_day(exposure: int) -> None:
    assert observing_day_of(exposure) == datetime.date(2026, 11, 25)


def test_the_itinerary_and_the_command_plan_have_the_notice(tmp_path: Path) -> None:
    text = CERTIFY + dates("2025-11-25", "2025-11-26")
    config, now = parse(text, LATISS), at("2026-11-25T19:00")
    assert "Note: Calibrations will be valid from 2025-11-25" in itinerary(
        config, make_plan(config, LATISS, now), LATISS, now
    )
    file = tmp_path / "last_year.yaml"
    file.write_text(text, encoding="utf-8")
    assert "Note: Calibrations will be valid" in CliRunner().invoke(main, ["plan", str(file)]).output
    as_json = json.loads(CliRunner().invoke(main, ["plan", "--json", str(file)]).output)
    assert any("which ends before the frames" in notice for notice in as_json["notices"])
