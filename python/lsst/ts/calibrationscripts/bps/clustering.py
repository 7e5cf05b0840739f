# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which quanta of a job run in one process.

``bps submit`` imports this, by the setting ``clusterAlgorithm``. The start of
a process costs as much as ten quanta of a small frame, so those of a detector
are run together, whatever the pipeline's tasks are called.
"""

from __future__ import annotations

__all__ = ["by_detector"]

from typing import Any

TOGETHER = "detectorsPerProcess"
"""Setting of a site: how many detectors one process works on in turn."""


def by_detector(config: Any, qgraph: Any, name: str) -> Any:
    """Make a cluster of each detector, and one of what is for all of them.

    Or of several detectors, as the setting ``detectorsPerProcess`` says.

    Where a pipeline goes from detectors to all of them and back, each of
    these steps has its own clusters, as clusters must not depend on each
    other in a circle.

    Parameters
    ----------
    config : `lsst.ctrl.bps.BpsConfig`
        Configuration of the submission, which gets the clusters.
    qgraph : `lsst.pipe.base.quantum_graph.PredictedQuantumGraph`
        The quanta.
    name : `str`
        Name of what is returned.

    Returns
    -------
    clustered : `lsst.ctrl.bps.ClusteredQuantumGraph`
    """
    from lsst.ctrl.bps.quantum_clustering_funcs import dimension_clustering

    _, together = config.search(TOGETHER, opt={"default": 1})
    of_detectors = (
        {"dimensions": "detector"}
        if together == 1
        else {"partitionDimensions": "detector", "partitionMaxSize": together}
    )
    config["cluster"] = {
        f"step{step}": {"pipetasks": ",".join(labels), **({} if step % 2 else of_detectors)}
        for step, labels in sorted(_steps(qgraph).items())
    }
    return dimension_clustering(config, qgraph, name)


def _steps(qgraph: Any) -> dict[int, list[str]]:
    """Return the labels of tasks by step; even ones are for a detector."""
    import networkx

    tasks = qgraph.pipeline_graph.make_task_xgraph()
    step_of: dict[Any, int] = {}
    steps: dict[int, list[str]] = {}
    for key in networkx.lexicographical_topological_sort(tasks, key=str):
        quanta = qgraph.quanta_by_task.get(key.name, {})
        is_of_all = any("detector" not in data_id.dimensions.names for data_id in quanta)
        step = max((step_of[earlier] for earlier in tasks.predecessors(key)), default=0)
        step += step % 2 != is_of_all
        step_of[key] = step
        if quanta:
            steps.setdefault(step, []).append(key.name)
    return steps
