# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""From parsed values to the frames that will be taken."""

from __future__ import annotations

__all__ = ["Fit", "Frames", "resolve_frames", "with_script_mode"]

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..instruments import ImageType
from ._findings import Findings
from ._parameters import SERIES_PARAMETERS, WHEEL_PARAMETERS
from ._series import FlatSet, Series, earlier_series, flat_series, image_types
from ._values import ParsedConfig, WrittenSet
from ._words import no_effect, not_taken

_Times = float | Sequence[float]


@dataclass(frozen=True)
class Fit:
    """A number of frames and exposure times that fit each other."""

    n: int
    """Number of frames that are kept."""

    n_discard: int
    """Number of frames that are taken before them and not used."""

    exp_times: tuple[float, ...]
    """Exposure time of every frame (s), the discarded ones first."""


@dataclass(frozen=True)
class Frames:
    """What the camera will take."""

    image_types: tuple[ImageType, ...]
    """Those of ``script_mode``."""

    fits: Mapping[ImageType, Fit]
    """What the parameters of each image type come to, without those whose
    values are unusable."""

    flat_sets: tuple[FlatSet | None, ...]
    """Sets of flats, `None` for one whose values are unusable; empty if there
    are none."""

    series: Mapping[ImageType, tuple[Series, ...]]
    """The series of each image type of ``script_mode``, without those that
    are not known because a value is unusable."""

    @property
    def flats(self) -> tuple[Series, ...]:
        """The series of flats."""
        return self.series.get(ImageType.FLAT, ())


def with_script_mode(parsed: ParsedConfig, findings: Findings) -> ParsedConfig:
    """Let the mode be that of frames taken earlier, if any are named.

    Parameters
    ----------
    parsed : `ParsedConfig`
        Values of which ``exposures`` and ``script_mode`` are usable.
    findings : `Findings`
        Takes problems and notices.

    Returns
    -------
    parsed : `ParsedConfig`
    """
    exposures: Mapping[str, Sequence[int]] | None = parsed.values["exposures"]
    mode: str = parsed.values["script_mode"]
    if exposures is None or mode == (mode_of_exposures := "_".join(exposures)):
        return parsed
    modes: list[str] = parsed.properties["script_mode"]["enum"]
    if mode != parsed.default("script_mode"):
        remedy = f"write ids of {_listed(image_types(mode))} only"
        if mode_of_exposures in modes:
            remedy += f", or script_mode: {mode_of_exposures}"
        findings.report("exposures", None, f"has {_listed(exposures)}, but script_mode is {mode}", remedy)
    elif mode_of_exposures not in modes:
        missing = [image_type for image_type in image_types(mode) if image_type not in exposures]
        findings.report(
            "exposures",
            None,
            f"has {_listed(exposures)} only, which is not a script_mode",
            f"write ids of {_listed(missing)} too, or each type in a run of its own",
        )
    else:
        findings.notices.append(f"script_mode is {mode_of_exposures}: exposures has no other frames.")
        return dataclasses.replace(parsed, values={**parsed.values, "script_mode": mode_of_exposures})
    return parsed


def _listed(names: Iterable[str]) -> str:
    return " and ".join(names)


def resolve_frames(parsed: ParsedConfig, findings: Findings) -> Frames:
    """Find out what will be taken, from numbers, times and sets of flats.

    Parameters
    ----------
    parsed : `ParsedConfig`
        Values, of which some may be unusable.
    findings : `Findings`
        Takes problems and notices.

    Returns
    -------
    frames : `Frames`
    """
    resolver = _Resolver(parsed, findings)
    fits = resolver.fits()
    sets = resolver.flat_sets(fits.get(ImageType.FLAT))
    return Frames(resolver.image_types, fits, sets, resolver.series(fits, sets))


