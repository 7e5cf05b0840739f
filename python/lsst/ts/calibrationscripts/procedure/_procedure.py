# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk over the stage graph.

The camera is driven by the caller's task, frame after frame. Every other
stage of the plan is a task of its own that waits for the stages it needs, so
that processing overlaps with exposures wherever nothing forbids it.
"""

from __future__ import annotations

__all__ = ["Procedure"]

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from ..config import CalibrationConfig
from ..instruments import ImageType, Instrument
from ..outcomes import Outcome, RunState, StageResult
from ..plan import RunPlan, Stage
from ..ports import NotTakenError, ObservatoryError, OutcomeError, PreconditionError, World
from ..products import StageId, StageKind
from ..proof import NotProvenError, Proof, accepted
from ..record import RunRecord
from ..report import RunReport, log_text, summary_text
from ..verification import StatisticsError
from ._certifier import Certifier
from ._comparer import Comparer
from ._context import Context
from ._exposer import Exposer
from ._frames import Frames
from ._incomplete import Incomplete
from ._jobs import JobRunner
from ._notifications import Notifications
from ._preconditions import Preconditions
from ._processing import Processing
from ._recorder import Recorder
from ._refusing import as_it_stands, cause, check
from ._remaking import remade
from ._timeline import Timeline

_log = logging.getLogger(__name__)

_ABANDON_TIMEOUT = 5.0
"""How long a stop waits for a frame under way, certifications and aborts: the
script queue allows 11 s until its process has ended (s)."""

_STOPPED_FLUSH_TIMEOUT = 0.5
"""How long a stop waits for a journal whose disk hangs (s)."""

_FAILURES = {"processing": Outcome.FAILED, "verification": Outcome.HELD}
"""The outcomes that the values of the configuration's ``fail_on`` mean."""


