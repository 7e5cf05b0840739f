# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was written to a configuration, or to all its problems."""

from __future__ import annotations

__all__ = ["check", "value_is_valid"]

import difflib
import functools
import math
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..instruments import ImageType
from ._fields import Unusable, parse_date, parse_field
from ._messages import example, explain
from ._model import CalibrationConfig, FlatSet, Series, earlier_series, flat_series, image_types
from ._problems import ConfigurationError, Problem
from ._schema import shared_schema
from ._text import WrittenConfig

if TYPE_CHECKING:
    from jsonschema import Draft7Validator

MAX_TOTAL_TIME = 86_400.0
"""Longest time that exposures and the waits between them may take (s)."""

N_AMPLIFIERS = 16
"""Amplifiers of a LATISS image, hence results of one test type."""

_SERIES_KEYS = (
    "n_bias",
    "n_discard_bias",
    "n_dark",
    "n_discard_dark",
    "exp_times_dark",
    "n_flat",
    "n_discard_flat",
    "exp_times_flat",
    "filter",
    "grating",
    "flat_sets",
)
_CAMERA_KEYS = (
    *_SERIES_KEYS,
    "wait_between_exposures",
    "flat_counts_min",
    "flat_counts_max",
    "program",
    "reason",
    "note",
    "test_case",
)
"""Parameters that have no effect where no frames are taken."""

_FRAME_KEYS = ("script_mode", *_SERIES_KEYS, "exposures", "detectors", "pipeline_generation", "repo")
"""Parameters that say which frames a run is about, and where they are."""

_CURRENT_LABELS = {
    "config_options_bias": "cpBiasIsr",
    "config_options_dark": "cpDarkIsr",
    "config_options_flat": "cpFlatIsr",
    "config_options_defects": "cpMeasureBiasDefects, cpMeasureDarkDefects, cpMeasureFlatDefects "
    "or cpMergeDefects",
    "config_options_ptc": "cpPtcIsr",
}
"""Tasks of the current cp_pipe that options are for, where those of the
procedure are for ``isr``."""

_NAMES_ISR = re.compile("(-[cC]|--config(-file)?=)?isr:")


def check(written: WrittenConfig, earlier: CalibrationConfig | None = None) -> CalibrationConfig:
    """Check what was written and fill in the defaults.

    Parameters
    ----------
    written : `WrittenConfig`
        The text's keys, values and problems.
    earlier : `CalibrationConfig`, optional
        Configuration of the run that is carried on: its values stand where
        none is written.

    Returns
    -------
    config : `CalibrationConfig`

    Raises
    ------
    ConfigurationError
        If there is any problem.
    """
    return _Checker(written, earlier).config()


def value_is_valid(key: str, value: object) -> bool:
    """Return whether a value is one that the schema accepts."""
    return not any(error.path[0] == key for error in _validator().iter_errors({key: value}))


@functools.cache
def _validator() -> Draft7Validator:
    from jsonschema import Draft7Validator

    return Draft7Validator(shared_schema())


