# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that makes products of a run anew, without some frames."""

from __future__ import annotations

__all__ = ["remake"]

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..instruments import Instrument
from ._common import ExitCode, fail, instrument_option, parse_config, show
from .deciding import journals_option, person
from .runs import json_option, run_text, simulate_text

if TYPE_CHECKING:
    from ..record import RunRecord

_EXPOSURE_ID = re.compile(r"[0-9]{13}", re.ASCII)


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--without", "first", multiple=True, metavar="ID...", help="Exposure ids to leave out.")
@click.argument("more", metavar="[ID]...", nargs=-1)
@click.option("--with", "again", multiple=True, metavar="ID", help="Use a frame again that was left out.")
@click.option("--reason", default="", help="Why; it is kept in the record of the run.")
@instrument_option(with_script=True)
@journals_option
@click.option(
    "--workdir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Work folder of the simulated observatory that has run it.  [default: the SAL that is installed]",
)
@json_option
def remake(
    run_id: str,
    first: tuple[str, ...],
    more: tuple[str, ...],
    again: tuple[str, ...],
    reason: str,
    instrument: Instrument,
    *,
    journals: Path | None,
    workdir: Path | None,
    json_file: Path | None,
) -> None:
    """Make products of RUN anew, without frames that a person names.

    They are verified, judged and certified, or wait for a decision, as RUN
    asks. No frame is taken. What is certified already has to be decertified
    first.
    """
    if more and not first:
        fail(f"{' '.join(more)}: write --without before the exposure ids.", ExitCode.INVALID)
    leave_out, use = _ids("--without", (*first, *more)), _ids("--with", again)
    if not leave_out and not use:
        fail("Name the frames to leave out: --without and their exposure ids.", ExitCode.INVALID)
    if workdir is not None:
        folder = workdir.absolute() / "journal"
        if journals is not None:
            fail("--journals: the journals are in the --workdir. Leave one out.", ExitCode.INVALID)
    else:
        from ..files.journal import journal_folder

        folder = journals or journal_folder()
    record = _read(folder, run_id)
    before = [each for each in record.config.get("without") or () if isinstance(each, int)]
    if unknown := [str(each) for each in use if each not in before]:
        fail(f"--with {' '.join(unknown)}: not left out of run {run_id}.", ExitCode.INVALID)
    without = [each for each in dict.fromkeys((*before, *leave_out)) if each not in use]
    text = _configuration(run_id, without, reason, None if journals is None else str(folder.absolute()))
    _check(text, instrument, record, folder)
    kept = [str(each) for each in without if each in before]
    if kept:
        show(f"Left out before, and again: {', '.join(kept)}")
    if workdir is None:
        run_text(text, instrument, json_file)
    simulate_text(text, instrument, workdir, json_file)


def _ids(option: str, texts: Iterable[str]) -> list[int]:
    """Return exposure ids, which may have commas between them."""
    words = [word for text in texts for word in re.split(r"[\s,]+", text) if word]
    if wrong := [word for word in words if not _EXPOSURE_ID.fullmatch(word)]:
        fail(
            f"{option} {wrong[0]}: not an exposure id. Write its 13 digits, for example 2022092900004.",
            ExitCode.INVALID,
        )
    return list(dict.fromkeys(map(int, words)))


def _read(folder: Path, run_id: str) -> RunRecord:
    from ..files.journal import load_record, lock_earlier_run

    try:
        lock_earlier_run(folder, run_id).release()
        return load_record(folder, run_id)
    except LookupError as error:
        fail(f"{run_id}: {'; '.join(map(str, error.args))}.", ExitCode.INVALID)


def _configuration(run_id: str, without: list[int], reason: str, journals: str | None) -> str:
    import yaml

    data: dict[str, Any] = {"resume": run_id, "without": without, "without_by": person()}
    if reason.strip():
        data["without_reason"] = reason.strip()
    if journals is not None:
        data["journal_dir"] = journals
    return yaml.safe_dump(data, sort_keys=False)


def _check(text: str, instrument: Instrument, record: RunRecord, folder: Path) -> None:
    """Refuse what would need the camera, or replace what is certified."""
    from ..config import ConfigurationError
    from ..files.journal import journal_file
    from ..plan import make_plan
    from ..procedure import check_without, refusal_to_replace, remade, remaining, replaced
    from ..report import resume_configuration

    def earlier(run_id: str, journal_dir: str | None) -> Mapping[str, Any]:
        return record.config

    config = parse_config(text, instrument, earlier)
    plan = make_plan(config, instrument)
    run_id = record.run_id
    if left := remaining(plan, config, record).exposures:
        fail(
            f"{run_id}: {len(left)} of its frames are still to be taken, and remake takes none. Resume it "
            f"first: '{resume_configuration(run_id, record.config)}'. With 'without: [ID, ...]' beside that, "
            "frames are left out too.",
            ExitCode.INVALID,
        )
    try:
        check_without(config, record)
    except ConfigurationError as error:
        fail(str(error), ExitCode.INVALID)
    anew = remade(plan, config, record)
    if certified := replaced(anew, record):
        refusal = refusal_to_replace(run_id, certified, str(journal_file(folder, run_id)))
        fail(f"{refusal}.", ExitCode.INVALID)
    if not anew:
        show("Nothing is made anew that was made: these frames went into nothing.", error=True)
