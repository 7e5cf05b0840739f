# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the executables that the script queue starts have in common."""

from __future__ import annotations

__all__ = ["decide", "main"]

import argparse
import sys
from collections.abc import Callable
from typing import Any

from .config import document_path, schema_text
from .instruments import Instrument


def main(instrument: Instrument) -> None:
    """Run the script of an instrument, or print its schema.

    Parameters
    ----------
    instrument : `Instrument`
        One that has a script, see ``observatory/scripts.py``.
    """

    def find_script() -> Any:
        from .observatory.scripts import script_class
        from .report_process import write_in_process

        script = script_class(instrument)
        script.write_report = staticmethod(write_in_process)
        return script

    purpose = f"Take and process calibrations of {instrument.name}."
    _launch(purpose, lambda: schema_text(instrument), find_script)


def decide() -> None:
    """Run the script that decides about calibrations, or print its schema."""

    def find_script() -> Any:
        from .observatory.decide_calibrations import DecideCalibrations

        return DecideCalibrations

    purpose = "Accept or reject calibrations that wait for a person."
    _launch(
        purpose, lambda: document_path("decide_calibrations.yaml").read_text(encoding="utf-8"), find_script
    )


def _launch(purpose: str, schema: Callable[[], str], find_script: Callable[[], Any]) -> None:
    """Run a script, or print its schema.

    The script queue asks every executable for its schema and waits for the
    answer, so that is given before anything large is imported.
    """
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("index", type=int, help="SAL index of the script, unique among running scripts")
    parser.add_argument("--schema", action="store_true", help="print the configuration schema and quit")
    arguments = parser.parse_args()
    if arguments.schema:
        print(schema())
        return
    if arguments.index == 0:
        parser.error("index 0 is for --schema only: it means every script")

    import asyncio

    from .observatory import sal

    try:
        sal.provider()
    except ValueError as error:
        parser.error(str(error))
    try:
        script = find_script()
    except sal.SalNotInstalledError as error:
        sys.exit(str(error))
    if not sal.has_subname():
        parser.error(". ".join(sal.NO_SUBNAME))
    asyncio.run(script.amain())
