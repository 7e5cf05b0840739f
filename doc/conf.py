# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx configuration, which fetches nothing from the network."""

import shutil
import sys
from pathlib import Path

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE / "_ext"))

project = "ts_calibrationscripts"
copyright = "2026 Rubin Observatory"

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
default_role = "py:obj"
exclude_patterns = ["_build", "news"]

# automodapi writes there, and leaves the pages of what exists no longer.
shutil.rmtree(_HERE / "api", ignore_errors=True)

# The theme of Rubin Observatory's guides. Those are made by documenteer,
# which needs Python 3.12 since it has a version of the theme whose contrast
# and navigation can be used.
html_theme = "pydata_sphinx_theme"
html_title = "ts_calibrationscripts"
html_static_path = ["_static"]
html_css_files = ["ts_calibrationscripts.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "ts_calibrationscripts"},
    "navbar_align": "left",
    "navbar_persistent": [],
    "navbar_end": ["theme-switcher", "search-button"],
    "show_prev_next": True,
    "navigation_with_keys": False,
    # Its buttons to unfold the navigation have no names.
    "collapse_navigation": True,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

autosummary_generate = False
automodapi_toctreedirnm = "api"

always_document_param_types = True
typehints_defaults = "comma"
napoleon_google_docstring = False
napoleon_use_ivar = False

towncrier_draft_autoversion_mode = "draft"
towncrier_draft_include_empty = False
towncrier_draft_working_directory = str(_HERE.parent)
