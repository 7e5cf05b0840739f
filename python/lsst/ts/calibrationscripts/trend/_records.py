# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of a run that are worth comparing."""

from __future__ import annotations

__all__ = [
    "BIAS_LEVEL",
    "COUNTS",
    "DEFECT_AREA",
    "DEFECT_NUMBER",
    "GAIN",
    "QUANTITIES",
    "READ_NOISE",
    "WHOLE_DETECTOR",
    "Group",
    "Key",
    "Kind",
    "Run",
    "Source",
    "gain_conditions",
    "noise_conditions",
    "source_of",
]

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..instruments import ImageType
from ..outcomes import by_amplifier
from ..products import Product, Subject
from ..record import camera_of
from ..report import RunDocument, RunReport

READ_NOISE = "read noise"
BIAS_LEVEL = "bias level"
GAIN = "gain"
DEFECT_AREA = "area of defects"
DEFECT_NUMBER = "number of defects"
QUANTITIES = (READ_NOISE, BIAS_LEVEL, GAIN, DEFECT_AREA, DEFECT_NUMBER)
COUNTS = frozenset({DEFECT_AREA, DEFECT_NUMBER})
"""Of these, what is counted: its square root is chance at least."""

WHOLE_DETECTOR = "whole detector"
"""Takes the place of an amplifier."""


class Kind(NamedTuple):
    """What is measured, and how."""

    quantity: str
    conditions: str
    unit: str


class Group(NamedTuple):
    """What the amplifiers of a detector have in common."""

    quantity: str
    unit: str
    detector: int
    conditions: str

    @property
    def kind(self) -> Kind:
        """What is measured."""
        return Kind(self.quantity, self.conditions, self.unit)

    def key(self, amplifier: str) -> Key:
        """Return whose value that of an amplifier is."""
        return Key(self.quantity, self.unit, self.detector, amplifier, self.conditions)


class Key(NamedTuple):
    """Whose value something is."""

    quantity: str
    unit: str
    detector: int
    amplifier: str
    """Its name; `WHOLE_DETECTOR` for what no amplifier has by itself."""

    conditions: str = ""
    """How it was measured: only what was measured alike is compared."""

    @property
    def group(self) -> Group:
        """What the amplifiers of a detector have in common."""
        return Group(self.quantity, self.unit, self.detector, self.conditions)


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


def _of_defects(report: RunReport) -> Iterator[tuple[Key, float]]:
    """Yield how many pixels are defects, and how many defects there are."""
    left_out = {i for judgement in report.judgements for i in judgement.excluded}
    frames = []
    for image_type, ids in sorted(report.exposures.items()):
        n = len(set(ids) - set(report.discarded.get(image_type, ())) - left_out)
        frames.append(f"{n} {'biases' if image_type is ImageType.BIAS else f'{image_type.lower()}s'}")
    generation = report.config.get("pipeline_generation") or "not known"
    conditions = f"{', '.join(frames) or 'frames not known'}, generation {generation}"
    for each in report.defects:
        yield Key(DEFECT_NUMBER, "boxes", each.detector, WHOLE_DETECTOR, conditions), float(each.n_boxes)
        for one in each.amplifiers:
            yield Key(DEFECT_AREA, "pixels", each.detector, one.amplifier, conditions), float(one.area)


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
        pairs of a filter. Defects: their pixels, and their number.
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
        values.update(_of_defects(document.report))
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


class Source(NamedTuple):
    """Whose values are compared: two cameras give their detectors one id."""

    repo: str | None
    """The Butler repository, as it was configured."""

    instrument: str


def source_of(document: RunDocument) -> Source:
    """Return whose values a run has measured."""
    repo = document.report.config.get("repo")
    return Source(None if repo is None else str(repo), camera_of(document.report.instrument))
