# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated frames are taken when what is certified is valid."""

from __future__ import annotations

import datetime

import pytest
from lsst.ts.calibrationscripts.cli import _simulation
from lsst.ts.calibrationscripts.config import parse
from lsst.ts.calibrationscripts.instruments import LATISS

TODAY = datetime.date(2026, 11, 22)


@pytest.mark.parametrize(
    "begin, end, day",
    [
        ("1950-01-01", "2050-01-01", None),
        ("2026-11-22", "2026-11-23", None),
        # The observing day is still the one before, early in the UTC day.
        ("2026-11-23", "2026-11-24", datetime.date(2026, 11, 23)),
        ("2022-11-04", "2022-11-05", datetime.date(2022, 11, 4)),
        ("2022-11-04T18:00:00", "2022-11-06", datetime.date(2022, 11, 5)),
    ],
)
def test_the_observing_day_is_in_the_validity_range(
    begin: str, end: str, day: datetime.date | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_simulation, "current_day", lambda: TODAY)
    config = parse(f"{{certify_calib_begin_date: '{begin}', certify_calib_end_date: '{end}'}}", LATISS)
    assert _simulation.observing_day(config) == day
