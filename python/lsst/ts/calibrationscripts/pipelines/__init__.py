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
    "PipelineContent",
    "PipelineFault",
    "PipelineSet",
    "StatisticsKey",
    "Verifier",
    "expected_dimensions",
    "generation_of_files",
    "generation_of_types",
    "labels_of",
    "looked_up",
    "noise_left",
    "options_without_task",
    "pipeline_uri",
    "pipelines_of",
    "shortcomings",
]

from collections.abc import Callable, Collection, Mapping

from ..instruments import Instrument
from ._comparison import expected_dimensions, labels_of, options_without_task, shortcomings
from ._content import PipelineContent, PipelineFault
from ._current import CURRENT
from ._model import Generator, PipelineSet, StatisticsKey, Verifier, looked_up, noise_left, pipeline_uri
from ._of_2022 import OF_2022

GENERATIONS: Mapping[str, PipelineSet] = {"current": CURRENT, "2022": OF_2022}
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
