# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was written to a configuration, or to all its problems."""

from __future__ import annotations

__all__ = ["check"]

import difflib
import functools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._fields import Unusable, parse_date, parse_field
from ._messages import example, explain
from ._model import CalibrationConfig, ImageType, Series, flat_pairs, image_types
from ._problems import ConfigurationError, Problem
from ._schema import load_schema
from ._text import WrittenConfig

if TYPE_CHECKING:
    from jsonschema import Draft7Validator

MAX_TOTAL_TIME = 86_400.0
"""Longest time that exposures and the waits between them may take (s)."""

N_AMPLIFIERS = 16
"""Amplifiers of a LATISS image, hence results of one test type."""


def check(written: WrittenConfig) -> CalibrationConfig:
    """Check what was written and fill in the defaults.

    Parameters
    ----------
    written : `WrittenConfig`
        The text's keys, values and problems.

    Returns
    -------
    config : `CalibrationConfig`

    Raises
    ------
    ConfigurationError
        If there is any problem.
    """
    return _Checker(written).config()


@functools.cache
def _validator() -> Draft7Validator:
    from jsonschema import Draft7Validator

    return Draft7Validator(load_schema())


class _Checker:
    """Goes from text to values, values to series, series to the whole.

    A value that was found unusable is reported once, and checks that would
    build on it are left out.
    """

    def __init__(self, written: WrittenConfig) -> None:
        self._properties: dict[str, dict[str, Any]] = load_schema()["properties"]
        self._lines = written.lines
        self._problems = list(written.problems)
        self._notices: list[str] = []
        self._unusable = set(written.unreadable)
        self._given = self._known(written.values)
        self._values: dict[str, Any] = {key: entry["default"] for key, entry in self._properties.items()}
        self._values |= self._given

    def config(self) -> CalibrationConfig:
        self._check_values()
        types = self._image_types()
        for image_type in ImageType:
            self._resolve_series(image_type, used=image_type in types)
        if self._usable("certify_calib_begin_date", "certify_calib_end_date"):
            self._check_dates()
        if self._usable("script_mode"):
            self._check_products(types)
            self._check_duration(types)
        if self._problems:
            raise ConfigurationError(self._problems)
        self._note_what_is_done()
        return CalibrationConfig(**self._values, notices=tuple(self._notices))

    def _report(self, key: str, value: object, what: str, remedy: str) -> None:
        self._unusable.add(key.split(".")[0])
        self._problems.append(Problem(key, value, what, remedy, self._lines.get(key.split(".")[0])))

    def _usable(self, *keys: str) -> bool:
        return self._unusable.isdisjoint(keys)

    def _known(self, values: dict[str, Any]) -> dict[str, Any]:
        """Report unknown keys, and take each as the one it resembles."""
        known = {key: value for key, value in values.items() if key in self._properties}
        for key, value in values.items():
            if key in self._properties:
                continue
            near = difflib.get_close_matches(key.lower(), self._properties, n=1)
            remedy = f"did you mean {near[0]}?" if near else "leave it out"
            self._report(key, None, "unknown", remedy)
            if near and near[0] not in known:
                known[near[0]] = value
                self._lines.setdefault(near[0], self._lines[key])
        return known

    def _check_values(self) -> None:
        for key, value in self._values.items():
            if key in self._unusable or "number" not in self._properties[key]["type"]:
                continue
            numbers = value if isinstance(value, list) else [value]
            if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
                number = example(key, self._properties[key]["default"])
                self._report(key, value, "is not finite", f"write a number, for example {number}")
        reported = set(self._unusable)
        for error in sorted(_validator().iter_errors(self._values), key=lambda error: list(error.path)):
            key = str(error.path[0])
            full_key = ".".join(map(str, error.path)) if key == "test_case" else key
            if key in reported or full_key in reported:
                continue
            reported.add(full_key)
            what, remedy = explain(full_key, self._properties[key]["default"], error)
            self._report(full_key, error.instance, what, remedy)
        for key, value in self._values.items():
            if key in self._unusable:
                continue
            if "integer" in self._properties[key]["type"] and isinstance(value, float):
                value = int(value)
            try:
                self._values[key] = parse_field(key, value)
            except Unusable as error:
                self._report(key, value, error.what, error.remedy)

    def _image_types(self) -> tuple[ImageType, ...]:
        if not self._usable("script_mode"):
            return tuple(ImageType)
        return image_types(self._values["script_mode"])

    def _resolve_series(self, image_type: ImageType, used: bool) -> None:
        """Replace n, n_discard and exposure times by what will be taken."""
        name = image_type.lower()
        n_key, discard_key, times_key = f"n_{name}", f"n_discard_{name}", f"exp_times_{name}"
        if not self._usable(n_key, discard_key, times_key):
            return
        default_n: int = self._properties[n_key]["default"]
        n: int = default_n if self._values[n_key] is None else self._values[n_key]
        if self._values[discard_key] is None:
            self._values[discard_key] = self._properties[discard_key]["default"]
        n_discard: int = self._values[discard_key]
        times = self._values.get(times_key, 0.0)
        if not used:
            self._note_unused(image_type, n_key, discard_key, times_key)
        elif self._values[n_key] is None and not isinstance(times, list):
            self._notices.append(f"{n_key} is null: the default of {n} is taken.")
        if isinstance(times, list):
            times = tuple(float(time) for time in times)
            if len(times) == n + n_discard:
                pass
            elif len(times) == n:
                times = times[:1] * n_discard + times
            elif n == default_n and used:
                n = len(times)
                times = times[:1] * n_discard + times
                self._notices.append(
                    f"{times_key} has {n} values: {n} {name}s are kept, not the default of {default_n}; "
                    f"{n_discard} more are discarded."
                )
            elif used:
                self._report_misfit(name, n, n_discard, times)
                return
        else:
            times = (float(times),) * (n + n_discard)
        self._values[n_key] = n
        if times_key in self._values:
            self._values[times_key] = times

    def _report_misfit(self, name: str, n: int, n_discard: int, times: tuple[float, ...]) -> None:
        n_key, times_key = f"n_{name}", f"exp_times_{name}"
        count = len(times)
        if times_key not in self._given:
            what = f"does not fit the default {times_key}, which has {count} values"
            remedy = f"write {times_key} too: one number, or a list of {n} values"
        else:
            what = f"but {times_key} has {count} values"
            remedy = f"write {n_key}: {count}, or a list of {n} values" + (
                f" (or of {n + n_discard}, the {n_discard} to discard first)" if n_discard else ""
            )
        self._report(n_key, n, what, remedy)

    def _note_unused(self, image_type: ImageType, *keys: str) -> None:
        changed = [key for key in keys if self._changed(key)]
        if changed:
            self._notices.append(
                f"{', '.join(changed)} has no effect: no {image_type.lower()}s are taken in script_mode "
                f"{self._values['script_mode']}."
            )

    def _changed(self, key: str) -> bool:
        return key in self._given and bool(self._given[key] != self._properties[key]["default"])

    def _series(self, image_type: ImageType) -> Series | None:
        """Return a resolved series, or None if its values are unusable."""
        name = image_type.lower()
        keys = (f"n_{name}", f"n_discard_{name}", f"exp_times_{name}")
        if not self._usable(*keys):
            return None
        n_frames = self._values[keys[0]] + self._values[keys[1]]
        return Series(image_type, self._values[keys[1]], self._values.get(keys[2], (0.0,) * n_frames))

    def _check_duration(self, types: tuple[ImageType, ...]) -> None:
        """Refuse a run that would not end within a day."""
        all_series = [self._series(image_type) for image_type in types]
        if not self._usable("wait_between_exposures"):
            return
        totals: dict[str, float] = {"wait_between_exposures": 0.0}
        for series in filter(None, all_series):
            totals[f"exp_times_{series.image_type.lower()}"] = sum(series.exp_times)
            totals["wait_between_exposures"] += series.n_frames * self._values["wait_between_exposures"]
        total, largest = sum(totals.values()), max(totals, key=lambda key: totals[key])
        if total > MAX_TOTAL_TIME:
            self._report(
                largest,
                self._given.get(largest),
                f"all exposures and waits together last {total / 3600:.1f} h",
                f"write less, the limit is {MAX_TOTAL_TIME / 3600:.0f} h",
            )

    def _check_dates(self) -> None:
        begin, end = (self._values[f"certify_calib_{which}_date"] for which in ("begin", "end"))
        if parse_date(begin) >= parse_date(end):
            self._report(
                "certify_calib_end_date",
                end,
                f"is not after certify_calib_begin_date, {begin}",
                "write a later end or an earlier beginning",
            )

    def _check_products(self, types: tuple[ImageType, ...]) -> None:
        mode = self._values["script_mode"]
        for key in ("do_defects", "do_ptc"):
            if self._usable(key) and self._values[key] and len(types) < len(ImageType):
                self._report(
                    key,
                    True,
                    f"needs biases, darks and flats, script_mode is {mode}",
                    f"write script_mode: BIAS_DARK_FLAT, or {key}: False",
                )
        flats = self._series(ImageType.FLAT) if ImageType.FLAT in types else None
        if not self._usable("do_ptc") or not self._values["do_ptc"] or flats is None:
            return
        if flats.n < 2:
            self._report(
                "n_flat", flats.n, "do_ptc needs pairs of flats", "write 2 or more, or do_ptc: False"
            )
        elif not flat_pairs(flats.kept_exp_times):
            self._report(
                "exp_times_flat",
                list(flats.kept_exp_times),
                "do_ptc needs pairs of flats, no two have the same exposure time",
                "write every time twice, for example [5, 5, 10, 10], or do_ptc: False",
            )

    def _note_what_is_done(self) -> None:
        """Collect what is no error and still worth knowing."""
        self._notices += self._gain_notices()
        self._notices += self._processing_notices()
        self._notices += self._threshold_notices()
        if self._values["background_task_timeout"] is not None:
            self._notices.append(
                "background_task_timeout is deprecated and unused: job_timeout limits each OCPS job."
            )

    def _gain_notices(self) -> Iterator[str]:
        flats = self._series(ImageType.FLAT) if ImageType.FLAT in self._image_types() else None
        key, mode = "do_gain_from_flat_pairs", self._values["script_mode"]
        if flats is None:
            if self._given.get(key):
                yield f"{key} has no effect: no flats are taken in script_mode {mode}."
            self._values[key] = False
        elif self._values[key] and not flat_pairs(flats.kept_exp_times):
            yield "No gain can be measured: no two flats have the same exposure time."
        elif self._values["do_ptc"] and len(set(flats.kept_exp_times)) == 1:
            yield "The photon transfer curve has one exposure time only: write exp_times_flat with several."

    def _processing_notices(self) -> Iterator[str]:
        values = self._values
        derived = values["do_defects"] or values["do_ptc"]
        kept_flats = values["exp_times_flat"][values["n_discard_flat"] :]
        gains = values["do_gain_from_flat_pairs"] and flat_pairs(kept_flats)
        if not (values["generate_calibrations"] or values["do_verify"] or derived or gains):
            yield "Nothing is processed: generate_calibrations and do_verify are both False."
        begin, end = "certify_calib_begin_date", "certify_calib_end_date"
        if values["generate_calibrations"] or derived:
            if not self._changed(begin) and not self._changed(end):
                yield (
                    f"New calibrations are certified for {values[begin]} to {values[end]}: no others can be "
                    f"certified into {values['calib_collection']} after them. For daily calibrations write "
                    f"{begin} and {end}."
                )
        elif any(self._changed(key) for key in ("calib_collection", begin, end)):
            yield (
                "Nothing is certified: calib_collection and the certify dates have no effect while "
                "generate_calibrations is False."
            )

    def _threshold_notices(self) -> Iterator[str]:
        for image_type in self._image_types() if self._values["do_verify"] else ():
            name = image_type.lower()
            key = f"number_verification_tests_threshold_{name}"
            if self._values[key] > N_AMPLIFIERS:
                yield (
                    f"{key} is {self._values[key]}: no {name} can fail, LATISS has {N_AMPLIFIERS} amplifiers."
                )
