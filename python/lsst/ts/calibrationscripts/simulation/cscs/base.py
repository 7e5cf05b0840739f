# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the mock CSCs have in common."""

from __future__ import annotations

__all__ = ["SimulatedCsc"]

from typing import Any

from ...observatory.sal import salobj


class SimulatedCsc(salobj.BaseCsc):
    """A CSC that comes up ENABLED and knows only some of its commands.

    Parameters
    ----------
    name : `str`
        SAL component name.
    index : `int`, optional
        SAL index; 0 for a component that has none.
    initial_state : `salobj.State`, optional
        Summary state to come up in; by default ENABLED.
    """

    version = "simulated"
    valid_simulation_modes = (0,)

    def __init__(self, name: str, index: int = 0, *, initial_state: Any = None) -> None:
        super().__init__(
            name=name,
            index=index,
            initial_state=salobj.State.ENABLED if initial_state is None else initial_state,
            allow_missing_callbacks=True,
        )

    @property
    def enabled(self) -> bool:
        """Whether the summary state is ENABLED."""
        return bool(self.summary_state == salobj.State.ENABLED)
