# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person decides about a simulated run, at the command line and the desk."""

from __future__ import annotations

import contextlib
import importlib.resources
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from lsst.daf.butler import Butler, CollectionType, Timespan
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import read_document
from lsst.ts.calibrationscripts.deciding import waiting_in
from lsst.ts.calibrationscripts.desk._runs import Runs
from lsst.ts.calibrationscripts.files.journal import load_record, run_lock
from lsst.ts.calibrationscripts.record import DecisionKind
from named import stage, unfolded

CONFIG = """
script_mode: BIAS_DARK
generate_calibrations: true
n_bias: 3
n_dark: 3
exp_times_dark: 1
calib_collection: LATISS/calib/daily/ask
certify_calib_begin_date: "2026-11-25T12:00:00"
certify_calib_end_date: "2026-11-26T12:00:00"
certify: ask
"""


class Waiting:
    """A simulated run that waits, as it was when it ended."""

    def __init__(self, folder: Path) -> None:
        self.journals = folder / "w/journal"
        self.repo = folder / "w/repo"
        self._kept = folder / "kept"
        config = folder / "config.yaml"
        self.published = folder / "published"
        config.write_text(f"{CONFIG}publish: {self.published}\n", encoding="utf-8")
        result = CliRunner().invoke(
            main, ["simulate", str(config), "--workdir", str(folder / "w"), "--scale", "16"]
        )
        assert result.exit_code == 0, result.output
        (self.run_id,) = {product.run_id for product in waiting_in(self.journals)}
        shutil.copytree(self.journals, self._kept)
        shutil.copy(self.repo / "gen3.sqlite3", self._kept)

    def restore(self) -> None:
        shutil.rmtree(self.journals)
        shutil.copytree(self._kept, self.journals)
        (self.journals / "gen3.sqlite3").rename(self.repo / "gen3.sqlite3")

    def decide(self, *args: str) -> Result:
        return CliRunner().invoke(main, ["decide", "--journals", str(self.journals), *args])

    def certified(self, since: str = "") -> set[str]:
        with Butler.from_config(str(self.repo)) as butler:
            if not butler.collections.query("LATISS/calib/daily/ask*"):
                return set()
            return {
                f"{name} in {found.collection}, {found.timespan.begin.isot[:10]}"
                for name in ("bias", "dark")
                for found in butler.registry.queryDatasetAssociations(
                    name,
                    collections="LATISS/calib/daily/ask*",
                    collectionTypes={CollectionType.CALIBRATION},
                )
                if not since or (found.timespan.begin is not None and found.timespan.begin.isot >= since)
            }


@pytest.fixture(scope="module")
def ended_run(tmp_path_factory: pytest.TempPathFactory) -> Waiting:
    return Waiting(tmp_path_factory.mktemp("ask"))


@pytest.fixture
def waiting(ended_run: Waiting) -> Iterator[Waiting]:
    yield ended_run
    ended_run.restore()


def assert_published(waiting: Waiting, reason: str) -> None:
    """Check that the copies are those of a run with this decision."""
    for kind in ("html", "json"):
        name = f"{waiting.run_id}.{kind}"
        copy = (waiting.published / name).read_bytes()
        assert copy == (waiting.journals / name).read_bytes()
        assert reason in copy.decode()


