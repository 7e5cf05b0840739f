# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check of an installation comes to."""

from __future__ import annotations

__all__ = ["Check", "CheckStatus"]

import enum
from dataclasses import dataclass


class CheckStatus(enum.StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """A run is possible; it would be without something."""

    FAILED = "failed"
    """To be fixed: a run would fail, or be refused."""

    SKIPPED = "skipped"
    """It could not be checked; the message says why."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked."""

    name: str
    """What was checked, one word."""

    status: CheckStatus

    message: str
    """What was found."""

    remedy: str = ""
    """What to do, if anything."""

    @classmethod
    def ok(cls, name: str, message: str) -> Check:
        """Return a check that found nothing wrong."""
        return cls(name, CheckStatus.OK, message)

    @classmethod
    def warning(cls, name: str, message: str, remedy: str) -> Check:
        """Return a check that found what the user should know."""
        return cls(name, CheckStatus.WARNING, message, remedy)

    @classmethod
    def failed(cls, name: str, message: str, remedy: str) -> Check:
        """Return a check that found what is to be fixed."""
        return cls(name, CheckStatus.FAILED, message, remedy)

    @classmethod
    def skipped(cls, name: str, reason: str, remedy: str = "") -> Check:
        """Return a check that could not be made."""
        return cls(name, CheckStatus.SKIPPED, reason, remedy)
