# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether calibrations will be valid for the frames that they are made of.

An observing day begins at 12:00 UTC, before the night in Chile, and holds all
of that night. A calendar day ends in the midst of it.
"""

from __future__ import annotations

__all__ = ["TAI_MINUS_UTC", "observing_day_of", "validity_notices"]

import datetime
from collections.abc import Iterable, Iterator

from ..config import CalibrationConfig, parse_date

TAI_MINUS_UTC = datetime.timedelta(seconds=37)
"""Since 2017; IERS Bulletin C announces no other leap second."""

_NOON = datetime.timedelta(hours=12)
"""Beginning of an observing day, after that of the day in UTC."""

_NIGHT_END = datetime.timedelta(hours=10)
"""End of the longest night, after the beginning of the next day in UTC."""

_DAY = datetime.timedelta(days=1)


def observing_day_of(exposure: int) -> datetime.date:
    """Return the observing day of an exposure.

    Parameters
    ----------
    exposure : `int`
        Its id, such as 2026112500007. Images of other controllers than O have
        ids with thousands of years more.

    Returns
    -------
    day : `datetime.date`
    """
    year, month, day = exposure // 10**9, exposure // 10**7 % 100, exposure // 10**5 % 100
    return datetime.date(2000 + year % 1000, month, day)


def validity_notices(
    config: CalibrationConfig, begin: datetime.datetime | None, exposing: float
) -> Iterator[str]:
    """Yield what the validity range leaves out of the frames and their night.

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.
    begin : `datetime.datetime` or `None`
        When the first frame would be taken, with a time zone; `None` if that
        is not known.
    exposing : `float`
        Time from then to the end of the last frame (s).

    Yields
    ------
    notice : `str`
        With the range to write.

    Notes
    -----
    The times of a resumed run's frames are in the Butler, and nowhere here.
    """
    if config.resume is not None or not (config.generate_calibrations or config.do_defects or config.do_ptc):
        return
    if config.exposures is not None:
        ids = (exposure for of_type in config.exposures.values() for exposure in of_type)
        yield from _of_days(config, {observing_day_of(exposure) for exposure in ids})
    elif begin is not None:
        yield from _of_frames_to_come(config, _tai(begin), datetime.timedelta(seconds=exposing))


def _tai(time: datetime.datetime) -> datetime.datetime:
    return (time.astimezone(datetime.UTC) + TAI_MINUS_UTC).replace(tzinfo=None)


def _range(config: CalibrationConfig) -> tuple[datetime.datetime, datetime.datetime]:
    return parse_date(config.certify_calib_begin_date), parse_date(config.certify_calib_end_date)


def _of_frames_to_come(
    config: CalibrationConfig, first: datetime.datetime, exposing: datetime.timedelta
) -> Iterator[str]:
    begin, end = _range(config)
    last = first + exposing
    day = (first - _NOON).date()
    night_end = datetime.datetime.combine(day + _DAY, datetime.time()) + _NIGHT_END
    if not (begin <= first and last <= end):
        yield (
            f"{_valid(config)}, which {_lacks(begin, end, first, last)} the frames to be taken, from "
            f"{first:%Y-%m-%d %H:%M} to {last:%H:%M} TAI: calibrations are not found for "
            f"frames outside. {_write(day, day)}"
        )
    elif end < night_end:
        yield (
            f"{_valid(config)}, which ends at {end:%H:%M} TAI on {end:%Y-%m-%d}, before the night of the "
            f"observing day {day} does (in Chile about 22:00 to 10:00 UTC): its later frames do not find "
            f"these calibrations. {_write(day, day)}"
        )


def _of_days(config: CalibrationConfig, days: Iterable[datetime.date]) -> Iterator[str]:
    begin, end = _range(config)
    days = sorted(days)
    spans = [(noon := datetime.datetime.combine(day, datetime.time()) + _NOON, noon + _DAY) for day in days]
    first, last = spans[0][0], spans[-1][1]
    if begin <= first and last <= end:
        return
    outside = [day for day, span in zip(days, spans, strict=True) if span[1] <= begin or end <= span[0]]
    if outside:
        yield (
            f"{_valid(config)}, which does not hold the frames of {', '.join(map(str, outside))}: "
            f"calibrations are not found for frames outside. {_write(days[0], days[-1])}"
        )
    else:
        yield (
            f"{_valid(config)}, which holds only a part of the observing day{'s' if days[1:] else ''} "
            f"{', '.join(map(str, days))}, from 12:00 UTC to 12:00 UTC of the next day: frames outside do "
            f"not find these calibrations. {_write(days[0], days[-1])}"
        )


def _valid(config: CalibrationConfig) -> str:
    return (
        f"Calibrations will be valid from {config.certify_calib_begin_date} to "
        f"{config.certify_calib_end_date}"
    )


def _lacks(
    begin: datetime.datetime, end: datetime.datetime, first: datetime.datetime, last: datetime.datetime
) -> str:
    if end <= first:
        return "ends before"
    return "begins after" if last < begin else "holds only some of"


def _write(first: datetime.date, last: datetime.date) -> str:
    return (
        f'Write certify_calib_begin_date: "{first}T12:00:00" and certify_calib_end_date: '
        f'"{last + _DAY}T12:00:00".'
    )
