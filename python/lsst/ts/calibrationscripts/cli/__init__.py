# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``calibscripts``.

Every command imports what it needs when it runs, so that the quick ones
stay quick.
"""

from __future__ import annotations

__all__ = ["main"]

import enum
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ._installation import print_version, simulation_hint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..config import CalibrationConfig
    from ..report import RunReport


class ExitCode(enum.IntEnum):
    """What the commands return to the shell."""

    SUCCESS = 0
    SCRIPT_FAILED = 1
    INVALID = 2
    INCOMPLETE = 3
    """Something was held, failed or skipped."""


_NEWEST = "newest"

_FILE = click.argument("file", type=click.Path(path_type=Path), required=False)
_REQUIRED_FILE = click.argument("file", type=click.Path(path_type=Path))


def _fail(message: str, code: ExitCode) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)


def _read(file: Path | None) -> str:
    """Return the text of a configuration; none is the daily default."""
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"{file}: cannot be read: {error}", ExitCode.INVALID)


def _parse(text: str) -> CalibrationConfig:
    from ..config import ConfigurationError, parse
    from ..instruments import LATISS

    try:
        return parse(text, LATISS)
    except ConfigurationError as error:
        _fail(str(error), ExitCode.INVALID)


def _parse_to_run(text: str, journals: Path | None = None) -> CalibrationConfig:
    """Read a configuration, and that of the run that it resumes."""
    from ..config import ConfigurationError, parse
    from ..files.journal import default_journal_dir, load_record
    from ..instruments import LATISS

    def earlier(run_id: str, journal_dir: str | None) -> Mapping[str, Any]:
        folder = journals or (Path(journal_dir) if journal_dir else default_journal_dir())
        return load_record(folder, run_id).config

    try:
        return parse(text, LATISS, earlier)
    except ConfigurationError as error:
        _fail(str(error), ExitCode.INVALID)


@click.group()
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Take, process, verify and certify LATISS calibrations."""


@main.command()
@_REQUIRED_FILE
def validate(file: Path) -> None:
    """Check a configuration; tell all its problems at once."""
    config = _parse(_read(file))
    for notice in config.notices:
        click.echo(f"note: {notice}")
    click.echo(f"{file}: valid")


@main.command()
@_FILE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(file: Path | None, as_json: bool) -> None:
    """Show what a run would do; without FILE, the daily default."""
    import datetime

    from ..codec import plan_json
    from ..instruments import LATISS
    from ..plan import make_plan
    from ..report import itinerary

    config = _parse(_read(file))
    run_plan = make_plan(config, LATISS)
    if as_json:
        click.echo(json.dumps(plan_json(run_plan), indent=2))
        return
    click.echo(itinerary(config, run_plan, LATISS, datetime.datetime.now().astimezone()))


