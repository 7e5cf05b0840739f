# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trees of pipelines have what the product expects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lsst.daf.butler import DimensionUniverse
from lsst.pipe.base import Pipeline
from lsst.pipe.base.pipeline_graph import PipelineGraph
from lsst.ts.calibrationscripts import simulation
from lsst.ts.calibrationscripts.instruments import LATISS, LSSTCAM, LSSTCOMCAM, Instrument
from lsst.ts.calibrationscripts.pipelines import (
    GENERATIONS,
    Generator,
    StatisticsKey,
    Verifier,
    looked_up,
    pipeline_uri,
)
from lsst.ts.calibrationscripts.products import Product
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


Read = Callable[..., PipelineGraph]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    def read(
        generation: str, uri: str, options: tuple[str, ...] = (), camera: Instrument = LATISS
    ) -> PipelineGraph:
        for name, value in PIPELINE_ENVIRONMENTS[generation].items():
            monkeypatch.setenv(name, value)
        pipeline = Pipeline.from_uri(pipeline_uri(uri, camera))
        for override in options[1::2]:
            label, _, setting = override.partition(":")
            pipeline.addConfigOverride(label, *setting.split("="))
        graph = pipeline.to_graph()
        graph.resolve(dimensions=DimensionUniverse(), dataset_types={})
        return graph

    return read


def dimensions(graph: PipelineGraph, dataset_type: str) -> set[str]:
    return set(graph.dataset_types[dataset_type].dataset_type.dimensions.required)


def prerequisites(graph: PipelineGraph) -> set[str]:
    """Calibrations that must be certified, beside those of the same run."""
    bootstraps = {f"{name}Bootstrap" for name in ("bias", "dark", "flat")}
    edges = [edge for node in graph.tasks.values() for edge in node.prerequisite_inputs.values()]
    return {edge.parent_dataset_type_name for edge in edges} - bootstraps


def test_there_is_a_tree_for_each_generation() -> None:
    assert set(PIPELINE_ENVIRONMENTS) == set(GENERATIONS)


@pytest.mark.parametrize(
    "path",
    sorted(Path(simulation.__file__).parent.glob("**/pipelines/**/*.yaml")),
    ids=lambda path: "-".join(path.relative_to(Path(simulation.__file__).parent).with_suffix("").parts),
)
def test_every_pipeline_can_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generation, _ = path.relative_to(Path(simulation.__file__).parent).parts[:2]
    for name, value in PIPELINE_ENVIRONMENTS[generation].items():
        monkeypatch.setenv(name, value)
    assert Pipeline.fromFile(str(path)).to_graph().tasks


@pytest.mark.parametrize(("generation", "generator"), GENERATORS)
def test_a_generator_makes_what_is_expected_of_it(read: Read, generation: str, generator: Generator) -> None:
    options = generator.workarounds + generator.options
    graph = read(generation, generator.path, options)
    product = graph.dataset_types[generator.dataset_type]
    needed = {"instrument", "detector"}
    if generator.dataset_type.startswith("flat"):
        needed |= {"physical_filter"}
    if generator.dataset_type in ("cpPtcExtract", "cpPtcPartial"):
        needed |= {"exposure"}
    # Gains too: cp_pipe f029a3f2, cpPtcExtract.py; ff196a94,
    # cpExtractPtcTask.py.
    assert product.dataset_type.isCalibration()
    assert dimensions(graph, generator.dataset_type) == needed
    if generator.per_exposure:
        assert dimensions(graph, generator.per_exposure) == {"instrument", "exposure", "detector"}
    assert prerequisites(graph) == set(looked_up(generator.prerequisites, options))
    without_options = read(generation, generator.path, generator.workarounds)
    assert prerequisites(without_options) == set(generator.prerequisites)


@pytest.mark.parametrize(("generation", "verifier"), VERIFIERS)
def test_a_verifier_makes_what_is_expected_of_it(read: Read, generation: str, verifier: Verifier) -> None:
    graph = read(generation, pipeline_uri(verifier.path, LATISS))
    by_filter = {"physical_filter"} if verifier.by_physical_filter else set()
    assert dimensions(graph, verifier.statistics) == {"instrument"} | by_filter
    if verifier.per_exposure:
        assert dimensions(graph, verifier.per_exposure) == {"instrument", "exposure", "detector"}
    assert prerequisites(graph) == set(verifier.prerequisites)
    merged = graph.producer_of(verifier.statistics)
    assert (verifier.key is StatisticsKey.DETECTOR) == (merged.label in ("verifyPtc",))


@pytest.mark.parametrize("camera", [LSSTCOMCAM, LSSTCAM], ids=lambda camera: camera.name)
@pytest.mark.parametrize("product", [Product.BIAS, Product.DARK, Product.FLAT, Product.DEFECTS])
@pytest.mark.parametrize("verification", [False, True])
def test_other_cameras_look_up_what_is_said_of_them(
    read: Read, camera: Instrument, product: Product, *, verification: bool
) -> None:
    # Their settings in cp_pipe f029a3f2 and cp_verify 5855743: ComCam corrects
    # deferred charge in all, LSSTCam that of flats; no flat needs bfk. Manual
    # defects are a calibration that is no prerequisite.
    current = GENERATIONS["current"].for_camera(camera)
    pipelines: Any = current.verifiers if verification else current.generators
    if product not in pipelines:
        return
    needed = pipelines[product].prerequisites
    graph = read("current", pipelines[product].path, camera=camera)
    manual = {name for name, _ in graph.iter_overall_inputs()} & {"manual_defects"}
    assert prerequisites(graph) | manual == set(needed)
    has_cti = camera is LSSTCOMCAM or product is Product.FLAT
    assert ("cti" in needed) == (has_cti and product is not Product.DEFECTS)
    assert "bfk" not in needed
    # The gradient of flats across the focal plane: cpFlatCorrectedLSST.yaml.
    assert ("flat_gradient_reference" in needed) == (
        (camera, product, verification) == (LSSTCAM, Product.FLAT, False)
    )


