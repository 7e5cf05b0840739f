# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a job has processed each frame of each detector."""

from __future__ import annotations

__all__ = ["BlockedError", "Completeness", "WasBlocked"]

from collections.abc import Awaitable, Callable, Mapping, Sequence

from ..outcomes import Cause
from ..pipelines import StatisticsKey
from ..plan import Stage
from ..ports import ObservatoryError
from ..products import StageKind
from ..verification import ExposureDetail, FailureLevel, dataset_name, hidden_exposures, without_result
from ._context import Context

WasBlocked = Callable[[str], Awaitable[bool]]
"""Takes the RUN collection of a job that has failed; see
`Completeness.was_blocked`."""


class BlockedError(Exception):
    """A job failed for all detectors because it failed for some.

    They are noted as bad: it can be run again without them.
    """


class Completeness:
    """Finds frames and detectors that `pipetask` dropped in silence.

    Parameters
    ----------
    context : `Context`
        The run.
    """

    def __init__(self, context: Context) -> None:
        self._world = context.world
        self._incomplete = context.incomplete

    async def check_frames(self, stage: Stage, dataset_type: str, run: str, exposures: Sequence[int]) -> None:
        """See that a job has processed all frames.

        Parameters
        ----------
        stage : `Stage`
            Whose job it is.
        dataset_type : `str`
            What it makes of each.
        run : `str`
            Its RUN collection.
        exposures : `~collections.abc.Sequence` [`int`]
            Ids of the frames.

        Raises
        ------
        ObservatoryError
            If it has left out some, and the run does not go on without the
            detectors concerned; if it has used others, or nothing shows which
            it has used.
        """
        seen = await self._world.repository.exposures_with(dataset_type, run)
        if seen is None:
            raise ObservatoryError(
                f"nothing shows which exposures the job has used: the repository knows no {dataset_type}, of "
                "which it should have made one of each. See whether 'pipeline_generation' is that of the "
                "pipelines, and whether an option keeps it from being stored"
            )
        if others := sorted({i for i, _ in seen} - set(exposures)):
            raise ObservatoryError(
                f"the job has used {len(others)} exposures that it was not given: "
                f"{', '.join(map(str, others))}"
            )
        detectors = self._incomplete.left_of(stage)
        wanted = sorted(set(exposures))
        lacking = {each: [i for i in wanted if (i, each) not in seen] for each in detectors}
        lacking = {detector: ids for detector, ids in lacking.items() if ids}
        dropped = [i for i in wanted if any(i in ids for ids in lacking.values())]
        if not dropped:
            return
        why = ""
        if len(lacking) < len(detectors):
            cause = Cause.NOT_VERIFIED if stage.kind is StageKind.VERIFY else Cause.NOT_MADE
            n = len(wanted)
            texts = {each: f"the job left out {len(ids)} of {n} exposures" for each, ids in lacking.items()}
            if self._incomplete.find(stage, cause, texts):
                return
            why = f": {self._incomplete.why_not(stage)}"
        raise ObservatoryError(
            f"the job left out {len(dropped)} of {len(exposures)} exposures without a message: "
            f"{', '.join(map(str, dropped))}{why}"
        )

    async def was_blocked(
        self,
        stage: Stage,
        dataset_type: str,
        exposures: Sequence[int],
        detectors: Sequence[int],
        run: str,
    ) -> bool:
        """Return whether bad detectors have kept a job from all others too.

        What it does with all detectors at once, such as to normalize flats or
        to merge statistics, `pipetask` does not do if it has failed for one
        of them (pipe_base 9ee302d8, mp_graph_executor.py).

        Parameters
        ----------
        stage : `Stage`
            Whose job has failed, and made nothing.
        dataset_type : `str`
            What it makes of each frame.
        exposures, detectors : `~collections.abc.Sequence` [`int`]
            Ids of what it was given.
        run : `str`
            Its RUN collection.

        Returns
        -------
        blocked : `bool`
            If so, the run goes on without those of which frames are missing.
        """
        seen = await self._world.repository.exposures_with(dataset_type, run) or frozenset()
        n_of = {each: sum((i, each) in seen for i in exposures) for each in detectors}
        bad = {each: n for each, n in n_of.items() if n < len(exposures)}
        if not 0 < len(bad) < len(detectors):
            return False
        cause = Cause.NOT_VERIFIED if stage.kind is StageKind.VERIFY else Cause.NOT_MADE
        texts = {each: f"the job has processed {n} of {len(exposures)} exposures" for each, n in bad.items()}
        return self._incomplete.find(stage, cause, texts)

    async def check_statistics(
        self, stage: Stage, statistics: object, key: StatisticsKey, run: str, exposures: Sequence[int]
    ) -> None:
        """See that a verification has statistics of all detectors.

        The run statistics are by exposure: a detector without any has failed
        no test in them.

        Parameters
        ----------
        stage : `Stage`
            The verification.
        statistics : `object`
            Its run statistics.
        key : `StatisticsKey`
            What they are about.
        run : `str`
            Its RUN collection.
        exposures : `~collections.abc.Sequence` [`int`]
            Ids of the frames.

        Raises
        ------
        ObservatoryError
            If it has none of some, and the run does not go on without them.
        StatisticsError
            If they are of another form.
        """
        if key is StatisticsKey.EXPOSURE:
            if self._incomplete.several:
                of_detector = dataset_name(stage.subject, FailureLevel.DETECTOR)
                await self.check_frames(stage, of_detector, run, exposures)
            return
        names = {self._incomplete.name(each): each for each in self._incomplete.left_of(stage)}
        lacking = without_result(statistics, stage.subject, names)
        texts = {names[name]: "the run statistics have no result of it" for name in lacking}
        if texts and not self._incomplete.find(stage, Cause.NOT_VERIFIED, texts):
            raise ObservatoryError(self._incomplete.why_not(stage))

    async def hidden(
        self, stage: Stage, statistics: object, key: StatisticsKey, run: str
    ) -> Mapping[int, ExposureDetail]:
        """Read the failures that the statistics of a run hide, if they do.

        Parameters
        ----------
        stage, statistics, key, run
            As of `check_statistics`.

        Returns
        -------
        details : `~collections.abc.Mapping` [`int`, `ExposureDetail`]
            By exposure id.
        """
        if key is not StatisticsKey.EXPOSURE:
            return {}
        hidden = hidden_exposures(statistics, stage.subject)
        return await self._world.repository.failure_details(stage.subject, run, hidden) if hidden else {}
