# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run, resumed without an observatory."""

from __future__ import annotations

__all__ = ["Replay", "certified_with"]

import functools
import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from ..butler.repository import ButlerRepository
from ..config import CalibrationConfig, ConfigurationError, parse
from ..files.earlier_marks import MarksOfRuns
from ..files.journal import earlier_run
from ..instruments import Instrument
from ..job_names import names_of
from ..offline import ForgetfulJournal, NoCamera, NoIngest, NoJobs, Warnings, instrument_of
from ..outcomes import Certification, Outcome
from ..plan import make_plan
from ..ports import ObservatoryError, World
from ..procedure import Procedure, made_with_refused
from ..products import StageId, StageKind, Subject
from ..proof import Proof
from ..record import DecisionKind, RunRecord
from ..report import RunReport, summary_text
from ._choice import Choice, DecisionError

_ASK = "ask"


def certified_with(record: RunRecord) -> tuple[str, ...]:
    """Return what a run has certified and made with what is decided against.

    Parameters
    ----------
    record : `RunRecord`
        The run, with the decisions.

    Returns
    -------
    texts : `tuple` [`str`, ...]
        A sentence on each; none if the configuration cannot be used any more.
    """
    instrument = instrument_of(record)
    if instrument is None:
        return ()
    try:
        plan = make_plan(_parsed({}, record, instrument), instrument)
    except ConfigurationError:
        return ()
    certified = [each.stage.subject for each in record.stages if each.outcome is Outcome.CERTIFIED]
    doubts = {subject: made_with_refused(plan, subject, record) for subject in certified}
    return tuple(f"{subject} is certified, though {doubt}." for subject, doubt in doubts.items() if doubt)


def _parsed(written: dict[str, str], record: RunRecord, instrument: Instrument) -> CalibrationConfig:
    text = yaml.safe_dump({**written, "resume": record.run_id})
    return parse(text, instrument, lambda run_id, journal_dir: record.config)


