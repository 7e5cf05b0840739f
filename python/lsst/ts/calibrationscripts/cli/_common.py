# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several groups of commands share.

Every command imports what it needs when it runs, so that the quick ones
stay quick.
"""

from __future__ import annotations

__all__ = [
    "OF_WORKDIR",
    "REQUIRED_FILE",
    "ExitCode",
    "check_folder",
    "complete_file",
    "discard_stdout",
    "fail",
    "instrument_of_workdir",
    "instrument_option",
    "load_text",
    "parse_config",
    "put",
    "read_text",
    "require_subname",
    "show",
    "time_scale_option",
    "use_sal",
    "within",
    "workdir_option",
]

import contextlib
import enum
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, TypeVar

import click

from ..instruments import INSTRUMENTS, LATISS, Instrument
from ..observatory.scripts import SCRIPTS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..config import CalibrationConfig
    from ..observatory.sal import SalProvider

Command = TypeVar("Command", bound=Callable[..., Any])
T = TypeVar("T")

MAX_BYTES = 64 * 2**20
"""Largest file that is read (byte): one of a device may never end."""


class ExitCode(enum.IntEnum):
    """What the commands return to the shell."""

    SUCCESS = 0
    SCRIPT_FAILED = 1
    INVALID = 2
    INCOMPLETE = 3
    """Something was held, failed or skipped."""


REQUIRED_FILE = click.argument("file", type=click.Path(path_type=Path, allow_dash=True))

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
        _discard(sys.stderr if error else sys.stdout)


def put(text: str) -> None:
    """Print a result, which is of no use if it is not complete.

    Parameters
    ----------
    text : `str`
        The result.

    Notes
    -----
    What has read enough of it, as ``head`` does, is not a mistake. A disk
    that is full is.
    """
    try:
        click.echo(text)
    except BrokenPipeError:
        _discard(sys.stdout)
    except OSError as error:
        _discard(sys.stdout)
        fail(f"stdout: cannot be written: {error.strerror}", ExitCode.INVALID)


def discard_stdout() -> None:
    """Let nothing that is printed from now on fail."""
    _discard(sys.stdout)


def _discard(stream: TextIO) -> None:
    """Give up a stream: what is buffered would fail again at the end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def use_sal(wanted: SalProvider) -> None:
    """Choose where SAL comes from, or exit if the environment is wrong.

    Parameters
    ----------
    wanted : `SalProvider`
        What the command needs.
    """
    from ..observatory import sal

    try:
        sal.use(wanted)
        sal.provider()
    except ValueError as error:
        fail(str(error), ExitCode.INVALID)


def require_subname() -> None:
    """Exit with what to set, if the components cannot be reached."""
    from ..observatory import sal

    if not sal.has_subname():
        what, remedy = sal.NO_SUBNAME
        fail(f"{what}. {remedy}.", ExitCode.INVALID)


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


def instrument_option(*, with_script: bool, unless_given: str = "") -> Callable[[Command], Command]:
    """Return the option ``--instrument``, which becomes an `Instrument`.

    Parameters
    ----------
    with_script : `bool`
        Whether the command needs the instrument's script or its
        configuration.
    unless_given : `str`, optional
        What it is if it is not given, if not LATISS; then it becomes `None`.
    """
    allowed = [name for name in INSTRUMENTS if name in SCRIPTS or not with_script]

    def find(context: click.Context, parameter: click.Parameter, name: str | None) -> Instrument | None:
        if name is None:
            return None
        if name in allowed:
            return INSTRUMENTS[name]
        what = "there is no script for it yet" if name in INSTRUMENTS else "unknown"
        fail(f"--instrument {name}: {what}; write one of {', '.join(allowed)}", ExitCode.INVALID)

    return click.option(
        "--instrument",
        default=None if unless_given else LATISS.name,
        show_default=unless_given or True,
        callback=find,
        help=f"The camera: one of {', '.join(allowed)}.",
    )


OF_WORKDIR = f"that of the work folder, {LATISS.name} in a new one"
"""See `instrument_of_workdir`."""


def instrument_of_workdir(workdir: Path) -> Instrument:
    """Return the instrument that a work folder of the simulation is for.

    Parameters
    ----------
    workdir : `pathlib.Path`
        The folder.

    Returns
    -------
    instrument : `Instrument`
        LATISS if there is none yet.
    """
    from ..simulation.repository import WorkFolderError, is_repository, read_kind

    repo = workdir.absolute() / "repo"
    try:
        return INSTRUMENTS.get(read_kind(repo).instrument, LATISS) if is_repository(repo) else LATISS
    except WorkFolderError as error:
        fail(str(error), ExitCode.INVALID)


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
        return load_text(file)
    except ValueError as error:
        fail(f"{file}: {error}", ExitCode.INVALID)


def load_text(file: Path) -> str:
    """Return the text of a file that a person has named.

    Parameters
    ----------
    file : `pathlib.Path`
        The file; ``-`` for stdin.

    Returns
    -------
    text : `str`

    Raises
    ------
    ValueError
        If it cannot be read, is larger than `MAX_BYTES`, or is not text.
    """
    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with file.open("rb") as opened:
                content = opened.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > MAX_BYTES:
        raise ValueError(f"cannot be read: it has more than {MAX_BYTES} bytes")
    try:
        # As a file that is opened as text.
        return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"cannot be read: byte {error.start + 1} is not text (UTF-8)") from error


def check_folder(context: click.Context, parameter: click.Parameter, folder: Path | None) -> Path | None:
    """Refuse what can never be a folder; a callback of click.

    One that does not exist is empty.
    """
    if folder is not None:
        try:
            folder.stat()
        except FileNotFoundError:
            pass
        except OSError as error:
            fail(f"{parameter.opts[0]} {folder}: cannot be used: {error.strerror}", ExitCode.INVALID)
    return folder


def complete_file(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Have the shell complete the name of a file."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


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
