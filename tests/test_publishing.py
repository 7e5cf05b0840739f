# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of a run's files, in a folder and in an object store."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from lsst.resources.s3utils import clean_test_environment_for_s3
from lsst.ts.calibrationscripts.butler.publishing import copy_to
from lsst.ts.calibrationscripts.observatory import publishing
from lsst.ts.calibrationscripts.outcomes import RunState
from lsst.ts.calibrationscripts.report import RunReport

PAGE = b"<html>a page</html>"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    page = tmp_path / "20260929T140000-1.html"
    page.write_bytes(PAGE)
    return page


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """Serve as much of an object store as takes objects."""
    objects: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            objects[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, clean_test_environment_for_s3():
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("S3_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
        yield objects
        server.shutdown()
        thread.join()


def test_a_folder_is_made_and_an_earlier_copy_replaced(page: Path, tmp_path: Path) -> None:
    place = tmp_path / "not yet" / "there"
    copy_to(str(place), page)
    page.write_bytes(b"newer")
    copy = copy_to(str(place), page)
    assert (place / page.name).read_bytes() == copy.content == b"newer"
    assert copy.url == (place / page.name).as_uri()


@pytest.mark.parametrize("bucket", ["rubin-lfa", "profile@rubin-lfa"])
def test_an_object_has_the_address_that_readers_use(
    page: Path, stored: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, bucket: str
) -> None:
    credentials = page.with_name("credentials")
    credentials.write_text("[profile]\naws_access_key_id = a\naws_secret_access_key = b\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("LSST_RESOURCES_S3_PROFILE_profile", os.environ["S3_ENDPOINT_URL"])
    copy = copy_to(f"s3://{bucket}/calibrations", page)
    path = f"/rubin-lfa/calibrations/{page.name}"
    assert {name.partition("?")[0]: content for name, content in stored.items()} == {path: PAGE}
    assert copy.url.endswith(path) and copy.url.startswith("http://127.0.0.1:")


async def test_a_place_that_hangs_is_given_up_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a run that was stopped, and an object store that does not answer
    released = threading.Event()
    monkeypatch.setattr(publishing, "copy_run", lambda place, folder, run_id: released.wait(100))
    monkeypatch.setattr(publishing, "_TIMEOUTS", {RunState.STOPPED: 0.1})
    (tmp_path / "a-1.html").touch()
    script: Any = types.SimpleNamespace(
        report=RunReport(RunState.STOPPED, run_id="a-1"), log=logging.getLogger("a script")
    )
    await asyncio.wait_for(publishing.publish(script, "s3://bucket", tmp_path), 50)
    released.set()
    assert caplog.messages == ["The run's report is not published in s3://bucket: no answer in time"]
