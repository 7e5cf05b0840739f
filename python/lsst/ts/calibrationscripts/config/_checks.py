# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was written to a configuration, or to all its problems.

What was written becomes values, values become frames, and both together a
configuration: `WrittenConfig`, `ParsedConfig`, `Frames`, `CalibrationConfig`.
"""

from __future__ import annotations

__all__ = ["check"]

from collections.abc import Mapping
from typing import Any

from ..instruments import ImageType, Instrument
from ._bps import check_same_service
from ._crosschecks import check_together
from ._findings import Findings
from ._frames import Frames, resolve_frames, with_script_mode
from ._generation import FindGeneration, with_generation
from ._messages import NO_RUN_ID
from ._model import CalibrationConfig, ProductConfig
from ._notices import notices
from ._parameters import FRAME_PARAMETERS, PRODUCT_PARAMETERS, SERIES_PARAMETERS, ProductParameters
from ._resume import Earlier, check_frame_parameters, find_earlier
from ._text import WrittenConfig
from ._values import ParsedConfig, known_keys, over_earlier, parse_values
from ._without import check_without, reasons_of_earlier


def check(
    written: WrittenConfig,
    instrument: Instrument,
    earlier: Earlier | None = None,
    find_generation: FindGeneration | None = None,
    *,
    of_run: bool = False,
) -> CalibrationConfig:
    """Check what was written and fill in the defaults.

    Parameters
    ----------
    written : `WrittenConfig`
        The text's keys, values and problems.
    instrument : `Instrument`
        The camera.
    earlier, find_generation : `~collections.abc.Callable`, optional
        As for `parse`.
    of_run : `bool`, optional
        Whether it is the configuration of a run that has begun.

    Returns
    -------
    config : `CalibrationConfig`

    Raises
    ------
    ConfigurationError
        If there is any problem.
    """
    findings = Findings(written)
    given = known_keys(written.values, instrument, findings)
    if "resume" in written.empty:
        # A new run would take all frames anew.
        findings.report("resume", None, "is empty", NO_RUN_ID)
    if given.get("resume") is None:
        parsed = parse_values(given, instrument, findings)
    else:
        parsed = _parse_resumed(given, instrument, earlier, findings)
    parsed = with_generation(parsed, findings, find_generation)
    if findings.usable("exposures", "script_mode"):
        parsed = with_script_mode(parsed, findings)
    frames = resolve_frames(parsed, findings)
    check_together(parsed, frames, findings)
    check_without(parsed, findings, of_run=of_run)
    findings.raise_if_any()
    return _configuration(parsed, frames, (*findings.notices, *notices(parsed, frames)))


def _parse_resumed(
    given: Mapping[str, Any], instrument: Instrument, earlier: Earlier | None, findings: Findings
) -> ParsedConfig:
    """Return the values of a text that resumes a run."""

    def check_values(values: Mapping[str, Any]) -> CalibrationConfig:
        return check(WrittenConfig(values=dict(values)), instrument, of_run=True)

    of_frames = {key: value for key, value in given.items() if key in FRAME_PARAMETERS}
    beside = {key: value for key, value in given.items() if key not in FRAME_PARAMETERS}
    parsed = parse_values(beside, instrument, findings)
    before = None
    if earlier is not None and findings.usable("resume", "journal_dir"):
        run_id, folder = parsed.values["resume"], parsed.values["journal_dir"]
        before = find_earlier(run_id, folder, earlier, check_values, findings)
    check_frame_parameters(of_frames, before, check_values, findings)
    if before is None:
        return parsed
    check_same_service(beside, before.job_service, findings)
    return over_earlier(parsed, reasons_of_earlier(beside, before.to_dict()))


def _configuration(parsed: ParsedConfig, frames: Frames, notices: tuple[str, ...]) -> CalibrationConfig:
    """Return the configuration that values and frames come to."""
    values = dict(parsed.values)
    products = {product: _product(parameters, values) for product, parameters in PRODUCT_PARAMETERS.items()}
    for image_type, names in SERIES_PARAMETERS.items():
        fit = frames.fits[image_type]
        values |= {names.n: fit.n, names.n_discard: fit.n_discard}
        if names.exp_times is not None:
            values[names.exp_times] = fit.exp_times
    sets = tuple(one for one in frames.flat_sets if one is not None)
    values["flat_sets"] = sets or None
    if ImageType.FLAT not in frames.image_types:
        values["do_gain_from_flat_pairs"] = False
    return CalibrationConfig(**values, products=products, wheels=parsed.instrument.wheels, notices=notices)


def _product(parameters: ProductParameters, values: dict[str, Any]) -> ProductConfig:
    """Take what is about a product out of the values."""
    of_product = {"options": values.pop(parameters.options), "inputs": values.pop(parameters.inputs)}
    of_product["verify_inputs"] = of_product["inputs"]
    if parameters.verify_inputs is not None:
        of_product["verify_inputs"] = values.pop(parameters.verify_inputs)
    if parameters.threshold is not None:
        of_product["threshold"] = values.pop(parameters.threshold)
    return ProductConfig(**of_product)
