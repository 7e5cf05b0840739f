# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedure: expose, process, verify, certify.

The camera is driven by the caller's task, frame after frame. Every other
stage of the plan is a task of its own that waits for the stages it needs, so
that processing overlaps with exposures wherever nothing forbids it.
"""

from __future__ import annotations

__all__ = ["Procedure"]

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace

from .config import CalibrationConfig, ImageType, flat_pairs
from .instruments import LATISS, Instrument
from .pipelines import GENERATIONS, Product, StatisticsKey
from .plan import PlannedExposure, RunPlan, Stage, StageKind
from .ports import (
    CalibrationRepository,
    Camera,
    Certification,
    Gain,
    Ingest,
    IngestReport,
    JobService,
    JobTimeoutError,
    ObservatoryError,
    Operator,
    PreconditionError,
    Watcher,
)
from .report import Outcome, RunReport, StageResult, gains_text, summary_text, verdict_text
from .verification import DEFAULT_THRESHOLD, StatisticsError, Verdict, judge

_log = logging.getLogger(__name__)

_ABANDON_TIMEOUT = 5.0
"""What a stop may wait for acknowledgements and a certification (s)."""


@dataclass
class _Frames:
    """The frames of one series that were taken."""

    taken: list[tuple[int, PlannedExposure]] = field(default_factory=list)

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(exposure_id for exposure_id, _ in self.taken)

    @property
    def discarded(self) -> tuple[int, ...]:
        return tuple(exposure_id for exposure_id, planned in self.taken if planned.discard)

    @property
    def kept(self) -> tuple[int, ...]:
        return tuple(exposure_id for exposure_id, planned in self.taken if not planned.discard)

    @property
    def kept_exp_times(self) -> tuple[float, ...]:
        return tuple(planned.exp_time for _, planned in self.taken if not planned.discard)


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
    group_id : callable
        Returns the group id to give a frame.
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
        group_id: Callable[[PlannedExposure], str],
        watcher: Watcher | None = None,
        instrument: Instrument = LATISS,
    ) -> None:
        self._config = config
        self._plan = plan
        self._camera = camera
        self._ingest = ingest
        self._jobs = jobs
        self._repository = repository
        self._operator = operator
        self._group_id = group_id
        self._watcher = watcher
        self._instrument = instrument
        self._pipelines = GENERATIONS[config.pipeline_generation]
        self._detectors = instrument.detector_ids(config.detectors)

        self._series = {series.name: series for series in config.series}
        self._frames = {series.name: _Frames() for series in config.series}
        self._physical_filters: dict[str, str] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._certifications: list[Certification] = []
        self._gains: list[Gain] = []
        self._job_ids: dict[str, str] = {}
        self._running_jobs: set[str] = set()
        self._submissions: set[asyncio.Task[str]] = set()
        self._certifying: set[str] = set()
        self._certification_lock = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[str, asyncio.Future[StageResult]] = {}

        self.report = RunReport(state="UNSTARTED", config=config.to_dict(), notices=plan.notices)
        """What the run came to; complete once `run` has ended, however it
        ended."""

    async def run(self) -> None:
        """Carry out the plan.

        What fails in processing is in the report and raises nothing.

        Raises
        ------
        PreconditionError
            If something would fail later that can be known now. Nothing has
            been done then.
        CameraError
            If the frames cannot be taken.
        asyncio.CancelledError
            If the operator stopped it.
        """
        try:
            await self._check()
            await self._carry_out()
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
        # At once, so that a stuck wheel costs no frames.
        first_flats = next((s for s in self._series.values() if s.image_type is ImageType.FLAT), None)
        if first_flats:
            await self._camera.set_up(first_flats)
        for stage in self._plan.stages:
            if stage.kind is not StageKind.EXPOSE:
                self._start(stage, self._process(stage))
        for stage in self._plan.stages:
            if stage.kind is StageKind.EXPOSE:
                await self._expose(stage)
        await self._wait_for_processing()

    def _conclude(self, state: str, reason: str = "") -> None:
        self.report = replace(
            self.report,
            state=state,
            reason=reason,
            exposures=self._by_type(lambda frames: frames.ids),
            discarded=self._by_type(lambda frames: frames.discarded),
            stages=tuple(future.result() for future in self._ended.values()),
            verdicts=dict(self._verdicts),
            certifications=tuple(self._certifications),
            gains=tuple(self._gains),
        )
        tell = self._operator.info if self.report.complete else self._operator.warning
        tell(summary_text(self.report))

    def _by_type(self, select: Callable[[_Frames], tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Return some frames of every series, by image type."""
        ids: dict[str, tuple[int, ...]] = {}
        for name, frames in self._frames.items():
            image_type = self._series[name].image_type.value
            ids[image_type] = ids.get(image_type, ()) + select(frames)
        return ids

    async def _check(self) -> None:
        """Find out all that would fail later."""
        found = await asyncio.gather(
            self._camera.check(),
            self._jobs.check(),
            self._check_repository(),
        )
        problems = list(dict.fromkeys(problem for each in found for problem in each))
        if problems:
            raise PreconditionError(problems)

    async def _check_repository(self) -> tuple[str, ...]:
        try:
            for series in self._series.values():
                if series.image_type is ImageType.FLAT:
                    self._physical_filters[series.name] = await self._camera.physical_filter(series)
        except ObservatoryError as error:
            return (str(error),)
        if len(set(self._physical_filters.values())) < len(self._physical_filters):
            return (f"flat_sets: two sets are of the same filter and grating: {self._physical_filters}",)
        certifications = [
            self._certification(stage) for stage in self._plan.stages if stage.kind is StageKind.CERTIFY
        ]
        # What this run certifies into need not exist yet.
        own = {certification.collection for certification in certifications}
        inputs = {name for stage in self._plan.stages if stage.job for name in stage.job.inputs} - own
        return await self._repository.check(inputs, certifications)

    async def _expose(self, stage: Stage) -> None:
        """Take the frames of a series; leave the wait for ingest behind."""
        series, frames = self._series[stage.subject], self._frames[stage.subject]
        self._tell_started(stage)
        planned = self._plan.exposures_of(stage.subject)
        useless = self._useless(stage)
        if series.image_type is ImageType.FLAT and not useless:
            await self._camera.set_up(series)
        for exposure in planned:
            useless = self._useless(stage)
            if useless:
                break
            await self._operator.checkpoint(exposure.label)
            exposure_id = await self._camera.take(exposure, self._group_id(exposure))
            frames.taken.append((exposure_id, exposure))
            self._ingest.expect(exposure_id)
            if self._watcher:
                self._watcher.taken(exposure)
            self._operator.info(f"{exposure.label}: exposure {exposure_id}")
            if self._config.wait_between_exposures:
                await asyncio.sleep(self._config.wait_between_exposures)
        if useless:
            taken = f"{len(frames.taken)} of {len(planned)} frames taken; nothing can use them: {useless}"
            self._end(stage, StageResult(stage.name, Outcome.SKIPPED, taken))
        else:
            self._start(stage, self._see_ingested(stage, frames))

    def _useless(self, stage: Stage) -> str | None:
        """Return why nothing can use a series any more, if that is so."""
        consumers = [self._ended[consumer.name] for consumer in self._plan.consumers(stage.name)]
        if consumers and all(ended.done() for ended in consumers):
            return consumers[0].result().reason
        return None

    async def _see_ingested(self, stage: Stage, frames: _Frames) -> None:
        report = await self._ingest.wait(frames.ids)
        for exposure_id in report.late:
            self._operator.warning(f"Exposure {exposure_id} is in the Butler, though the OODS never said so.")
        discarded = set(frames.discarded)
        problems = _ingest_problems(report, discarded)
        for lost in sorted(discarded & ({i for i, _ in report.failures} | set(report.missing))):
            self._operator.warning(f"Exposure {lost}, which is discarded anyway, was not ingested.")
        if problems:
            result = StageResult(stage.name, Outcome.FAILED, "; ".join(problems))
        else:
            result = StageResult(stage.name, Outcome.PASSED, f"{len(frames.taken)} frames")
        self._end(stage, result)

    def _tell_started(self, stage: Stage) -> None:
        if self._watcher:
            self._watcher.started(stage)

    def _start(self, stage: Stage, work: Coroutine[None, None, None]) -> None:
        self._tasks[stage.name] = asyncio.create_task(self._guard(stage, work), name=stage.name)

    async def _guard(self, stage: Stage, work: Coroutine[None, None, None]) -> None:
        """Let nothing that goes wrong in a stage go unheard."""
        try:
            await work
        except (ObservatoryError, StatisticsError) as error:
            self._end(stage, self._result(stage, Outcome.FAILED, str(error)))
        except Exception as error:  # noqa: BLE001 - a defect here must not hide the other stages' results
            _log.exception("Unexpected error in stage %s", stage.name)
            self._end(stage, self._result(stage, Outcome.FAILED, f"{type(error).__name__}: {error}"))

    def _result(self, stage: Stage, outcome: Outcome, reason: str = "") -> StageResult:
        """Return a result that names the stage's job, if it had one."""
        result = StageResult(stage.name, outcome, reason)
        job_id = self._job_ids.get(stage.name)
        if job_id is None:
            return result
        return replace(
            result, job_id=job_id, collection=self._jobs.collection(job_id), log=self._jobs.log_path(job_id)
        )

    def _end(self, stage: Stage, result: StageResult) -> None:
        self._ended[stage.name].set_result(result)
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
        await self._run_job(stage, generator.per_exposure)
        if stage.product in (Product.GAIN, Product.PTC):
            await self._report_gains(stage)
        return self._result(stage, Outcome.PASSED)

    async def _verify(self, stage: Stage) -> StageResult:
        verifier = self._pipelines.verifiers[stage.product]
        exposures = await self._run_job(stage, verifier.per_exposure)
        collection = self._collection_of(stage)
        by_filter = self._physical_filters.get(stage.subject) if verifier.by_physical_filter else None
        verdict = judge(
            await self._repository.statistics(verifier.statistics, collection, by_filter),
            stage.subject,
            n_detectors=len(self._detectors),
            threshold=getattr(
                self._config,
                f"number_verification_tests_threshold_{stage.product.lower()}",
                DEFAULT_THRESHOLD,
            ),
            key=verifier.key,
        )
        if verifier.key is StatisticsKey.EXPOSURE:
            _raise_if_dropped(exposures, [result.exposure for result in verdict.exposures])
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
            return self._result(stage, Outcome.PASSED if verdict.passed else Outcome.HELD)
        if verdict.passed:
            return self._result(stage, Outcome.PASSED, f"{n_failed} of {n} exposures failed")
        limit = verdict.thresholds.failed_exposures - 1
        return self._result(
            stage, Outcome.HELD, f"{n_failed} of {n} exposures failed verification, at most {limit} may"
        )

    async def _certify(self, stage: Stage) -> StageResult:
        certification = self._certification(stage)
        async with self._certification_lock:
            self._certifying.add(stage.name)
            try:
                await self._repository.certify(certification)
            finally:
                self._certifying.discard(stage.name)
        self._certifications.append(certification)
        reason = "" if self._plan.verification_of(stage) else "certified without verification"
        return StageResult(stage.name, Outcome.CERTIFIED, reason, collection=certification.collection)

    def _certification(self, stage: Stage) -> Certification:
        """Return what a stage certifies; no source before that is made."""
        generated = self._plan.generation_of(stage)
        made = generated is not None and generated.name in self._job_ids
        return Certification(
            dataset_type=self._pipelines.generators[stage.product].dataset_type,
            source=self._collection_of(generated) if generated and made else "",
            collection=self._config.calib_collection,
            begin_date=self._config.certify_calib_begin_date,
            end_date=self._config.certify_calib_end_date,
            physical_filter=self._physical_filters.get(stage.subject),
        )

    async def _run_job(self, stage: Stage, per_exposure: str | None) -> tuple[int, ...]:
        """Run a stage's job to its end and see that it used every frame.

        Returns
        -------
        exposures : `tuple` [`int`, ...]
            Ids of the exposures that the job was given.
        """
        assert stage.job is not None, f"{stage.name} has no job"
        exposures = tuple(i for name in stage.job.series for i in self._frames[name].kept)
        request = stage.job.request(
            generated=[self._jobs.collection(self._job_ids[name]) for name in stage.job.inputs_from],
            exposures=exposures,
            instrument=self._instrument.name,
            detectors=self._detectors,
            n_processes=self._config.n_processes,
        )
        # Its own task: a stop must still learn the id of a job under way.
        submission = asyncio.create_task(self._jobs.submit(request))
        self._submissions.add(submission)
        job_id = await asyncio.shield(submission)
        self._job_ids[stage.name] = job_id
        self._running_jobs.add(job_id)
        self._submissions.discard(submission)
        self._operator.info(f"{stage.name}: job {job_id}, log {self._jobs.log_path(job_id)}")
        try:
            result = await self._jobs.result(job_id)
        except JobTimeoutError:
            await self._abort(job_id)
            raise
        self._running_jobs.discard(job_id)
        if result.exit_code != 0:
            raise ObservatoryError(f"job {job_id} ended with exit code {result.exit_code}")
        if per_exposure:
            await self._compare(per_exposure, job_id, exposures)
        return exposures

    async def _compare(self, dataset_type: str, job_id: str, exposures: Sequence[int]) -> None:
        """See that `pipetask` dropped no exposure in silence."""
        run = self._jobs.run_collection(job_id)
        seen = await self._repository.exposures_with(dataset_type, run)
        if seen is None:
            self._operator.warning(
                f"{run}: no dataset type {dataset_type}, so dropped exposures go unnoticed."
            )
            return
        complete = [i for i in exposures if all((i, detector) in seen for detector in self._detectors)]
        _raise_if_dropped(exposures, complete)

    async def _report_gains(self, stage: Stage) -> None:
        assert stage.job is not None, f"{stage.name} has no job"
        flats = self._frames[stage.job.series[0]]
        ids, exp_times = flats.kept, flats.kept_exp_times
        pairs = [(ids[i], ids[j], exp_times[i]) for i, j in flat_pairs(exp_times)]
        dataset_type = self._pipelines.generators[Product.GAIN].dataset_type
        measured = await self._repository.gains(dataset_type, self._collection_of(stage), pairs)
        reference = await self._repository.reference_gains(stage.job.inputs, ids[0])
        gains = tuple(
            replace(gain, reference=reference.get((gain.detector, gain.amplifier))) for gain in measured
        )
        self._gains.extend(gains)
        self._operator.info(gains_text(gains))

    def _collection_of(self, stage: Stage) -> str:
        return self._jobs.collection(self._job_ids[stage.name])

    async def _wait_for_processing(self) -> None:
        pending = set(self._tasks.values())
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            n_ended = sum(future.done() for future in self._ended.values())
            await self._operator.checkpoint(f"Processing, {n_ended}/{len(self._ended)} stages ended")

    async def _abandon(self, reason: str) -> None:
        """Leave nothing running behind: no task, no job."""
        # A certification under way is waited for: it cannot be undone, so the
        # report had better know how it ended.
        certifying = {self._tasks[name] for name in self._certifying}
        for task in set(self._tasks.values()) - certifying:
            task.cancel()
        if certifying:
            _, overdue = await asyncio.wait(certifying, timeout=_ABANDON_TIMEOUT)
            for task in overdue:
                task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._learn_submitted_jobs()
        await asyncio.gather(*(self._abort(job_id) for job_id in tuple(self._running_jobs)))
        for stage in self._plan.stages:
            ended = self._ended.get(stage.name)
            if ended is not None and not ended.done():
                ended.set_result(self._result(stage, Outcome.ABORTED, reason))

    async def _learn_submitted_jobs(self) -> None:
        if not self._submissions:
            return
        done, pending = await asyncio.wait(self._submissions, timeout=_ABANDON_TIMEOUT)
        for submission in done:
            if submission.exception() is None:
                self._running_jobs.add(submission.result())
        for submission in pending:
            submission.cancel()
            self._operator.warning("A job was submitted whose id is not known; it could not be aborted.")
        await asyncio.gather(*pending, return_exceptions=True)

    async def _abort(self, job_id: str) -> None:
        self._running_jobs.discard(job_id)
        try:
            await self._jobs.abort(job_id)
        except ObservatoryError as error:
            self._operator.error(f"Job {job_id} could not be aborted and may still run: {error}")
        else:
            self._operator.info(f"Job {job_id} aborted.")


def _cause(result: StageResult) -> str:
    """Return why a stage that did not succeed keeps others from running."""
    if result.outcome is Outcome.SKIPPED:
        return result.reason
    return f"{result.name} ended {result.outcome}: {result.reason}"


def _ingest_problems(report: IngestReport, discarded: set[int]) -> list[str]:
    problems = [
        f"the OODS could not ingest exposure {exposure_id}: {description}"
        for exposure_id, description in report.failures
        if exposure_id not in discarded
    ]
    missing = [exposure_id for exposure_id in report.missing if exposure_id not in discarded]
    if missing:
        problems.append(f"not in the Butler: exposure(s) {', '.join(map(str, missing))}")
    return problems


def _raise_if_dropped(exposures: Sequence[int], seen: Sequence[int]) -> None:
    dropped = sorted(set(exposures) - set(seen))
    if dropped:
        raise ObservatoryError(
            f"the job left out {len(dropped)} of {len(exposures)} exposures without a word: "
            + ", ".join(map(str, dropped))
        )
