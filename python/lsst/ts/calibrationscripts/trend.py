# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read noise, bias level and gain over many runs.

What leaves the bands that earlier runs give is worth a warning. It decides
nothing.
"""

from __future__ import annotations

__all__ = [
    "BIAS_LEVEL",
    "GAIN",
    "MIN_RUNS",
    "QUANTITIES",
    "READ_NOISE",
    "Band",
    "History",
    "Key",
    "Remark",
    "Run",
    "departures",
    "gain_conditions",
    "noise_conditions",
    "outliers",
    "remarks",
    "repository",
    "warnings",
]

import datetime
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from .outcomes import by_amplifier
from .products import Product, Subject
from .report import RunDocument, RunReport

MIN_RUNS = 5
"""Earlier runs without which there is no band."""

READ_NOISE = "read noise"
BIAS_LEVEL = "bias level"
GAIN = "gain"
QUANTITIES = (READ_NOISE, BIAS_LEVEL, GAIN)

_WARN, _ALARM = 3.0, 5.0
_MAX_NAMED = 4

_MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution whose median absolute
deviation is one."""

_FEW = {5: 1.206, 6: 1.200, 7: 1.140, 8: 1.129, 9: 1.107}
"""How much wider the scatter of so few values is than their median absolute
deviation says (Croux and Rousseeuw 1992, COMPSTAT, 411)."""


class Key(NamedTuple):
    """Whose value something is."""

    quantity: str
    unit: str
    detector: int
    amplifier: str

    conditions: str = ""
    """How it was measured: only what was measured alike is compared."""

    @property
    def group(self) -> tuple[str, str, int, str]:
        """What the amplifiers of a detector have in common."""
        return self.quantity, self.unit, self.detector, self.conditions


def noise_conditions(internal: bool | None, n_frames: int, generation: str) -> str:
    """Return how read noise was measured.

    Parameters
    ----------
    internal : `bool` or `None`
        Whether the frames were compared with what was made of them: less
        than their noise is left then. `None` if that is not known.
    n_frames : `int`
        How many.
    generation : `str`
        That of the pipelines.

    Returns
    -------
    conditions : `str`
    """
    known = "" if internal is None else "internal " if internal else "external "
    return f"{known}verification, {n_frames} frames, generation {generation or 'not known'}"


def gain_conditions(physical_filter: str, n_pairs: int, generation: str) -> str:
    """Return how gains were measured.

    Parameters
    ----------
    physical_filter : `str`
        What the flats were taken through; "" if that is not known.
    n_pairs : `int`
        Pairs of flats.
    generation : `str`
        That of the pipelines.

    Returns
    -------
    conditions : `str`
    """
    what = physical_filter or "filter not known"
    return f"{what}, {n_pairs} pair(s), generation {generation or 'not known'}"


@dataclass(frozen=True)
class Run:
    """The values of a run."""

    name: str
    """Its id or, where the Butler alone knows of it, its RUN collection."""

    time: float
    """When it began: TAI, as a Unix timestamp (s)."""

    values: Mapping[Key, float]

    @classmethod
    def of(cls, document: RunDocument) -> Run | None:
        """Take the values from what a run leaves.

        Parameters
        ----------
        document : `RunDocument`
            The run.

        Returns
        -------
        run : `Run` or `None`
            `None` if it took no frames, so that it has no time.

        Notes
        -----
        Read noise: the median over the biases of the clipped noise of the
        corrected image. Bias level: that of the overscan of the first
        bias, which no verification changes. Gain: the mean over the flat
        pairs of a filter.
        """
        began = _time(document.report)
        if began is None:
            return None
        values: dict[Key, float] = {}
        config = document.report.config
        generation = str(config.get("pipeline_generation") or "")
        bias = document.evidence.of(Subject(Product.BIAS)) if document.evidence else None
        if bias is not None:
            internal = bool(config.get("generate_calibrations"))
            conditions = noise_conditions(internal, len(bias.exposures), generation)
            for place, noise in bias.medians("NOISE").items():
                values[Key(READ_NOISE, bias.unit, place.detector, place.amplifier, conditions)] = noise
            for place, level in zip(bias.places, bias.level, strict=bool(bias.level)):
                if level is not None:
                    values[Key(BIAS_LEVEL, "ADU", place.detector, place.amplifier)] = level
        gains = document.report.gains
        for physical_filter in dict.fromkeys(gain.physical_filter for gain in gains):
            same = [gain for gain in gains if gain.physical_filter == physical_filter]
            n_pairs = len({gain.exposures for gain in same})
            conditions = gain_conditions(physical_filter, n_pairs, generation)
            for gain in by_amplifier(same):
                if gain.mean is not None:
                    values[Key(GAIN, "e-/ADU", gain.detector, gain.amplifier, conditions)] = gain.mean
        return cls(document.report.run_id, began, values)