@pytest.mark.slow
class TestDecide:
    def test_lists_what_waits_and_how_to_decide(self, waiting: Waiting) -> None:
        text = " ".join(waiting.decide().output.replace("\\\n", "").split())
        assert f"{waiting.run_id} BIAS waits for" in text
        assert "verify PASSED (0 of 3 exposures failed)" in text
        assert "for LATISS/calib/daily/ask, 2026-11-25T12:00:00 to 2026-11-26T12:00:00" in text
        assert f"calibscripts decide {waiting.run_id} accept|reject" in text
        listed = json.loads(waiting.decide("--json").output)
        assert [product["product"] for product in listed] == ["BIAS", "DARK"]

    def test_accepts_one_product_and_keeps_who_and_why(self, waiting: Waiting) -> None:
        # When the bias is accepted
        result = waiting.decide(waiting.run_id, "accept", "bias", "--reason", "as quiet as ever")
        # Then it is certified, and it alone
        assert result.exit_code == 0, result.output
        assert waiting.certified() == {"bias in LATISS/calib/daily/ask, 2026-11-25"}
        # and the record, the JSON and the page have the decision
        record = load_record(waiting.journals, waiting.run_id)
        (decision,) = record.decisions
        assert decision.kind is DecisionKind.ACCEPT and decision.reason == "as quiet as ever"
        assert decision.who and decision.seen and decision.certification == record.certifications[0]
        file = waiting.journals / f"{waiting.run_id}.json"
        report = read_document(file.read_text(encoding="utf-8")).report
        assert report.decisions == record.decisions and report.certifications == record.certifications
        assert report.proofs[0].decision == decision
        assert [proof.subject.name for proof in report.waiting] == ["DARK"]
        assert "as quiet as ever" in file.with_suffix(".html").read_text(encoding="utf-8")
        assert "DARK" in waiting.decide().output and "BIAS" not in waiting.decide().output
        # and so have the copies of both
        assert_published(waiting, "as quiet as ever")
        # When it is undone, then they have that too
        undone = CliRunner().invoke(
            main,
            ["decertify", waiting.run_id, "--journals", str(waiting.journals), "--reason", "too early"],
        )
        assert undone.exit_code == 0, undone.output
        assert f"Published: {(waiting.published / file.name).as_uri()}" in undone.output
        assert_published(waiting, "too early")

    def test_accepts_for_other_dates_and_another_collection(self, waiting: Waiting) -> None:
        result = waiting.decide(
            *(waiting.run_id, "accept", "--reason", "valid from the day before"),
            *("--begin", "2026-11-24T12:00:00", "--collection", "LATISS/calib/daily/ask.2"),
        )
        assert result.exit_code == 0, result.output
        assert waiting.certified() == {
            "bias in LATISS/calib/daily/ask.2, 2026-11-24",
            "dark in LATISS/calib/daily/ask.2, 2026-11-24",
        }

    def test_accepts_elsewhere_what_is_taken_meanwhile(self, waiting: Waiting) -> None:
        # Given that another bias was certified for these dates
        record = load_record(waiting.journals, waiting.run_id)
        job = record.job_of(stage("generate DARK"))
        assert job is not None
        with Butler.from_config(str(waiting.repo), writeable=True) as butler:
            (dark,) = butler.query_datasets("dark", collections=f"u/ocps/{job.job_id}/run")
            butler.collections.register("LATISS/calib/daily/ask", CollectionType.CALIBRATION)
            butler.registry.certify("LATISS/calib/daily/ask", [dark], Timespan(None, None))
        # When it is accepted as it was meant, then it is refused
        args = (waiting.run_id, "accept", "DARK", "--reason", "good")
        refused = waiting.decide(*args)
        assert refused.exit_code == 2 and "has calibrations already" in refused.output
        # but it is certified into another collection
        result = waiting.decide(*args, "--collection", "LATISS/calib/daily/ask.3")
        assert result.exit_code == 0, result.output
        assert "dark in LATISS/calib/daily/ask.3, 2026-11-25" in waiting.certified(since="2026")

    def test_rejects_with_a_reason_and_for_good(self, waiting: Waiting) -> None:
        result = waiting.decide(waiting.run_id, "reject", "DARK", "--reason", "light leak")
        assert result.exit_code == 0 and "light leak" in " ".join(result.output.split())
        assert waiting.certified() == set()
        again = waiting.decide(waiting.run_id, "accept", "DARK", "--reason", "no, it is good")
        assert again.exit_code == 2
        assert "it was rejected by" in again.output and "What waits: BIAS." in again.output

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            (("accept", "BIAS"), "A decision needs a reason"),
            (("accept", "FLAT", "--reason", "x"), "'FLAT' is not one of its products"),
            (("accept", "--reason", "x", "--begin", "yesterday"), "certify_calib_begin_date"),
            (("accept", "--reason", "x", "--end", "2026-11-01"), "certify_calib_end_date"),
            (("accept", "--reason", "x", "--collection", "LATISS/raw/all"), "LATISS/raw/all is a RUN"),
        ],
    )
    def test_refuses_what_cannot_be_and_changes_nothing(
        self, waiting: Waiting, args: tuple[str, ...], message: str
    ) -> None:
        before = load_record(waiting.journals, waiting.run_id)
        result = waiting.decide(waiting.run_id, *args)
        assert result.exit_code == 2 and message in result.output
        assert waiting.certified() == set()
        assert load_record(waiting.journals, waiting.run_id) == before

    def test_proves_anew_what_it_certifies(self, waiting: Waiting) -> None:
        # Given that the statistics of the bias were lost after the run
        record = load_record(waiting.journals, waiting.run_id)
        job = record.job_of(stage("verify BIAS"))
        assert job is not None
        with Butler.from_config(str(waiting.repo)) as butler:
            (ref,) = butler.query_datasets("verifyBiasStats", collections=f"u/ocps/{job.job_id}/run")
            statistics = Path(butler.getURI(ref).ospath)
        hidden = statistics.rename(statistics.with_suffix(".lost"))
        # When it is accepted
        result = waiting.decide(waiting.run_id, "accept", "BIAS", "--reason", "it was good")
        hidden.rename(statistics)
        # Then it is not certified
        assert result.exit_code == 2
        assert "not proven: BIAS: verify BIAS ended FAILED" in result.output
        assert waiting.certified() == set()

    def test_runs_no_job_for_what_is_not_there(self, waiting: Waiting) -> None:
        # Given that the job of the bias is not the one of the record
        file = waiting.journals / f"{waiting.run_id}.journal.json"
        journal = json.loads(file.read_text(encoding="utf-8"))
        for job in journal["jobs"]:
            job["job_id"] = job["job_id"][::-1]
        file.write_text(json.dumps(journal), encoding="utf-8")
        # When it is accepted
        result = waiting.decide(waiting.run_id, "accept", "BIAS", "--reason", "it was good")
        # Then nothing is made anew
        assert result.exit_code == 2 and "runs no jobs: resume the run first" in result.output
        assert waiting.certified() == set()

    def test_is_refused_to_the_second_of_two_deciders(self, waiting: Waiting) -> None:
        # Given another who decides about this run
        lock = run_lock(waiting.journals, waiting.run_id)
        lock.acquire()
        try:
            result = waiting.decide(waiting.run_id, "accept", "--reason", "good")
        finally:
            lock.release()
        # Then one is told who that is
        assert result.exit_code == 2 and "process" in result.output
        # and once that one has decided, what was decided
        waiting.decide(waiting.run_id, "reject", "--reason", "noisy")
        second = waiting.decide(waiting.run_id, "accept", "--reason", "good")
        assert second.exit_code == 2 and "nothing waits for a decision" in second.output


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_a_person_accepts_of_two_detectors_is_the_good_one(tmp_path: Path) -> None:
    # Given two detectors of ComCam, one of which failed and is left out
    config = tmp_path / "config.yaml"
    config.write_text(
        "{script_mode: BIAS, n_bias: 3, generate_calibrations: true, detectors: [0, 1], certify: ask,"
        " incomplete: certify_rest, calib_collection: LSSTComCam/calib/daily/ask}",
        encoding="utf-8",
    )
    words = ["simulate", str(config), "--instrument", "LSSTComCam", "--workdir", str(tmp_path / "w")]
    result = CliRunner().invoke(main, [*words, "--scale", "64", "--fault", "bad-detector"])
    assert result.exit_code == 3, result.output
    journals = tmp_path / "w/journal"
    (waiting,) = waiting_in(journals)
    without = "without 1 of 2 detectors: R22_S01: NOISE on 16 amplifiers"
    assert waiting.seen.count(without) == 1
    # and who looks at it sees the same
    runs = Runs(journals)
    shown = runs.evidence(waiting.run_id, "BIAS")
    assert shown.waiting is not None and shown.waiting.seen == waiting.seen
    assert shown.detectors == ((0, "R22_S00"), (1, "R22_S01"))
    assert all(runs.image(waiting.run_id, "BIAS", i, "new")().startswith(b"\x89PNG") for i in (0, 1))
    # When it is accepted
    words = ["decide", waiting.run_id, "accept", "BIAS", "--journals", str(journals), "--reason", "as ever"]
    result = CliRunner().invoke(main, words)
    # Then the good one is certified, and it is said that the other is not
    assert result.exit_code == 0, result.output
    assert f"BIAS: CERTIFIED into LSSTComCam/calib/daily/ask: {without}" in unfolded(result.stdout)
    assert "Nothing was certified" not in result.output and "WAITING" not in result.output
    with Butler.from_config(str(tmp_path / "w/repo")) as butler:
        refs = butler.query_datasets("bias", collections="LSSTComCam/calib/daily/ask", find_first=False)
        assert [ref.dataId["detector"] for ref in refs] == [0]
    # and the record proves that.
    (proof,) = read_document((journals / f"{waiting.run_id}.json").read_text(encoding="utf-8")).report.proofs
    assert [bad.name for bad in proof.left_out] == ["R22_S01"] and proof.decision is not None


