# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages by apprise, each from a process of its own.

Whatever a target does, the run does not wait for it; nor does the script's
end, which leaves the process behind. This module is also the program of that
process, which takes a request as JSON on its standard input and answers as
JSON.
"""

from __future__ import annotations

__all__ = ["AppriseNotifier", "check_addresses"]

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from ..config import ConfigurationError, Problem, is_masked, masked
from ..threads import in_thread

_TIMEOUT = 20.0
"""Longest that a message may take (s); apprise's own limits are shorter."""

_MARGIN = 10.0
"""What the process needs besides, to import apprise (s)."""

_MAX_TEXT = 2000
"""Longest message (characters), so that a request fits a pipe's buffer."""

_CHECK_TIMEOUT = 20.0
"""Longest check of the addresses (s); the queue allows 60 s to configure."""


def check_addresses(addresses: Sequence[str]) -> None:
    """Check that messages can be sent to addresses, without sending any.

    Parameters
    ----------
    addresses : `~collections.abc.Sequence` [`str`]
        The value of ``notify``.

    Raises
    ------
    ConfigurationError
        If apprise is not installed, or does not know an address.
    """
    addresses = _usable(addresses)
    if not addresses:
        return
    if importlib.util.find_spec("apprise") is None:
        what = "apprise, which sends the messages, is not installed here"
        raise ConfigurationError(
            [Problem("notify", None, what, "install ts-calibrationscripts[notify], or leave notify out")]
        )
    try:
        answers = _answers(_start({"addresses": addresses}), _CHECK_TIMEOUT)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        # A slow machine; what is wrong is reported when a message is sent.
        return
    remedy = "write an address that apprise knows, or the path of a configuration file of apprise"
    problems = [
        Problem("notify", None, f"{answer}: {masked(address)}", remedy)
        for address, answer in zip(addresses, answers, strict=False)
        if answer
    ]
    if problems:
        raise ConfigurationError(problems)


class AppriseNotifier:
    """A `Notifier` by apprise.

    Parameters
    ----------
    addresses : `~collections.abc.Sequence` [`str`]
        The value of ``notify``. Those that are masked are left out.
    log : `logging.Logger`
        Where it says what was sent and what was not, without secrets.
    """

    def __init__(self, addresses: Sequence[str], log: logging.Logger) -> None:
        self._addresses = _usable(addresses)
        self._names = [f"{masked(address)} (number {i})" for i, address in enumerate(self._addresses, 1)]
        self._log = log
        self._under_way: dict[asyncio.Task[None], str] = {}

    def send(self, title: str, text: str) -> None:
        """Send a message to all addresses.

        Parameters
        ----------
        title, text : `str`
            The message.
        """
        if not self._addresses:
            return
        try:
            process = _start({"addresses": self._addresses, "title": title, "text": text[:_MAX_TEXT]})
        except OSError as error:
            self._log.warning(f"No message '{title}' could be sent: {error}")
            return
        task = asyncio.create_task(self._follow(process, title))
        self._under_way[task] = title
        task.add_done_callback(lambda task: self._under_way.pop(task, None))

    async def settle(self) -> None:
        """Wait for the answers to all messages, which takes a limited time."""
        await asyncio.gather(*self._under_way)

    def close(self) -> None:
        """Log which messages have no answer yet; do not wait for any."""
        for task, title in tuple(self._under_way.items()):
            task.cancel()
            self._log.warning(
                f"The message '{title}' to {', '.join(self._names)} has no answer yet. The run ends "
                f"without it; it is tried for {_TIMEOUT:g} s."
            )

    async def _follow(self, process: subprocess.Popen[str], title: str) -> None:
        """Log what becomes of a message."""
        try:
            answers = await in_thread(lambda: _answers(process, _TIMEOUT + _MARGIN))
        except (OSError, ValueError, subprocess.TimeoutExpired):
            self._log.warning(
                f"The message '{title}' to {', '.join(self._names)} may not be sent: no answer."
            )
            return
        for name, answer in zip(self._names, answers, strict=False):
            if answer:
                self._log.warning(f"The message '{title}' to {name} was not sent: {answer}.")
            else:
                self._log.info(f"Sent '{title}' to {name}.")


def _usable(addresses: Sequence[str]) -> list[str]:
    return [address for address in addresses if not is_masked(address)]


def _start(request: dict[str, Any]) -> subprocess.Popen[str]:
    """Start a process on a request, which is not seen in its arguments."""
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name if __spec__ else __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # It outlives the script, which may be stopped by a signal.
        start_new_session=True,
    )
    assert process.stdin is not None, "it is a pipe"
    with contextlib.suppress(BrokenPipeError), process.stdin:
        json.dump(request, process.stdin)
    return process


def _answers(process: subprocess.Popen[str], timeout: float) -> list[str]:
    """Return why each address got no message, "" if it got it.

    Raises
    ------
    ValueError
        If the process did not answer.
    subprocess.TimeoutExpired
        If it did not end in time; it is killed.
    """
    # communicate() would flush the input, which is closed.
    process.stdin = None
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    answers: list[str] = json.loads(output)
    return answers


def _targets(address: str) -> Any:
    """Return what apprise makes of an address, or why it makes nothing."""
    import apprise

    targets = apprise.Apprise()
    if not address.startswith("/"):
        return targets if targets.add(address) else "apprise does not know such an address"
    file = apprise.AppriseConfig()
    if file.add(address) and targets.add(file) and len(targets):
        return targets
    return "the file cannot be read, or has no address that apprise knows"


def _main() -> None:
    """Answer the request on the standard input."""
    request = json.load(sys.stdin)
    made = list(map(_targets, request["addresses"]))
    answers = [targets if isinstance(targets, str) else "" for targets in made]

    def send(i: int) -> None:
        try:
            sent = made[i].notify(title=request["title"], body=request["text"])
            answers[i] = "" if sent else "the target could not be reached, or refused it"
        except Exception as error:  # noqa: BLE001 - its text may have the secret
            answers[i] = type(error).__name__

    if "text" in request:
        sending = [i for i, answer in enumerate(answers) if not answer]
        threads = [threading.Thread(target=send, args=(i,), daemon=True) for i in sending]
        for i, thread in zip(sending, threads, strict=True):
            answers[i] = f"no answer within {_TIMEOUT:g} s"
            thread.start()
        deadline = time.monotonic() + _TIMEOUT
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
    # The script may have ended.
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(answers), flush=True)
    # What still runs is not waited for.
    os._exit(0)


if __name__ == "__main__":
    _main()
