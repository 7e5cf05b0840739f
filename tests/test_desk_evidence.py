# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the desk shows of a product that failed its verification."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from lsst.ts.calibrationscripts.butler.images import NoImageError, ShownFrame
from lsst.ts.calibrationscripts.codec import to_json, write_document
from lsst.ts.calibrationscripts.desk import _runs
from lsst.ts.calibrationscripts.pages import gain_plot
from lsst.ts.calibrationscripts.record import RunRecord
from lsst.ts.calibrationscripts.report import CurvePoints, RunDocument
from lsst.ts.calibrationscripts.spoilt import Mark, MarkKind, SeriesJudgement
from named import BIAS
from starlette.testclient import TestClient
from test_desk import browser
from test_html_report import FIRST, evidence_of, held_run, passed_run

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
