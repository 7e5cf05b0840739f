# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that run a configuration: run, simulate."""

from __future__ import annotations

__all__ = ["json_option", "run", "run_text", "simulate", "simulate_text"]

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from ..instruments import Instrument
from ._common import (
    OF_WORKDIR,
    REQUIRED_FILE,
    ExitCode,
    fail,
    instrument_of_workdir,
    instrument_option,
    read_text,
    require_subname,
    show,
    time_scale_option,
    use_sal,
    workdir_option,
)
from ._completion import complete_fault, complete_run_of_workdir
from ._examine import Examiner
from ._inputs import FILES, Configuration, Input, read_inputs, refuse_block, set_option
from ._installation import simulation_hint
from ._results import exit_code, parse_to_run, result_to, runs_json, to_run_json, worst

if TYPE_CHECKING:
    from ..report import RunReport

_NEWEST = "newest"

json_option = click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Write the run's JSON here; - is stdout, which then has nothing else.",
)


@click.command()
@REQUIRED_FILE
@instrument_option(with_script=True)
@json_option
def run(file: Path, instrument: Instrument, json_file: Path | None) -> None:
    """Run a configuration on the SAL that is installed."""
    text = read_text(file)
    refuse_block(file, text)
    run_text(text, instrument, json_file)


def run_text(text: str, instrument: Instrument, json_file: Path | None) -> NoReturn:
    """Run a configuration on the SAL that is installed, and exit.

    Parameters
    ----------
    text : `str`
        The configuration (YAML).
    instrument : `Instrument`
        The instrument, which has a script.
    json_file : `pathlib.Path` or `None`
        File for the run's JSON.
    """
    from ..observatory import sal

    config = parse_to_run(text, instrument)
    use_sal(sal.SalProvider.SALOBJ)
    try:
        from ._program import run_program
        from ._script import run_on_sal
    except sal.SalNotInstalledError as error:
        fail(str(error), ExitCode.SCRIPT_FAILED)
    require_subname()
    with result_to(json_file) as write:
        report = run_program(run_on_sal(text, config, instrument))
        write(to_run_json(report))
    sys.exit(exit_code(report))


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

    use_sal(sal.SalProvider.LOCAL)
    from ..simulation.faults import FAULTS

    table = Table("--fault", "WHEN counts", "what happens", box=None, header_style="bold")
    for name, fault in FAULTS.items():
        table.add_row(name, fault.counts, fault.description)
    Console().print(table)
    context.exit()


