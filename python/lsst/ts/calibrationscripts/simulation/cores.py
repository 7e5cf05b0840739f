# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on large images, by all cores that a process may use."""

from __future__ import annotations

import contextvars
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["THREADS", "each", "n_threads"]

THREADS = "CALIBSCRIPTS_THREADS"
"""Environment variable: how many threads a task may use."""

LARGE = 4 * 2**20
"""Images of fewer bytes are done before a second thread has started."""

_SHARES = 4
"""Into how many shares the pieces are divided for each thread."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def n_threads() -> int:
    """Return how many threads a task may use.

    Returns
    -------
    n_threads : `int`
        What the environment says. By default, one for each core that the
        process may run on; but one in a child of ``pipetask run -j``, whose
        other children use the other cores.
    """
    said = os.environ.get(THREADS, "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    if multiprocessing.parent_process() is not None:
        return 1
    return len(os.sched_getaffinity(0))


def each(function: Callable[[_Item], _Result], items: Sequence[_Item], n_bytes: int) -> list[_Result]:
    """Call a function for each part of an image.

    Parameters
    ----------
    function : `~collections.abc.Callable`
        Takes a part. It must not depend on what other parts give.
    items : `~collections.abc.Sequence`
        The parts.
    n_bytes : `int`
        Size of the whole image. Small ones are left to this thread.

    Returns
    -------
    results : `list`
        In the order of the parts, whichever thread made them.
    """
    n = min(n_threads(), len(items)) if n_bytes >= LARGE else 1
    if n < 2:
        return [function(item) for item in items]
    # Few shares, as each costs as much as a small piece; several for each
    # thread, as one of them may have to wait for a core.
    n_shares = min(_SHARES * n, len(items))
    shares = [items[number::n_shares] for number in range(n_shares)]
    # What numpy does about 0 / 0 is a context variable.
    contexts = [contextvars.copy_context() for _ in shares]

    def take(context: contextvars.Context, share: Sequence[_Item]) -> list[_Result]:
        return context.run(lambda: [function(item) for item in share])

    results: list[Any] = [None] * len(items)
    with ThreadPoolExecutor(n, thread_name_prefix="pixels") as pool:
        for number, found in enumerate(pool.map(take, contexts, shares)):
            results[number::n_shares] = found
    return results
