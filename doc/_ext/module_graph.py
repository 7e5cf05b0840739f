# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms of the package, their layers and imports, as a drawing.

The layers are those of the import contracts in ``pyproject.toml``, the
imports those of the code.
"""

from __future__ import annotations

__all__ = ["Rooms", "draw", "read_rooms", "reduced"]

import ast
import itertools
import statistics
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import grimp

Edge = tuple[str, str]
"""A room, and one that it imports."""

_BOX_WIDTH, _BOX_HEIGHT, _LANE, _GAP, _ROW = 90.0, 30.0, 4.0, 10.0, 58.0
_MARGIN = 6.0
_SWEEPS = 200
_STRAIGHT = 3.0
"""How much more a line tries to be straight than to be short."""


@dataclass(frozen=True)
class Rooms:
    """The modules and packages directly below a package."""

    layers: tuple[tuple[str, ...], ...]
    """The rooms of each layer; the uppermost layer first."""

    imports: frozenset[Edge]
    pure: frozenset[str]
    """Those that use neither SAL nor the Butler."""

    summaries: Mapping[str, str]
    """The first line of each room's docstring."""


def read_rooms(root: Path) -> Rooms:
    """Read the rooms from the code.

    Parameters
    ----------
    root : `pathlib.Path`
        Folder of ``pyproject.toml``.

    Returns
    -------
    rooms : `Rooms`
        An import that only type checkers see counts as well: so SAL's types
        come from ``localsal``.
    """
    linter: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    package: str = linter["root_package"]
    contracts = {contract["type"]: contract for contract in linter["contracts"]}
    layers = tuple(tuple(layer.split(" | ")) for layer in contracts["layers"]["layers"])
    level = {room: number for number, layer in enumerate(layers) for room in layer}
    graph = grimp.build_graph(package, cache_dir=None)
    found = set()
    for module in graph.modules - {package}:
        for imported in graph.find_modules_directly_imported_by(module) - {package}:
            edge = (_room(module, package), _room(imported, package))
            if set(edge) <= set(level) and level[edge[0]] < level[edge[1]]:
                found.add(edge)
    folder = root.joinpath("python", *package.split("."))
    return Rooms(
        layers,
        frozenset(found),
        frozenset(_room(module, package) for module in contracts["forbidden"]["source_modules"]),
        {room: _summary(folder, room) for room in level},
    )


def _room(module: str, package: str) -> str:
    return module.removeprefix(f"{package}.").split(".")[0]


def _summary(folder: Path, room: str) -> str:
    file = folder / f"{room}.py"
    tree = ast.parse((file if file.is_file() else folder / room / "__init__.py").read_text())
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def reduced(edges: frozenset[Edge]) -> frozenset[Edge]:
    """Return the imports that do not follow from others.

    Parameters
    ----------
    edges : `frozenset`
        Imports without a cycle.

    Returns
    -------
    edges : `frozenset`
        Their transitive reduction.
    """

    def reachable(room: str) -> set[str]:
        direct = {imported for importer, imported in edges if importer == room}
        return direct.union(*map(reachable, direct))

    return frozenset(
        (importer, imported)
        for importer, imported in edges
        if not any(imported in reachable(other) for first, other in edges if first == importer)
    )


class _Node(NamedTuple):
    """A room in its row, or a lane in which lines to a room pass a row."""

    room: str
    row: int
    is_lane: bool

    @property
    def width(self) -> float:
        return _LANE if self.is_lane else _BOX_WIDTH


