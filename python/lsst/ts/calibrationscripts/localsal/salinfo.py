# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection of one program to one SAL component and index."""

from __future__ import annotations

__all__ = ["SalInfo"]

import asyncio
import collections
import functools
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .base import current_tai
from .broker import BROKER, Channel, Message, Subscription
from .domain import Domain
from .interfaces import TopicInfo, get_component_info

if TYPE_CHECKING:
    from .topics.read_topic import ReadTopic
    from .topics.remote_command import CommandInfo

MAX_LOG_LEVEL = logging.INFO
"""Highest level of the logger of a component."""


class SalInfo:
    """The topics of one SAL component and index.

    Parameters
    ----------
    domain : `Domain`
        The owner, which closes this object.
    name : `str`
        Name of the SAL component.
    index : `int` or `None`, optional
        SAL index; 0 or `None` if the component has none, or for every index.

    Raises
    ------
    ValueError
        If the component is unknown, or an index is given and it has none.
    RuntimeError
        If ``LSST_TOPIC_SUBNAME`` is not set.

    Attributes
    ----------
    identity : `str`
        Field ``private_identity`` of each message written.
    command_names, event_names, telemetry_names : `tuple` [`str`, ...]
        Names of the topics of a kind, without prefix.
    ackcmd_info : `TopicInfo`
        The topic of acknowledgements.
    log : `logging.Logger`
        The logger of the component.
    isopen : `bool`
        Is it open?
    start_task : `asyncio.Future`
        Done when `start` has ended.
    done_task : `asyncio.Future`
        Done when `close` has ended.
    reads_ackcmds : `bool`
        Are acknowledgements of commands to be read?
    """

    def __init__(self, domain: Domain, name: str, index: int | None = 0) -> None:
        self.subname = os.environ.get("LSST_TOPIC_SUBNAME", "")
        if not self.subname:
            raise RuntimeError("You must define environment variable LSST_TOPIC_SUBNAME")
        self.component_info = get_component_info(name)
        self.domain = domain
        self.index = 0 if index is None else int(index)
        if self.index != 0 and not self.indexed:
            raise ValueError(f"Index={index!r} must be 0 or None; {name} is not an indexed SAL component")
        self.identity = domain.default_identity
        self.command_names = self.component_info.names("cmd_")
        self.event_names = self.component_info.names("evt_")
        self.telemetry_names = self.component_info.names("tel_")
        self.ackcmd_info = self.component_info.topics["ack_ackcmd"]
        self.log = logging.getLogger(name)
        if self.log.getEffectiveLevel() > MAX_LOG_LEVEL:
            self.log.setLevel(MAX_LOG_LEVEL)
        self.loop = asyncio.get_running_loop()
        self.isopen = True
        self.start_task: asyncio.Future[None] = self.loop.create_future()
        self.done_task: asyncio.Future[None] = self.loop.create_future()
        self.reads_ackcmds = False
        self._closing = False
        self._read_topics: list[ReadTopic] = []
        self._subscriptions: list[Subscription] = []
        self._running_cmds: dict[int, CommandInfo] = {}
        self._arrived: collections.deque[Callable[[], None]] = collections.deque()
        self._is_reading = False
        domain.add_salinfo(self)

    @property
    def name(self) -> str:
        """Name of the SAL component."""
        return self.component_info.name

    @property
    def indexed(self) -> bool:
        """Whether the component is indexed."""
        return self.component_info.indexed

    @property
    def name_index(self) -> str:
        """The name, with ``:index`` if the component is indexed."""
        return f"{self.name}:{self.index}" if self.indexed else self.name

    @property
    def started(self) -> bool:
        """Whether it is started, or was when it closed."""
        task = self.start_task
        return task.done() and not task.cancelled() and task.exception() is None

    @property
    def running(self) -> bool:
        """Whether it is started and open."""
        return self.started and self.isopen

    def assert_started(self) -> None:
        """Raise `RuntimeError` if it is not started."""
        if not self.started:
            raise RuntimeError("Not started")

    def assert_running(self) -> None:
        """Raise `RuntimeError` if it is not started, or closed."""
        if not self.running:
            raise RuntimeError("No longer open" if self.started else "Not started")

    def add_reader(self, topic: ReadTopic) -> None:
        """Add a topic, to be read from `start` to `close`."""
        self._read_topics.append(topic)

    async def start(self) -> None:
        """Start to read, with the newest kept event of each topic first."""
        # With Kafka this takes time, in which other tasks run.
        await asyncio.sleep(0)
        if not self.isopen:
            return
        if self.reads_ackcmds:
            self._subscribe("ack_ackcmd", self._add_ackcmd)
        for topic in self._read_topics:
            deliver = functools.partial(self._deliver, topic)
            history = self._subscribe(topic.attr_name, deliver)
            if topic.max_history > 0:
                for message in history:
                    deliver(message)
        self.start_task.set_result(None)

    def write(self, topic_info: TopicInfo, data: Any) -> None:
        """Send a message.

        Parameters
        ----------
        topic_info : `TopicInfo`
            Its topic.
        data : `object`
            The message.

        Raises
        ------
        RuntimeError
            If it is not started, or closed.
        TypeError
            If a field has a value of a wrong type.
        """
        self.assert_running()
        message = topic_info.encode(data)
        BROKER.publish(
            self._channel(topic_info.attr_name),
            message.get("salIndex", 0),
            message,
            keep=topic_info.attr_name.startswith("evt_"),
        )

    def basic_close(self) -> None:
        """Stop reading and writing; cancel what waits for messages."""
        if not self.isopen:
            return
        self.isopen = False
        for subscription in self._subscriptions:
            BROKER.unsubscribe(subscription)
        if not self.start_task.done():
            self.start_task.cancel()
        for topic in self._read_topics:
            topic.basic_close()
        for command in self._running_cmds.values():
            command.close()
        self._running_cmds.clear()
        self.domain.remove_salinfo(self)

    async def close(self) -> None:
        """Close and wait for callbacks; a second call waits for the first."""
        if not self.isopen:
            if self._closing:
                await self.done_task
            return
        self._closing = True
        self.basic_close()
        for topic in self._read_topics:
            await topic.close()
        self._closing = False
        self.done_task.set_result(None)

    def add_command(self, command: CommandInfo) -> None:
        """Add a command, to read its acknowledgements."""
        self._running_cmds[command.seq_num] = command

    def get_command(self, seq_num: int) -> CommandInfo | None:
        """Return a command that has not ended yet, or `None`."""
        return self._running_cmds.get(seq_num)

    def remove_command(self, seq_num: int) -> None:
        """Remove a command."""
        self._running_cmds.pop(seq_num, None)

    def _channel(self, attr_name: str) -> Channel:
        return Channel(self.subname, self.name, attr_name)

    def _subscribe(self, attr_name: str, deliver: Any) -> list[Message]:
        take = functools.partial(self._read, deliver)
        subscription = Subscription(self._channel(attr_name), self.index, self.loop, take)
        self._subscriptions.append(subscription)
        return BROKER.subscribe(subscription)

    def _make_data(self, topic_info: TopicInfo, message: Message) -> Any:
        """Make a copy of a message for one reader."""
        fields = {name: list(value) if isinstance(value, list) else value for name, value in message.items()}
        fields["private_rcvStamp"] = current_tai()
        return topic_info.data_type(**fields)

    def _read(self, take: Callable[[Message], None], message: Message) -> None:
        self._arrived.append(functools.partial(take, message))
        if not self._is_reading:
            self._read_next()

    def _read_next(self) -> None:
        """Take one message, and the next on a later turn of the loop.

        So does the read loop of salobj (ts_salobj 69c1740, sal_info.py): a
        callback has its turn after each message, and a burst of them does
        not fill its queue.
        """
        self._is_reading = bool(self._arrived) and self.isopen
        if self._is_reading:
            self._arrived.popleft()()
            self.loop.call_soon(self._read_next)

    def _deliver(self, topic: ReadTopic, message: Message) -> None:
        topic.queue_data(self._make_data(topic.topic_info, message))

    def _add_ackcmd(self, message: Message) -> None:
        if message["identity"] != self.identity or message["origin"] != self.domain.origin:
            return
        seq_num = message["private_seqNum"]
        command = self._running_cmds.get(seq_num)
        if command is None:
            return
        command.add_ackcmd(self._make_data(self.ackcmd_info, message))
        if command.is_done:
            # As in salobj, where a call of `next_ackcmd` fails after the final
            # acknowledgement has arrived.
            self.remove_command(seq_num)

    def __repr__(self) -> str:
        return f"SalInfo({self.name}, {self.index})"
