# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pipelines and dataset types make and verify each product.

Their names have drifted between releases of cp_pipe and cp_verify, so they
are data, once for each generation. A dataset type that holds one dataset per
exposure shows, after a job, which exposures went in: `pipetask` drops
unknown ones in silence.
"""

from __future__ import annotations

__all__ = ["GENERATIONS", "Generator", "PipelineSet", "StatisticsKey", "Verifier", "pipeline_uri"]

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from .instruments import ImageType, Instrument
from .products import Product


class StatisticsKey(enum.StrEnum):
    """What the entries of run statistics are about."""

    EXPOSURE = "exposure"
    DETECTOR = "detector"


@dataclass(frozen=True)
class Generator:
    """The pipeline that makes a product."""

    path: str
    """URI of the pipeline, with the subset of its tasks after ``#`` and
    ``{folder}`` for the instrument's folder; see `pipeline_uri`."""

    dataset_type: str
    """The product's dataset type."""

    frames: tuple[ImageType, ...]
    """Whose frames it is made from."""

    per_exposure: str | None = None
    """Dataset type written once an exposure and detector, if there is one."""

    corrections: tuple[Product, ...] = ()
    """Certified calibrations that are applied to the frames first."""

    built_on: tuple[Product, ...] = ()
    """Uncertified products of the same run that it needs."""


@dataclass(frozen=True)
class Verifier:
    """The pipeline that verifies a product, and where its results are."""

    path: str
    """URI of the pipeline, as of `Generator`."""

    statistics: str
    """Dataset type of the run statistics."""

    per_exposure: str | None = None
    """Dataset type written once an exposure and detector, if there is one."""

    key: StatisticsKey = StatisticsKey.EXPOSURE
    """What the entries of the run statistics are about."""

    by_physical_filter: bool = False
    """Whether physical_filter is a dimension of the run statistics."""


@dataclass(frozen=True)
class PipelineSet:
    """The pipelines of one generation of cp_pipe and cp_verify."""

    generators: Mapping[Product, Generator]
    verifiers: Mapping[Product, Verifier]


def pipeline_uri(path: str, instrument: Instrument) -> str:
    """Return where an instrument's pipeline is.

    Parameters
    ----------
    path : `str`
        As of `Generator` and `Verifier`.
    instrument : `Instrument`
        Whose pipeline.

    Returns
    -------
    uri : `str`
        With environment variables for the OCPS to fill in.
    """
    return path.replace("{folder}", instrument.pipelines_folder)


_CP_PIPE = "${CP_PIPE_DIR}/pipelines/{folder}"
_CP_VERIFY = "${CP_VERIFY_DIR}/pipelines/{folder}"
_BIAS, _DARK, _FLAT = ImageType.BIAS, ImageType.DARK, ImageType.FLAT
_BIAS_AND_DARK = (Product.BIAS, Product.DARK)

_PROCEDURE = PipelineSet(
    generators={
        Product.BIAS: Generator(f"{_CP_PIPE}/cpBias.yaml", "bias", (_BIAS,), "cpBiasProc"),
        Product.DARK: Generator(f"{_CP_PIPE}/cpDark.yaml", "dark", (_DARK,), "cpDarkProc", (Product.BIAS,)),
        Product.FLAT: Generator(f"{_CP_PIPE}/cpFlat.yaml", "flat", (_FLAT,), "cpFlatProc", _BIAS_AND_DARK),
        Product.DEFECTS: Generator(
            f"{_CP_PIPE}/findDefects.yaml", "defects", (_DARK, _FLAT), "cpDefectsProc", _BIAS_AND_DARK
        ),
        Product.PTC: Generator(f"{_CP_PIPE}/cpPtc.yaml", "ptc", (_FLAT,), "cpPtcExtract", _BIAS_AND_DARK),
        Product.GAIN: Generator(
            f"{_CP_PIPE}/cpPtc.yaml#gainFromFlatPairs",
            "cpPtcExtract",
            (_FLAT,),
            "cpPtcExtract",
            _BIAS_AND_DARK,
        ),
    },
    verifiers={
        Product.BIAS: Verifier(f"{_CP_VERIFY}/verifyBias.yaml", "verifyBiasStats", "verifyBiasProc"),
        Product.DARK: Verifier(f"{_CP_VERIFY}/verifyDark.yaml", "verifyDarkStats", "verifyDarkProc"),
        Product.FLAT: Verifier(f"{_CP_VERIFY}/verifyFlat.yaml", "verifyFlatStats", "verifyFlatProc"),
    },
)

