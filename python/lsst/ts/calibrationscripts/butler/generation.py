# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which generation of pipelines an installation has."""

from __future__ import annotations

__all__ = ["INDEXES", "find_generation", "may_exist"]

import os
import threading
from collections.abc import Mapping
from pathlib import Path

from ..instruments import Instrument
from ..pipelines import NEWEST, generation_of_files, generation_of_types

_FOLDERS = ("CP_PIPE_DIR", "CP_VERIFY_DIR")

INDEXES = ("DAF_BUTLER_REPOSITORY_INDEX", "DAF_BUTLER_REPOSITORIES")
"""With one of these, a path may be the label of a repository elsewhere."""

_TIMEOUT = 20.0
"""Longest wait for a repository (s)."""


def find_generation(
    repo: str, instrument: Instrument, environment: Mapping[str, str] = os.environ
) -> tuple[str, str]:
    """Find out which pipelines there are.

    The folders of cp_pipe and cp_verify decide, where they are set and have
    all that a generation needs; else what has been written into the
    repository; else the newest generation is taken.

    Parameters
    ----------
    repo : `str`
        URI or label of the Butler repository.
    instrument : `Instrument`
        Whose pipelines.
    environment : `~collections.abc.Mapping` [`str`, `str`], optional
        Environment variables.

    Returns
    -------
    generation, why : `str`
        Its name, and the reason in words.
    """
    known = [name for name in _FOLDERS if environment.get(name)]
    where = ", ".join(f"{name}={environment[name]}" for name in known)

    def exists(uri: str) -> bool | None:
        name, _, path = uri.removeprefix("${").partition("}/")
        return Path(environment[name], path).is_file() if name in known else None

    found = generation_of_files(instrument, exists)
    if found is not None:
        return found, f"its pipelines are in {where}"
    not_there = f"no generation is complete in {where}, and " if known else ""
    if not may_exist(repo, environment):
        # It is not worth importing the Butler for.
        return NEWEST, f"{not_there}{repo} does not exist here, and this is the newest"
    try:
        found = generation_of_types(_dataset_types(repo))
    except Exception as error:  # noqa: BLE001 - Butlers raise errors of many families; a run finds out later
        text = str(error).partition("\n")[0].rstrip(".")
        return NEWEST, f"{not_there}{repo} cannot be looked at ({type(error).__name__}: {text})"
    if found is not None:
        return found, f"{not_there}{repo} has datasets of it"
    return NEWEST, f"{not_there}{repo} has datasets of no generation, and this is the newest"


def may_exist(repo: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether a repository may exist, without importing the Butler.

    Parameters
    ----------
    repo : `str`
        URI or label of the Butler repository.
    environment : `~collections.abc.Mapping` [`str`, `str`], optional
        Environment variables.

    Returns
    -------
    may : `bool`
        `False` for a path that does not exist here, and cannot be a label.
    """
    return bool(not Path(repo).is_absolute() or any(map(environment.get, INDEXES)) or Path(repo).exists())


def _dataset_types(repo: str) -> set[str]:
    """Return the names of a repository's dataset types.

    Raises
    ------
    TimeoutError
        If the repository does not answer.
    """
    ends: list[set[str] | Exception] = []

    def look() -> None:
        try:
            from lsst.daf.butler import Butler

            with Butler.from_config(repo) as butler:
                ends.append({dataset_type.name for dataset_type in butler.registry.queryDatasetTypes()})
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            ends.append(error)

    # A database that does not answer must not keep the process.
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(_TIMEOUT)
    if not ends:
        raise TimeoutError(f"no answer in {_TIMEOUT:g} s")
    if isinstance(ends[0], Exception):
        raise ends[0]
    return ends[0]