class _Resolver:
    """Resolves the frames of one configuration."""

    def __init__(self, parsed: ParsedConfig, findings: Findings) -> None:
        self._parsed = parsed
        self._findings = findings
        # A mode beside the id of a resumed run is a problem, and not used.
        known = findings.usable("script_mode") or parsed.is_resume
        self.image_types = image_types(parsed.values["script_mode"]) if known else tuple(ImageType)

    @property
    def _takes_frames(self) -> bool:
        return self._parsed.values["exposures"] is None

    def _n_discard(self, image_type: ImageType) -> int:
        key = SERIES_PARAMETERS[image_type].n_discard
        n_discard: int | None = self._parsed.values[key]
        default: int = self._parsed.default(key)
        return default if n_discard is None else n_discard

    def fits(self) -> dict[ImageType, Fit]:
        """Return what the parameters of each image type come to."""
        fits = {image_type: self._fit_of_type(image_type) for image_type in ImageType}
        return {image_type: fit for image_type, fit in fits.items() if fit is not None}

    def _fit_of_type(self, image_type: ImageType) -> Fit | None:
        names = SERIES_PARAMETERS[image_type]
        if not self._findings.usable(*names.names):
            return None
        values, is_flat = self._parsed.values, image_type is ImageType.FLAT
        default_n: int = self._parsed.default(names.n)
        n: int = default_n if values[names.n] is None else values[names.n]
        times: _Times = 0.0 if names.exp_times is None else values[names.exp_times]
        used = self._takes_frames and image_type in self.image_types
        if self._takes_frames and not used:
            self._note_unused(image_type, *names.names, *(["flat_sets"] if is_flat else ()))
        # Sets that say it themselves leave nothing for these to fit.
        used = used and (not is_flat or self._parsed.some_set_lacks("n_flat", "exp_times_flat"))
        if used and values[names.n] is None and not isinstance(times, Sequence):
            self._findings.notices.append(f"{names.n} is null: the default of {n} is taken.")
        return self._fit(image_type, n, times, used)

    def _fit(
        self, image_type: ImageType, n: int, times: _Times, used: bool, of: WrittenSet | None = None
    ) -> Fit | None:
        """Return how many are kept and a time for each frame.

        If the two do not fit, that is reported, for the set if it is of one.
        """
        n_discard = self._n_discard(image_type)
        if not isinstance(times, Sequence):
            return Fit(n, n_discard, (float(times),) * (n + n_discard))
        names = SERIES_PARAMETERS[image_type]
        default_n: int = self._parsed.default(names.n)
        exp_times = tuple(float(time) for time in times)
        if len(exp_times) == n + n_discard or (len(exp_times) != n and not used):
            return Fit(n, n_discard, exp_times)
        if len(exp_times) != n:
            if n != default_n:
                self._report_misfit(image_type, n, len(times), of)
                return None
            n = len(exp_times)
            times_from = _source(names.exp_times, of)
            self._findings.notices.append(
                f"{times_from} has {n} values: {n} {image_type.lower()}s are kept, not the default of "
                f"{default_n}; {n_discard} more {'is' if n_discard == 1 else 'are'} discarded."
            )
        return Fit(n, n_discard, exp_times[:1] * n_discard + exp_times)

    def _report_misfit(self, image_type: ImageType, n: int, count: int, of: WrittenSet | None) -> None:
        names, n_discard = SERIES_PARAMETERS[image_type], self._n_discard(image_type)
        prefix = "" if of is None else f"{of.place}."
        n_key, times_key = f"{prefix}{names.n}", f"{prefix}{names.exp_times}"
        n_from, times_from = _source(names.n, of), _source(names.exp_times, of)
        if times_from == names.exp_times and times_from not in self._parsed.given:
            what = f"does not fit the default {times_key}, which has {count} values"
            remedy = f"write {times_key} too: one number, or a list of {n} values"
        else:
            what = f"but {times_from} has {count} values"
            if n_from != n_key:
                what = f"as {n_from} says, {what}"
            remedy = f"write {n_key}: {count}, or a list of {n} values" + (
                f" (or of {n + n_discard}, the {n_discard} to discard first)" if n_discard else ""
            )
        self._findings.report(n_key, n, what, remedy)

    def _note_unused(self, image_type: ImageType, *keys: str) -> None:
        changed = [key for key in keys if self._parsed.changed(key)]
        if changed:
            self._findings.notices.append(no_effect(changed, not_taken(image_type, self._parsed)))

    def flat_sets(self, of_run: Fit | None) -> tuple[FlatSet | None, ...]:
        """Return the sets of flats, with what they lack filled in.

        Parameters
        ----------
        of_run : `Fit` or `None`
            What the parameters outside the sets come to.

        Returns
        -------
        sets : `tuple` [`FlatSet` or `None`, ...]
        """
        written = self._parsed.flat_sets
        if written is None or not self._findings.usable("flat_sets"):
            return ()
        used = ImageType.FLAT in self.image_types and self._takes_frames
        keys = (*self._parsed.instrument.wheels, "n_flat", "exp_times_flat")
        idle = [key for key in keys if self._parsed.changed(key) and not self._parsed.some_set_lacks(key)]
        if used and idle:
            self._findings.notices.append(no_effect(idle, "every set of flat_sets has its own"))
        sets: list[FlatSet | None] = []
        for i, one in enumerate(written):
            usable = one is not None and self._findings.usable(f"flat_sets[{i}]")
            before = sets[-1] if sets else None
            sets.append(self._flat_set(one, before, of_run, used) if one and usable else None)
        if used:
            self._check_sets_differ(sets)
        return tuple(sets)

    def _flat_set(
        self, one: WrittenSet, before: FlatSet | None, of_run: Fit | None, used: bool
    ) -> FlatSet | None:
        """Return a set with what it lacks, or None if that is unusable."""
        wheels = self._parsed.instrument.wheels
        sources = [one.source(key) for key in (*wheels, "n_flat", "exp_times_flat")]
        if not self._findings.usable(*sources, "n_discard_flat"):
            return None
        kept = {} if before is None else {"filter": before.filter, "grating": before.grating}
        setting = dict.fromkeys(WHEEL_PARAMETERS)
        for wheel in wheels:
            setting[wheel] = self._of_set(one, wheel)
            if setting[wheel] is None and kept.get(wheel) is not None:
                # The wheel stays where the set before has turned it.
                setting[wheel] = kept[wheel]
                if used:
                    self._findings.notices.append(
                        f"{one.place}.{wheel} is left out: it stays {kept[wheel]}, as in the set before."
                    )
        fit = of_run
        if not one.own.keys().isdisjoint(("n_flat", "exp_times_flat")):
            n, times = (
                self._of_set(one, key) or self._parsed.default(key) for key in ("n_flat", "exp_times_flat")
            )
            fit = self._fit(ImageType.FLAT, n, times, used, one)
        if fit is None:
            return None
        return FlatSet(setting["filter"], setting["grating"], fit.n, fit.exp_times)

    def _of_set(self, one: WrittenSet, key: str) -> Any:
        return one.own.get(key, self._parsed.values[key])

    def _check_sets_differ(self, sets: Sequence[FlatSet | None]) -> None:
        parts = [None if one is None else one.part(self._parsed.instrument.wheels) for one in sets]
        if None in parts:
            return
        wheels = " and ".join(self._parsed.instrument.wheels)
        for i, part in enumerate(parts):
            first = parts.index(part)
            if first < i:
                self._findings.report(
                    f"flat_sets[{i}]",
                    part,
                    f"has the {wheels} of flat_sets[{first}]",
                    f"leave one of the two out, or write another {wheels.replace(' and ', ' or ')}",
                )

    def series(
        self, fits: Mapping[ImageType, Fit], sets: Sequence[FlatSet | None]
    ) -> dict[ImageType, tuple[Series, ...]]:
        """Return the series whose values are known, by image type."""
        parsed, usable = self._parsed, self._findings.usable
        if not self._takes_frames:
            if not usable("exposures"):
                return {}
            series = earlier_series(parsed.values["exposures"])
            return {one.image_type: (one,) for one in series if one.image_type in self.image_types}
        known: dict[ImageType, tuple[Series, ...]] = {
            image_type: (Series(image_type, fits[image_type].n_discard, fits[image_type].exp_times),)
            for image_type in self.image_types
            if image_type in fits and image_type is not ImageType.FLAT
        }
        if ImageType.FLAT in self.image_types and usable("flat_sets", "n_discard_flat"):
            flats = [one for one in sets or [self._sole_set(fits)] if one is not None]
            if len(flats) == (len(sets) or 1):
                n_discard = self._n_discard(ImageType.FLAT)
                known[ImageType.FLAT] = flat_series(flats, n_discard, parsed.instrument.wheels)
        return known

    def _sole_set(self, fits: Mapping[ImageType, Fit]) -> FlatSet | None:
        """Return the flats of a run without sets."""
        if ImageType.FLAT not in fits:
            return None
        fit, values = fits[ImageType.FLAT], self._parsed.values
        return FlatSet(values.get("filter"), values.get("grating"), fit.n, fit.exp_times)


def _source(key: str | None, of: WrittenSet | None) -> str:
    """Return where a value comes from."""
    assert key is not None, "biases have no exposure times to fit"
    return key if of is None else of.source(key)
