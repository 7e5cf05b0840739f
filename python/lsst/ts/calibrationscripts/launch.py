# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the executables that the script queue starts have in common."""

from __future__ import annotations

__all__ = ["main"]

import argparse
import sys

from .config import schema_text
from .instruments import Instrument


def main(instrument: Instrument) -> None:
    """Run the script of an instrument, or print its schema.

    The script queue asks every executable for its schema and waits for the
    answer, so that is given before anything large is imported.

    Parameters
    ----------
    instrument : `Instrument`
        One that has a script, see ``observatory/scripts.py``.
    """
    parser = argparse.ArgumentParser(description=f"Take and process calibrations of {instrument.name}.")
    parser.add_argument("index", type=int, help="SAL index of the script, unique among running scripts")
    parser.add_argument("--schema", action="store_true", help="print the configuration schema and quit")
    arguments = parser.parse_args()
    if arguments.schema:
        print(schema_text(instrument))
        return
    if arguments.index == 0:
        parser.error("index 0 is for --schema only: it means every script")

    import asyncio

    from .observatory import sal
    from .observatory.scripts import script_class

    try:
        sal.provider()
    except ValueError as error:
        parser.error(str(error))
    try:
        script = script_class(instrument)
    except sal.SalNotInstalledError as error:
        sys.exit(str(error))
    asyncio.run(script.amain())
