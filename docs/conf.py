"""Settings of the documentation. Examples are run by tests/test_examples.py, not here."""

from __future__ import annotations

import animus

project = "animus-client"
author = "The animus-client authors"
copyright = f"2026, {author}"
release = version = animus.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"animus-client {release}"
html_copy_source = False
