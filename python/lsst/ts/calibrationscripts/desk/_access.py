# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may look, and who may decide."""

from __future__ import annotations

__all__ = ["Access", "TokenFileError", "cookie_of", "is_own", "new_token", "read_tokens"]

import hmac
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request

_MIN_TOKEN = 16
"""Shortest token that cannot be guessed."""

_LINE = re.compile(r"(?P<name>[^:\s][^:]{0,63}):\s*(?P<token>\S+)")
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:(?P<port>\d{1,5}))?")


class TokenFileError(ValueError):
    """A file of tokens cannot be used; says why, and what to do."""


def new_token() -> str:
    """Return a token that cannot be guessed."""
    return secrets.token_urlsafe(24)


def read_tokens(file: Path) -> dict[str, str]:
    """Read the tokens of the users.

    Parameters
    ----------
    file : `pathlib.Path`
        A user a line: name, colon, token.

    Returns
    -------
    names : `dict` [`str`, `str`]
        Names of users, by their tokens.

    Raises
    ------
    TokenFileError
        If the file cannot be used.
    """
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text (UTF-8)"
        raise TokenFileError(f"{file}: cannot be read: {why}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TokenFileError(f"{file}: others can read it; write 'chmod 600 {file}'")
    names: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise TokenFileError(f"{file}, line {number}: write NAME: TOKEN")
        if len(found["token"]) < _MIN_TOKEN:
            raise TokenFileError(f"{file}, line {number}: a token has at least {_MIN_TOKEN} characters")
        if found["token"] in names:
            raise TokenFileError(f"{file}, line {number}: {names[found['token']]} has the same token")
        names[found["token"]] = found["name"].strip()
    if not names:
        raise TokenFileError(f"{file}: it names no user; write a line NAME: TOKEN for each user")
    return names


class Access:
    """Decides what a request may do.

    Parameters
    ----------
    names : `~collections.abc.Mapping` [`str`, `str`] or `None`
        Names of users, by their tokens; `None` if everybody may look, and
        decisions are refused.
    """

    def __init__(self, names: Mapping[str, str] | None) -> None:
        self._names = names
        self._sessions: dict[str, str] = {}

    @property
    def read_only(self) -> bool:
        """Whether decisions are refused."""
        return self._names is None

    def user(self, request: Request) -> str | None:
        """Return who makes a request; `None` if that is not known."""
        return self._sessions.get(request.cookies.get(cookie_of(request), ""))

    def may_look(self, request: Request) -> bool:
        """Return whether a request may see anything."""
        return self.read_only or self.user(request) is not None

    def log_in(self, token: str) -> str | None:
        """Return the cookie of a new session; `None` if the token is wrong."""
        for known, name in (self._names or {}).items():
            if hmac.compare_digest(known.encode(), token.encode()):
                session = new_token()
                self._sessions[session] = name
                return session
        return None

    def log_out(self, request: Request) -> None:
        """End the session of a request."""
        self._sessions.pop(request.cookies.get(cookie_of(request), ""), None)


def cookie_of(request: Request) -> str:
    """Return the name of the cookie of a session.

    Cookies are for all ports of a machine, on which there may be two desks.
    """
    host = _LOOPBACK.fullmatch(request.headers.get("host", ""))
    return f"desk-{host['port'] or 80}" if host else "desk"


def is_own(request: Request) -> bool:
    """Return whether a request is made to this machine, by its own pages.

    Another site can have a browser send requests here, and can have a name
    of its own point to this machine.
    """
    host = request.headers.get("host", "")
    if _LOOPBACK.fullmatch(host) is None:
        return False
    if request.method in ("GET", "HEAD"):
        return True
    return request.headers.get("origin") in (f"http://{host}", f"https://{host}")
