# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several groups of commands share.

Every command imports what it needs when it runs, so that the quick ones
stay quick.
"""

from __future__ import annotations

__all__ = [
    "FILE",
    "REQUIRED_FILE",
    "ExitCode",
    "fail",
    "instrument_option",
    "parse_config",
    "read_text",
    "show",
    "time_scale_option",
    "within",
    "workdir_option",
]

import enum
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from ..instruments import INSTRUMENTS, LATISS, Instrument
from ..observatory.scripts import SCRIPTS

if TYPE_CHECKING:
    from ..config import CalibrationConfig

Command = TypeVar("Command", bound=Callable[..., Any])
T = TypeVar("T")


class ExitCode(enum.IntEnum):
    """What the commands return to the shell."""

    SUCCESS = 0
    SCRIPT_FAILED = 1
    INVALID = 2
    INCOMPLETE = 3
    """Something was held, failed or skipped."""


FILE = click.argument("file", type=click.Path(path_type=Path), required=False)
REQUIRED_FILE = click.argument("file", type=click.Path(path_type=Path))

workdir_option = click.option(
    "--workdir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("simulated_observatory"),
    show_default=True,
    help="Folder of the repository, frames and jobs; it is made if it does not exist.",
)

time_scale_option = click.option(
    "--time-scale",
    type=click.FloatRange(min=0, max=1),
    default=0.01,
    show_default=True,
    help="Exposures and readout last this fraction of their time.",
)


def fail(message: str, code: ExitCode) -> NoReturn:
    """Print an error and exit.

    Parameters
    ----------
    message : `str`
        The error.
    code : `ExitCode`
        What the shell gets.
    """
    click.echo(message, err=True)
    sys.exit(code)


def show(text: str, *, error: bool = False) -> None:
    """Print a line of a run, unless nothing reads it any more.

    A run must not end, nor end otherwise, because the terminal or the pipe
    that it prints to has been closed.

    Parameters
    ----------
    text : `str`
        The line.
    error : `bool`, optional
        Whether it goes to stderr.
    """
    try:
        click.echo(text, err=error)
    except OSError:
        # What is still buffered would fail again when the process ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, (sys.stderr if error else sys.stdout).fileno())
        os.close(nowhere)


def within(timeout: float, action: Callable[[], T]) -> T:
    """Run what may hang, such as a look at a disk, in a thread.

    Parameters
    ----------
    timeout : `float`
        Longest that it may take (s).
    action : callable
        What to run.

    Returns
    -------
    result
        What the action returns.

    Raises
    ------
    TimeoutError
        If it takes longer. The thread does not keep the process from ending.
    """
    import asyncio

    from ..threads import in_thread

    async def run() -> T:
        return await asyncio.wait_for(in_thread(action), timeout)

    return asyncio.run(run())


def instrument_option(*, with_script: bool) -> Callable[[Command], Command]:
    """Return the option ``--instrument``, which becomes an `Instrument`.

    Parameters
    ----------
    with_script : `bool`
        Whether the command needs the instrument's script or its
        configuration.
    """
    allowed = [name for name in INSTRUMENTS if name in SCRIPTS or not with_script]

    def find(context: click.Context, parameter: click.Parameter, name: str) -> Instrument:
        if name in allowed:
            return INSTRUMENTS[name]
        what = "there is no script for it yet" if name in INSTRUMENTS else "unknown"
        fail(f"--instrument {name}: {what}; write one of {', '.join(allowed)}", ExitCode.INVALID)

    return click.option(
        "--instrument",
        default=LATISS.name,
        show_default=True,
        callback=find,
        help=f"The camera: one of {', '.join(allowed)}.",
    )


def read_text(file: Path | None) -> str:
    """Return the text of a configuration or other file.

    Parameters
    ----------
    file : `pathlib.Path` or `None`
        The file; `None` for the daily default, whose text is empty.

    Returns
    -------
    text : `str`
    """
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file}: cannot be read: {error}", ExitCode.INVALID)


def parse_config(
    text: str,
    instrument: Instrument,
    earlier: Callable[[str, str | None], Mapping[str, Any]] | None = None,
    find_generation: Callable[[str], tuple[str, str]] | None = None,
) -> CalibrationConfig:
    """Parse a configuration, or print its problems and exit.

    Parameters
    ----------
    text : `str`
        The configuration (YAML).
    instrument : `Instrument`
        The instrument that it is for.
    earlier : `~collections.abc.Callable`, optional
        Finds the configuration of a run to be resumed; see `config.parse`.
    find_generation : `~collections.abc.Callable`, optional
        Finds the generation of the pipelines; see `config.parse`. By default
        that of this installation.

    Returns
    -------
    config : `CalibrationConfig`
    """
    from ..butler.generation import find_generation as of_installation
    from ..config import ConfigurationError, parse

    find = find_generation or (lambda repo: of_installation(repo, instrument))
    try:
        return parse(text, instrument, earlier, find)
    except ConfigurationError as error:
        fail(str(error), ExitCode.INVALID)
