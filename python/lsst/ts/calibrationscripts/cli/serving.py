# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``serve``: the simulated CSCs alone."""

from __future__ import annotations

__all__ = ["serve"]

from pathlib import Path

import click

from ..instruments import Instrument
from ._common import (
    OF_WORKDIR,
    ExitCode,
    fail,
    instrument_of_workdir,
    instrument_option,
    time_scale_option,
    use_sal,
    workdir_option,
)
from ._installation import simulation_hint

_UNREACHABLE = "no other process can reach the simulated CSCs"


@click.command()
@workdir_option
@instrument_option(with_script=True, unless_given=OF_WORKDIR)
@time_scale_option
def serve(workdir: Path, instrument: Instrument | None, time_scale: float) -> None:
    """Run the simulated observatory for other programs.

    Its CSCs use the SAL that is installed, so that a script can be tried on
    them from a real script queue. SIGINT (Ctrl-C), SIGTERM and SIGHUP stop
    it.
    """
    if hint := simulation_hint():
        fail(hint, ExitCode.SCRIPT_FAILED)
    from ..observatory import sal

    use_sal(sal.SalProvider.SALOBJ)
    try:
        # The import needs SAL, whichever is chosen.
        from ._serving import AlreadyServedError, UnreachableError, serve_simulated
    except sal.SalNotInstalledError:
        fail(
            f"lsst.ts.salobj is not installed here, and without it {_UNREACHABLE}. 'calibscripts simulate' "
            "runs a script and the CSCs in one process. To serve them nevertheless, set "
            "CALIBSCRIPTS_SAL=local.",
            ExitCode.SCRIPT_FAILED,
        )
    if sal.provider() is sal.SalProvider.LOCAL:
        click.echo(f"CALIBSCRIPTS_SAL is local: {_UNREACHABLE}.", err=True)
    from ..simulation.observatory import WorkFolderError
    from ._program import run_until_signal

    try:
        run_until_signal(serve_simulated(workdir, instrument or instrument_of_workdir(workdir), time_scale))
    except (WorkFolderError, AlreadyServedError) as error:
        fail(str(error), ExitCode.INVALID)
    except UnreachableError as error:
        fail(str(error), ExitCode.SCRIPT_FAILED)