@pytest.mark.parametrize("camera", [LSSTCOMCAM, LSSTCAM], ids=lambda camera: camera.name)
def test_flats_of_several_detectors_are_normalized_together(read: Read, camera: Instrument) -> None:
    # cpFlatLSST.yaml and cpFlatCorrectedLSST.yaml, cp_pipe f029a3f2
    graph = read("current", GENERATIONS["current"].generators[Product.FLAT].path, camera=camera)
    scales = "cpFlatNormalizeScales"
    assert dimensions(graph, scales) == {"instrument", "physical_filter"}
    assert graph.producer_of(scales).label == "cpFlatNormalize"
    assert [node.label for node in graph.consumers_of(scales)] == ["cpFlatCombine"]
    last = "cpFlatApplyGradients" if camera is LSSTCAM else "cpFlatCombine"
    assert graph.producer_of("flat").label == last


@pytest.mark.parametrize(
    ("generation", "tasks"),
    [("2022", {"isr", "ptcExtract"}), ("current", {"cpPtcIsr", "cpPtcExtractPair"})],
)
def test_gains_alone_are_a_subset(read: Read, generation: str, tasks: set[str]) -> None:
    generator = GENERATIONS[generation].generators[Product.GAIN]
    assert set(read(generation, generator.path).tasks) == tasks == set(generator.tasks)


def test_todays_curve_is_adjusted_before_it_is_the_product(read: Read) -> None:
    # cp_pipe f029a3f2, cpPtcLSST.yaml
    graph = read("current", GENERATIONS["current"].generators[Product.PTC].path)
    edges = [
        ("cpPtcIsr", "cpPtcIsrExp", {"cpPtcExtractPair", "cpPtcAdjustGainRatios"}),
        ("cpPtcExtractPair", "cpPtcPartial", {"cpPtcSolve"}),
        ("cpPtcSolve", "ptcUnadjusted", {"cpPtcAdjustGainRatios"}),
        ("cpPtcAdjustGainRatios", "ptc", set()),
    ]
    for producer, dataset_type, consumers in edges:
        assert graph.producer_of(dataset_type).label == producer
        assert {node.label for node in graph.consumers_of(dataset_type)} == consumers
    # Each pair is a quantum of its own.
    assert graph.tasks["cpPtcExtractPair"].dimensions == graph.tasks["cpPtcIsr"].dimensions


# Where the files were, by `git ls-tree` of lsst/cp_pipe and lsst/cp_verify:
# f029a3f2 and 5855743 (today), ff196a94 and 090253a (autumn 2022).
PLACES = {
    "current": {
        *(
            f"${{CP_PIPE_DIR}}/pipelines/LATISS/{name}.yaml"
            for name in (
                *("cpBias", "cpDark", "cpFlat", "cpDefects", "cpPtc"),
                *("cpBiasBootstrap", "cpDarkBootstrap", "cpFlatBootstrap"),
            )
        ),
        *(
            f"${{CP_VERIFY_DIR}}/pipelines/LATISS/{name}.yaml"
            for name in ("verifyBias", "verifyDark", "verifyFlat", "verifyPtc")
        ),
    },
    "2022": {
        *(
            f"${{CP_PIPE_DIR}}/pipelines/Latiss/{name}.yaml"
            for name in ("cpBias", "cpDark", "cpFlat", "cpPtc", "findDefects")
        ),
        *(f"${{CP_VERIFY_DIR}}/pipelines/{name}.yaml" for name in ("VerifyBias", "VerifyDark", "VerifyFlat")),
    },
}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_pipelines_are_where_that_generation_has_them(generation: str) -> None:
    uris = {pipeline_uri(one.path, LATISS).partition("#")[0] for one in GENERATIONS[generation].pipelines}
    assert uris == PLACES[generation]


# Labels in the pipelines of the same commits.
TASKS = {
    "current": {
        Product.BIAS: "cpBiasIsr cpBiasCombine",
        Product.DARK: "cpDarkIsr cpDark cpDarkCombine",
        Product.FLAT: "cpFlatIsr cpFlatCombine",
        Product.DEFECTS: "cpMeasureBiasDefects cpMeasureDarkDefects cpMeasureFlatDefects cpMergeDefects",
        Product.PTC: "cpPtcIsr cpPtcExtractPair cpPtcSolve cpPtcAdjustGainRatios",
    },
    "2022": {
        Product.BIAS: "isr cpBiasCombine",
        Product.DARK: "isr cpDark cpDarkCombine",
        Product.FLAT: "isr cpFlatCombine",
        Product.DEFECTS: "isr measureDefects mergeDefects",
        Product.PTC: "isr ptcExtract ptcSolve",
    },
}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_labels_of_tasks_are_those_of_that_generation(read: Read, generation: str) -> None:
    for product, labels in TASKS[generation].items():
        generator = GENERATIONS[generation].generators[product]
        assert " ".join(generator.tasks) == labels
        # The simulation needs fewer.
        assert set(read(generation, generator.path).tasks) <= set(generator.tasks)
