# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""cp_pipe and cp_verify today."""

from __future__ import annotations

__all__ = ["CURRENT"]

from dataclasses import replace

from ..instruments import ImageType
from ..pairs import PairRule
from ..products import Product
from ._model import Generator, PipelineSet, StatisticsKey, Verifier

_BIAS, _DARK, _FLAT = ImageType.BIAS, ImageType.DARK, ImageType.FLAT
_BIAS_AND_DARK = (Product.BIAS, Product.DARK)

_PIPE = "${CP_PIPE_DIR}/pipelines/{folder}"
_VERIFY = "${CP_VERIFY_DIR}/pipelines/{folder}"
_ISR = ("crosstalk", "linearizer", "ptc")
"""What the instrument signature removal of today's pipelines looks up first.
From the real quantum graphs of cp_pipe f029a3f2 and cp_verify 5855743."""

_PTC = Generator(
    f"{_PIPE}/cpPtc.yaml",
    "ptc",
    (_FLAT,),
    "cpPtcIsrExp",
    corrections=(Product.DEFECTS,),
    prerequisites=("crosstalk", "linearizer", "defects", "cti"),
    tasks=("cpPtcIsr", "cpPtcExtractPair", "cpPtcSolve", "cpPtcAdjustGainRatios"),
    # LATISS has no photodiode. cpPtcLSST.yaml asks the EFD for it anyway,
    # and then fails.
    workarounds=("-c", "cpPtcExtractPair:useEfdPhotodiodeData=False"),
)

_VERIFIED_FLAT = (*_ISR, "bias", "defects", "dark", "flat", "cti")
_OF_CAMERAS = {
    "LSSTComCam": {
        (Product.BIAS, False): (*_ISR, "cti"),
        (Product.DARK, False): (*_ISR, "bias", "defects", "cti"),
        (Product.FLAT, False): (*_ISR, "bias", "dark", "cti"),
        (Product.DEFECTS, False): ("manual_defects",),
        (Product.BIAS, True): (*_ISR, "bias", "defects", "cti"),
        (Product.DARK, True): (*_ISR, "bias", "defects", "dark", "cti"),
        (Product.FLAT, True): _VERIFIED_FLAT,
    },
    "LSSTCam": {
        (Product.FLAT, False): (*_ISR, "bias", "dark", "cti", "defects", "flat_gradient_reference"),
        (Product.DEFECTS, False): ("manual_defects",),
        (Product.FLAT, True): _VERIFIED_FLAT,
    },
}
"""They correct deferred charge, and no flat for brighter pixels. Defects that
persons have found are merged into those of both. Flats of LSSTCam are rid of
the gradient across the focal plane, which is compared with that of the sky.
From their pipelines in cp_pipe f029a3f2 and cp_verify 5855743."""

_CORRECTIONS_OF_CAMERAS = {"LSSTCam": {Product.FLAT: (*_BIAS_AND_DARK, Product.DEFECTS)}}
"""Defects are left out of the fit of that gradient (cpFlatFitGradients)."""

_DETECTORS_OF_CAMERAS = {"LSSTCam": {Product.FLAT: (91, 93, 94, 95, 97)}}
"""It normalizes the flats by what is within 25 mm of the middle of the focal
plane (normalize_center_radius), which is that of R22_S11. Without any of it,
there is nothing to fit."""

