# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a pipeline."""

from __future__ import annotations

__all__ = ["Generator", "PipelineSet", "StatisticsKey", "Verifier", "looked_up", "noise_left", "pipeline_uri"]

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..instruments import ImageType, Instrument
from ..pairs import PairRule
from ..products import Product

_SETTINGS: Mapping[str, str] = {
    "doBias": "bias",
    "doBrighterFatter": "bfk",
    "doCrosstalk": "crosstalk",
    "doDark": "dark",
    "doDeferredCharge": "cti",
    "doDefect": "defects",
    "doFlat": "flat",
    "doLinearize": "linearizer",
    "doManualDefects": "manual_defects",
}
"""Settings with which a dataset type is looked up, or is not. From the
connections of IsrTaskLSST in ip_isr d2a69bfd, and of MergeDefectsCombinedTask
in cp_pipe f029a3f2."""


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
    and what the run makes itself, unless options switch them off; see
    `looked_up`."""

    needs_one_of: tuple[int, ...] = ()
    """Ids of detectors of which it must process one, else it fails."""

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


def noise_left(n: int) -> float:
    """Return which part of a frame's noise a combined frame leaves of it.

    Parameters
    ----------
    n : `int`
        Frames that were combined with equal weights, this one among them.

    Returns
    -------
    part : `float`
        The frame's own part in the mean is subtracted with it.
    """
    return float((1 - 1 / n) ** 0.5)


@dataclass(frozen=True)
class PipelineSet:
    """The pipelines of one generation of cp_pipe and cp_verify."""

    generators: Mapping[Product, Generator]
    verifiers: Mapping[Product, Verifier]

    pair_rule: PairRule
    """Which flats are pairs for gains and photon transfer curves."""

    noise_two_sided: bool
    """Whether noise of a bias or dark that is too low is a failure too."""

    noise_tolerance: float = 0.05
    """By how much the noise of a bias or dark may differ from the nominal
    read noise, relative to that: cp_verify's verifyBias.py and
    verifyDark.py, from 2022 to today."""

    of_cameras: Mapping[str, Mapping[tuple[Product, bool], tuple[str, ...]]] = field(default_factory=dict)
    """Prerequisites of cameras whose pipelines look up others than those of
    LATISS, by name: of a product, and whether it is verified."""

    settings: Mapping[str, str] = field(default_factory=lambda: _SETTINGS)
    """By the setting that switches it on, a dataset type that is looked up
    then, and must be there."""

    settings_of_cameras: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Those of cameras that differ, by name."""

    detectors_of_cameras: Mapping[str, Mapping[Product, tuple[int, ...]]] = field(default_factory=dict)
    """Detectors of which a camera's pipelines must process one, by name and
    product."""

    corrections_of_cameras: Mapping[str, Mapping[Product, tuple[Product, ...]]] = field(default_factory=dict)
    """Corrections of cameras that apply others than LATISS, by name and
    product."""

    def for_camera(self, instrument: Instrument) -> PipelineSet:
        """Return the pipelines of a camera.

        Parameters
        ----------
        instrument : `Instrument`
            The camera.

        Returns
        -------
        pipelines : `PipelineSet`
            With what those of the camera have of their own.
        """
        own = self.of_cameras.get(instrument.name, {})
        corrections = self.corrections_of_cameras.get(instrument.name, {})
        detectors = self.detectors_of_cameras.get(instrument.name, {})
        return replace(
            self,
            settings={**self.settings, **self.settings_of_cameras.get(instrument.name, {})},
            generators={
                product: replace(
                    one,
                    prerequisites=own.get((product, False), one.prerequisites),
                    corrections=corrections.get(product, one.corrections),
                    needs_one_of=detectors.get(product, one.needs_one_of),
                )
                for product, one in self.generators.items()
            },
            verifiers={
                product: replace(one, prerequisites=own.get((product, True), one.prerequisites))
                for product, one in self.verifiers.items()
            },
        )

    @property
    def fewest_frames(self) -> int:
        """Frames from which a bias or dark is combined at the least.

        Else too little noise is left of each to verify; see `noise_left`. Of
        one frame nothing is left, and other tests fail.
        """
        n = 2
        while self.noise_two_sided and noise_left(n) < 1 - self.noise_tolerance:
            n += 1
        return n

    @property
    def pipelines(self) -> tuple[Generator | Verifier, ...]:
        """All of them."""
        return (*self.generators.values(), *self.verifiers.values())

    def prerequisites_of(self, product: Product, *, verification: bool) -> tuple[str, ...]:
        """Return what the pipeline that makes or verifies a product needs.

        Parameters
        ----------
        product : `Product`
            Any product.
        verification : `bool`
            Whether the pipeline that verifies it is meant.

        Returns
        -------
        dataset_types : `tuple` [`str`, ...]
            Empty if it has no pipeline of that kind.
        """
        pipelines: Mapping[Product, Generator | Verifier]
        pipelines = self.verifiers if verification else self.generators
        return pipelines[product].prerequisites if product in pipelines else ()

    def is_of_filter(self, dataset_type: str) -> bool:
        """Return whether each physical filter has its own calibration.

        Parameters
        ----------
        dataset_type : `str`
            One of what jobs look up or make.
        """
        return dataset_type in (self.generators[Product.FLAT].dataset_type, _GRADIENT)

    @property
    def frame_types(self) -> frozenset[str]:
        """Dataset types of processed frames, which tell generations apart."""
        return frozenset(one.per_exposure for one in self.pipelines if one.per_exposure)


_GRADIENT = "flat_gradient_reference"
"""One for all detectors: cpFlatGradients.py of cp_pipe f029a3f2."""

_CONNECTIONS = {
    "bfKernel": "bfk",
    "deferredChargeCalib": "cti",
    "inputManualDefects": "manual_defects",
}
"""Connections that are not called as the dataset type is."""


def looked_up(
    prerequisites: Sequence[str], options: Sequence[str], settings: Mapping[str, str] = _SETTINGS
) -> tuple[str, ...]:
    """Return which prerequisites a pipeline needs with options.

    Parameters
    ----------
    prerequisites : `~collections.abc.Sequence` [`str`]
        Dataset types, as of `Generator` and `Verifier`.
    options : `~collections.abc.Sequence` [`str`]
        Arguments of ``pipetask run``, each option and value a word.
    settings : `~collections.abc.Mapping` [`str`, `str`], optional
        By the setting that switches it on, a dataset type that is needed
        then; see `PipelineSet.settings`.

    Returns
    -------
    dataset_types : `tuple` [`str`, ...]
        None if a file of settings is among the options, since that may
        switch off any.
    """
    if "-C" in options:
        return ()
    needed = dict.fromkeys(prerequisites)
    for word in options:
        key, _, value = word.partition(":")[2].partition("=")
        if key.startswith("connections."):
            connection = key.removeprefix("connections.")
            needed.pop(_CONNECTIONS.get(connection, connection), None)
        elif (key, value) in (("doBootstrap", "True"), ("useGainsFrom", "LINEARIZER")):
            needed.pop("ptc", None)
        elif key in _SETTINGS and value == "False":
            needed.pop(settings.get(key, _SETTINGS[key]), None)
        elif key in settings and value == "True":
            needed[settings[key]] = None
    return tuple(needed)


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
