# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``calibscripts``."""

from __future__ import annotations

__all__ = ["ExitCode", "main"]

import click

from . import configuration, deciding, doctor, due, finishing, judging, pages, remaking, runs, serving
from ._common import ExitCode
from ._help import HELP_OPTIONS, Commands, describe
from ._installation import print_version


@click.group(cls=Commands, context_settings={"help_option_names": HELP_OPTIONS})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Take, process, verify and certify calibrations."""


for _command in (
    configuration.validate,
    configuration.plan,
    configuration.schema,
    doctor.doctor,
    due.due,
    judging.verdict,
    runs.run,
    runs.simulate,
    remaking.remake,
    finishing.finish,
    serving.serve,
    deciding.decide,
    deciding.desk,
    deciding.decertify,
    pages.report,
    pages.trend,
):
    main.add_command(describe(_command))