def _time(report: RunReport) -> float | None:
    """Return when a run began (s)."""
    if report.timeline:
        return min(span.begin for span in report.timeline)
    ids = [exposure for same in report.exposures.values() for exposure in same]
    if not ids:
        return None
    # An exposure id begins with the observing day.
    day = datetime.datetime.strptime(str(min(ids))[:8], "%Y%m%d").replace(tzinfo=datetime.UTC)
    return day.timestamp()


class Band(NamedTuple):
    """The range of the values of earlier runs."""

    centre: float
    """Their median."""

    sigma: float
    """Scatter that the next value is to be expected to have about it."""


@dataclass(frozen=True)
class History:
    """Runs, the oldest first."""

    runs: tuple[Run, ...]

    @classmethod
    def of(cls, runs: Iterable[Run]) -> History:
        """Order runs by time."""
        return cls(tuple(sorted(runs, key=lambda run: (run.time, run.name))))

    @classmethod
    def of_documents(cls, documents: Iterable[RunDocument]) -> History:
        """Take the values of runs; those without frames are left out."""
        return cls.of(run for document in documents if (run := Run.of(document)) is not None)

    @cached_property
    def series(self) -> dict[Key, tuple[tuple[float, float], ...]]:
        """Time (s) and value of all runs that have one, by key."""
        found: dict[Key, list[tuple[float, float]]] = {}
        for run in self.runs:
            for key, value in run.values.items():
                found.setdefault(key, []).append((run.time, value))
        return {key: tuple(points) for key, points in sorted(found.items())}

    @cached_property
    def bands(self) -> dict[Key, Band]:
        """The bands, by key, of what at least `MIN_RUNS` runs have.

        Sigma is 1.4826 times the median absolute deviation, widened for the
        number of runs; or that of the typical amplifier of the detector, if
        it is larger, as few runs may agree by chance. Where nothing changes,
        one value in 140 then leaves 3 sigma after 5 runs, one in 400 after
        20, and one in 5000 or less leaves 5 sigma.
        """
        centres, scatters = {}, {}
        by_detector: dict[tuple[str, str, int, str], list[float]] = {}
        for key, points in self.series.items():
            if len(points) < MIN_RUNS:
                continue
            values = [value for _, value in points]
            centres[key] = statistics.median(values)
            deviation = statistics.median(abs(value - centres[key]) for value in values)
            scatters[key] = _expected_scatter(deviation, len(values))
            by_detector.setdefault(key.group, []).append(scatters[key])
        typical = {group: statistics.median(same) for group, same in by_detector.items()}
        return {key: Band(centres[key], max(scatters[key], typical[key.group])) for key in centres}


def _expected_scatter(deviation: float, n: int) -> float:
    """Return the scatter of another value about the median of n values."""
    few = _FEW.get(n, n / (n - 0.8))
    # The variance of a median is pi / 2 times that of a mean.
    return _MAD_TO_SIGMA * deviation * few * math.sqrt(1 + math.pi / (2 * n))


