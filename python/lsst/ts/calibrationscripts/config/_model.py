# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration whose every question is answered."""

from __future__ import annotations

__all__ = [
    "CalibrationConfig",
    "FlatSet",
    "Series",
    "earlier_series",
    "flat_pairs",
    "flat_series",
    "image_types",
]

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..instruments import ImageType
from ..products import Product, Subject


def image_types(script_mode: str) -> tuple[ImageType, ...]:
    """Return the image types of a script mode, in the order they are taken."""
    return tuple(ImageType(name) for name in script_mode.split("_"))


def flat_pairs(exp_times: Sequence[float]) -> tuple[tuple[int, int], ...]:
    """Pair flats for gains, as cp_pipe does.

    Parameters
    ----------
    exp_times : sequence of `float`
        Exposure times of the kept flats (s).

    Returns
    -------
    pairs : `tuple` [`tuple` [`int`, `int`], ...]
        Indices of the first two flats of each exposure time; further flats of
        that time are not paired.
    """
    indices: dict[float, list[int]] = {}
    for i, exp_time in enumerate(exp_times):
        indices.setdefault(exp_time, []).append(i)
    return tuple((same[0], same[1]) for same in indices.values() if len(same) > 1)


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

    @property
    def name(self) -> str:
        """Filter and grating as written, ``current`` for one not changed."""
        parts = (self.filter, self.grating)
        return "~".join("current" if part is None else str(part) for part in parts)


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
    """Filter and grating, where a run has several sets of flats."""

    exposures: tuple[int, ...] | None = None
    """Ids of frames taken earlier, all of them kept, their exposure times not
    known; `None` if the frames are to be taken."""

    @property
    def subject(self) -> Subject:
        """What identifies it in a run."""
        return Subject(Product(self.image_type.value), self.part)

    @property
    def name(self) -> str:
        """What people read."""
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

    @property
    def may_have_pairs(self) -> bool:
        """Whether there are flat pairs, as far as the configuration tells."""
        if self.exposures is not None:
            return len(self.exposures) > 1
        return bool(flat_pairs(self.kept_exp_times))