@main.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, as YAML."""
    from ..config import schema_text
    from ..instruments import LATISS

    click.echo(schema_text(LATISS), nl=False)


@main.command()
@click.argument("file", metavar="STATS.yaml", type=click.Path(path_type=Path))
@click.option(
    "--type",
    "image_type",
    type=click.Choice(["BIAS", "DARK", "FLAT"], case_sensitive=False),
    required=True,
    help="Type of the exposures.",
)
@click.option("--instrument", default="LATISS", show_default=True, help="Whose statistics they are.")
@click.option(
    "--threshold",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Failures per detector and test type that fail it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verdict(file: Path, image_type: str, instrument: str, threshold: int, as_json: bool) -> None:
    """Judge a saved run-statistics file of cp_verify."""
    import yaml

    from ..codec import to_json
    from ..instruments import INSTRUMENTS
    from ..products import Product, Subject
    from ..report import verdict_text
    from ..verification import StatisticsError, judge

    if instrument not in INSTRUMENTS:
        _fail(f"--instrument {instrument}: write one of {', '.join(INSTRUMENTS)}", ExitCode.INVALID)
    try:
        judged = judge(
            yaml.safe_load(_read(file)),
            Subject(Product(image_type.upper())),
            n_detectors=len(INSTRUMENTS[instrument].detectors),
            threshold=threshold,
        )
    except (yaml.YAMLError, StatisticsError, ValueError, RecursionError) as error:
        _fail(f"{file}: not usable as run statistics: {error}", ExitCode.INVALID)
    click.echo(json.dumps(to_json(judged), indent=2) if as_json else verdict_text(judged))
    sys.exit(ExitCode.SUCCESS if judged.passed else ExitCode.INCOMPLETE)


@main.command()
@_REQUIRED_FILE
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the run's JSON here.")
def run(file: Path, json_file: Path | None) -> None:
    """Run a configuration on the SAL that is installed."""
    from ..observatory import sal

    text = _read(file)
    config = _parse_to_run(text)
    sal.use(sal.SalProvider.SALOBJ)
    try:
        from ._program import run_program
        from ._run import run_on_sal
    except sal.SalNotInstalledError as error:
        _fail(str(error), ExitCode.SCRIPT_FAILED)
    _finish(run_program(run_on_sal(text, config)), json_file)


def _require_simulation() -> None:
    """Exit with advice if what the simulation needs is not installed."""
    if (hint := simulation_hint()) is not None:
        _fail(hint, ExitCode.SCRIPT_FAILED)


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


@main.command()
@_FILE
@click.option(
    "--workdir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("simulated_observatory"),
    show_default=True,
    help="Folder of the repository, frames and jobs; made when absent.",
)
@click.option(
    "--scale",
    type=click.IntRange(1, 16),
    help="Frames are smaller by this; 1 for 4072x4000.  [default: that of the work folder, 8 in a new one]",
)
@click.option(
    "--time-scale",
    type=click.FloatRange(min=0, max=1),
    default=0.01,
    show_default=True,
    help="Exposures and readout last this fraction of their time.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), help="Of all noise.  [default: that of the work folder, or fixed]"
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value=_NEWEST,
    metavar="[RUN_ID]",
    help="Carry on an earlier run of this work folder; without RUN_ID, the newest.",
)
@click.option(
    "--fault",
    "fault_texts",
    metavar="NAME[:WHEN]",
    multiple=True,
    help="Have something go wrong; may be repeated. See --list-faults.",
)
@click.option(
    "--list-faults",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_list_faults,
    help="Show what can go wrong, and exit.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the run's JSON here.")
def simulate(
    file: Path | None,
    workdir: Path,
    scale: int | None,
    time_scale: float,
    seed: int | None,
    resume: str | None,
    fault_texts: tuple[str, ...],
    json_file: Path | None,
) -> None:
    """Run a configuration on a simulated observatory.

    The frames, the Butler repository and `pipetask` are real. Without FILE,
    the daily default is run.
    """
    _require_simulation()
    from ..observatory import sal

    text = _read(file)
    journals = workdir.absolute() / "journal"
    if resume is not None:
        text = _resuming(text, resume, journals)
    config = _parse_to_run(text, journals)
    sal.use(sal.SalProvider.LOCAL)
    from ..simulation.faults import parse_fault

    try:
        faults = [parse_fault(fault_text) for fault_text in fault_texts]
    except ValueError as error:
        _fail(f"--fault {error}", ExitCode.INVALID)
    from ..simulation.observatory import WorkFolderError
    from ._program import run_program
    from ._run import run_simulated

    try:
        report = run_program(
            run_simulated(
                text,
                config,
                workdir=workdir,
                journals=journals,
                scale=scale,
                time_scale=time_scale,
                seed=seed,
                faults=faults,
            )
        )
    except WorkFolderError as error:
        _fail(str(error), ExitCode.INVALID)
    _finish(report, json_file, repo=workdir / "repo")


@main.command("report")
@click.argument("file", metavar="RUN.json", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The page (HTML).")
@click.option("--repo", help="Butler repository to read statistics and images from, again.")
def make_report(file: Path, output: Path, repo: str | None) -> None:
    """Make the page of a run again, from its JSON."""
    from ..codec import FormatError
    from ._report import remake_page

    try:
        html = remake_page(_read(file), repo)
    except FormatError as error:
        _fail(f"{file}: {error}", ExitCode.INVALID)
    _write_page(output, html)


@main.command()
@click.option("--repo", help="Butler repository whose runs are shown, those without JSON too.")
@click.option(
    "--journals",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the runs' JSON.  [default: that of the user's state directory]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("trend.html"),
    show_default=True,
    help="The page (HTML).",
)
def trend(repo: str | None, journals: Path | None, output: Path) -> None:
    """Show read noise, bias level and gain of earlier runs over time."""
    from ..files.journal import default_journal_dir
    from ..ports import ObservatoryError
    from ._report import show_trend

    folder = journals or default_journal_dir()
    try:
        html, history = show_trend(folder, repo)
    except ObservatoryError as error:
        _fail(str(error), ExitCode.INVALID)
    if not history.runs:
        where = f"{folder} or {repo}" if repo else f"{folder}; --repo REPO looks in a repository too"
        _fail(f"no run has left any values in {where}", ExitCode.INVALID)
    _write_page(output, html)


def _write_page(file: Path, html: str) -> None:
    try:
        file.write_text(html, encoding="utf-8")
    except OSError as error:
        _fail(f"-o {file}: cannot be written: {error.strerror}", ExitCode.SCRIPT_FAILED)
    click.echo(f"Written: {file}")


def _resuming(text: str, run_id: str, journals: Path) -> str:
    """Return a configuration that carries on a run of a work folder."""
    from ..files.journal import newest_run

    if run_id == _NEWEST:
        newest = newest_run(journals)
        if newest is None:
            _fail(f"--resume: no run has left a journal in {journals}", ExitCode.INVALID)
        run_id = newest
    return f"{text}\nresume: {run_id}\n"


def _finish(report: RunReport, json_file: Path | None, repo: Path | None = None) -> NoReturn:
    """Tell what a run came to, to the operator and to the shell."""
    from ._display import access_hint

    if repo is not None:
        click.echo(f"Repository: {repo}")
        if hint := access_hint(report, repo):
            click.echo(hint)
    if json_file is not None:
        from ..codec import to_json

        _write_json(json_file, to_json(report))
    if report.state != "DONE":
        sys.exit(ExitCode.SCRIPT_FAILED)
    sys.exit(ExitCode.SUCCESS if report.complete else ExitCode.INCOMPLETE)


def _write_json(file: Path, data: dict[str, Any]) -> None:
    try:
        file.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        _fail(f"--json {file}: cannot be written: {error}", ExitCode.SCRIPT_FAILED)
