# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site file: which batch system jobs go to, and how."""

from __future__ import annotations

__all__ = ["Site", "SiteError", "read_site"]

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..plain_yaml import PlainLoader
from ..ports import ObservatoryError

_EXAMPLE = "write for example wmsServiceClass: lsst.ctrl.bps.parsl.ParslService"
_MAX_BYTES = 2**20


class SiteError(ObservatoryError):
    """A site file cannot be used; says why, and what to write."""


@dataclass(frozen=True)
class Site:
    """A site file, as far as it matters here."""

    path: Path
    settings: Mapping[str, Any]

    @property
    def service(self) -> str:
        """Full name of the class of the batch system's service."""
        return str(self.settings["wmsServiceClass"])

    @property
    def is_parsl(self) -> bool:
        """Whether jobs end with ``bps submit``, and have no other status."""
        return self.service.rpartition(".")[2] == "ParslService"

    @property
    def is_slurm(self) -> bool:
        """Whether Parsl's workers are in Slurm's queue."""
        compute = (self.settings.get("site") or {}).get(self.settings.get("computeSite")) or {}
        return self.is_parsl and "slurm" in str(compute.get("class", "")).lower()


def read_site(path: Path) -> Site:
    """Read a site file.

    Parameters
    ----------
    path : `pathlib.Path`
        The file: settings of ``bps`` (YAML).

    Returns
    -------
    site : `Site`

    Raises
    ------
    SiteError
        If it cannot be used.
    """
    where = f"bps_config: {path}"
    try:
        if path.stat().st_size > _MAX_BYTES or not path.is_file():
            raise SiteError(f"{where} is not a file of settings of bps; name one")
        settings = yaml.load(path.read_text(encoding="utf-8"), Loader=PlainLoader)  # noqa: S506 - it is a SafeLoader
    except FileNotFoundError:
        raise SiteError(f"{where} does not exist; name a file of settings of bps") from None
    except OSError as error:
        raise SiteError(f"{where} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise SiteError(f"{where} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise SiteError(f"{where} has no settings; {_EXAMPLE}")
    service = settings.get("wmsServiceClass")
    if not isinstance(service, str) or "." not in service:
        raise SiteError(f"{where} does not say which batch system; {_EXAMPLE}")
    site = Site(path.absolute(), settings)
    if site.is_parsl:
        compute = settings.get("computeSite")
        sites = settings.get("site")
        if not isinstance(sites, dict) or not isinstance(sites.get(compute), dict):
            raise SiteError(
                f"{where}: Parsl needs to know where it starts workers; write computeSite and the site of "
                "that name, with its class"
            )
    return site
