# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``--help`` of each command has beside its options.

These are examples of how it is used, and what its exit codes mean. All is in
one table, so that a command without an entry is found by a
test.
"""

from __future__ import annotations

__all__ = ["HELP_OPTIONS", "Commands", "describe"]

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from ._common import ExitCode, discard_stdout, fail

HELP_OPTIONS: Final = ["-h", "--help"]

_WIDTH = 76
"""Of what stands below the options: 80 columns, less click's margins."""


@dataclass(frozen=True)
class _Help:
    examples: Sequence[str]
    codes: Mapping[ExitCode, str]


_OK, _FAILED, _INVALID, _INCOMPLETE = ExitCode
_UNUSABLE = "a file or an option cannot be used"
_ENDINGS = {
    _OK: "everything that was asked for passed, or was certified",
    _FAILED: "the script failed or was stopped, or something is not installed",
    _INVALID: "the configuration, a file or an option cannot be used; nothing was run",
    _INCOMPLETE: "something was held, failed, skipped or left out",
}

_HELP = {
    "validate": _Help(
        [
            "calibscripts validate daily.yaml",
            "calibscripts validate BLOCK-295.json --set program=BLOCK-296",
            "calibscripts validate *.yaml blocks/*.json --json",
            "git show HEAD:daily.yaml | calibscripts validate -",
        ],
        {_OK: "all are valid", _INVALID: f"one is not, or {_UNUSABLE}"},
    ),
    "plan": _Help(
        ["calibscripts plan", "calibscripts plan daily.yaml", "calibscripts plan BLOCK-295.json --json"],
        {_OK: "all can be planned", _INVALID: f"one is not valid, or {_UNUSABLE}"},
    ),
    "schema": _Help(
        ["calibscripts schema", "calibscripts schema --instrument LSSTCam > make_lsstcam_calibrations.yaml"],
        {_OK: "it is printed", _INVALID: "there is no script for the instrument"},
    ),
    "doctor": _Help(
        ["calibscripts doctor", "calibscripts doctor daily.yaml", "calibscripts doctor --json"],
        {
            _OK: "nothing is to be fixed",
            _INVALID: f"the configuration is not valid, or {_UNUSABLE}",
            _INCOMPLETE: "something is to be fixed",
        },
    ),
    "due": _Help(
        [
            "calibscripts due --nights 3",
            "calibscripts due --from 2026-11-20 --to 2026-11-23 --html due.html",
            "calibscripts due --where \"exposure.observation_type = 'science'\" --json -",
        ],
        {
            _OK: "nothing is due",
            _FAILED: "the repository cannot be read, or a file not be written",
            _INVALID: _UNUSABLE,
            _INCOMPLETE: "something is due",
        },
    ),
    "finish": _Help(
        ["calibscripts finish 20261126T053300-100001"],
        {
            _OK: "everything passed",
            _FAILED: "it was interrupted, or 'fail_on' names an outcome",
            _INVALID: "there is nothing to collect, or another process has the run",
            _INCOMPLETE: "something was held, failed or left out",
        },
    ),
    "remake": _Help(
        [
            "calibscripts remake 20261123T053300-100001 --without 2026112300003",
        ],
        {**_ENDINGS, _INVALID: "it is refused, and nothing is changed"},
    ),
    "verdict": _Help(
        [
            "calibscripts verdict verifyBiasStats.yaml --type BIAS",
            "calibscripts verdict stats.yaml --type FLAT --exposure-stats flats/",
            "calibscripts verdict s.yaml --type BIAS --instrument LSSTCam --detectors 0-8",
        ],
        {_OK: "passed", _INVALID: _UNUSABLE, _INCOMPLETE: "failed"},
    ),
    "run": _Help(
        ["calibscripts run daily.yaml", "calibscripts run daily.yaml --json - | jq .state"],
        _ENDINGS,
    ),
    "simulate": _Help(
        [
            "calibscripts simulate",
            "calibscripts simulate daily.yaml --json run.json",
            "calibscripts simulate --instrument LSSTComCam --workdir comcam",
            "calibscripts simulate BLOCK-295.json --script 1",
            "calibscripts simulate daily.yaml --fault job-fails:2",
            "calibscripts simulate daily.yaml --job-service bps",
            "calibscripts simulate --resume",
        ],
        _ENDINGS | {_OK: f"{_ENDINGS[_OK]}; of several runs the worst counts: 1, then 3"},
    ),
    "serve": _Help(
        ["calibscripts serve --workdir observatory"],
        {
            _OK: "it was stopped by a signal",
            _FAILED: "SAL or the simulation is not installed",
            _INVALID: "the work folder or the environment cannot be used",
        },
    ),
    "decide": _Help(
        [
            "calibscripts decide",
            'calibscripts decide 20261125T060512-1 accept --reason "as yesterday"',
            'calibscripts decide 20261125T060512-1 reject BIAS --reason "light leak"',
        ],
        {
            _OK: "it is listed, or done",
            _INVALID: "refused: nothing waits, or an option cannot be used",
            _INCOMPLETE: "something could not be done",
        },
    ),
    "desk": _Help(
        ["calibscripts desk", "calibscripts desk --port 0 --read-only"],
        {
            _OK: "it was ended by a signal",
            _FAILED: "the port is in use, or something is not installed",
            _INVALID: _UNUSABLE,
        },
    ),
    "decertify": _Help(
        [
            "calibscripts decertify 20261125T060512-1 --dry-run",
            'calibscripts decertify 20261125T060512-1 BIAS --reason "light leak"',
        ],
        {
            _OK: "it is shown, or done",
            _INVALID: "refused; nothing is changed",
            _INCOMPLETE: "the repository or the journal failed",
        },
    ),
    "report": _Help(
        [
            "calibscripts report run.json -o run.html",
            "calibscripts report run.json -o run.html --repo /repo/LATISS",
        ],
        {_OK: "the page is written", _FAILED: "it cannot be written", _INVALID: "the JSON cannot be used"},
    ),
    "trend": _Help(
        ["calibscripts trend", "calibscripts trend --repo /repo/LATISS -o noise.html"],
        {
            _OK: "the page is written",
            _FAILED: "it cannot be written",
            _INVALID: "there are no runs, or the repository cannot be read",
        },
    ),
}

