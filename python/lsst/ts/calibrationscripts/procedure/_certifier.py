# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certification, each by itself or all together."""

from __future__ import annotations

__all__ = ["Certifier"]

import asyncio

from ..outcomes import Certification
from ..ports import CalibrationRepository, ObservatoryError, Operator
from ..record import Recorder


class Certifier:
    """Certifies what passed, one at a time.

    Parameters
    ----------
    repository, operator
        The world; see `lsst.ts.calibrationscripts.ports`.
    recorder : `Recorder`
        Where certifications are noted, and found if an earlier run made
        them.
    n_together : `int` or `None`
        How many are certified together, all or none; `None` if each is
        certified by itself.
    """

    def __init__(
        self,
        repository: CalibrationRepository,
        operator: Operator,
        recorder: Recorder,
        n_together: int | None,
    ) -> None:
        self._repository = repository
        self._operator = operator
        self._recorder = recorder
        self._resumed = recorder.record.resumed > 0
        self._lock = asyncio.Lock()
        self._stopped = False
        self._n_together = n_together
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
        if self._n_together is None:
            async with self._lock:
                await self._attempt(certification)
            return
        if self._batch_certified is None:
            self._batch_certified = asyncio.get_running_loop().create_future()
        self._batch.append(certification)
        if len(self._batch) < self._n_together:
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

    async def _certify(self, *certifications: Certification) -> None:
        try:
            await self._repository.certify(*certifications)
        except ObservatoryError as error:
            # It may have taken effect all the same.
            for certification in certifications:
                if not await self._repository.is_certified(certification):
                    raise
            self._operator.warning(f"Certified, in spite of this: {error}")

    def stop(self) -> None:
        """Begin no other certification."""
        self._stopped = True
