# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML text to its keys and values, with the mistakes of typing found."""

from __future__ import annotations

__all__ = ["WrittenConfig", "read"]

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from ..instruments import Instrument
from ..plain_yaml import YAML_TAG, PlainLoader
from ._numbers import fix_number, number_parameters
from ._problems import Problem
from ._schema import parameter_names

WHOLE = "configuration"
"""In place of the key if a problem is not that of one parameter."""

MAX_CHARACTERS = 32_768
"""A full configuration has about 3,000."""

MAX_KEYS = 200

_QUOTED_OR_COMMENT = re.compile(r"""'[^']*'?|"(?:\\.|[^"\\])*+"?|(?:^|\s)#.*""")
_MISTYPED = re.compile(
    r"(?P<indent> *)(?P<key>[a-z]\w*) *(?P<separator>=|:(?=\S))\s*(?P<value>.*)", re.IGNORECASE | re.ASCII
)
_BEGIN_DATE = "certify_calib_begin_date"
_END_DATE = "certify_calib_end_date"


@dataclass
class WrittenConfig:
    """What the text says, before its meaning is checked."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    """Line of each key; for mappings and lists of them also of each item and
    key within, as in ``test_case.name``, ``flat_sets[0]`` and
    ``flat_sets[0].filter``."""

    problems: list[Problem] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)
    """Keys whose value cannot be read and has been reported."""

    empty: set[str] = field(default_factory=set)
    """Keys after whose colon nothing is written."""

    def report(self, key: str, what: str, remedy: str, line: int | None) -> None:
        """Add a problem of typing."""
        self.problems.append(Problem(key, None, what, remedy, line))


def read(text: str, instrument: Instrument) -> WrittenConfig:
    """Read YAML text.

    Parameters
    ----------
    text : `str`
        Any text at all.
    instrument : `Instrument`
        The camera.

    Returns
    -------
    written : `WrittenConfig`
        Its problems are those of typing. If the intention is clear, the values
        are as if it had been typed correctly, so that all other problems can
        be found too.
    """
    written = WrittenConfig()
    if len(text) > MAX_CHARACTERS:
        what = f"has {len(text)} characters, more than {MAX_CHARACTERS}"
        written.report(WHOLE, what, "write only the parameters that differ from their defaults", None)
        return written
    text = _correct_lines(text, written, frozenset(parameter_names(instrument.wheels)))
    try:
        loader = PlainLoader(text)
        _read_mapping(loader, loader.get_single_node(), written, number_parameters(instrument))
    except yaml.YAMLError as error:
        written.report(WHOLE, *_explain_syntax(error))
    except (ValueError, OverflowError):
        # PyYAML passes these on for "\U00110000" and the like.
        written.report(WHOLE, *_explain_syntax(yaml.YAMLError()))
    return written


def _correct_lines(text: str, written: WrittenConfig, known: frozenset[str]) -> str:
    """Report `key=value`, `key:value` and tabs, and correct them."""
    lines = re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))
    first = next((line for line in lines if _is_content(line)), "")
    indent = first[: len(first) - len(first.lstrip())]
    for i, line in enumerate(lines):
        if "\t" in _QUOTED_OR_COMMENT.sub("", line):
            key = re.split("[:=]", line.lstrip())[0].strip()
            line = indent + line.lstrip() if key in known else line
            lines[i] = line = line.replace("\t", " ")
            written.report(
                key if key in known else WHOLE, "the line has a tab", "write blanks instead of the tab", i + 1
            )
        mistyped = _MISTYPED.fullmatch(line)
        if mistyped and mistyped["indent"] == indent:
            key, separator, value = mistyped.group("key", "separator", "value")
            what = "is written with '='" if separator == "=" else "has no blank after the colon"
            written.report(key, what, f"write {key}: {value}".rstrip(), i + 1)
            lines[i] = f"{indent}{key}: {value}"
    return "\n".join(lines)


def _is_content(line: str) -> bool:
    line = line.strip()
    return bool(line) and not line.startswith(("#", "---", "%"))


def _read_mapping(
    loader: PlainLoader, root: yaml.Node | None, written: WrittenConfig, numbers: frozenset[str]
) -> None:
    if root is None or root.tag == f"{YAML_TAG}null":
        return
    remedy = "write lines of the form n_bias: 20"
    if not isinstance(root, yaml.MappingNode):
        what = "is a list" if isinstance(root, yaml.SequenceNode) else "is plain text"
        written.report(WHOLE, what, remedy, _line(root))
        return
    if len(root.value) > MAX_KEYS:
        written.report(WHOLE, f"has {len(root.value)} parameters", f"write {MAX_KEYS} at most", _line(root))
        return
    names = {key_node.value for key_node, _ in root.value if isinstance(key_node, yaml.ScalarNode)}
    for key_node, value_node in root.value:
        if not isinstance(key_node, yaml.ScalarNode):
            what = "a list or mapping is in the place of a parameter's name"
            written.report(WHOLE, what, remedy, _line(key_node))
        elif key_node.value != "metadata":
            key = _name_value(key_node, written, end_is_missing=_END_DATE not in names)
            if key is not None:
                _read_value(loader, key, value_node, written, numbers)


def _name_value(key_node: yaml.ScalarNode, written: WrittenConfig, end_is_missing: bool) -> str | None:
    """Return the parameter whose value follows, `None` for one too many."""
    key, line = str(key_node.value), _line(key_node)
    if key in written.lines:
        meant_as_end = end_is_missing and key == _BEGIN_DATE
        remedy = "leave one of them out"
        if meant_as_end:
            remedy = f"write {_END_DATE} for the second, which was probably meant"
        written.report(key, f"is given twice, in lines {written.lines[key]} and {line}", remedy, line)
        if not meant_as_end or _END_DATE in written.lines:
            return None
        key = _END_DATE
    written.lines[key] = line
    return key


def _read_value(
    loader: PlainLoader, key: str, node: yaml.Node, written: WrittenConfig, numbers: frozenset[str]
) -> None:
    line = written.lines[key]
    try:
        _fix_numbers(key, node, numbers)
        written.values[key] = loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError, LookupError, OverflowError) as error:
        what = getattr(error, "problem", None) or "is not a plain value"
        remedy = getattr(error, "note", None) or "write a plain number, text or list"
        written.unreadable.add(key)
        written.report(key, what, remedy, line)
    else:
        written.lines.update(_lines_within(key, node))
        if isinstance(node, yaml.ScalarNode) and node.value == "" and node.style is None:
            written.empty.add(key)


def _fix_numbers(key: str, node: yaml.Node, numbers: frozenset[str]) -> None:
    """Refuse numbers that can be misread, whatever they are part of."""
    todo, seen = [(key, node)], set()
    while todo:
        key, node = todo.pop()
        if id(node) in seen:  # as in &a [*a]
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            fix_number(node, key in numbers)
        elif isinstance(node, yaml.SequenceNode):
            todo += [(key, item) for item in reversed(node.value)]
        elif isinstance(node, yaml.MappingNode):
            pairs = [pair for pair in node.value if isinstance(pair[0], yaml.ScalarNode)]
            todo += [(key_node.value, value_node) for key_node, value_node in reversed(pairs)]


def _lines_within(key: str, node: yaml.Node) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        yield from _lines_of_keys(key, node)
    items = node.value if isinstance(node, yaml.SequenceNode) else ()
    for i, item in enumerate(items):
        yield f"{key}[{i}]", _line(item)
        if isinstance(item, yaml.MappingNode):
            yield from _lines_of_keys(f"{key}[{i}]", item)


def _lines_of_keys(place: str, node: yaml.MappingNode) -> Iterator[tuple[str, int]]:
    for key_node, _ in node.value:
        if isinstance(key_node, yaml.ScalarNode):
            yield f"{place}.{key_node.value}", _line(key_node)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _explain_syntax(error: yaml.YAMLError) -> tuple[str, str, int | None]:
    """Say where the YAML parser stopped."""
    what, remedy = "cannot be read as YAML", "write one 'key: value' a line"
    mark = None
    if isinstance(error, yaml.MarkedYAMLError):
        what = f"{what}: {error.problem}"
        mark = error.problem_mark
        if error.context_mark is not None and "quoted scalar" in (error.context or ""):
            what, mark = "has a quote that does not close", error.context_mark
            remedy = "close it on the same line"
        elif error.context_mark is not None and "flow" in (error.context or ""):
            what, mark = "has a bracket that does not close, or a comma missing", error.context_mark
            remedy = "write a list as [5, 10, 15]"
    elif isinstance(error, yaml.reader.ReaderError):
        what = f"has a character that cannot be used, number {error.position + 1}"
        remedy = "delete it"
    return what, remedy, None if mark is None else mark.line + 1
