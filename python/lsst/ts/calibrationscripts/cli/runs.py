# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that run a configuration: run, simulate."""

from __future__ import annotations

__all__ = ["run", "simulate"]

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..instruments import Instrument
from ._common import (
    FILE,
    REQUIRED_FILE,
    ExitCode,
    fail,
    instrument_option,
    parse_config,
    read_text,
    show,
    time_scale_option,
    workdir_option,
)
from ._installation import simulation_hint
from ._outcome import exit_with, write_json

if TYPE_CHECKING:
    from ..config import CalibrationConfig
    from ..report import RunReport
    from ..simulation.faults import Fault

_NEWEST = "newest"

_json_file = click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the run's JSON here."
)


@click.command()
@REQUIRED_FILE
@instrument_option(with_script=True)
@_json_file
def run(file: Path, instrument: Instrument, json_file: Path | None) -> None:
    """Run a configuration on the SAL that is installed."""
    from ..observatory import sal

    text = read_text(file)
    config = _parse_to_run(text, instrument)
    sal.use(sal.SalProvider.SALOBJ)
    try:
        from ._program import run_program
        from ._script import run_on_sal
    except sal.SalNotInstalledError as error:
        fail(str(error), ExitCode.SCRIPT_FAILED)
    report = run_program(run_on_sal(text, config, instrument))
    write_json(json_file, report)
    exit_with(report)


def _require_simulation() -> None:
    """Exit with what to install, if the simulation cannot run."""
    if hint := simulation_hint():
        fail(hint, ExitCode.SCRIPT_FAILED)


def _list_faults(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the names that ``--fault`` takes, and exit."""
    if not wanted:
        return
    _require_simulation()
    from rich.console import Console
    from rich.table import Table

    from ..observatory import sal

    sal.use(sal.SalProvider.LOCAL)
    from ..simulation.faults import FAULTS

    table = Table("--fault", "WHEN counts", "what happens", box=None, header_style="bold")
    for name, fault in FAULTS.items():
        table.add_row(name, fault.counts, fault.description)
    Console().print(table)
    context.exit()


@click.command()
@FILE
@instrument_option(with_script=True)
@workdir_option
@click.option(
    "--scale",
    type=click.IntRange(1, 16),
    help="Frames are smaller by this; 1 for 4072x4000.  [default: that of the work folder, 8 in a new one]",
)
@time_scale_option
@click.option(
    "--seed", type=click.IntRange(min=0), help="Of all noise.  [default: that of the work folder, or fixed]"
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value=_NEWEST,
    metavar="[RUN_ID]",
    help="Resume an earlier run of this work folder; without RUN_ID, the newest.",
)
@click.option(
    "--fault",
    "fault_texts",
    metavar="NAME[:WHEN]",
    multiple=True,
    help="Make something go wrong; may be repeated. See --list-faults.",
)
@click.option(
    "--list-faults",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_list_faults,
    help="Show what can go wrong, and exit.",
)
@_json_file
def simulate(
    file: Path | None,
    instrument: Instrument,
    workdir: Path,
    resume: str | None,
    fault_texts: tuple[str, ...],
    json_file: Path | None,
    *,
    scale: int | None,
    seed: int | None,
    time_scale: float,
) -> None:
    """Run a configuration on a simulated observatory.

    The frames, the Butler repository and `pipetask` are real. Without FILE,
    the daily default is run.
    """
    _require_simulation()
    from ..observatory import sal

    text = read_text(file)
    journals = workdir.absolute() / "journal"
    if resume is not None:
        text = _resuming(text, resume, journals)
    # Once: when the script looks, there is a repository in any work folder.
    generation = functools.cache(functools.partial(_generation_of, workdir))

    def find_generation(repo: str) -> tuple[str, str]:
        return generation()

    config = _parse_to_run(text, instrument, journals, find_generation)
    sal.use(sal.SalProvider.LOCAL)
    from ..simulation.observatory import SimulatedObservatory, SimulationSettings, WorkFolderError
    from ._program import run_program
    from ._simulation import observing_day, run_simulated

    observatory = SimulatedObservatory(
        workdir,
        instrument=instrument,
        settings=SimulationSettings(scale, seed, config.pipeline_generation),
        time_scale=time_scale,
        day_obs=observing_day(config),
        faults=_parse_faults(fault_texts),
        calib_collection=config.calib_collection,
    )
    try:
        report = run_program(run_simulated(text, config, instrument, observatory, journals, find_generation))
    except WorkFolderError as error:
        fail(str(error), ExitCode.INVALID)
    _show_repository(report, workdir / "repo", instrument)
    write_json(json_file, report)
    exit_with(report)


def _generation_of(workdir: Path) -> tuple[str, str]:
    """Return the generation of a work folder, and why it is this one."""
    from ..simulation.repository import DEFAULT_GENERATION, WorkFolderError, is_repository, read_kind

    repo = workdir.absolute() / "repo"
    if not is_repository(repo):
        return DEFAULT_GENERATION, f"the work folder {workdir} is new, and this is the newest"
    try:
        return read_kind(repo).generation, f"{workdir} was made for it"
    except WorkFolderError as error:
        fail(str(error), ExitCode.INVALID)


def _parse_to_run(
    text: str,
    instrument: Instrument,
    journals: Path | None = None,
    find_generation: Callable[[str], tuple[str, str]] | None = None,
) -> CalibrationConfig:
    """Parse a configuration with that of the run that it resumes."""
    from ..files.journal import journal_folder, load_record, lock_earlier_run

    def earlier(run_id: str, journal_dir: str | None) -> Mapping[str, Any]:
        folder = journals or journal_folder(journal_dir)
        # The script locks it again. This says at once if it is running.
        lock_earlier_run(folder, run_id).release()
        return load_record(folder, run_id).config

    return parse_config(text, instrument, earlier, find_generation)


def _resuming(text: str, run_id: str, journals: Path) -> str:
    """Return a configuration that resumes a run of a work folder."""
    from ..files.contents import is_run_id
    from ..files.journal import newest_run

    if not is_run_id(run_id):
        known = newest_run(journals) or "none yet"
        fail(
            f"--resume {run_id!r}: not the id of a run. Write --resume alone for the newest run of the work "
            f"folder ({known}), or --resume RUN_ID.",
            ExitCode.INVALID,
        )
    if run_id == _NEWEST:
        newest = newest_run(journals)
        if newest is None:
            fail(f"--resume: no run has left a journal in {journals}", ExitCode.INVALID)
        run_id = newest
    return f"{text}\nresume: {run_id}\n"


def _parse_faults(texts: Sequence[str]) -> list[Fault]:
    from ..simulation.faults import parse_fault

    try:
        return [parse_fault(text) for text in texts]
    except ValueError as error:
        fail(f"--fault {error}", ExitCode.INVALID)


def _show_repository(report: RunReport, repo: Path, instrument: Instrument) -> None:
    from ._display import access_hint

    show(f"Repository: {repo}")
    if hint := access_hint(report, repo, instrument):
        show(hint)
