# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a BLOCK is."""

from __future__ import annotations

__all__ = ["Block", "BlockError", "BlockScript"]

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..config import Problem


class BlockError(ValueError):
    """A BLOCK, or one of its scripts, that the Scheduler could not run.

    Parameters
    ----------
    problems : iterable of `Problem`
        All that is wrong.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "; ".join(map(str, self.problems))


@dataclass(frozen=True)
class BlockScript:
    """A script of a BLOCK."""

    index: int
    """Its place in the list, counted from 0."""

    name: str
    """Its path, as the script queue has it."""

    standard: bool
    """Whether the queue looks for it among the standard scripts."""

    parameters: Mapping[str, Any]
    """Its configuration, in which variables are not yet replaced."""

    @property
    def place(self) -> str:
        """Where it is in the JSON, such as ``scripts[3]``."""
        return f"scripts[{self.index}]"


@dataclass(frozen=True)
class Block:
    """Scripts that the Scheduler has run one after the other."""

    name: str
    program: str
    scripts: tuple[BlockScript, ...]
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Its variables: of each the JSON Schema, in which the default is."""

    has_schema: bool = False
    """Whether it has a ``configuration_schema``, without which the Scheduler
    takes no values."""
