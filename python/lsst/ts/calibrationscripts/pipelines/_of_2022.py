# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""cp_pipe and cp_verify in 2022."""

from __future__ import annotations

__all__ = ["OF_2022"]

from dataclasses import replace

from ..instruments import ImageType
from ..pairs import PairRule
from ..products import Product
from ._model import Generator, PipelineSet, Verifier

_BIAS, _DARK, _FLAT = ImageType.BIAS, ImageType.DARK, ImageType.FLAT
_BIAS_AND_DARK = (Product.BIAS, Product.DARK)

_OLD_PIPE = "${CP_PIPE_DIR}/pipelines/{old_folder}"
_OLD_VERIFY = "${CP_VERIFY_DIR}/pipelines"
_NO_DEFECTS = ("-c", "isr:doDefect=False")
"""The procedure's own, for products whose defects are yet unknown."""

_OLD_PTC = Generator(
    f"{_OLD_PIPE}/cpPtc.yaml",
    "ptc",
    (_FLAT,),
    "cpPtcExtract",
    corrections=(*_BIAS_AND_DARK, Product.DEFECTS),
    prerequisites=("bias", "dark", "defects"),
    tasks=("isr", "ptcExtract", "ptcSolve"),
    options=("-c", "isr:doCrosstalk=False"),
)

OF_2022 = PipelineSet(
    generators={
        Product.BIAS: Generator(
            f"{_OLD_PIPE}/cpBias.yaml",
            "bias",
            (_BIAS,),
            "cpBiasProc",
            tasks=("isr", "cpBiasCombine"),
            options=_NO_DEFECTS,
        ),
        Product.DARK: Generator(
            f"{_OLD_PIPE}/cpDark.yaml",
            "dark",
            (_DARK,),
            "cpDarkProc",
            corrections=(Product.BIAS,),
            prerequisites=("bias", "defects"),
            tasks=("isr", "cpDark", "cpDarkCombine"),
            options=_NO_DEFECTS,
        ),
        Product.FLAT: Generator(
            f"{_OLD_PIPE}/cpFlat.yaml",
            "flat",
            (_FLAT,),
            "cpFlatProc",
            corrections=_BIAS_AND_DARK,
            prerequisites=("bias", "dark", "defects"),
            tasks=("isr", "cpFlatCombine"),
            options=_NO_DEFECTS,
        ),
        Product.DEFECTS: Generator(
            f"{_OLD_PIPE}/findDefects.yaml",
            "defects",
            (_DARK, _FLAT),
            "cpDefectsProc",
            corrections=(Product.BIAS,),
            prerequisites=("bias",),
            tasks=("isr", "measureDefects", "mergeDefects"),
            options=_NO_DEFECTS,
        ),
        Product.PTC: _OLD_PTC,
        Product.GAIN: replace(
            _OLD_PTC,
            path=f"{_OLD_PTC.path}#gainFromFlatPairs",
            dataset_type="cpPtcExtract",
            tasks=("isr", "ptcExtract"),
        ),
    },
    verifiers={
        Product.BIAS: Verifier(
            f"{_OLD_VERIFY}/VerifyBias.yaml",
            "verifyBiasStats",
            "verifyBiasProc",
            prerequisites=("bias", "defects"),
        ),
        Product.DARK: Verifier(
            f"{_OLD_VERIFY}/VerifyDark.yaml",
            "verifyDarkStats",
            "verifyDarkProc",
            prerequisites=("bias", "defects", "dark"),
        ),
        Product.FLAT: Verifier(
            f"{_OLD_VERIFY}/VerifyFlat.yaml",
            "verifyFlatStats",
            "verifyFlatProc",
            prerequisites=("bias", "defects", "dark", "flat"),
        ),
    },
    pair_rule=PairRule.FIRST_TWO,
    # The IsrTask of ip_isr 9ca82378 does without crosstalk, linearizer and
    # kernels where there are none.
    settings={"doBias": "bias", "doDark": "dark", "doDefect": "defects", "doFlat": "flat"},
    noise_two_sided=True,
)
