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

from ..config import CalibrationConfig, flat_pairs
from ..instruments import LATISS, Instrument
from ..outcomes import Certification, Gain, Outcome, StageResult
from ..pipelines import GENERATIONS, StatisticsKey
from ..plan import PlannedExposure, RunPlan, Stage
from ..ports import (
    CalibrationRepository,
    Camera,
    Ingest,
    JobService,
    LightError,
    ObservatoryError,
    Operator,
    OutcomeError,
    PreconditionError,
    Watcher,
)
from ..products import Product, StageKind
from ..record import Journal, Recorder, RunRecord
from ..report import RunReport, gains_text, summary_text, verdict_text
from ..verification import StatisticsError, Verdict, judge
from ._certifier import Certifier
from ._exposer import Exposer, Frames, raise_if_dropped
from ._jobs import JobRunner
from ._timeline import Timeline

_log = logging.getLogger(__name__)

_ABANDON_TIMEOUT = 6.0
"""What a stop may take beside a frame under way; 10 s in all is the limit
that observers expect (s)."""

_FAILURES = {"processing": Outcome.FAILED, "verification": Outcome.HELD}
"""The outcomes behind the values of the configuration's ``fail_on``."""


class Procedure:
    """One run, from the first check to the last certification.

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.
    plan : `RunPlan`
        What follows from it.
    camera, ingest, jobs, repository, operator
        The world; see `lsst.ts.calibrationscripts.ports`.
    journal : `Journal`
        Where the run is noted as it goes.
    record : `RunRecord`
        What the run begins with: its id, and what an earlier run of that id
        has done.
    group_id : callable
        Returns the group id of a frame.
    clock : callable
        Returns the time: TAI, as a Unix timestamp (s).
    watcher : `Watcher`, optional
        Who looks on.
    instrument : `Instrument`, optional
        Whose frames are taken.
    """

    def __init__(
        self,
        config: CalibrationConfig,
        plan: RunPlan,
        *,
        camera: Camera,
        ingest: Ingest,
        jobs: JobService,
        repository: CalibrationRepository,
        operator: Operator,
        journal: Journal,
        record: RunRecord,
        group_id: Callable[[PlannedExposure], str],
        clock: Callable[[], float],
        watcher: Watcher | None = None,
        instrument: Instrument = LATISS,
    ) -> None:
        self._config = config
        self._plan = plan
        self._jobs = jobs
        self._repository = repository
        self._operator = operator
        self._journal = journal
        self._watcher = watcher
        self._timeline = Timeline(clock)
        self._instrument = instrument
        self._pipelines = GENERATIONS[config.pipeline_generation]
        self._detectors = instrument.detector_ids(config.detectors)
        self._recorder = Recorder(record, journal, operator)
        self._exposer = Exposer(
            config,
            plan,
            instrument,
            camera=camera,
            ingest=ingest,
            repository=repository,
            operator=operator,
            watcher=watcher,
            recorder=self._recorder,
            group_id=group_id,
            timeline=self._timeline,
        )
        self._runner = JobRunner(jobs, repository, operator, self._recorder, config.job_retries)
        n_certified = sum(stage.kind is StageKind.CERTIFY for stage in plan.stages)
        self._certifier = Certifier(
            repository, operator, self._recorder, n_certified if config.certify == "together" else None
        )
        self._verdicts: dict[str, Verdict] = {}
        self._gains: list[Gain] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[str, asyncio.Future[StageResult]] = {}

        self.report = RunReport(
            state="UNSTARTED",
            run_id=record.run_id,
            journal=journal.path,
            config=config.to_dict(),
            notices=plan.notices,
        )
        """What the run came to; complete once `run` has ended, however it
        ended."""

    async def run(self) -> None:
        """Carry out the plan.

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
            If outcomes are bad that the configuration does not put up with.
        asyncio.CancelledError
            If the operator stopped it.
        """
        try:
            await self._check()
            self._recorder.begin(self._config.to_dict())
            await self._carry_out()
            self._raise_on_bad_outcomes()
        except BaseException as error:
            stopped = isinstance(error, asyncio.CancelledError)
            reason = "stopped by the operator" if stopped else str(error)
            await self._abandon(reason)
            self._conclude("STOPPED" if stopped else "FAILED", reason)
            raise
        self._conclude("DONE")

    async def _carry_out(self) -> None:
        loop = asyncio.get_running_loop()
        self._ended = {stage.name: loop.create_future() for stage in self._plan.stages}
        await self._exposer.set_up_early()
        for stage in self._plan.stages:
            if stage.kind is not StageKind.EXPOSE:
                self._start(stage, self._process)
        for stage in self._plan.stages:
            if stage.kind is StageKind.EXPOSE:
                await self._expose(stage)
        await self._wait_for_processing()

    def _raise_on_bad_outcomes(self) -> None:
        bad = {_FAILURES[name] for name in self._config.fail_on}
        results = [future.result() for future in self._ended.values()]
        causes = [f"{result.name}: {result.reason}" for result in results if result.outcome in bad]
        if causes:
            raise OutcomeError("; ".join(causes))

    def _conclude(self, state: str, reason: str = "") -> None:
        self.report = replace(
            self.report,
            state=state,
            reason=reason,
            exposures=self._by_type(lambda frames: frames.ids),
            discarded=self._by_type(lambda frames: frames.discarded),
            stages=tuple(future.result() for future in self._ended.values()),
            verdicts=dict(self._verdicts),
            certifications=tuple(self._certifier.done),
            gains=tuple(self._gains),
            timeline=self._timeline.spans,
            repeats=self._recorder.record.repeats,
        )
        if self._ended:
            self._recorder.end(state, reason)
        tell = self._operator.info if self.report.complete else self._operator.warning
        tell(summary_text(self.report))

    def _by_type(self, select: Callable[[Frames], tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Return some frames of every series, by image type."""
        ids: dict[str, tuple[int, ...]] = {}
        for series in self._config.series:
            image_type = series.image_type.value
            ids[image_type] = ids.get(image_type, ()) + select(self._exposer.frames[series.name])
        return ids

    async def _check(self) -> None:
        """Find out all that would fail later."""
        found = await asyncio.gather(self._exposer.check(), self._jobs.check())
        problems = [problem for each in found for problem in each]
        problems += [*await self._check_repository(), *self._journal.check()]
        problems = list(dict.fromkeys(problems))
        if problems:
            raise PreconditionError(problems)

    async def _check_repository(self) -> tuple[str, ...]:
        certifications = [
            self._certification(stage) for stage in self._plan.stages if stage.kind is StageKind.CERTIFY
        ]
        # What this run certifies into need not exist yet.
        own = {certification.collection for certification in certifications}
        inputs = {name for stage in self._plan.stages if stage.job for name in stage.job.inputs} - own
        return await self._repository.check(inputs, certifications)

    async def _expose(self, stage: Stage) -> None:
        """Get the frames of a series; leave the wait for ingest behind."""
        self._tell_started(stage)
        try:
            cause = await self._exposer.expose(stage, lambda: self._useless(stage))
        except LightError as error:
            self._end(stage, StageResult(stage.name, Outcome.FAILED, str(error)))
            return
        if cause is None:
            self._start(stage, self._see_ingested)
            return
        n_taken = len(self._exposer.frames[stage.subject].taken)
        n_planned = len(self._plan.exposures_of(stage.subject))
        reason = f"{n_taken} of {n_planned} frames taken; nothing can use them: {cause}"
        self._end(stage, StageResult(stage.name, Outcome.SKIPPED, reason))

    def _useless(self, stage: Stage) -> str | None:
        """Return why nothing can use a series any more, if that is so."""
        consumers = [self._ended[consumer.name] for consumer in self._plan.consumers(stage.name)]
        if consumers and all(ended.done() for ended in consumers):
            return consumers[0].result().reason
        return None

    async def _see_ingested(self, stage: Stage) -> None:
        problems = await self._exposer.see_ingested(stage)
        if problems:
            result = StageResult(stage.name, Outcome.FAILED, "; ".join(problems))
        else:
            n = len(self._exposer.frames[stage.subject].taken)
            result = StageResult(stage.name, Outcome.PASSED, f"{n} frames")
        self._end(stage, result)

    def _tell_started(self, stage: Stage) -> None:
        self._timeline.begin(stage.name)
        if self._watcher:
            self._watcher.started(stage)

    def _start(self, stage: Stage, work: Callable[[Stage], Awaitable[None]]) -> None:
        self._tasks[stage.name] = asyncio.create_task(self._guard(stage, work), name=stage.name)

    async def _guard(self, stage: Stage, work: Callable[[Stage], Awaitable[None]]) -> None:
        """Let nothing that goes wrong in a stage go unheard."""
        try:
            await work(stage)
        except (ObservatoryError, StatisticsError) as error:
            self._end(stage, self._result(stage, Outcome.FAILED, str(error)))
        except Exception as error:  # noqa: BLE001 - a defect here must not hide the other stages' results
            _log.exception("Unexpected error in stage %s", stage.name)
            self._end(stage, self._result(stage, Outcome.FAILED, f"{type(error).__name__}: {error}"))

    def _result(self, stage: Stage, outcome: Outcome, reason: str = "") -> StageResult:
        """Return a result that names the stage's job, if it had one."""
        result = StageResult(stage.name, outcome, reason)
        job_id = self._runner.ids.get(stage.name)
        if job_id is None:
            return result
        return replace(
            result, job_id=job_id, collection=self._jobs.collection(job_id), log=self._jobs.log_path(job_id)
        )

    def _end(self, stage: Stage, result: StageResult) -> None:
        self._ended[stage.name].set_result(result)
        self._recorder.stage(result)
        self._timeline.end(stage.name)
        if self._watcher:
            self._watcher.ended(stage, result.outcome)
        text = f"{stage.name}: {result.outcome}" + (f", {result.reason}" if result.reason else "")
        match result.outcome:
            case Outcome.FAILED:
                self._operator.error(text + (f" (log {result.log})" if result.log else ""))
            case Outcome.HELD | Outcome.SKIPPED:
                self._operator.warning(text)
            case _:
                self._operator.info(text)

    async def _process(self, stage: Stage) -> None:
        cause = await self._cause_to_skip(stage)
        if cause:
            self._end(stage, StageResult(stage.name, Outcome.SKIPPED, cause))
            return
        self._tell_started(stage)
        match stage.kind:
            case StageKind.VERIFY:
                result = await self._verify(stage)
            case StageKind.CERTIFY:
                result = await self._certify(stage)
            case _:
                result = await self._generate(stage)
        self._end(stage, result)

    async def _cause_to_skip(self, stage: Stage) -> str | None:
        """Wait for what a stage needs; return why it cannot run, if so."""
        pending = {self._ended[name] for name in stage.needs}
        while pending:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for name in stage.needs:
                ended = self._ended[name]
                if ended.done() and not ended.result().outcome.good:
                    return _cause(ended.result())
        return None

    async def _generate(self, stage: Stage) -> StageResult:
        generator = self._pipelines.generators[stage.product]
        if stage.product is Product.GAIN and not self._pairs(stage):
            nothing = "no two flats of one exposure time, so no gain can be measured"
            return StageResult(stage.name, Outcome.PASSED, nothing)
        await self._run_job(stage, generator.dataset_type, generator.per_exposure)
        if stage.product in (Product.GAIN, Product.PTC):
            await self._report_gains(stage)
        return self._result(stage, Outcome.PASSED)

    async def _verify(self, stage: Stage) -> StageResult:
        verifier = self._pipelines.verifiers[stage.product]
        exposures = await self._run_job(stage, verifier.statistics, verifier.per_exposure)
        collection = self._collection_of(stage)
        by_filter = self._exposer.physical_filters.get(stage.subject) if verifier.by_physical_filter else None
        verdict = judge(
            await self._repository.statistics(verifier.statistics, collection, by_filter),
            stage.subject,
            n_detectors=len(self._detectors),
            threshold=self._config.of(stage.product).threshold,
            key=verifier.key,
        )
        if verifier.key is StatisticsKey.EXPOSURE:
            raise_if_dropped(exposures, [result.exposure for result in verdict.exposures])
        self._verdicts[stage.subject] = verdict
        generated = self._plan.generation_of(stage)
        text = verdict_text(
            verdict,
            verification_collection=collection,
            generation_collection=self._collection_of(generated) if generated else None,
        )
        clean = verdict.passed and not verdict.exposures_with_failures
        (self._operator.info if clean else self._operator.warning)(text)
        n_failed, n = len(verdict.failed_exposures), len(verdict.exposures)
        if verifier.key is StatisticsKey.DETECTOR:
            counts = ", ".join(f"{test} {count}" for test, count in verdict.exposures[0].counts.items())
            reason = f"tests that failed: {counts}" if counts else ""
            return self._result(stage, Outcome.PASSED if verdict.passed else Outcome.HELD, reason)
        if verdict.passed:
            return self._result(stage, Outcome.PASSED, f"{n_failed} of {n} exposures failed")
        limit = verdict.thresholds.failed_exposures - 1
        return self._result(
            stage, Outcome.HELD, f"{n_failed} of {n} exposures failed verification, at most {limit} may"
        )

    async def _certify(self, stage: Stage) -> StageResult:
        certification = self._certification(stage)
        await self._certifier.certify(certification)
        reason = "" if self._plan.verification_of(stage) else "certified without verification"
        return StageResult(stage.name, Outcome.CERTIFIED, reason, collection=certification.collection)

    def _certification(self, stage: Stage) -> Certification:
        """Return what a stage certifies; no source before that is made."""
        generated = self._plan.generation_of(stage)
        made = generated is not None and generated.name in self._runner.ids
        return Certification(
            dataset_type=self._pipelines.generators[stage.product].dataset_type,
            source=self._collection_of(generated) if generated and made else "",
            collection=self._config.calib_collection,
            begin_date=self._config.certify_calib_begin_date,
            end_date=self._config.certify_calib_end_date,
            physical_filter=self._exposer.physical_filters.get(stage.subject),
        )

    async def _run_job(self, stage: Stage, dataset_type: str, per_exposure: str | None) -> tuple[int, ...]:
        """Run a stage's job to its end and see that it used every frame.

        Returns
        -------
        exposures : `tuple` [`int`, ...]
            Ids of the exposures that the job was given.
        """
        assert stage.job is not None, f"{stage.name} has no job"
        exposures = tuple(i for name in stage.job.series for i in self._exposer.frames[name].kept)
        request = stage.job.request(
            generated=[self._jobs.collection(self._runner.ids[name]) for name in stage.job.inputs_from],
            exposures=exposures,
            instrument=self._instrument.name,
            detectors=self._detectors,
            n_processes=self._config.n_processes,
        )
        job_id = await self._runner.run(stage, request, dataset_type)
        if per_exposure:
            await self._compare(per_exposure, job_id, exposures)
        return exposures

    async def _compare(self, dataset_type: str, job_id: str, exposures: tuple[int, ...]) -> None:
        """See that `pipetask` dropped no exposure in silence."""
        run = self._jobs.run_collection(job_id)
        seen = await self._repository.exposures_with(dataset_type, run)
        if seen is None:
            self._operator.warning(
                f"{run}: no dataset type {dataset_type}, so dropped exposures go unnoticed."
            )
            return
        complete = [i for i in exposures if all((i, detector) in seen for detector in self._detectors)]
        raise_if_dropped(exposures, complete)

    def _pairs(self, stage: Stage) -> list[tuple[int, int, float]]:
        """Return ids and exposure time (s) of the flat pairs of a stage."""
        assert stage.job is not None, f"{stage.name} has no job"
        flats = self._exposer.frames[stage.job.series[0]]
        ids, exp_times = flats.kept, flats.kept_exp_times
        return [(ids[i], ids[j], exp_times[i]) for i, j in flat_pairs(exp_times)]

    async def _report_gains(self, stage: Stage) -> None:
        assert stage.job is not None, f"{stage.name} has no job"
        pairs = self._pairs(stage)
        dataset_type = self._pipelines.generators[Product.GAIN].dataset_type
        measured = await self._repository.gains(dataset_type, self._collection_of(stage), pairs)
        reference = await self._repository.reference_gains(stage.job.inputs, pairs[0][0]) if pairs else {}
        gains = tuple(
            replace(gain, reference=reference.get((gain.detector, gain.amplifier))) for gain in measured
        )
        self._gains.extend(gains)
        self._operator.info(gains_text(gains, stage.job.series[0]))

    def _collection_of(self, stage: Stage) -> str:
        return self._jobs.collection(self._runner.ids[stage.name])

    async def _wait_for_processing(self) -> None:
        pending: set[asyncio.Task[Any]] = {*self._tasks.values(), *self._exposer.tasks}
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            n_ended = sum(future.done() for future in self._ended.values())
            await self._operator.checkpoint(f"Processing, {n_ended}/{len(self._ended)} stages ended")

    async def _abandon(self, reason: str) -> None:
        """Leave nothing running behind: no task, no job."""
        deadline = asyncio.get_running_loop().time() + _ABANDON_TIMEOUT
        # A certification under way is waited for: it cannot be undone in the
        # middle, so the report had better know how it ended.
        self._certifier.stop()
        for look in self._exposer.tasks:
            look.cancel()
        certifying = {
            task
            for task in self._tasks.values()
            if self._certifier.tasks and task.get_name().startswith(StageKind.CERTIFY)
        }
        for task in set(self._tasks.values()) - certifying:
            task.cancel()
        await asyncio.gather(_let_end(certifying, deadline), self._runner.abandon(deadline))
        await asyncio.gather(*self._tasks.values(), *self._exposer.tasks, return_exceptions=True)
        for stage in self._plan.stages:
            ended = self._ended.get(stage.name)
            if ended is not None and not ended.done():
                result = self._result(stage, Outcome.ABORTED, reason)
                ended.set_result(result)
                self._recorder.stage(result)


async def _let_end(tasks: set[asyncio.Task[None]], deadline: float) -> None:
    """Wait for tasks until a time of the event loop; then cancel them."""
    if tasks:
        await asyncio.wait(tasks, timeout=deadline - asyncio.get_running_loop().time())
    for task in tasks:
        task.cancel()


def _cause(result: StageResult) -> str:
    """Return why a stage that did not succeed keeps others from running."""
    if result.outcome is Outcome.SKIPPED:
        return result.reason
    return f"{result.name} ended {result.outcome}: {result.reason}"
