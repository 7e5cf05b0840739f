# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all faults have in common."""

from __future__ import annotations

__all__ = ["Fault", "Proceed"]

import abc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from ..observatory import SimulatedObservatory

Proceed = Callable[..., Awaitable[Any]]
"""Takes the step that a fault replaces."""


@dataclass(eq=False)
class Fault(abc.ABC):
    """Something that goes wrong on a certain occasion.

    Parameters
    ----------
    when : `int`, optional
        The occasion, counted from 1 through the life of the fault.

    Attributes
    ----------
    name, description : `str`
        Its name for people, and what happens, in one line.
    counts : `str`
        What its occasions are.
    struck : `int`
        How often it has struck.
    """

    when: int = 1
    struck: int = field(default=0, init=False)
    occasions: int = field(default=0, init=False, repr=False)

    name: ClassVar[str]
    description: ClassVar[str]
    counts: ClassVar[str]

    @abc.abstractmethod
    def attach(self, observatory: SimulatedObservatory) -> None:
        """Prepare; called after the CSCs are made, before they start."""

    async def detach(self) -> None:
        """Undo lasting changes; called when the observatory closes."""
        return

    def is_due(self) -> bool:
        """Count an occasion; return whether it is the one to strike on."""
        self.occasions += 1
        due = self.occasions == self.when
        self.struck += due
        return due


class StepFault(Fault):
    """A fault in one step of one CSC.

    Attributes
    ----------
    component : `str`
        Attribute of the observatory that has the CSC.
    step : `str`
        Name of the step.
    csc : `SimulatedCsc`
        The CSC.
    time_scale : `float`
        Duration of a simulated second (second).
    """

    component: ClassVar[str]
    step: ClassVar[str]

    _strike: Callable[..., Awaitable[Any]]
    """What is done instead: called with ``proceed`` and with the arguments of
    the step."""

    csc: Any
    time_scale: float

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the step."""
        self.csc = getattr(observatory, self.component)
        self.time_scale = observatory.time_scale
        self.csc.intercept(self.step, self.intercept)

    def concerns(self, *args: Any) -> bool:
        """Return whether a step with such arguments is an occasion."""
        return True

    async def intercept(self, proceed: Proceed, *args: Any) -> Any:
        """Strike on the occasion; otherwise take the step."""
        if self.concerns(*args) and self.is_due():
            return await self._strike(proceed, *args)
        return await proceed(*args)
