# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pipelines of an installation lack of what is said of them."""

from __future__ import annotations

__all__ = ["expected_dimensions", "labels_of", "options_without_task", "shortcomings"]

import re
from collections.abc import Iterator, Mapping, Sequence

from ..checkup import Check
from ..instruments import Instrument
from ..products import Product
from ._content import PipelineContent, PipelineFault
from ._model import Generator, PipelineSet, Verifier, pipeline_uri

_NAME = "pipelines"
"""Of the checks."""

_LABEL = re.compile(r"(?:-[cC]=?|--config(?:-file)?=)?([A-Za-z_]\w*):.+")
"""An option's argument for a task, alone or joined to the option."""

_FLATS = (Product.FLAT, Product.FLAT_BOOTSTRAP)
_BY_DETECTOR = frozenset({"instrument", "detector"})
_BY_EXPOSURE = _BY_DETECTOR | {"exposure"}


def labels_of(options: Sequence[str]) -> Iterator[str]:
    """Yield the tasks that options are for.

    Parameters
    ----------
    options : `~collections.abc.Sequence` [`str`]
        Arguments of ``pipetask run``.

    Yields
    ------
    label : `str`
    """
    for word in options:
        if label := _LABEL.fullmatch(word):
            yield label[1]


def options_without_task(options: Sequence[str], content: PipelineContent) -> Iterator[str]:
    """Yield what is wrong with options for tasks that do not exist.

    Parameters
    ----------
    options : `~collections.abc.Sequence` [`str`]
        Arguments of ``pipetask run``.
    content : `PipelineContent`
        The pipeline that they are for.

    Yields
    ------
    problem : `str`
        Names the label, the file, and the labels that exist. None if the
        pipeline may have tasks that were not found.
    """
    if content.not_read:
        return
    for label in dict.fromkeys(labels_of(options)):
        if label not in content.tasks:
            given = " ".join(word for word in options if label in labels_of([word]))
            yield f"-c {given}: {content.file} has no task {label}, but {', '.join(content.tasks)}"


def expected_dimensions(pipelines: PipelineSet) -> dict[str, frozenset[str]]:
    """Return the dimensions that dataset types must have.

    Parameters
    ----------
    pipelines : `PipelineSet`
        The pipelines of a generation.

    Returns
    -------
    dimensions : `dict` [`str`, `frozenset` [`str`]]
        The required dimensions, by dataset type: of products, of processed
        frames and of run statistics.
    """
    return {
        name: dimensions
        for product, pipeline in _pipelines(pipelines)
        for name, dimensions in _dimensions(product, pipeline).items()
    }


def _pipelines(pipelines: PipelineSet) -> Iterator[tuple[Product, Generator | Verifier]]:
    yield from pipelines.generators.items()
    yield from pipelines.verifiers.items()


def _dimensions(product: Product, pipeline: Generator | Verifier) -> dict[str, frozenset[str]]:
    """Return what a pipeline writes."""
    if isinstance(pipeline, Verifier):
        by_filter = {"physical_filter"} if pipeline.by_physical_filter else set()
        written = {pipeline.statistics: frozenset({"instrument"} | by_filter)}
    elif product is Product.GAIN:
        written = {pipeline.dataset_type: _BY_EXPOSURE}
    else:
        by_filter = {"physical_filter"} if product in _FLATS else set()
        written = {pipeline.dataset_type: _BY_DETECTOR | by_filter}
    if pipeline.per_exposure is not None:
        written[pipeline.per_exposure] = _BY_EXPOSURE
    return written


def shortcomings(
    pipelines: PipelineSet,
    instrument: Instrument,
    contents: Mapping[str, PipelineContent | PipelineFault],
    remedy: str,
) -> Iterator[Check]:
    """Yield what an installation lacks of what is said of its pipelines.

    Parameters
    ----------
    pipelines : `PipelineSet`
        What is said.
    instrument : `Instrument`
        Whose pipelines.
    contents : `~collections.abc.Mapping`
        What was found, by URI as from `pipeline_uri`; of others nothing is
        said.
    remedy : `str`
        What to do about pipelines of another version.

    Yields
    ------
    check : `Check`
        Failed, or a warning if no run depends on it unless its configuration
        does.
    """
    found = (
        check
        for product, pipeline in _pipelines(pipelines)
        if (content := contents.get(pipeline_uri(pipeline.path, instrument))) is not None
        for check in _of_pipeline(product, pipeline, content, remedy)
    )
    # Two pipelines may be subsets of a file.
    yield from dict.fromkeys(found)


def _of_pipeline(
    product: Product, pipeline: Generator | Verifier, content: PipelineContent | PipelineFault, remedy: str
) -> Iterator[Check]:
    if isinstance(content, PipelineFault):
        yield Check.failed(_NAME, f"{content.file} {content.text}", remedy)
        return
    for text in _faults(product, pipeline, content):
        yield Check.failed(_NAME, f"{content.file} {text}", remedy)
    if isinstance(pipeline, Generator) and not content.not_read:
        needed = set(labels_of(pipeline.workarounds + pipeline.options))
        if absent := [each for each in pipeline.tasks if each not in {*content.tasks, *needed}]:
            yield Check.warning(
                _NAME,
                f"{content.file} has no task {', '.join(absent)}",
                "Give no options for it. The pipelines may be of another version",
            )


def _faults(product: Product, pipeline: Generator | Verifier, content: PipelineContent) -> Iterator[str]:
    """Yield why a run with a pipeline would fail, after the file's name."""
    if isinstance(pipeline, Generator):
        own = pipeline.workarounds + pipeline.options
        for label in dict.fromkeys(labels_of(own)):
            if label not in content.tasks and not content.not_read:
                yield f"has no task {label}, but {', '.join(content.tasks)}"
        for option, why in content.refused_options.items():
            if option in own:
                yield f"does not take -c {option}: {why}"
    for name, dimensions in _dimensions(product, pipeline).items():
        if name not in content.dataset_types:
            if content.from_tasks:
                yield f"has no dataset type {name}"
            continue
        found = content.dataset_types[name]
        if found is not None and found != dimensions:
            yield f"has {name} by {_named(found)}, not by {_named(dimensions)}"


def _named(dimensions: frozenset[str]) -> str:
    return ", ".join(sorted(dimensions))
