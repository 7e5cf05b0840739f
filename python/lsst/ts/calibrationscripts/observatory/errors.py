# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of SAL in words that an observer can act on."""

from __future__ import annotations

__all__ = ["SAL_ERRORS", "explain"]

from .sal import salobj

SAL_ERRORS = (salobj.AckError, salobj.ExpectedError, TimeoutError, AssertionError, RuntimeError)
"""What salobj and observatory-control raise when a component fails."""


def explain(error: BaseException) -> str:
    """Return what happened, without the wrapping or a final full stop.

    Parameters
    ----------
    error : `BaseException`
        One of `SAL_ERRORS`.

    Returns
    -------
    text : `str`
    """
    if isinstance(error, salobj.AckTimeoutError):
        return "the command was not acknowledged in time"
    if isinstance(error, salobj.AckError):
        code = salobj.SalRetCode(error.ackcmd.ack).name
        text = f"{code}: {error.ackcmd.result}" if error.ackcmd.result else code
    elif isinstance(error, TimeoutError) and not str(error):
        text = "no answer in time"
    else:
        text = str(error) or type(error).__name__
    return text.rstrip(".")
