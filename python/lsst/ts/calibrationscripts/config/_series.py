# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Series of frames: what the camera takes of each image type."""

from __future__ import annotations

__all__ = ["FlatSet", "Series", "earlier_series", "flat_series", "image_types"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..instruments import ImageType
from ..pairs import PairRule
from ..products import Product, Subject


def image_types(script_mode: str) -> tuple[ImageType, ...]:
    """Return the image types of a script mode, in the order they are taken."""
    return tuple(ImageType(name) for name in script_mode.split("_"))


@dataclass(frozen=True)
class FlatSet:
    """Flats that are taken through one filter and grating."""

    filter: int | str | None
    """Name or slot of the filter; `None` leaves the wheel as it is."""

    grating: int | str | None
    """Name or slot of the grating; `None` leaves the wheel as it is."""

    n_flat: int
    """Number of flats that are kept."""

    exp_times_flat: tuple[float, ...]
    """Exposure time of every flat (s), the discarded ones first."""

    def part(self, wheels: Sequence[str]) -> str:
        """Return what distinguishes the set from others of the run.

        Parameters
        ----------
        wheels : sequence of `str`
            The camera's wheels.

        Returns
        -------
        part : `str`
            What was written for each wheel, joined by ``~``; ``current`` for
            a wheel that is not changed.
        """
        settings = {"filter": self.filter, "grating": self.grating}
        return "~".join("current" if settings[wheel] is None else str(settings[wheel]) for wheel in wheels)


@dataclass(frozen=True)
class Series:
    """The exposures of one image type, for flats of one set."""

    image_type: ImageType

    n_discard: int
    """Number of frames at the start that are taken and not used."""

    exp_times: tuple[float, ...]
    """Exposure time of every frame (s), the discarded ones first."""

    filter: int | str | None = None
    """Name or slot of the filter that flats are taken through; `None` leaves
    the wheel as it is."""

    grating: int | str | None = None
    """Name or slot of the grating that flats are taken through; `None` leaves
    the wheel as it is."""

    part: str = ""
    """Filter and grating, if the run has several sets of flats."""

    exposures: tuple[int, ...] | None = None
    """Ids of frames taken earlier, all of them kept, their exposure times not
    known; `None` if the frames are to be taken."""

    @property
    def subject(self) -> Subject:
        """What identifies the series in a run."""
        return Subject(Product(self.image_type.value), self.part)

    @property
    def name(self) -> str:
        """What people read: the image type, and the part if there is one."""
        return self.subject.name

    @property
    def n(self) -> int:
        """Number of frames that are kept."""
        return self.n_frames - self.n_discard

    @property
    def n_frames(self) -> int:
        """Number of frames that are taken, or were taken earlier."""
        return len(self.exp_times if self.exposures is None else self.exposures)

    @property
    def kept_exp_times(self) -> tuple[float, ...]:
        """Exposure times of the frames that are kept (s)."""
        return self.exp_times[self.n_discard :]

    def may_have_pairs(self, rule: PairRule) -> bool:
        """Return whether there are flat pairs, as far as it is known.

        Parameters
        ----------
        rule : `PairRule`
            What pairs are.

        Returns
        -------
        may : `bool`
            `True` for two frames taken earlier, whose times are not known.
        """
        if self.exposures is not None:
            return len(self.exposures) > 1
        return bool(rule.pairs(self.kept_exp_times))


def flat_series(flat_sets: Sequence[FlatSet], n_discard: int, wheels: Sequence[str]) -> tuple[Series, ...]:
    """Return the series of a run's sets of flats, in their order."""
    several = len(flat_sets) > 1
    return tuple(
        Series(
            ImageType.FLAT,
            n_discard,
            flat_set.exp_times_flat,
            flat_set.filter,
            flat_set.grating,
            flat_set.part(wheels) if several else "",
        )
        for flat_set in flat_sets
    )


def earlier_series(exposures: Mapping[str, tuple[int, ...]]) -> tuple[Series, ...]:
    """Return the series of frames taken earlier, in the order of types."""
    return tuple(
        Series(image_type, 0, (), exposures=exposures[image_type])
        for image_type in ImageType
        if image_type in exposures
    )
