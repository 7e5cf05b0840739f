# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the Watcher: what its rules build on, and one that runs them.

As the public classes of lsst-ts/ts_watcher 9d6924d behave: base_rule.py,
polling_rule.py, remote_info.py, alarm.py, model.py and topic_callback.py.
"""

from __future__ import annotations

import asyncio
import enum
import importlib.util
import logging
import sys
import time
import types
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from lsst.ts.calibrationscripts.observatory.sal import salobj

RULE = Path(__file__).parents[1] / "contrib" / "ts_watcher" / "calibration_verified.py"


class AlarmSeverity(enum.IntEnum):
    NONE = 1
    WARNING = 2
    SERIOUS = 3
    CRITICAL = 4


def current_tai() -> float:
    return time.time() + 37


class RemoteInfo:
    def __init__(
        self, name: str, index: int, callback_names: Any, poll_names: Any, index_required: bool = True
    ) -> None:
        self.name, self.index, self.index_required = name, index, index_required
        self.callback_names, self.poll_names = tuple(callback_names), tuple(poll_names)


class Alarm:
    def __init__(self, name: str) -> None:
        self.name = name
        self.severity = self.max_severity = AlarmSeverity.NONE
        self.reason = ""
        self.published: list[tuple[float, AlarmSeverity, str]] = []
        """Each event ``alarm``: when, severity, reason."""

    async def set_severity(self, severity: AlarmSeverity, reason: str) -> None:
        if severity == AlarmSeverity.NONE and self.max_severity == AlarmSeverity.NONE:
            return
        self.severity, self.max_severity = severity, max(severity, self.max_severity)
        if severity != AlarmSeverity.NONE:
            self.reason = reason
        self.published.append((current_tai(), severity, self.reason))


class BaseRule:
    def __init__(self, config: Any, name: str, remote_info_list: list[RemoteInfo], log: Any = None) -> None:
        self.config, self.remote_info_list = config, remote_info_list
        self.current_severity: AlarmSeverity | None = None
        self.current_reason: str | None = None
        self.log = log or logging.getLogger(type(self).__name__)
        self.alarm = Alarm(name)

    @classmethod
    def make_config(cls, **kwargs: Any) -> types.SimpleNamespace:
        schema = cls.get_schema()
        jsonschema.Draft7Validator.check_schema(schema)
        jsonschema.Draft7Validator(schema).validate(kwargs)
        defaults = {key: each["default"] for key, each in schema["properties"].items() if "default" in each}
        return types.SimpleNamespace(**defaults | kwargs)

    @classmethod
    def get_schema(cls) -> dict[str, Any]:
        raise NotImplementedError

    @property
    def name(self) -> str:
        return self.alarm.name

    async def update_alarm_severity(self, **kwargs: Any) -> None:
        found = self.compute_alarm_severity(**kwargs)
        if found is None or found == (self.current_severity, self.current_reason):
            return
        self.current_severity, self.current_reason = found
        await self.alarm.set_severity(severity=found[0], reason=found[1])

    def compute_alarm_severity(self, **kwargs: Any) -> Any:
        raise NotImplementedError


class PollingRule(BaseRule):
    def __init__(self, **kwargs: Any) -> None:
        self.poll_start_tai = current_tai()
        self.poll_loop_task: asyncio.Task[None] | None = None
        super().__init__(**kwargs)

    def start(self) -> None:
        self.stop()
        self.poll_loop_task = asyncio.create_task(self.poll_loop())

    def stop(self) -> None:
        if self.poll_loop_task is not None:
            self.poll_loop_task.cancel()

    async def poll_loop(self) -> None:
        self.poll_start_tai = current_tai()
        while True:
            await self.update_alarm_severity()
            await asyncio.sleep(self.config.poll_interval)


def load_rule() -> Any:
    """Return the rule's class, as a module of the stand-in's ``rules``."""
    package = "lsst.ts.watcher"
    none = {"NoneNoReason": (AlarmSeverity.NONE, ""), "AlarmSeverityReasonType": Any}
    modules: dict[str, dict[str, Any]] = {
        "lsst.ts.utils": {"current_tai": current_tai},
        "lsst.ts.xml": {},
        "lsst.ts.xml.enums": {},
        "lsst.ts.xml.enums.Watcher": {"AlarmSeverity": AlarmSeverity},
        package: {},
        f"{package}.base_rule": {"BaseRule": BaseRule, **none},
        f"{package}.polling_rule": {"PollingRule": PollingRule},
        f"{package}.remote_info": {"RemoteInfo": RemoteInfo},
        f"{package}.rules": {},
    }
    spec = importlib.util.spec_from_file_location(f"{package}.rules.calibration_verified", RULE)
    assert spec is not None and spec.loader is not None
    rule = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, members in modules.items():
            module = types.ModuleType(name)
            vars(module).update(members, __path__=[])
            monkeypatch.setitem(sys.modules, name, module)
        # Where salobj is installed, the package has the original.
        monkeypatch.setattr("lsst.ts.utils", sys.modules["lsst.ts.utils"], raising=False)
        spec.loader.exec_module(rule)
    return rule.CalibrationVerified


class Watcher:
    """Runs rules on SAL, ENABLED from entry to exit."""

    def __init__(self, rule_class: Any, *configs: dict[str, Any]) -> None:
        self.rules = [rule_class(config=rule_class.make_config(**config)) for config in configs]

    async def __aenter__(self) -> Watcher:
        self._domain = salobj.Domain()
        (info,) = {(i.name, i.index, i.callback_names) for rule in self.rules for i in rule.remote_info_list}
        name, index, topics = info
        remote = salobj.Remote(
            self._domain, name, index, readonly=True, include=[topic.removeprefix("evt_") for topic in topics]
        )
        await remote.start_task
        for topic in topics:
            getattr(remote, topic).callback = self._call
        for rule in self.rules:
            rule.start()
        return self

    async def __aexit__(self, *args: object) -> None:
        for rule in self.rules:
            rule.stop()
        await self._domain.close()

    async def _call(self, data: Any) -> None:
        for rule in self.rules:
            await rule.update_alarm_severity(data=data, topic_callback=None)

    def published(self) -> dict[str, list[str]]:
        """Return each alarm's severities, by the last part of its name."""
        return {
            rule.name.rpartition(".")[2]: [severity.name for _, severity, _ in rule.alarm.published]
            for rule in self.rules
        }
