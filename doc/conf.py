# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx configuration: that of Rubin Observatory's guides, offline."""

import shutil
import sys
import warnings
from pathlib import Path

from documenteer.conf.guide import *  # noqa: F403
from documenteer.conf.guide import html_css_files, html_static_path, html_theme_options

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE / "_ext"))

# Of the guides' extensions those that are used here. The others bring
# notebooks, or scripts that a page would fetch from the network.
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_automodapi.automodapi",
    "sphinx_automodapi.smart_resolver",
    "sphinx_autodoc_typehints",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.towncrier.ext",
    "generated",
]

# Inventories of other projects would have to be fetched.
intersphinx_mapping = {}

exclude_patterns = ["_build", "news"]

# automodapi writes there, and leaves the pages of what exists no longer.
shutil.rmtree(_HERE / "api", ignore_errors=True)

# The theme is the one that documenteer asks for, and older than Sphinx.
warnings.filterwarnings("ignore", module="pydata_sphinx_theme")

html_theme_options["external_links"] = []
html_static_path.append("_static")
html_css_files.append("ts_calibrationscripts.css")
# documenteer's own template has pages fetch a font.
templates_path = []

towncrier_draft_autoversion_mode = "draft"
towncrier_draft_include_empty = False
towncrier_draft_working_directory = str(_HERE.parent)
