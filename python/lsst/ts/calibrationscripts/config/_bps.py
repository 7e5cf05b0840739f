# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which service runs the jobs."""

from __future__ import annotations

__all__ = ["check_job_service", "check_same_service", "job_service_notices", "parse_bps_config"]

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ._problems import Unusable

if TYPE_CHECKING:
    from ._findings import Findings
    from ._values import ParsedConfig

_EXAMPLE = "/etc/calibrations/slurm.yaml"


def parse_bps_config(value: str | None) -> str | None:
    """Return the path of a site file.

    Parameters
    ----------
    value : `str` or `None`
        As it is written.

    Returns
    -------
    path : `str` or `None`

    Raises
    ------
    Unusable
        If it is not an absolute path: the script runs in another folder than
        who writes it.
    """
    if value is None:
        return None
    path = value.strip()
    if not path.isprintable() or not path.isascii():
        raise Unusable("has other than plain characters", f"write a path, for example {_EXAMPLE}")
    if not PurePath(path).is_absolute() and not path.startswith("~/"):
        raise Unusable("is not an absolute path", f"write the whole path, for example {_EXAMPLE}")
    return path


def check_job_service(parsed: ParsedConfig, findings: Findings) -> None:
    """Check that it is known where jobs are to run.

    Parameters
    ----------
    parsed : `ParsedConfig`
        Values, of which some may be unusable.
    findings : `Findings`
        Takes the problems.
    """
    values = parsed.values
    if not findings.usable("job_service") or values["job_service"] != "bps":
        return
    if findings.usable("bps_config") and values["bps_config"] is None:
        findings.report(
            "job_service",
            "bps",
            "nothing says which batch system",
            f"write bps_config: {_EXAMPLE}, a file of settings of bps",
        )
    if findings.usable("release") and values["release"]:
        findings.report(
            "release",
            True,
            "with job_service: bps the script has to wait for its jobs",
            "write release: False",
        )


def check_same_service(written: Mapping[str, Any], before: str, findings: Findings) -> None:
    """Report that a resumed run is asked to use another service.

    Parameters
    ----------
    written : `~collections.abc.Mapping` [`str`, `Any`]
        What is written beside the run's id.
    before : `str`
        The service of that run, which its jobs have.
    findings : `Findings`
        Takes the problem.
    """
    if findings.usable("job_service") and written.get("job_service", before) != before:
        findings.report(
            "job_service",
            written["job_service"],
            f"that run has its jobs with {before}, and resume uses them",
            "leave job_service out; exposures takes the ids of its frames for a run of its own",
        )


def job_service_notices(parsed: ParsedConfig) -> Iterator[str]:
    """Yield what has no effect with the service that was chosen.

    Parameters
    ----------
    parsed : `ParsedConfig`
        Values without problems.

    Yields
    ------
    notice : `str`
        A sentence.
    """
    values = parsed.values
    if values["job_service"] == "ocps" and values["bps_config"] is not None:
        yield "bps_config has no effect with job_service: ocps."
    if values["job_service"] == "bps" and parsed.changed("ocps_log_path"):
        yield "ocps_log_path has no effect with job_service: bps."
