# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a run, with nothing left open."""

from __future__ import annotations

__all__ = ["CalibrationConfig", "ProductConfig"]

import dataclasses
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..instruments import ImageType
from ..products import Product
from ..thresholds import DEFAULT_THRESHOLD
from ._parameters import PRODUCT_PARAMETERS, parameters_owner
from ._schema import parameter_names
from ._secrets import masked
from ._series import FlatSet, Series, earlier_series, flat_series, image_types


@dataclass(frozen=True, kw_only=True)
class ProductConfig:
    """What an observer asked for, for one product."""

    threshold: int = DEFAULT_THRESHOLD
    """Amplifiers of a detector that must fail one type of test for an
    exposure to count as failed; the default is that of products without a
    parameter for it."""

    options: tuple[str, ...] = ()
    """Further arguments of the ``pipetask run`` that makes it."""

    inputs: tuple[str, ...] = ()
    """Collections that this job reads besides the raw frames, in order."""

    verify_inputs: tuple[str, ...] = ()
    """Collections that its verification reads, in order."""


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig:
    """What an observer asked for, defaults filled in.

    The attributes are the properties of the schema, where each is described;
    those of one product are behind `of`. Dates are ISO-8601 text (TAI),
    ``detectors`` is empty for all detectors, and ``exp_times_dark`` and
    ``exp_times_flat`` have one value (s) a frame, the discarded ones first.
    For an image type outside ``script_mode`` they are as they were written.
    If ``flat_sets`` is given, it alone says which flats are taken; if
    ``exposures`` is, no frames are.
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
    flat_counts: tuple[float, float] | None = None
    flat_counts_min: float | None
    flat_counts_max: float | None
    spoilt_frames: str
    retakes: int
    preconditions: str = "check"
    ignore: tuple[str, ...] = ()
    filter: str | int | None = None
    grating: str | int | None = None
    flat_sets: tuple[FlatSet, ...] | None = None
    keep_order: bool = False
    exposures: Mapping[str, tuple[int, ...]] | None
    resume: str | None
    without: tuple[int, ...]
    without_reason: str | None
    without_by: str | None
    detectors: tuple[int, ...]
    release: bool = False
    do_verify: bool
    generate_calibrations: bool
    do_defects: bool
    do_ptc: bool
    do_gain_from_flat_pairs: bool
    calib_collection: str
    certify: str
    certify_if: str
    incomplete: str = "hold"
    hold_out: int | str
    strict: bool
    repo: str
    pipeline_generation: str
    n_processes: int
    certify_calib_begin_date: str
    certify_calib_end_date: str
    oods_timeout: float
    job_timeout: float
    job_retries: int
    job_service: str
    bps_config: str | None
    fail_on: tuple[str, ...]
    journal_dir: str | None
    publish: str | None
    notify: tuple[str, ...] = dataclasses.field(repr=False)
    """Addresses, which may have secrets; `to_dict` masks them."""

    ocps_log_path: str
    background_task_timeout: float | None
    program: str | None
    reason: str | None
    note: str | None
    test_case: Mapping[str, str | int] | None

    products: Mapping[Product, ProductConfig]
    """For the products that have parameters of their own; see `of`."""

    wheels: tuple[str, ...]
    """The camera's wheels, among ``filter`` and ``grating``."""

    notices: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    """What the observer should know though it is not an error."""

    @property
    def hold_out_every(self) -> int:
        """Every how many frames one is not combined; 0 if all are."""
        return self.hold_out if isinstance(self.hold_out, int) else 0

    def of(self, product: Product) -> ProductConfig:
        """Return what was asked for, for one product.

        Parameters
        ----------
        product : `Product`
            Any product. The gain has the parameters of the photon transfer
            curve. A bootstrap product has the collections of the plain one,
            and no options, which are for the plain pipeline's tasks.

        Returns
        -------
        config : `ProductConfig`
        """
        owner = self.products[parameters_owner(product)]
        if product.is_bootstrap:
            return ProductConfig(inputs=owner.inputs, verify_inputs=owner.verify_inputs)
        return owner

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
            ImageType.FLAT: flat_series(self.flat_sets or (one_set,), self.n_discard_flat, self.wheels),
        }
        return tuple(one for image_type in image_types(self.script_mode) for one in series[image_type])

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as it would be written out in full.

        Returns
        -------
        data : `dict` [`str`, `Any`]
            Ready for JSON, with the keys and types of the camera's schema, in
            its order. Written as YAML, `parse` takes it back, except for
            what was secret: of addresses in ``notify`` only the kind is left.
        """
        data = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}
        if self.flat_sets is not None:
            data["flat_sets"] = [self._set_to_dict(flat_set) for flat_set in self.flat_sets]
        if self.exposures is not None:
            data["exposures"] = {image_type: list(ids) for image_type, ids in self.exposures.items()}
        data["notify"] = list(dict.fromkeys(map(masked, self.notify)))
        if self.test_case is not None:
            data["test_case"] = dict(self.test_case)
        for product, parameters in PRODUCT_PARAMETERS.items():
            of_product = self.products[product]
            data[parameters.options] = shlex.join(of_product.options)
            data[parameters.inputs] = ",".join(of_product.inputs)
            if parameters.verify_inputs is not None:
                data[parameters.verify_inputs] = ",".join(of_product.verify_inputs)
            if parameters.threshold is not None:
                data[parameters.threshold] = of_product.threshold
        return {key: data[key] for key in parameter_names(self.wheels)}

    def _set_to_dict(self, flat_set: FlatSet) -> dict[str, Any]:
        wheels = {"filter": flat_set.filter, "grating": flat_set.grating}
        return {
            **{wheel: wheels[wheel] for wheel in self.wheels},
            "n_flat": flat_set.n_flat,
            "exp_times_flat": list(flat_set.exp_times_flat),
        }
