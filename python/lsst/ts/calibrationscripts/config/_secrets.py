# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that may hold passwords or tokens, as they may be shown."""

from __future__ import annotations

__all__ = ["is_masked", "masked", "without_secrets"]

import re

_MASK = "***"
_AFTER_SCHEME = re.compile(r"://.*", re.DOTALL)
_AFTER_KEY = re.compile(r"(://|notify: ).*", re.DOTALL)


def masked(address: str) -> str:
    """Return an address as logs, journals and pages may have it.

    Parameters
    ----------
    address : `str`
        For apprise, such as ``slack://token``; or the path of a file.

    Returns
    -------
    shown : `str`
        The kind alone, ``slack://***``: which of the other parts are secret
        depends on it. A path is not secret.
    """
    return address if address.startswith("/") else _AFTER_SCHEME.sub(f"://{_MASK}", address)


def is_masked(address: str) -> bool:
    """Return whether an address is what `masked` has left of one."""
    return address.endswith(f"://{_MASK}")


def without_secrets(text: str) -> str:
    """Return a text about addresses, cut where the first may begin."""
    return _AFTER_KEY.sub(rf"\1{_MASK}", text)
