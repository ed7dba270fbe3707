"""The documentation site: ``sphinx-build -W --keep-going -b html docs site``.

The pages are Markdown that reads as well on GitHub; the reference is generated from docstrings.
Nothing is fetched, neither when building nor when reading.
"""

from qubo_attn import __version__

project = "qubo-attn"
author = "the qubo-attn authors"
copyright = f"{author}, Apache-2.0"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["README.md"]  # the front page includes it
highlight_language = "none"

# Links between pages and to headings are checked as GitHub would follow them.
myst_heading_anchors = 3

# Single backticks name objects in docstrings; those with a page of their own become links.
default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
python_maximum_signature_line_length = 88
python_display_short_literal_types = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"qubo-attn {release}"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