class Replay:
    """Proves products of a run anew, from its record and the Butler.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journals are.
    record : `RunRecord`
        The run.
    choice : `Choice`
        Where, and for when, a person wants to certify them.

    Raises
    ------
    DecisionError
        If the run did not ask for decisions, or if its configuration, or
        what the person has written, cannot be used.
    """

    def __init__(self, folder: Path, record: RunRecord, choice: Choice) -> None:
        self._folder = folder
        self._record = record
        self._instrument = _instrument_of(record)
        self._config = self._parse({})
        if self._config.certify != _ASK:
            raise DecisionError(
                f"{record.run_id} did not ask for decisions: it has 'certify: {self._config.certify}'. "
                f"Resume it with 'certify: {_ASK}'."
            )
        written = {
            "calib_collection": choice.collection,
            "certify_calib_begin_date": choice.begin_date,
            "certify_calib_end_date": choice.end_date,
        }
        self._chosen = self._parse({key: value for key, value in written.items() if value is not None})
        detectors = self._instrument.detector_ids(self._config.detectors)
        self._repository = ButlerRepository(self._config.repo, self._instrument, detectors)
        self._operator = Warnings()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the person should look at."""
        return tuple(self._operator.texts)

    def _parse(self, written: dict[str, str]) -> CalibrationConfig:
        try:
            return _parsed(written, self._record, self._instrument)
        except ConfigurationError as error:
            raise DecisionError(str(error)) from error

    async def proofs(self, subjects: Sequence[Subject]) -> tuple[Proof, ...]:
        """Prove that products may be certified as chosen.

        Parameters
        ----------
        subjects : `~collections.abc.Sequence` [`Subject`]
            The products.

        Returns
        -------
        proofs : `tuple` [`Proof`, ...]
            One for each, in the same order.

        Raises
        ------
        DecisionError
            If one is not proven, or cannot be certified so.
        """
        plan = make_plan(self._chosen, self._instrument)
        plan = plan.only_for([StageId(StageKind.CERTIFY, subject) for subject in subjects])
        # What was decided before must not stand in for a proof.
        others = tuple(one for one in self._record.decisions if one.subject not in subjects)
        record = replace(self._record, decisions=others, resumed=self._record.resumed + 1)
        procedure = Procedure(self._chosen, plan, self._instrument, self._world(), record)
        reason = ""
        try:
            await procedure.run()
        except ObservatoryError as error:
            reason = str(error)
        report = procedure.report
        self._operator.texts = [text for text in self._operator.texts if not _is_of_the_run(text, report)]
        # It may be certified already: the process that did it was killed then.
        proven = {proof.subject: proof for proof in (*report.waiting, *report.proofs)}
        for result in report.stages:
            if not result.outcome.good and result.reason:
                reason = reason or f"{result.name} ended {result.outcome}: {result.reason}"
        if missing := [subject.name for subject in subjects if subject not in proven]:
            named = ", ".join(missing)
            raise DecisionError(f"{record.run_id}: not proven: {named}: {reason}{_marked_since(report)}.")
        proofs = tuple(proven[subject] for subject in subjects)
        for proof in report.waiting:
            if doubt := made_with_refused(plan, proof.subject, record):
                raise DecisionError(f"{record.run_id}: {proof.subject} is not certified: {doubt}.")
        self._operator.texts += [proof.validity_warning for proof in proofs if proof.validity_warning]
        return proofs

    async def taken_effect(self, proofs: Sequence[Proof]) -> tuple[Certification, ...]:
        """Return what was accepted before, and is certified though it failed.

        Parameters
        ----------
        proofs : `~collections.abc.Sequence` [`Proof`]
            Of products that are accepted again, maybe for other dates.

        Returns
        -------
        certifications : `tuple` [`Certification`, ...]
            Those that the record does not have.

        Raises
        ------
        ObservatoryError
            If the repository cannot be read.
        """
        found: dict[Certification, None] = {}
        for proof, decision in itertools.product(proofs, self._record.decisions):
            before = decision.certification
            if (
                decision.kind is not DecisionKind.ACCEPT
                or decision.subject != proof.subject
                or before is None
            ):
                continue
            if before not in (*self._record.certifications, proof.certification) and (
                await self._repository.is_certified(replace(proof, certification=before))
            ):
                found[before] = None
        return tuple(found)

    async def certify(self, proofs: Sequence[Proof]) -> None:
        """Certify all of what is proven and accepted, or nothing.

        Parameters
        ----------
        proofs : `~collections.abc.Sequence` [`Proof`]
            With the decisions.

        Raises
        ------
        ObservatoryError
            If it cannot be certified.
        """
        missing = [proof for proof in proofs if not await self._repository.is_certified(proof)]
        if not missing:
            return
        try:
            await self._repository.certify(*missing)
        except ObservatoryError as error:
            # It may have taken effect nevertheless.
            for proof in missing:
                if not await self._repository.is_certified(proof):
                    raise
            self._operator.texts.append(f"Certified, in spite of this: {error}")

    def _world(self) -> World:
        return World(
            camera=NoCamera(),
            ingest=NoIngest(),
            jobs=NoJobs(names_of(self._config, self._folder)),
            repository=self._repository,
            operator=self._operator,
            journal=ForgetfulJournal(),
            group_id=lambda exposure: "",
            clock=time.time,
            earlier_run=functools.partial(earlier_run, self._folder),
            frame_clock=time.time,
            known_marks=MarksOfRuns(self._folder, self._record.run_id, self._instrument.name).find,
        )


def _marked_since(report: RunReport) -> str:
    """Return which frames would be left out by now, as others say."""
    marks = [
        str(mark)
        for judgement in report.judgements
        for mark in judgement.marks
        if mark.run and mark.exposure in judgement.excluded
    ]
    return f". Other runs have marked frames that are left out then: {'; '.join(marks)}" if marks else ""


def _is_of_the_run(text: str, report: RunReport) -> bool:
    """Return whether a warning says how the run ended, which is known.

    Where detectors are left out, a run warns of that with each stage; that
    it waits and has certified nothing is no longer so.
    """
    ends = (f"{result.name}: {result.outcome}" for result in report.stages if result.outcome.good)
    return text == summary_text(report) or text.startswith(tuple(ends))


def _instrument_of(record: RunRecord) -> Instrument:
    """Return whose run it is."""
    instrument = instrument_of(record)
    if instrument is None:
        raise DecisionError(
            f"{record.run_id}: it has run no jobs of a known camera, so that nothing is proven."
        )
    return instrument
