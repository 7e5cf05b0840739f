# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts that take, process, verify and certify LATISS calibrations."""

from __future__ import annotations

__all__ = ["__version__", "get_scripts_dir"]

from typing import Any

from .utils import get_scripts_dir

__version__: str
"""Version that is installed; ``unknown`` in sources that are not."""


def __getattr__(name: str) -> Any:
    # Looked up when asked for: the answer to --schema must not wait for it.
    if name == "__version__":
        from .utils import installed_version

        return installed_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
