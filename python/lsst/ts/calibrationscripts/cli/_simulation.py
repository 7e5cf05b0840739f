# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run an instrument's script on the simulated observatory.

``simulate`` alone imports this, and with it the simulation.
"""

from __future__ import annotations

__all__ = ["observing_day", "resume_command", "run_simulated"]

import datetime
from collections.abc import Callable
from pathlib import Path

import click
import yaml

from ..config import CalibrationConfig
from ..instruments import Instrument
from ..observatory import sal
from ..observatory.sal import salobj
from ..report import RunReport
from ..simulation.cscs.camera import FIRST_EXPOSURE_HOUR
from ..simulation.faults.process import journal_maker
from ..simulation.observatory import SimulatedObservatory, current_day
from ..simulation.pace import as_simulated
from ._common import show
from ._script import run_on_sal


async def run_simulated(
    text: str,
    config: CalibrationConfig,
    instrument: Instrument,
    observatory: SimulatedObservatory,
    journals: Path,
    find_generation: Callable[[str], tuple[str, str]],
) -> RunReport:
    """Run a configuration on the simulated observatory.

    Parameters
    ----------
    text : `str`
        The configuration (YAML), known to be valid.
    config : `CalibrationConfig`
        The same, parsed, with that of the run that it resumes, if any.
    instrument : `Instrument`
        The instrument, which has a script.
    observatory : `SimulatedObservatory`
        The observatory; it is started, and ended after the run.
    journals : `pathlib.Path`
        Folder of the journals of its runs.
    find_generation : `~collections.abc.Callable`
        Finds the generation of its pipelines; see `config.parse`.

    Returns
    -------
    report : `RunReport`

    Raises
    ------
    WorkFolderError
        If the folder holds an observatory of another kind, or another
        process uses it.
    """
    # Topics of its own, so that it cannot reach any other observatory.
    salobj.set_test_topic_subname(randomize=True)
    if sal.provider() is sal.SalProvider.SALOBJ:
        click.echo(
            "This leaves some 480 topics on the broker; 'calibscripts serve' uses one set for many runs.",
            err=True,
        )
    click.echo(f"Starting the simulated observatory in {observatory.workdir}.", err=True)
    async with observatory:
        for note in observatory.notes:
            click.echo(note, err=True)
        here = {"journal_dir": str(journals)}
        if config.job_service == "ocps":
            here["ocps_log_path"] = observatory.ocps_log_path
        if config.resume is None:
            here["repo"] = str(observatory.repo)
        text = yaml.safe_dump((yaml.safe_load(text) or {}) | here)
        first = datetime.time(FIRST_EXPOSURE_HOUR, tzinfo=datetime.UTC)
        frames_begin = datetime.datetime.combine(observatory.day_obs, first)
        report = await run_on_sal(
            text,
            config,
            instrument,
            journal_maker(observatory.faults),
            frames_begin,
            find_generation,
            observatory.pipelines_environment,
            as_simulated(observatory.focal_plane, observatory.time_scale),
            lambda run_id: resume_command(observatory.workdir, run_id),
        )
        if left := [result.job_id for result in report.pending]:
            # The OCPS is part of this program, and its jobs end with it.
            click.echo(f"The script has ended. The simulated OCPS still has {len(left)} job(s).", err=True)
            await observatory.ocps.wait_for_jobs(left)
        return report


def resume_command(workdir: Path, run_id: str) -> tuple[str, ...]:
    """Return the command that resumes a run of a work folder.

    Parameters
    ----------
    workdir : `pathlib.Path`
        The work folder.
    run_id : `str`
        The run.

    Returns
    -------
    words : `tuple` [`str`, ...]
    """
    return ("calibscripts", "simulate", "--workdir", str(workdir), "--resume", run_id)


def observing_day(config: CalibrationConfig) -> datetime.date | None:
    """Return a day whose frames will find what is certified.

    The frames of an observing day begin at an hour of their own, which is
    not that of the clock on the wall.

    Parameters
    ----------
    config : `CalibrationConfig`
        Dates that the calibrations are valid for.

    Returns
    -------
    day : `datetime.date` or `None`
        `None` for today.
    """
    begin = datetime.datetime.fromisoformat(config.certify_calib_begin_date)
    end = datetime.datetime.fromisoformat(config.certify_calib_end_date)
    first_exposure = datetime.time(FIRST_EXPOSURE_HOUR)
    if begin <= datetime.datetime.combine(current_day(), first_exposure) < end:
        return None
    day = begin.date()
    if datetime.datetime.combine(day, first_exposure) < begin:
        day += datetime.timedelta(days=1)
    show(f"The simulated observatory is in {day}, when the calibrations are valid.")
    return day
