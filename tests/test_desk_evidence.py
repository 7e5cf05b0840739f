# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the desk shows of a product that failed its verification."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.resources
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from endings import several_detectors
from lsst.ts.calibrationscripts.butler.images import ImagePair, NoImageError, ShownFrame
from lsst.ts.calibrationscripts.codec import to_json, write_document
from lsst.ts.calibrationscripts.desk import Desk, _runs
from lsst.ts.calibrationscripts.desk._evidence import _fixed
from lsst.ts.calibrationscripts.outcomes import Outcome, StageResult
from lsst.ts.calibrationscripts.pages import gain_plot
from lsst.ts.calibrationscripts.record import RunRecord
from lsst.ts.calibrationscripts.report import CurvePoints, RunDocument
from lsst.ts.calibrationscripts.spoilt import Mark, MarkKind, SeriesJudgement
from named import BIAS, stage
from starlette.testclient import TestClient
from test_desk import browser
from test_html_report import FIRST, evidence_of, held_run, passed_run
from test_run_page import CHROMIUM, MOBILE, browsing, scrolled_without_a_sign, seen_wrong_by_axe

PRODUCT = "/run/20261123T180000-1/product/BIAS"


@pytest.fixture
def desk(tmp_path: Path) -> TestClient:
    """Leave a run whose biases fail NOISE, with a spoilt frame."""
    ids = tuple(FIRST + i for i in range(3))
    report = held_run(exposures={"BIAS": ids}, discarded={"BIAS": ()})
    mark = Mark(ids[1], MarkKind.NOISE, "noise 12 ADU, at most 9 is right")
    record = RunRecord(
        report.run_id,
        report.config,
        state=report.state,
        stages=report.stages,
        judgements=(SeriesJudgement(BIAS, ids, (mark,)),),
    )
    document = write_document(RunDocument(report, evidence_of()))
    (tmp_path / f"{report.run_id}.json").write_text(document, encoding="utf-8")
    (tmp_path / f"{report.run_id}.journal.json").write_text(json.dumps(to_json(record)), encoding="utf-8")
    return browser(tmp_path)


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the desk a picture of every frame."""
    monkeypatch.setattr(_runs, "read_frame", lambda *args: ShownFrame(b"\x89PNG", -12.5, 3.0))


class TestAFrame:
    def test_opens_from_the_map_with_what_failed_in_it(self, desk: TestClient, frames: None) -> None:
        cells = re.findall(r'<td><a href="([^"]+)">NOISE</a>', desk.get(PRODUCT).text)
        assert len(cells) == 3 * 16
        # When a cell is opened
        text = desk.get(cells[0]).text
        # Then the frame is there with its stretch, and with all that failed
        assert 'src="data:image/png;base64,iVBORw=="' in text
        assert "Black -12.5, white 3." in text
        assert text.count(": NOISE</li>") == 16

    def test_has_its_marks_and_the_way_to_the_others(self, desk: TestClient, frames: None) -> None:
        text = desk.get(f"{PRODUCT}/0/frame/{FIRST + 1}").text
        assert "noise 12 ADU, at most 9 is right" in text
        assert f'href="{PRODUCT}/0/frame/{FIRST}" rel="prev"' in text
        assert f'href="{PRODUCT}/0/frame/{FIRST + 2}" rel="next"' in text
        first = desk.get(f"{PRODUCT}/0/frame/{FIRST}").text
        assert 'rel="prev"' not in first and "noise 12" not in first

    def test_of_another_product_has_nothing_beside_it(self, desk: TestClient, frames: None) -> None:
        response = desk.get(f"{PRODUCT}/0/frame/77")
        assert response.status_code == 200
        assert 'rel="' not in response.text.replace('rel="stylesheet"', "").replace('rel="icon"', "")

    def test_that_does_not_exist_is_named(self, desk: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*args: Any) -> None:
            raise NoImageError("no verifyBiasProc of exposure 5, detector 0")

        monkeypatch.setattr(_runs, "read_frame", refuse)
        response = desk.get(f"{PRODUCT}/0/frame/5")
        assert response.status_code == 404 and "no verifyBiasProc of exposure 5" in response.text


def test_a_number_outside_its_limits_is_marked(tmp_path: Path, desk: TestClient) -> None:
    text = desk.get(PRODUCT).text
    assert '<td class="number held">7' not in text
    # Given an amplifier whose noise is far from the nominal one
    file = next(file for file in tmp_path.glob("*.json") if "journal" not in file.name)
    data = json.loads(file.read_text(encoding="utf-8"))
    for row in data["evidence"]["statistics"][0]["values"]["NOISE"]:
        row[3] = 77.125
    file.write_text(json.dumps(data), encoding="utf-8")
    rows = re.findall(r"<tr><th[^>]*>RXX_S00 (C\d\d)</th>(.*?)</tr>", desk.get(PRODUCT).text, flags=re.DOTALL)
    marked = [amplifier for amplifier, row in rows if '<td class="number held">77.12</td>' in row]
    assert marked == ["C03"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (6.51, "6.510"),
        (0.1, "0.1000"),
        (0.0, "0.0000"),
        (-0.00634, "-0.0063"),
        (21_432.1, "21432"),
        (77.125, "77.12"),
    ],
)
def test_numbers_of_a_column_have_their_points_below_each_other(value: float, text: str) -> None:
    assert _fixed(value) == text


@pytest.mark.parametrize("part", ["trend", "0/curve"])
def test_a_part_that_is_opened_by_itself_is_a_whole_page(
    desk: TestClient, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    points = CurvePoints("C00", (1e3, 2e3), (5e2, 1e3), (True, True), 2.0)
    monkeypatch.setattr(_runs, "read_curve", lambda *args: (points,))
    whole = desk.get(f"{PRODUCT}/{part}", headers={"sec-fetch-dest": "document"}).text
    assert "<h1>" in whole and f'href="{PRODUCT}"' in whole
    within = desk.get(f"{PRODUCT}/{part}", headers={"sec-fetch-dest": "empty"}).text
    assert "<h1>" not in within and within.strip() in whole


def test_figures_that_are_drawn_at_the_same_time_are_those_drawn_one_by_one() -> None:
    gains = passed_run().gains
    alone = gain_plot(gains)
    drawn: list[Any] = []
    threads = [threading.Thread(target=lambda: drawn.append(gain_plot(gains))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == [alone] * 4


def test_a_product_that_waits_is_not_shown_as_good(tmp_path: Path, desk: TestClient) -> None:
    record = json.loads(next(tmp_path.glob("*.journal.json")).read_text(encoding="utf-8"))
    for result in record["stages"]:
        if result["name"] == "certify BIAS":
            result["outcome"] = "WAITING"
    next(tmp_path.glob("*.journal.json")).write_text(json.dumps(record), encoding="utf-8")
    assert re.search(r"<p>certify: <strong>WAITING</strong>", desk.get(PRODUCT).text)
    assert re.search(
        r'<li class="card mark"><strong><a [^>]*>BIAS</a>: WAITING', desk.get("/run/" + record["run_id"]).text
    )


def test_of_many_detectors_each_curve_can_be_opened(tmp_path: Path) -> None:
    # Given a photon transfer curve of more detectors than are drawn at once
    made = passed_run()
    gains = tuple(dataclasses.replace(made.gains[0], detector=i) for i in range(12))
    stages = (StageResult(stage("generate PTC"), Outcome.PASSED, job_id="c3", collection="u/ocps/c3"),)
    leave(tmp_path, RunDocument(dataclasses.replace(made, gains=gains, stages=stages)))
    text = browser(tmp_path).get(f"/run/{made.run_id}/product/PTC").text
    # Then the first are loaded, and there is a link to each of the others
    loaded = re.findall(r'data-load="[^"]*/(\d+)/curve"', text)
    assert loaded == [str(i) for i in range(9)] and "3 more detectors" in text
    links = re.findall(r'href="[^"]*/(\d+)/curve"', text)
    assert links == [str(i) for i in range(12)]


def leave(folder: Path, document: RunDocument) -> None:
    """Leave the journal and the JSON of a run."""
    report = document.report
    record = RunRecord(report.run_id, report.config, state=report.state, stages=report.stages)
    (folder / f"{report.run_id}.json").write_text(write_document(document), encoding="utf-8")
    (folder / f"{report.run_id}.journal.json").write_text(json.dumps(to_json(record)), encoding="utf-8")


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a desk for looking only; give its address."""
    import uvicorn

    application = Desk(folder, None).application
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=2))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(60)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian's package chromium)")
def test_in_a_browser_another_detector_of_nine_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given nine detectors, of which one has no image
    document = several_detectors()
    leave(tmp_path, document)

    def pair(report: object, subject: object, detector: int) -> ImagePair:
        if detector == 3:
            raise NoImageError("u/ocps/a1 has no bias of detector 3")
        image = np.arange(64.0).reshape(8, 8) * (detector + 1)
        return ImagePair(image, image[::-1], "u/ocps/a1/run", "LATISS/calib/run")

    monkeypatch.setattr(_runs, "read_pair", pair)
    drawn = """() => [...document.querySelectorAll("#viewer img")]
        .filter(i => i.complete && i.naturalWidth).map(i => [new URL(i.src).pathname, i.alt])"""
    path = f"/run/{document.report.run_id}/product/BIAS"
    with serving(tmp_path) as address, browsing() as page:
        page.set_viewport_size({"width": MOBILE, "height": 900})
        page.goto(f"{address}{path}")
        # When another one is chosen
        page.locator("#detector").select_option(label="R22_S22")
        page.wait_for_function(f"() => ({drawn})().filter(([path]) => path.includes('/8/')).length === 3")
        # Then its images are there, and are called so
        assert page.evaluate(drawn) == [
            [f"{path}/8/{kind}.png", f"BIAS, {kind}, detector R22_S22"]
            for kind in ("new", "old", "difference")
        ]
        # and one that is not there is named as long as it is chosen
        page.locator("#detector").select_option(label="R22_S10")
        missing = "There is no picture: BIAS, new, detector R22_S10."
        page.wait_for_selector(f"text={missing}")
        page.locator("#detector").select_option(label="R22_S00")
        page.wait_for_selector("figcaption:text('The new one')")
        assert page.get_by_text(missing).count() == 0
        # and on a phone nothing moves sideways without a sign
        assert page.evaluate("document.documentElement.scrollWidth") <= MOBILE
        assert scrolled_without_a_sign(page) == []
        script = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js")
        page.evaluate(script.read_text(encoding="utf-8"))
        assert seen_wrong_by_axe(page) == []
