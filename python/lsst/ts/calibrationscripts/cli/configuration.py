# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that look at a configuration: validate, plan, schema."""

from __future__ import annotations

__all__ = ["plan", "schema", "validate"]

import datetime
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from ..instruments import Instrument
from ._common import ExitCode, fail, instrument_option, put, show
from ._examine import Examined, Examiner, exit_code, inputs_json
from ._examined import show_block, show_count, show_each, show_note, show_problems
from ._forecast import show_forecast
from ._inputs import FILES, Input, read_inputs, set_option

_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document for all FILEs.")


@click.command()
@FILES
@instrument_option(with_script=True)
@set_option
@_json_option
def validate(
    files: tuple[Path, ...], instrument: Instrument, settings: Mapping[str, str], as_json: bool
) -> None:
    """Check configurations; list all their problems at once.

    A FILE is the configuration of a script (YAML), or a BLOCK of the
    Scheduler (JSON), of which the configuration of each script is checked
    that makes calibrations. - is stdin.
    """
    if not files:
        fail("Write a FILE to check, or - for stdin.", ExitCode.INVALID)
    judged = _judge(files, instrument, settings)
    if as_json:
        put(json.dumps(inputs_json(judged), indent=2))
    else:
        show_each(judged)
    sys.exit(exit_code(judged))


@click.command()
@FILES
@instrument_option(with_script=True)
@set_option
@_json_option
def plan(files: tuple[Path, ...], instrument: Instrument, settings: Mapping[str, str], as_json: bool) -> None:
    """Show what a run would do; without FILE, the daily default.

    A FILE is the configuration of a script (YAML), or a BLOCK of the
    Scheduler (JSON), whose scripts that make calibrations run one after the
    other. - is stdin.
    """
    judged = _judge(files, instrument, settings)
    if as_json:
        _show_plan_json(judged)
    else:
        n_configurations = sum(len(examined) for _, examined in judged)
        for each, examined in judged:
            show_block(each)
            show_problems(each, examined)
            for one in examined:
                _show_plan(one, with_heading=n_configurations > 1)
        show_count(judged)
    sys.exit(exit_code(judged))


@click.command()
@instrument_option(with_script=True)
def schema(instrument: Instrument) -> None:
    """Print the JSON Schema of the configuration, as YAML."""
    from ..config import schema_text

    put(schema_text(instrument).removesuffix("\n"))


def _judge(
    files: Sequence[Path], instrument: Instrument, settings: Mapping[str, str]
) -> list[tuple[Input, list[Examined]]]:
    now = datetime.datetime.now().astimezone()
    examiner = Examiner()
    return [(each, examiner.examine_all(each, now)) for each in read_inputs(files, instrument, settings)]


def _show_plan(one: Examined, *, with_heading: bool) -> None:
    import shutil

    from ..report import WIDTH, itinerary

    if one.config is None or one.plan is None:
        return
    if with_heading:
        show(f"\n{one.source} {one.given.script or ''}".rstrip())
    for notice in one.given.notices:
        show_note(notice)
    width = shutil.get_terminal_size((WIDTH, 0)).columns
    put(itinerary(one.config, one.plan, one.given.instrument, one.begin, width))
    if one.forecast is not None:
        show_forecast(one.forecast, one.plan.notices)


def _show_plan_json(judged: Sequence[tuple[Input, Sequence[Examined]]]) -> None:
    """Print the plans.

    That of a single configuration has its fields at the top as well, where
    programs have found them before there could be several.
    """
    document = inputs_json(judged, with_plan=True)
    [entry, *others] = document["inputs"]
    if not others and entry["kind"] == "configuration" and entry.get("plan"):
        document |= entry["plan"]
    put(json.dumps(document, indent=2))
