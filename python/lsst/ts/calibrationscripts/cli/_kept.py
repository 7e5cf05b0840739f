# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run's JSON still has of it.

That of ``--json`` has the run without statistics, images and trend, which are
in the JSON beside its journal.
"""

from __future__ import annotations

__all__ = ["read_kept"]

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..codec import FormatError, read_document
from ..files.contents import is_run_id
from ..files.pictures import FOLDER_SUFFIX, with_pictures
from ..files.private import one_line
from ..files.runs import load_document
from ..report import RunDocument, put_pictures

_PARTS = {"evidence": "statistics and images", "trend": "trend"}
"""What a page can do without."""


def read_kept(text: str, folder: Path | None) -> tuple[RunDocument, tuple[str, ...]]:
    """Read the JSON of a run, and what is left of the rest.

    Parameters
    ----------
    text : `str`
        The JSON.
    folder : `pathlib.Path` or `None`
        Where it is, if that is known: its pictures are there.

    Returns
    -------
    document : `RunDocument`
        With the statistics, images and trend that are beside the journal, if
        the text has none.
    notes : `tuple` [`str`, ...]
        What is left out, and why.

    Raises
    ------
    FormatError
        If the text is not a run's JSON.
    """
    document, notes = _without_broken_parts(text)
    if document.evidence is None:
        document, missing = _completed(document)
        notes += missing
        folder = None
    return _illustrated(document, folder), tuple(notes)


def _illustrated(document: RunDocument, folder: Path | None) -> RunDocument:
    """Add the pictures that are beside the JSON, or beside the journal."""
    run_id, evidence = document.report.run_id, document.evidence
    journal = Path(document.report.journal).parent if document.report.journal else None
    places = [place for place in (folder, journal) if place is not None]
    own = next((place for place in places if (place / f"{run_id}{FOLDER_SUFFIX}").is_dir()), None)
    if evidence is None or not is_run_id(run_id):
        return document
    if own is None:
        return replace(document, evidence=put_pictures(evidence, lambda name: None))
    return replace(document, evidence=with_pictures(evidence, own, run_id))


def _without_broken_parts(text: str) -> tuple[RunDocument, list[str]]:
    try:
        return read_document(text), []
    except FormatError as error:
        refused = error
    data: Any = json.loads(text) if _is_json(text) else None
    if isinstance(data, dict) and "runs" in data:
        raise FormatError(
            f"it has {len(data['runs'])} runs, and a page is of one. Give that, for example by "
            "jq '.runs[0].run' FILE | calibscripts report - -o PAGE"
        )
    if not isinstance(data, dict) or not any(part in data for part in _PARTS):
        raise refused
    notes = []
    for part, what in _PARTS.items():
        others = {key: value for key, value in data.items() if key not in _PARTS or key == part}
        try:
            read_document(json.dumps(others))
        except FormatError as error:
            data.pop(part, None)
            notes.append(f"left out, since it cannot be read: its {what} ({one_line(str(error))})")
    # The rest must be right: what is shown of a run is what it came to.
    return read_document(json.dumps(data)), notes


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _completed(document: RunDocument) -> tuple[RunDocument, list[str]]:
    """Take what the run itself has left beside its journal."""
    journal, run_id = document.report.journal, document.report.run_id
    all_parts = " and ".join(_PARTS.values())
    if not journal or not run_id:
        return document, [f"left out, since the JSON does not have them: {all_parts}"]
    folder = Path(journal).parent
    try:
        beside = load_document(folder, run_id)
        why = f"there is no {run_id}.json in {folder}"
    except (LookupError, OSError, ValueError) as error:
        beside, why = None, one_line(str(error))
    if beside is None:
        return document, [f"left out, since the JSON does not have them, and {why}: {all_parts}"]
    return replace(document, evidence=beside.evidence, trend=document.trend or beside.trend), []
