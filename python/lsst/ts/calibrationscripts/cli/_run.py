# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the script and show it in a terminal.

Imported once it is decided where SAL comes from.
"""

from __future__ import annotations

__all__ = ["run_on_sal", "run_simulated"]

import datetime
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml

from ..config import CalibrationConfig
from ..instruments import LATISS
from ..observatory.make_latiss_calibrations import MakeLatissCalibrations
from ..observatory.queue import LogMessage, run_script
from ..observatory.sal import salobj
from ..plan import make_plan
from ..report import RunReport
from ._display import ProgressWatcher
from ._program import program_loop

if TYPE_CHECKING:
    from ..simulation.faults import Fault


async def run_on_sal(text: str, config: CalibrationConfig) -> RunReport:
    """Run a configuration as the script queue would.

    Parameters
    ----------
    text : `str`
        The configuration (YAML), known to be valid.
    config : `CalibrationConfig`
        The same, read; with that of the run that it carries on, if any.

    Returns
    -------
    report : `RunReport`
    """
    plan = make_plan(config)
    scripts: list[MakeLatissCalibrations] = []

    with ProgressWatcher(plan) as watcher:

        def make_script(index: int) -> MakeLatissCalibrations:
            script = MakeLatissCalibrations(index=index)
            script.watcher = watcher
            scripts.append(script)
            program_loop().script = script
            return script

        def show(message: LogMessage) -> None:
            if message.text.startswith("Setting final state"):
                return  # salobj's own; the summary has just said it
            if watcher.shows_stages and message.level < logging.WARNING and "\n" not in message.text:
                return
            watcher.print(message.text, error=message.level >= logging.ERROR)

        result = await run_script(
            make_script,
            text,
            group_id=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            timeout=2 * plan.duration + config.job_timeout * len(plan.stages),
            on_message=show,
        )
    report = scripts[0].report
    if report is None or report.state == "UNSTARTED":
        click.echo(f"The script ended {result.state}: {result.reason}", err=True)
        return RunReport(state=result.state, reason=result.reason, config=config.to_dict())
    return report


async def run_simulated(
    text: str,
    config: CalibrationConfig,
    *,
    workdir: Path,
    journals: Path,
    scale: int | None,
    time_scale: float,
    seed: int | None,
    faults: Sequence[Fault] = (),
) -> RunReport:
    """Run a configuration on the simulated observatory.

    Parameters
    ----------
    text : `str`
        The configuration (YAML), known to be valid.
    config : `CalibrationConfig`
        The same, read; with that of the run that it carries on, if any.
    workdir, journals : `pathlib.Path`
        The observatory's folder, and that of its runs' journals.
    scale, time_scale, seed, faults
        See `SimulatedObservatory`.

    Returns
    -------
    report : `RunReport`

    Raises
    ------
    WorkFolderError
        If the folder holds an observatory of another kind.
    """
    from ..simulation.observatory import SimulatedObservatory, SimulationSettings

    # Topics of its own, so that it never talks to anything else.
    salobj.set_test_topic_subname(randomize=True)
    simulated = SimulatedObservatory(
        workdir,
        instrument=LATISS,
        settings=SimulationSettings(scale, seed, config.pipeline_generation),
        time_scale=time_scale,
        day_obs=_observing_day(config),
        faults=faults,
        calib_collection=config.calib_collection,
    )
    click.echo(f"Starting the simulated observatory in {workdir}.", err=True)
    async with simulated as observatory:
        here = {"ocps_log_path": observatory.ocps_log_path, "journal_dir": str(journals)}
        if config.resume is None:
            here["repo"] = str(observatory.repo)
        return await run_on_sal(yaml.safe_dump((yaml.safe_load(text) or {}) | here), config)


def _observing_day(config: CalibrationConfig) -> datetime.date | None:
    """Return a day whose frames will find what is certified; none for today.

    The frames of an observing day begin at an hour of their own, which is
    not that of the clock on the wall.
    """
    from ..simulation.cscs.camera import FIRST_EXPOSURE_HOUR
    from ..simulation.observatory import current_day

    begin = datetime.datetime.fromisoformat(config.certify_calib_begin_date)
    end = datetime.datetime.fromisoformat(config.certify_calib_end_date)
    first_exposure = datetime.time(FIRST_EXPOSURE_HOUR)
    if begin <= datetime.datetime.combine(current_day(), first_exposure) < end:
        return None
    day = begin.date()
    if datetime.datetime.combine(day, first_exposure) < begin:
        day += datetime.timedelta(days=1)
    click.echo(f"The simulated observatory is in {day}, when the calibrations are valid.")
    return day
