# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certification, each product by itself or all together."""

from __future__ import annotations

__all__ = ["Certifier"]

import asyncio

from ..ports import ObservatoryError
from ..products import StageKind
from ..proof import Proof
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
        record = context.recorder.record
        self._n_planned = sum(
            not record.is_refused(stage.subject) for stage in context.plan.stages_of(StageKind.CERTIFY)
        )
        self._batch: list[Proof] = []
        self._batch_certified: asyncio.Future[None] | None = None
        self.done: list[Proof] = []
        """What is certified."""

        self.tasks: set[asyncio.Task[None]] = set()
        """The tasks whose certification is under way."""

    async def found(self, proof: Proof) -> bool:
        """Return whether an earlier session has certified it; note it then.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """
        is_certified = self._resumed and await self._repository.is_certified(proof)
        if is_certified:
            await self._note(proof)
        return is_certified

    async def certify(self, proof: Proof) -> None:
        """Certify what is proven, unless an earlier run has.

        Parameters
        ----------
        proof : `Proof`
            What, into which collection, for which time, and why it may be.

        Raises
        ------
        ObservatoryError
            If that fails, for it or for those that belong together with it.
        """
        if not self._together:
            async with self._lock:
                await self._attempt(proof)
            return
        ended = self._end_of_batch()
        self._batch.append(proof)
        if len(self._batch) == self._n_planned:
            try:
                await self._attempt(*self._batch)
            except ObservatoryError as error:
                self.refuse(str(error))
            else:
                ended.set_result(None)
        # The others need the same stages, so they come at the same time.
        await asyncio.shield(ended)

    def refuse(self, reason: str) -> None:
        """Certify none of those that are certified together.

        Parameters
        ----------
        reason : `str`
            Why one of them cannot be.
        """
        ended = self._end_of_batch()
        if self._together and not ended.done():
            ended.set_exception(ObservatoryError(reason))
            # It is raised where it is awaited, and it may be awaited nowhere.
            ended.exception()

    def _end_of_batch(self) -> asyncio.Future[None]:
        if self._batch_certified is None:
            self._batch_certified = asyncio.get_running_loop().create_future()
        return self._batch_certified

    async def _attempt(self, *proofs: Proof) -> None:
        if self._stopped:
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        self.tasks.add(task)
        try:
            missing = [
                proof
                for proof in proofs
                if not (self._resumed and await self._repository.is_certified(proof))
            ]
            for proof in missing:
                self._note_undone(proof)
            if missing:
                await self._certify(*missing)
        finally:
            self.tasks.discard(task)
        await self._note(*proofs)

    def _note_undone(self, proof: Proof) -> None:
        """Say if a person has undone it beside this package."""
        certification = proof.certification
        if certification in self._recorder.record.certifications:
            self._recorder.repeat(
                f"{proof.subject}: an earlier session certified it, and it is not in "
                f"{certification.collection} any more; certified again"
            )

    async def _note(self, *proofs: Proof) -> None:
        self.done.extend(proofs)
        self._recorder.certifications(tuple(proof.certification for proof in self.done))
        await self._recorder.flush()

    async def _certify(self, *proofs: Proof) -> None:
        try:
            await self._repository.certify(*proofs)
        except ObservatoryError as error:
            # It may have taken effect nevertheless.
            for proof in proofs:
                if not await self._repository.is_certified(proof):
                    raise
            self._operator.warning(f"Certified, in spite of this: {error}")

    def stop(self) -> None:
        """Begin no other certification."""
        self._stopped = True
