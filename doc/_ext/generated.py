# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx directives for what the schema and the code say themselves."""

from __future__ import annotations

__all__ = ["ConfigurationReference", "FaultList", "ModuleGraph", "PreconditionList", "RoomList", "setup"]

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from docutils import nodes
from lsst.ts.calibrationscripts.config import load_schema
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS, LATISS, ImageType
from lsst.ts.calibrationscripts.observatory import sal
from lsst.ts.calibrationscripts.preconditions import preconditions_of
from module_graph import Rooms, draw, read_rooms
from schema_to_rst import reference
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata


@cache
def _rooms() -> Rooms:
    return read_rooms(Path(__file__).parents[2])


class ConfigurationReference(SphinxDirective):
    """Every parameter of the configuration."""

    def run(self) -> list[nodes.Node]:
        """Return the description."""
        return self.parse_text_to_nodes("\n".join(reference(load_schema(LATISS))))


class FaultList(SphinxDirective):
    """A table of the faults that the simulation knows."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        return self.parse_text_to_nodes("\n".join(self._lines()))

    def _lines(self) -> Iterator[str]:
        sal.use(sal.SalProvider.LOCAL)
        from lsst.ts.calibrationscripts.simulation.faults import FAULTS

        yield from (".. list-table::", "   :header-rows: 1", "")
        yield from ("   * - NAME", "     - WHEN counts", "     - What happens")
        for name, fault in FAULTS.items():
            yield from (f"   * - ``{name}``", f"     - {fault.counts}", f"     - {fault.description}")


class PreconditionList(SphinxDirective):
    """A table of what frames need around each camera."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        return self.parse_text_to_nodes("\n".join(self._lines()))

    def _lines(self) -> Iterator[str]:
        yield from (".. list-table::", "   :header-rows: 1", "")
        yield from ("   * - Frames", "     - What is looked at", "     - What it has to be")
        for name in INSTRUMENTS:
            for each in preconditions_of(name):
                frames = "all" if len(each.image_types) == len(ImageType) else ", ".join(each.image_types)
                yield from (f"   * - {name}, {frames}", f"     - {each.what} ({each.component})")
                yield f"     - {each.limit.text}"


class ModuleGraph(SphinxDirective):
    """A drawing of what imports what."""

    def run(self) -> list[nodes.Node]:
        """Return the drawing."""
        return [nodes.raw("", draw(_rooms()), format="html")]


class RoomList(SphinxDirective):
    """A table of the rooms, layer by layer, with what each says of itself."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        return self.parse_text_to_nodes("\n".join(self._lines()))

    def _lines(self) -> Iterator[str]:
        yield from (".. list-table::", "   :header-rows: 1", "   :widths: auto", "   :class: room-list", "")
        yield from ("   * - Room", "     - What it is")
        for layer in _rooms().layers:
            for room in layer:
                yield from (f"   * - ``{room}``", f"     - {_rooms().summaries[room]}")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directives with Sphinx."""
    app.add_directive("configuration-reference", ConfigurationReference)
    app.add_directive("fault-list", FaultList)
    app.add_directive("module-graph", ModuleGraph)
    app.add_directive("precondition-list", PreconditionList)
    app.add_directive("room-list", RoomList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
