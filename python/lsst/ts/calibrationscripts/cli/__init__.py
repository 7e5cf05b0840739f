# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``calibscripts``."""

from __future__ import annotations

__all__ = ["ExitCode", "main"]

import click

from . import configuration, judging, pages, runs
from ._common import ExitCode


@click.group()
@click.version_option(package_name="ts-calibrationscripts")
def main() -> None:
    """Take, process, verify and certify calibrations."""


for _command in (
    configuration.validate,
    configuration.plan,
    configuration.schema,
    judging.verdict,
    runs.run,
    runs.simulate,
    pages.report,
    pages.trend,
):
    main.add_command(_command)
