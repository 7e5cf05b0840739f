# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that judge what a run has measured: verdict."""

from __future__ import annotations

__all__ = ["verdict"]

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..instruments import Detector, Instrument
from ..products import Product, Subject
from ..thresholds import DEFAULT_THRESHOLD
from ._common import ExitCode, fail, instrument_option, put

if TYPE_CHECKING:
    from ..verification import Verdict


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
    "--detectors",
    "detector_text",
    metavar="IDS",
    help="Ids of the detectors that were processed, such as 0-8,94.  [default: all of the camera]",
)
@click.option(
    "--threshold",
    type=click.IntRange(min=1),
    default=DEFAULT_THRESHOLD,
    show_default=True,
    help="Failures per detector and test type that fail it.",
)
@click.option(
    "--exposure-stats",
    metavar="PATH",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="Statistics of single exposures, such as verifyFlatExpStats, for failures that those of the run do "
    "not list: a file named by the exposure id, a folder of such files, or a mapping from exposure id.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verdict(
    file: Path,
    image_type: str,
    instrument: Instrument,
    detector_text: str | None,
    threshold: int,
    exposure_stats: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Judge a saved run-statistics file of cp_verify."""
    from ..codec import to_json
    from ..report import verdict_text
    from ..verification import FailureLevel, StatisticsError, dataset_name, hidden_exposures, judge
    from ._statistics import read_details, read_statistics, selected_detectors

    subject = Subject(Product(image_type.upper()))
    try:
        detectors = selected_detectors(detector_text, instrument)
    except ValueError as error:
        fail(f"--detectors {detector_text}: {error}", ExitCode.INVALID)
    try:
        statistics = read_statistics(file)
        hidden = hidden_exposures(statistics, subject)
    except StatisticsError as error:
        fail(f"{file}: not usable as run statistics: {error}", ExitCode.INVALID)
    try:
        details = read_details(exposure_stats, hidden) if hidden else {}
        judged = judge(
            statistics,
            subject,
            n_detectors=len(detectors),
            threshold=threshold,
            details=details,
        )
    except StatisticsError as error:
        fail(f"{file}: cannot be judged: {error}", ExitCode.INVALID)
    if detector_text and (others := _others(judged, detectors)):
        fail(f"{file}: has failures of {', '.join(others)}, which --detectors leaves out", ExitCode.INVALID)
    put(json.dumps(to_json(judged), indent=2) if as_json else verdict_text(judged))
    if judged.unlisted:
        click.echo(
            f"{len(judged.unlisted)} exposure(s) count as failed since {file} does not list their tests. "
            f"Save their {dataset_name(subject, FailureLevel.EXPOSURE)} too, and give that with "
            "--exposure-stats.",
            err=True,
        )
    passed = judged.passed and not judged.failing_detectors
    sys.exit(ExitCode.SUCCESS if passed else ExitCode.INCOMPLETE)


def _others(judged: Verdict, detectors: Collection[Detector]) -> list[str]:
    """Return the names of detectors with failures that are not selected."""
    named = {failure.detector for result in judged.results for failure in result.failures}
    return sorted(named - {"", *(detector.name for detector in detectors)})
