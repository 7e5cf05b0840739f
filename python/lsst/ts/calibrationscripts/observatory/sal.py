# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that says where salobj and observatory-control come from.

Every other module imports SAL names from here::

    from lsst.ts.calibrationscripts.observatory.sal import salobj

``use`` chooses the provider before anything derives from it; the environment
variable ``CALIBSCRIPTS_SAL`` (``salobj`` or ``local``) overrules it.
"""

from __future__ import annotations

__all__ = ["SalNotInstalledError", "SalProvider", "provider", "use"]

import enum
import importlib
import os
from typing import Any


class SalProvider(enum.Enum):
    """Where the SAL classes come from."""

    SALOBJ = "salobj"
    """The observatory's own lsst.ts.salobj and observatory-control."""

    LOCAL = "local"
    """`lsst.ts.calibrationscripts.localsal`, inside one process."""


class SalNotInstalledError(ImportError):
    """The provider that was chosen is not installed."""


_LOCAL = "lsst.ts.calibrationscripts.localsal"

# Public name here: (module of the observatory, attribute; None: the module).
_NAMES: dict[str, tuple[str, str | None]] = {
    "salobj": ("lsst.ts.salobj", None),
    "LATISS": ("lsst.ts.observatory.control.auxtel.latiss", "LATISS"),
    "LATISSUsages": ("lsst.ts.observatory.control.auxtel.latiss", "LATISSUsages"),
    "RemoteGroup": ("lsst.ts.observatory.control", "RemoteGroup"),
    "UsagesResources": ("lsst.ts.observatory.control", "UsagesResources"),
    "ScriptState": ("lsst.ts.xml.enums.Script", "ScriptState"),
}

_preferred = SalProvider.SALOBJ
_loaded: SalProvider | None = None


def provider() -> SalProvider:
    """Return the provider in force.

    Raises
    ------
    ValueError
        If ``CALIBSCRIPTS_SAL`` is neither ``salobj`` nor ``local``.
    """
    text = os.environ.get("CALIBSCRIPTS_SAL", "")
    if not text:
        return _preferred
    try:
        return SalProvider(text)
    except ValueError:
        raise ValueError(f"CALIBSCRIPTS_SAL={text!r}: write 'salobj' or 'local'.") from None


def use(wanted: SalProvider) -> None:
    """Choose the provider, unless ``CALIBSCRIPTS_SAL`` says otherwise.

    Parameters
    ----------
    wanted : `SalProvider`
        The provider to take from now on.

    Raises
    ------
    RuntimeError
        If classes of another provider are in use already: two kinds of SAL
        in one process cannot talk to each other.
    """
    global _preferred
    previous, _preferred = _preferred, wanted
    if _loaded is not None and provider() is not _loaded:
        _preferred = previous
        raise RuntimeError(
            f"SAL is {_loaded.value} in this process already; it cannot become {wanted.value}."
        )


def __getattr__(name: str) -> Any:
    global _loaded
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module_name, attribute = _NAMES[name]
    chosen = provider()
    if chosen is SalProvider.LOCAL:
        module = importlib.import_module(_LOCAL)
        value = module if attribute is None else getattr(module, attribute)
    else:
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise SalNotInstalledError(
                f"{module_name} is not installed here (no module {error.name!r}): this needs the "
                "observatory's SAL environment. On any machine, 'calibscripts simulate' runs the same script "
                "on a simulated observatory."
            ) from error
        value = module if attribute is None else getattr(module, attribute)
    _loaded = chosen
    globals()[name] = value
    return value
