# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a resumed run makes anew, as other frames are left out of it."""

from __future__ import annotations

__all__ = [
    "check_without",
    "problems_of_named",
    "refusal_to_replace",
    "remade",
    "replaced",
    "with_exclusions",
]

from collections.abc import Collection, Iterator, Mapping, Sequence

from ..config import CalibrationConfig, ConfigurationError, Problem
from ..outcomes import Outcome
from ..plan import RunPlan
from ..products import StageId, StageKind, Subject
from ..record import RunRecord
from ..report import decertify_command
from ..spoilt import MIN_FRAMES, SeriesJudgement, leave_out


def with_exclusions(
    config: CalibrationConfig, judgement: SeriesJudgement, kept: Sequence[int]
) -> SeriesJudgement:
    """Return a judgement with what follows from it, by a configuration.

    Parameters
    ----------
    config : `CalibrationConfig`
        Says which frames are left out.
    judgement : `SeriesJudgement`
        With its marks.
    kept : sequence of `int`
        Exposure ids of the frames that may be processed.

    Returns
    -------
    judgement : `SeriesJudgement`
    """
    return leave_out(judgement, kept, named=config.without, spoilt=config.spoilt_frames == "exclude")


def remade(plan: RunPlan, config: CalibrationConfig, record: RunRecord) -> frozenset[StageId]:
    """Return the stages that are done anew, as they get other frames.

    Parameters
    ----------
    plan : `RunPlan`
        The whole run.
    config : `CalibrationConfig`
        Says which frames are left out now.
    record : `RunRecord`
        What has been done.

    Returns
    -------
    stages : `frozenset` [`StageId`]
        Those whose jobs have got other frames before, those that build on
        them, and the certifications of what they make.
    """
    kept: dict[Subject, tuple[int, ...]] = {}
    for judgement in record.judgements:
        excluded = with_exclusions(config, judgement, judgement.judged).excluded
        kept[judgement.series] = tuple(i for i in judgement.judged if i not in excluded)
    found: set[StageId] = set()
    for stage in plan.stages:
        job = record.job_of(stage.id)
        if stage.job is not None and job is not None:
            known = all(series in kept for series in stage.job.series)
            of_series = [kept.get(series, ()) for series in stage.job.series]
            held_out = {i for ids in of_series for i in stage.job.held_out(ids)}
            exposures = tuple(i for ids in of_series for i in ids if i not in held_out)
            if (known and exposures != job.request.exposures) or not found.isdisjoint(stage.job.inputs_from):
                found.add(stage.id)
        elif stage.kind is StageKind.CERTIFY:
            made_by = plan.generation_of(stage.subject)
            if made_by is not None and made_by.id in found:
                found.add(stage.id)
    return frozenset(found)


def check_without(config: CalibrationConfig, record: RunRecord) -> None:
    """Refuse frames that a resumed run does not have.

    Parameters
    ----------
    config : `CalibrationConfig`
        That of the run that resumes.
    record : `RunRecord`
        What has been done.

    Raises
    ------
    ConfigurationError
        If it has other frames. One whose exposure id is not in the journal
        has to be looked up first.
    """
    if any(frame.exposure is None for frame in record.frames):
        return
    exposures = {(frame.series, frame.number): frame.exposure or 0 for frame in record.frames}
    if problems := list(problems_of_named(config, exposures)):
        remedy = "write ids of frames of the run that are processed, at most so many"
        raise ConfigurationError([Problem("without", None, text, remedy, None) for text in problems])


def problems_of_named(
    config: CalibrationConfig, exposures: Mapping[tuple[Subject, int], int]
) -> Iterator[str]:
    """Yield why frames cannot be left out that a person has named.

    Parameters
    ----------
    config : `CalibrationConfig`
        Names them.
    exposures : `~collections.abc.Mapping`
        Exposure ids of frames that were taken, by series and place in it.

    Yields
    ------
    problem : `str`
    """
    unknown = dict.fromkeys(config.without)
    discarded: list[int] = []
    few: list[str] = []
    for series in config.series:
        of_series = {number: i for (subject, number), i in exposures.items() if subject == series.subject}
        n = series.n + sum(number > series.n_frames for number in of_series)
        ids = {*(series.exposures or ()), *of_series.values()}
        discarded += [i for number, i in of_series.items() if number <= series.n_discard and i in unknown]
        named = [i for i in config.without if i in ids and i not in discarded]
        if named and n - len(named) < MIN_FRAMES:
            left = max(n - len(named), 0)
            few.append(
                f"without {_listed(named)} only {left} of {n} frames of {series.name} would be left, and at "
                f"least {MIN_FRAMES} are needed"
            )
        for exposure_id in ids:
            unknown.pop(exposure_id, None)
    if unknown:
        are = "is not a frame" if len(unknown) == 1 else "are not frames"
        yield f"{_listed(unknown)} {are} of this run"
    if discarded:
        yield f"{_listed(discarded)}: discarded anyway, nothing is made from it"
    yield from few


def _listed(ids: Collection[int]) -> str:
    return ", ".join(map(str, ids))


def replaced(stages: Collection[StageId], record: RunRecord) -> tuple[Subject, ...]:
    """Return which products are certified, and would be made anew.

    Parameters
    ----------
    stages : collection of `StageId`
        What is done anew.
    record : `RunRecord`
        What has been done.

    Returns
    -------
    subjects : `tuple` [`Subject`, ...]
        In the order in which they were certified.
    """
    return tuple(
        result.stage.subject
        for result in record.stages
        if result.outcome is Outcome.CERTIFIED and result.stage in stages
    )


def refusal_to_replace(run_id: str, subjects: Collection[Subject], journal: str) -> str:
    """Return that products cannot be made anew, and the remedy."""
    names = [subject.name for subject in subjects]
    are = "is" if len(names) == 1 else "are"
    undo = decertify_command(run_id, names, journal)
    return (
        f"{', '.join(names)} of run {run_id} {are} certified, and would be made anew from other frames. Undo "
        f"that first: '{undo}'. Or write another calib_collection, or other certify_calib_begin_date and "
        "certify_calib_end_date"
    )
