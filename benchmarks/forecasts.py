# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often forecasts prove false: none may.

Random configurations are planned and forecast. Most are then played with the
frames and the pipelines' tasks of the simulation, in this process, and the
statistics judged as those of a run; some are whole runs on the simulated
observatory, which take a minute each.

    python benchmarks/forecasts.py [--n 200] [--whole 5] [--seed 1]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lsst.ts.calibrationscripts import simulation
from lsst.ts.calibrationscripts.config import CalibrationConfig, ConfigurationError, parse
from lsst.ts.calibrationscripts.forecast import Finding, Forecast, Kind, Level, make_forecast
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.plan import RunPlan, make_plan
from lsst.ts.calibrationscripts.products import Product, StageKind, Subject
from lsst.ts.calibrationscripts.simulation.ccd import CcdModel
from lsst.ts.calibrationscripts.simulation.exposure import Exposure
from lsst.ts.calibrationscripts.simulation.products import Defects
from lsst.ts.calibrationscripts.simulation.tasks.combine import CombineTask
from lsst.ts.calibrationscripts.simulation.tasks.isr import IsrTask
from lsst.ts.calibrationscripts.simulation.tasks.merge import MergeExposureTask, MergeRunTask
from lsst.ts.calibrationscripts.simulation.tasks.verify import VerifyFlatTask, VerifyReadNoiseTask
from lsst.ts.calibrationscripts.verification import judge

GENERATIONS = ("2022", "current")
SCALE = 8
DETECTOR = LATISS.detectors[0]


def configurations(seed: int) -> Iterator[dict[str, Any]]:
    """Yield random configurations that are valid."""
    rng = random.Random(seed)  # noqa: S311 - nothing is secret
    while True:
        data = _configuration(rng)
        try:
            parse(yaml.safe_dump(data), LATISS)
        except ConfigurationError:
            continue
        yield data


def _configuration(rng: random.Random) -> dict[str, Any]:
    n_bias, n_dark = (rng.choice([1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 14]) for _ in range(2))
    n_flat = rng.randint(1, 4)
    times = rng.choice([[1], [5], [30], [100], [300], [2, 15], [5, 20, 60]])
    same = rng.random() < 0.5
    data: dict[str, Any] = {
        "script_mode": rng.choice(["BIAS", "BIAS_DARK", "BIAS_DARK", "BIAS_DARK_FLAT"]),
        "pipeline_generation": rng.choice(GENERATIONS),
        "generate_calibrations": rng.random() < 0.8,
        "n_bias": n_bias,
        "n_dark": n_dark,
        "exp_times_dark": times[0] if same else [rng.choice(times) for _ in range(n_dark)],
        "n_flat": n_flat,
        "exp_times_flat": [rng.choice([2, 4, 4, 10]) for _ in range(n_flat)],
        "do_gain_from_flat_pairs": rng.random() < 0.5,
        "certify": rng.choice(["each", "together", "ask"]),
    }
    for name in ("bias", "dark", "flat"):
        data[f"number_verification_tests_threshold_{name}"] = rng.choice([1, 4, 8, 8, 8, 12, 16, 17, 40])
    return data


@dataclass(frozen=True)
class Played:
    """A configuration, its forecast, and how its stages ended."""

    data: dict[str, Any]
    forecast: Forecast
    outcomes: dict[str, Outcome]
    """By name of the stage; without those that were not played."""

    def checked(self) -> Iterator[tuple[Finding, bool]]:
        """Yield the findings that could be compared, and whether they hold."""
        for finding in self.forecast.findings:
            ended = [self.outcomes[stage.name] for stage in finding.stages if stage.name in self.outcomes]
            if finding.fails and ended:
                skipped = [self.outcomes.get(stage.name, Outcome.SKIPPED) for stage in finding.skipped]
                yield (
                    finding,
                    not any(outcome.good for outcome in ended)
                    and all(outcome is Outcome.SKIPPED for outcome in skipped),
                )
            elif finding.kind is Kind.THRESHOLD and ended:
                yield finding, Outcome.HELD not in ended


