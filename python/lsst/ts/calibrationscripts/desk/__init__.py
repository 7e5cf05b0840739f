# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desk: a local web application at which a person decides."""

from __future__ import annotations

__all__ = ["Desk", "TokenFileError", "new_token", "read_tokens", "serve"]

from ._access import TokenFileError, new_token, read_tokens
from ._app import Desk
from ._server import serve
