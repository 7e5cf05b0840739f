# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is given to be judged: configurations, and BLOCKs that have some."""

from __future__ import annotations

__all__ = ["FILES", "Configuration", "Input", "read_inputs", "refuse_block", "set_option"]

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import click

from ..blocks import (
    Block,
    BlockError,
    BlockScript,
    configuration,
    is_block,
    notices,
    read_block,
    read_values,
    variables,
)
from ..config import Problem
from ..instruments import INSTRUMENTS, Instrument
from ..observatory.scripts import SCRIPTS
from ._common import ExitCode, complete_file, fail, load_text

OUR_SCRIPTS = {script: INSTRUMENTS[name] for name in SCRIPTS for script in INSTRUMENTS[name].scripts}
"""The executables that take the configurations, and their instruments."""

_SIMILAR = 0.85
_DEFAULT = "the daily default"

FILES = click.argument(
    "files",
    metavar="[FILE]...",
    nargs=-1,
    type=click.Path(path_type=Path, allow_dash=True),
    shell_complete=complete_file,
)


def _read_settings(
    context: click.Context, parameter: click.Parameter, texts: Sequence[str]
) -> Mapping[str, str]:
    """Take ``NAME=VALUE`` apart; a callback of click."""
    settings: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().removeprefix("$")
        if not equals or not name.isidentifier():
            fail(f"--set {text}: write --set NAME=VALUE, for example --set n_bias=20", ExitCode.INVALID)
        if name in settings:
            fail(f"--set {name} is given twice: leave one of them out", ExitCode.INVALID)
        settings[name] = value
    return settings


set_option = click.option(
    "--set",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_read_settings,
    help="Value of a variable of a BLOCK, in place of its default; may be repeated.",
)


