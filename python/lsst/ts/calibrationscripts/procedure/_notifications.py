# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages to persons who do not watch the run."""

from __future__ import annotations

__all__ = ["Notifications"]

import asyncio
from collections.abc import Iterable

from ..comparison import Better, Comparison
from ..outcomes import Outcome, RunState, StageResult
from ..report import decide_command
from ._context import Context

_HEARD = (Outcome.HELD, Outcome.FAILED, Outcome.WAITING)
"""Outcomes that a message is sent about."""


class Notifications:
    """Sends one message a product and run at most, also if it is resumed.

    Parameters
    ----------
    context : `Context`
        The run.
    """

    def __init__(self, context: Context) -> None:
        self._notifier = context.world.notifier
        self._recorder = context.recorder
        self._journal = context.world.journal
        self._camera = context.instrument.name
        self._tasks: set[asyncio.Task[None]] = set()

    def ended(self, result: StageResult, comparisons: Iterable[Comparison]) -> None:
        """Send a message if a stage has ended as persons want to know.

        Parameters
        ----------
        result : `StageResult`
            How it ended.
        comparisons : `~collections.abc.Iterable` [`Comparison`]
            How products compare with those in use.
        """
        subject = result.stage.subject
        if result.outcome is Outcome.CERTIFIED:
            for one in comparisons:
                if one.subject == subject and one.better is Better.WORSE:
                    self._send(subject.name, f"{result.outcome}, though worse", f"{result.name}: {one.text}")
            if result.bad_detectors:
                self._send(subject.name, f"{result.outcome} in part", f"{result.name}: {result.reason}")
        if result.outcome not in _HEARD:
            return
        lines = [f"{result.name}: {result.outcome}, {result.reason}"]
        if result.outcome is Outcome.WAITING:
            command = decide_command(self._recorder.record.run_id, self._journal.path)
            lines.append(f"To accept or reject it: {command}")
        self._send(subject.name, result.outcome, *lines)

    def run_failed(self, reason: str) -> None:
        """Send a message that the run as a whole has failed.

        Parameters
        ----------
        reason : `str`
            Why.
        """
        self._send("run", RunState.FAILED, reason)

    async def flush(self) -> None:
        """Wait until all messages are handed over, not until they arrive."""
        await asyncio.gather(*self._tasks)

    def _send(self, about: str, outcome: str, *lines: str) -> None:
        record = self._recorder.record
        if self._notifier is None or about in record.notified:
            return
        self._recorder.notified(about)
        text = "\n".join((*lines, f"Run {record.run_id}."))
        self._tasks.add(asyncio.create_task(self._send_once_kept(f"{self._camera} {about}: {outcome}", text)))

    async def _send_once_kept(self, title: str, text: str) -> None:
        """Send what is noted as sent: a killed run never sends it again."""
        await self._recorder.flush()
        assert self._notifier is not None, "there is one if there is a message"
        self._notifier.send(title, text)
