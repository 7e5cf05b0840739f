# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of single frames, which are taken, and spoilt."""

from __future__ import annotations

__all__ = ["LampFails", "LightLeak", "SaturatedBias"]

import abc
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..ccd import ADC_MAX
from ..exposure import Exposure
from .base import Proceed, StepFault

if TYPE_CHECKING:
    import numpy as np

    from ..observatory import SimulatedObservatory


class SpoiltFrame(StepFault):
    """A frame is read out, and its pixels are not what they should be."""

    counts = "image of that type"
    component = "camera"
    step = "read_out"

    image_type: ClassVar[str]

    @staticmethod
    @abc.abstractmethod
    def spoil(pixels: np.ndarray, overscan: np.ndarray) -> None:
        """Change the pixels of all segments (ADU) in place."""

    def attach(self, observatory: SimulatedObservatory) -> None:
        """Intercept the step."""
        super().attach(observatory)
        self._files = observatory.files

    async def intercept(self, proceed: Proceed, frame: asyncio.Task[None], image_name: str) -> Any:
        """Spoil the frame once it is written, before it has its name."""
        await frame
        drafts = [self._files.draft(image_name, each) for each in self._files.detectors]
        await asyncio.to_thread(self._spoil_all, drafts)
        return await proceed(frame, image_name)

    def _spoil_all(self, drafts: list[Path]) -> None:
        raws = [Exposure.read_fits(draft) for draft in drafts]
        if raws[0].metadata["IMGTYPE"] != self.image_type or not self.is_due():
            return
        for draft, raw in zip(drafts, raws, strict=True):
            segments = raw.detector.segments(raw.image.array)
            width = raw.detector.amp_width
            self.spoil(segments[..., :width], segments[..., width:])
            draft.unlink()
            raw.write_fits(draft)


class LampFails(SpoiltFrame):
    """The lamp gives a third of its light during a flat."""

    name = "lamp-fails"
    description = "the lamp gives a third of its light during a flat"
    image_type = "FLAT"

    @staticmethod
    def spoil(pixels: np.ndarray, overscan: np.ndarray) -> None:
        """Take two thirds of the light away."""
        bias = overscan.mean(axis=(1, 3), keepdims=True)
        pixels[...] = bias + (pixels - bias) / 3


class LightLeak(SpoiltFrame):
    """A door of the dome is open during a dark."""

    name = "light-leak"
    description = "a dark has light, more on one side"
    image_type = "DARK"

    @staticmethod
    def spoil(pixels: np.ndarray, overscan: np.ndarray) -> None:
        """Add light that falls off along the columns."""
        n_rows, height = pixels.shape[:2]
        for row in range(n_rows * height):
            pixels[row // height, row % height] += 40 + 40 * row // (n_rows * height)


class SaturatedBias(SpoiltFrame):
    """A bias is clipped in a part of every amplifier."""

    name = "saturated-bias"
    description = "a third of each amplifier of a bias is saturated"
    image_type = "BIAS"

    @staticmethod
    def spoil(pixels: np.ndarray, overscan: np.ndarray) -> None:
        """Set a third of the rows to the largest value."""
        pixels[:, : pixels.shape[1] // 3] = ADC_MAX
