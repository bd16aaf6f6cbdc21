"""Roles for names that have to be there: `{name}` imports a Python name, `{src}` looks for a file of the repository.

Either that is gone is a warning, and warnings fail the build.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

ROOT = Path(__file__).parents[2]
LUNAR = "exts/regolith.lunar/regolith/lunar"


class Name(SphinxRole):
    """A dotted Python name, shown as it is written; `lunar.` stands for `regolith.lunar.`."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Import it."""
        full = self.text if self.text.startswith(("regolith.", "training")) else f"regolith.lunar.{self.text}"
        try:
            found(full)
        except (ImportError, AttributeError) as error:
            logging.getLogger(__name__).warning("no such name: %s (%s)", self.text, error, location=self.get_location())
        return [nodes.literal(text=self.text)], []


class Source(SphinxRole):
    """A path in the repository, or in `regolith/lunar` where it starts with one of its rooms."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Look for it."""
        if not (ROOT / self.text).exists() and not (ROOT / LUNAR / self.text).exists():
            logging.getLogger(__name__).warning("no such file: %s", self.text, location=self.get_location())
        return [nodes.literal(text=self.text)], []


def found(dotted: str) -> Any:
    """The object of a dotted name.

    Raises:
        ImportError: No part of it is a module.
        AttributeError: A module or class has no such attribute.
    """
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError as error:
            if cut == 1 or not dotted.startswith(error.name or "?"):
                raise
            continue
        for part in parts[cut:]:
            fields = getattr(value, "model_fields", {})
            value = fields[part] if part in fields else getattr(value, part)
        return value
    raise ImportError(dotted)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the roles."""
    app.add_role("name", Name())
    app.add_role("src", Source())
    return {"parallel_read_safe": True}
