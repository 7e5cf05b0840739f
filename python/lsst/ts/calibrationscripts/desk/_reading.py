# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping the list of runs up to date, without letting anybody wait."""

from __future__ import annotations

__all__ = ["Reading"]

import threading
import time

from ..files.index import RunIndex


class Reading:
    """Brings an index of runs up to date, in a thread of its own.

    Parameters
    ----------
    index : `RunIndex`
        The index.
    """

    def __init__(self, index: RunIndex) -> None:
        self._index = index
        self._under_way = threading.Lock()
        """Held while the index is brought up to date."""

        self.n_read = 0
        self.n_runs = 0
        """How many runs have been read, and how many are to be."""

    def finish(self, patience: float) -> bool:
        """Bring the index up to date, if that is soon done.

        Parameters
        ----------
        patience : `float`
            Longest wait (s). What takes longer goes on.

        Returns
        -------
        is_done : `bool`
            Whether all that had changed before has been read.

        Raises
        ------
        OSError, sqlite3.Error
            If the index cannot be written.
        """
        end = time.monotonic() + patience
        if not self._under_way.acquire(timeout=patience):
            return False
        is_done = threading.Event()
        errors: list[Exception] = []
        thread = threading.Thread(target=self._update, args=(is_done, errors), name="index", daemon=True)
        thread.start()
        if not is_done.wait(max(0.0, end - time.monotonic())):
            return False
        for error in errors:
            raise error
        return True

    def _update(self, is_done: threading.Event, errors: list[Exception]) -> None:
        self.n_read = self.n_runs = 0
        try:
            self._index.update(self._note)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            errors.append(error)
        finally:
            self._under_way.release()
            is_done.set()

    def _note(self, n_read: int, n_runs: int) -> None:
        self.n_read, self.n_runs = n_read, n_runs
