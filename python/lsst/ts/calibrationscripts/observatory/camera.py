# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""LATISS as the procedure's camera, through observatory-control."""

from __future__ import annotations

__all__ = ["CalibrationLatiss", "CalibrationUsages", "LatissCamera"]

import asyncio
from collections.abc import Iterator
from typing import Any

from ..config import CalibrationConfig, ImageType, Series
from ..plan import PlannedExposure
from ..ports import CameraError
from .errors import SAL_ERRORS, explain
from .sal import LATISS, LATISSUsages, UsagesResources

_SETUP_TIMEOUT = 180.0
"""Longest that the wheels may take; each has 30 s of its own (s)."""

_EXPOSURE_MARGIN = 300.0
"""What an exposure may take beyond its time: observatory-control waits up
to 150 s each for the camera to be ready and for its acknowledgement (s)."""

_READOUT_TIMEOUT = 60.0
"""Longest that a readout may take; the camera's own takes 2 s (s)."""


class CalibrationUsages(LATISSUsages):
    """The usages of LATISS, and that of taking calibrations."""

    Calibrations = 1 << 7

    def __iter__(self) -> Iterator[int]:
        return iter([*super().__iter__(), self.Calibrations])


class CalibrationLatiss(LATISS):
    """LATISS with just the topics that calibrations need.

    None of its own usages has the OODS tell of ingested images, or the
    spectrograph of its filters; all topics of its four components would
    take seconds to subscribe to.
    """

    @property
    def valid_use_cases(self) -> CalibrationUsages:
        """The usages that can be asked for."""
        return CalibrationUsages()

    @property
    def usages(self) -> dict[int, Any]:
        """The topics of each usage."""
        usages: dict[int, Any] = super().usages
        usages[CalibrationUsages.Calibrations] = UsagesResources(
            components_attr=self.components_attr,
            readonly=False,
            generics=["summaryState"],
            atcamera=["takeImages", "startIntegration", "endReadout", "ccsCommandState"],
            atspectrograph=[
                "changeFilter",
                "changeDisperser",
                "reportedFilterPosition",
                "reportedDisperserPosition",
                "settingsAppliedValues",
            ],
            atoods=["imageInOODS"],
        )
        return usages


