# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parameters belong to an image type or a product."""

from __future__ import annotations

__all__ = [
    "CAMERA_PARAMETERS",
    "FRAME_PARAMETERS",
    "MAKES",
    "PRODUCT_PARAMETERS",
    "SERIES_PARAMETERS",
    "WHEEL_PARAMETERS",
    "ProductParameters",
    "SeriesParameters",
]

from collections.abc import Mapping
from dataclasses import dataclass

from ..instruments import ImageType
from ..products import Product

MAKES = ("generate_calibrations", "do_defects", "do_ptc")
"""Those of which each makes calibrations, which are certified then."""


@dataclass(frozen=True)
class SeriesParameters:
    """Names of the parameters of a series of frames."""

    n: str
    n_discard: str
    exp_times: str | None
    """`None` for biases, which are not exposed."""

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(filter(None, (self.n, self.n_discard, self.exp_times)))


SERIES_PARAMETERS: Mapping[ImageType, SeriesParameters] = {
    ImageType.BIAS: SeriesParameters("n_bias", "n_discard_bias", None),
    ImageType.DARK: SeriesParameters("n_dark", "n_discard_dark", "exp_times_dark"),
    ImageType.FLAT: SeriesParameters("n_flat", "n_discard_flat", "exp_times_flat"),
}

WHEEL_PARAMETERS = ("filter", "grating")

_SERIES_NAMES = (
    *(name for parameters in SERIES_PARAMETERS.values() for name in parameters.names),
    *WHEEL_PARAMETERS,
    "flat_sets",
)

CAMERA_PARAMETERS = (
    *_SERIES_NAMES,
    "keep_order",
    "wait_between_exposures",
    "flat_counts",
    "flat_counts_min",
    "flat_counts_max",
    "retakes",
    "preconditions",
    "ignore",
    "program",
    "reason",
    "note",
    "test_case",
)
"""Those that have no effect if no frames are taken."""

FRAME_PARAMETERS = ("script_mode", *_SERIES_NAMES, "exposures", "detectors", "pipeline_generation", "repo")
"""Those that say which frames a run is about, and where they are."""


@dataclass(frozen=True)
class ProductParameters:
    """Names of the parameters of a product; `None` for what it lacks."""

    options: str
    inputs: str
    verify_inputs: str | None = None
    threshold: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(filter(None, (self.options, self.inputs, self.verify_inputs, self.threshold)))


PRODUCT_PARAMETERS: Mapping[Product, ProductParameters] = {
    Product.BIAS: ProductParameters(
        "config_options_bias",
        "input_collections_bias",
        "input_collections_verify_bias",
        "number_verification_tests_threshold_bias",
    ),
    Product.DARK: ProductParameters(
        "config_options_dark",
        "input_collections_dark",
        "input_collections_verify_dark",
        "number_verification_tests_threshold_dark",
    ),
    Product.FLAT: ProductParameters(
        "config_options_flat",
        "input_collections_flat",
        "input_collections_verify_flat",
        "number_verification_tests_threshold_flat",
    ),
    Product.DEFECTS: ProductParameters(
        "config_options_defects",
        "input_collections_defects",
    ),
    Product.PTC: ProductParameters("config_options_ptc", "input_collections_ptc"),
}
"""For the products that have parameters of their own."""

_PARAMETERS_SHARED = {
    Product.BIAS_BOOTSTRAP: Product.BIAS,
    Product.DARK_BOOTSTRAP: Product.DARK,
    Product.FLAT_BOOTSTRAP: Product.FLAT,
    Product.GAIN: Product.PTC,
}


def parameters_owner(product: Product) -> Product:
    """Return the product whose parameters are those of a product.

    Parameters
    ----------
    product : `Product`
        Any product.

    Returns
    -------
    owner : `Product`
        A key of `PRODUCT_PARAMETERS`.
    """
    return _PARAMETERS_SHARED.get(product, product)