class _Layout:
    """Places rooms and lanes.

    Lines to the same room share their lanes.
    """

    def __init__(self, layers: Sequence[Sequence[str]], edges: frozenset[Edge]) -> None:
        self._level = {room: row for row, layer in enumerate(layers) for room in layer}
        self.segments = sorted({segment for edge in edges for segment in self._segments(edge)})
        nodes = {node for segment in self.segments for node in segment}
        nodes |= {_Node(room, row, False) for room, row in self._level.items()}
        self.rows = [sorted(node for node in nodes if node.row == row) for row in range(len(layers))]
        self.x = dict.fromkeys(nodes, 0.0)
        self._order_rows()
        self._place(_SWEEPS)

    def _order_rows(self) -> None:
        """Find the order in which the fewest lines cross."""
        best, fewest = self.rows, len(self.segments) ** 2
        for _ in range(_SWEEPS // 4):
            self._place(2)
            if (n := self._crossings()) < fewest:
                best, fewest = [list(row) for row in self.rows], n
            for rows in (self.rows, self.rows[::-1]):
                for row in rows:
                    row.sort(key=self._wanted)
                    self._put(row)
        self.rows = best

    def _crossings(self) -> int:
        return sum(
            a[0].row == b[0].row and (self.x[a[0]] - self.x[b[0]]) * (self.x[a[1]] - self.x[b[1]]) < 0
            for a, b in itertools.combinations(self.segments, 2)
        )

    def _place(self, sweeps: int) -> None:
        for sweep in range(sweeps):
            for row in self.rows if sweep % 2 else reversed(self.rows):
                self._put(row)

    def _segments(self, edge: Edge) -> Iterator[tuple[_Node, _Node]]:
        importer, imported = edge
        node = _Node(importer, self._level[importer], False)
        for row in range(node.row + 1, self._level[imported] + 1):
            below = _Node(imported, row, row < self._level[imported])
            yield node, below
            node = below

    @cached_property
    def _neighbours(self) -> Mapping[_Node, list[_Node]]:
        found: dict[_Node, list[_Node]] = {}
        for upper, lower in self.segments:
            found.setdefault(upper, []).append(lower)
            found.setdefault(lower, []).append(upper)
        return found

    def _pulls(self, node: _Node) -> list[tuple[float, float]]:
        """Return where each neighbour of a node is, and its weight."""
        return [
            (self.x[other], _STRAIGHT if node.is_lane and other.is_lane else 1.0)
            for other in self._neighbours.get(node, ())
        ]

    def _wanted(self, node: _Node) -> float:
        pulls = self._pulls(node)
        # What nothing pulls goes where it makes the drawing no wider.
        return statistics.fmean(*zip(*pulls, strict=True)) if pulls else statistics.fmean(self.x.values())

    def _put(self, row: Sequence[_Node]) -> None:
        """Place a row as near to its neighbours as order and gaps allow."""
        offsets = [0.0]
        for left, right in itertools.pairwise(row):
            offsets.append(offsets[-1] + (left.width + right.width) / 2 + _GAP)
        # Nodes that would overlap make a block, which is where its nodes
        # want to be on average.
        blocks: list[tuple[float, float, int]] = []
        for node, offset in zip(row, offsets, strict=True):
            place, weight, n = self._wanted(node) - offset, sum(w for _, w in self._pulls(node)) or 0.1, 1
            while blocks and blocks[-1][0] >= place:
                other, other_weight, other_n = blocks.pop()
                place = (place * weight + other * other_weight) / (weight + other_weight)
                weight, n = weight + other_weight, n + other_n
            blocks.append((place, weight, n))
        places = [place for place, _, n in blocks for _ in range(n)]
        self.x.update(
            (node, place + offset) for node, place, offset in zip(row, places, offsets, strict=True)
        )


def draw(rooms: Rooms) -> str:
    """Draw the rooms, layer by layer.

    Parameters
    ----------
    rooms : `Rooms`
        What to draw.

    Returns
    -------
    svg : `str`
        An element for a page of HTML; its colours are those of the page. An
        arrow goes from a room to one that it imports, unless that follows
        from other arrows.
    """
    edges = reduced(rooms.imports)
    layout = _Layout(rooms.layers, edges)
    left = min(x - node.width / 2 for node, x in layout.x.items()) - _MARGIN
    right = max(x + node.width / 2 for node, x in layout.x.items()) + _MARGIN
    width, height = right - left, _ROW * len(rooms.layers) - _ROW + _BOX_HEIGHT + 2 * _MARGIN
    lines = (_line(upper, lower, layout.x) for upper, lower in layout.segments)
    boxes = (_box(node, layout.x[node], rooms) for row in layout.rows for node in row if not node.is_lane)
    spoken = "; ".join(
        f"{room} imports " + ", ".join(sorted(lower for upper, lower in edges if upper == room))
        for room in sorted({upper for upper, _ in edges})
    )
    return "\n".join(
        (
            f'<svg class="module-graph" role="img" xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="{left:.0f} {-_MARGIN:.0f} {width:.0f} {height:.0f}" style="max-width:{width:.0f}px">',
            f"<title>Rooms and their imports</title><desc>{escape(spoken)}</desc>",
            '<defs><marker id="module-graph-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z"/></marker></defs>',
            *lines,
            *boxes,
            "</svg>",
        )
    )


def _line(upper: _Node, lower: _Node, x: Mapping[_Node, float]) -> str:
    """Draw a part of a line; a lane runs straight past its row."""
    top, bottom = upper.row * _ROW + _BOX_HEIGHT, lower.row * _ROW
    middle = (top + bottom) / 2
    path = f"M{x[upper]:.1f} {top:.0f}C{x[upper]:.1f} {middle:.0f} {x[lower]:.1f} {middle:.0f}"
    path += f" {x[lower]:.1f} {bottom:.0f}"
    if lower.is_lane:
        return f'<path class="line" d="{path}v{_BOX_HEIGHT:.0f}"/>'
    return f'<path class="line" d="{path}" marker-end="url(#module-graph-head)"/>'


def _box(node: _Node, x: float, rooms: Rooms) -> str:
    y = node.row * _ROW
    kind = "pure" if node.room in rooms.pure else "world"
    return (
        f'<g><title>{escape(rooms.summaries[node.room])}</title><rect class="{kind}" '
        f'x="{x - _BOX_WIDTH / 2:.1f}" y="{y:.0f}" width="{_BOX_WIDTH:.0f}" height="{_BOX_HEIGHT:.0f}" '
        f'rx="6"/>'
        f'<text x="{x:.1f}" y="{y + 20:.0f}">{escape(node.room)}</text></g>'
    )
