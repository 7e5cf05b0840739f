# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the observer should know though it is not an error."""

from __future__ import annotations

__all__ = ["notices"]

from collections.abc import Iterator

from ..instruments import ImageType
from ..pipelines import GENERATIONS
from ..products import Product
from ._bps import job_service_notices
from ._camera import never_fails
from ._frames import Frames
from ._idle import idle_notices
from ._light import level_notices
from ._parameters import CAMERA_PARAMETERS, MAKES, PRODUCT_PARAMETERS
from ._release import release_notices
from ._secrets import is_masked
from ._surroundings import surroundings_notices
from ._values import ParsedConfig
from ._without import notice_of_without
from ._words import no_effect, not_taken

_BEGIN, _END = "certify_calib_begin_date", "certify_calib_end_date"


def notices(parsed: ParsedConfig, frames: Frames) -> Iterator[str]:
    """Yield what is worth knowing about a configuration without problems.

    Parameters
    ----------
    parsed : `ParsedConfig`
        Its values.
    frames : `Frames`
        The frames that they come to.

    Yields
    ------
    notice : `str`
        A sentence or two.
    """
    if notice := notice_of_without(parsed.values):
        yield notice
    if parsed.is_complete:
        yield from _idle_camera(parsed)
        yield from _pairs(parsed, frames)
        yield from _processing(parsed, frames)
        yield from _certification(parsed)
        yield from idle_notices(parsed, frames)
        yield from release_notices(parsed)
        yield from job_service_notices(parsed)
        yield from level_notices(parsed, frames)
        yield from surroundings_notices(parsed, frames)
    else:
        yield (
            f"resume: the configuration of run {parsed.values['resume']} is not read here; what is shown "
            "of frames and stages is that of the defaults."
        )
    yield from _thresholds(parsed, frames)
    if any(map(is_masked, parsed.values["notify"])):
        yield "notify: the addresses of an earlier run are not kept; write them again, or no message is sent."
    if parsed.values["background_task_timeout"] is not None:
        yield "background_task_timeout is deprecated and unused: job_timeout limits each OCPS job."


def _idle_camera(parsed: ParsedConfig) -> Iterator[str]:
    idle = [key for key in CAMERA_PARAMETERS if parsed.changed(key)]
    if idle and parsed.values["exposures"] is not None:
        yield no_effect(idle, "exposures names frames taken earlier, no others are taken")


def _pairs(parsed: ParsedConfig, frames: Frames) -> Iterator[str]:
    """Yield what becomes of gains and the photon transfer curve."""
    key = "do_gain_from_flat_pairs"
    if ImageType.FLAT not in frames.image_types:
        if parsed.given.get(key):
            yield no_effect([key], not_taken(ImageType.FLAT, parsed))
        return
    flats, rule = frames.flats, GENERATIONS[parsed.values["pipeline_generation"]].pair_rule
    paired = [series for series in flats if series.may_have_pairs(rule)]
    if parsed.values[key]:
        for series in flats:
            which = f" for {series.name}" if len(flats) > 1 else ""
            if series not in paired:
                yield f"No gain can be measured{which}: no flats are a pair, which is {rule.value}."
    if parsed.values["do_ptc"]:
        if len(flats) > 1:
            yield f"The photon transfer curve is made from {paired[0].name}, the first set with a pair."
        if paired[0].exposures is None and len(set(paired[0].kept_exp_times)) == 1:
            yield "The photon transfer curve has one exposure time only: write exp_times_flat with several."


def _processing(parsed: ParsedConfig, frames: Frames) -> Iterator[str]:
    values = parsed.values
    rule = GENERATIONS[values["pipeline_generation"]].pair_rule
    gains = values["do_gain_from_flat_pairs"] and any(series.may_have_pairs(rule) for series in frames.flats)
    wanted = ("generate_calibrations", "do_verify", "do_defects", "do_ptc")
    if not gains and not any(values[key] for key in wanted):
        yield "Nothing is processed: generate_calibrations and do_verify are both False."


def _certification(parsed: ParsedConfig) -> Iterator[str]:
    values = parsed.values
    certifies = any(values[key] for key in MAKES)
    if certifies and not parsed.changed(_BEGIN) and not parsed.changed(_END):
        yield (
            f"New calibrations are certified for {values[_BEGIN]} to {values[_END]}: no others can be "
            f"certified into {values['calib_collection']} after them. For daily calibrations write "
            f"{_BEGIN} and {_END}."
        )


def _thresholds(parsed: ParsedConfig, frames: Frames) -> Iterator[str]:
    """Yield the thresholds that no number of failures can reach."""
    instrument, selected = parsed.instrument, parsed.values["detectors"]
    for image_type in frames.image_types if parsed.values["do_verify"] else ():
        key = PRODUCT_PARAMETERS[Product(image_type.value)].threshold
        assert key is not None, "every image type has a threshold"
        if why := never_fails(parsed.values[key], instrument, selected):
            yield f"{key} is {parsed.values[key]}: no {image_type.lower()} can fail, {why}."