@dataclass(frozen=True)
class Configuration:
    """What one script is given, or why that is not known."""

    text: str
    """YAML; empty if there are problems."""

    instrument: Instrument
    place: str | None = None
    """Where it is in a BLOCK, such as ``scripts[3]``; otherwise `None`."""

    script: str | None = None
    """Name of the script of the BLOCK."""

    problems: tuple[Problem, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Input:
    """A file, or stdin, and the configurations in it."""

    name: str
    """What messages call it."""

    configurations: tuple[Configuration, ...] = ()
    block: Block | None = None
    is_block: bool = False
    """Also if it could not be read as one."""

    skipped: tuple[str, ...] = ()
    """Scripts of the BLOCK that take no configuration of ours."""

    problems: tuple[str, ...] = ()
    """Why it has no configurations."""

    notices: tuple[str, ...] = ()

    def source(self, given: Configuration) -> str:
        """Return what messages call one of its configurations."""
        return self.name if given.place is None else f"{self.name} {given.place}"


def refuse_block(file: Path | None, text: str) -> None:
    """Exit if a text is a BLOCK, where one configuration is needed.

    Parameters
    ----------
    file : `pathlib.Path` or `None`
        What it was read from.
    text : `str`
        What was read.
    """
    if file is not None and is_block(text, is_json=str(file).endswith(".json")):
        fail(
            f"{file}: is a BLOCK, and this takes the configuration of one script. 'calibscripts validate', "
            "'plan' and 'simulate' take BLOCKs.",
            ExitCode.INVALID,
        )


def read_inputs(
    files: Sequence[Path], instrument: Instrument, settings: Mapping[str, str] | None = None
) -> list[Input]:
    """Read everything that is given; without any file, the daily default.

    Parameters
    ----------
    files : sequence of `pathlib.Path`
        Files, ``-`` for stdin.
    instrument : `Instrument`
        The instrument of configurations outside BLOCKs.
    settings : `~collections.abc.Mapping` [`str`, `str`], optional
        Values of variables of the BLOCKs, as they were typed.

    Returns
    -------
    inputs : `list` [`Input`]
        One for each file.
    """
    settings = settings or {}
    if [str(file) for file in files].count("-") > 1:
        fail("-: stdin is given twice, and can be read once: leave one out", ExitCode.INVALID)
    texts: list[tuple[str, str | Input]] = [] if files else [(_DEFAULT, "")]
    blocks: dict[str, Block] = {}
    for file in files:
        name = "stdin" if str(file) == "-" else str(file)
        try:
            texts.append((name, load_text(file)))
        except ValueError as error:
            texts.append((name, Input(name, problems=(str(error),))))
    found: list[Input | tuple[str, Block]] = []
    for name, text in texts:
        if isinstance(text, Input):
            found.append(text)
        elif is_block(text, is_json=name.endswith(".json")):
            try:
                blocks[name] = read_block(text)
                found.append((name, blocks[name]))
            except BlockError as error:
                found.append(Input(name, is_block=True, problems=tuple(map(str, error.problems))))
        else:
            found.append(Input(name, (Configuration(text, instrument),)))
    _check_settings(
        settings, blocks, can_be_elsewhere=any(isinstance(each, Input) and each.is_block for each in found)
    )
    return [each if isinstance(each, Input) else _of_block(*each, settings) for each in found]


def _check_settings(
    settings: Mapping[str, str], blocks: Mapping[str, Block], *, can_be_elsewhere: bool
) -> None:
    """Refuse values of variables that no BLOCK has."""
    if not settings or can_be_elsewhere:
        return
    if not blocks:
        names = ", ".join(f"--set {name}" for name in settings)
        fail(
            f"{names}: no BLOCK is given, and only they have variables: write values into the file",
            ExitCode.INVALID,
        )
    known = set().union(*(_known_variables(block) for block in blocks.values()))
    unknown = [name for name in settings if name not in known]
    for name in unknown:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        where = " and ".join(blocks) if len(blocks) < 3 else "the BLOCKs"
        listed = f"they are {', '.join(sorted(known))}" if known else "there are none"
        remedy = f"did you mean {near[0]}?" if near else listed
        click.echo(f"--set {name}: is not a variable of {where}; {remedy}", err=True)
    if unknown:
        raise SystemExit(ExitCode.INVALID)


def _known_variables(block: Block) -> set[str]:
    return variables(block.scripts) | set(block.properties)


def _of_block(name: str, block: Block, settings: Mapping[str, str]) -> Input:
    """Return what a BLOCK has of ours."""
    known = _known_variables(block)
    try:
        values = read_values(block, {key: text for key, text in settings.items() if key in known})
    except BlockError as error:
        return Input(name, block=block, is_block=True, problems=tuple(map(str, error.problems)))
    ours: list[Configuration] = []
    skipped: list[str] = []
    for script in block.scripts:
        instrument = OUR_SCRIPTS.get(script.name)
        if instrument is not None:
            ours.append(_of_script(block, script, instrument, values))
        elif problem := _misspelt(script):
            ours.append(
                Configuration("", next(iter(OUR_SCRIPTS.values())), script.place, script.name, (problem,))
            )
        else:
            skipped.append(f"{script.place} {script.name}")
    notes: list[str] = []
    if not ours:
        n = len(block.scripts)
        notes.append(
            f"none of its {n} script{'' if n == 1 else 's'} is {' or '.join(OUR_SCRIPTS)}: nothing to judge"
        )
    return Input(name, tuple(ours), block, True, tuple(skipped), (), tuple(notes))


def _of_script(
    block: Block, script: BlockScript, instrument: Instrument, values: Mapping[str, object]
) -> Configuration:
    try:
        text = configuration(block, script, values)
    except BlockError as error:
        return Configuration("", instrument, script.place, script.name, error.problems)
    notes = notices(block, script, values)
    if script.standard:
        notes.append(
            '"standard": true has the queue look for it among the standard scripts; it is an external one'
        )
    return Configuration(text, instrument, script.place, script.name, (), tuple(notes))


def _misspelt(script: BlockScript) -> Problem | None:
    """Return what to write for a name that is nearly one of ours."""
    stem = PurePosixPath(script.name).stem
    exact = [
        name
        for name, instrument in OUR_SCRIPTS.items()
        if stem in (PurePosixPath(name).stem, f"make_{instrument.name.lower()}_calibrations")
    ]
    near = [
        name for name in exact if PurePosixPath(name).parent == PurePosixPath(script.name).parent
    ] or exact
    near = near or difflib.get_close_matches(script.name, OUR_SCRIPTS, n=1, cutoff=_SIMILAR)
    if not near:
        return None
    what = "is not the name of a script of the queue"
    return Problem(f"{script.place}.name", script.name, what, f"write {near[0]}")
