# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random sequences of runs, each resumed after something was changed.

A sequence is a run and up to four that resume it. Sequences share their
beginnings: each continues one that was checked before, from the moment that
was saved at its end.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import yaml
from butler_invariant import Certified, certified, faults
from butler_mutations import MUTATIONS, certify_something_else
from butler_world import DAILY, RED, ButlerWorld, Faults, Snapshot, planned
from lsst.ts.calibrationscripts.outcomes import Outcome
from lsst.ts.calibrationscripts.products import StageKind

MAX_RESUMED = 4
_KEPT = 40
"""Moments that are kept to continue from."""

_BASE = {
    "n_discard_bias": 0,
    "n_discard_dark": 0,
    "n_discard_flat": 0,
    "exp_times_dark": 5,
    "do_gain_from_flat_pairs": False,
    "do_defects": False,
    "calib_collection": DAILY,
    "certify_calib_begin_date": "2026-11-23",
    "certify_calib_end_date": "2026-11-25",
    "generate_calibrations": True,
}

_MODES = {
    "BIAS": ({"script_mode": "BIAS", "n_bias": 2}, 11),
    "DARK": ({"script_mode": "DARK", "n_dark": 2}, 2),
    "FLAT": ({"script_mode": "FLAT", "n_flat": 2, "exp_times_flat": 5, "filter": RED}, 4),
    "BIAS_DARK": ({"script_mode": "BIAS_DARK", "n_bias": 2, "n_dark": 2}, 3),
    "ALL": (
        {
            "script_mode": "BIAS_DARK_FLAT",
            "n_bias": 2,
            "n_dark": 2,
            "n_flat": 4,
            "exp_times_flat": [5, 5, 6, 6],
            "filter": RED,
            "do_ptc": True,
        },
        1,
    ),
}
"""Configurations, and how often each is taken: the small ones are quick."""

_CHANGES = (
    *([{}] * 10),
    {"certify_calib_end_date": "2026-11-26"},
    {"certify_calib_begin_date": "2026-11-22T12:00:00", "certify_calib_end_date": "2026-11-23"},
    {"generate_calibrations": False},
    {"certify": "together"},
    {"certify": "ask"},
    {"do_verify": False},
    {"number_verification_tests_threshold_bias": 3},
    *([{"number_verification_tests_threshold_bias": 17}] * 2),
    {"config_options_bias": "-c cpBiasIsr:doLinearize=False"},
    {"config_options_flat": "-c cpFlatIsr:doLinearize=False"},
    {"input_collections_verify_bias": "Duo/calib/reference"},
    {"detectors": [0]},
    *([{"incomplete": "certify_rest"}] * 4),
    {"n_processes": 2},
)
"""What the configuration of a resumed run may have changed; about frames it
may not change anything."""

BIAS_ALONE = yaml.safe_dump(_BASE | _MODES["BIAS"][0])
"""Two biases, made, verified and certified."""

_JOB_FAULTS = (
    *("refused", "lost", "exit 1", "nothing", "dropped", "foreign", "foreign too", "noisy"),
    *("one detector", "one detector, exit 1", "dropped of one", "one noisy"),
)


@dataclass(frozen=True)
class Step:
    """A run, with what happens before and in it."""

    text: str
    mutations: tuple[tuple[str, int, int], ...] = ()
    faults: Faults = field(default_factory=Faults)


@dataclass(frozen=True)
class Moment:
    """The end of a sequence."""

    steps: tuple[Step, ...]
    mode: str
    snapshot: Snapshot
    certified: frozenset[Certified]

    promising: bool = True
    """Whether another run may come to its end."""


class ViolationError(AssertionError):
    """Something is certified that must not be."""


def replay(world: ButlerWorld, steps: tuple[Step, ...]) -> Moment:
    """Carry out a sequence, from a repository in which nothing was done."""
    moment = Moment((), "", world.pristine, frozenset())
    for step in steps:
        moment, _ = _next(world, moment, step)
    return moment