def of(config: CalibrationConfig) -> tuple[RunPlan, Forecast]:
    """Return plan and forecast of a configuration."""
    plan = make_plan(config, LATISS)
    return plan, make_forecast(config, plan, LATISS)


# In this process


class _Handle:
    """An image in memory, as a task gets one that it may not need."""

    def __init__(self, image: Exposure) -> None:
        self._image = image
        self.dataId: dict[str, Any] = {}

    def get(self) -> Exposure:
        return self._image


class Camera:
    """Frames of a CCD, and what the pipelines of a generation make of them."""

    def __init__(self, generation: str, seed: int) -> None:
        self.ccd = CcdModel(DETECTOR, scale=SCALE, seed=seed)
        self._tree = Path(simulation.__file__).parent / generation / "cp_verify"
        self._n = 0
        truth = self.ccd.truth
        self.defects = Defects.from_mask(truth.dead | truth.hot, DETECTOR.id)
        trimmed = self.ccd.detector.to_metadata()
        gain = self.ccd.detector.per_segment(truth.gain)

        def calibration(electrons: np.ndarray) -> Exposure:
            segments = self.ccd.detector.segments(electrons) / gain
            return Exposure(segments.reshape(self.ccd.detector.shape).astype(np.float32), trimmed)

        self.references = {
            Product.BIAS: Exposure(truth.bias, trimmed),
            Product.DARK: calibration(truth.dark),
            Product.FLAT: calibration(truth.response),
        }

    def expose(self, image_type: str, exp_time: float) -> Exposure:
        self._n += 1
        header = {"DARKTIME": exp_time, "EXPTIME": exp_time, "IMGTYPE": image_type}
        return Exposure(
            self.ccd.expose(image_type, exp_time, self._n), self.ccd.detector.to_metadata() | header
        )

    def combine(self, images: Sequence[Exposure], scaling: str) -> Exposure:
        config = CombineTask.ConfigClass()
        config.exposureScaling = scaling
        handles = [_Handle(image) for image in images]
        combined: Exposure = CombineTask(config=config).run(handles).outputData
        return combined

    def verify(self, product: Product, images: Sequence[Exposure]) -> dict[Any, Any]:
        """Return the run statistics, as the pipelines of the tree do."""
        task: Any = VerifyFlatTask() if product is Product.FLAT else self._noise_task(product)
        by_exposure = {
            2026112300001 + i: MergeExposureTask()
            .run({DETECTOR.name: task.run(image).outputStats})
            .outputStats
            for i, image in enumerate(images)
        }
        merge = MergeRunTask()
        merge.config = MergeRunTask.ConfigClass()
        statistics: dict[Any, Any] = merge.run(by_exposure).outputStats
        return statistics

    def _noise_task(self, product: Product) -> VerifyReadNoiseTask:
        """Return the task as the simulated pipeline configures it."""
        found = self._tree.rglob(f"*erify{product.capitalize()}.yaml")
        # In 2022 all cameras had one.
        (file,) = (path for path in found if path.parent.name in ("pipelines", LATISS.pipelines_folder))
        tasks = yaml.safe_load(file.read_text())["tasks"].values()
        (settings,) = [task["config"] for task in tasks if task["class"].endswith(".VerifyReadNoiseTask")]
        config = VerifyReadNoiseTask.ConfigClass()
        config.noiseTwoSided = settings.get("noiseTwoSided", config.noiseTwoSided)
        return VerifyReadNoiseTask(config=config)


_SCALING = {Product.BIAS: "Unity", Product.DARK: "DarkTime", Product.FLAT: "MeanStats"}


