# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The message broker: inside one process, what Kafka is to salobj.

A message reaches each reader on a later turn of that reader's event loop, in
the order of writing. The newest event of each index is kept for readers that
start later, also after its writer has closed, as Kafka keeps it.
"""

from __future__ import annotations

__all__ = ["BROKER", "Broker", "Channel", "Message", "Subscription"]

import asyncio
import collections
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

Message = dict[str, Any]


class Channel(NamedTuple):
    """The name of a stream of messages."""

    subname: str
    """Value of ``LSST_TOPIC_SUBNAME``, which separates users."""

    component: str
    """Name of the SAL component."""

    topic: str
    """Name of the topic, with its prefix."""


@dataclasses.dataclass(frozen=True, eq=False)
class Subscription:
    """A reader of a channel."""

    channel: Channel
    """The channel to read."""

    index: int
    """The SAL index to read; 0 reads every index."""

    loop: asyncio.AbstractEventLoop
    """The event loop of the reader."""

    deliver: Callable[[Message], None]
    """Called in the event loop with each message."""

    def reads(self, index: int) -> bool:
        """Return whether the reader reads messages of an index."""
        return self.index in (0, index)

    def send(self, message: Message) -> None:
        """Schedule the delivery of a message."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self.loop:
            self.loop.call_soon(self.deliver, message)
        elif not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.deliver, message)


class Broker:
    """Delivers messages from writers to readers."""

    def __init__(self) -> None:
        self._subscriptions: dict[Channel, list[Subscription]] = collections.defaultdict(list)
        self._newest: dict[Channel, dict[int, Message]] = collections.defaultdict(dict)

    def subscribe(self, subscription: Subscription) -> list[Message]:
        """Add a reader.

        Parameters
        ----------
        subscription : `Subscription`
            The reader.

        Returns
        -------
        history : `list` [`dict`]
            The newest kept message of each index that it reads.
        """
        self._subscriptions[subscription.channel].append(subscription)
        newest = self._newest[subscription.channel]
        return [message for index, message in newest.items() if subscription.reads(index)]

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove a reader."""
        self._subscriptions[subscription.channel].remove(subscription)

    def publish(self, channel: Channel, index: int, message: Message, keep: bool) -> None:
        """Send a message to every reader of its channel and index.

        Parameters
        ----------
        channel : `Channel`
            The channel to write to.
        index : `int`
            SAL index of the writer.
        message : `dict`
            Field names and values.
        keep : `bool`
            Keep it for readers that start later?
        """
        if keep:
            self._newest[channel][index] = message
        for subscription in tuple(self._subscriptions[channel]):
            if subscription.reads(index):
                subscription.send(message)


BROKER = Broker()
"""The broker of this process."""
