# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the schema documents of the scripts anew, from ``base.yaml``.

Run it in a checkout, after a change of that file or of a camera's facts.
"""

from __future__ import annotations

from pathlib import Path

from ..instruments import INSTRUMENTS
from ._schema import document_path, write_schema

for instrument in INSTRUMENTS.values():
    if instrument.schema is not None:
        Path(str(document_path(instrument.schema))).write_text(write_schema(instrument), encoding="utf-8")
