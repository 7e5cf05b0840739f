# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx directives for what the schema and the code say themselves."""

from __future__ import annotations

__all__ = ["ConfigurationReference", "FaultList", "setup"]

from collections.abc import Iterator

from docutils import nodes
from lsst.ts.calibrationscripts.config import load_schema
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.observatory import sal
from schema_to_rst import reference
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata


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


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directives with Sphinx."""
    app.add_directive("configuration-reference", ConfigurationReference)
    app.add_directive("fault-list", FaultList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
