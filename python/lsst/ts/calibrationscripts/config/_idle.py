# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parameters that are written change nothing."""

from __future__ import annotations

__all__ = ["idle_notices"]

from collections.abc import Iterable, Iterator, Sequence

from ..instruments import ImageType
from ..pipelines import GENERATIONS
from ..products import Product
from ._frames import Frames
from ._parameters import MAKES, PRODUCT_PARAMETERS, parameters_owner
from ._values import ParsedConfig
from ._words import no_effect, not_taken

_OF_FLATS = ("flat_counts_min", "flat_counts_max")
_OF_CERTIFICATION = (
    "calib_collection",
    "certify_calib_begin_date",
    "certify_calib_end_date",
    "certify",
    "certify_if",
)


def idle_notices(parsed: ParsedConfig, frames: Frames) -> Iterator[str]:
    """Yield what was written for nothing.

    Parameters
    ----------
    parsed : `ParsedConfig`
        Its values.
    frames : `Frames`
        The frames that they come to.

    Yields
    ------
    notice : `str`
        A sentence, with what to write instead if there is that.
    """
    yield from _of_flats(parsed, frames)
    for image_type in ImageType:
        if image_type in frames.image_types:
            yield from _of_used(parsed, Product(image_type.value))
        else:
            keys = PRODUCT_PARAMETERS[Product(image_type.value)].names
            where = f"no {image_type.lower()}s are processed in script_mode {parsed.values['script_mode']}"
            yield from _notice(parsed, _without_shared(parsed, Product(image_type.value), keys), where)
    yield from _of_others(parsed, frames)
    if not any(parsed.values[key] for key in MAKES):
        idle = [key for key in _OF_CERTIFICATION if parsed.changed(key)]
        if idle:
            have = "has" if len(idle) == 1 else "have"
            yield (
                f"Nothing is certified: {', '.join(idle)} {have} no effect while generate_calibrations is "
                "False."
            )


def _of_flats(parsed: ParsedConfig, frames: Frames) -> Iterator[str]:
    if parsed.values["exposures"] is not None:
        # What is of the camera has a notice of its own then.
        return
    if ImageType.FLAT not in frames.image_types:
        keys = (*parsed.instrument.wheels, *_OF_FLATS, "keep_order")
        yield from _notice(parsed, keys, not_taken(ImageType.FLAT, parsed))
    elif parsed.values.get("flat_sets") is None:
        yield from _notice(
            parsed, ("keep_order",), "there is one set of flats only, as flat_sets is not used"
        )


def _of_used(parsed: ParsedConfig, product: Product) -> Iterator[str]:
    """Yield what has no effect on a type of frames that is processed."""
    names = PRODUCT_PARAMETERS[product]
    makes, verifies = parsed.values["generate_calibrations"], parsed.values["do_verify"]
    if not makes:
        made = list(_without_shared(parsed, product, (names.options, names.inputs)))
        looks = verifies and names.inputs in made and parsed.changed(names.inputs)
        instead = f"; a verification looks in {names.verify_inputs}" if looks else ""
        why = f"no {product.value.lower()} is made while generate_calibrations is False{instead}"
        yield from _notice(parsed, made, why)
    if not verifies:
        # New ones are compared with those of the collections in any case.
        keys = (names.threshold,) if makes else (names.threshold, names.verify_inputs)
        yield from _notice(parsed, filter(None, keys), "nothing is verified while do_verify is False")


def _of_others(parsed: ParsedConfig, frames: Frames) -> Iterator[str]:
    """Yield what has no effect as no defects, curve or gains are made."""
    values = parsed.values
    if not values["do_defects"]:
        keys = PRODUCT_PARAMETERS[Product.DEFECTS].names
        yield from _notice(parsed, keys, "no defects are made while do_defects is False")
    rule = GENERATIONS[values["pipeline_generation"]].pair_rule
    measures = values["do_gain_from_flat_pairs"] and any(one.may_have_pairs(rule) for one in frames.flats)
    if not (measures or values["do_ptc"]):
        keys = PRODUCT_PARAMETERS[Product.PTC].names
        yield from _notice(parsed, keys, "neither gains nor a photon transfer curve are measured")


def _without_shared(parsed: ParsedConfig, product: Product, keys: Sequence[str]) -> Iterator[str]:
    """Yield keys, without the collections that defects are made with."""
    defects = GENERATIONS[parsed.values["pipeline_generation"]].generators[Product.DEFECTS]
    is_shared = parsed.values["do_defects"] and product in map(parameters_owner, defects.built_on)
    for key in keys:
        if not (is_shared and key == PRODUCT_PARAMETERS[product].inputs):
            yield key


def _notice(parsed: ParsedConfig, keys: Iterable[str], why: str) -> Iterator[str]:
    # A run that is resumed has the options of its generation as if written.
    usual = {
        PRODUCT_PARAMETERS[product].options: generator.options
        for product, generator in GENERATIONS[parsed.values["pipeline_generation"]].generators.items()
        if product in PRODUCT_PARAMETERS
    }
    if changed := [key for key in keys if parsed.changed(key) and parsed.values[key] != usual.get(key)]:
        yield no_effect(changed, why)