def _next(world: ButlerWorld, moment: Moment, step: Step) -> tuple[Moment, Counter[str]]:
    """Carry out one more step, and check what is certified then."""
    world.restore(moment.snapshot)
    done = [text for name, i, j in step.mutations if (text := MUTATIONS[name](world, i, j))]
    before = (
        certified(world)
        if any(name == certify_something_else.__name__ for name, *_ in step.mutations)
        else moment.certified
    )
    ended = world.run(step.text, step.faults)
    now = certified(world)
    steps = (*moment.steps, step)
    found = list(faults(world, ended, before, now))
    if found:
        lines = [
            *found,
            "after these steps:",
            *(f"  {each!r}," for each in steps),
            "the last of which:",
            *done,
        ]
        raise ViolationError("\n".join(lines))
    counts = Counter(
        {
            "mutated": bool(done),
            "certified": bool(now - before),
            "reported": bool(ended.report and ended.report.proofs),
            "refused": ended.report is None,
            "held": ended.report is not None
            and any(result.outcome is Outcome.HELD for result in ended.report.stages),
        }
    )
    promising = (
        ended.report is not None
        and bool(ended.report.stages)
        and all(
            result.outcome is not Outcome.FAILED
            for result in ended.report.stages
            if result.stage.kind in (StageKind.EXPOSE, StageKind.CERTIFY)
        )
    )
    return Moment(steps, moment.mode, world.save(), now, promising), counts


def explore(world: ButlerWorld, seed: int, n: int) -> Counter[str]:
    """Carry out random sequences, and check each.

    Parameters
    ----------
    world : `ButlerWorld`
        Where.
    seed : `int`
        The same gives the same sequences.
    n : `int`
        How many, each with at least one run that resumes another.

    Returns
    -------
    counts : `~collections.Counter` [`str`]
        Of how many something is true, as of their last run.

    Raises
    ------
    ViolationError
        If the invariant does not hold; has the steps, for `replay`.
    """
    chance = random.Random(seed)  # noqa: S311 - it is to be the same each time
    counts: Counter[str] = Counter()
    moments: list[Moment] = []
    while counts["sequences"] < n:
        if len(moments) < 3 or chance.random() < 0.08:
            moments.append(_first(world, chance))
        # What is broken mostly remains so.
        promising = [moment for moment in moments if moment.promising]
        parent = chance.choice(promising if promising and chance.random() < 0.9 else moments)
        step = _random_step(chance, parent.mode)
        moment, what = _next(world, parent, step)
        counts.update(what)
        counts["sequences"] += 1
        if len(moment.steps) <= MAX_RESUMED:
            moments.append(moment)
        if len(moments) > _KEPT:
            del moments[chance.randrange(len(moments))]
    return counts


def _first(world: ButlerWorld, chance: random.Random) -> Moment:
    """Make a run that later ones resume."""
    (mode,) = chance.choices(list(_MODES), [weight for _, weight in _MODES.values()])
    text = yaml.safe_dump(_BASE | _MODES[mode][0])
    disturbed = chance.random() < 0.8
    step = Step(text, faults=_random_faults(chance, mode) if disturbed else Faults())
    moment, _ = _next(world, Moment((), mode, world.pristine, frozenset()), step)
    if not disturbed:
        wanted = {
            stage.subject.product.value.lower() for stage in planned(text)[1].stages_of(StageKind.CERTIFY)
        }
        assert {each.name for each in moment.certified} == wanted, "what is in order is certified"
    return moment


def _random_step(chance: random.Random, mode: str) -> Step:
    values = _BASE | _MODES[mode][0]
    values |= chance.choice(_CHANGES)
    mutations = tuple(
        (chance.choice(list(MUTATIONS)), chance.randrange(24), chance.randrange(24))
        for _ in range(chance.choice((0, 1, 1, 1, 1, 2, 3)))
    )
    faults = _random_faults(chance, mode) if chance.random() < 0.3 else Faults()
    return Step(yaml.safe_dump(values), mutations, faults)


def _random_faults(chance: random.Random, mode: str) -> Faults:
    most = {"BIAS": 30, "DARK": 30, "FLAT": 40, "BIAS_DARK": 60}.get(mode, 115)
    match chance.randrange(10):
        case 8:
            return Faults(foreign_at=chance.randint(1, 3))
        case 9:
            return Faults(reference_first=True)
        case 0 | 1 | 2:
            return Faults(kill_at=chance.randint(1, most))
        case 3:
            return Faults(camera_at=chance.randint(1, 3))
        case 4:
            return Faults(lying_at=chance.randint(1, 3))
        case _:
            return Faults(jobs={chance.randint(1, 4): chance.choice(_JOB_FAULTS)})
