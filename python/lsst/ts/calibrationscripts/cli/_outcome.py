# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands leave of a run: its JSON and an exit code."""

from __future__ import annotations

__all__ = ["exit_with", "write_json"]

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ..outcomes import RunState
from ._common import ExitCode, show

if TYPE_CHECKING:
    from ..report import RunReport


def write_json(file: Path | None, report: RunReport) -> None:
    """Write the JSON of a run, if a file is named for it."""
    if file is None:
        return
    from ..codec import to_json

    try:
        file.write_text(json.dumps(to_json(report), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        # The exit code is that of the run, which has ended.
        show(f"--json {file}: cannot be written: {error}", error=True)


def exit_with(report: RunReport) -> NoReturn:
    """Exit with the code of a run's end."""
    if report.state is not RunState.DONE:
        sys.exit(ExitCode.SCRIPT_FAILED)
    sys.exit(ExitCode.SUCCESS if report.complete else ExitCode.INCOMPLETE)
