# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""An observer decides with a script of the queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from lsst.ts.calibrationscripts.files.journal import FileJournal, load_record
from lsst.ts.calibrationscripts.observatory.decide_calibrations import DecideCalibrations
from lsst.ts.calibrationscripts.observatory.queue import ScriptResult, run_script
from lsst.ts.calibrationscripts.outcomes import Outcome, RunState, StageResult
from lsst.ts.calibrationscripts.record import DecisionKind, RunRecord
from named import stage

RUN = "20261125T180000-1"
TIMEOUT = 100.0


@pytest.fixture
def journals(tmp_path: Path) -> Path:
    """Leave a run whose bias waits."""
    waiting = StageResult(stage("certify BIAS"), Outcome.WAITING)
    FileJournal(tmp_path, RUN).write(RunRecord(RUN, {}, state=RunState.DONE, stages=(waiting,)))
    return tmp_path


async def queue(journals: Path, **config: Any) -> ScriptResult:
    text = yaml.safe_dump({"run": RUN, "journal_dir": str(journals)} | config)
    return await run_script(DecideCalibrations, text, group_id="2026-11-26T00:00:00", timeout=TIMEOUT)


async def test_a_product_is_rejected_with_who_and_why(topics: None, journals: Path) -> None:
    result = await queue(journals, reject=["BIAS"], reason="noisy", who="Ann")
    assert result.state == "DONE"
    (decision,) = load_record(journals, RUN).decisions
    assert decision.kind is DecisionKind.REJECT and decision.reason == "noisy"
    assert decision.who.startswith("Ann, by Script:")
    assert any("BIAS: HELD: rejected by Ann" in message.text for message in result.messages)


async def test_what_cannot_be_certified_fails_the_script_with_its_cause(topics: None, journals: Path) -> None:
    # Given that nothing is known of the jobs of the run
    result = await queue(journals, accept=["BIAS"], reason="good")
    assert result.state == "FAILED"
    assert "nothing is proven" in result.reason
    assert load_record(journals, RUN).decisions == ()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"run": "20200101T000000-1", "accept": ["BIAS"], "reason": "x"}, "no journal of it"),
        ({"accept": ["BIAS"]}, "'reason' is a required property"),
        ({"reason": "x"}, "not valid under any of the given schemas"),
        ({"accept": "BIAS", "reason": "x"}, "is not of type 'array'"),
    ],
)
async def test_a_wrong_configuration_is_refused(
    topics: None, journals: Path, config: dict[str, Any], message: str
) -> None:
    result = await queue(journals, **config)
    assert result.state == "CONFIGURE_FAILED"
    assert message in result.reason or any(message in each.text for each in result.messages)
