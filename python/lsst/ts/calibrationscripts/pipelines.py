# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pipeline and dataset types stand behind each product.

These names have drifted between releases of cp_pipe and cp_verify, so they
are data. A dataset type that holds one dataset per exposure tells, after a
job, which exposures went in: `pipetask` drops unknown ones in silence.
"""

from __future__ import annotations

__all__ = ["PROCEDURE", "Generator", "PipelineSet", "Product", "Verifier"]

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Product(enum.StrEnum):
    """What a run can make or measure."""

    BIAS = "BIAS"
    DARK = "DARK"
    FLAT = "FLAT"
    DEFECTS = "DEFECTS"
    PTC = "PTC"
    GAIN = "GAIN"


@dataclass(frozen=True)
class Generator:
    """The pipeline that makes a product."""

    path: str
    """URI of the pipeline, with the subset of its tasks after ``#``."""

    dataset_type: str
    """The product's dataset type."""

    per_exposure: str | None
    """Dataset type written once an exposure and detector, if there is one."""


@dataclass(frozen=True)
class Verifier:
    """The pipeline that verifies a product, and where its verdict lies."""

    path: str
    """URI of the pipeline."""

    statistics: str
    """Dataset type of the run statistics."""

    per_exposure: str
    """Dataset type written once an exposure and detector."""


@dataclass(frozen=True)
class PipelineSet:
    """The pipelines of one generation of cp_pipe and cp_verify."""

    generators: Mapping[Product, Generator]
    verifiers: Mapping[Product, Verifier]


_CP_PIPE = "${CP_PIPE_DIR}/pipelines/LATISS"
_CP_VERIFY = "${CP_VERIFY_DIR}/pipelines/LATISS"

PROCEDURE = PipelineSet(
    generators={
        Product.BIAS: Generator(f"{_CP_PIPE}/cpBias.yaml", "bias", "cpBiasProc"),
        Product.DARK: Generator(f"{_CP_PIPE}/cpDark.yaml", "dark", "cpDarkProc"),
        Product.FLAT: Generator(f"{_CP_PIPE}/cpFlat.yaml", "flat", "cpFlatProc"),
        Product.DEFECTS: Generator(f"{_CP_PIPE}/findDefects.yaml", "defects", None),
        Product.PTC: Generator(f"{_CP_PIPE}/cpPtc.yaml", "ptc", "cpPtcExtract"),
        Product.GAIN: Generator(f"{_CP_PIPE}/cpPtc.yaml#gainFromFlatPairs", "cpPtcExtract", "cpPtcExtract"),
    },
    verifiers={
        Product.BIAS: Verifier(f"{_CP_VERIFY}/verifyBias.yaml", "verifyBiasStats", "verifyBiasProc"),
        Product.DARK: Verifier(f"{_CP_VERIFY}/verifyDark.yaml", "verifyDarkStats", "verifyDarkProc"),
        Product.FLAT: Verifier(f"{_CP_VERIFY}/verifyFlat.yaml", "verifyFlatStats", "verifyFlatProc"),
    },
)
"""The generation that the observers' procedure describes (2022)."""
