# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trees of pipelines have what the product expects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lsst.daf.butler import DimensionUniverse
from lsst.pipe.base import Pipeline
from lsst.pipe.base.pipeline_graph import PipelineGraph
from lsst.ts.calibrationscripts import simulation
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.pipelines import GENERATIONS, Generator, StatisticsKey, Verifier, pipeline_uri
from lsst.ts.calibrationscripts.simulation.observatory import PIPELINE_ENVIRONMENTS

GENERATORS = [
    pytest.param(generation, generator, id=f"{generation}-{product}")
    for generation, pipelines in GENERATIONS.items()
    for product, generator in pipelines.generators.items()
]
VERIFIERS = [
    pytest.param(generation, verifier, id=f"{generation}-{product}")
    for generation, pipelines in GENERATIONS.items()
    for product, verifier in pipelines.verifiers.items()
]


Read = Callable[[str, str], PipelineGraph]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    def read(generation: str, uri: str) -> PipelineGraph:
        for name, value in PIPELINE_ENVIRONMENTS[generation].items():
            monkeypatch.setenv(name, value)
        graph = Pipeline.from_uri(uri).to_graph()
        graph.resolve(dimensions=DimensionUniverse(), dataset_types={})
        return graph

    return read


def dimensions(graph: PipelineGraph, dataset_type: str) -> set[str]:
    return set(graph.dataset_types[dataset_type].dataset_type.dimensions.required)


def test_there_is_a_tree_for_each_generation() -> None:
    assert set(PIPELINE_ENVIRONMENTS) == set(GENERATIONS)


@pytest.mark.parametrize(
    "path",
    sorted(Path(simulation.__file__).parent.glob("**/pipelines/**/*.yaml")),
    ids=lambda path: "-".join(path.relative_to(Path(simulation.__file__).parent).with_suffix("").parts),
)
def test_every_pipeline_can_be_read(path: Path) -> None:
    assert Pipeline.fromFile(str(path)).to_graph().tasks


@pytest.mark.parametrize(("generation", "generator"), GENERATORS)
def test_a_generator_makes_what_is_expected_of_it(read: Read, generation: str, generator: Generator) -> None:
    graph = read(generation, pipeline_uri(generator.path, LATISS))
    product = graph.dataset_types[generator.dataset_type]
    needed = {"instrument", "detector"}
    if generator.dataset_type.startswith("flat"):
        needed |= {"physical_filter"}
    if generator.dataset_type == generator.per_exposure or generator.dataset_type == "cpPtcPartial":
        needed |= {"exposure"}
    else:
        assert product.dataset_type.isCalibration()
    assert dimensions(graph, generator.dataset_type) == needed
    if generator.per_exposure:
        assert dimensions(graph, generator.per_exposure) == {"instrument", "exposure", "detector"}


@pytest.mark.parametrize(("generation", "verifier"), VERIFIERS)
def test_a_verifier_makes_what_is_expected_of_it(read: Read, generation: str, verifier: Verifier) -> None:
    graph = read(generation, pipeline_uri(verifier.path, LATISS))
    by_filter = {"physical_filter"} if verifier.by_physical_filter else set()
    assert dimensions(graph, verifier.statistics) == {"instrument"} | by_filter
    if verifier.per_exposure:
        assert dimensions(graph, verifier.per_exposure) == {"instrument", "exposure", "detector"}
    merged = graph.producer_of(verifier.statistics)
    assert (verifier.key is StatisticsKey.DETECTOR) == (merged.label in ("verifyPtc", "verifyGain"))


@pytest.mark.parametrize("subset", ["gainFromFlatPairs", "generateGainFromFlatPair"])
def test_the_procedure_has_two_names_for_gains_alone(read: Read, subset: str) -> None:
    graph = read("procedure", f"${{CP_PIPE_DIR}}/pipelines/LATISS/cpPtc.yaml#{subset}")
    assert set(graph.tasks) == {"isr", "ptcExtract"}