_CURRENT = PipelineSet(
    generators={
        Product.BIAS: Generator(f"{_CP_PIPE}/cpBias.yaml", "bias", (_BIAS,), "cpBiasIsrExp"),
        Product.DARK: Generator(f"{_CP_PIPE}/cpDark.yaml", "dark", (_DARK,), "cpDarkIsrExp", (Product.BIAS,)),
        Product.FLAT: Generator(f"{_CP_PIPE}/cpFlat.yaml", "flat", (_FLAT,), "cpFlatIsrExp", _BIAS_AND_DARK),
        Product.BIAS_BOOTSTRAP: Generator(
            f"{_CP_PIPE}/cpBiasBootstrap.yaml", "biasBootstrap", (_BIAS,), "cpBiasBootstrapIsrExp"
        ),
        Product.DARK_BOOTSTRAP: Generator(
            f"{_CP_PIPE}/cpDarkBootstrap.yaml",
            "darkBootstrap",
            (_DARK,),
            "cpDarkBootstrapIsrExp",
            built_on=(Product.BIAS_BOOTSTRAP,),
        ),
        Product.FLAT_BOOTSTRAP: Generator(
            f"{_CP_PIPE}/cpFlatBootstrap.yaml",
            "flatBootstrap",
            (_FLAT,),
            "cpFlatBootstrapIsrExp",
            built_on=(Product.BIAS_BOOTSTRAP, Product.DARK_BOOTSTRAP),
        ),
        Product.DEFECTS: Generator(
            f"{_CP_PIPE}/cpDefects.yaml",
            "defects",
            (_BIAS, _DARK, _FLAT),
            built_on=(Product.BIAS_BOOTSTRAP, Product.DARK_BOOTSTRAP, Product.FLAT_BOOTSTRAP),
        ),
        Product.PTC: Generator(f"{_CP_PIPE}/cpPtc.yaml", "ptc", (_FLAT,), "cpPtcIsrExp"),
        Product.GAIN: Generator(
            f"{_CP_PIPE}/cpPtc.yaml#cpPtcGainFromFlatPairs", "cpPtcPartial", (_FLAT,), "cpPtcIsrExp"
        ),
    },
    verifiers={
        Product.BIAS: Verifier(f"{_CP_VERIFY}/verifyBias.yaml", "verifyBiasStats", "verifyBiasIsrExp"),
        Product.DARK: Verifier(f"{_CP_VERIFY}/verifyDark.yaml", "verifyDarkStats", "verifyDarkIsrExp"),
        Product.FLAT: Verifier(
            f"{_CP_VERIFY}/verifyFlat.yaml", "verifyFlatStats", "verifyFlatIsrExp", by_physical_filter=True
        ),
        Product.DEFECTS: Verifier(
            f"{_CP_VERIFY}/verifyDefects.yaml", "verifyDefectsStats", "verifyDefectsIsrExp"
        ),
        Product.PTC: Verifier(f"{_CP_VERIFY}/verifyPtc.yaml", "verifyPtcStats", key=StatisticsKey.DETECTOR),
        Product.GAIN: Verifier(
            f"{_CP_VERIFY}/verifyGainFromFlatPairs.yaml", "verifyGainStats", key=StatisticsKey.DETECTOR
        ),
    },
)

GENERATIONS: Mapping[str, PipelineSet] = {"procedure": _PROCEDURE, "current": _CURRENT}
"""By the configuration's ``pipeline_generation``: the pipelines that the
observers' procedure describes (2022), and those of cp_pipe and cp_verify
today."""
