# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and configurations about a run, as they can be copied."""

from __future__ import annotations

__all__ = ["decertify_command", "decide_command", "finish_command", "remake_command", "resume_configuration"]

import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml

_WORKDIR = "--workdir"


def decide_command(run_id: str, journal: str) -> str:
    """Return the command that accepts or rejects what is waiting.

    Parameters
    ----------
    run_id : `str`
        The run.
    journal : `str`
        Path of its journal, whose folder is named: by default, that of the
        user is meant, who may not be that of the script.

    Returns
    -------
    command : `str`
    """
    return shlex.join(["calibscripts", "decide", run_id, *_journals(journal)])


def finish_command(run_id: str, journal: str) -> str:
    """Return the command that collects what jobs have made.

    Parameters
    ----------
    run_id : `str`
        The run.
    journal : `str`
        Path of its journal.

    Returns
    -------
    command : `str`
    """
    return shlex.join(["calibscripts", "finish", run_id, *_journals(journal)])


def decertify_command(run_id: str, products: Collection[str], journal: str) -> str:
    """Return the command that undoes certifications.

    Parameters
    ----------
    run_id : `str`
        The run.
    products : collection of `str`
        Their names.
    journal : `str`
        Path of its journal.

    Returns
    -------
    command : `str`
        Its reason is to be replaced.
    """
    return shlex.join(
        ["calibscripts", "decertify", run_id, *products, "--reason", "TEXT", *_journals(journal)]
    )


def remake_command(run_id: str, without: Collection[int], journal: str, resume_command: str = "") -> str:
    """Return the command that makes products anew, without some frames.

    Parameters
    ----------
    run_id : `str`
        The run.
    without : collection of `int`
        Exposure ids.
    journal : `str`
        Path of its journal.
    resume_command : `str`, optional
        Command that resumes the run, if it is one of a simulated
        observatory, whose work folder it names.

    Returns
    -------
    command : `str`
    """
    where: Sequence[str] = _journals(journal)
    words = shlex.split(resume_command)
    if _WORKDIR in words:
        where = words[words.index(_WORKDIR) :][:2]
    return shlex.join(["calibscripts", "remake", run_id, "--without", *map(str, without), *where])


def resume_configuration(run_id: str, config: Mapping[str, Any], **changes: str) -> str:
    """Return the configuration that resumes a run.

    Parameters
    ----------
    run_id : `str`
        The run.
    config : `~collections.abc.Mapping` [`str`, `Any`]
        Its configuration: a folder of journals of its own has to be named
        again, since the journal that says so is in it.
    **changes : `str`
        What is written beside it.

    Returns
    -------
    text : `str`
        YAML, of one line.
    """
    folder = config.get("journal_dir")
    data = {"resume": run_id, **({"journal_dir": folder} if isinstance(folder, str) else {}), **changes}
    if len(data) == 1:
        return f"resume: {run_id}"
    # The width is that of no line, so that nothing is wrapped.
    return yaml.safe_dump(data, default_flow_style=True, sort_keys=False, width=1 << 20).strip()


def _journals(journal: str) -> tuple[str, ...]:
    return ("--journals", str(PurePath(journal).parent)) if journal else ()
