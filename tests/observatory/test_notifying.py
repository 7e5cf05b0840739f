# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages by apprise itself, to a server of the test."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from lsst.ts.calibrationscripts.config import ConfigurationError
from lsst.ts.calibrationscripts.observatory import notifying
from lsst.ts.calibrationscripts.observatory.notifying import AppriseNotifier, check_addresses

pytest.importorskip("apprise", reason="apprise is not installed: install the extra [notify]")

pytestmark = pytest.mark.usefixtures("no_sender_left")

TIMEOUT = 100.0
"""What a test waits for at most (s)."""


class Target:
    """A target of messages, and what has come."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                target.messages.append(json.loads(self.rfile.read(length)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"json://user:s3cret@127.0.0.1:{self.server.server_port}"


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    thread = threading.Thread(target=target.server.serve_forever)
    thread.start()
    yield target
    target.server.shutdown()
    target.server.server_close()
    thread.join()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> logging.Logger:
    caplog.set_level(logging.INFO)
    return logging.getLogger("a script")


async def all_sent(caplog: pytest.LogCaptureFixture, n: int) -> list[str]:
    """Return the log once it has a number of messages."""
    async with asyncio.timeout(TIMEOUT):
        while len(caplog.messages) < n:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return caplog.messages


async def test_a_message_goes_to_addresses_and_to_those_of_a_file(
    target: Target, log: logging.Logger, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    file = tmp_path / "apprise.conf"
    file.write_text(f"{target.address}/from-file\n", encoding="utf-8")
    # Given a target that is there, one that is not, and a file of one
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        gone = f"json://127.0.0.1:{unused.getsockname()[1]}/s3cret"
        AppriseNotifier([target.address, gone, str(file)], log).send("LATISS BIAS: HELD", "too much noise")
        # Then the message arrives where it can, and the log has no secret.
        messages = await all_sent(caplog, 3)
    assert [(each["title"], each["message"]) for each in target.messages] == [
        ("LATISS BIAS: HELD", "too much noise")
    ] * 2
    assert messages == [
        "Sent 'LATISS BIAS: HELD' to json://*** (number 1).",
        "The message 'LATISS BIAS: HELD' to json://*** (number 2) was not sent: the target could not be "
        "reached, or refused it.",
        f"Sent 'LATISS BIAS: HELD' to {file} (number 3).",
    ]


async def test_a_message_that_outlives_the_run_is_delivered(
    target: Target, log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = AppriseNotifier([target.address], log)
    notifier.send("LATISS BIAS: WAITING", "for a person")
    await asyncio.sleep(0)
    notifier.close()
    (message,) = caplog.messages
    assert message == (
        "The message 'LATISS BIAS: WAITING' to json://*** (number 1) has no answer yet. The run ends without "
        "it; it is tried for 20 s."
    )
    async with asyncio.timeout(TIMEOUT):
        while not target.messages:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_process_that_does_not_answer_is_ended(
    log: logging.Logger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "_TIMEOUT", 0.0)
    monkeypatch.setattr(notifying, "_MARGIN", 0.0)
    AppriseNotifier(["json://127.0.0.1/s3cret"], log).send("LATISS BIAS: HELD", "")
    (message,) = await all_sent(caplog, 1)
    assert message.endswith("to json://*** (number 1) may not be sent: no answer.")


async def test_what_a_masked_address_was_is_not_known(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = AppriseNotifier(["json://***"], log)
    notifier.send("LATISS BIAS: HELD", "")
    notifier.close()
    assert caplog.messages == []


def test_addresses_are_checked_without_a_message(target: Target, tmp_path: Path) -> None:
    check_addresses([target.address])
    with pytest.raises(ConfigurationError) as caught:
        check_addresses([target.address, "pigeon://s3cret", str(tmp_path / "none.conf")])
    assert target.messages == []
    assert [problem.what for problem in caught.value.problems] == [
        "apprise does not know such an address: pigeon://***",
        f"the file cannot be read, or has no address that apprise knows: {tmp_path}/none.conf",
    ]
