# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forms in which cp_verify writes statistics, and none besides."""

from __future__ import annotations

__all__ = ["Entry", "check_level", "exposure_id", "ids_text", "own_success", "read_entry", "shown"]

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..products import Subject
from ._records import FailureLevel, StatisticsError, dataset_name

_ABSENT = object()
_MAX_IDS = 10
_OF_A_DETECTOR = {"AMP", "DET", "CATALOG", "METADATA"}


@dataclass(frozen=True)
class Entry:
    """What statistics say about an exposure or a detector."""

    passed: bool
    failures: tuple[str, ...]

    @property
    def hides(self) -> bool:
        """Whether the failures of amplifiers may be missing.

        cp_verify's merge of a run reads only the tests of the exposure as a
        whole where it has some (``mergeResults.py`` at 5855743): then there
        is no failure, or one without a detector.
        """
        return not self.passed and not all(len(text.split()) > 1 for text in self.failures or [""])


def shown(value: object) -> str:
    """Return a value as a message has it: short, whatever it is."""
    return "null" if value is None else reprlib.repr(value)


def ids_text(ids: Iterable[int]) -> str:
    """Return exposure ids for a message; only the first if they are many."""
    first = sorted(ids)
    more = f" and {len(first) - _MAX_IDS} more" if len(first) > _MAX_IDS else ""
    return ", ".join(map(str, first[:_MAX_IDS])) + more


def exposure_id(key: object) -> int | None:
    """Return the exposure id that a key is, or `None`.

    Tools other than cp_verify may have written it as text.
    """
    if isinstance(key, str) and key.isascii() and key.isdecimal():
        return int(key) or None
    return key if isinstance(key, int) and not isinstance(key, bool) and key > 0 else None


def read_entry(name: object, entry: object) -> Entry:
    """Read the entry of an exposure or a detector.

    Parameters
    ----------
    name : `object`
        What it is about, for messages.
    entry : `object`
        As cp_verify writes it: a boolean SUCCESS, with a list FAILURES where
        it is false. Until 2024-04-12 (cp_verify b0bda38) a failed exposure
        had no SUCCESS, and one that passed had no FAILURES: an empty list is
        one of a failed exposure too.

    Returns
    -------
    entry : `Entry`

    Raises
    ------
    StatisticsError
        If it is of another form.
    """
    if not isinstance(entry, Mapping):
        raise StatisticsError(
            f"entry {name}: expected a mapping with SUCCESS or FAILURES, not {shown(entry)}"
        )
    success, failures = entry.get("SUCCESS", _ABSENT), entry.get("FAILURES", _ABSENT)
    if failures is _ABSENT:
        if success is _ABSENT:
            raise StatisticsError(
                f"entry {name}: it has neither SUCCESS nor FAILURES, so nothing says whether it passed"
            )
        failures = []
        if success is False:
            raise StatisticsError(f"entry {name}: SUCCESS is False, but no failure is listed in FAILURES")
    if not isinstance(failures, list) or not all(isinstance(text, str) for text in failures):
        raise StatisticsError(f"entry {name}: FAILURES is not a list of texts but {shown(failures)}")
    if not all(text.split() for text in failures):
        raise StatisticsError(f"entry {name}: a failure is blank; expected 'DETECTOR AMPLIFIER TEST'")
    if success is not _ABSENT and not isinstance(success, bool):
        raise StatisticsError(f"entry {name}: SUCCESS is neither true nor false but {shown(success)}")
    if success is True and failures:
        raise StatisticsError(f"entry {name}: SUCCESS is true, but FAILURES lists {shown(failures)}")
    return Entry(success is True, tuple(failures))


def own_success(statistics: Mapping[object, object], where: str) -> bool | None:
    """Return SUCCESS of statistics as a whole; `None` if it is missing.

    Raises
    ------
    StatisticsError
        If it is not a boolean.
    """
    success = statistics.get("SUCCESS")
    if "SUCCESS" in statistics and not isinstance(success, bool):
        raise StatisticsError(f"{where}SUCCESS is neither true nor false but {shown(success)}")
    return success if isinstance(success, bool) else None


def check_level(
    statistics: Mapping[object, object], subject: Subject, wanted: FailureLevel, where: str
) -> None:
    """See that statistics are about what they should be about.

    Parameters
    ----------
    statistics : `collections.abc.Mapping`
        Any statistics of cp_verify.
    subject : `Subject`
        What was verified.
    wanted : `FailureLevel`
        What they should be about.
    where : `str`
        How a message begins.

    Raises
    ------
    StatisticsError
        If they are about something else; it names the dataset.
    """
    found = _level(statistics)
    if found in (None, wanted):
        return
    what = {
        FailureLevel.RUN: "a run, by exposure",
        FailureLevel.EXPOSURE: "one exposure, by detector",
        FailureLevel.DETECTOR: "one detector in one exposure",
    }[found]
    raise StatisticsError(
        f"{where}these are statistics of {what}, such as {dataset_name(subject, found)}; "
        f"give the dataset {dataset_name(subject, wanted)}"
    )


def _level(statistics: Mapping[object, object]) -> FailureLevel | None:
    """Return what statistics are about; `None` if that cannot be seen."""
    if _OF_A_DETECTOR & {key for key in statistics if isinstance(key, str)}:
        return FailureLevel.DETECTOR
    if any(exposure_id(key) is not None for key in statistics):
        return FailureLevel.RUN
    if "EXP" in statistics or any(
        isinstance(value, Mapping) and {"SUCCESS", "FAILURES"} & set(value)
        for key, value in statistics.items()
        if isinstance(key, str) and key.isidentifier() and key not in ("RUN", "VERIFY")
    ):
        return FailureLevel.EXPOSURE
    return None
