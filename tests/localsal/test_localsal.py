# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What concerns only localsal: its interfaces, clock and imports."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
import time
import warnings
from typing import Any

import pytest
from lsst.ts.calibrationscripts import localsal
from lsst.ts.calibrationscripts.localsal.component_topics import ComponentTopics
from lsst.ts.calibrationscripts.localsal.interfaces import get_component_info
from lsst.ts.calibrationscripts.localsal.surroundings import SURROUNDINGS

COMPONENTS = (
    *("Script", "OCPS", "ATSpectrograph"),
    *(f"{prefix}{name}" for prefix in ("AT", "CC", "MT") for name in ("Camera", "HeaderService", "OODS")),
    *sorted(SURROUNDINGS.keys() - {"ATCamera", "MTCamera", "CCCamera"}),
)


@pytest.mark.parametrize("name", COMPONENTS)
def test_topics_and_fields_are_those_of_sal(name: str) -> None:
    xml = pytest.importorskip("lsst.ts.xml.component_info", exc_type=ModuleNotFoundError)
    original = xml.ComponentInfo(name=name, topic_subname="test")
    own = get_component_info(name)
    assert own.indexed == original.indexed
    for attr_name, topic in own.topics.items():
        expected = {
            field.name: (field.sal_type, field.count) for field in original.topics[attr_name].fields.values()
        }
        assert {f.name: (f.sal_type, f.count) for f in topic.fields.values()} == expected, attr_name


def test_mypy_knows_all_topics_and_no_others() -> None:
    topics = {name for component in COMPONENTS for name in get_component_info(component).topics}
    assert set(ComponentTopics.__annotations__) == topics - {"ack_ackcmd"}


def test_fields_have_the_defaults_of_their_types() -> None:
    data = get_component_info("Script").topics["evt_metadata"].data_type()
    assert (data.position, data.duration, data.filters, data.nimages) == ([0.0, 0.0], 0.0, "", 0)
    assert not hasattr(get_component_info("ATOODS").topics["evt_imageInOODS"].data_type(), "salIndex")


@pytest.mark.parametrize(
    ("topic", "field", "value"),
    [
        ("cmd_takeImages", "numImages", 1.0),
        ("cmd_takeImages", "expTime", "1"),
        ("cmd_takeImages", "shutter", "yes"),
        ("cmd_takeImages", "keyValueMap", 1),
    ],
)
def test_a_value_of_a_wrong_type_is_named(topic: str, field: str, value: Any) -> None:
    info = get_component_info("ATCamera").topics[topic]
    with pytest.raises(TypeError, match=rf"Cannot write {topic}\.{field}="):
        info.encode(info.data_type(**{field: value}))


class SlowClockLoop(asyncio.SelectorEventLoop):
    """An event loop in which a second lasts four."""

    def time(self) -> float:
        return super().time() / 4


def test_waits_go_by_the_clock_of_the_event_loop(topics: None, only_local: None) -> None:
    async def wait_for_acknowledgement() -> None:
        async with (
            localsal.Controller("OCPS", 1) as csc,
            localsal.Domain() as domain,
            localsal.Remote(domain, "OCPS", 1) as remote,
        ):

            async def work(data: Any) -> None:
                await csc.cmd_execute.ack_in_progress(data, timeout=0.1)
                await asyncio.Event().wait()

            csc.cmd_execute.callback = work
            with pytest.raises(localsal.AckTimeoutError):
                await remote.cmd_execute.start(timeout=0.05)

    begin = time.monotonic()
    with asyncio.Runner(loop_factory=SlowClockLoop) as runner:
        runner.run(wait_for_acknowledgement())
    assert time.monotonic() - begin > 4 * 0.15


def test_the_import_is_light() -> None:
    code = (
        "import sys, lsst.ts.calibrationscripts.localsal; "
        "print([name for name in ('numpy', 'astropy', 'jsonschema', 'lsst.daf') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


async def test_nothing_is_left_when_a_domain_closes_early(topics: None, only_local: None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        domain = localsal.Domain()
        localsal.Remote(domain, "OCPS", 1)
        await asyncio.gather(domain.close(), domain.close())
        assert not domain.salinfo_set


@pytest.mark.parametrize("name", localsal.__all__)
def test_what_is_exported_exists(name: str) -> None:
    assert getattr(importlib.import_module(localsal.__name__), name) is not None
