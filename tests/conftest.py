# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test stands on: one SAL, private topics, no task left behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from lsst.ts.calibrationscripts.observatory import sal

# The suite runs unchanged on real salobj with CALIBSCRIPTS_SAL=salobj.
sal.use(sal.SalProvider.LOCAL)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Leave warnings about the observatory's own code to its owners."""
    if sal.provider() is sal.SalProvider.SALOBJ:
        config.addinivalue_line("filterwarnings", r"default:::lsst\.ts\.(salobj|utils|xml|observatory)\b")
        # salobj leaves its connections to the schema registry to the collector.
        config.addinivalue_line("filterwarnings", r"ignore:unclosed .*[sS]ocket:ResourceWarning")


@pytest_asyncio.fixture(autouse=True)
async def no_leaked_tasks(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fail a test that leaves an asyncio task running."""
    if sal.provider() is not sal.SalProvider.LOCAL:
        yield
        return
    before = asyncio.all_tasks()
    yield
    for _ in range(3):
        await asyncio.sleep(0)
    leaked = {task for task in asyncio.all_tasks() - before if not task.done()}
    leaked.discard(asyncio.current_task())
    assert not leaked, f"tasks left running: {leaked}"


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test SAL topics that no other test can see.

    On Kafka they cost the test some 3 s, and the broker topics by the
    hundred, which salobj's ``delete_topics --all`` removes. What an earlier
    test wrote would reach this one as history otherwise: job "1" would have
    ended before it began, and a component would be in its last state.
    """
    monkeypatch.setenv("LSST_SITE", os.environ.get("LSST_SITE", "test"))
    monkeypatch.setenv("LSST_TOPIC_SUBNAME", "")
    sal.salobj.set_test_topic_subname(randomize=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests have measured against the truth."""
    measured = [
        f"{name}: {value}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
    ]
    if measured:
        terminalreporter.section("measured against the truth")
        for line in sorted(measured):
            terminalreporter.write_line(line)
