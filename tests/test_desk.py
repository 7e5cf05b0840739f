# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desk shows evidence to its users, and refuses all others."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from lsst.ts.calibrationscripts.butler.images import ImagePair, NoImageError, masks_of
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import to_json, write_document
from lsst.ts.calibrationscripts.deciding import count_waiting
from lsst.ts.calibrationscripts.desk import Desk, TokenFileError, _app, read_tokens
from lsst.ts.calibrationscripts.files.index import RunIndex
from lsst.ts.calibrationscripts.instruments import ImageType
from lsst.ts.calibrationscripts.outcomes import Outcome, RunState, StageResult
from lsst.ts.calibrationscripts.pages import curve_plot
from lsst.ts.calibrationscripts.record import Frame, RunRecord
from lsst.ts.calibrationscripts.report import CurvePoints, RunDocument, RunReport
from lsst.ts.calibrationscripts.simulation.products import Box, Defects
from lsst.ts.calibrationscripts.spoilt import Mark, MarkKind, SeriesJudgement
from named import BIAS, stage
from starlette.testclient import TestClient

HOME = "http://127.0.0.1:8421"
TOKEN = "a-token-that-is-hard-to-guess"  # noqa: S105 - of a desk that lives as long as a test
RUN = "20261125T180000-1"
NOTE = "<script>alert(1)</script>"


def record(run_id: str = RUN, *outcomes: Outcome) -> RunRecord:
    return RunRecord(
        run_id,
        {"calib_collection": "LATISS/calib/daily", "certify_calib_begin_date": "2026-11-25", "note": NOTE},
        state=RunState.DONE,
        frames=(Frame(BIAS, 1, "g", 2026112500001),),
        stages=(
            StageResult(stage("verify BIAS"), Outcome.PASSED, NOTE),
            *(StageResult(stage("certify BIAS"), outcome) for outcome in outcomes or (Outcome.WAITING,)),
        ),
    )


