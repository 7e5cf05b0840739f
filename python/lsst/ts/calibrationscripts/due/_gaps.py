# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""For which days something is lacking."""

from __future__ import annotations

__all__ = ["Gap", "gaps"]

from collections.abc import Sequence
from dataclasses import dataclass

from ._findings import DAY, Finding
from ._policy import Policy

_NOON = DAY // 2

_USUAL_AGE = 30.0
"""For how long something is valid that may become as old as it likes
(days)."""


@dataclass(frozen=True)
class Gap:
    """Days for which something is lacking.

    What is certified for them replaces what exposures find, so that they are
    no more than those of the exposures that lack it.
    """

    due: tuple[Finding, ...]

    begin: int
    end: int
    """From noon to noon (TAI, as Unix timestamps, ns)."""

    lasts: bool
    """Whether it lasts until now: then ``end`` is when what closes it will
    be too old."""

    @property
    def types(self) -> frozenset[str]:
        """Dataset types that are lacking."""
        return frozenset(each.dataset_type for each in self.due)

    @property
    def detectors(self) -> tuple[int, ...]:
        """Ids of the detectors that lack something."""
        return tuple(sorted({detector for each in self.due for detector in each.detectors}))

    @property
    def filters(self) -> tuple[str, ...]:
        """Physical filters that lack flats."""
        names = (each.physical_filter for each in self.due)
        return tuple(dict.fromkeys(name for name in names if name is not None))


def gaps(due: Sequence[Finding], policy: Policy, now: int) -> list[Gap]:
    """Divide what is due by the days for which it is lacking.

    Parameters
    ----------
    due : `~collections.abc.Sequence` [`Finding`]
        What is due, of exposures and of the time to come.
    policy : `Policy`
        How old calibrations may become.
    now : `int`
        The time (TAI, as a Unix timestamp, ns).

    Returns
    -------
    gaps : `list` [`Gap`]
        The one that lasts first: what closes it may be needed for the others.
    """
    to_come = {each.what for each in due if each.is_outlook}
    lasting = [each for each in due if each.what in to_come]
    found = [_lasting(lasting, policy, now)] if lasting else []
    windows: list[tuple[int, int, list[Finding]]] = []
    for each in sorted((each for each in due if each.what not in to_come), key=lambda one: one.time):
        begin, end = noon_before(each.time[0]), noon_before(each.time[1]) + DAY
        if windows and begin < windows[-1][1]:
            begin, last, those = windows.pop()
            windows.append((begin, max(end, last), [*those, each]))
        else:
            windows.append((begin, end, [each]))
    return found + [Gap(tuple(those), begin, end, lasts=False) for begin, end, those in windows]


def _lasting(due: Sequence[Finding], policy: Policy, now: int) -> Gap:
    begins = [each.time[0] for each in due if each.time[0] and not each.is_outlook]
    ages = [age for each in due if (age := policy.ages[each.dataset_type]) is not None]
    end = now + round(min(ages, default=_USUAL_AGE) * DAY)
    return Gap(tuple(due), noon_before(min([*begins, now])), noon_before(end) + DAY, lasts=True)


def noon_before(time: int) -> int:
    """Return when the observing day of a time begins (ns)."""
    return (time - _NOON) // DAY * DAY + _NOON
