"""Sphinx configuration of the site; `make docs` builds it without a network, warnings as errors."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "exts/regolith.lunar")]

from regolith.lunar import __version__  # noqa: E402

project = "regolith.lunar"
author = "the regolith.lunar authors"
copyright = "the regolith.lunar authors, Apache-2.0"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "reference",
    "checked_names",
]
exclude_patterns = ["_ext", "_static"]
default_role = "literal"
nitpicky = True
nitpick_ignore_regex = [
    # no inventories are downloaded: what other packages define is not looked up
    ("py:.*", r"(collections|datetime|enum|numpy|np|onnxruntime|os|pathlib|pxr|pydantic|torch|typing|Usd)\b.*"),
    ("py:.*", r"regolith\..*\.[A-Z]"),  # type variables
    (
        "py:.*",
        r"(regolith\..*\.)?(AnyPath|ColumnTable|FrameRecord|OrderedRecords|Quarantine|RockField|Terrain|TorchSplit)",
    ),  # met in passing only
    ("py:.*", r"(Any|Callable|Iterable|Iterator|Literal|Mapping|None|Path|Sequence|optional)"),
]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

autodoc_default_options = {"exclude-members": "model_config"}  # pydantic's own
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "regolith.lunar"
html_logo = "../exts/regolith.lunar/data/icon.png"
html_favicon = "../exts/regolith.lunar/data/icon.png"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#a8321e",
        "color-brand-content": "#a8321e",
        "color-brand-visited": "#7d3a63",
        "font-stack": "Inter, system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
    },
    "dark_css_variables": {
        "color-brand-primary": "#ff8d74",
        "color-brand-content": "#ff9d86",
        "color-brand-visited": "#d8a1c4",
        "color-code-background": "#1b1b1e",
        "color-background-primary": "#121213",
        "color-background-secondary": "#19191b",
        "color-background-hover": "#232326",
        "color-background-border": "#303034",
        "color-foreground-primary": "#e3e1dd",
        "color-foreground-secondary": "#aaa7a1",
    },
}
