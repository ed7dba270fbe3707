"""The documentation site: ``sphinx-build -W --keep-going -b html docs site``.

The pages are Markdown, which GitHub shows as well; the reference is made of docstrings. Neither
building the site nor reading it fetches anything. README.md has to link to every page: a page
without a link is an error.
"""

import importlib.util
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.domains.python import PyObject
from sphinx.util.inspect import TypeAliasForwardRef

from qubo_attn import __version__

project = "qubo-attn"
author = "the qubo-attn authors"
copyright = f"{author}, Apache-2.0"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["README.md"]  # the front page includes it
highlight_language = "none"

# Links between pages and to headings are checked, with the anchors that GitHub gives to headings.
myst_heading_anchors = 3

# Single backticks name objects in docstrings; those with a page of their own become links.
default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
# Its press is documented without it: kvpress asks for an older transformers than the rest.
autodoc_mock_imports = [] if importlib.util.find_spec("kvpress") else ["kvpress"]
autodoc_default_options = {"members": True}
# Docstrings state shapes and dtypes; a signature need only say that it is an array.
autodoc_type_aliases = dict.fromkeys(
    ("Array", "Bools", "Bytes", "Floats", "Ints", "Longs"), "ndarray"
) | {
    "ArrayLike": "ArrayLike",
    "Scores": "ArrayLike | AttentionGraph",
    "RawItem": "ArrayLike | AttentionGraph | Mapping[str, ArrayLike]",
}
python_maximum_signature_line_length = 88
python_display_short_literal_types = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"qubo-attn {release}"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}


def add_lists(app: Sphinx, page: str, source: list[str]) -> None:
    """Give the front page one list for each section of README.md, of the pages linked there."""
    if page != "index":
        return
    text = (Path(app.srcdir) / "README.md").read_text(encoding="utf-8")
    for section in re.split(r"^## ", text, flags=re.MULTILINE):
        title, _, rest = section.partition("\n")
        pages = re.findall(r"\]\(([\w/]+)\.(?:md|rst)\)", rest)
        caption = "" if title.startswith("# ") else f"   :caption: {title}\n"
        # What the front page's text links to is listed where its section stands.
        later = "" if caption else text[text.index("\n## ") :]
        pages = [name for name in pages if f"]({name}.md)" not in later]
        entries = "".join(f"   {name}\n" for name in dict.fromkeys(pages))
        source[0] += f"\n.. toctree::\n{caption}   :hidden:\n\n{entries}"


def shorten_factories(
    app: Sphinx, what: str, name: str, value: object, options: object, *signature: str | None
) -> tuple[str | None, ...]:
    """Write ``...`` for defaults that a factory makes; the reader sees valid Python."""
    return tuple(part and part.replace("<factory>", "...") for part in signature)


def setup(app: Sphinx) -> None:
    """Register the hooks of this site with Sphinx."""
    app.connect("source-read", add_lists)
    app.connect("autodoc-process-signature", shorten_factories)
    # Without this, an alias within a union or tuple shows the name of this class besides its own.
    TypeAliasForwardRef.__repr__ = lambda alias: alias.name  # type: ignore[method-assign]
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
