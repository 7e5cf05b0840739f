# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON that runs leave."""

from __future__ import annotations

__all__ = ["RunFileError", "load_runs", "parse_run"]

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..report import Evidence, RunReport

_MAX_RUNS = 200
"""The newest runs of a folder, which make its history."""


class RunFileError(ValueError):
    """A text is not what a run leaves."""


def parse_run(text: str) -> dict[str, Any]:
    """Read the JSON of a run.

    Parameters
    ----------
    text : `str`
        The JSON.

    Returns
    -------
    data : `dict`
        It, known to hold a `RunReport` and, if any, its `Evidence`.

    Raises
    ------
    RunFileError
        If it is something else.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RunFileError(f"not JSON: {error}") from error
    try:
        RunReport.from_dict(data)
        if "evidence" in data:
            Evidence.from_dict(data["evidence"])
    except KeyError as error:
        raise RunFileError(f"JSON, but not a run's: it has no {error}") from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise RunFileError(f"JSON, but not a run's: {error}") from error
    return data


def load_runs(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON of the runs in a folder; other files are passed over.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where runs leave their files.

    Yields
    ------
    data : `dict`
        As of `parse_run`, the newest first.
    """
    # A journal has two suffixes.
    files = [file for file in folder.glob("*.json") if "." not in file.stem]
    files.sort(key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[:_MAX_RUNS]:
        try:
            yield parse_run(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, RunFileError):
            # Not every JSON file in a folder is a run's, or whole.
            continue