CHROMIUM = shutil.which("chromium")
TOKEN = "a-token-that-is-hard-to-guess"  # noqa: S105 - of a desk that lives as long as a test


@pytest.fixture
def desk(waiting: Waiting) -> Iterator[str]:
    """Serve the desk; give its address."""
    import uvicorn
    from lsst.ts.calibrationscripts.desk import Desk

    application = Desk(waiting.journals, {TOKEN: "ann"}).application
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=2))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        serving.start()
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        serving.join(60)
    assert not serving.is_alive()


@contextlib.contextmanager
def browsing(**options: Any) -> Iterator[Any]:
    """Open a page of Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--headless", "--no-sandbox", "--disable-quic", "--disable-background-networking"],
        )
        page = browser.new_context(**options).new_page()
        page.set_default_timeout(240_000)
        yield page
        browser.close()


def log_in(page: Any, desk: str) -> None:
    page.goto(f"{desk}login#{TOKEN}")
    page.wait_for_url(desk)


def seen_wrong_by_axe(page: Any) -> list[str]:
    """Return what axe finds against WCAG 2.2 AA."""
    script = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js")
    # Not as an element of the page, whose policy refuses foreign scripts.
    page.evaluate(script.read_text(encoding="utf-8"))
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = page.evaluate("tags => axe.run({runOnly: tags})", tags)
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found["violations"]]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian's package chromium)")
class TestAtTheDesk:
    def test_a_product_is_looked_at_and_accepted_by_keyboard(self, waiting: Waiting, desk: str) -> None:
        with browsing() as page:
            log_in(page, desk)
            # When the first product is opened
            page.get_by_role("link", name="BIAS", exact=True).press("Enter")
            # Then the new image, the old one and the difference are there
            page.wait_for_function(
                "() => [...document.querySelectorAll('#viewer img')].filter(i => i.naturalWidth).length === 3"
            )
            for key, kind in (("o", "old"), ("d", "difference"), ("n", "new")):
                page.keyboard.press(key)
                assert page.locator("#viewer figure:not(.under)").get_attribute("data-kind") == kind
            page.keyboard.press("b")
            page.wait_for_selector("#viewer figure[data-kind=old]:not(.under)")
            page.wait_for_selector("#viewer figure[data-kind=new]:not(.under)")
            # When it is accepted without a mouse
            page.keyboard.press("r")
            page.keyboard.type("as quiet as ever")
            page.keyboard.press("Enter")
            page.wait_for_selector("text=BIAS: CERTIFIED")
        # Then it is certified by that person, and found
        assert waiting.certified() == {"bias in LATISS/calib/daily/ask, 2026-11-25"}
        (decision,) = load_record(waiting.journals, waiting.run_id).decisions
        assert (decision.who, decision.reason) == ("ann", "as quiet as ever")
        with Butler.from_config(str(waiting.repo)) as butler:
            (association,) = butler.registry.queryDatasetAssociations(
                "bias",
                collections="LATISS/calib/daily/ask",
                collectionTypes={CollectionType.CALIBRATION},
            )
            found = butler.get(
                "bias",
                instrument="LATISS",
                detector=0,
                collections="LATISS/calib/daily/ask",
                timespan=association.timespan,
            )
            assert found.image.array.std() > 0
        # When it is undone
        undone = CliRunner().invoke(
            main,
            ["decertify", waiting.run_id, "--journals", str(waiting.journals), "--reason", "too early"],
        )
        # Then nothing is found any more, as before
        assert undone.exit_code == 0, undone.output
        assert waiting.certified() == set()

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [1280, 400])
    def test_everybody_can_use_it(self, waiting: Waiting, desk: str, width: int, scheme: str) -> None:
        with browsing(viewport={"width": width, "height": 900}, color_scheme=scheme) as page:
            page.goto(f"{desk}login")
            assert seen_wrong_by_axe(page) == []
            log_in(page, desk)
            for path in ("", f"run/{waiting.run_id}", f"run/{waiting.run_id}/product/DARK"):
                page.goto(f"{desk}{path}")
                assert seen_wrong_by_axe(page) == []
                # and it does not have to be moved sideways
                assert page.evaluate("document.documentElement.scrollWidth") <= width
