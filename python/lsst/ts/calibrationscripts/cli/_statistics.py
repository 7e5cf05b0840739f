# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with statistics of cp_verify, as people save them."""

from __future__ import annotations

__all__ = ["read_details", "read_statistics", "selected_detectors"]

import re
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..instruments import Detector, Instrument, named_detectors
from ..plain_yaml import PlainLoader
from ..verification import ExposureDetail, StatisticsError
from ._common import read_text

_AGAIN = "read the dataset again from the repository"
_SUFFIXES = {".yaml", ".yml", ".json"}


class _StatisticsLoader(PlainLoader):
    """Statistics are longer than a configuration, but as plain.

    Twenty exposures of LSSTCam, all of whose amplifiers fail a test, have
    60,000 values; as many as are allowed take less than a minute.
    """

    max_aliases = 10_000
    max_values = 300_000
    max_characters = 10_000_000

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()
        if str(getattr(event, "tag", "")).startswith("tag:yaml.org,2002:python/"):
            raise _fault("holds objects of Python or numpy; save it again with plain int and bool", event)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        texts: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise _fault("has a merge key ('<<'); write the values themselves", key_node)
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in texts:
                    raise _fault(f"{key_node.value} is given twice; {_AGAIN}", key_node)
                texts.add(key_node.value)
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) < len(node.value):
            # Such as 16 and 0x10.
            raise _fault(f"a key is given twice; {_AGAIN}", node)
        return mapping


def _fault(problem: str, where: yaml.Event | yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=where.start_mark)  # type: ignore[arg-type]


def read_statistics(file: Path) -> object:
    """Read a file with statistics.

    Parameters
    ----------
    file : `pathlib.Path`
        YAML or JSON.

    Returns
    -------
    statistics : `object`
        Of plain values only.

    Raises
    ------
    StatisticsError
        If it is anything else, or too large; in one sentence.
    """
    text = read_text(file)
    if len(text) > _StatisticsLoader.max_characters:
        raise StatisticsError(f"has more than {_StatisticsLoader.max_characters} characters")
    try:
        loader = _StatisticsLoader(text)
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        note = f"; {error.note}" if error.note else ""
        what = ", ".join(filter(None, (error.context, error.problem)))
        raise StatisticsError(f"{where}{what}{note}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise StatisticsError(f"not plain YAML: {str(error).splitlines()[0]}") from error


def selected_detectors(text: str | None, instrument: Instrument) -> tuple[Detector, ...]:
    """Return the detectors that a text names.

    Parameters
    ----------
    text : `str` or `None`
        Ids and ranges of them, such as ``0-8,94``; `None` for all.
    instrument : `Instrument`
        Whose detectors they are.

    Raises
    ------
    ValueError
        If it has another form, or is about what is not a detector of the
        instrument.
    """
    if text is None:
        return instrument.detectors
    ids: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,4})(?:\s*-\s*(\d{1,4}))?\s*", part)
        if match is None:
            raise ValueError("write ids and ranges of them, such as 0-8,94")
        ids.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    known = {detector.id: detector for detector in instrument.detectors}
    if unknown := sorted(ids - known.keys()):
        raise ValueError(
            f"{named_detectors(unknown)} is not a detector of {instrument.name} that is processed; they are "
            f"{named_detectors(known)}"
        )
    if not ids:
        raise ValueError("a range begins with its lower id, such as 0-8")
    return tuple(known[each] for each in sorted(ids))


def read_details(paths: Sequence[Path], exposures: Collection[int]) -> dict[int, ExposureDetail]:
    """Read statistics of single exposures.

    Parameters
    ----------
    paths : `~collections.abc.Sequence` [`pathlib.Path`]
        Files, each with the statistics of one exposure, whose id is in the
        name of the file, or with a mapping from exposure id to them; or
        folders of such files.
    exposures : `~collections.abc.Collection` [`int`]
        Ids of the exposures of the run statistics. Files of others are left
        out.

    Returns
    -------
    details : `dict` [`int`, `ExposureDetail`]
        By exposure id.

    Raises
    ------
    StatisticsError
        If a file cannot be used; it names it.
    """
    details: dict[int, ExposureDetail] = {}
    for path in paths:
        n_found = 0
        for file in _files_of(path):
            for exposure, statistics in _statistics_in(file, exposures):
                n_found += 1
                if exposure in details:
                    raise StatisticsError(f"exposure {exposure} is given twice, again in {file}")
                details[exposure] = ExposureDetail(statistics)
        if not n_found:
            raise StatisticsError(
                f"{path}: has no statistics of an exposure of the run statistics; name each file by its "
                "exposure id, such as 2026112500061.yaml, or write a mapping from exposure id to them"
            )
    return details


def _files_of(path: Path) -> list[Path]:
    """Return a file, or the files with statistics in a folder."""
    if not path.is_dir():
        return [path]
    try:
        return sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES)
    except OSError as error:
        raise StatisticsError(f"{path}: cannot be read: {error.strerror}") from error


def _statistics_in(file: Path, exposures: Collection[int]) -> Iterator[tuple[int, object]]:
    """Yield what a file has of the exposures."""
    named = sorted(_ids_in(file.name) & set(exposures))
    try:
        statistics = read_statistics(file)
    except StatisticsError as error:
        raise StatisticsError(f"{file}: {error}") from error
    if not isinstance(statistics, Mapping):
        raise StatisticsError(f"{file}: expected a mapping from detector to results")
    by_exposure = {int(key): value for key, value in statistics.items() if str(key).isdecimal()}
    if by_exposure:
        yield from ((exposure, value) for exposure, value in by_exposure.items() if exposure in exposures)
    elif len(named) == 1:
        yield named[0], statistics


def _ids_in(name: str) -> set[int]:
    """Return the exposure ids that the name of a file may have.

    The Butler names files by observation id, such as
    ``AT_O_20261125_000061``.
    """
    ids = {int(digits) for digits in re.findall(r"(?<!\d)\d{13}(?!\d)", name)}
    by_day = re.findall(r"(?<!\d)(\d{8})_(\d{6})(?!\d)", name)
    return ids | {int(day) * 100_000 + int(number) for day, number in by_day}
