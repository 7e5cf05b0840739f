# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands by which a person decides: decide, decertify, desk."""

from __future__ import annotations

__all__ = ["decertify", "decide", "desk"]

import asyncio
import getpass
import json
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ._common import ExitCode, check_folder, fail, put, show
from ._completion import complete_run

if TYPE_CHECKING:
    from ..butler.publishing import Copy
    from ..decertification import Reach
    from ..deciding import Decided, WaitingProduct
    from ..record import Decision

_DAY = 86_400.0
_HOUR = 3_600.0

journals_option = click.option(
    "--journals",
    type=click.Path(file_okay=False, path_type=Path),
    callback=check_folder,
    help="Folder of the runs' journals.  [default: that of the user's state directory]",
)


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False, shell_complete=complete_run)
@click.argument("action", type=click.Choice(["accept", "reject"]), required=False)
@click.argument("products", metavar="[PRODUCT]...", nargs=-1)
@click.option("--reason", default="", help="Why; it is kept in the record of the run.")
@click.option("--collection", help="CALIBRATION collection to certify into, if not that of the run.")
@click.option("--begin", "begin_date", help="Beginning of the validity range (TAI), if not that of the run.")
@click.option("--end", "end_date", help="End of the validity range (TAI), if not that of the run.")
@journals_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def decide(
    run_id: str | None,
    action: str | None,
    products: tuple[str, ...],
    journals: Path | None,
    reason: str,
    *,
    collection: str | None,
    begin_date: str | None,
    end_date: str | None,
    as_json: bool,
) -> None:
    """Accept or reject what runs with 'certify: ask' have made.

    Without an action, what waits is listed: all of it, or that of RUN. An
    action is for the PRODUCTs that are named, such as BIAS, or for all of RUN
    that wait.
    """
    from ..deciding import Choice, DecisionError
    from ..deciding import decide as make_decision
    from ..files.journal import journal_folder
    from ..record import DecisionKind

    folder = journals or journal_folder()
    if run_id is None or action is None:
        _list(journals, run_id, as_json=as_json)
        return
    choice = Choice(
        DecisionKind(action),
        person(),
        reason,
        products,
        collection=collection,
        begin_date=begin_date,
        end_date=end_date,
    )
    try:
        decided = asyncio.run(make_decision(folder, run_id, choice))
    except DecisionError as error:
        fail(str(error), ExitCode.INVALID)
    _show(decided, as_json=as_json)
    sys.exit(ExitCode.SUCCESS if decided.done else ExitCode.INCOMPLETE)


@click.command()
@journals_option
@click.option("--port", type=click.IntRange(0, 65535), default=8421, show_default=True, help="0 for any.")
@click.option(
    "--tokens",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with a line NAME: TOKEN for each user.  [default: one token, printed, for who starts it]",
)
@click.option("--read-only", is_flag=True, help="Ask for no token; decisions are refused.")
def desk(journals: Path | None, port: int, tokens: Path | None, *, read_only: bool) -> None:
    """Serve the pages at which one decides, to this machine only."""
    from ..files.journal import journal_folder

    try:
        from ..desk import Desk, TokenFileError, new_token, read_tokens, serve
    except ModuleNotFoundError as error:
        missing = f"{error.name} is not installed. Write pip install 'ts-calibrationscripts[desk]'."
        fail(missing, ExitCode.SCRIPT_FAILED)
    if read_only and tokens is not None:
        fail("--read-only needs no --tokens: leave one out.", ExitCode.INVALID)
    token = new_token()
    try:
        names = None if read_only else {token: person()} if tokens is None else read_tokens(tokens)
    except TokenFileError as error:
        fail(str(error), ExitCode.INVALID)

    def started(address: str) -> None:
        login = "" if names is None else f"login#{token}" if tokens is None else "login"
        click.echo(f"Desk: {address}{login}")
        click.echo("Ctrl-C ends it.")
        sys.stdout.flush()

    try:
        serve(Desk(journals or journal_folder(), names), port, started)
    except OSError as error:
        fail(f"--port {port}: {error.strerror}. Write another, or 0 for any.", ExitCode.SCRIPT_FAILED)