class LatissCamera:
    """A `Camera` over observatory-control.

    Parameters
    ----------
    latiss : `CalibrationLatiss`
        Its remotes are started.
    config : `CalibrationConfig`
        Filter, grating, and what goes into the frames' headers.
    """

    def __init__(self, latiss: CalibrationLatiss, config: CalibrationConfig) -> None:
        self._latiss = latiss
        self._config = config

    async def check(self) -> tuple[str, ...]:
        """Return what keeps it from taking the frames, if anything."""
        try:
            await self._latiss.assert_all_enabled("All components of LATISS must be ENABLED.")
        except SAL_ERRORS as error:
            return (explain(error),)
        flats = [series for series in self._config.series if series.image_type is ImageType.FLAT]
        if all(series.filter is None and series.grating is None for series in flats):
            return ()
        try:
            filters, gratings, _ = await self._latiss.get_available_instrument_setup()
        except SAL_ERRORS as error:
            return (f"the filters and gratings in the spectrograph are not known: {explain(error)}",)
        return tuple(
            problem
            for series in flats
            for key, value, names in (
                ("filter", series.filter, filters),
                ("grating", series.grating, gratings),
            )
            for problem in _unknown(key, value, [name.strip() for name in names])
        )

    async def physical_filter(self, series: Series) -> str:
        """Return the Butler's name of what a series is to be taken through."""
        spectrograph, timeout = self._latiss.rem.atspectrograph, self._latiss.fast_timeout
        try:
            filters, gratings, _ = await self._latiss.get_available_instrument_setup()
            filter_now = (await spectrograph.evt_reportedFilterPosition.aget(timeout=timeout)).name
            grating_now = (await spectrograph.evt_reportedDisperserPosition.aget(timeout=timeout)).name
        except SAL_ERRORS as error:
            raise CameraError(
                f"ATSpectrograph does not tell which filter and grating it has: {explain(error)}"
            ) from error
        return "~".join(
            (
                _name("filter", series.filter, filters, filter_now),
                _name("grating", series.grating, gratings, grating_now),
            )
        )

    async def set_up(self, series: Series) -> None:
        """Select filter and grating of a series and read them back."""
        wanted = {
            key: value
            for key, value in (("filter", series.filter), ("grating", series.grating))
            if value is not None
        }
        if not wanted:
            return
        spectrograph = self._latiss.rem.atspectrograph
        positions = {
            "filter": spectrograph.evt_reportedFilterPosition,
            "grating": spectrograph.evt_reportedDisperserPosition,
        }
        for key in wanted:
            positions[key].flush()
        try:
            async with asyncio.timeout(_SETUP_TIMEOUT):
                await self._latiss.setup_instrument(**wanted)
        except SAL_ERRORS as error:
            raise CameraError(f"ATSpectrograph did not select {wanted}: {explain(error)}") from error
        for key, value in wanted.items():
            position = await self._read_back(key, value, positions[key])
            if value not in (position.name, position.slot):
                raise CameraError(
                    f"ATSpectrograph reports {key} {position.name} (slot {position.slot}) after "
                    f"{value} was selected. Check the wheel before running again."
                )

    async def _read_back(self, key: str, value: int | str, event: Any) -> Any:
        """Return the position that was selected, or the last one reported.

        The report may come after the acknowledgement of the command.
        """
        position = None
        try:
            async with asyncio.timeout(self._latiss.fast_timeout):
                position = await event.aget()
                while value not in (position.name, position.slot):
                    position = await event.next(flush=False)
        except TimeoutError as error:
            if position is None:
                raise CameraError(f"ATSpectrograph does not report its {key} position") from error
        return position

    async def take(self, exposure: PlannedExposure, group_id: str) -> int:
        """Take a frame; return its exposure id once it is read out."""
        try:
            async with asyncio.timeout(exposure.exp_time + _EXPOSURE_MARGIN):
                ids = await self._latiss.take_imgtype(
                    exposure.image_type.value,
                    exposure.exp_time,
                    1,
                    group_id=group_id,
                    reason=self._config.reason,
                    program=self._config.program,
                    note=self._config.note,
                )
        except SAL_ERRORS as error:
            raise CameraError(f"{exposure.label}: not taken, {explain(error)}. Check ATCamera.") from error
        await self._wait_for_readout(exposure)
        return int(ids[0])

    async def _wait_for_readout(self, exposure: PlannedExposure) -> None:
        """Wait for the readout: observatory-control returns before it."""
        camera = self._latiss.rem.atcamera
        taken = camera.evt_startIntegration.get().imageName
        try:
            async with asyncio.timeout(_READOUT_TIMEOUT):
                readout = await camera.evt_endReadout.aget()
                while readout.imageName != taken:
                    readout = await camera.evt_endReadout.next(flush=False)
        except TimeoutError as error:
            raise CameraError(
                f"{exposure.label}: {taken} was not read out within {_READOUT_TIMEOUT:g} s. Check ATCamera."
            ) from error


def _unknown(key: str, value: int | str | None, names: list[str]) -> Iterator[str]:
    if value is None or value in names or value in range(len(names)):
        return
    known = ", ".join(f"{name} (slot {slot})" for slot, name in enumerate(names) if name)
    yield f"{key}: {value}: the spectrograph has no such {key}; write one of {known}"


def _name(key: str, value: int | str | None, names: list[str], current: str) -> str:
    if value is None:
        return current
    names = [name.strip() for name in names]
    for problem in _unknown(key, value, names):
        raise CameraError(problem)
    return value if isinstance(value, str) else names[value]
