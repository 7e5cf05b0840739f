# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the executables that the script queue starts have in common."""

from __future__ import annotations

__all__ = ["main"]

import argparse
import sys

from .config import schema_text


def main() -> None:
    """Run the script, or print its schema.

    The script queue asks every executable for its schema and waits for the
    answer, so that is given before anything large is imported.
    """
    parser = argparse.ArgumentParser(description="Take and process calibrations of LATISS.")
    parser.add_argument("index", type=int, help="SAL index of the script, unique among running scripts")
    parser.add_argument("--schema", action="store_true", help="print the configuration schema and quit")
    if parser.parse_args().schema:
        print(schema_text())
        return

    import asyncio

    from .observatory import sal

    try:
        from .observatory.make_latiss_calibrations import MakeLatissCalibrations
    except sal.SalNotInstalledError as error:
        sys.exit(str(error))
    asyncio.run(MakeLatissCalibrations.amain())