def play(data: dict[str, Any], seed: int) -> Played:
    """Play a configuration with the tasks of the simulation."""
    config = parse(yaml.safe_dump(data), LATISS)
    plan, forecast = of(config)
    camera = Camera(config.pipeline_generation, seed)
    known = dict(camera.references)
    outcomes: dict[str, Outcome] = {}
    for series in config.series:
        product = series.subject.product
        applied = {Product.BIAS: "bias", Product.DARK: "dark"}
        before = {
            applied[p]: known[p] for p in applied if list(Product).index(p) < list(Product).index(product)
        }
        raws = [camera.expose(series.image_type.value, time) for time in series.kept_exp_times]
        if config.generate_calibrations:
            images = [IsrTask().run(raw, **before).outputExposure for raw in raws]
            known[product] = camera.combine(images, _SCALING[product])
        calibrations = before | {product.lower(): known[product]}
        verified = [IsrTask().run(raw, **calibrations, defects=camera.defects).outputExposure for raw in raws]
        verdict = judge(
            camera.verify(product, verified),
            Subject(product),
            n_detectors=1,
            threshold=config.of(product).threshold,
        )
        outcomes[f"verify {product}"] = Outcome.PASSED if verdict.passed else Outcome.HELD
    return Played(data, forecast, _with_skipped(plan, outcomes))


def _with_skipped(plan: RunPlan, outcomes: dict[str, Outcome]) -> dict[str, Outcome]:
    """Skip what needs something that is held, as a run does."""
    ended: dict[str, Outcome] = {}
    for stage in plan.stages:
        if any(ended.get(need.name) in (Outcome.HELD, Outcome.SKIPPED) for need in stage.needs):
            ended[stage.name] = Outcome.SKIPPED
        elif stage.kind is StageKind.VERIFY and stage.name in outcomes:
            ended[stage.name] = outcomes[stage.name]
    return ended


# Whole runs


def run(data: dict[str, Any], folder: Path) -> Played:
    """Run a configuration on the simulated observatory, by the command."""
    config = parse(yaml.safe_dump(data), LATISS)
    _, forecast = of(config)
    (folder / "run.yaml").write_text(yaml.safe_dump(data))
    result = folder / "run.json"
    result.unlink(missing_ok=True)
    command = "from lsst.ts.calibrationscripts.cli import main; main()"
    workdir = folder / str(data["pipeline_generation"])
    done = subprocess.run(
        [
            *(sys.executable, "-c", command, "simulate", "run.yaml"),
            *("--workdir", str(workdir), "--scale", str(SCALE), "--json", str(result)),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if not result.exists():
        raise RuntimeError(f"{data} left no result:\n{done.stdout}")
    stages = json.loads(result.read_text())["stages"]
    return Played(data, forecast, {stage["name"]: Outcome(stage["outcome"]) for stage in stages})


# Counting


def count(played: Iterator[Played], report: Callable[[str], None] = print) -> Counter[tuple[str, bool]]:
    """Count findings by level, and whether they hold; report the false."""
    counts: Counter[tuple[str, bool]] = Counter()
    for each in played:
        for finding, holds in each.checked():
            counts[finding.level.value, holds] += 1
            if not holds:
                report(f"{finding.level}: false: {finding.text}\n    of {each.data}\n    {each.outcomes}")
    return counts


def main() -> None:
    """Play random configurations and say how many forecasts were false."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="configurations that are played in this process")
    parser.add_argument("--whole", type=int, default=5, help="whole runs on the simulated observatory")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    source = configurations(options.seed)

    def all_played(folder: Path) -> Iterator[Played]:
        for i in range(options.n):
            yield play(next(source), options.seed + i)
        for i in range(options.whole):
            data = next(source) | {"calib_collection": f"LATISS/calib/forecast{i}", "spoilt_frames": "report"}
            yield run(data, folder)

    with tempfile.TemporaryDirectory() as name:
        counts = count(all_played(Path(name)))
    for level in Level:
        true, false = counts[level.value, True], counts[level.value, False]
        print(f"{level.value}: {true + false} findings on {options.n + options.whole} runs, {false} false")
    sys.exit(1 if counts[Level.CERTAIN.value, False] or counts[Level.REMARK.value, False] else 0)


if __name__ == "__main__":
    main()
