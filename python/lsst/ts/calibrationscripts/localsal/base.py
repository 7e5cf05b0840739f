# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors, identities and the clock that all modules of localsal use."""

from __future__ import annotations

__all__ = [
    "AckError",
    "AckTimeoutError",
    "ExpectedError",
    "current_tai",
    "get_user_host",
    "set_test_topic_subname",
]

import getpass
import os
import secrets
import socket
import time
from typing import Any

from .enums import SalRetCode

TAI_MINUS_UTC = 37.0
"""TAI - UTC (s) since 2017-01-01, the last leap second (IERS Bulletin C)."""


class AckError(Exception):
    """A command failed.

    Parameters
    ----------
    msg : `str`
        What happened.
    ackcmd : `object`
        The acknowledgement of the command; also an attribute.
    """

    def __init__(self, msg: str, ackcmd: Any) -> None:
        super().__init__(msg)
        self.ackcmd = ackcmd

    def __str__(self) -> str:
        ackcmd = self.ackcmd
        code = SalRetCode(ackcmd.ack)
        return (
            f"msg={self.args[0]!r}, ackcmd=(ackcmd private_seqNum={ackcmd.private_seqNum}, "
            f"ack={code!r}, error={ackcmd.error}, result={ackcmd.result!r})"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"


class AckTimeoutError(AckError):
    """A command acknowledgement did not arrive in time."""


class ExpectedError(Exception):
    """An error that is reported without a traceback."""


def set_test_topic_subname(randomize: bool = False) -> None:
    """Set ``LSST_TOPIC_SUBNAME`` so that no other process has its topics.

    Parameters
    ----------
    randomize : `bool`, optional
        Use a random name, not one made from the process id?
    """
    suffix = secrets.token_hex(8) if randomize else f"{os.getpid():x}"
    os.environ["LSST_TOPIC_SUBNAME"] = f"test_{suffix}"


def get_user_host() -> str:
    """Return ``user@host``, the identity of a sender that is not a CSC."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id without a name.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def current_tai() -> float:
    """Return the current time (TAI, Unix seconds)."""
    return time.time() + TAI_MINUS_UTC
