# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desk, served on loopback."""

from __future__ import annotations

__all__ = ["serve"]

import socket
from collections.abc import Callable

import uvicorn

from ._app import Desk

_ADDRESS = "127.0.0.1"


def serve(desk: Desk, port: int, started: Callable[[str], None]) -> None:
    """Serve a desk until the process is told to stop.

    Parameters
    ----------
    desk : `Desk`
        What to serve.
    port : `int`
        TCP port of this machine's loopback; 0 for any that is free.
    started : `~collections.abc.Callable`
        Takes the address of the desk, once it listens.

    Raises
    ------
    OSError
        If it cannot listen there.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_ADDRESS, port))
        listener.listen()
        started(f"http://{_ADDRESS}:{listener.getsockname()[1]}/")
        config = uvicorn.Config(
            desk.application, log_level="warning", access_log=False, timeout_graceful_shutdown=2
        )
        uvicorn.Server(config).run(sockets=[listener])
