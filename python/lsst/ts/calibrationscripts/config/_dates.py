# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dates of validity ranges, as they are written."""

from __future__ import annotations

__all__ = ["begin_date", "end_date", "meant_date", "parse_date"]

import datetime
import re

from ._problems import Unusable

_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?", re.ASCII)
_OTHER_DATES = {
    re.compile(pattern, re.ASCII): form
    for pattern, form in {
        r"\d{8}": "%Y%m%d",
        r"\d{4}/\d\d?/\d\d?": "%Y/%m/%d",
        r"\d{4}:\d{3}": "%Y:%j",
        r"\d{4}:\d{3}:\d\d:\d\d": "%Y:%j:%H:%M",
        r"\d{4}:\d{3}:\d\d:\d\d:\d\d": "%Y:%j:%H:%M:%S",
    }.items()
}
"""Forms of dates that are in use elsewhere: days of observation, and days of
the year."""

_FIRST_DATE = datetime.datetime(1970, 1, 1)
_LAST_DATE = datetime.datetime(2100, 1, 1)
"""The Butler cuts validity ranges to these (TAI)."""


def parse_date(value: str) -> datetime.datetime:
    """Return an ISO-8601 date or date and time.

    Parameters
    ----------
    value : `str`
        For example ``2022-11-04`` or ``2022-11-04T12:00:00``.

    Returns
    -------
    date : `datetime.datetime`
        TAI, without a time zone.

    Raises
    ------
    ValueError
        If it is neither, or that day does not exist.
    """
    if not _DATE.fullmatch(value):
        raise ValueError(value)
    return datetime.datetime.fromisoformat(value)


def meant_date(text: str) -> str | None:
    """Return a date that is written in another of the forms in use.

    Parameters
    ----------
    text : `str`
        A day of observation, such as ``20221104``; a day of the year; or a
        date with a time zone or scale.

    Returns
    -------
    date : `str` or `None`
        ISO 8601, of UTC if it had a time zone; `None` if it is not a date.
    """
    for pattern, form in _OTHER_DATES.items():
        if pattern.fullmatch(text):
            try:
                return _iso(datetime.datetime.strptime(text, form))
            except ValueError:
                return None
    # As in "2022-11-04T12:00:00 (TAI)" and "2022-11-04 09:00 -03:00".
    text = re.sub(r"\s*(\(?TAI\)?)$", "", text, flags=re.IGNORECASE)
    try:
        date = datetime.datetime.fromisoformat(
            re.sub(r"\s+(?=[+-]\d\d|Z$|UTC$)", "", text.replace("UTC", "Z"))
        )
        return _iso(date if date.tzinfo is None else date.astimezone(datetime.UTC))
    except (ValueError, OverflowError):
        return None


def _iso(date: datetime.datetime) -> str:
    if date.time() == datetime.time() and date.tzinfo is None:
        return date.date().isoformat()
    return date.replace(tzinfo=None).isoformat()


def _date(text: str) -> None:
    try:
        parse_date(text)
    except ValueError:
        meant = meant_date(text)
        if meant and re.search(r":.*([+-]\d\d(:?\d\d)?|Z|UTC)$", text):
            raise Unusable(
                "has a time zone, but dates are TAI", f'write for example "{meant}" (UTC, 37 s behind TAI)'
            ) from None
        remedy = f'write "{meant}"' if meant else 'write for example "2022-11-04" or "2022-11-04T12:00:00"'
        raise Unusable("is not a date (TAI, without a time zone)", remedy) from None


def begin_date(text: str) -> str:
    """Return when a validity range begins.

    Parameters
    ----------
    text : `str`
        As it is written.

    Returns
    -------
    text : `str`
        The same.

    Raises
    ------
    Unusable
        If it is not a date, or the Butler has none so late.
    """
    _date(text)
    if parse_date(text) >= _LAST_DATE:
        raise Unusable("the Butler has no dates from 2100 on", "write an earlier date")
    return text


def end_date(text: str) -> str:
    """Return when a validity range ends; see `begin_date`."""
    _date(text)
    if parse_date(text) <= _FIRST_DATE:
        raise Unusable("the Butler has no dates before 1970", "write a later date")
    return text
