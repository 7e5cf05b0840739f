# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML as a person types it, read without surprises and within bounds."""

from __future__ import annotations

__all__ = ["YAML_TAG", "PlainLoader"]

from collections.abc import Hashable
from typing import Any

import yaml

MAX_DEPTH = 8
MAX_ALIASES = 20
MAX_VALUES = 20_000
"""An alias counts as the values that it repeats."""

MAX_DIGITS = 40

YAML_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = frozenset(f"{YAML_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "timestamp"))


class PlainLoader(yaml.SafeLoader):
    """Plain YAML only: dates stay text, nothing grows without bound."""

    max_aliases = MAX_ALIASES
    max_values = MAX_VALUES

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._n_aliases = 0
        self._n_values = 0
        self._sizes: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node, unless it exceeds a limit or has a tag."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        n_before = self._n_values
        if isinstance(event, yaml.AliasEvent):
            self._n_aliases += 1
            self._n_values += self._sizes.get(str(event.anchor), 1)
        else:
            self._n_values += 1
        fault = None
        if self._depth > MAX_DEPTH or self._n_aliases > self.max_aliases or self._n_values > self.max_values:
            fault = "too deeply nested, or too many aliases or values"
        elif not _is_plain(event):
            fault = "a word that begins with '!' outside quotes"
        if fault:
            raise yaml.composer.ComposerError(problem=fault, problem_mark=event.start_mark)  # type: ignore[arg-type]
        self._depth += 1
        try:
            node = super().compose_node(parent, index)
        finally:
            self._depth -= 1
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            self._sizes[event.anchor] = self._n_values - n_before
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Construct a mapping in which each key is given once."""
        names: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.value in names:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key_node.value} is given twice", note="leave one of them out"
                )
            names.add(str(key_node.value))
        return super().construct_mapping(node, deep=deep)


def _is_plain(event: yaml.Event) -> bool:
    """Return whether something has no tag, or a standard one that fits."""
    tag = getattr(event, "tag", None)
    if tag is None:
        return True
    if isinstance(event, yaml.ScalarEvent):
        return tag in _SCALAR_TAGS
    return bool(tag == f"{YAML_TAG}{'map' if isinstance(event, yaml.MappingStartEvent) else 'seq'}")


def _construct_null(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> None:
    if node.value.lower() not in ("", "~", "null"):
        raise yaml.constructor.ConstructorError(problem=f"{node.value} is not null")


def _construct_integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    if len(node.value) > MAX_DIGITS:
        raise yaml.constructor.ConstructorError(problem="the number is too long")
    return loader.construct_yaml_int(node)


def _construct_text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return loader.construct_yaml_str(node)


PlainLoader.add_constructor(f"{YAML_TAG}null", _construct_null)
PlainLoader.add_constructor(f"{YAML_TAG}int", _construct_integer)
PlainLoader.add_constructor(f"{YAML_TAG}timestamp", _construct_text)
