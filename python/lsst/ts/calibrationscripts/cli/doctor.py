# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``doctor``: checks an installation."""

from __future__ import annotations

__all__ = ["doctor"]

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..checkup import Check, CheckStatus
from ..instruments import Instrument
from ..pipelines import NEWEST
from ._common import ExitCode, instrument_option, parse_config, put, read_text, show, within
from ._inputs import refuse_block

if TYPE_CHECKING:
    from ..config import CalibrationConfig

_DISK_TIMEOUT = 20.0
"""Longest wait for the disk that has the journals (s)."""

_GENERATION_TIMEOUT = 30.0
"""Longest wait for the disk that has the pipelines, and for the repository,
for which there is a shorter one (s)."""

_MIN_WIDTH = 40

_ORDER = (CheckStatus.FAILED, CheckStatus.WARNING, CheckStatus.SKIPPED, CheckStatus.OK)


@click.command()
@click.argument("file", metavar="[CONFIG]", type=click.Path(path_type=Path, allow_dash=True), required=False)
@instrument_option(with_script=True)
@click.option(
    "--pipelines",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Folder that has cp_pipe and cp_verify.  [default: those of CP_PIPE_DIR and CP_VERIFY_DIR]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(file: Path | None, instrument: Instrument, folder: Path | None, as_json: bool) -> None:
    """Check an installation, and say what to fix.

    CONFIG is the configuration of a script; without it, the defaults are
    checked. Nothing is changed, and no component is commanded.
    """
    from dataclasses import asdict

    from ._pipeline_checks import PIPELINE_FOLDERS

    environment = dict(os.environ)
    if folder is not None:
        environment |= {name: str(folder.absolute() / package) for name, package in PIPELINE_FOLDERS.items()}
    config, generation = _read(file, instrument, environment)
    checks: list[Check] = []
    for check in _all_checks(config, instrument, environment, generation):
        if not as_json:
            show(_text(check, repeats=bool(checks) and check.remedy == checks[-1].remedy))
        checks.append(check)
    to_be_fixed = any(check.status is CheckStatus.FAILED for check in checks)
    if as_json:
        found = {"right": not to_be_fixed, "checks": [asdict(check) for check in checks]}
        put(json.dumps(found, indent=2))
    else:
        counts = [(sum(check.status is status for check in checks), status) for status in _ORDER]
        show(", ".join(f"{n} {status}" for n, status in counts if n) + ".")
    sys.exit(ExitCode.INCOMPLETE if to_be_fixed else ExitCode.SUCCESS)


def _read(
    file: Path | None, instrument: Instrument, environment: Mapping[str, str]
) -> tuple[CalibrationConfig, Check]:
    """Return the configuration, and why its pipelines are what they are."""
    from ..butler.generation import find_generation
    from ..files.journal import journal_folder, load_record

    reasons = ["the configuration says so"]

    def find(repo: str) -> tuple[str, str]:
        try:
            name, why = within(_GENERATION_TIMEOUT, lambda: find_generation(repo, instrument, environment))
        except TimeoutError:
            name, why = NEWEST, "the disk of the pipelines does not answer, and this is the newest"
        reasons.append(why)
        return name, why

    text = read_text(file)
    refuse_block(file, text)
    config = parse_config(
        text,
        instrument,
        lambda run_id, journal_dir: load_record(journal_folder(journal_dir), run_id).config,
        find,
    )
    return config, Check.ok("generation", f"{config.pipeline_generation}: {reasons[-1]}")


def _all_checks(
    config: CalibrationConfig, instrument: Instrument, environment: Mapping[str, str], generation: Check
) -> Iterator[Check]:
    """Yield all checks, from the outside in."""
    from ._environment import check_packages, check_python, check_sal, check_simulation
    from ._pipeline_checks import check_pipelines
    from ._repository_checks import check_repository

    yield check_python()
    yield check_packages()
    yield check_simulation()
    yield check_sal(environment)
    yield generation
    of_pipelines, dimensions = check_pipelines(config, instrument, environment)
    yield from of_pipelines
    yield from check_repository(config, instrument, dimensions)
    yield from _journal_checks(config)


def _journal_checks(config: CalibrationConfig) -> list[Check]:
    from ..files.checks import check_journals, check_runs
    from ..files.journal import journal_folder

    folder = journal_folder(config.journal_dir)
    try:
        return within(_DISK_TIMEOUT, lambda: [check_journals(folder), *check_runs(folder, config.resume)])
    except TimeoutError:
        text = f"{folder} does not answer within {_DISK_TIMEOUT:g} s"
        return [Check.failed("journals", text, "See why its disk hangs, or write another journal_dir")]


def _text(check: Check, *, repeats: bool) -> str:
    """Return a check as an engineer reads it.

    It may repeat the remedy of the one above.
    """
    import shutil
    import textwrap

    head = f"{check.status:8}{check.name:13}"
    width = max(shutil.get_terminal_size().columns, len(head) + _MIN_WIDTH)
    lines = textwrap.wrap(
        check.message,
        width,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
    if check.remedy:
        indent = " " * len(head)
        lines += textwrap.wrap(
            "-> as above" if repeats else f"-> {check.remedy}",
            width,
            initial_indent=indent,
            subsequent_indent=f"{indent}   ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)
