"""How Sphinx builds the pages: `make docs` runs it, with warnings as errors and without a network."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

from featherhq import __version__
from markup import complain, skip, to_rest, unlink

project = "featherhq"
copyright = "the featherhq authors"  # noqa: A001 - the name is Sphinx's
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["requirements.txt"]

# Pages. Each heading has the anchor that GitHub gives it, so that one link works in both places.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
# What says no language is Python in docstrings, and text elsewhere.
highlight_language = "default"

# The reference. Docstrings have names in single backticks: what is known becomes a link, the rest is code.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"featherhq {release}"
html_static_path = ["_static"]
html_css_files = ["pictures.css"]
html_copy_source = False
html_show_sourcelink = False
# Nothing is loaded from elsewhere.
html_theme_options = {"navigation_with_keys": True}


def setup(app: Sphinx) -> None:
    """Connect what is ours to Sphinx. It comes before napoleon, which has the priority 500."""
    app.connect("source-read", unlink)
    app.connect("autodoc-skip-member", skip)
    app.connect("env-check-consistency", complain)
    app.connect("autodoc-process-docstring", to_rest, priority=400)