class _Checker:
    """Goes from text to values, values to series, series to the whole.

    A value that was found unusable is reported once, and checks that would
    build on it are left out.
    """

    def __init__(self, written: WrittenConfig, earlier: CalibrationConfig | None) -> None:
        self._properties: dict[str, dict[str, Any]] = shared_schema()["properties"]
        self._lines = written.lines
        self._problems = list(written.problems)
        self._notices: list[str] = []
        self._unusable = set(written.unreadable)
        self._given = self._known(written.values, self._properties)
        self._earlier = earlier
        self._resumes = self._given.get("resume") is not None
        if self._resumes:
            self._given = self._carry_on()
        self._sets: tuple[FlatSet | None, ...] = ()
        self._values: dict[str, Any] = {key: entry["default"] for key, entry in self._properties.items()}
        self._values |= self._given

    def config(self) -> CalibrationConfig:
        self._take_known_keys_of_sets()
        self._check_values()
        if self._usable("pipeline_generation") and self._values["pipeline_generation"] == "current":
            self._settle_current_options()
        if self._values["exposures"] is not None and self._usable("exposures", "script_mode"):
            self._settle_script_mode(self._values["exposures"])
        types = self._image_types()
        for image_type in ImageType:
            self._resolve_series(image_type, used=image_type in types)
        if self._values["flat_sets"] is not None and self._usable("flat_sets"):
            taken = ImageType.FLAT in types and self._values["exposures"] is None
            self._resolve_flat_sets(self._values["flat_sets"], used=taken)
        dates = ("certify_calib_begin_date", "certify_calib_end_date")
        if self._usable(*dates) and (not self._unknown_run or self._given.keys() >= set(dates)):
            self._check_dates()
        if self._usable("flat_counts_min", "flat_counts_max"):
            self._check_flat_counts()
        if self._usable("script_mode", "exposures") and not self._unknown_run:
            self._check_products(types)
            self._check_duration(types)
        if self._problems:
            raise ConfigurationError(self._problems)
        self._note_what_is_done()
        return CalibrationConfig(**self._values, notices=tuple(self._notices))

    @property
    def _unknown_run(self) -> bool:
        """Whether a run is carried on whose configuration is not at hand."""
        return self._resumes and self._earlier is None

    def _carry_on(self) -> dict[str, Any]:
        """Return what is given in all, when a run is carried on.

        Parameters on its frames may stand there only if they say the same.
        """
        written = {key: value for key, value in self._given.items() if key in _FRAME_KEYS}
        before = self._earlier or check(WrittenConfig())
        try:
            now = check(WrittenConfig(values=dict(written)))
        except ConfigurationError:
            now = None
        for key in written:
            if now is None or getattr(now, key) != getattr(before, key):
                self._report(
                    key, self._given[key], "resume carries on with the frames of that run", f"leave {key} out"
                )
        beside = {key: value for key, value in self._given.items() if key not in written}
        return beside if self._earlier is None else self._earlier.to_dict() | beside

    def _report(self, key: str, value: object, what: str, remedy: str) -> None:
        # One unusable value of a set leaves the other sets to be checked.
        self._unusable.add(key if key.startswith("flat_sets[") else key.split(".")[0])
        self._problems.append(Problem(key, value, what, remedy, self._line(key)))

    def _line(self, key: str) -> int | None:
        """Return the line of a key, or of the nearest thing around it."""
        places = (key, key.split(".")[0], key.split("[")[0])
        return next((self._lines[place] for place in places if place in self._lines), None)

    def _usable(self, *keys: str) -> bool:
        return self._unusable.isdisjoint(keys)

    def _known(
        self, values: dict[Any, Any], properties: dict[str, dict[str, Any]], prefix: str = ""
    ) -> dict[str, Any]:
        """Report unknown keys, and take each as the one it resembles."""
        known = {key: value for key, value in values.items() if key in properties}
        for key, value in values.items():
            if key in properties:
                continue
            place = f"{prefix}{key}"
            if key in self._properties:
                self._report(place, None, "is not part of a set", f"write {key} outside flat_sets")
                continue
            name, *rest = re.split(" *[:=] *", str(key), maxsplit=1)
            if rest and name in properties:
                self._report(place, None, "is no parameter and value", f"write {name}: {rest[0]}".rstrip())
                continue
            near = difflib.get_close_matches(str(key).lower(), properties, n=1)
            self._report(place, None, "unknown", f"did you mean {near[0]}?" if near else "leave it out")
            if near and near[0] not in known:
                known[near[0]] = value
                if line := self._line(place):
                    self._lines.setdefault(f"{prefix}{near[0]}", line)
        return known

    def _take_known_keys_of_sets(self) -> None:
        properties = self._properties["flat_sets"]["items"]["properties"]
        if isinstance(self._values["flat_sets"], list):
            self._values["flat_sets"] = [
                self._known(one, properties, f"flat_sets[{i}].") if isinstance(one, dict) else one
                for i, one in enumerate(self._values["flat_sets"])
            ]

    def _places(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield where each value stands, its key, and what it is kept in."""
        for key in self._properties:
            yield key, key, self._values
        flat_sets = self._values["flat_sets"]
        for i, one in enumerate(flat_sets if isinstance(flat_sets, list) else ()):
            if self._usable("flat_sets") and isinstance(one, dict):
                for key in one:
                    yield f"flat_sets[{i}].{key}", key, one

    def _check_values(self) -> None:
        for place, key, values in self._places():
            if place in self._unusable or "number" not in self._properties[key]["type"]:
                continue
            numbers = values[key] if isinstance(values[key], list) else [values[key]]
            if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
                number = example(key, self._properties[key]["default"])
                self._report(place, values[key], "is not finite", f"write a number, for example {number}")
        reported = set(self._unusable)
        given = {key: self._values[key] for key in self._given}
        for error in sorted(_validator().iter_errors(given), key=lambda error: list(error.path)):
            parameter, *within = map(str, error.path)
            place = key = parameter
            if parameter == "test_case":
                place = ".".join([parameter, *within])
            elif parameter == "exposures":
                place = ".".join([parameter, *within[:1]])
            elif parameter == "flat_sets" and within:
                # Lists of numbers are reported without the number's index.
                place = ".".join([f"{parameter}[{within[0]}]", *within[1:2]])
                key = within[1] if within[1:] else parameter
            if parameter in reported or place in reported:
                continue
            reported.add(place)
            what, remedy = explain(place, self._properties[key]["default"], error)
            self._report(place, error.instance, what, remedy)
        for place, key, values in self._places():
            if place in self._unusable:
                continue
            value = values[key]
            if "integer" in self._properties[key]["type"] and isinstance(value, float):
                value = int(value)
            try:
                values[key] = parse_field(key, value)
            except Unusable as error:
                self._report(place, value, error.what, error.remedy)

    def _settle_current_options(self) -> None:
        """Empty options that only the procedure's pipelines understand."""
        left_out = []
        for key, labels in _CURRENT_LABELS.items():
            if not self._usable(key):
                continue
            if self._values[key] == parse_field(key, self._properties[key]["default"]):
                self._values[key] = ()
                left_out.append(key)
            elif any(map(_NAMES_ISR.match, self._values[key])):
                self._report(
                    key,
                    self._given[key],
                    "the current pipelines have no task isr",
                    f"write {labels} in its place, or leave {key} out",
                )
        if left_out:
            stand, they_are = ("stand", "they are") if len(left_out) > 1 else ("stands", "it is")
            self._notices.append(
                f"{', '.join(left_out)} {stand} at the procedure's default, which names a task that the "
                f"current pipelines do not have; {they_are} left out."
            )

    def _settle_script_mode(self, exposures: dict[str, tuple[int, ...]]) -> None:
        """Let the mode be that of frames taken earlier."""
        schema = self._properties["script_mode"]
        mode = self._values["script_mode"]
        mode_of_exposures = "_".join(exposures)
        if mode_of_exposures == mode:
            return
        if mode != schema["default"]:
            wanted = image_types(mode)
            self._report(
                "exposures",
                None,
                f"has {_listed(exposures)}, but script_mode is {mode}",
                f"write ids of {_listed(wanted)} only"
                + (f", or script_mode: {mode_of_exposures}" if mode_of_exposures in schema["enum"] else ""),
            )
        elif mode_of_exposures not in schema["enum"]:
            missing = [image_type for image_type in image_types(mode) if image_type not in exposures]
            self._report(
                "exposures",
                None,
                f"has {_listed(exposures)} only, which is no script_mode",
                f"write ids of {_listed(missing)} too, or each type in a run of its own",
            )
        else:
            self._values["script_mode"] = mode_of_exposures
            self._notices.append(f"script_mode is {mode_of_exposures}: exposures has no other frames.")

    def _image_types(self) -> tuple[ImageType, ...]:
        if not self._usable("script_mode"):
            return tuple(ImageType)
        return image_types(self._values["script_mode"])

    def _resolve_series(self, image_type: ImageType, used: bool) -> None:
        """Replace n, n_discard and exposure times by what will be taken."""
        name = image_type.lower()
        n_key, discard_key, times_key = f"n_{name}", f"n_discard_{name}", f"exp_times_{name}"
        if self._values[discard_key] is None:
            self._values[discard_key] = self._properties[discard_key]["default"]
        if not self._usable(n_key, discard_key, times_key):
            return
        default_n: int = self._properties[n_key]["default"]
        n: int = default_n if self._values[n_key] is None else self._values[n_key]
        times = self._values.get(times_key, 0.0)
        if self._values["exposures"] is not None:
            used = False
        elif not used:
            sets = ("flat_sets",) if image_type is ImageType.FLAT else ()
            self._note_unused(image_type, n_key, discard_key, times_key, *sets)
        # Sets that say it themselves leave nothing for these to fit.
        used = used and (image_type is not ImageType.FLAT or self._some_set_lacks("n_flat", "exp_times_flat"))
        if used and self._values[n_key] is None and not isinstance(times, list):
            self._notices.append(f"{n_key} is null: the default of {n} is taken.")
        fitted = self._fit(image_type, n, times, used, n_key, times_key)
        if fitted is None:
            return
        self._values[n_key] = fitted[0]
        if times_key in self._values:
            self._values[times_key] = fitted[1]

    def _fit(
        self,
        image_type: ImageType,
        n: int,
        times: float | list[float],
        used: bool,
        n_from: str,
        times_from: str,
        prefix: str = "",
    ) -> tuple[int, tuple[float, ...]] | None:
        """Return how many are kept and a time for each frame.

        What comes from which key is told in messages; nothing is returned if
        the two do not fit.
        """
        name = image_type.lower()
        n_discard: int = self._values[f"n_discard_{name}"]
        if not isinstance(times, list):
            return n, (float(times),) * (n + n_discard)
        default_n = self._properties[f"n_{name}"]["default"]
        exp_times = tuple(float(time) for time in times)
        if len(exp_times) == n + n_discard or (len(exp_times) != n and not used):
            return n, exp_times
        if len(exp_times) != n:
            if n != default_n:
                self._report_misfit(name, n, n_discard, len(times), n_from, times_from, prefix)
                return None
            n = len(exp_times)
            self._notices.append(
                f"{times_from} has {n} values: {n} {name}s are kept, not the default of {default_n}; "
                f"{n_discard} more are discarded."
            )
        return n, exp_times[:1] * n_discard + exp_times

    def _report_misfit(
        self, name: str, n: int, n_discard: int, count: int, n_from: str, times_from: str, prefix: str
    ) -> None:
        n_key, times_key = f"{prefix}n_{name}", f"{prefix}exp_times_{name}"
        if times_from in self._properties and times_from not in self._given:
            what = f"does not fit the default {times_key}, which has {count} values"
            remedy = f"write {times_key} too: one number, or a list of {n} values"
        else:
            what = f"but {times_from} has {count} values"
            if n_from != n_key:
                what = f"as {n_from} says, {what}"
            remedy = f"write {n_key}: {count}, or a list of {n} values" + (
                f" (or of {n + n_discard}, the {n_discard} to discard first)" if n_discard else ""
            )
        self._report(n_key, n, what, remedy)

    def _some_set_lacks(self, *keys: str) -> bool:
        """Whether a set takes all these from the parameters of that name."""
        flat_sets = self._values["flat_sets"]
        if not isinstance(flat_sets, list) or not self._usable("flat_sets"):
            return True
        return any(isinstance(one, dict) and all(one.get(key) is None for key in keys) for one in flat_sets)

    def _resolve_flat_sets(self, written: list[Any], used: bool) -> None:
        """Replace sets as they were written by what will be taken."""
        keys = self._properties["flat_sets"]["items"]["properties"]
        idle = [key for key in keys if self._changed(key) and not self._some_set_lacks(key)]
        if used and idle:
            self._notices.append(f"{', '.join(idle)} has no effect: every set of flat_sets has its own.")
        sets: list[FlatSet | None] = []
        for i, one in enumerate(written):
            sets.append(self._flat_set(i, one, sets[-1] if sets else None, used))
        self._sets = self._values["flat_sets"] = tuple(sets)
        if used and None not in sets:
            self._check_sets_differ()

    def _flat_set(self, i: int, one: Any, before: FlatSet | None, used: bool) -> FlatSet | None:
        """Return a set with what it lacks, or None if that is unusable."""
        if not self._usable(f"flat_sets[{i}]", "n_discard_flat"):
            return None
        prefix = f"flat_sets[{i}]."
        keys = self._properties["flat_sets"]["items"]["properties"]
        sources = {key: key if one.get(key) is None else f"{prefix}{key}" for key in keys}
        if not self._usable(*sources.values()):
            return None
        setup: dict[str, str | int | None] = {}
        for key in ("filter", "grating"):
            setup[key] = self._values[key] if one.get(key) is None else one[key]
            if setup[key] is None and before and (kept := getattr(before, key)) is not None:
                # The wheel stays where the set before has turned it.
                setup[key] = kept
                if used:
                    self._notices.append(f"{prefix}{key} is left out: it stays {kept}, as in the set before.")
        if sources["n_flat"] == "n_flat" and sources["exp_times_flat"] == "exp_times_flat":
            return FlatSet(
                n_flat=self._values["n_flat"], exp_times_flat=self._values["exp_times_flat"], **setup
            )
        n, times = (
            one[key] if one.get(key) is not None else self._given.get(key) or self._properties[key]["default"]
            for key in ("n_flat", "exp_times_flat")
        )
        fitted = self._fit(
            ImageType.FLAT,
            int(n),
            times,
            used,
            sources["n_flat"],
            sources["exp_times_flat"],
            prefix,
        )
        return None if fitted is None else FlatSet(n_flat=fitted[0], exp_times_flat=fitted[1], **setup)

    def _check_sets_differ(self) -> None:
        first: dict[str, int] = {}
        for i, flat_set in enumerate(filter(None, self._sets)):
            if flat_set.name in first:
                self._report(
                    f"flat_sets[{i}]",
                    flat_set.name,
                    f"has the filter and grating of flat_sets[{first[flat_set.name]}]",
                    "leave one of the two out, or write another filter or grating",
                )
            first.setdefault(flat_set.name, i)

    def _note_unused(self, image_type: ImageType, *keys: str) -> None:
        changed = [key for key in keys if self._changed(key)]
        if changed:
            self._notices.append(
                f"{', '.join(changed)} has no effect: no {image_type.lower()}s are taken in script_mode "
                f"{self._values['script_mode']}."
            )

    def _changed(self, key: str) -> bool:
        if self._earlier is not None and key in _FRAME_KEYS:
            return False
        return key in self._given and bool(self._given[key] != self._properties[key]["default"])

    def _series(self, image_type: ImageType) -> tuple[Series, ...]:
        """Return resolved series, none if their values are unusable."""
        if self._values["exposures"] is not None:
            series = earlier_series(self._values["exposures"])
            return tuple(one for one in series if one.image_type is image_type)
        name = image_type.lower()
        keys = (f"n_{name}", f"n_discard_{name}", f"exp_times_{name}")
        if image_type is ImageType.FLAT and not self._usable("flat_sets"):
            return ()
        if image_type is ImageType.FLAT and self._sets:
            sets = tuple(filter(None, self._sets))
            return flat_series(sets, self._values[keys[1]]) if len(sets) == len(self._sets) else ()
        if not self._usable(*keys):
            return ()
        n_frames = self._values[keys[0]] + self._values[keys[1]]
        return (Series(image_type, self._values[keys[1]], self._values.get(keys[2], (0.0,) * n_frames)),)

    def _check_duration(self, types: tuple[ImageType, ...]) -> None:
        """Refuse a run that would not end within a day."""
        if self._values["exposures"] is not None or not self._usable("wait_between_exposures"):
            return
        totals: dict[str, float] = {"wait_between_exposures": 0.0}
        for series in (one for image_type in types for one in self._series(image_type)):
            key = f"exp_times_{series.image_type.lower()}"
            key = "flat_sets" if series.image_type is ImageType.FLAT and self._sets else key
            totals[key] = totals.get(key, 0.0) + sum(series.exp_times)
            totals["wait_between_exposures"] += series.n_frames * self._values["wait_between_exposures"]
        total, largest = sum(totals.values()), max(totals, key=lambda key: totals[key])
        if self._earlier is not None:
            largest = "wait_between_exposures"
        if total > MAX_TOTAL_TIME:
            self._report(
                largest,
                None if largest == "flat_sets" else self._given.get(largest),
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

    def _check_flat_counts(self) -> None:
        low, high = self._values["flat_counts_min"], self._values["flat_counts_max"]
        if low is not None and high is not None and low >= high:
            self._report(
                "flat_counts_max", high, f"is not above flat_counts_min, {low:g}", "write a larger number"
            )

    def _check_products(self, types: tuple[ImageType, ...]) -> None:
        mode = self._values["script_mode"]
        for key in ("do_defects", "do_ptc"):
            if self._usable(key) and self._values[key] and len(types) < len(ImageType):
                others = "script_mode: BIAS_DARK_FLAT, or "
                if self._values["exposures"] is not None:
                    others = "ids of the other types too, or "
                self._report(
                    key,
                    True,
                    f"needs biases, darks and flats, script_mode is {mode}",
                    f"write {'' if self._resumes else others}{key}: False",
                )
        flats = self._series(ImageType.FLAT) if ImageType.FLAT in types else ()
        if not self._usable("do_ptc") or not self._values["do_ptc"]:
            return
        if not flats or any(series.may_have_pairs for series in flats):
            return
        if self._resumes:
            self._report("do_ptc", True, "needs pairs of flats, that run has none", "write do_ptc: False")
        elif flats[0].exposures is not None:
            self._report(
                "exposures.FLAT",
                list(flats[0].exposures),
                "do_ptc needs pairs of flats",
                "write 2 ids or more, or do_ptc: False",
            )
        elif self._sets:
            self._report(
                "flat_sets",
                None,
                "do_ptc needs pairs of flats, no set has two flats of the same exposure time",
                "write every time of a set twice, for example [5, 5, 10, 10], or do_ptc: False",
            )
        elif flats[0].n < 2:
            self._report(
                "n_flat", flats[0].n, "do_ptc needs pairs of flats", "write 2 or more, or do_ptc: False"
            )
        else:
            self._report(
                "exp_times_flat",
                list(flats[0].kept_exp_times),
                "do_ptc needs pairs of flats, no two have the same exposure time",
                "write every time twice, for example [5, 5, 10, 10], or do_ptc: False",
            )

    def _note_what_is_done(self) -> None:
        """Collect what is no error and still worth knowing."""
        if self._unknown_run:
            self._notices.append(
                f"resume: the configuration of run {self._values['resume']} is not looked at here; what is "
                "said of its frames and stages is that of the defaults."
            )
        else:
            self._note_idle_camera()
            self._notices += self._gain_notices()
            self._notices += self._processing_notices()
        self._notices += self._threshold_notices()
        if self._values["background_task_timeout"] is not None:
            self._notices.append(
                "background_task_timeout is deprecated and unused: job_timeout limits each OCPS job."
            )

    def _note_idle_camera(self) -> None:
        idle = [key for key in _CAMERA_KEYS if self._changed(key)]
        if idle and self._values["exposures"] is not None:
            self._notices.append(
                f"{', '.join(idle)} {'has' if len(idle) == 1 else 'have'} no effect: exposures names frames "
                "taken earlier, no others are taken."
            )

    def _gain_notices(self) -> Iterator[str]:
        key, mode = "do_gain_from_flat_pairs", self._values["script_mode"]
        if ImageType.FLAT not in self._image_types():
            if self._given.get(key):
                yield f"{key} has no effect: no flats are taken in script_mode {mode}."
            self._values[key] = False
            return
        flats = self._series(ImageType.FLAT)
        paired = [series for series in flats if series.may_have_pairs]
        if self._values[key]:
            for series in flats:
                which = f" for {series.name}" if len(flats) > 1 else ""
                if series not in paired:
                    yield f"No gain can be measured{which}: no two flats have the same exposure time."
        if self._values["do_ptc"]:
            if len(flats) > 1:
                yield f"The photon transfer curve is made from {paired[0].name}, the first set with a pair."
            if paired[0].exposures is not None or len(set(paired[0].kept_exp_times)) > 1:
                return
            yield "The photon transfer curve has one exposure time only: write exp_times_flat with several."

    def _processing_notices(self) -> Iterator[str]:
        values = self._values
        derived = values["do_defects"] or values["do_ptc"]
        gains = values["do_gain_from_flat_pairs"] and any(
            series.may_have_pairs for series in self._series(ImageType.FLAT)
        )
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


def _listed(image_types: Iterable[str]) -> str:
    return " and ".join(image_types)
