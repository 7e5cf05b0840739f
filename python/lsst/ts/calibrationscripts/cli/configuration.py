# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that look at a configuration: validate, plan, schema."""

from __future__ import annotations

__all__ = ["plan", "schema", "validate"]

import json
from pathlib import Path

import click

from ..instruments import Instrument
from ._common import FILE, REQUIRED_FILE, instrument_option, parse_config, read_text


@click.command()
@REQUIRED_FILE
@instrument_option(with_script=True)
def validate(file: Path, instrument: Instrument) -> None:
    """Check a configuration; list all its problems at once."""
    import datetime

    from ..plan import make_plan
    from ._forecast import forecast_of, refuse_if_strict, show_forecast

    config = parse_config(read_text(file), instrument)
    for notice in config.notices:
        click.echo(f"note: {notice}")
    now = datetime.datetime.now().astimezone()
    forecast = forecast_of(config, make_plan(config, instrument, now), instrument, now)
    if forecast.findings:
        show_forecast(forecast, config.notices)
    refuse_if_strict(config, forecast, str(file))
    click.echo(f"{file}: valid")


@click.command()
@FILE
@instrument_option(with_script=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(file: Path | None, instrument: Instrument, as_json: bool) -> None:
    """Show what a run would do; without FILE, the daily default."""
    import datetime
    import shutil

    from ..plan import make_plan
    from ..report import ROW_WIDTH, itinerary
    from ._forecast import forecast_of, refuse_if_strict, show_forecast

    config = parse_config(read_text(file), instrument)
    now = datetime.datetime.now().astimezone()
    run_plan = make_plan(config, instrument, now)
    forecast = forecast_of(config, run_plan, instrument, now)
    if as_json:
        from ..codec import plan_json

        click.echo(json.dumps(plan_json(run_plan, forecast), indent=2))
    else:
        width = shutil.get_terminal_size((ROW_WIDTH, 0)).columns
        click.echo(itinerary(config, run_plan, instrument, now, width))
        show_forecast(forecast, run_plan.notices)
    refuse_if_strict(config, forecast, str(file or "the default"))


@click.command()
@instrument_option(with_script=True)
def schema(instrument: Instrument) -> None:
    """Print the JSON Schema of the configuration, as YAML."""
    from ..config import schema_text

    click.echo(schema_text(instrument), nl=False)
