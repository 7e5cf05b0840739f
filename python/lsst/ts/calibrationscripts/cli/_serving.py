# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve the simulated observatory on SAL.

Imported once it is decided where SAL comes from.
"""

from __future__ import annotations

__all__ = ["AlreadyServedError", "UnreachableError", "serve_simulated"]

import asyncio
import os
from pathlib import Path
from typing import Any

import yaml

from ..instruments import Instrument
from ..observatory.sal import has_subname, salobj
from ..preconditions import preconditions_of
from ..simulation.observatory import SimulatedObservatory, SimulationSettings
from ..simulation.repository import is_repository, read_kind
from ._common import show

_HEARTBEAT_TIMEOUT = 3.0
"""Silence after which a component is not there: they beat each second (s)."""


_START_TIMEOUT = 60.0
"""Longest wait until one can listen on SAL (s)."""


class UnreachableError(RuntimeError):
    """SAL does not answer."""


class AlreadyServedError(RuntimeError):
    """Components are there already, under the same names."""


async def serve_simulated(workdir: Path, instrument: Instrument, time_scale: float) -> None:
    """Run the simulated observatory until this is cancelled.

    Parameters
    ----------
    workdir : `pathlib.Path`
        Its folder.
    instrument : `Instrument`
        Its camera.
    time_scale : `float`
        Duration of a simulated second (s).

    Raises
    ------
    AlreadyServedError
        If any of its components is alive: a simulated camera must not take
        the commands of the real one.
    UnreachableError
        If SAL does not answer.
    WorkFolderError
        If the folder holds an observatory of another kind.
    """
    if not has_subname():
        salobj.set_test_topic_subname(randomize=True)
    os.environ.setdefault("LSST_SITE", "test")
    subname = os.environ["LSST_TOPIC_SUBNAME"]
    around = (each.component for each in preconditions_of(instrument.name))
    names = dict.fromkeys((*instrument.components.names, *around))
    components = [*((name, 0) for name in names), ("OCPS", instrument.ocps_index)]
    show(f"Looking for components under LSST_TOPIC_SUBNAME={subname}.", error=True)
    if alive := await _alive(components):
        raise AlreadyServedError(
            f"LSST_TOPIC_SUBNAME={subname}: {', '.join(alive)} exist there already. End them, or set another "
            "LSST_TOPIC_SUBNAME."
        )
    repo = workdir / "repo"
    is_old = is_repository(repo)
    settings = SimulationSettings(generation=read_kind(repo).generation) if is_old else SimulationSettings()
    async with SimulatedObservatory(
        workdir, instrument=instrument, settings=settings, time_scale=time_scale
    ) as observatory:
        show(_description(observatory, subname, [_name(*component) for component in components]))
        try:
            await asyncio.Event().wait()
        finally:
            show("Ending the simulated observatory.", error=True)


def _description(observatory: SimulatedObservatory, subname: str, components: list[str]) -> str:
    """Return what a client of the observatory has to know."""
    config = {
        "repo": str(observatory.repo),
        "ocps_log_path": observatory.ocps_log_path,
        "pipeline_generation": read_kind(observatory.repo).generation,
    }
    return "\n".join(
        [
            "The simulated observatory is ready; Ctrl-C ends it.",
            f"Environment: LSST_TOPIC_SUBNAME={subname} LSST_SITE={os.environ['LSST_SITE']}",
            f"Components, all ENABLED: {', '.join(components)}",
            f"Repository: {observatory.repo}",
            f"Observing day: {observatory.day_obs}",
            "Configuration of a script that uses it:",
            *(f"    {line}" for line in yaml.safe_dump(config, sort_keys=False).splitlines()),
        ]
    )


async def _alive(components: list[tuple[str, int]]) -> list[str]:
    """Return the names of the components that send heartbeats."""
    async with salobj.Domain() as domain:
        remotes = [
            salobj.Remote(
                domain, name, index or None, readonly=True, include=["heartbeat"], evt_max_history=0
            )
            for name, index in components
        ]
        # A start that is cancelled could not be closed (salobj 8.2).
        _, late = await asyncio.wait([remote.start_task for remote in remotes], timeout=_START_TIMEOUT)
        if late:
            raise UnreachableError(
                f"SAL does not answer within {_START_TIMEOUT:g} s. Check LSST_KAFKA_BROKER_ADDR and "
                "LSST_SCHEMA_REGISTRY_URL, and that both servers run."
            )
        beats = await asyncio.gather(*map(_beats, remotes))
    return [_name(*component) for component, beat in zip(components, beats, strict=True) if beat]


async def _beats(remote: Any) -> bool:
    try:
        await remote.evt_heartbeat.next(flush=False, timeout=_HEARTBEAT_TIMEOUT)
    except TimeoutError:
        return False
    return True


def _name(component: str, index: int) -> str:
    return f"{component}:{index}" if index else component