_OF_ALL = _Help(
    [
        "calibscripts COMMAND -h",
        "calibscripts validate daily.yaml",
        'eval "$(_CALIBSCRIPTS_COMPLETE=bash_source calibscripts)"  # or zsh_source',
    ],
    {
        _OK: "success",
        _FAILED: "a script failed or was stopped, or something is not installed",
        _INVALID: "a configuration, a file or an option cannot be used",
        _INCOMPLETE: "something was held, failed, skipped or left out",
    },
)


def describe(command: click.Command) -> click.Command:
    """Give a command the options, examples and exit codes of its help.

    Parameters
    ----------
    command : `click.Command`
        The command, which is changed.

    Returns
    -------
    command : `click.Command`
        The same.
    """
    # A command keeps the help options of the context that it is first asked
    # in, which need not be one below ``calibscripts``.
    command.context_settings["help_option_names"] = HELP_OPTIONS
    if found := _HELP.get(command.name or ""):
        command.epilog = _epilog(found)
    return command


def _epilog(of_command: _Help) -> str:
    """Return paragraphs that neither click nor Sphinx breaks anew."""
    lines = ["\b", "Examples:", *(f"  {example}" for example in of_command.examples), "", "\b", "Exit codes:"]
    for code, meaning in of_command.codes.items():
        lines += textwrap.wrap(meaning, _WIDTH - 5, initial_indent=f"  {code:d}  ", subsequent_indent=" " * 5)
    return "\n".join(lines)


class Commands(click.Group):
    """All commands, with what is common to how they end."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, epilog=_epilog(_OF_ALL), **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was given.

        No file that cannot be read or written ends with a traceback, whatever
        the command has foreseen.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # What reads has read enough, as head does.
            discard_stdout()
            ctx.exit(ExitCode.SUCCESS)
        except OSError as error:
            what = "" if error.filename is None else f"{error.filename}: "
            fail(f"{what}cannot be used: {error.strerror or error}", ExitCode.INVALID)
