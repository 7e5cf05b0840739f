# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``due``: which calibrations are found, and what is due."""

from __future__ import annotations

__all__ = ["due"]

import asyncio
import datetime
import json
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..instruments import Instrument
from ._common import ExitCode, fail, instrument_option, read_text, show, within

if TYPE_CHECKING:
    from ..butler.due import Nights
    from ..due import DueReport, Policy
    from ..spoilt import Mark

_MARKS_TIMEOUT = 20.0
"""Longest look for marks of spoilt frames in the journals (s)."""

_FLATS_TIMEOUT = 30.0
"""Longest look for flats of each filter in the repository (s)."""


@click.command()
@click.option(
    "--nights",
    type=click.IntRange(1, 10_000),
    help="The newest N nights that have exposures.  [default: 1, or all with --from, --to or --where]",
)
@click.option("--from", "first", metavar="DATE", help="First observing day, such as 2026-11-25.")
@click.option("--to", "last", metavar="DATE", help="Last observing day.")
@click.option("--where", default="", help="Expression of the Butler's that exposures must fulfil.")
@instrument_option(with_script=False)
@click.option("--repo", help="Butler repository.  [default: that of the instrument]")
@click.option(
    "--collections",
    help="Where calibrations are looked up, separated by commas.  [default: that of the instrument, such as "
    "LATISS/calib]",
)
@click.option(
    "--policy", "policy_file", type=click.Path(path_type=Path), help="YAML: ages in days, by dataset type."
)
@click.option(
    "--journals",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the runs' journals.  [default: that of the user's state directory]",
)
@click.option("--json", "json_file", metavar="FILE", help="Write JSON here; - is stdout, in place of text.")
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="Write a page (HTML) here.")
def due(
    nights: int | None,
    first: str | None,
    last: str | None,
    where: str,
    instrument: Instrument,
    repo: str | None,
    *,
    collections: str | None,
    policy_file: Path | None,
    journals: Path | None,
    json_file: str | None,
    html_file: Path | None,
) -> None:
    """Say which calibrations exposures find, and which are due.

    For each bias, dark, flat, defects and ptc: what is found, its age, its
    verdict and who certified it; what is missing, has expired or is too old;
    and the configurations to queue.
    """
    from ..butler.due import WrongQueryError
    from ..due import due_json, due_text
    from ..files.journal import journal_folder
    from ..ports import ObservatoryError

    chosen = _nights(nights, first, last, where)
    policy = _policy(policy_file)
    searched = tuple(filter(None, map(str.strip, (collections or instrument.calib_collection).split(","))))
    if not searched:
        fail(f"--collections {collections!r}: names no collection", ExitCode.INVALID)
    repo = repo or instrument.repo
    if Path(repo).is_dir():
        # The script that is proposed runs elsewhere.
        repo = str(Path(repo).absolute())
    try:
        report = _look(repo, instrument, chosen, searched, policy, journals or journal_folder())
    except WrongQueryError as error:
        fail(str(error), ExitCode.INVALID)
    except ObservatoryError as error:
        fail(str(error), ExitCode.SCRIPT_FAILED)
    if not report.exposures:
        fail(
            f"{report.repo} has none of these exposures of {instrument.name}: write other nights, or another "
            "--where or --repo.",
            ExitCode.INVALID,
        )
    if json_file != "-":
        show(due_text(report))
    if json_file is not None:
        _write("--json", json_file, json.dumps(due_json(report), indent=2))
    if html_file is not None:
        from ..pages import due_page

        _write("--html", str(html_file), due_page(report))
    sys.exit(ExitCode.INCOMPLETE if report.due else ExitCode.SUCCESS)


def _look(
    repo: str,
    instrument: Instrument,
    nights: Nights,
    searched: tuple[str, ...],
    policy: Policy,
    folder: Path,
) -> DueReport:
    from ..butler.due import made_at, read_due
    from ..decertification import iso
    from ..due import DueReport, Setting, State, find, judge, newest, propose, without_repeats
    from ..offline import tai_now
    from ._origins import origins_in
    from ._proposed import foreseen

    setting = Setting(instrument, repo, searched, policy)
    exposures, stock = asyncio.run(
        read_due(repo, instrument.name, nights, searched, policy.dataset_types, setting.daily)
    )
    now = round(tai_now() * 10**9)
    findings = find(stock, exposures, instrument.detector_ids(), policy, now)
    found = {(each.dataset_type, each.run) for each in findings if each.state is State.FOUND}
    made = asyncio.run(made_at(repo, found))
    judged = judge(findings, made, origins_in(folder, findings), policy)
    due = [each.lacking for each in judged if each.due]
    if filters := {each.physical_filter for each in due if each.physical_filter is not None}:
        setting = replace(setting, flat_times=_flat_times(repo, instrument, filters))
    proposals, remarks = propose(due, setting, stock, max(now, newest(exposures)))
    remarks = (*remarks, *foreseen(proposals, instrument))
    ids = tuple(each.id for each in exposures)
    return DueReport(
        instrument.name,
        repo,
        searched,
        ids,
        iso(now),
        policy,
        without_repeats(judged),
        proposals,
        remarks,
        _marks(folder, ids, instrument),
    )


def _flat_times(repo: str, instrument: Instrument, filters: Collection[str]) -> dict[str, float]:
    """Return how long flats last by custom (s); say if that is not known."""
    from ..butler.due import flat_times
    from ..ports import ObservatoryError

    try:
        return asyncio.run(flat_times(repo, instrument.name, filters, _FLATS_TIMEOUT))
    except ObservatoryError as error:
        show(f"Flats are proposed with the default exposure time: {error}", error=True)
        return {}


def _marks(folder: Path, exposures: tuple[int, ...], instrument: Instrument) -> tuple[Mark, ...]:
    """Return which exposures runs have noted as spoilt; say if not known."""
    from ..files.marks import known_marks

    if not folder.is_dir():
        return ()
    try:
        return within(_MARKS_TIMEOUT, lambda: known_marks(folder, exposures, instrument.name))
    except OSError as error:
        # A timeout is one.
        why = error.strerror or f"no answer within {_MARKS_TIMEOUT:g} s"
        show(f"Spoilt frames are not shown: the journals in {folder} could not be read: {why}", error=True)
        return ()


def _nights(nights: int | None, first: str | None, last: str | None, where: str) -> Nights:
    from ..butler.due import Nights

    if nights is not None and (first or last):
        fail("--nights and --from or --to: write one or the other", ExitCode.INVALID)
    begin = None if first is None else _day("from", first)
    end = None if last is None else _day("to", last)
    if begin is not None and end is not None and begin > end:
        fail(f"--from {first} is after --to {last}", ExitCode.INVALID)
    if nights is None and not (first or last or where):
        nights = 1
    return Nights(nights, begin, end, where)


def _day(option: str, text: str) -> int:
    try:
        return int(f"{datetime.date.fromisoformat(text):%Y%m%d}")
    except ValueError:
        fail(f"--{option} {text}: is not a date; write, for example, 2026-11-25", ExitCode.INVALID)


def _policy(file: Path | None) -> Policy:
    from ..due import Policy, PolicyError, read_policy

    if file is None:
        return Policy()
    try:
        return read_policy(read_text(file))
    except PolicyError as error:
        fail(f"--policy {file}: {error}", ExitCode.INVALID)


def _write(option: str, file: str, text: str) -> None:
    if file == "-":
        show(text)
        return
    try:
        Path(file).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        fail(f"{option} {file}: cannot be written: {error.strerror}", ExitCode.SCRIPT_FAILED)
    show(f"Written: {file}", error=True)
