# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pipelines have, by their tasks; a program of its own.

Its standard input and output are JSON. It is a process because the packages
of the tasks may take minutes to import, print, or end the process, and read
environment variables.
"""

from __future__ import annotations

__all__ = ["main"]

import json
import os
import sys
from typing import Any


def main() -> None:
    """Read pipelines, by URI with options, and write what they have."""
    answer = os.dup(1)
    # What tasks print belongs elsewhere.
    os.dup2(2, 1)
    wanted: dict[str, list[str]] = json.load(sys.stdin)
    found = {uri: _read(uri, options) for uri, options in wanted.items()}
    with os.fdopen(answer, "w", encoding="utf-8") as stream:
        json.dump(found, stream)


def _read(uri: str, options: list[str]) -> dict[str, Any]:
    try:
        from lsst.daf.butler import DimensionUniverse
        from lsst.pipe.base import Pipeline

        graph = Pipeline.from_uri(uri).to_graph()
        graph.resolve(dimensions=DimensionUniverse(), dataset_types={})
    except ImportError as error:
        return {"missing": _one_line(error)}
    except Exception as error:  # noqa: BLE001 - the tasks' own code may raise any
        return {"fault": f"{type(error).__name__}: {_one_line(error)}"}
    configs = {label: task.config for label, task in graph.tasks.items()}
    refusals = ((option, _refusal(option, configs)) for option in options)
    return {
        "tasks": sorted(configs),
        "dataset_types": {
            name: sorted(node.dataset_type.dimensions.required)
            for name, node in graph.dataset_types.items()
            if node is not None
        },
        "refused": {option: why for option, why in refusals if why is not None},
    }


def _refusal(option: str, configs: dict[str, Any]) -> str | None:
    """Return why there is nothing that ``label:field=value`` can set."""
    label, _, setting = option.partition(":")
    config = configs.get(label)
    if config is None:
        return None  # That the task does not exist is found elsewhere.
    field = setting.partition("=")[0].partition("[")[0]
    for name in field.split("."):
        if not hasattr(config, name):
            return f"{type(config).__name__} has no field {name}"
        config = getattr(config, name)
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    main()