@click.command()
@click.argument("run_id", metavar="RUN", shell_complete=complete_run)
@click.argument("products", metavar="[PRODUCT]...", nargs=-1)
@click.option("--reason", default="", help="Why; it is kept in the record of the run. --dry-run needs none.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@journals_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def decertify(
    run_id: str,
    products: tuple[str, ...],
    journals: Path | None,
    reason: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Undo certifications of RUN, all that are chosen or none.

    It is for the PRODUCTs that are named, such as BIAS or 'FLAT
    SDSSr_65mm~empty_1', or for all that RUN has certified. It shows which
    exposures and collections found them, and what these find instead.

    Only the datasets that RUN has certified are taken out of the collection,
    and only if they are still valid for exactly the range that they were
    certified for. The datasets themselves stay in the repository.
    """
    from ..deciding import Choice, DecisionError, reach_of
    from ..deciding import decertify as undo
    from ..files.journal import journal_folder
    from ..ports import ObservatoryError
    from ..record import DecisionKind

    folder = journals or journal_folder()
    try:
        if dry_run:
            reaches = asyncio.run(reach_of(folder, run_id, products))
            _show_reach(reaches, None, as_json=as_json)
            sys.exit(ExitCode.INVALID if any(reach.standing.problem for reach in reaches) else 0)
        choice = Choice(DecisionKind.DECERTIFY, person(), reason, products)
        undone = asyncio.run(undo(folder, run_id, choice))
    except DecisionError as error:
        fail(str(error), ExitCode.INVALID)
    except ObservatoryError as error:
        fail(str(error), ExitCode.INCOMPLETE)
    for warning in undone.warnings:
        show(f"warning: {warning}", error=True)
    _show_reach(undone.reaches, undone.decisions, undone.published, as_json=as_json)


def _show_reach(
    reaches: Sequence[Reach],
    decisions: Sequence[Decision] | None,
    published: Sequence[Copy] = (),
    *,
    as_json: bool,
) -> None:
    from ..codec import to_json
    from ..decertification import reach_json, reach_text

    if as_json:
        data = {
            "dry_run": decisions is None,
            "reach": [reach_json(reach) for reach in reaches],
            "decisions": [to_json(decision) for decision in decisions or ()],
        }
        put(json.dumps(data, indent=2))
        return
    for reach in reaches:
        show(reach_text(reach))
    if decisions is None:
        show("Nothing was changed (--dry-run).")
    for decision in decisions or ():
        show(f"{decision.subject}: decertified; {decision.seen}.")
    _show_published(published)


def person() -> str:
    """Return who uses this program."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _show(decided: Decided, *, as_json: bool) -> None:
    from ..codec import to_json
    from ..report import fold

    for warning in decided.warnings:
        # A verdict has its own lines.
        show(f"warning:\n{warning}" if "\n" in warning else fold(f"warning: {warning}"), error=True)
    if as_json:
        put(json.dumps([to_json(result) for result in decided.results], indent=2))
        return
    for result in decided.results:
        where = f" into {result.collection}" if result.collection else ""
        show(fold(f"{result.stage.subject}: {result.outcome}{where}: {result.reason}"))
    _show_published(decided.published)


def _show_published(copies: Sequence[Copy]) -> None:
    for copy in copies:
        show(f"Published: {copy.url}")


def _list(given: Path | None, run_id: str | None, *, as_json: bool) -> None:
    from ..deciding import waiting_in
    from ..files.journal import journal_folder, load_record
    from ..report import fold, fold_command

    folder = given or journal_folder()

    found = list(waiting_in(folder, lambda line: show(f"Skipped: {line}", error=True)))
    if run_id is not None:
        try:
            load_record(folder, run_id)
        except LookupError as error:
            fail(f"{run_id}: {error}.", ExitCode.INVALID)
        found = [product for product in found if product.run_id == run_id]
    if as_json:
        put(json.dumps([_as_json(product) for product in found], indent=2))
        return
    if not found:
        of_run = "" if run_id is None else f" of run {run_id}"
        show(f"Nothing{of_run} waits for a decision in {folder}.")
        return
    for product in found:
        age = _age(time.time() - product.since)
        show(fold(f"{product.run_id}  {product.subject}  waits for {age}"))
        show(fold(f"    {product.seen}"))
        show(fold(f"    for {product.collection}, {product.begin_date} to {product.end_date}"))
    show("To decide:")
    options = ("--journals", str(given)) if given is not None else ()
    words = (
        "calibscripts",
        "decide",
        found[0].run_id,
        "accept|reject",
        found[0].subject.name,
        *options,
        "--reason",
        "TEXT",
    )
    show(fold_command(words).replace("'accept|reject'", "accept|reject"))


def _as_json(product: WaitingProduct) -> dict[str, object]:
    return {
        "run_id": product.run_id,
        "product": product.subject.product.value,
        "part": product.subject.part,
        "seen": product.seen,
        "since": product.since,
        "collection": product.collection,
        "begin_date": product.begin_date,
        "end_date": product.end_date,
    }


def _age(seconds: float) -> str:
    if seconds < 2 * _HOUR:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / _HOUR:.0f} h" if seconds < 2 * _DAY else f"{seconds / _DAY:.0f} days"
