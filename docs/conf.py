"""Settings of the documentation site: ``make docs`` builds it, without the network, into ``build/docs``."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from fathom_async import __version__  # noqa: E402

project = "fathom_async"
author = project_copyright = "The fathom_async authors"
release = version = __version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser", "site_pages"]
exclude_patterns = ["_ext"]
nitpicky = True
suppress_warnings = ["ref.python"]  # a name that two public modules have, such as Destination
default_role = "obj"

myst_enable_extensions = ["attrs_block", "deflist"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90
toc_object_entries_show_parents = "hide"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"fathom_async {release}"
html_theme_options = {"navigation_with_keys": True, "light_css_variables": {"code-font-size": "0.75rem"}}
html_copy_source = False
html_search_scorer = str(HERE / "_ext" / "scorer.js")
html_show_sphinx = False
