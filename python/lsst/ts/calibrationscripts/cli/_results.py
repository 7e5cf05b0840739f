# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``run`` and ``simulate`` have in common: what they leave."""

from __future__ import annotations

__all__ = ["exit_code", "parse_to_run", "result_to", "runs_json", "to_run_json", "worst"]

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..instruments import Instrument
from ..outcomes import RunState
from ._common import ExitCode, fail, parse_config, put, show

if TYPE_CHECKING:
    from ..config import CalibrationConfig
    from ..record import RunRecord
    from ..report import RunReport
    from ._inputs import Configuration

_BY_SEVERITY = (ExitCode.SCRIPT_FAILED, ExitCode.INVALID, ExitCode.INCOMPLETE, ExitCode.SUCCESS)


def parse_to_run(
    text: str,
    instrument: Instrument,
    journals: Path | None = None,
    find_generation: Callable[[str], tuple[str, str]] | None = None,
) -> CalibrationConfig:
    """Parse a configuration with that of the run that it resumes.

    Parameters
    ----------
    text : `str`
        The configuration (YAML).
    instrument : `Instrument`
        The instrument that it is for.
    journals : `pathlib.Path`, optional
        Folder of the journals, if not that of the configuration.
    find_generation : `~collections.abc.Callable`, optional
        Finds the generation of the pipelines; see `config.parse`.

    Returns
    -------
    config : `CalibrationConfig`
    """
    from ..config import ConfigurationError
    from ..files.journal import journal_folder, load_record, lock_earlier_run
    from ..offline import of_instrument
    from ..procedure import check_without

    found: list[RunRecord] = []

    def earlier(run_id: str, journal_dir: str | None) -> Mapping[str, Any]:
        folder = journals or journal_folder(journal_dir)
        # The script locks it again. This says at once if it is running.
        lock_earlier_run(folder, run_id).release()
        found.append(of_instrument(load_record(folder, run_id), instrument))
        return found[0].config

    config = parse_config(text, instrument, earlier, find_generation)
    try:
        for record in found:
            check_without(config, record)
    except ConfigurationError as error:
        fail(str(error), ExitCode.INVALID)
    return config


def exit_code(report: RunReport) -> ExitCode:
    """Return the code of a run's end.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    code : `ExitCode`
    """
    if report.state is not RunState.DONE:
        return ExitCode.SCRIPT_FAILED
    return ExitCode.SUCCESS if report.complete else ExitCode.INCOMPLETE


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the code that says most of what went wrong.

    Parameters
    ----------
    codes : iterable of `ExitCode`
        At least one.

    Returns
    -------
    code : `ExitCode`
    """
    return min(codes, key=_BY_SEVERITY.index)


@contextlib.contextmanager
def result_to(file: Path | None) -> Iterator[Callable[[object], None]]:
    """Give a function that writes a result as JSON, to a file or to stdout.

    As long as the result is expected on stdout, everything else goes to
    stderr.

    Parameters
    ----------
    file : `pathlib.Path` or `None`
        Where to; ``-`` for stdout, `None` for nowhere.

    Yields
    ------
    write : `~collections.abc.Callable`
        Takes what JSON has.
    """

    def to_stdout(data: object) -> None:
        with contextlib.redirect_stdout(stdout):
            put(_as_text(data))

    def to_file(data: object) -> None:
        if file is None:
            return
        try:
            file.write_text(f"{_as_text(data)}\n", encoding="utf-8")
        except OSError as error:
            # The exit code is that of the run, which has ended.
            show(f"--json {file}: cannot be written: {error.strerror}", error=True)

    stdout = sys.stdout
    if file is None or str(file) != "-":
        yield to_file
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield to_stdout


def to_run_json(report: RunReport) -> dict[str, Any]:
    """Return the JSON of one run.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    data : `dict` [`str`, `Any`]
    """
    from ..codec import to_json

    return to_json(report)


def runs_json(chosen: Sequence[tuple[str, Configuration]], reports: Sequence[RunReport]) -> dict[str, Any]:
    """Return the JSON of the runs that were asked for.

    Parameters
    ----------
    chosen : sequence of `tuple`
        What messages call each configuration, and the configuration.
    reports : sequence of `RunReport`
        Those that were run, in this order.

    Returns
    -------
    data : `dict` [`str`, `Any`]
        If there is one configuration, its run.
    """
    from ..codec import FORMAT

    if len(chosen) == 1:
        return to_run_json(reports[0])
    entries = [
        {"source": source, "script": given.script, "exit_code": None, "run": None} for source, given in chosen
    ]
    for entry, report in zip(entries, reports, strict=False):
        entry |= {"exit_code": int(exit_code(report)), "run": to_run_json(report)}  # type: ignore[dict-item]
    return {"format": FORMAT, "exit_code": int(worst(map(exit_code, reports))), "runs": entries}


def _as_text(data: object) -> str:
    return json.dumps(data, indent=2)
