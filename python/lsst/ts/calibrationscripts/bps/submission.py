# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``bps submit`` is given for a job."""

from __future__ import annotations

__all__ = ["make_submission"]

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..plan import JobRequest
from .processes import slurm_name
from .site import Site

_OF_GRAPH = ("-c", "-C")
_OF_QUANTA = (
    "--timeout",
    "--fail-fast",
    "--raise-on-partial-outputs",
    "--enable-implicit-threading",
)


def make_submission(
    job_id: str, request: JobRequest, site: Site, folder: Path, *, repo: str, raws: str, output: str
) -> dict[str, Any]:
    """Return the settings of a job, beside those of the site.

    Parameters
    ----------
    job_id : `str`
        The job.
    request : `JobRequest`
        What it is to do.
    site : `Site`
        Where it is to run. What its file says of clusters, of the last job
        and of options before the commands remains.
    folder : `pathlib.Path`
        Folder that ``bps`` makes for what it writes.
    repo : `str`
        Butler repository.
    raws : `str`
        Collection of the frames.
    output : `str`
        Its output collection, chained to its inputs; the RUN is below it.

    Returns
    -------
    settings : `dict` [`str`, `typing.Any`]
        For a file of YAML, not in that folder.
    """
    words = dict(_options(request.options))
    one_process = len(request.detectors) > 1
    n_processes = 1 if one_process else request.n_processes
    settings: dict[str, Any] = {
        "includeConfigs": str(site.path),
        # Parsl makes the names of jobs in Slurm's queue of these two.
        "project": slurm_name(job_id).partition(".")[0],
        "campaign": job_id,
        "submitPath": str(folder),
        "pipelineYaml": request.pipeline,
        "payload": {
            "payloadName": Path(request.pipeline.partition("#")[0]).stem,
            "butlerConfig": _absolute(repo),
            "inCollection": ",".join((raws, *request.inputs)),
            "dataQuery": request.data_query,
            "output": output,
            "outputRun": f"{output}/run",
        },
        "requestCpus": n_processes,
        "extraQgraphOptions": _join(words, _OF_GRAPH),
        "extraRunQuantumOptions": f"-j {n_processes} {_join(words, _OF_QUANTA)}".strip(),
    }
    defaults: dict[str, Any] = {
        "clusterAlgorithm": f"{__package__}.clustering.by_detector",
        "defaultPreCmdOpts": "--long-log --log-level=INFO",
    }
    settings |= {key: value for key, value in defaults.items() if key not in site.settings}
    if "requestCpus" not in (site.settings.get("finalJob") or {}):
        # By default it starts 16 processes.
        settings["finalJob"] = {"requestCpus": 1}
    if site.is_parsl:
        _for_parsl(settings, site)
    return settings


def _for_parsl(settings: dict[str, Any], site: Site) -> None:
    compute = site.settings["computeSite"]
    # Where ``bps restart`` looks for what has been done.
    settings["site"] = {compute: {"run_dir": "runinfo"}}
    if "log_level" not in (site.settings.get("parsl") or {}):
        settings["parsl"] = {"log_level": "WARN"}


def _options(words: Iterable[str]) -> Iterable[tuple[str, list[str]]]:
    """Yield each option once, with all its values in order."""
    found: dict[str, list[str]] = {}
    name = ""
    for word in words:
        if word.startswith("-"):
            name = word
            found.setdefault(name, [])
        else:
            found[name].append(word)
    return found.items()


def _join(words: dict[str, list[str]], names: tuple[str, ...]) -> str:
    parts = []
    for name in names:
        if name in words:
            parts += [f"{name} {value}" for value in words[name]] or [name]
    return " ".join(parts)


def _absolute(repo: str) -> str:
    """Return a repository as it is called in another folder."""
    path = Path(repo).expanduser()
    return repo if "://" in repo or not path.exists() else str(path.absolute())
