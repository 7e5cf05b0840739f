# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that make pages of runs: report, trend."""

from __future__ import annotations

__all__ = ["report", "trend"]

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..instruments import Instrument
from ._common import ExitCode, check_folder, fail, instrument_option, load_text, show

if TYPE_CHECKING:
    from ..trend import History


@click.command()
@click.argument("file", metavar="RUN.json", type=click.Path(path_type=Path, allow_dash=True))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The page (HTML).")
@click.option("--repo", help="Butler repository to read statistics and images from, again.")
def report(file: Path, output: Path, repo: str | None) -> None:
    """Make the page of a run again, from its JSON; - is stdin.

    It may be that beside the journal, or that of --json. What the page needs
    and RUN.json does not have is taken from beside the journal; what is
    missing there too is left out, and said.
    """
    from ..codec import FormatError
    from ..files.private import one_line, read_text
    from ._report import remake_page

    try:
        is_stdin = str(file) == "-"
        text = load_text(file) if is_stdin else read_text(file, follow=True)
        html, notes = remake_page(text, repo, None if is_stdin else file.parent)
    except FormatError as error:
        fail(f"{file}: {one_line(str(error))}", ExitCode.INVALID)
    except (OSError, ValueError) as error:
        why = one_line(getattr(error, "strerror", None) or str(error))
        fail(f"{file}: cannot be read as a run's JSON: {why}", ExitCode.INVALID)
    except Exception as error:  # noqa: BLE001 - the JSON may hold anything
        what = f"{type(error).__name__}: {one_line(str(error))}"
        fail(f"{file}: no page can be made of this JSON: {what}", ExitCode.INVALID)
    for note in notes:
        show(f"note: {note}", error=True)
    _write_page(output, html)


@click.command()
@click.option("--repo", help="Butler repository whose runs are shown, those without JSON too.")
@instrument_option(with_script=False, unless_given="that of the newest run")
@click.option(
    "--journals",
    type=click.Path(file_okay=False, path_type=Path),
    callback=check_folder,
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
def trend(repo: str | None, instrument: Instrument | None, journals: Path | None, output: Path) -> None:
    """Show read noise, bias level, gain and defects of earlier runs."""
    from ..files.journal import journal_folder
    from ..files.trend_index import DamagedIndexError
    from ..pages import trend_page
    from ..ports import ObservatoryError
    from ._report import open_trend

    folder = journals or journal_folder()
    try:
        camera = instrument.name if instrument else None
        with open_trend(folder, repo, camera) as (history, notes, skipped):
            for text in skipped:
                show(f"Skipped, as no run has left it: {text}", error=True)
            if not history.runs:
                where = f"{folder} or {repo}" if repo else f"{folder}; --repo REPO looks in a repository too"
                fail(f"no run has left any values in {where}", ExitCode.INVALID)
            _show_remarks(history)
            html = trend_page(history, notes)
    except ObservatoryError as error:
        fail(str(error), ExitCode.INVALID)
    except DamagedIndexError as error:
        fail(f"{error}. Run the command again", ExitCode.INVALID)
    _write_page(output, html)


def _show_remarks(history: History) -> None:
    """Print how the newest run compares with those before it."""
    from ..report import fold
    from ..trend import departures, remarks

    earlier, newest = history.earlier, history.runs[-1]
    click.echo(f"Newest run: {newest.name}")
    if not departures(earlier, newest):
        click.echo("Not enough runs that are alike to compare it with.")
    elif found := remarks(earlier, newest):
        for remark in found:
            click.echo(fold(f"{'Warning' if remark.is_far else 'Note'}: {remark.text}"))
    else:
        click.echo("It is like the earlier ones: nothing is outside 3 sigma.")


def _write_page(file: Path, html: str) -> None:
    try:
        file.write_text(html, encoding="utf-8")
    except OSError as error:
        fail(f"-o {file}: cannot be written: {error.strerror}", ExitCode.SCRIPT_FAILED)
    show(f"Written: {file}")
