# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the pipelines that an installation has."""

from __future__ import annotations

__all__ = ["PIPELINE_FOLDERS", "check_pipelines"]

from collections.abc import Iterator, Mapping, Sequence

from ..butler.installed_pipelines import read_pipelines
from ..checkup import Check, CheckStatus
from ..config import PRODUCT_PARAMETERS, CalibrationConfig
from ..instruments import Instrument
from ..pipelines import (
    GENERATIONS,
    Generator,
    PipelineContent,
    PipelineFault,
    Verifier,
    expected_dimensions,
    options_without_task,
    pipeline_uri,
    shortcomings,
)
from ..plan import make_plan
from ._common import within

PIPELINE_FOLDERS = {"CP_PIPE_DIR": "cp_pipe", "CP_VERIFY_DIR": "cp_verify"}
"""Packages with pipelines, by the environment variables that name them."""

_NAME = "pipelines"
_OPTIONS = "options"

_TIMEOUT = 240.0
"""Longest that reading them may take, with the import of their tasks (s)."""


def check_pipelines(
    config: CalibrationConfig, instrument: Instrument, environment: Mapping[str, str]
) -> tuple[list[Check], dict[str, frozenset[str]]]:
    """Check the pipelines of a configuration's generation.

    Parameters
    ----------
    config : `CalibrationConfig`
        Says which generation, and has options for tasks.
    instrument : `Instrument`
        Whose pipelines.
    environment : `~collections.abc.Mapping` [`str`, `str`]
        Environment variables, which say where they are.

    Returns
    -------
    checks : `list` [`Check`]
    dimensions : `dict` [`str`, `frozenset` [`str`]]
        What the repository's dataset types must have.
    """
    generation = GENERATIONS[config.pipeline_generation]
    dimensions = expected_dimensions(generation)
    unset = [name for name in PIPELINE_FOLDERS if not environment.get(name)]
    checks = []
    if unset:
        packages = " and ".join(PIPELINE_FOLDERS.values())
        checks.append(
            Check.skipped(
                _NAME,
                f"{' and '.join(unset)} not set: nothing of them is checked",
                f"Set them, or name a folder that has {packages} with --pipelines",
            )
        )
    at_hand = {
        pipeline_uri(pipeline.path, instrument): pipeline
        for pipeline in generation.pipelines
        if not any(f"${{{name}}}" in pipeline.path for name in unset)
    }
    if not at_hand:
        return checks, dimensions
    given = _given_options(config, instrument)
    wanted = {
        uri: [word for word in (*_own_options(pipeline), *given.get(uri, ())) if ":" in word]
        for uri, pipeline in at_hand.items()
    }
    try:
        contents, why_text = within(_TIMEOUT, lambda: read_pipelines(wanted, environment))
    except TimeoutError:
        text = f"the files were not read within {_TIMEOUT:g} s"
        return [*checks, Check.failed(_NAME, text, "See why the disk that has them hangs")], dimensions
    found = [*shortcomings(generation, instrument, contents, _remedy(config.pipeline_generation))]
    found += _option_checks(given, contents, at_hand)
    if not any(check.status is CheckStatus.FAILED for check in found):
        found.insert(
            0, Check.ok(_NAME, f"{len(at_hand)} of {config.pipeline_generation} have what jobs need of them")
        )
    return [*checks, *found, _task_check(contents, why_text)], _with_found(dimensions, contents)


def _own_options(pipeline: Generator | Verifier) -> tuple[str, ...]:
    return pipeline.workarounds + pipeline.options if isinstance(pipeline, Generator) else ()


def _given_options(config: CalibrationConfig, instrument: Instrument) -> dict[str, tuple[str, ...]]:
    """Return the options for each pipeline, also if it is not to run."""
    generators = GENERATIONS[config.pipeline_generation].generators
    of_products = {
        pipeline_uri(generators[product].path, instrument): config.of(product).options
        for product in PRODUCT_PARAMETERS
    }
    jobs = [stage.job for stage in make_plan(config, instrument).stages if stage.job]
    return of_products | {job.pipeline: job.options for job in jobs}


def _remedy(generation: str) -> str:
    others = " or ".join(f'"{name}"' for name in GENERATIONS if name != generation)
    packages = " and ".join(PIPELINE_FOLDERS.values())
    return (
        f"Set up {packages} of generation {generation}, or write pipeline_generation: {others} if that is "
        "installed"
    )


def _option_checks(
    given: Mapping[str, Sequence[str]],
    contents: Mapping[str, PipelineContent | PipelineFault],
    at_hand: Mapping[str, Generator | Verifier],
) -> Iterator[Check]:
    """Yield what is wrong with the configuration's options."""
    for uri, content in contents.items():
        if not isinstance(content, PipelineContent):
            continue
        # The pipeline's own are checked with it.
        options = [word for word in given.get(uri, ()) if word not in _own_options(at_hand[uri])]
        for problem in options_without_task(options, content):
            yield Check.failed(_OPTIONS, problem, "Write one of those in its place, or leave the option out")
        for option, why in content.refused_options.items():
            if option in options:
                yield Check.failed(
                    _OPTIONS,
                    f"-c {option}: {why}, in {content.file}",
                    "Write a field that it has, or leave the option out",
                )


def _task_check(contents: Mapping[str, PipelineContent | PipelineFault], why_text: str) -> Check:
    """Say whether the tasks themselves were looked at."""
    name = "tasks"
    if not why_text:
        return Check.ok(name, "they can be imported; options, dataset types and dimensions were compared")
    unnamed = sum(
        isinstance(content, PipelineContent) and not content.from_tasks for content in contents.values()
    )
    return Check.skipped(
        name,
        f"{unnamed} pipelines were checked by their text alone ({why_text})",
        "To check options, dataset types and dimensions too, run this where their tasks are set up",
    )


def _with_found(
    dimensions: Mapping[str, frozenset[str]], contents: Mapping[str, PipelineContent | PipelineFault]
) -> dict[str, frozenset[str]]:
    """Return dimensions with those of what else the pipelines have."""
    found = {
        name: of_type
        for content in contents.values()
        if isinstance(content, PipelineContent)
        for name, of_type in content.dataset_types.items()
        if of_type is not None
    }
    return {**found, **dimensions}
