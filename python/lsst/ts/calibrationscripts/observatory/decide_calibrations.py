# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script by which an observer decides about what a run has made."""

from __future__ import annotations

__all__ = ["DecideCalibrations"]

from typing import Any

import yaml

from ..config import document_path
from ..deciding import Choice, Decided, DecisionError, decide
from ..files.journal import journal_folder, load_record
from ..record import DecisionKind
from ..threads import in_thread
from .errors import explain
from .publishing import announce
from .sal import salobj

_DURATION = 10.0
"""Expected duration (s)."""


class DecideCalibrations(salobj.BaseScript):
    """Accept or reject what a run with 'certify: ask' has made.

    Parameters
    ----------
    index : `int`
        SAL index of the script.
    """

    SCHEMA = "decide_calibrations.yaml"
    """File of the configuration's schema."""

    def __init__(self, index: int) -> None:
        super().__init__(index=index, descr="Accept or reject calibrations that wait for a person.")
        self._config: Any = None

    @classmethod
    def get_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of the configuration."""
        schema: dict[str, Any] = yaml.safe_load(document_path(cls.SCHEMA).read_text(encoding="utf-8"))
        return schema

    async def configure(self, config: Any) -> None:
        """See that the run exists."""
        folder = journal_folder(config.journal_dir)
        try:
            await in_thread(lambda: load_record(folder, config.run))
        except LookupError as error:
            raise salobj.ExpectedError(f"run: {config.run}: {error}") from None
        self._config = config

    def set_metadata(self, metadata: Any) -> None:
        """Set what the script queue shows."""
        metadata.duration = _DURATION

    async def run(self) -> None:
        """Reject, then accept."""
        config = self._config
        rejected = tuple(getattr(config, "reject", ()))
        accepted = tuple(getattr(config, "accept", ()))
        if rejected:
            await self._decide(DecisionKind.REJECT, rejected)
        if accepted:
            await self._decide(DecisionKind.ACCEPT, accepted)

    async def _decide(self, kind: DecisionKind, products: tuple[str, ...]) -> None:
        config = self._config
        who = f"{config.who}, by Script:{self.salinfo.index}"
        choice = Choice(kind, who, config.reason, products)
        try:
            decided = await decide(journal_folder(config.journal_dir), config.run, choice)
        except DecisionError as error:
            raise salobj.ExpectedError(str(error)) from None
        self._log(decided)
        try:
            await announce(self, decided.published, config.run)
        except Exception as error:  # noqa: BLE001 - the decision has been made
            self.log.warning(f"The copies of the run's report are not announced: {explain(error)}")
        if not decided.done:
            raise salobj.ExpectedError("; ".join(result.reason for result in decided.results))

    def _log(self, decided: Decided) -> None:
        for warning in decided.warnings:
            self.log.warning(warning)
        for result in decided.results:
            where = f" into {result.collection}" if result.collection else ""
            self.log.info(f"{result.stage.subject}: {result.outcome}{where}: {result.reason}")
