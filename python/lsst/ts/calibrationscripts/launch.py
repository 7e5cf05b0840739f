# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the executables that the script queue starts have in common."""

from __future__ import annotations

__all__ = ["main"]

import argparse
import sys

from .config import schema_text
from .instruments import LATISS


def main() -> None:
    """Run the script, or print its schema.

    The script queue asks every executable for its schema and waits for the
    answer, so that is given before anything large is imported.
    """
    parser = argparse.ArgumentParser(description="Take and process calibrations of LATISS.")
    parser.add_argument("index", type=int, help="SAL index of the script, unique among running scripts")
    parser.add_argument("--schema", action="store_true", help="print the configuration schema and quit")
    arguments = parser.parse_args()
    if arguments.schema:
        print(schema_text(LATISS))
        return
    if arguments.index == 0:
        parser.error("index 0 goes with --schema alone: it stands for every script")

    import asyncio

    from .observatory import sal

    try:
        sal.provider()
    except ValueError as error:
        parser.error(str(error))
    try:
        from .observatory.make_latiss_calibrations import MakeLatissCalibrations
    except sal.SalNotInstalledError as error:
        sys.exit(str(error))
    asyncio.run(MakeLatissCalibrations.amain())