CURRENT = PipelineSet(
    generators={
        Product.BIAS: Generator(
            f"{_PIPE}/cpBias.yaml",
            "bias",
            (_BIAS,),
            "cpBiasIsrExp",
            prerequisites=_ISR,
            tasks=("cpBiasIsr", "cpBiasCombine"),
        ),
        Product.DARK: Generator(
            f"{_PIPE}/cpDark.yaml",
            "dark",
            (_DARK,),
            "cpDarkIsrExp",
            corrections=(Product.BIAS, Product.DEFECTS),
            prerequisites=(*_ISR, "bias", "defects"),
            tasks=("cpDarkIsr", "cpDark", "cpDarkCombine"),
        ),
        Product.FLAT: Generator(
            f"{_PIPE}/cpFlat.yaml",
            "flat",
            (_FLAT,),
            "cpFlatIsrExp",
            corrections=_BIAS_AND_DARK,
            prerequisites=(*_ISR, "bias", "dark", "bfk"),
            tasks=("cpFlatIsr", "cpFlatCombine"),
        ),
        Product.BIAS_BOOTSTRAP: Generator(
            f"{_PIPE}/cpBiasBootstrap.yaml",
            "biasBootstrap",
            (_BIAS,),
            "cpBiasBootstrapIsrExp",
            prerequisites=("crosstalk",),
        ),
        Product.DARK_BOOTSTRAP: Generator(
            f"{_PIPE}/cpDarkBootstrap.yaml",
            "darkBootstrap",
            (_DARK,),
            "cpDarkBootstrapIsrExp",
            built_on=(Product.BIAS_BOOTSTRAP,),
            prerequisites=("crosstalk",),
        ),
        Product.FLAT_BOOTSTRAP: Generator(
            f"{_PIPE}/cpFlatBootstrap.yaml",
            "flatBootstrap",
            (_FLAT,),
            "cpFlatBootstrapIsrExp",
            built_on=(Product.BIAS_BOOTSTRAP, Product.DARK_BOOTSTRAP),
            prerequisites=("crosstalk",),
        ),
        Product.DEFECTS: Generator(
            f"{_PIPE}/cpDefects.yaml",
            "defects",
            (_BIAS, _DARK, _FLAT),
            built_on=(Product.BIAS_BOOTSTRAP, Product.DARK_BOOTSTRAP, Product.FLAT_BOOTSTRAP),
            tasks=("cpMeasureBiasDefects", "cpMeasureDarkDefects", "cpMeasureFlatDefects", "cpMergeDefects"),
        ),
        Product.PTC: _PTC,
        Product.GAIN: replace(
            _PTC,
            path=f"{_PTC.path}#cpPtcGainFromFlatPairs",
            dataset_type="cpPtcPartial",
            tasks=("cpPtcIsr", "cpPtcExtractPair"),
        ),
    },
    # Not verifyDefects.yaml: it merges by visit, and only frames on the sky
    # have one. Not verifyGainFromFlatPairs.yaml: its graph fails with more
    # than one pair, its merge with one. See `judgement`.
    verifiers={
        Product.BIAS: Verifier(
            f"{_VERIFY}/verifyBias.yaml",
            "verifyBiasStats",
            "verifyBiasIsrExp",
            prerequisites=(*_ISR, "bias", "defects"),
        ),
        Product.DARK: Verifier(
            f"{_VERIFY}/verifyDark.yaml",
            "verifyDarkStats",
            "verifyDarkIsrExp",
            prerequisites=(*_ISR, "bias", "defects", "dark"),
        ),
        Product.FLAT: Verifier(
            f"{_VERIFY}/verifyFlat.yaml",
            "verifyFlatStats",
            "verifyFlatIsrExp",
            by_physical_filter=True,
            prerequisites=(*_ISR, "bias", "defects", "dark", "flat"),
        ),
        Product.PTC: Verifier(
            f"{_VERIFY}/verifyPtc.yaml", "verifyPtcStats", key=StatisticsKey.DETECTOR, prerequisites=("ptc",)
        ),
    },
    pair_rule=PairRule.NEIGHBOURS,
    noise_two_sided=False,
    of_cameras=_OF_CAMERAS,
    # brighterFatterCorrectionMethod in lsstCam/isrLSST.py, obs_lsst 0e84d755.
    settings_of_cameras={"LSSTCam": {"doBrighterFatter": "electroBfDistortionMatrix"}},
    detectors_of_cameras=_DETECTORS_OF_CAMERAS,
    corrections_of_cameras=_CORRECTIONS_OF_CAMERAS,
)
