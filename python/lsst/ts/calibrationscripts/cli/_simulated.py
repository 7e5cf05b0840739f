# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run configurations on the simulated observatory, one after the other."""

from __future__ import annotations

__all__ = ["SimulatedRuns", "choose"]

import dataclasses
import datetime
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..outcomes import RunState
from ._common import ExitCode, fail, show
from ._examine import Examiner
from ._examined import show_block, show_problems
from ._inputs import Configuration, Input
from ._job_service import with_job_service
from ._results import parse_to_run

if TYPE_CHECKING:
    from ..report import RunReport
    from ..simulation.faults import Fault


def choose(inputs: Sequence[Input], index: int | None, examiner: Examiner) -> list[tuple[str, Configuration]]:
    """Return what is to be run, or say what is wrong and exit.

    Parameters
    ----------
    inputs : sequence of `Input`
        What was given.
    index : `int` or `None`
        Which script of the BLOCK; `None` for all.
    examiner : `Examiner`
        Judges each before the first is run: a mistake in the last costs no
        time.

    Returns
    -------
    chosen : `list` [`tuple`]
        At least one: what messages call it, and the configuration.
    """
    now = datetime.datetime.now().astimezone()
    found: list[tuple[str, Configuration]] = []
    wrong = False
    for each in inputs:
        show_block(each)
        chosen = [
            given for given in each.configurations if index is None or given.place == f"scripts[{index}]"
        ]
        examined = examiner.examine_all(dataclasses.replace(each, configurations=tuple(chosen)), now)
        show_problems(each, examined)
        wrong = wrong or bool(each.problems) or any(one.problems for one in examined)
        found += [(one.source, one.given) for one in examined]
    if wrong:
        raise SystemExit(ExitCode.INVALID)
    if len(cameras := list(dict.fromkeys(given.instrument.name for _, given in found))) > 1:
        fail(
            f"There are scripts of {' and '.join(cameras)}, and a work folder is of one camera: choose one "
            "script by --script N",
            ExitCode.INVALID,
        )
    if not found and index is not None:
        listed = [each.source(given) for each in inputs for given in each.configurations if given.place]
        known = f"it is one of {', '.join(listed)}" if listed else "that is for a BLOCK"
        fail(f"--script {index}: makes no calibrations; {known}", ExitCode.INVALID)
    if not found:
        fail("Nothing to run.", ExitCode.INVALID)
    return found


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What runs on a simulated observatory have in common."""

    scale: int | None = None
    seed: int | None = None
    time_scale: float = 0.01
    fault_texts: tuple[str, ...] = ()
    job_service: str | None = None


class SimulatedRuns:
    """Runs configurations in one work folder.

    Parameters
    ----------
    workdir : `pathlib.Path`
        Folder of the observatory.
    settings : `Settings`
        Of the observatory.
    """

    def __init__(self, workdir: Path, settings: Settings) -> None:
        self._workdir = workdir
        self._settings = settings

    @property
    def journals(self) -> Path:
        """Folder of the journals of its runs."""
        return self._workdir.absolute() / "journal"

    def earlier_config(self, run_id: str, journal_dir: str | None) -> Mapping[str, Any]:
        """Return the configuration of a run; see `config.parse`."""
        from ..files.journal import load_record

        return load_record(self.journals, run_id).config

    def run_all(self, chosen: Sequence[tuple[str, Configuration]]) -> list[RunReport]:
        """Run configurations as the queue would, until a script fails.

        Parameters
        ----------
        chosen : sequence of `tuple`
            What messages call each, and the configuration.

        Returns
        -------
        reports : `list` [`RunReport`]
            Of those that were run.
        """
        reports: list[RunReport] = []
        for i, (source, given) in enumerate(chosen):
            if len(chosen) > 1:
                show(f"{source}, {i + 1} of {len(chosen)}:")
            reports.append(self.run(given))
            if reports[-1].state is not RunState.DONE:
                if left := [source for source, _ in chosen[i + 1 :]]:
                    show(f"Not run, since {source} ended {reports[-1].state}: {', '.join(left)}.", error=True)
                break
        return reports

    def run(self, given: Configuration) -> RunReport:
        """Run a configuration.

        Parameters
        ----------
        given : `Configuration`
            The configuration.

        Returns
        -------
        report : `RunReport`
        """
        from ..simulation.observatory import SimulatedObservatory, SimulationSettings, WorkFolderError
        from ._program import run_program
        from ._simulation import observing_day, run_simulated

        find_generation = self.find_generation()
        settings = self._settings
        if settings.job_service is not None:
            given = with_job_service(given, settings.job_service, self._workdir)
        config = parse_to_run(given.text, given.instrument, self.journals, find_generation)
        observatory = SimulatedObservatory(
            self._workdir,
            instrument=given.instrument,
            settings=SimulationSettings(
                settings.scale,
                settings.seed,
                config.pipeline_generation,
                config.detectors,
                ocps=config.job_service == "ocps",
            ),
            time_scale=settings.time_scale,
            day_obs=observing_day(config),
            faults=self._faults(config.job_service),
            calib_collection=config.calib_collection,
        )
        try:
            return run_program(
                run_simulated(
                    given.text, config, given.instrument, observatory, self.journals, find_generation
                )
            )
        except WorkFolderError as error:
            fail(str(error), ExitCode.INVALID)

    def find_generation(self) -> Callable[[str], tuple[str, str]]:
        """Return what finds the generation of the work folder."""
        # Once: when the script looks, there is a repository in any work
        # folder.
        generation = functools.cache(functools.partial(_generation_of, self._workdir))
        return lambda repo: generation()

    def _faults(self, job_service: str) -> list[Fault]:
        from ..simulation.faults import parse_fault

        try:
            faults = [parse_fault(text) for text in self._settings.fault_texts]
        except ValueError as error:
            fail(f"--fault {error}", ExitCode.INVALID)
        if job_service != "ocps":
            for fault in faults:
                if getattr(fault, "component", None) == "ocps":
                    fail(
                        f"--fault {fault.name}: strikes the OCPS, and {job_service} runs the jobs. Leave it "
                        "out, or write --job-service ocps",
                        ExitCode.INVALID,
                    )
        return faults


def _generation_of(workdir: Path) -> tuple[str, str]:
    """Return the generation of a work folder, and why it is this one."""
    from ..simulation.repository import DEFAULT_GENERATION, WorkFolderError, is_repository, read_kind

    repo = workdir.absolute() / "repo"
    try:
        if not is_repository(repo):
            return DEFAULT_GENERATION, f"the work folder {workdir} is new, and this is the newest"
        return read_kind(repo).generation, f"{workdir} was made for it"
    except WorkFolderError as error:
        fail(str(error), ExitCode.INVALID)
