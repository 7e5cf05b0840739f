# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test stands on: one SAL, private topics, no task left behind."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio
from leaks import no_tasks_left
from lsst.ts.calibrationscripts.observatory import notifying, sal
from postgres import NotInstalledError, Server, running_server

# The suite runs unchanged on real salobj with CALIBSCRIPTS_SAL=salobj.
sal.use(sal.SalProvider.LOCAL)

# The same examples each time, and no limit that a busy machine exceeds.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-faults",
        action="store_true",
        help="try every fault at every moment in both ways of verification, which takes the better part of "
        "an hour",
    )
    parser.addoption(
        "--load",
        type=int,
        default=0,
        metavar="N",
        help="keep the machine busy with N processes beside the tests",
    )


_BUSY = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"
"""A program that does nothing as fast as it can, until its parent ends."""

_busy: list[subprocess.Popen[bytes]] = []


def pytest_sessionstart(session: pytest.Session) -> None:
    """Keep the machine busy, if that is asked for."""
    if hasattr(session.config, "workerinput"):
        return
    command = [sys.executable, "-c", _BUSY, str(os.getpid())]
    _busy.extend(subprocess.Popen(command) for _ in range(session.config.getoption("load")))


def pytest_unconfigure() -> None:
    """Let the machine rest."""
    for process in _busy:
        process.kill()
        process.wait()
    _busy.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests have recorded."""
    _show_measured(terminalreporter)
    _show_faults(terminalreporter)


def _show_measured(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was measured, and how far it is from the truth."""
    ended = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    measured = sorted(
        f"{name}: {value}"
        for report in ended
        if report.when == "call"
        for name, value in report.user_properties
        if name != "fault"
    )
    if measured:
        terminalreporter.section("measured against the truth")
        for line in measured:
            terminalreporter.line(line)


def _show_faults(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what became of the runs that a fault struck."""
    ended = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    rows = {
        report.nodeid: {"survived": "yes" if report.passed else "NO", **json.loads(properties["fault"])}
        for report in ended
        if report.when == "call" and "fault" in (properties := dict(report.user_properties))
    }
    if not rows:
        return
    terminalreporter.section("faults")
    columns = ("fault", "verification", "ended", "after", "resumed", "survived")
    form = "{:30}{:14}{:9}{:>7}  {:9}{}"
    terminalreporter.line(form.format(*columns))
    for _, row in sorted(rows.items()):
        terminalreporter.line(form.format(*(row.get(column, "-") for column in columns)))
    n_survived = sum(row["survived"] == "yes" for row in rows.values())
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    terminalreporter.line(
        f"{n_survived} of {len(rows)} faults survived; load {load} (the last 1, 5 and 15 minutes)"
    )


def _leave_out_nightly(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is run at night, unless it is asked for."""
    left_out = [item for item in items if item.get_closest_marker("nightly")]
    if left_out and "nightly" not in config.getoption("markexpr"):
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _longest_of_slow_tests(config: pytest.Config, items: list[pytest.Item]) -> Counter[Path]:
    """Add up how long the slow tests of each module may take (s)."""
    longest: Counter[Path] = Counter()
    for item in items:
        if item.get_closest_marker("slow"):
            limit = item.get_closest_marker("timeout")
            longest[item.path] += limit.args[0] if limit else float(config.getini("timeout"))
    return longest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put modules, and the tests of each, into order.

    Modules without slow tests are first. Of the others, those that may take
    longest are first, so that no core is idle while the last one ends.

    Of a module, tests that have a loop each go before those that share one.
    With real salobj all components of a name share a logger, by which it
    publishes their log. Were there two of a name in two event loops, each
    message would make another, without end.
    """
    _leave_out_nightly(config, items)
    longest = _longest_of_slow_tests(config, items)
    paths = sorted(
        dict.fromkeys(item.path for item in items), key=lambda path: (path in longest, -longest[path])
    )
    places = {path: place for place, path in enumerate(paths)}

    def place(item: pytest.Item) -> tuple[int, bool]:
        marker = item.get_closest_marker("asyncio")
        return places[item.path], marker is not None and marker.kwargs.get("loop_scope") == "module"

    items.sort(key=place)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Bear with what is the observatory's: its pace and its warnings."""
    if sal.provider() is sal.SalProvider.SALOBJ:
        config.option.timeout = config.option.timeout or 600
        config.addinivalue_line("filterwarnings", r"default:::lsst\.ts\.(salobj|utils|xml|observatory)\b")
        # salobj never closes its connections to the schema registry: neither
        # during a test nor before the garbage collection after the last one.
        config.addinivalue_line("filterwarnings", r"ignore:unclosed .*socket:ResourceWarning")
        warnings.filterwarnings("ignore", "unclosed .*socket", ResourceWarning)


@pytest.fixture(scope="session", autouse=True)
def _own_state_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the journals of tests out of the user's state directory."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def no_sender_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait at the end for processes that send messages, as no script does."""
    started: list[subprocess.Popen[str]] = []
    start = notifying._start
    monkeypatch.setattr(notifying, "_start", lambda request: started.append(start(request)) or started[-1])
    yield
    deadline = time.monotonic() + 100
    for process in started:
        process.wait(timeout=100)
        # A thread reads the answer.
        while process.stdout and not process.stdout.closed:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest_asyncio.fixture(autouse=True)
async def no_leaked_tasks() -> AsyncIterator[None]:
    """Fail a test that leaves an asyncio task running."""
    async with no_tasks_left():
        yield


@pytest.fixture
def topics(own_topics: None) -> None:
    """Give the test SAL topics, by default its own.

    On Kafka these cost the test some 3 s, and the broker topics by the
    hundred, which salobj's ``delete_topics --all`` removes. But what an
    earlier test wrote would reach this one as history otherwise: job "1"
    would have ended before it began, and every component would have a last
    state. Only where each test begins with components of its own that report
    all anew, and there are many of them, is `module_topics` the choice.
    """


@pytest.fixture
def own_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test SAL topics that no other test can see."""
    _set_topics(monkeypatch)


@pytest.fixture(scope="module")
def module_topics() -> Iterator[None]:
    """Give a module's tests, which share components, topics of their own."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        _set_topics(monkeypatch)
        yield


def _set_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSST_SITE", os.environ.get("LSST_SITE", "test"))
    monkeypatch.setenv("LSST_TOPIC_SUBNAME", "")
    sal.salobj.set_test_topic_subname(randomize=True)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """Run PostgreSQL, or skip the tests that use it."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(running_server())
        except NotInstalledError as error:
            pytest.skip(str(error))
        yield server
