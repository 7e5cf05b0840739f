# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that judge what a run has measured: verdict."""

from __future__ import annotations

__all__ = ["verdict"]

import json
import sys
from pathlib import Path

import click

from ..instruments import Instrument
from ..products import Product, Subject
from ..thresholds import DEFAULT_THRESHOLD
from ._common import ExitCode, fail, instrument_option, read_text


@click.command()
@click.argument("file", metavar="STATS.yaml", type=click.Path(path_type=Path))
@click.option(
    "--type",
    "image_type",
    type=click.Choice(["BIAS", "DARK", "FLAT"], case_sensitive=False),
    required=True,
    help="Type of the exposures.",
)
@instrument_option(with_script=False)
@click.option(
    "--threshold",
    type=click.IntRange(min=1),
    default=DEFAULT_THRESHOLD,
    show_default=True,
    help="Failures per detector and test type that fail it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verdict(file: Path, image_type: str, instrument: Instrument, threshold: int, as_json: bool) -> None:
    """Judge a saved run-statistics file of cp_verify."""
    import yaml

    from ..codec import to_json
    from ..report import verdict_text
    from ..verification import StatisticsError, judge

    try:
        judged = judge(
            yaml.safe_load(read_text(file)),
            Subject(Product(image_type.upper())),
            n_detectors=len(instrument.detectors),
            threshold=threshold,
        )
    except (yaml.YAMLError, StatisticsError, ValueError, RecursionError) as error:
        fail(f"{file}: not usable as run statistics: {error}", ExitCode.INVALID)
    click.echo(json.dumps(to_json(judged), indent=2) if as_json else verdict_text(judged))
    sys.exit(ExitCode.SUCCESS if judged.passed else ExitCode.INCOMPLETE)
