"""The documentation: `make docs` writes it to build/docs; every warning is an error, and no network is needed."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "extensions"))

import halidrift  # noqa: E402

project = "halidrift"
author = "the halidrift developers"
version = release = halidrift.__version__
copyright = "the halidrift developers, BSD-3-Clause"

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "commands",
    "gallery",
    "mathml",
    "reference",
    "verdicts",
]
exclude_patterns = ["extensions", "results"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
root_doc = "index"
nitpicky = True
nitpick_ignore_regex = [
    # annotations and types of other libraries: their pages are not at hand offline
    (r"py:.*", r"(?!halidrift).*"),
    (r"py:class", r"halidrift\.compact\.\w+\.Model|halidrift\.[\w.]+\._\w+"),  # type variables, private names
]

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_validation_checks = {
    # what a reader would trip over; each fails the build
    "GL06", "GL07",  # unknown or misplaced sections
    "GL08",  # no docstring
    "GL10",  # a directive without its two colons
    "PR02",  # a parameter is described that does not exist
    "PR05", "PR06", "PR10",  # malformed types
    "SS04",  # leading blanks
}  # fmt: skip
numpydoc_validation_exclude = {
    # words of a protocol, explained once at the protocol (`cells.Law`, scikit-learn's attributes)
    r"\.pipeline\.crossbar\.cells\.\w+\.(shape|evaluate|check)$",
    r"\.weights_$",
}

html_theme = "furo"
html_title = f"halidrift {release}"
html_math_renderer = "mathml"
html_static_path = ["extensions/static"]
html_css_files = ["halidrift.css"]
html_copy_source = False
html_show_sphinx = False
templates_path: list[str] = []
highlight_language = "text"
