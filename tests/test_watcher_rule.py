# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule for the Watcher, on a stand-in of the Watcher's classes."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import standin_watcher
import yaml
from jsonschema import ValidationError
from lsst.ts.calibrationscripts.pipelines import GENERATIONS
from lsst.ts.calibrationscripts.products import Product
from standin_watcher import load_rule

CONTRIB = Path(__file__).parents[1] / "contrib" / "ts_watcher"


class Clock:
    def __init__(self) -> None:
        self.now = 1e9


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(standin_watcher, "current_tai", lambda: clock.now)
    return clock


@pytest.fixture
def rule_class(clock: Clock) -> Any:
    return load_rule()


class Heard:
    """A rule, and scripts that log."""

    def __init__(self, rule_class: Any, clock: Clock, **config: Any) -> None:
        self.rule = rule_class(config=rule_class.make_config(**config))
        self._clock = clock

    async def log(
        self, message: str, name: str = "Script.calibration_verdict.LATISS", script: int = 100001
    ) -> None:
        data = types.SimpleNamespace(
            name=name, message=message, private_sndStamp=self._clock.now, salIndex=script
        )
        await self.rule.update_alarm_severity(data=data, topic_callback=None)

    async def poll(self) -> None:
        await self.rule.update_alarm_severity()

    @property
    def severities(self) -> list[str]:
        return [severity.name for _, severity, _ in self.rule.alarm.published]


async def test_a_failed_calibration_sets_one_alarm_and_the_next_good_one_clears_it(
    rule_class: Any, clock: Clock
) -> None:
    heard = Heard(rule_class, clock, product="BIAS")
    assert heard.rule.name == "CalibrationVerified.LATISS.BIAS"
    await heard.log("verify BIAS: HELD, 3 of 3 exposures fail NOISE")
    for _ in range(3):
        await heard.poll()
    assert heard.severities == ["SERIOUS"]
    reason = "BIAS failed verification in script 100001: 3 of 3 exposures fail NOISE"
    assert heard.rule.alarm.reason == reason
    await heard.log("verify BIAS: PASSED, 0 of 20 exposures failed", script=100002)
    assert heard.severities == ["SERIOUS", "NONE"]


async def test_a_good_calibration_sets_no_alarm(rule_class: Any, clock: Clock) -> None:
    heard = Heard(rule_class, clock, product="BIAS")
    await heard.log("verify BIAS: PASSED, 0 of 20 exposures failed")
    await heard.poll()
    assert heard.severities == []


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("verify DARK: HELD, 3 of 3 exposures failed", "Script.calibration_verdict.LATISS"),
        ("verify BIAS_BOOTSTRAP: HELD, 3 of 3 exposures failed", "Script.calibration_verdict.LATISS"),
        ("verify BIAS: FAILED, the job was lost", "Script.calibration_verdict.LATISS"),
        ("verify BIAS: HELD, 3 of 3 exposures failed", "Script"),
        ("verify BIAS: HELD, 3 of 3 exposures failed", "Script.calibration_verdict.LSSTCam"),
    ],
)
async def test_what_is_not_a_verdict_on_the_product_sets_no_alarm(
    rule_class: Any, clock: Clock, message: str, name: str
) -> None:
    heard = Heard(rule_class, clock, product="BIAS")
    await heard.log(message, name)
    assert heard.severities == []


async def test_sets_of_flats_are_cleared_each_by_its_own(rule_class: Any, clock: Clock) -> None:
    heard = Heard(rule_class, clock, product="FLAT")
    await heard.log("verify FLAT SDSSr_65mm empty_1: HELD, 3 of 3 exposures failed")
    await heard.log("verify FLAT SDSSg_65mm empty_1: PASSED, 0 of 3 exposures failed")
    assert heard.severities == ["SERIOUS"]
    await heard.log("verify FLAT SDSSr_65mm empty_1: PASSED, 0 of 3 exposures failed")
    assert heard.severities == ["SERIOUS", "NONE"]


async def test_an_overdue_calibration_sets_one_alarm_until_one_passes(rule_class: Any, clock: Clock) -> None:
    heard = Heard(rule_class, clock, product="DARK", max_age=3600)
    await heard.log("verify DARK: PASSED, 0 of 3 exposures failed")
    clock.now += 3599
    await heard.poll()
    assert heard.severities == []
    for _ in range(3):
        clock.now += 100
        await heard.poll()
    assert heard.severities == ["WARNING"]
    assert heard.rule.alarm.reason == "No DARK of LATISS has passed verification for 1 h."
    # One that fails is the graver cause, and does not end it.
    await heard.log("verify DARK: HELD, 3 of 3 exposures failed")
    await heard.log("verify DARK: PASSED, 0 of 3 exposures failed")
    assert heard.severities == ["WARNING", "SERIOUS", "NONE"]


async def test_the_age_of_what_was_never_heard_of_is_that_of_the_watcher(
    rule_class: Any, clock: Clock
) -> None:
    heard = Heard(rule_class, clock, product="DARK", max_age=3600)
    clock.now += 3601
    await heard.poll()
    assert heard.severities == ["WARNING"]


@pytest.fixture
async def started(rule_class: Any, clock: Clock) -> AsyncIterator[Heard]:
    heard = Heard(rule_class, clock, product="BIAS")
    heard.rule.start()
    yield heard
    heard.rule.stop()


async def test_an_alarm_that_the_model_resets_is_set_again(started: Heard) -> None:
    # Given an alarm, when the Watcher is disabled and enabled
    await started.log("verify BIAS: HELD, 3 of 3 exposures failed")
    started.rule.stop()
    started.rule.start()
    await asyncio.sleep(0.01)
    assert started.severities == ["SERIOUS", "SERIOUS"]


def test_the_example_configures_one_rule_a_product(rule_class: Any, clock: Clock) -> None:
    (entry,) = yaml.safe_load((CONTRIB / "watcher.yaml").read_text(encoding="utf-8"))["rules"]
    assert entry["classname"] == rule_class.__name__
    names = [Heard(rule_class, clock, **config).rule.name for config in entry["configs"]]
    assert len(set(names)) == len(names)


def test_the_products_are_those_that_have_verdicts(rule_class: Any) -> None:
    verified = {product for generation in GENERATIONS.values() for product in generation.verifiers}
    assert set(rule_class.get_schema()["properties"]["product"]["enum"]) == {*verified, Product.GAIN}
    with pytest.raises(ValidationError):
        rule_class.make_config(product="DEFECTS")
