# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the jobs of a stage are, and what their results mean."""

from __future__ import annotations

__all__ = ["Processing"]

from dataclasses import replace
from functools import partial

from ..judgement import Judgement, judge_defects, judge_gains
from ..outcomes import Certification, DetectorDefects, Gain, Outcome, StageResult
from ..plan import JobPlan, Stage
from ..ports import ExposureRecord, Wanted
from ..products import Product, StageId, StageKind, Subject
from ..proof import FrameRecord, ProductRecord, Proof, prove
from ..report import defects_found, defects_text, gains_text, verdict_text
from ..verification import Verdict, judge
from ._compared import compared
from ._completeness import BlockedError, Completeness
from ._context import Context
from ._exposer import Exposer
from ._jobs import JobRunner
from ._judged import judged, judged_by_itself
from ._release import ReleasedError


class Processing:
    """Has products made, measured and verified by jobs.

    Parameters
    ----------
    context : `Context`
        The run.
    exposer : `Exposer`
        Has the frames.
    runner : `JobRunner`
        Runs the jobs.
    """

    def __init__(self, context: Context, exposer: Exposer, runner: JobRunner) -> None:
        self._context = context
        self._config = context.config
        self._plan = context.plan
        self._pipelines = context.pipelines
        self._world = context.world
        self._incomplete = context.incomplete
        self._complete = Completeness(context)
        self._exposer = exposer
        self._runner = runner
        self.verdicts: dict[Subject, Verdict] = {}
        self.judgements: dict[Subject, Judgement] = {}
        self.gains: list[Gain] = []
        self.defects: list[DetectorDefects] = []

    def result(self, stage: Stage, outcome: Outcome, reason: str = "") -> StageResult:
        """Return a result that names the stage's job, if it had one."""
        job_id = self._runner.id_of(stage.id)
        bad, n_detectors = self._incomplete.of(stage.id), len(self._context.detectors)
        if job_id is None:
            return StageResult(stage.id, outcome, reason).with_bad(bad, n_detectors)
        jobs = self._world.jobs
        return StageResult(
            stage.id,
            outcome,
            reason,
            job_id,
            jobs.collection(job_id),
            jobs.log_path(job_id),
            log_tail=self._runner.log_tails.get(stage.id, ()) if outcome is Outcome.FAILED else (),
        ).with_bad(bad, n_detectors)

    def unfinished(self, stage: Stage, reason: str) -> StageResult:
        """Return the result of a stage that the end of the run cuts off."""
        if stage.id in self._runner.released:
            return self.result(stage, Outcome.PENDING, f"its result is collected later; {reason}")
        return self.result(stage, Outcome.ABORTED, reason)

    async def carry_out(self, stage: Stage) -> StageResult:
        """Have a stage's job run, and return what has come of it.

        Parameters
        ----------
        stage : `Stage`
            One that makes, measures or verifies something.

        Returns
        -------
        result : `StageResult`
            Its outcome is PENDING if the run does not wait for the job.

        Raises
        ------
        ObservatoryError
            If its job fails, or has not used every frame.
        StatisticsError
            If the statistics cannot be judged.
        """
        try:
            return await (self.verify if stage.kind is StageKind.VERIFY else self.generate)(stage)
        except ReleasedError as released:
            return self.result(stage, Outcome.PENDING, str(released))

    async def generate(self, stage: Stage) -> StageResult:
        """Make a product, or measure gains.

        Gains and defects are judged by themselves: no verification of them
        can pass.

        Parameters
        ----------
        stage : `Stage`
            Of what.

        Returns
        -------
        result : `StageResult`
            Its outcome is HELD if it was judged, and did not pass.

        Raises
        ------
        ObservatoryError
            If its job fails, or has not used every frame.
        """
        generator = self._pipelines.generators[stage.subject.product]
        wanted = Wanted(generator.dataset_type)
        if stage.subject.product is Product.GAIN:
            pairs = self._pairs(stage)
            if not pairs:
                nothing = f"no flats are a pair, {self._pipelines.pair_rule.value}: no gain can be measured"
                return StageResult(stage.id, Outcome.PASSED, nothing)
            wanted = replace(wanted, exposures=tuple((first, second) for first, second, _ in pairs))
        await self._run_job(stage, wanted, generator.per_exposure)
        product, found = stage.subject.product, ""
        gains = await self._report_gains(stage) if product in (Product.GAIN, Product.PTC) else ()
        defects = await self._report_defects(stage) if product is Product.DEFECTS else ()
        if product is Product.DEFECTS:
            found = defects_found(defects)
        if product not in (Product.GAIN, Product.DEFECTS) or not self._config.do_verify:
            return self._made(stage, found)
        judgement = (
            judged_by_itself(stage, gains, judge_gains, self._incomplete)
            if product is Product.GAIN
            else judged_by_itself(stage, defects, judge_defects, self._incomplete)
        )
        self.judgements[stage.subject] = judgement
        if not judgement.passed:
            return self.result(stage, Outcome.HELD, f"{judgement.reason}{self._incomplete.remedy(stage)}")
        return self._made(stage, found, judgement.reason)

    def _made(self, stage: Stage, *found: str) -> StageResult:
        """Return that a product is made, with what was found."""
        without = self._incomplete.without(stage)
        return self.result(stage, Outcome.PASSED, "; ".join(filter(None, (*found, without))))

    async def verify(self, stage: Stage) -> StageResult:
        """Verify frames, and judge by the statistics.

        Parameters
        ----------
        stage : `Stage`
            Of what.

        Returns
        -------
        result : `StageResult`
            Its outcome is HELD if verification failed.

        Raises
        ------
        ObservatoryError
            If its job fails, or has not used every frame.
        StatisticsError
            If the statistics cannot be judged.
        """
        subject = stage.subject
        verifier = self._pipelines.verifiers[subject.product]
        wanted = Wanted(verifier.statistics, by_detector=False)
        exposures = await self._run_job(stage, wanted, verifier.per_exposure)
        collection = self._collection_of(stage)
        by_filter = self._exposer.physical_filters.get(subject) if verifier.by_physical_filter else None
        statistics = await self._world.repository.statistics(
            verifier.statistics, self._run_of(stage), by_filter
        )
        await self._complete.check_statistics(stage, statistics, verifier.key, self._run_of(stage), exposures)
        verdict = judge(
            statistics,
            subject,
            n_detectors=len(self._incomplete.left_of(stage)),
            threshold=self._config.of(subject.product).threshold,
            key=verifier.key,
            expected=exposures,
            details=await self._complete.hidden(stage, statistics, verifier.key, self._run_of(stage)),
        )
        self.verdicts[subject] = verdict
        outcome, reason = judged(stage, verdict, self._incomplete)
        generated = self._plan.generation_of(subject)
        text = verdict_text(
            verdict,
            verification_collection=collection,
            generation_collection=self._collection_of(generated) if generated else None,
            asks=self._config.certify == "ask",
            rest=outcome is Outcome.PASSED,
        )
        clean = verdict.passed and not verdict.with_failures
        (self._world.operator.info if clean else self._world.operator.warning)(text)
        return self.result(stage, outcome, reason)

    def certification(self, stage: Stage) -> Certification:
        """Return what a stage is to certify.

        Its source is that of an earlier run, or "", until it is made.

        Parameters
        ----------
        stage : `Stage`
            Which certification.

        Returns
        -------
        certification : `Certification`
        """
        generated = self._plan.generation_of(stage.subject)
        job_id = None
        if generated is not None:
            job_id = self._runner.id_of(generated.id) or self._runner.earlier_id_of(generated.id)
        planned = Certification(
            dataset_type=self._pipelines.generators[stage.subject.product].dataset_type,
            source="" if job_id is None else self._world.jobs.collection(job_id),
            collection=self._config.calib_collection,
            begin_date=self._config.certify_calib_begin_date,
            end_date=self._config.certify_calib_end_date,
            physical_filter=self._exposer.physical_filters.get(stage.subject),
        )
        decision = self._context.recorder.record.decision_on(stage.subject)
        if decision is None or decision.certification is None:
            return planned
        # Who accepts it may choose where and for when.
        chosen = decision.certification
        return replace(
            planned, collection=chosen.collection, begin_date=chosen.begin_date, end_date=chosen.end_date
        )

    async def proof(self, stage: Stage) -> Proof:
        """Return what proves that a product may be certified.

        Parameters
        ----------
        stage : `Stage`
            Which certification.

        Returns
        -------
        proof : `Proof`

        Raises
        ------
        NotProvenError
            If something is not proven.
        ObservatoryError
            If the repository cannot be read.
        """
        generated = self._plan.generation_of(stage.subject)
        assert generated is not None and generated.job is not None, f"{stage.name}: nothing is made"
        verification = self._plan.verification_of(stage.subject)
        certification = self.certification(stage)
        # What is built on frames needs their verification too.
        needed = [
            subject
            for subject in dict.fromkeys((stage.subject, *generated.job.series))
            if self._plan.verification_of(subject)
        ]
        records = self._exposer.records
        left_out = self._incomplete.before(stage)
        bad = {each.detector for each in left_out}
        names = self._incomplete.names(self._incomplete.detectors_of(stage))
        made = await self._products(generated.id)
        what = await compared(self._context, verification, generated.id, self._runner.records)
        proof = Proof(
            stage.subject,
            certification,
            datasets=tuple(each for each in made if each.detector not in bad),
            frames=tuple(_frame(i, records[i]) for i in self._exposures_of(generated.job) if i in records),
            held_out=tuple(_frame(i, records[i]) for i in self._held_out(generated.job) if i in records),
            generation=self._runner.records[generated.id],
            verification=None if verification is None else self._runner.records[verification.id],
            verdicts=tuple(
                self.verdicts[subject].of(names) for subject in needed if subject in self.verdicts
            ),
            judgement=self.judgements.get(stage.subject),
            defects=tuple(each for each in self.defects if each.detector not in bad)
            if stage.subject.product is Product.DEFECTS
            else (),
            searched=what.searched,
            found_before=what.found_before,
            verified_since=what.since,
            left_out=left_out,
            withheld=tuple(each for each in made if each.detector in bad),
        )
        return prove(proof, detectors=self._context.detectors, needed=needed)

    async def _run_job(self, stage: Stage, wanted: Wanted, per_exposure: str | None) -> tuple[int, ...]:
        """Run a stage's job to its end; check that it used every frame.

        Returns
        -------
        exposures : `tuple` [`int`, ...]
            Ids of the exposures that the job was given.
        """
        assert stage.job is not None, f"{stage.name} has no job"
        jobs = self._world.jobs
        exposures = self._exposures_of(stage.job)
        detectors = self._incomplete.to_process(stage, self._context.recorder.record.job_of(stage.id))
        request = stage.job.request(
            generated=[
                jobs.collection(self._runner.records[other].job_id) for other in stage.job.inputs_from
            ],
            exposures=exposures,
            instrument=self._context.instrument.name,
            detectors=detectors,
            n_processes=self._config.n_processes,
            products=[
                each.id
                for other in stage.job.inputs_from
                for each in await self._products(other)
                if each.detector in detectors
            ],
        )
        was_blocked = partial(self._complete.was_blocked, stage, per_exposure or "", exposures, detectors)
        try:
            job_id = await self._runner.run(
                stage, request, replace(wanted, detectors=detectors), was_blocked if per_exposure else None
            )
        except BlockedError:
            without = self._incomplete.without(stage)
            self._context.recorder.repeat(f"{stage.name}: its job made nothing; submitted again {without}")
            return await self._run_job(stage, wanted, per_exposure)
        if per_exposure:
            await self._complete.check_frames(stage, per_exposure, jobs.run_collection(job_id), exposures)
        return exposures

    async def _products(self, generated: StageId) -> tuple[ProductRecord, ...]:
        """Return what a stage of this run has made, as it is now."""
        generator = self._pipelines.generators[generated.subject.product]
        run = self._world.jobs.run_collection(self._runner.records[generated].job_id)
        return await self._world.repository.products(generator.dataset_type, run)

    def _exposures_of(self, job: JobPlan) -> tuple[int, ...]:
        """Return the exposures that a job processes."""
        held_out = self._held_out(job)
        kept = (i for series in job.series for i in self._exposer.frames[series].kept)
        return tuple(i for i in kept if i not in held_out)

    def _held_out(self, job: JobPlan) -> tuple[int, ...]:
        """Return the exposures that are verified, and that it leaves out."""
        return tuple(i for series in job.series for i in job.held_out(self._exposer.frames[series].kept))

    def _pairs(self, stage: Stage) -> list[tuple[int, int, float]]:
        """Return ids and exposure time (s) of the flat pairs of a stage."""
        assert stage.job is not None, f"{stage.name} has no job"
        frames = self._exposer.frames[stage.job.series[0]].measured(self._exposer.records)
        pairs = self._pipelines.pair_rule.pairs([exp_time for _, exp_time in frames])
        return [(frames[i][0], frames[j][0], frames[i][1]) for i, j in pairs]

    async def _report_gains(self, stage: Stage) -> tuple[Gain, ...]:
        assert stage.job is not None, f"{stage.name} has no job"
        repository = self._world.repository
        pairs = self._pairs(stage)
        dataset_type = self._pipelines.generators[Product.GAIN].dataset_type
        measured = await repository.gains(dataset_type, self._run_of(stage), pairs)
        # A resumed run finds the curve that it has certified, which is not a
        # reference for itself.
        own = {self._config.calib_collection} if stage.subject.product is Product.PTC else set()
        inputs = [each for each in stage.job.inputs if each not in own]
        reference = await repository.reference_gains(inputs, pairs[0][0]) if pairs else {}
        records = self._exposer.records
        filters = {first: records[first].physical_filter for first, _, _ in pairs if first in records}
        gains = tuple(
            replace(
                gain,
                reference=reference.get((gain.detector, gain.amplifier)),
                physical_filter=filters.get(gain.exposures[0], ""),
                part=stage.job.series[0].part,
            )
            for gain in measured
        )
        self.gains.extend(gains)
        self._world.operator.info(gains_text(gains, stage.job.series[0].name))
        return gains

    async def _report_defects(self, stage: Stage) -> tuple[DetectorDefects, ...]:
        assert stage.job is not None, f"{stage.name} has no job"
        exposures = self._exposures_of(stage.job)
        dataset_type = self._pipelines.generators[Product.DEFECTS].dataset_type
        defects = await self._world.repository.defects(
            dataset_type, self._run_of(stage), stage.job.inputs, exposures[0]
        )
        self.defects.extend(defects)
        self._world.operator.info(defects_text(defects))
        return defects

    def _collection_of(self, stage: Stage) -> str:
        return self._world.jobs.collection(self._runner.records[stage.id].job_id)

    def _run_of(self, stage: Stage) -> str:
        return self._world.jobs.run_collection(self._runner.records[stage.id].job_id)


def _frame(exposure: int, record: ExposureRecord) -> FrameRecord:
    return FrameRecord(exposure, record.image_type.upper(), record.physical_filter, record.begin, record.end)