def departures(history: History, run: Run) -> dict[Key, float]:
    """Return how far a run is from earlier ones.

    Parameters
    ----------
    history : `History`
        The earlier runs.
    run : `Run`
        The run.

    Returns
    -------
    departures : `dict` [`Key`, `float`]
        Difference to the median, in sigma, of whatever has a band. Infinite
        where it differs from runs that all agree.
    """
    found = {}
    for key, band in history.bands.items():
        if key in run.values:
            difference = run.values[key] - band.centre
            if band.sigma > 0:
                found[key] = difference / band.sigma
            else:
                found[key] = math.copysign(math.inf, difference) if difference else 0.0
    return found


class Remark(NamedTuple):
    """Something that leaves the bands of earlier runs."""

    text: str

    is_far: bool
    """Whether anything is beyond 5 sigma. Even that fails nothing: bands are
    not requirements."""


def remarks(history: History, run: Run) -> tuple[Remark, ...]:
    """Return what leaves the bands of earlier runs that are alike.

    Parameters
    ----------
    history : `History`
        The earlier runs.
    run : `Run`
        The run.

    Returns
    -------
    remarks : `tuple` [`Remark`, ...]
        At most one for each quantity and its conditions, with the amplifiers
        that are farthest out.
    """
    groups: dict[tuple[str, str], dict[Key, float]] = {}
    for key, value in departures(history, run).items():
        groups.setdefault((key.quantity, key.conditions), {})[key] = value
    found = []
    for (quantity, conditions), values in sorted(groups.items(), key=lambda item: _order(*item[0])):
        far = {key: value for key, value in values.items() if abs(value) > _WARN}
        if not far:
            continue
        worst = sorted(far, key=lambda key: -abs(far[key]))
        n_alarms = sum(abs(value) > _ALARM for value in far.values())
        named = [_described(key, far[key], history.bands[key], run.values[key]) for key in worst[:_MAX_NAMED]]
        more = [f"and {len(worst) - _MAX_NAMED} more"] if len(worst) > _MAX_NAMED else []
        n_alike = len(history.series[worst[0]])
        alike = f" Compared with {n_alike} runs alike: {conditions}." if conditions else ""
        text = (
            f"{quantity.capitalize()} is unlike earlier runs in {len(far)} of {len(values)} amplifiers "
            f"(beyond 3 sigma; {n_alarms} beyond 5): {', '.join(named + more)}.{alike}"
        )
        found.append(Remark(text, bool(n_alarms)))
    return tuple(found)


def _order(quantity: str, conditions: str) -> tuple[int, str]:
    return QUANTITIES.index(quantity), conditions


def outliers(history: History, run: Run) -> tuple[str, ...]:
    """Return the texts of what leaves the bands of earlier runs.

    Parameters
    ----------
    history : `History`
        The earlier runs.
    run : `Run`
        The run.

    Returns
    -------
    warnings : `tuple` [`str`, ...]
        See `remarks`.
    """
    return tuple(remark.text for remark in remarks(history, run))


def _described(key: Key, departure: float, band: Band, value: float) -> str:
    place = key.amplifier if key.detector == 0 else f"detector {key.detector} {key.amplifier}"
    return f"{place} {value:.5g} {key.unit} ({departure:+.1f} sigma from {band.centre:.5g})"


def warnings(earlier: Iterable[RunDocument], now: RunDocument) -> tuple[str, ...]:
    """Return what of a run is unlike earlier runs on the same repository.

    Parameters
    ----------
    earlier : `~collections.abc.Iterable` [`RunDocument`]
        Earlier runs, in any order. The run itself, and runs on other
        repositories, are not compared.
    now : `RunDocument`
        The run.

    Returns
    -------
    warnings : `tuple` [`str`, ...]
        Nothing as long as fewer than `MIN_RUNS` are comparable.
    """
    run = Run.of(now)
    if run is None:
        return ()
    repo = repository(now)
    history = History.of_documents(
        document
        for document in earlier
        if document.report.run_id != run.name and repository(document) == repo
    )
    before = History(tuple(other for other in history.runs if other.time <= run.time))
    return outliers(before, run)


def repository(document: RunDocument) -> str | None:
    """Return the repository of a run, as it was configured."""
    repo = document.report.config.get("repo")
    return None if repo is None else str(repo)