@click.command()
@FILES
@instrument_option(with_script=True, unless_given=OF_WORKDIR)
@set_option
@click.option(
    "--script",
    "index",
    type=click.IntRange(min=0),
    metavar="N",
    help="Run scripts[N] of the BLOCK alone.  [default: all that make calibrations]",
)
@workdir_option
@click.option(
    "--scale",
    type=click.IntRange(1, 64),
    help="Frames are smaller by this; 1 for 4072x4000.  [default: that of the work folder; in a new one 8, "
    "and 64 for more than 9 detectors]",
)
@time_scale_option
@click.option(
    "--seed", type=click.IntRange(min=0), help="Of all noise.  [default: that of the work folder, or fixed]"
)
@click.option(
    "--job-service",
    type=click.Choice(["ocps", "bps"]),
    help="What runs the jobs: a mock OCPS, or lsst.ctrl.bps with Parsl on this machine.  [default: as "
    "configured, ocps]",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value=_NEWEST,
    metavar="[RUN_ID]",
    shell_complete=complete_run_of_workdir,
    help="Resume an earlier run of this work folder; without RUN_ID, the newest.",
)
@click.option(
    "--fault",
    "fault_texts",
    metavar="NAME[:WHEN]",
    multiple=True,
    shell_complete=complete_fault,
    help="Make something go wrong in each run; may be repeated. See --list-faults.",
)
@click.option(
    "--list-faults",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_list_faults,
    help="Show what can go wrong, and exit.",
)
@json_option
def simulate(
    files: tuple[Path, ...],
    instrument: Instrument | None,
    workdir: Path,
    fault_texts: tuple[str, ...],
    json_file: Path | None,
    *,
    settings: Mapping[str, str],
    index: int | None,
    job_service: str | None,
    resume: str | None,
    scale: int | None,
    seed: int | None,
    time_scale: float,
) -> None:
    """Run a configuration on a simulated observatory.

    The frames, the Butler repository and `pipetask` are real. Without FILE,
    the daily default is run. A FILE is the configuration of a script (YAML),
    or a BLOCK of the Scheduler (JSON); - is stdin. Several configurations
    run one after the other, as long as no script fails.
    """
    _require_simulation()
    from ..observatory import sal
    from ._simulated import Settings, SimulatedRuns, choose

    use_sal(sal.SalProvider.LOCAL)
    settings_of_runs = Settings(
        scale=scale, seed=seed, time_scale=time_scale, fault_texts=fault_texts, job_service=job_service
    )
    runs = SimulatedRuns(workdir, settings_of_runs)
    with result_to(json_file) as write:
        examiner = Examiner(runs.earlier_config, runs.find_generation(), forecasts=False)
        instrument = instrument or instrument_of_workdir(workdir)
        inputs = read_inputs(files, instrument, settings)
        if resume is not None:
            # Before they are judged: what is written may be for a run alone
            # that has frames.
            inputs = _resuming_one(inputs, index, resume, runs.journals)
        chosen = choose(inputs, index, examiner)
        reports = runs.run_all(chosen)
        _show_repository(reports[-1], workdir / "repo", chosen[len(reports) - 1][1].instrument)
        write(runs_json(chosen, reports))
    sys.exit(worst(map(exit_code, reports)))


def simulate_text(text: str, instrument: Instrument, workdir: Path, json_file: Path | None) -> NoReturn:
    """Run a configuration on a simulated observatory that exists, and exit.

    Parameters
    ----------
    text : `str`
        The configuration (YAML).
    instrument : `Instrument`
        The instrument, which has a script.
    workdir : `pathlib.Path`
        Work folder of the observatory.
    json_file : `pathlib.Path` or `None`
        File for the run's JSON.
    """
    _require_simulation()
    from ..observatory import sal
    from ._simulated import Settings, SimulatedRuns

    use_sal(sal.SalProvider.LOCAL)
    runs = SimulatedRuns(workdir, Settings())
    with result_to(json_file) as write:
        report = runs.run(Configuration(text, instrument))
        _show_repository(report, workdir / "repo", instrument)
        write(to_run_json(report))
    sys.exit(exit_code(report))


def _resuming_one(inputs: Sequence[Input], index: int | None, run_id: str, journals: Path) -> list[Input]:
    """Return what was given, its only configuration with a run to resume."""

    def is_chosen(given: Configuration) -> bool:
        return index is None or given.place == f"scripts[{index}]"

    names = [each.source(given) for each in inputs for given in each.configurations if is_chosen(given)]
    if len(names) > 1:
        fail(
            f"--resume is for one script, and there are {len(names)} ({', '.join(names)}): choose one by "
            "--script N",
            ExitCode.INVALID,
        )
    return [
        replace(
            each,
            configurations=tuple(
                replace(given, text=_resuming(given.text, run_id, journals)) if is_chosen(given) else given
                for given in each.configurations
            ),
        )
        for each in inputs
    ]


def _resuming(text: str, run_id: str, journals: Path) -> str:
    """Return a configuration that resumes a run of a work folder.

    One that cannot be read stays as it is.
    """
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
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return text
    if node is not None and not isinstance(node, yaml.MappingNode):
        return text
    if node is not None and node.flow_style:
        # Nothing can be added below a mapping in braces.
        return yaml.safe_dump({**yaml.safe_load(text), "resume": run_id}, sort_keys=False)
    return f"{text}\nresume: {run_id}\n"


def _show_repository(report: RunReport, repo: Path, instrument: Instrument) -> None:
    from ._display import access_hint

    show(f"Repository: {repo}")
    if hint := access_hint(report, repo, instrument):
        show(hint)
