# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a run shows its images with those in use, and the difference."""

from __future__ import annotations

import base64
import copy
import dataclasses
import io
import json
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from lsst.daf.butler import Butler
from lsst.ts.calibrationscripts.butler.evidence import gather
from lsst.ts.calibrationscripts.butler.images import ImagePair, NoImageError
from lsst.ts.calibrationscripts.codec import read_document, write_document
from lsst.ts.calibrationscripts.comparison import AmplifierComparison, Better, Change, Comparison, Quantity
from lsst.ts.calibrationscripts.files.runs import load_file
from lsst.ts.calibrationscripts.outcomes import Gain, Outcome, RunState, StageResult
from lsst.ts.calibrationscripts.pages import gain_plot
from lsst.ts.calibrationscripts.report import Replaced, RunDocument, RunReport
from lsst.ts.calibrationscripts.reporting import write_report
from lsst.ts.calibrationscripts.verification import judge
from named import BIAS, stage
from test_html_report import FIRST, VerifiedRun, _put, evidence_of, held_run, page_of, section
from test_verification import run_statistics

PICTURE = '<img src="data:image/png;base64,'


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VerifiedRun]:
    yield VerifiedRun(tmp_path_factory.mktemp("verified"))


@pytest.fixture(scope="module")
def remade(verified: VerifiedRun) -> RunReport:
    """Return a run whose new bias has a bright corner that the old has not."""
    with Butler.from_config(verified.repo, writeable=True) as butler:
        bias = copy.deepcopy(
            butler.get("bias", instrument="LATISS", detector=0, collections="LATISS/calib/reference")
        )
        height, width = bias.image.array.shape
        bias.image.array[: height // 2, : width // 2] += 1000.0
        _put(butler, "e5", "bias", {"instrument", "detector"}, "CcdExposure", {None: bias})
    made = StageResult(stage("generate BIAS"), Outcome.PASSED, collection="u/ocps/e5")
    return dataclasses.replace(
        verified.report, stages=(made,), config={"input_collections_verify_bias": "LATISS/calib"}
    )


def grey(png: str) -> np.ndarray:
    """Return a picture with the first row of the frame first."""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
        return np.asarray(picture)[::-1].astype(int)


def test_a_new_image_is_shown_with_the_one_in_use_in_the_same_stretch(
    verified: VerifiedRun, remade: RunReport
) -> None:
    (thumbnail,) = gather(remade, verified.repo).thumbnails
    replaced = thumbnail.replaced
    assert replaced is not None and replaced.collection == "LATISS/calib/reference"
    # Then where both are equal they look equal, and the difference is grey
    new, old, difference = map(grey, (thumbnail.png, replaced.png, replaced.difference))
    height, width = new.shape
    assert (new[height // 2 + 1 :] == old[height // 2 + 1 :]).all()
    assert set(difference[height // 2 + 1 :].flat) == {127}
    # and the corner is white in it, and not so in the old one
    corner = (slice(height // 2 - 1), slice(width // 2 - 1))
    assert difference[corner].min() >= 254
    assert old[corner].mean() < new[corner].mean()
    # and the page says what is what
    document = page_of(remade, gather(remade, verified.repo))
    shown = section(document, "images")
    assert document.count(PICTURE) == 3
    assert "in the same stretch" in shown and "LATISS/calib/reference" in shown
    assert f"New less old, from {-replaced.limit:.4g} (black) to {replaced.limit:.4g} (white)." in shown


def test_what_is_the_first_of_its_kind_is_shown_alone(verified: VerifiedRun, remade: RunReport) -> None:
    first = dataclasses.replace(remade, comparisons=(Comparison(BIAS, Better.FIRST),))
    (thumbnail,) = gather(first, verified.repo).thumbnails
    assert thumbnail.replaced is None
    nowhere = dataclasses.replace(remade, config={})
    assert gather(nowhere, verified.repo).thumbnails[0].replaced is None


def test_an_old_image_that_cannot_be_read_is_a_warning_and_the_rest_is_shown(
    verified: VerifiedRun, remade: RunReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("lsst.ts.calibrationscripts.butler.evidence.replaced_by", refuse)
    written = write_report(remade, verified.repo, tmp_path)
    text = "Not shown: the BIAS in use for RXX_S00 could not be read: OSError: the disk is gone."
    assert written.problems == (text,)
    document = written.page.read_text()
    assert text in document and document.count(PICTURE) == 1
    run = load_file(written.json)
    assert run.report.state is remade.state and run.report.stages == remade.stages


def test_images_of_another_size_are_not_subtracted(verified: VerifiedRun, remade: RunReport) -> None:
    pair = ImagePair(np.zeros((4, 4)), np.zeros((4, 5)), "new/run", "old/run")
    with pytest.raises(NoImageError, match="that of old/run has another size than that of new/run"):
        pair.png("difference")


class ManyDetectors:
    """As much of a Butler as has combined biases of many detectors."""

    def __init__(self, n: int) -> None:
        self.collections = types.SimpleNamespace(
            get_info=lambda name: types.SimpleNamespace(children=(f"{name}/run",))
        )
        self._refs = [self._ref(i) for i in range(n)]

    @staticmethod
    def _ref(detector: int) -> Any:
        class DataId(dict[str, int]):
            records: ClassVar = {"detector": types.SimpleNamespace(full_name=f"R{detector:03d}")}

        return types.SimpleNamespace(dataId=DataId(detector=detector), run="new/run")

    def __enter__(self) -> ManyDetectors:
        return self

    def __exit__(self, *args: object) -> None:
        pass

    def query_datasets(self, *args: Any, **options: Any) -> list[Any]:
        return self._refs

    def get(self, ref: Any) -> Any:
        image = np.random.default_rng(int(ref.dataId["detector"])).normal(size=(20, 20))
        return types.SimpleNamespace(image=types.SimpleNamespace(array=image))


def test_of_many_detectors_those_that_fail_or_are_worse_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given 189 detectors; one fails tests, another is worse than the old one
    monkeypatch.setattr(Butler, "from_config", lambda repo: ManyDetectors(189))
    monkeypatch.setattr("lsst.ts.calibrationscripts.butler.evidence.old_of", lambda *args: args[-1])
    worse = Change(Quantity.NOISE, 5.0, 6.0, 0.1, 0.05, Better.WORSE)
    comparison = Comparison(
        BIAS, Better.WORSE, (AmplifierComparison(77, "C00", (worse,)),), "old/run", (FIRST,), ""
    )
    statistics = run_statistics({FIRST: ["R150 C00 NOISE"]})
    report = RunReport(
        RunState.DONE,
        stages=(StageResult(stage("generate BIAS"), Outcome.PASSED, collection="u/ocps/a1"),),
        verdicts={BIAS: judge(statistics, BIAS, n_detectors=189)},
        comparisons=(comparison,),
    )
    # When what is shown is read
    evidence = gather(report, "/repo")
    # Then both are the first of eight, each with what it replaces
    shown = [thumbnail.detector for thumbnail in evidence.thumbnails]
    assert shown == ["R150", "R077", "R000", "R001", "R002", "R003", "R004", "R005"]
    assert all(thumbnail.replaced for thumbnail in evidence.thumbnails)
    # and the page says that others are left out
    assert "BIAS: combined images of 8 of 189 detectors are shown, those with most failures first" in page_of(
        report, evidence
    )


def test_a_document_of_before_is_read_without_what_was_replaced() -> None:
    document = RunDocument(held_run(), evidence_of())
    data = json.loads(write_document(document))
    for thumbnail in data["evidence"]["thumbnails"]:
        del thumbnail["replaced"]
    assert read_document(json.dumps(data)).evidence == document.evidence
    # and what has it keeps it
    replaced = Replaced("old/run", "bmV3", "b2xk", 1.5)
    assert document.evidence is not None
    thumbnails = tuple(dataclasses.replace(each, replaced=replaced) for each in document.evidence.thumbnails)
    evidence = dataclasses.replace(document.evidence, thumbnails=thumbnails)
    again = read_document(write_document(RunDocument(held_run(), evidence)))
    assert thumbnails and again.evidence == evidence


def test_a_gain_of_a_saturated_pair_does_not_hide_the_others() -> None:
    gains = [Gain((1, 2), 5.0, 0, "C00", 1.2, 7.0), Gain((3, 4), 9.0, 0, "C00", 34.0, 7.0)]
    picture = gain_plot([*gains, Gain((1, 2), 5.0, 0, "C01", 1.2, 7.0)])
    assert picture is not None and "beyond the scale" in picture.caption
    assert not re.search(r"<text[^>]*>(10|20|30)</text>", picture.markup)
    usual = gain_plot(gains[:1])
    assert usual is not None and "beyond" not in usual.caption
