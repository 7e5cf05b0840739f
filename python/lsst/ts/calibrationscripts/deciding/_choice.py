# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person wants to decide."""

from __future__ import annotations

__all__ = ["Choice", "DecisionError"]

from dataclasses import dataclass

from ..record import DecisionKind


class DecisionError(Exception):
    """A decision cannot be made; says why, and what to do."""


@dataclass(frozen=True)
class Choice:
    """What a person wants to decide about a run."""

    kind: DecisionKind
    """Accept, reject or decertify."""

    who: str
    reason: str
    products: tuple[str, ...] = ()
    """Names of products; none means all that wait, or are certified."""

    source: str | None = None
    """Output collection of the job whose product was looked at, if that is
    known."""

    collection: str | None = None
    """CALIBRATION collection, if not that of the run."""

    begin_date: str | None = None
    """Beginning of the validity range, if not that of the run."""

    end_date: str | None = None
    """End of the validity range, if not that of the run."""