class Procedure:
    """One run, from the first check to the last certification.

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.
    plan : `RunPlan`
        What follows from it.
    instrument : `Instrument`
        Whose frames are taken.
    world : `World`
        What it talks to.
    record : `RunRecord`
        What the run begins with: its id, and what an earlier run of that id
        has done.
    """

    def __init__(
        self,
        config: CalibrationConfig,
        plan: RunPlan,
        instrument: Instrument,
        world: World,
        record: RunRecord,
    ) -> None:
        self._config = config
        self._plan = plan
        self._world = world
        self._timeline = Timeline(world.clock, record.timeline)
        self._found = record
        # What was decided on a product says nothing of another.
        anew = {stage.subject for stage in remade(plan, config, record)}
        self._recorder = Recorder(record, world.journal, world.operator, self._timeline, anew)
        self._incomplete = Incomplete(config, plan, instrument, record)
        context = Context(config, plan, instrument, world, self._recorder, self._timeline, self._incomplete)
        self._context = context
        self._exposer = Exposer(context)
        self._runner = JobRunner(context)
        self._processing = Processing(context, self._exposer, self._runner)
        self._certifier = Certifier(context)
        self._comparer = Comparer(context)
        self._notifications = Notifications(context)
        self._tasks: dict[StageId, asyncio.Task[None]] = {}
        self._ended: dict[StageId, asyncio.Future[StageResult]] = {}
        self._waiting: list[Proof] = []
        self._begun = False

        self.report = RunReport(
            state=RunState.UNSTARTED,
            run_id=record.run_id,
            journal=world.journal.path,
            resume_command=world.resume_command,
            config=config.to_dict(),
            notices=plan.notices,
        )
        """What the run came to; complete once `run` has ended, with any
        outcome."""

    async def run(self) -> None:
        """Execute the plan.

        What fails in processing is in the report and raises nothing, unless
        the configuration's ``fail_on`` says so.

        Raises
        ------
        PreconditionError
            If something would fail later that can be known now. Nothing has
            been done then.
        CameraError
            If the frames cannot be taken.
        OutcomeError
            If outcomes are bad that the configuration does not accept.
        asyncio.CancelledError
            If the operator stopped it.
        """
        try:
            await self._check()
            self._begun = True
            self._recorder.begin(self._config.to_dict())
            await self._recorder.flush()
            await self._execute()
            self._raise_on_bad_outcomes()
        except BaseException as error:
            stopped = isinstance(error, asyncio.CancelledError)
            reason = "stopped by the operator" if stopped else str(error)
            await self._abandon(reason)
            # An outcome that is not accepted has its own message.
            if self._begun and not stopped and not isinstance(error, OutcomeError):
                self._notifications.run_failed(reason)
            self._conclude(RunState.STOPPED if stopped else RunState.FAILED, reason)
            await self._flush(_STOPPED_FLUSH_TIMEOUT if stopped else None)
            raise
        self._conclude(RunState.DONE)
        await self._flush()

    async def _flush(self, timeout: float | None = None) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._recorder.flush()
                await self._notifications.flush()
        except TimeoutError:
            self._world.operator.error(
                f"The journal {self._world.journal.path} is not written: its disk hangs."
            )

    async def _execute(self) -> None:
        loop = asyncio.get_running_loop()
        self._ended = {stage.id: loop.create_future() for stage in self._plan.stages}
        await self._exposer.set_up_early()
        for stage in self._plan.stages:
            if stage.kind is not StageKind.EXPOSE:
                self._start(stage, self._process)
        for stage in self._plan.stages_of(StageKind.EXPOSE):
            await self._expose(stage)
        await self._wait_for_processing()

    def _raise_on_bad_outcomes(self) -> None:
        bad = {_FAILURES[name] for name in self._config.fail_on}
        results = [future.result() for future in self._ended.values()]
        causes = [f"{result.name}: {result.reason}" for result in results if result.outcome in bad]
        if causes:
            raise OutcomeError("; ".join(causes))

    def _conclude(self, state: RunState, reason: str = "") -> None:
        self.report = replace(
            self.report,
            state=state,
            reason=reason,
            exposures=self._by_type(lambda frames: frames.ids),
            discarded=self._by_type(lambda frames: frames.discarded),
            stages=tuple(future.result() for future in self._ended.values()),
            verdicts=dict(self._processing.verdicts),
            certifications=tuple(proof.certification for proof in self._certifier.done),
            proofs=tuple(self._certifier.done),
            waiting=tuple(self._waiting),
            comparisons=tuple(self._comparer.done),
            gains=tuple(self._processing.gains),
            defects=tuple(self._processing.defects),
            judgements=self._exposer.judgements,
            timeline=self._timeline.spans,
            repeats=self._recorder.record.repeats,
            decisions=(self._recorder.record if self._begun else self._found).decisions,
        )
        if self._begun:
            self._recorder.end(state, reason)
        if not self._recorder.exists:
            self.report = replace(self.report, journal="")
        operator = self._world.operator
        (operator.info if self.report.complete else operator.warning)(summary_text(self.report))

    def _by_type(self, select: Callable[[Frames], tuple[int, ...]]) -> dict[ImageType, tuple[int, ...]]:
        """Return some frames of every series, by image type."""
        ids: dict[ImageType, tuple[int, ...]] = {}
        for series in self._exposer.series:
            frames = self._exposer.frames[series.subject]
            ids[series.image_type] = ids.get(series.image_type, ()) + select(frames)
        return ids

    async def _check(self) -> None:
        """Find out all that would fail later."""
        checks = Preconditions(self._context, self._exposer, self._processing)
        found = await asyncio.gather(self._exposer.check(), self._world.jobs.check())
        problems = [problem for each in found for problem in each]
        problems += [
            *await checks.of_pipelines(),
            *await self._comparer.check(),
            *await self._check_repository(checks),
            *self._world.journal.check(),
        ]
        problems = list(dict.fromkeys(problems))
        if problems:
            raise PreconditionError(problems)

    async def _check_repository(self, checks: Preconditions) -> tuple[str, ...]:
        problems = await checks.of_repository()
        try:
            return (*problems, *(each.text for each in await checks.missing()))
        except ObservatoryError as error:
            # What prevents this most often prevents the first check too.
            return problems or (str(error),)

    async def _expose(self, stage: Stage) -> None:
        """Get the frames of a series; wait for their ingest in a task."""
        self._note_start(stage)
        try:
            why = await self._exposer.expose(stage, lambda: self._useless(stage))
        except NotTakenError as error:
            self._end(StageResult(stage.id, Outcome.FAILED, str(error), error_type=error.error_type))
            return
        if why is None:
            self._start(stage, self._wait_for_ingest)
            return
        n_taken = len(self._exposer.frames[stage.subject].taken)
        n_planned = len(self._plan.exposures_of(stage.subject))
        reason = f"{n_taken} of {n_planned} frames taken; nothing can use them: {why}"
        self._end(StageResult(stage.id, Outcome.SKIPPED, reason))

    def _useless(self, stage: Stage) -> str | None:
        """Return why nothing can use a series any more, if that is so."""
        consumers = [self._ended[consumer.id] for consumer in self._plan.consumers(stage.id)]
        if consumers and all(ended.done() for ended in consumers):
            return consumers[0].result().reason
        return None

    async def _wait_for_ingest(self, stage: Stage) -> None:
        problems = await self._exposer.wait_for_ingest(stage.subject)
        if problems:
            missing = self._exposer.missing.get(stage.subject, ())
            result = StageResult(stage.id, Outcome.FAILED, "; ".join(problems), missing=missing)
        else:
            frames = self._exposer.frames[stage.subject]
            left_out = f"{len(frames.excluded)} left out as spoilt" if frames.excluded else ""
            reason = ", ".join(filter(None, (frames.text, left_out, self._incomplete.without(stage))))
            result = StageResult(stage.id, Outcome.PASSED, reason)
        self._end(result.with_bad(self._incomplete.of(stage.id), len(self._incomplete.detectors)))

    def _note_start(self, stage: Stage) -> None:
        self._timeline.begin(stage.id)
        if self._world.watcher:
            self._world.watcher.started(stage)

    def _start(self, stage: Stage, work: Callable[[Stage], Awaitable[None]]) -> None:
        self._tasks[stage.id] = asyncio.create_task(self._guard(stage, work), name=stage.name)

    async def _guard(self, stage: Stage, work: Callable[[Stage], Awaitable[None]]) -> None:
        """End a stage FAILED by whatever is raised in it."""
        try:
            await work(stage)
        except (ObservatoryError, StatisticsError, NotProvenError) as error:
            result = self._processing.result(stage, Outcome.FAILED, str(error))
            self._end(replace(result, error_type=error.error_type))
        except Exception as error:  # noqa: BLE001 - a defect here must not hide the other stages' results
            _log.exception("Unexpected error in stage %s", stage.name)
            reason = f"{type(error).__name__}: {error}"
            self._end(self._processing.result(stage, Outcome.FAILED, reason))

    def _end(self, result: StageResult) -> None:
        stage = next(stage for stage in self._plan.stages if stage.id == result.stage)
        result = as_it_stands(self._context, result, self._exposer.physical_filters)
        self._ended[result.stage].set_result(result)
        self._timeline.end_stage(result, self._found.result_of(result.stage))
        self._recorder.result(result)
        if self._world.watcher:
            self._world.watcher.ended(stage, result.outcome)
        self._notifications.ended(result, self._comparer.done)
        text = f"{result.name}: {result.outcome}" + (f", {result.reason}" if result.reason else "")
        match result.outcome:
            case Outcome.PASSED | Outcome.HELD if self._judges(stage):
                self._world.operator.verdict(text, passed=result.outcome is Outcome.PASSED)
            case Outcome.FAILED:
                self._world.operator.error(text + log_text(result))
            case Outcome.HELD | Outcome.SKIPPED:
                self._world.operator.warning(text)
            case _ if result.bad_detectors:
                self._world.operator.warning(text)
            case _:
                self._world.operator.info(text)

    def _judges(self, stage: Stage) -> bool:
        """Return whether a stage ends with a verdict on its product."""
        return stage.kind is StageKind.VERIFY or (stage.kind is StageKind.MEASURE and self._config.do_verify)

    async def _process(self, stage: Stage) -> None:
        if why := await self._cause_to_skip(stage):
            self._end(StageResult(stage.id, Outcome.SKIPPED, why))
            return
        self._note_start(stage)
        work = self._certify if stage.kind is StageKind.CERTIFY else self._processing.carry_out
        self._end(await work(stage))

    async def _cause_to_skip(self, stage: Stage) -> str | None:
        """Wait for what a stage needs; return why it cannot run, if so."""
        pending = {self._ended[needed] for needed in stage.needs}
        while pending:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for needed in stage.needs:
                ended = self._ended[needed]
                if ended.done() and not ended.result().outcome.good:
                    return cause(ended.result())
        return None

    async def _certify(self, stage: Stage) -> StageResult:
        decision = self._recorder.record.decision_on(stage.subject)
        if decision is not None and decision.result is not None:
            return decision.result
        try:
            proof = await self._processing.proof(stage)
            asks = self._config.certify == "ask" and decision is None
            doubt = await check(self._context, proof, self._exposer.inspector.marked_since, asks=asks)
            made_by = self._plan.generation_of(stage.subject)
            refusal = await self._comparer.refusal(made_by, proof, self._processing.gains)
            if decision is not None:
                proof = accepted(proof, decision)
        except Exception as error:
            # Others that belong together with it would wait for it.
            self._certifier.refuse(str(error))
            raise
        if refusal and not (decision and await self._world.repository.is_certified(proof)):
            self._certifier.refuse(f"{stage.subject}: {refusal}")
            return self._processing.result(stage, Outcome.HELD, refusal)
        if warning := proof.validity_warning:
            self._world.operator.warning(warning)
        if asks and not await self._certifier.found(proof):
            self._waiting.append(proof)
            compared = [one.text for one in self._comparer.done if one.subject == stage.subject]
            waiting = StageResult.waiting(stage.id, (proof.remark, doubt, *compared))
            return waiting.with_bad(proof.left_out, proof.n_detectors)
        if not asks:
            await self._certifier.certify(proof)
        remarks = (proof.remark, doubt, decision.text if decision else "")
        return StageResult(
            stage.id,
            Outcome.CERTIFIED,
            "; ".join(filter(None, remarks)),
            collection=proof.certification.collection,
        ).with_bad(proof.left_out, proof.n_detectors)

    async def _wait_for_processing(self) -> None:
        pending: set[asyncio.Task[Any]] = {*self._tasks.values(), *self._exposer.light.tasks}
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            ended = [stage for stage, future in self._ended.items() if future.done()]
            await self._world.operator.checkpoint(self._timeline.progress(self._plan, ended))

    async def _abandon(self, reason: str) -> None:
        """Leave nothing running: no task, no job."""
        deadline = (self._exposer.stopped_at or asyncio.get_running_loop().time()) + _ABANDON_TIMEOUT
        # A certification under way is waited for: it cannot be undone in the
        # middle, and the report has to say how it ended.
        self._certifier.stop()
        for look in self._exposer.light.tasks:
            look.cancel()
        certifying = {
            task
            for stage, task in self._tasks.items()
            if self._certifier.tasks and stage.kind is StageKind.CERTIFY
        }
        for task in set(self._tasks.values()) - certifying:
            task.cancel()
        await asyncio.gather(_let_end(certifying, deadline), self._runner.abandon(deadline))
        await asyncio.gather(*self._tasks.values(), *self._exposer.light.tasks, return_exceptions=True)
        for stage in self._plan.stages:
            ended = self._ended.get(stage.id)
            if ended is not None and not ended.done():
                result = self._processing.unfinished(stage, reason)
                result = as_it_stands(self._context, result, self._exposer.physical_filters)
                ended.set_result(result)
                self._recorder.result(result)


async def _let_end(tasks: set[asyncio.Task[None]], deadline: float) -> None:
    """Wait for tasks until a time of the event loop; then cancel them."""
    if tasks:
        await asyncio.wait(tasks, timeout=deadline - asyncio.get_running_loop().time())
    for task in tasks:
        task.cancel()
