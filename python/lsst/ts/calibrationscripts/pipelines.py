# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pipelines and dataset types make and verify each product.

Their names have drifted between releases of cp_pipe and cp_verify, so they
are data, once for each generation. A dataset type that holds one dataset per
exposure shows, after a job, which exposures went in: `pipetask` drops
unknown ones in silence.
"""

from __future__ import annotations

__all__ = [
    "AUTO",
    "GENERATIONS",
    "NEWEST",
    "RENAMED",
    "Generator",
    "PipelineSet",
    "StatisticsKey",
    "Verifier",
    "generation_of_files",
    "generation_of_types",
    "pipeline_uri",
    "pipelines_of",
]

import enum
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from .instruments import ImageType, Instrument
from .pairs import PairRule
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
    placeholders for the instrument's folder; see `pipeline_uri`."""

    dataset_type: str
    """The product's dataset type."""

    frames: tuple[ImageType, ...]
    """Whose frames it is made from."""

    per_exposure: str | None = None
    """Dataset type written once an exposure and detector, if there is one."""

    corrections: tuple[Product, ...] = ()
    """Calibrations that are applied to the frames first. Those that the run
    makes itself are used."""

    built_on: tuple[Product, ...] = ()
    """Uncertified products of the same run that it needs."""

    prerequisites: tuple[str, ...] = ()
    """Dataset types that the input collections must have, beside the camera
    and what the run makes itself."""

    tasks: tuple[str, ...] = ()
    """Labels of its tasks that options can be for."""

    options: tuple[str, ...] = ()
    """Arguments of ``pipetask run`` if the configuration has none."""

    workarounds: tuple[str, ...] = ()
    """Arguments of ``pipetask run`` against a known fault of the pipeline,
    in front of those of the configuration."""


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

    prerequisites: tuple[str, ...] = ()
    """Dataset types that the input collections must have, as of
    `Generator`."""


@dataclass(frozen=True)
class PipelineSet:
    """The pipelines of one generation of cp_pipe and cp_verify."""

    generators: Mapping[Product, Generator]
    verifiers: Mapping[Product, Verifier]

    pair_rule: PairRule
    """Which flats are pairs for gains and photon transfer curves."""

    noise_two_sided: bool
    """Whether noise of a bias or dark that is too low is a failure too."""

    @property
    def pipelines(self) -> tuple[Generator | Verifier, ...]:
        """All of them."""
        return (*self.generators.values(), *self.verifiers.values())

    @property
    def frame_types(self) -> frozenset[str]:
        """Dataset types of processed frames, which tell generations apart."""
        return frozenset(one.per_exposure for one in self.pipelines if one.per_exposure)


_OLD_FOLDERS = {"LATISS": "Latiss", "LSSTComCam": "LsstComCam", "LSSTCam": "LsstCam"}
"""Folders of cp_pipe before 2024-06-11 (84dad79f), by those of today."""


def pipeline_uri(path: str, instrument: Instrument) -> str:
    """Return where an instrument's pipeline is.

    Parameters
    ----------
    path : `str`
        As of `Generator` and `Verifier`: ``{folder}`` is the instrument's
        folder, ``{old_folder}`` its folder before June 2024.
    instrument : `Instrument`
        Whose pipeline.

    Returns
    -------
    uri : `str`
        With environment variables for the OCPS to fill in.
    """
    folder = instrument.pipelines_folder
    old_folder = _OLD_FOLDERS.get(folder, folder)
    return path.replace("{folder}", folder).replace("{old_folder}", old_folder)


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
    # LATISS has no photodiode. cpPtcLSST.yaml asks the EFD for it all the
    # same, and then fails.
    workarounds=("-c", "cpPtcExtractPair:useEfdPhotodiodeData=False"),
)

_CURRENT = PipelineSet(
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
)

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

_2022 = PipelineSet(
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
            prerequisites=("bias",),
            tasks=("isr", "cpDark", "cpDarkCombine"),
            options=_NO_DEFECTS,
        ),
        Product.FLAT: Generator(
            f"{_OLD_PIPE}/cpFlat.yaml",
            "flat",
            (_FLAT,),
            "cpFlatProc",
            corrections=_BIAS_AND_DARK,
            prerequisites=("bias", "dark"),
            tasks=("isr", "cpFlatMeasure", "cpFlatNorm", "cpFlatCombine"),
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
    noise_two_sided=True,
)

GENERATIONS: Mapping[str, PipelineSet] = {"current": _CURRENT, "2022": _2022}
"""By the configuration's ``pipeline_generation``, the newest first: the
pipelines of cp_pipe and cp_verify today, and those of 2022, for which the
observers' procedure was written."""

NEWEST = next(iter(GENERATIONS))
"""The generation where nothing says which."""

AUTO = "auto"
"""The value of ``pipeline_generation`` that lets the installation decide."""

RENAMED = {"procedure": "2022"}
"""Earlier names of generations."""


def pipelines_of(config: Mapping[str, object]) -> PipelineSet:
    """Return the pipelines that a run had.

    Parameters
    ----------
    config : `~collections.abc.Mapping` [`str`, `object`]
        Its configuration as it was recorded, maybe by an earlier version.

    Returns
    -------
    pipelines : `PipelineSet`
        Those of the newest generation if it has none that exists.
    """
    name = str(config.get("pipeline_generation"))
    return GENERATIONS.get(RENAMED.get(name, name), GENERATIONS[NEWEST])


def generation_of_files(instrument: Instrument, exists: Callable[[str], bool | None]) -> str | None:
    """Return the newest generation whose pipelines are all there.

    Parameters
    ----------
    instrument : `Instrument`
        Whose pipelines.
    exists : `~collections.abc.Callable`
        Takes a URI as from `pipeline_uri`, without the subset; returns
        whether the file exists, or `None` if its folder is not known.

    Returns
    -------
    generation : `str` or `None`
        `None` if each lacks a file, or nothing is known of any.
    """
    for name, pipelines in GENERATIONS.items():
        uris = (pipeline_uri(one.path, instrument) for one in pipelines.pipelines)
        found = {exists(uri.partition("#")[0]) for uri in uris}
        if True in found and False not in found:
            return name
    return None


def generation_of_types(dataset_types: Collection[str]) -> str | None:
    """Return the newest generation that has written into a repository.

    Parameters
    ----------
    dataset_types : collection of `str`
        Dataset types that the repository has. Old ones stay registered.

    Returns
    -------
    generation : `str` or `None`
        `None` if there is nothing of any.
    """
    return next(
        (
            name
            for name, pipelines in GENERATIONS.items()
            if not pipelines.frame_types.isdisjoint(dataset_types)
        ),
        None,
    )