def flat_series(flat_sets: Sequence[FlatSet], n_discard: int) -> tuple[Series, ...]:
    """Return the series of a run's sets of flats, in their order."""
    several = len(flat_sets) > 1
    return tuple(
        Series(
            ImageType.FLAT,
            n_discard,
            flat_set.exp_times_flat,
            flat_set.filter,
            flat_set.grating,
            flat_set.name if several else "",
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


@dataclass(frozen=True)
class ProductConfig:
    """What is configured for a product."""

    threshold: int
    options: tuple[str, ...]
    inputs: tuple[str, ...]
    verify_inputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig:
    """What an observer asked for, defaults filled in.

    The attributes are the properties of the schema, where each is described.
    Collections and command-line options are split into their parts, dates
    stay ISO-8601 text (TAI), ``detectors`` is empty for all detectors, and
    ``exp_times_dark`` and ``exp_times_flat`` have one value (s) a frame, the
    discarded ones first. For an image type outside ``script_mode`` they say
    what was written. Where ``flat_sets`` is given, it alone says which flats
    are taken; where ``exposures`` is, no frames are.
    """

    script_mode: str
    n_bias: int
    n_discard_bias: int
    n_dark: int
    n_discard_dark: int
    exp_times_dark: tuple[float, ...]
    n_flat: int
    n_discard_flat: int
    exp_times_flat: tuple[float, ...]
    wait_between_exposures: float
    flat_counts_min: float | None
    flat_counts_max: float | None
    filter: str | int | None
    grating: str | int | None
    flat_sets: tuple[FlatSet, ...] | None
    exposures: Mapping[str, tuple[int, ...]] | None
    resume: str | None
    detectors: tuple[int, ...]
    do_verify: bool
    generate_calibrations: bool
    number_verification_tests_threshold_bias: int
    number_verification_tests_threshold_dark: int
    number_verification_tests_threshold_flat: int
    config_options_bias: tuple[str, ...]
    config_options_dark: tuple[str, ...]
    config_options_flat: tuple[str, ...]
    do_defects: bool
    config_options_defects: tuple[str, ...]
    do_ptc: bool
    config_options_ptc: tuple[str, ...]
    do_gain_from_flat_pairs: bool
    input_collections_bias: tuple[str, ...]
    input_collections_verify_bias: tuple[str, ...]
    input_collections_dark: tuple[str, ...]
    input_collections_verify_dark: tuple[str, ...]
    input_collections_flat: tuple[str, ...]
    input_collections_verify_flat: tuple[str, ...]
    input_collections_defects: tuple[str, ...]
    input_collections_ptc: tuple[str, ...]
    calib_collection: str
    certify: str
    repo: str
    pipeline_generation: str
    n_processes: int
    certify_calib_begin_date: str
    certify_calib_end_date: str
    oods_timeout: float
    job_timeout: float
    job_retries: int
    fail_on: tuple[str, ...]
    journal_dir: str | None
    ocps_log_path: str
    background_task_timeout: float | None
    program: str | None
    reason: str | None
    note: str | None
    test_case: dict[str, str | int] | None

    notices: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    """What the observer should know though it is no error."""

    def of(self, product: Product) -> ProductConfig:
        """Return what is configured for a product."""
        source = Product.PTC if product is Product.GAIN else product
        name = source.lower().removesuffix("_bootstrap")
        own = getattr(self, f"input_collections_{name}")
        return ProductConfig(
            threshold=getattr(self, f"number_verification_tests_threshold_{name}", 8),
            options=() if product.is_bootstrap else getattr(self, f"config_options_{name}"),
            inputs=own,
            verify_inputs=getattr(self, f"input_collections_verify_{name}", own),
        )

    @property
    def series(self) -> tuple[Series, ...]:
        """The exposures, one series for each image type taken, in order.

        Flats have one for each set. With ``exposures``, there is one for each
        image type, of frames taken earlier.
        """
        if self.exposures is not None:
            return earlier_series(self.exposures)
        one_set = FlatSet(self.filter, self.grating, self.n_flat, self.exp_times_flat)
        bias_times = (0.0,) * (self.n_bias + self.n_discard_bias)
        series = {
            ImageType.BIAS: (Series(ImageType.BIAS, self.n_discard_bias, bias_times),),
            ImageType.DARK: (Series(ImageType.DARK, self.n_discard_dark, self.exp_times_dark),),
            ImageType.FLAT: flat_series(self.flat_sets or (one_set,), self.n_discard_flat),
        }
        return tuple(one for image_type in image_types(self.script_mode) for one in series[image_type])

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as it would be written out in full.

        Returns
        -------
        data : `dict` [`str`, `Any`]
            Ready for JSON, with the keys and types of the schema. `from_dict`
            takes it back, and so does `parse` when written as YAML.
        """
        data: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.startswith("config_options_"):
                value = shlex.join(value)
            elif field.name.startswith("input_collections_"):
                value = ",".join(value)
            elif field.name == "flat_sets":
                value = value and [
                    dataclasses.asdict(flat_set) | {"exp_times_flat": list(flat_set.exp_times_flat)}
                    for flat_set in value
                ]
            elif field.name == "exposures":
                value = value and {image_type: list(ids) for image_type, ids in value.items()}
            elif isinstance(value, tuple):
                value = list(value)
            elif isinstance(value, dict):
                value = dict(value)
            data[field.name] = value
        del data["notices"]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CalibrationConfig:
        """Take back what `to_dict` gave.

        Parameters
        ----------
        data : mapping of `str`
            As from `to_dict`; it is not checked again. Notices are not
            among it.

        Returns
        -------
        config : `CalibrationConfig`
        """
        values = dict(data)
        for key, value in data.items():
            if key.startswith("config_options_"):
                values[key] = tuple(shlex.split(value))
            elif key.startswith("input_collections_"):
                values[key] = tuple(value.split(",")) if value else ()
            elif key == "flat_sets":
                values[key] = value and tuple(
                    FlatSet(**{**written, "exp_times_flat": tuple(written["exp_times_flat"])})
                    for written in value
                )
            elif key == "exposures":
                values[key] = value and {image_type: tuple(ids) for image_type, ids in value.items()}
            elif isinstance(value, list):
                values[key] = tuple(value)
        return cls(**values)
