# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what is around the camera is as frames need it."""

from __future__ import annotations

__all__ = ["Gate"]

import asyncio
from collections.abc import Iterable

from ..config import Series
from ..instruments import ImageType
from ..ports import SurroundingsError
from ..preconditions import Finding, Standing, judge, preconditions_of, way_out
from ._context import Context


class Gate:
    """Lets frames be taken where their preconditions are met.

    Parameters
    ----------
    context : `Context`
        The run.
    """

    def __init__(self, context: Context) -> None:
        self._config = context.config
        self._instrument = context.instrument
        self._world = context.world
        self._warned: set[str] = set()

    async def problems(self, series: Iterable[Series]) -> tuple[str, ...]:
        """Return what prevents the camera from taking frames of use.

        What is a warning only is logged.

        Parameters
        ----------
        series : `~collections.abc.Iterable` [`Series`]
            What the camera has to take frames of.

        Returns
        -------
        problems : `tuple` [`str`, ...]
            Each with what to do.
        """
        camera, findings = await asyncio.gather(self._world.camera.check(), self._unmet(series))
        return (*camera, *(each.text for each in findings), *([way_out(findings)] if findings else []))

    async def set_up(self, series: Series) -> None:
        """Set the camera up for a series, if its frames are of use now.

        Parameters
        ----------
        series : `Series`
            The series.

        Raises
        ------
        CameraError
            If filter and grating of flats are not in the beam afterwards.
        SurroundingsError
            If preconditions are not met.
        """
        if findings := await self._unmet([series]):
            raise SurroundingsError(f"no more frames taken: {' '.join(each.text for each in findings)}")
        if series.image_type is ImageType.FLAT:
            await self._world.camera.set_up(series)

    async def _unmet(self, series: Iterable[Series]) -> tuple[Finding, ...]:
        """Return what is not met and matters; warn of what does not."""
        surroundings, mode = self._world.surroundings, self._config.preconditions
        if surroundings is None or mode == "off":
            return ()
        needed = preconditions_of(
            self._instrument.name, {each.image_type for each in series}, self._config.ignore
        )
        if not needed:
            return ()
        findings = judge(await surroundings.read(needed))
        unmet = tuple(each for each in findings if each.standing is not Standing.MET)
        if mode == "check":
            return unmet
        for finding in unmet:
            self._warn(finding)
        return ()

    def _warn(self, finding: Finding) -> None:
        """Log a warning, once for all series until another value is read."""
        if finding.text not in self._warned:
            self._warned.add(finding.text)
            self._world.operator.warning(finding.text)