def leave(folder: Path, kept: RunRecord) -> None:
    """Write what a run leaves."""
    file = folder / f"{kept.run_id}.journal.json"
    file.write_text(json.dumps(to_json(kept)), encoding="utf-8")
    report = RunReport(kept.state, run_id=kept.run_id, stages=kept.stages, config=kept.config)
    file.with_name(f"{kept.run_id}.json").write_text(write_document(RunDocument(report)), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    leave(tmp_path, record())
    return tmp_path


def browser(folder: Path, *, logged_in: bool = True, read_only: bool = False) -> TestClient:
    desk = Desk(folder, None if read_only else {TOKEN: "ann"})
    client = TestClient(desk.application, base_url=HOME, headers={"origin": HOME})
    if logged_in:
        assert client.post("/login", data={"token": TOKEN}).status_code == 200
    return client


DECISION = {"action": "accept", "product": "BIAS", "reason": "good"}


class TestAttacks:
    @pytest.mark.parametrize("path", ["/", f"/run/{RUN}", f"/run/{RUN}/report", f"/run/{RUN}/events"])
    def test_without_a_token_nothing_is_shown(self, folder: Path, path: str) -> None:
        response = browser(folder, logged_in=False).get(path)
        assert response.status_code == 401
        assert RUN not in response.text and "BIAS" not in response.text

    def test_without_a_token_nothing_is_decided(self, folder: Path) -> None:
        response = browser(folder, logged_in=False).post(f"/run/{RUN}/decide", data=DECISION)
        assert response.status_code == 401

    def test_a_wrong_token_opens_nothing(self, folder: Path) -> None:
        client = browser(folder, logged_in=False)
        assert client.post("/login", data={"token": TOKEN[:-1]}).status_code == 403
        assert client.get("/").status_code == 401

    @pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1:9999", None])
    def test_another_site_cannot_decide(self, folder: Path, origin: str | None) -> None:
        client = browser(folder)
        del client.headers["origin"]
        headers = {} if origin is None else {"origin": origin}
        response = client.post(f"/run/{RUN}/decide", data=DECISION, headers=headers)
        assert response.status_code == 403

    def test_a_foreign_name_of_this_machine_is_refused(self, folder: Path) -> None:
        response = browser(folder).get("/", headers={"host": "evil.example:8421"})
        assert response.status_code == 403 and RUN not in response.text

    @pytest.mark.parametrize(
        "host", ["[", "127.0.0.1/static/?", "127.0.0.1.evil.example", "localhost:80:80", ""]
    )
    def test_a_host_that_is_none_is_refused(self, folder: Path, host: str) -> None:
        response = browser(folder).get(f"/run/{RUN}", headers={"host": host})
        assert response.status_code == 403

    @pytest.mark.parametrize("origin", ["http://[", "http://127.0.0.1:8421.evil.example"])
    def test_an_origin_that_is_none_is_refused(self, folder: Path, origin: str) -> None:
        response = browser(folder).post(f"/run/{RUN}/decide", data=DECISION, headers={"origin": origin})
        assert response.status_code == 403

    def test_a_get_changes_nothing(self, folder: Path) -> None:
        client, before = browser(folder), (folder / f"{RUN}.journal.json").read_bytes()
        query = "&".join(f"{key}={value}" for key, value in DECISION.items())
        assert client.get(f"/run/{RUN}/decide?{query}").status_code == 405
        assert client.get("/logout").status_code == 405
        assert (folder / f"{RUN}.journal.json").read_bytes() == before
        assert client.get("/").status_code == 200

    @pytest.mark.parametrize("path", ["/", f"/run/{RUN}", f"/run/{RUN}/product/BIAS"])
    def test_a_script_in_a_note_is_text(self, folder: Path, path: str) -> None:
        response = browser(folder).get(path)
        assert response.status_code == 200
        assert "<script>alert" not in response.text and "&lt;script&gt;alert" in response.text
        assert "script-src 'self';" in response.headers["content-security-policy"]

    @pytest.mark.parametrize(
        "path",
        [
            "/run/..%2f..%2fetc%2fpasswd",
            "/run/..%2f..%2fetc%2fpasswd/report",
            "/run/%2e%2e/report",
            "/static/../_app.py",
            "/static/..%2f_app.py",
            f"/run/{RUN}/product/BIAS/0/..%2fnew.png",
        ],
    )
    def test_a_path_cannot_leave_the_folder(self, folder: Path, path: str) -> None:
        response = browser(folder).get(path)
        assert response.status_code == 404
        assert "root:" not in response.text and "import " not in response.text

    def test_a_link_to_another_file_is_not_followed(self, folder: Path, tmp_path: Path) -> None:
        (folder / "secret").write_text("secret", encoding="utf-8")
        (folder / f"{RUN}.html").symlink_to(folder / "secret")
        response = browser(folder).get(f"/run/{RUN}/report")
        assert response.status_code == 404 and "symbolic link" in response.text

    def test_for_looking_only_nobody_decides(self, folder: Path) -> None:
        client = browser(folder, logged_in=False, read_only=True)
        assert client.get(f"/run/{RUN}").status_code == 200
        assert client.post(f"/run/{RUN}/decide", data=DECISION).status_code == 403

    def test_the_cookie_is_for_this_desk_alone(self, folder: Path) -> None:
        client = browser(folder, logged_in=False)
        response = client.post("/login", data={"token": TOKEN}, follow_redirects=False)
        cookie = response.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and TOKEN not in cookie

    def test_who_logs_out_is_out(self, folder: Path) -> None:
        client = browser(folder)
        client.post("/logout")
        assert client.get("/").status_code == 401


class TestTokens:
    def test_a_file_names_the_users(self, tmp_path: Path) -> None:
        file = tmp_path / "tokens"
        file.write_text("# who\nann: 0123456789abcdef\nBob B.: fedcba9876543210\n", encoding="utf-8")
        file.chmod(0o600)
        assert read_tokens(file) == {"0123456789abcdef": "ann", "fedcba9876543210": "Bob B."}

    @pytest.mark.parametrize(
        ("text", "mode", "message"),
        [
            ("ann: 0123456789abcdef", 0o644, "chmod 600"),
            ("ann: short", 0o600, "at least 16 characters"),
            ("ann 0123456789abcdef", 0o600, "line 1: write NAME: TOKEN"),
            ("ann: 0123456789abcdef\nbob: 0123456789abcdef", 0o600, "ann has the same token"),
            ("", 0o600, "names no user"),
        ],
    )
    def test_a_file_that_protects_nothing_is_refused(
        self, tmp_path: Path, text: str, mode: int, message: str
    ) -> None:
        file = tmp_path / "tokens"
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
        with pytest.raises(TokenFileError, match=message):
            read_tokens(file)
        result = CliRunner().invoke(main, ["desk", "--tokens", str(file)])
        assert result.exit_code == 2 and message in result.output


class TestPages:
    def test_home_lists_what_waits_and_the_runs(self, folder: Path) -> None:
        leave(folder, record("20261124T180000-1", Outcome.CERTIFIED))
        text = browser(folder).get("/").text
        assert f"/run/{RUN}/product/BIAS" in text
        assert "/run/20261124T180000-1/product/BIAS" not in text
        assert "BIAS CERTIFIED" in text

    def test_a_decision_without_a_reason_is_refused(self, folder: Path) -> None:
        response = browser(folder).post(f"/run/{RUN}/decide", data=DECISION | {"reason": " "})
        assert response.status_code == 409 and "needs a reason" in response.text

    def test_a_rejection_is_kept_with_the_name_of_the_user(self, folder: Path) -> None:
        client = browser(folder)
        response = client.post(f"/run/{RUN}/decide", data=DECISION | {"action": "reject", "reason": NOTE})
        assert response.status_code == 200 and "BIAS: HELD" in response.text
        assert "<script>alert" not in response.text
        text = client.get(f"/run/{RUN}").text
        assert "rejected" in text and "<td>ann</td>" in text
        assert "Nothing waits for a decision." in client.get("/").text
        # and a second decision is refused
        again = client.post(f"/run/{RUN}/decide", data=DECISION)
        assert again.status_code == 409 and "does not wait for a decision" in again.text

    def test_a_spoilt_frame_is_shown_with_its_mark(self, folder: Path) -> None:
        kept = record()
        mark = Mark(2026112500001, MarkKind.NOISE, "noise 12 ADU, at most 9 is right")
        leave(
            folder, dataclasses.replace(kept, judgements=(SeriesJudgement(BIAS, (2026112500001,), (mark,)),))
        )
        report = RunReport(
            kept.state,
            run_id=RUN,
            stages=kept.stages,
            config=kept.config,
            exposures={ImageType.BIAS: (2026112500001,)},
            discarded={ImageType.BIAS: (2026112500001,)},
        )
        (folder / f"{RUN}.json").write_text(write_document(RunDocument(report)), encoding="utf-8")
        text = browser(folder).get(f"/run/{RUN}/product/BIAS").text
        assert "noise 12 ADU, at most 9 is right" in text

    def test_without_an_index_what_waits_is_listed_nevertheless(self, folder: Path) -> None:
        (folder / "runs.sqlite3").symlink_to(folder / "elsewhere")
        response = browser(folder).get("/")
        assert response.status_code == 200
        assert "cannot be used" in response.text and f"/run/{RUN}/product/BIAS" in response.text

    def test_a_repository_that_is_gone_is_no_traceback(self, folder: Path) -> None:
        client = browser(folder)
        for path in ("0/new.png", "0/frame/2026112500001", "0/curve"):
            response = client.get(f"/run/{RUN}/product/BIAS/{path}")
            assert response.status_code == 404 and "Not found: " in response.text

    def test_an_unreadable_json_is_named_and_the_rest_is_shown(self, folder: Path) -> None:
        (folder / f"{RUN}.json").write_text("{", encoding="utf-8")
        response = browser(folder).get(f"/run/{RUN}")
        assert response.status_code == 200
        assert "cannot be read" in response.text and "verify BIAS" in response.text

    async def test_a_running_run_is_followed_to_its_end(self, folder: Path) -> None:
        running = dataclasses.replace(record(), state=RunState.RUNNING, stages=())
        leave(folder, running)
        desk = Desk(folder, None)
        events = desk._follow(RUN)
        first = await anext(events)
        assert first.startswith("event: progress\ndata: <p><strong>RUNNING</strong>")
        assert "BIAS 1" in first
        # When the run ends
        leave(folder, record())
        # Then that is shown, and it is the end
        second = await asyncio.wait_for(anext(events), 60)
        assert "DONE" in second and "certify BIAS" in second
        assert [event async for event in events] == ["event: end\ndata: \n\n"]


class TestPictures:
    def test_defects_are_drawn_to_the_same_size(self) -> None:
        # Given defects, and earlier ones that reach less far
        new = Defects(detector=0, boxes=(Box(2, 1, 3, 2), Box(7, 5, 1, 1)))
        old = Defects(detector=0, boxes=(Box(2, 1, 3, 2),))
        of_new, of_old = masks_of([new, old])
        assert of_new is not None and of_old is not None
        assert of_new.shape == of_old.shape == (6, 8)
        assert (of_new.sum(), of_old.sum()) == (7, 6)
        # Then what was gained is white, and the rest is grey
        pair = ImagePair(of_new, of_old, "new/run", "old/run", is_mask=True)
        assert pair.difference[5, 7] == 1 and pair.difference.sum() == 1
        assert pair.png("new").startswith(b"\x89PNG")
        assert masks_of([new, None])[1] is None

    def test_without_another_there_is_no_old_one_and_no_difference(self) -> None:
        (mask,) = masks_of([Defects(detector=0, boxes=(Box(0, 0, 2, 2),))])
        assert mask is not None
        pair = ImagePair(mask, None, "new/run", "", is_mask=True)
        for kind in ("old", "difference"):
            with pytest.raises(NoImageError, match="nothing else to compare with"):
                pair.png(kind)

    def test_a_curve_shows_which_pairs_were_used(self) -> None:
        points = CurvePoints(
            "C00", (1000.0, 5000.0, 90000.0), (820.0, 4050.0, 30000.0), (True, True, False), 1.22
        )
        picture = curve_plot([points])
        assert picture is not None
        assert "C00, 1.220 e-/ADU" in picture.markup and "Crosses are pairs" in picture.caption
        assert curve_plot([CurvePoints("C00", (0.0,), (0.0,), (False,), 1.2)]) is None


class TestTheIndex:
    def test_follows_what_comes_changes_and_goes(self, folder: Path) -> None:
        index = RunIndex(folder, count_waiting)
        assert index.update() == 1 and index.lines()[0].n_waiting == 1
        assert index.update() == 0
        leave(folder, record(RUN, Outcome.CERTIFIED))
        leave(folder, record("20261126T180000-1"))
        assert index.update() == 2
        assert [line.run_id for line in index.lines(waiting=True)] == ["20261126T180000-1"]
        (folder / f"{RUN}.journal.json").unlink()
        index.update()
        assert index.count() == 1

    def test_names_a_journal_that_cannot_be_read(self, folder: Path) -> None:
        (folder / f"{RUN}.journal.json").write_text("{", encoding="utf-8")
        index = RunIndex(folder, count_waiting)
        index.update()
        assert [line.state for line in index.lines()] == ["UNREADABLE"]

    @pytest.mark.parametrize("content", [b"", b"not a database" * 100])
    def test_is_made_anew_if_it_is_damaged(self, folder: Path, content: bytes) -> None:
        (folder / "runs.sqlite3").write_bytes(content)
        index = RunIndex(folder, count_waiting)
        assert index.update() == 1 and index.count() == 1

    def test_is_private(self, folder: Path) -> None:
        folder.chmod(0o700)
        RunIndex(folder, count_waiting).update()
        assert (folder / "runs.sqlite3").stat().st_mode & 0o777 == 0o600


def test_while_many_runs_are_read_the_desk_says_how_many(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given journals that take longer to read than anybody likes to wait
    monkeypatch.setattr(_app, "_PATIENCE", 0.2)
    go_on = threading.Event()
    load = RunIndex._load
    monkeypatch.setattr(RunIndex, "_load", lambda self, run_id: go_on.wait(30) and load(self, run_id))
    client = browser(folder)
    # When the desk is opened, and again
    for _ in range(2):
        shown = client.get("/")
        # Then it says so, and looks again by itself
        assert re.search(r"Reading the runs in <code>.*</code>: 0 of 1\.", shown.text)
        assert shown.headers["refresh"] == "1"
    # and once they are read they are there
    go_on.set()
    monkeypatch.setattr(_app, "_PATIENCE", 30.0)
    shown = client.get("/")
    assert RUN in shown.text and "refresh" not in shown.headers


def test_ten_thousand_runs_are_listed_without_reading_them_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it takes less than a second is measured under benchmarks/."""
    monkeypatch.setattr(_app, "_PATIENCE", 60.0)
    text = (folder / f"{RUN}.journal.json").read_text(encoding="utf-8")
    for i in range(300):
        run_id = f"2026{1 + i // 28:02}{1 + i % 28:02}T120000-1"
        (folder / f"{run_id}.journal.json").write_text(text.replace(RUN, run_id), encoding="utf-8")
    client = browser(folder)
    assert "301 in" in client.get("/").text
    # Given that one journal changes
    before = time.time() + 10
    os.utime(folder / f"{RUN}.journal.json", (before, before))
    # Then it alone is read again
    assert RunIndex(folder, count_waiting).update() == 1
    pages = {re.search(r"(\d+) of (\d+)", client.get(f"/?page={page}").text).groups() for page in range(7)}
    assert pages == {(str(page + 1), "7") for page in range(7)}
