# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What earlier runs have noted of frames, read in a thread."""

from __future__ import annotations

__all__ = ["MarksOfRuns"]

import asyncio
from collections.abc import Collection
from pathlib import Path

from ..ports import ObservatoryError
from ..spoilt import Mark
from ..threads import in_thread
from .marks import known_marks


class MarksOfRuns:
    """The marks of all runs of a folder but one.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journals are.
    run_id : `str`
        The run that wants to know.
    instrument : `str`
        Name of its camera.
    """

    TIMEOUT = 120.0
    """Longest that it may take; the first look at 10,000 journals may take a
    minute on a busy machine, later ones a fraction of a second (s)."""

    def __init__(self, folder: Path, run_id: str, instrument: str) -> None:
        self._folder = folder
        self._run_id = run_id
        self._instrument = instrument

    async def find(self, exposures: Collection[int]) -> tuple[Mark, ...]:
        """Return the marks of exposures.

        Parameters
        ----------
        exposures : collection of `int`
            Exposure ids.

        Returns
        -------
        marks : `tuple` [`Mark`, ...]

        Raises
        ------
        ObservatoryError
            If they cannot be read.
        """
        try:
            async with asyncio.timeout(self.TIMEOUT):
                return await in_thread(
                    lambda: known_marks(self._folder, exposures, self._instrument, but=self._run_id)
                )
        except TimeoutError:
            why = f"that took more than {self.TIMEOUT:g} s"
        except OSError as error:
            why = str(error.strerror or error)
        raise ObservatoryError(f"marks of earlier runs in {self._folder} could not be read: {why}")
