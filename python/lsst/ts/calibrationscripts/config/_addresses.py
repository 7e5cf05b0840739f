# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a run is heard of: where its files go, and who gets messages."""

from __future__ import annotations

__all__ = ["parse_notify", "parse_publish"]

import re

from ._problems import Unusable

_PART = r"[A-Za-z0-9_.+@~-]+"
_PLACE = re.compile(rf"(s3://[A-Za-z0-9_.@-]+|/{_PART}( {_PART})*)(/{_PART}( {_PART})*)*/?")
_ADDRESS = re.compile(r"/.|[A-Za-z][A-Za-z0-9+.-]*://.")


def parse_publish(value: str) -> str:
    """Return the folder that the files of a run are copied to.

    Parameters
    ----------
    value : `str`
        What was written, one line of ASCII.

    Returns
    -------
    place : `str`
        A path or an address, without a slash at its end.

    Raises
    ------
    Unusable
        If it is neither.
    """
    if not _PLACE.fullmatch(value):
        raise Unusable("is not a folder", "write an absolute path, an address s3://bucket/folder, or null")
    return value.rstrip("/")


def parse_notify(value: list[str]) -> tuple[str, ...]:
    """Return the addresses that get messages.

    Parameters
    ----------
    value : `list` [`str`]
        What was written.

    Returns
    -------
    addresses : `tuple` [`str`, ...]

    Raises
    ------
    Unusable
        If one cannot be used; it is not named, as it may be secret.
    """
    addresses = tuple(address.strip() for address in value)
    for number, address in enumerate(addresses, 1):
        if not address.isprintable() or not _ADDRESS.match(address):
            raise Unusable(
                f"number {number} is not an address",
                "write addresses of apprise, as in its manual, or absolute paths of its configuration files",
            )
        if address in addresses[: number - 1]:
            raise Unusable(f"number {number} is there twice", "write each once")
    return addresses
