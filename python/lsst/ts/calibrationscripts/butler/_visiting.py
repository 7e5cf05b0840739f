# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Visits to a repository, in threads, with a time limit."""

from __future__ import annotations

__all__ = ["CONTENTION", "OpenRepository", "UnprovenError", "error_codes", "try_to_write", "visit"]

import asyncio
import contextlib
import errno
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from ..ports import ObservatoryError
from ..threads import in_thread

if TYPE_CHECKING:
    from lsst.daf.butler import Butler

CONTENTION: frozenset[tuple[str, int | str]] = frozenset({("postgresql", "40P01"), ("postgresql", "40001")})
"""Codes of a transaction that was undone in favour of another: a deadlock, and
a serialization failure."""

_REMEDIES: tuple[tuple[frozenset[tuple[str, int | str]], str], ...] = (
    (
        frozenset(
            {
                *(("sqlite", code) for code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)),
                *(("postgresql", code) for code in ("25006", "42501")),
                *(("system", code) for code in (errno.EROFS, errno.EACCES, errno.EPERM)),
            }
        ),
        "This account may not do that: have the permissions of the repository fixed",
    ),
    (
        frozenset(
            {
                ("sqlite", sqlite3.SQLITE_FULL),
                ("postgresql", "53100"),
                *(("system", code) for code in (errno.ENOSPC, errno.EDQUOT)),
            }
        ),
        "The disk of the repository is full: make room there",
    ),
    (
        frozenset(
            {("sqlite", sqlite3.SQLITE_BUSY), ("sqlite", sqlite3.SQLITE_LOCKED), ("postgresql", "55P03")}
        ),
        "Another program keeps the repository locked: see who writes there",
    ),
    (CONTENTION, "Other programs write into the repository at the same time: try again when they have ended"),
)
"""What to do about errors, by their codes."""

T = TypeVar("T")


class UnprovenError(LookupError):
    """The repository holds something else than what was verified.

    To do by hand what could not be done would be wrong.
    """


class OpenRepository:
    """A repository that is opened once, for many visits.

    To open it takes most of the time of a short visit. Each gets a clone,
    which is as new: it knows what others have registered meanwhile.

    Parameters
    ----------
    repo : `str`
        URI or label of the repository.
    """

    def __init__(self, repo: str) -> None:
        self.repo = repo
        self._opened: Butler | None = None

    def butler(self, *, writeable: bool) -> Butler:
        """Return a Butler for one visit, which closes it.

        Parameters
        ----------
        writeable : `bool`
            Whether the registry is to be written. Such a one is not a clone.

        Returns
        -------
        butler : `lsst.daf.butler.Butler`
        """
        from lsst.daf.butler import Butler

        if writeable:
            # Only the registry is ever written.
            return Butler.from_config(self.repo, writeable=True, without_datastore=True)
        opened = self._opened
        if opened is None:
            # Two visits at once may open two: neither waits for the other.
            opened = self._opened = Butler.from_config(self.repo)
            weakref.finalize(self, opened.close)
        butler = opened.clone()
        butler.registry.refresh()
        return butler

    def roll_back(self) -> None:
        """Undo what a program on SQLite has half written when it was killed.

        Who only reads cannot, and cannot read before that is done.
        """
        with self.butler(writeable=True) as butler:
            butler.collections.query("*")

    def forget(self) -> None:
        """Open it anew for the next visit: it may be another one then."""
        self._opened = None


async def visit(
    repository: OpenRepository,
    purpose: str,
    action: Callable[[Butler], T],
    *,
    timeout: float,
    advice: str = "",
    writeable: bool = False,
) -> T:
    """Run an action on a repository, in a thread of its own.

    Parameters
    ----------
    repository : `OpenRepository`
        The repository.
    purpose : `str`
        What the action does, as after "could not".
    action : callable
        Takes a Butler.
    timeout : `float`
        Longest that it may take (s).
    advice : `str`, optional
        What to do if it fails.
    writeable : `bool`, optional
        Whether the registry is to be written.

    Returns
    -------
    result
        What the action returns.

    Raises
    ------
    ObservatoryError
        Whatever fails, with its cause and a remedy: a Butler raises errors
        of many families (its own, KeyError, LookupError, OSError and the
        database's).
    """

    def attempt() -> T:
        with repository.butler(writeable=writeable) as butler:
            return action(butler)

    def run() -> T:
        try:
            return attempt()
        except Exception as error:
            repository.forget()
            if writeable or ("sqlite", sqlite3.SQLITE_READONLY_ROLLBACK) not in _extended_codes(error):
                raise
        repository.roll_back()
        return attempt()

    def failure(what: str, *remedies: str) -> ObservatoryError:
        sentences = (f"{repository.repo}: could not {purpose}{what}", *remedies, advice)
        return ObservatoryError(". ".join(filter(None, sentences)))

    try:
        return await asyncio.wait_for(in_thread(run), timeout)
    except TimeoutError as error:
        remedy = "See whether another program keeps it locked"
        raise failure(f" within {timeout:g} s", remedy) from error
    except Exception as error:
        text = str(error).partition("\n")[0].rstrip(".")
        if isinstance(error, UnprovenError):
            advice = "Do not certify it by hand: resume the run, which makes and verifies it anew"
        raise failure(f": {type(error).__name__}: {text}", *_remedies(error)) from error


class _RollBackError(Exception):
    """Ends a transaction without effect."""


def try_to_write(butler: Butler) -> None:
    """Raise if the registry cannot be written; leave it as it is.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        A writeable Butler.
    """
    for collection in butler.registry.queryCollections(flattenChains=False):
        with contextlib.suppress(_RollBackError), butler.transaction():
            doc = butler.registry.getCollectionDocumentation(collection)
            butler.registry.setCollectionDocumentation(collection, doc)
            raise _RollBackError
        break


def _remedies(error: BaseException) -> Iterator[str]:
    """Yield what helps against an error."""
    from lsst.daf.butler.registry import ConflictingDefinitionError

    if isinstance(error, ConflictingDefinitionError):
        yield "Calibrations were certified for these dates meanwhile: choose other dates or collection"
    codes = error_codes(error)
    for known, remedy in _REMEDIES:
        if known & codes:
            yield remedy


def error_codes(error: BaseException) -> set[tuple[str, int | str]]:
    """Return by which codes an error and its causes are known.

    Parameters
    ----------
    error : `BaseException`
        What was raised.

    Returns
    -------
    codes : `set` [`tuple` [`str`, `int` or `str`]]
        Each as the kind of code ("sqlite", "postgresql" or "system"), and
        the code.
    """
    # The low byte of SQLite's extended codes is the kind of error.
    return {
        (kind, code & 0xFF if kind == "sqlite" and isinstance(code, int) else code)
        for kind, code in _extended_codes(error)
    }


def _extended_codes(error: BaseException) -> set[tuple[str, int | str]]:
    codes: set[tuple[str, int | str]] = set()
    link: BaseException | None = error
    while link is not None:
        codes.add(("sqlite", getattr(link, "sqlite_errorcode", 0)))
        codes.add(("postgresql", getattr(link, "pgcode", None) or ""))
        codes.add(("system", getattr(link, "errno", None) or 0))
        link = link.__cause__
    return codes
