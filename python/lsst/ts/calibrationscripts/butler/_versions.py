# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of what jobs have really used."""

from __future__ import annotations

__all__ = ["versions_of"]

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ._collections import datasets

if TYPE_CHECKING:
    from lsst.daf.butler import Butler

_DATASET_TYPE = "packages"
"""Written by ``pipetask`` and ``run-qbb`` into each output run."""

_PRODUCTS = ("cp_pipe", "cp_verify", "ip_isr", "daf_butler")
"""What decides how calibrations are made and verified."""


def versions_of(butler: Butler, runs: Mapping[str, str]) -> dict[str, str]:
    """Read which versions jobs have used.

    Parameters
    ----------
    butler : `lsst.daf.butler.Butler`
        The repository.
    runs : `~collections.abc.Mapping` [`str`, `str`]
        RUN collections of jobs, by the name of their stage.

    Returns
    -------
    versions : `dict` [`str`, `str`]
        By product. If jobs differ, each version has the stages that used
        it. Products that no job has imported are left out.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for stage, run in runs.items():
        for product, version in _of_run(butler, run):
            found.setdefault(product, {}).setdefault(version, []).append(stage)
    return {product: _written(found[product]) for product in _PRODUCTS if product in found}


def _of_run(butler: Butler, run: str) -> Iterator[tuple[str, str]]:
    """Yield products and versions of a run; none if it has no record."""
    for ref in datasets(butler, _DATASET_TYPE, run):
        packages = butler.get(ref)
        yield from ((name, str(packages[name])) for name in _PRODUCTS if name in packages)


def _written(by_version: Mapping[str, list[str]]) -> str:
    if len(by_version) == 1:
        return next(iter(by_version))
    return "; ".join(f"{version} ({', '.join(stages)})" for version, stages in by_version.items())
