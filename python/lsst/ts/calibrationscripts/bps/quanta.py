# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many quanta of a job have ended well, by what they left.

A process of its own: ``python -m lsst.ts.calibrationscripts.bps.quanta``. Each
quantum that ended well leaves its metadata, which the job's last step
registers; a workflow's own account of its quanta is not asked.
"""

from __future__ import annotations

__all__ = ["count_quanta"]

import json
import sys


def count_quanta(graph: str, repo: str, run_collection: str) -> dict[str, tuple[int, int]]:
    """Return how many quanta there are and have ended well, by task.

    Parameters
    ----------
    graph : `str`
        Path of the quantum graph.
    repo : `str`
        Butler repository.
    run_collection : `str`
        RUN collection of their outputs.

    Returns
    -------
    counts : `dict` [`str`, `tuple` [`int`, `int`]]
        Both numbers by the task's label.
    """
    from lsst.daf.butler import Butler, MissingDatasetTypeError
    from lsst.pipe.base.pipeline_graph import TaskImportMode
    from lsst.pipe.base.quantum_graph import PredictedQuantumGraph

    with PredictedQuantumGraph.open(graph, import_mode=TaskImportMode.DO_NOT_IMPORT) as reader:
        expected = dict(reader.header.n_task_quanta)
    counts = {}
    with Butler.from_config(repo) as butler:
        for label, n_quanta in expected.items():
            n_ended = 0
            try:
                refs = butler.query_datasets(
                    f"{label}_metadata",
                    collections=run_collection,
                    find_first=False,
                    limit=None,
                    explain=False,
                )
                n_ended = len(refs)
            except MissingDatasetTypeError:
                pass  # None has ended well in this repository, ever.
            counts[label] = n_quanta, n_ended
    return counts


if __name__ == "__main__":
    print(json.dumps(count_quanta(*sys.argv[1:])))
