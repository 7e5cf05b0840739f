# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certification, each product by itself or all together."""

from __future__ import annotations

__all__ = ["Certifier"]

import asyncio

from ..outcomes import Certification
from ..ports import ObservatoryError
from ..products import StageKind
from ._context import Context


class Certifier:
    """Certifies what passed, one at a time or all together.

    Parameters
    ----------
    context : `Context`
        The run.
    """

    def __init__(self, context: Context) -> None:
        self._repository = context.world.repository
        self._operator = context.world.operator
        self._recorder = context.recorder
        self._resumed = context.recorder.record.resumed > 0
        self._lock = asyncio.Lock()
        self._stopped = False
        self._together = context.config.certify == "together"
        self._n_planned = len(context.plan.stages_of(StageKind.CERTIFY))
        self._batch: list[Certification] = []
        self._batch_certified: asyncio.Future[None] | None = None
        self.done: list[Certification] = []
        """What is certified."""

        self.tasks: set[asyncio.Task[None]] = set()
        """The tasks whose certification is under way."""

    async def certify(self, certification: Certification) -> None:
        """Certify, unless an earlier run has.

        Parameters
        ----------
        certification : `Certification`
            What, into which collection, for which time.

        Raises
        ------
        ObservatoryError
            If that fails, for it or for those that belong together with it.
        """
        if not self._together:
            async with self._lock:
                await self._attempt(certification)
            return
        if self._batch_certified is None:
            self._batch_certified = asyncio.get_running_loop().create_future()
        self._batch.append(certification)
        if len(self._batch) < self._n_planned:
            # The others need the same stages, so they come at the same time.
            await asyncio.shield(self._batch_certified)
            return
        try:
            await self._attempt(*self._batch)
        except ObservatoryError as error:
            self._batch_certified.set_exception(error)
            raise
        self._batch_certified.set_result(None)

    async def _attempt(self, *certifications: Certification) -> None:
        if self._stopped:
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        self.tasks.add(task)
        try:
            missing = [
                certification
                for certification in certifications
                if not (self._resumed and await self._repository.is_certified(certification))
            ]
            if missing:
                await self._certify(*missing)
        finally:
            self.tasks.discard(task)
        self.done.extend(certifications)
        self._recorder.certifications(tuple(self.done))
        await self._recorder.flush()

    async def _certify(self, *certifications: Certification) -> None:
        try:
            await self._repository.certify(*certifications)
        except ObservatoryError as error:
            # It may have taken effect nevertheless.
            for certification in certifications:
                if not await self._repository.is_certified(certification):
                    raise
            self._operator.warning(f"Certified, in spite of this: {error}")

    def stop(self) -> None:
        """Begin no other certification."""
        self._stopped = True
