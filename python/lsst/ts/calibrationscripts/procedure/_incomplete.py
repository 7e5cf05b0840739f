# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bad detectors of a run, and whether it goes on without them."""

from __future__ import annotations

__all__ = ["Incomplete"]

from collections.abc import Collection, Iterable, Mapping, Sequence

from ..config import CalibrationConfig
from ..instruments import Instrument
from ..outcomes import BadDetector, Cause, StageResult, bad_detectors_text, named_detectors
from ..plan import RunPlan, Stage
from ..ports import Missing
from ..products import StageId, StageKind
from ..record import JobRecord, RunRecord
from ..thresholds import detectors_to_fail
from ._remaking import remade


class Incomplete:
    """Knows which detectors are bad, and which each stage is about.

    Each detector of the run is always one or the other: a stage is about
    those that no stage before it has found bad.

    Parameters
    ----------
    config : `CalibrationConfig`
        What the observer asked for.
    plan : `RunPlan`
        What follows from it.
    instrument : `Instrument`
        Whose detectors they are.
    record : `RunRecord`
        What an earlier run has found.
    """

    def __init__(
        self, config: CalibrationConfig, plan: RunPlan, instrument: Instrument, record: RunRecord
    ) -> None:
        self._plan = plan
        self._all = instrument.detector_ids(config.detectors)
        self._known = {detector.id: detector for detector in instrument.detectors}
        self._goes_on = config.incomplete == "certify_rest"
        self._bad: dict[StageId, dict[int, BadDetector]] = {}
        anew = remade(plan, config, record)
        of_other_frames = {
            series for stage in plan.stages if stage.id in anew and stage.job for series in stage.job.series
        }

        def holds(result: StageResult) -> bool:
            """Return whether what was found by a stage still holds."""
            if result.stage.kind is StageKind.EXPOSE:
                # A frame for which a run has ended may have come since.
                return result.outcome.good and result.stage.subject not in of_other_frames
            return result.stage not in anew

        # What failed a judgement is judged again, by what may be other limits.
        self._earlier = {
            result.stage: [
                bad
                for bad in result.bad_detectors
                if bad.cause is not Cause.FAILED and bad.detector in self._all
            ]
            for result in record.stages
            if self._goes_on and holds(result)
        }

    @property
    def detectors(self) -> tuple[int, ...]:
        """Ids of all detectors that the run is about."""
        return self._all

    @property
    def several(self) -> bool:
        """Whether the run is about several detectors."""
        return len(self._all) > 1

    def name(self, detector: int) -> str:
        """Return the name of a detector."""
        return self._known[detector].name

    def names(self, detectors: Iterable[int]) -> tuple[str, ...]:
        """Return the names of detectors, in their order."""
        return tuple(map(self.name, detectors))

    def text(self, bad: Iterable[BadDetector]) -> str:
        """Return which detectors are bad, and why; "" if none is."""
        found = tuple(bad)
        return bad_detectors_text(found, len(self._all)) if found else ""

    def before(self, stage: Stage) -> tuple[BadDetector, ...]:
        """Return the detectors that a stage is without, in order of their ids.

        Parameters
        ----------
        stage : `Stage`
            Any.

        Returns
        -------
        bad : `tuple` [`BadDetector`, ...]
            Those that a stage has found bad which this one needs, be it
            through others.
        """
        found: dict[int, BadDetector] = {}
        for needed in self._needed(stage):
            for bad in self.of(needed):
                found.setdefault(bad.detector, bad)
        return tuple(found[detector] for detector in sorted(found))

    def _needed(self, stage: Stage) -> tuple[StageId, ...]:
        """Return all that a stage needs, in the order of the plan."""
        needed = set(stage.needs)
        for other in reversed(self._plan.stages):
            if other.id in needed:
                needed.update(other.needs)
        return tuple(other.id for other in self._plan.stages if other.id in needed)

    def detectors_of(self, stage: Stage) -> tuple[int, ...]:
        """Return the ids of the detectors that a stage is about."""
        without = {bad.detector for bad in self.before(stage)}
        return tuple(detector for detector in self._all if detector not in without)

    def to_process(self, stage: Stage, earlier: JobRecord | None) -> tuple[int, ...]:
        """Return the ids of the detectors that a stage's job is given.

        Parameters
        ----------
        stage : `Stage`
            Whose job.
        earlier : `JobRecord` or `None`
            The job that the stage has had, if any.
        """
        given = set(earlier.request.detectors) if earlier is not None else set(self._all)
        # That of an earlier process was run again without those.
        if not given >= set(self.detectors_of(stage)):
            self.leave_out_again(stage)
        return self.left_of(stage)

    def left_of(self, stage: Stage) -> tuple[int, ...]:
        """Return those of them that it has not found bad."""
        bad = {each.detector for each in self.of(stage.id)}
        return tuple(detector for detector in self.detectors_of(stage) if detector not in bad)

    def of(self, stage: StageId) -> tuple[BadDetector, ...]:
        """Return the detectors that a stage has found bad, by their ids."""
        found = self._bad.get(stage, {})
        return tuple(found[detector] for detector in sorted(found))

    def leave_out_again(self, stage: Stage) -> bool:
        """Note those that an earlier run has found bad; return if there are.

        They stay left out, though a frame may have come since: what was made
        and certified without them would be made anew.
        """
        earlier = {bad.detector: bad for bad in self._earlier.get(stage.id, ())}
        known = {bad.detector for bad in self.before(stage)} | set(earlier)
        if not earlier or len(known) >= detectors_to_fail(len(self._all)):
            return False
        self._bad.setdefault(stage.id, {}).update(earlier)
        return True

    def find(self, stage: Stage, cause: Cause, texts: Mapping[int, str]) -> bool:
        """Note bad detectors; return whether the run goes on without them.

        Parameters
        ----------
        stage : `Stage`
            Which has found them.
        cause : `Cause`
            What is wrong.
        texts : `~collections.abc.Mapping` [`int`, `str`]
            The same in words, by id of the detector.

        Returns
        -------
        goes_on : `bool`
            If so, they are left out of what needs the stage. Not if the
            observer wants all or nothing, nor if the bad ones come to a
            majority: then the cause is another one than a detector.
        """
        found = self._bad.setdefault(stage.id, {})
        for detector, text in texts.items():
            known = self._known[detector]
            found.setdefault(detector, BadDetector(detector, known.name, cause, text, stage.name))
        return self._goes_on and not self.too_many(stage)

    def too_many(self, stage: Stage) -> bool:
        """Return whether so many are bad that the rest is not certified."""
        n_bad = len({bad.detector for bad in (*self.before(stage), *self.of(stage.id))})
        return n_bad >= detectors_to_fail(len(self._all))

    def why_not(self, stage: Stage) -> str:
        """Return that a stage does not go on without its bad detectors.

        Parameters
        ----------
        stage : `Stage`
            Which has found them.

        Returns
        -------
        why : `str`
            Which, why, and what lets it go on; without a full stop.
        """
        return f"{self.text(self.of(stage.id))}{self.remedy(stage)}"

    def remedy(self, stage: Stage) -> str:
        """Return what lets a stage go on, as a sentence after another."""
        if not self.of(stage.id):
            return ""
        if self.too_many(stage):
            least = detectors_to_fail(len(self._all))
            return f". From {least} bad detectors on nothing is certified for the rest"
        return ". With 'incomplete: certify_rest' the run goes on with the others"

    def without(self, stage: Stage) -> str:
        """Return what a stage has left out, in words; "" if nothing."""
        found = self.text(self.of(stage.id))
        return f"without {found}" if found else ""

    def job_ended(self, stage: Stage, missing: Collection[Missing], job_id: str, *, exit_code: int) -> bool:
        """Return whether the run goes on without what a job has not made.

        Parameters
        ----------
        stage : `Stage`
            Whose job has ended.
        missing : `~collections.abc.Collection` [`Missing`]
            What it should have made too.
        job_id, exit_code
            The job, and how it has ended: ``pipetask`` goes on after a
            failure with what does not need it, and ends with 1.
        """
        lacking = {each.detector for each in missing} - {None}
        is_of_run = any(each.detector is None for each in missing)
        if exit_code not in (0, 1) or is_of_run or not 0 < len(lacking) < len(self.detectors_of(stage)):
            return False
        text = f"job {job_id}, which ended with exit code {exit_code}, made nothing of it"
        return self.find(stage, Cause.NOT_MADE, {each: text for each in lacking if each is not None})

    def lacking(self, missing: Sequence[Missing]) -> str:
        """Return what a job has not made, for a message."""
        detectors = dict.fromkeys(each.detector for each in missing if each.detector is not None)
        if not self.several or not detectors:
            return ", ".join(map(str, missing))
        return named_detectors(self.names(detectors), len(self._all))
