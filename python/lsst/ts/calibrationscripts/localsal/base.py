# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors, names and clocks that every part of localsal shares."""

from __future__ import annotations

__all__ = [
    "AckError",
    "AckTimeoutError",
    "ExpectedError",
    "current_tai",
    "get_user_host",
    "name_to_name_index",
    "set_test_topic_subname",
]

import getpass
import os
import re
import secrets
import socket
import time
from typing import Any

from .enums import SalRetCode

TAI_MINUS_UTC = 37.0
"""TAI - UTC (s) since 2017-01-01, the last leap second (IERS Bulletin C)."""

_NAME_REGEX = re.compile(r"(?P<name>[a-zA-Z_-][a-zA-Z0-9_-]*)(:(?P<index>\d+))?")


class AckError(Exception):
    """A command was acknowledged with a failure.

    Parameters
    ----------
    msg : `str`
        What happened.
    ackcmd : `object`
        The command acknowledgement; also the attribute ``ackcmd``.
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


def name_to_name_index(name: str) -> tuple[str, int]:
    """Split a SAL component's ``name`` or ``name:index``.

    Parameters
    ----------
    name : `str`
        For example "ATCamera" or "OCPS:1".

    Returns
    -------
    name, index : `tuple` [`str`, `int`]
        The index is 0 where none is given.

    Raises
    ------
    ValueError
        If the name has another form.
    """
    match = _NAME_REGEX.fullmatch(name)
    if match is None:
        raise ValueError(f"name {name!r} is not of the form 'name' or 'name:index'")
    return match["name"], int(match["index"] or 0)


def set_test_topic_subname(randomize: bool = False) -> None:
    """Set ``LSST_TOPIC_SUBNAME``, so that topics are this caller's own.

    Parameters
    ----------
    randomize : `bool`, optional
        Take a random name; else one of this process.
    """
    suffix = secrets.token_hex(8) if randomize else f"{os.getpid():x}"
    os.environ["LSST_TOPIC_SUBNAME"] = f"test_{suffix}"


def get_user_host() -> str:
    """Return ``user@host``, the identity of a sender that is no CSC."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id without a name.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def current_tai() -> float:
    """Return the TAI unix time (s)."""
    return time.time() + TAI_MINUS_UTC
