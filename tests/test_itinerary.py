# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an observer reads before pressing run."""

from __future__ import annotations

import datetime
import re

import pytest
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.procedure import _exposer
from lsst.ts.calibrationscripts.report import itinerary
from virtual_time import virtually
from world import World

BEGIN = datetime.datetime(2026, 11, 23, 14, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=-3), "CLST"))


def lines(text: str) -> list[str]:
    config = parse(text, LATISS)
    return [line.strip() for line in itinerary(config, make_plan(config, LATISS), LATISS, BEGIN).splitlines()]


def test_the_daily_default_in_a_few_lines() -> None:
    told = lines("")
    assert told[0] == "65 exposures, 0:15:43 (h:mm:ss) in all"
    assert "DARK    23      1          5 x 5 s, 2 x 15 s, 16 x 30 s  535 s" in told
    assert "Expected end: 2026-11-23 14:15 CLST, 2026-11-23 17:16 TAI, if it begins now" in told
    assert "Nothing is to be certified." in told
    assert any(line.startswith("Disk needed: about 7.8 GB") for line in told)


def test_a_stage_stands_below_the_last_one_that_it_waits_for() -> None:
    config = parse("generate_calibrations: true", LATISS)
    tree = itinerary(config, make_plan(config, LATISS), LATISS, BEGIN).splitlines()
    certify = next(i for i, line in enumerate(tree) if "certify BIAS" in line)
    dark = tree[certify + 1]
    assert "generate DARK" in dark
    assert len(dark) - len(dark.lstrip()) == len(tree[certify]) - len(tree[certify].lstrip()) + 2


def test_what_is_certified_where_and_for_when() -> None:
    told = lines(
        "{generate_calibrations: true, certify: together, certify_calib_begin_date: 2026-11-23, "
        "certify_calib_end_date: 2026-11-24, flat_sets: [{filter: a}, {filter: b}]}"
    )
    assert (
        "To be certified into LATISS/calib/daily, valid 2026-11-23 to 2026-11-24, all together, or none: "
        "bias, dark, flat a~current, flat b~current"
    ) in " ".join(told)


def test_frames_that_come_quickly_are_told_of_together() -> None:
    # Given biases that take 2 s each
    world = World()
    virtually(world.procedure("{script_mode: BIAS, n_bias: 5}").run())
    frames = [text for _, text in world.log if text.startswith("BIAS") and "exposures 2" in text]
    assert frames == [
        "BIAS 1 to 3: exposures 2026112300001, 2026112300002, 2026112300003",
        "BIAS 4 to 6: exposures 2026112300004, 2026112300005, 2026112300006",
    ]


def test_many_frames_in_a_line_are_told_by_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given so many biases in a line that their ids would fill five
    monkeypatch.setattr(_exposer, "_LOG_INTERVAL", 1000.0)
    world = World()
    virtually(world.procedure("{script_mode: BIAS, n_bias: 20}").run())
    frames = [text for _, text in world.log if text.startswith("BIAS 1")]
    assert frames == ["BIAS 1 to 21: exposures 2026112300001 to 2026112300021"]


@pytest.mark.parametrize("width", [80, 100, 132])
def test_a_row_of_sixty_shuffled_times_is_no_wider_than_the_terminal(width: int) -> None:
    # Given pairs of thirty times
    times = [0.2 + 3.71 * ((7 * k) % 30) for k in range(30) for _ in range(2)]
    config = parse(f"n_flat: 60\nexp_times_flat: {times}\nfilter: SDSSr_65mm\ngrating: empty_1", LATISS)

    told = itinerary(config, make_plan(config, LATISS), LATISS, BEGIN, width).splitlines()

    table = told[1 : next(i for i, line in enumerate(told) if line.startswith("Stages"))]
    assert max(map(len, table)) <= width
    assert len(table) < 16
    [pairs] = re.findall(r"29 pairs: ([\d., ]+) s", " ".join(line.strip() for line in table))
    assert [float(time) for time in pairs.split(", ")] == [round(time, 3) for time in times[2::2]]
