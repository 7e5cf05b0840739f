# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pipelines of an installation have."""

from __future__ import annotations

__all__ = ["PipelineFiles", "read_pipelines"]

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..pipelines import PipelineContent, PipelineFault, options_without_task
from ..plan import JobPlan
from ..threads import in_thread
from .pipeline_text import read_pipeline

_TASKS_TIMEOUT = 180.0
"""Longest that the tasks may take to be imported, from slow disks (s)."""

_TEXT_TIMEOUT = 20.0
"""Longest wait for the disk that has the files (s)."""


def read_pipelines(
    wanted: Mapping[str, Sequence[str]], environment: Mapping[str, str], timeout: float = _TASKS_TIMEOUT
) -> tuple[dict[str, PipelineContent | PipelineFault], str]:
    """Find out what pipelines have: by their tasks, else by their text.

    Parameters
    ----------
    wanted : `~collections.abc.Mapping` [`str`, `~collections.abc.Sequence`]
        For the URI of each pipeline, with a subset after ``#`` if it is about
        one: the options for it to be looked at, as ``label:field=value``.
    environment : `~collections.abc.Mapping` [`str`, `str`]
        Environment variables, which URIs may name.
    timeout : `float`, optional
        Longest that the tasks may take to be imported (s).

    Returns
    -------
    contents : `dict` [`str`, `PipelineContent` or `PipelineFault`]
        By URI.
    why_text : `str`
        Why tasks were not looked at; empty if those of all pipelines were.
    """
    contents = {uri: read_pipeline(uri, environment) for uri in wanted}
    readable = {
        uri: list(wanted[uri]) for uri, found in contents.items() if isinstance(found, PipelineContent)
    }
    try:
        answers = _by_tasks(readable, environment, timeout)
    except subprocess.TimeoutExpired:
        return contents, f"the tasks were not imported within {timeout:g} s"
    except subprocess.CalledProcessError as error:
        return contents, f"the process that imported the tasks ended with exit code {error.returncode}"
    except (OSError, ValueError) as error:
        return contents, f"the tasks could not be imported: {error}"
    missing: dict[str, None] = {}
    for uri, answer in answers.items():
        of_text = contents[uri]
        assert isinstance(of_text, PipelineContent), "that alone was asked for"
        if of_text.not_read:
            # `lsst.pipe.base` needs them for all that it does.
            missing |= {f"{location} is not at hand": None for location in of_text.not_read}
        elif "missing" in answer:
            missing[answer["missing"]] = None
        else:
            contents[uri] = _by_answer(of_text, answer)
    return contents, "; ".join(missing)


def _by_tasks(
    wanted: dict[str, list[str]], environment: Mapping[str, str], timeout: float
) -> dict[str, dict[str, Any]]:
    """Ask a process of its own, which imports the tasks."""
    command = [sys.executable, "-P", "-m", f"{__package__}._pipeline_tasks"]
    ended = subprocess.run(
        command,
        input=json.dumps(wanted),
        env=dict(environment),
        timeout=timeout,
        capture_output=True,
        text=True,
        check=True,
    )
    answers: dict[str, dict[str, Any]] = json.loads(ended.stdout)
    return answers


def _by_answer(of_text: PipelineContent, answer: Mapping[str, Any]) -> PipelineContent | PipelineFault:
    """Return what is known of a pipeline whose tasks were looked at."""
    if "fault" in answer:
        return PipelineFault(of_text.file, f"cannot be made into a graph: {answer['fault']}")
    return replace(
        of_text,
        tasks=tuple(answer["tasks"]),
        dataset_types={name: frozenset(names) for name, names in answer["dataset_types"].items()},
        not_read=(),
        from_tasks=True,
        refused_options=answer["refused"],
    )


class PipelineFiles:
    """The pipelines that jobs will run, as far as they are at hand.

    Parameters
    ----------
    environment : `~collections.abc.Mapping` [`str`, `str`]
        Environment variables, which say where they are.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    async def check(self, jobs: Sequence[JobPlan]) -> tuple[str, ...]:
        """Return which options are for tasks that do not exist.

        Pipelines that cannot be read here may be where the jobs run.
        """

        def look() -> tuple[str, ...]:
            found = [(job, read_pipeline(job.pipeline, self._environment)) for job in jobs]
            return tuple(
                f"{problem}. Write one of those in its place, or leave the option out"
                for job, content in found
                if isinstance(content, PipelineContent)
                for problem in options_without_task(job.options, content)
            )

        try:
            return await asyncio.wait_for(in_thread(look), _TEXT_TIMEOUT)
        except TimeoutError:
            return ()
