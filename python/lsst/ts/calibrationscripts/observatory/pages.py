# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run leaves to be read: its JSON and its page."""

from __future__ import annotations

__all__ = ["RunFileError", "WrittenReport", "load_runs", "parse_run", "write_report"]

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .. import trend
from ..report import Evidence, RunReport, page
from .evidence import gather

_MAX_RUNS = 200
"""The newest runs of a folder, which make its history."""


class RunFileError(ValueError):
    """A text is not what a run leaves."""


class WrittenReport(NamedTuple):
    """What was written of a run."""

    page: Path
    json: Path

    warnings: tuple[str, ...]
    """What is unlike earlier runs. It decides nothing."""


def write_report(report: RunReport, repo: str, folder: Path) -> WrittenReport:
    """Write the JSON and the page of a run.

    They are written at once with what the run itself knows, and again when
    the Butler has been read: a repository that hangs costs the pictures, not
    the report.

    Parameters
    ----------
    report : `RunReport`
        The run.
    repo : `str`
        URI or label of the Butler repository.
    folder : `pathlib.Path`
        Where; earlier runs there are its history.

    Returns
    -------
    written : `WrittenReport`

    Raises
    ------
    OSError
        If the files cannot be written.
    """
    _write(report, Evidence(notes=("Statistics and images have not been read yet.",)), folder)
    return _write(report, gather(report, repo), folder)


def _write(report: RunReport, evidence: Evidence, folder: Path) -> WrittenReport:
    data = {**report.to_dict(), "evidence": evidence.to_dict()}
    warnings = trend.warnings(list(load_runs(folder)), data)
    data["trend"] = list(warnings)
    written = WrittenReport(folder / f"{report.run_id}.html", folder / f"{report.run_id}.json", warnings)
    folder.mkdir(parents=True, exist_ok=True)
    _replace(written.json, json.dumps(data) + "\n")
    _replace(written.page, page(report, evidence, warnings))
    return written


def _replace(file: Path, text: str) -> None:
    """Write a file, all of it or nothing."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)


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
