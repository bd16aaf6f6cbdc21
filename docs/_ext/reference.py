"""Pages made of the code: `{verbs}`, `{every-verb}`, `{parameters}`, `{api}`, `{rooms}` and `{docstring}`.

The first three read the parameter models that the command line and the panels are made of.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from regolith.lunar.params import (
    Group,
    Interval,
    Params,
    PresetVerb,
    Verb,
    describe_allowed,
    field_extra,
    is_group,
    load_preset,
)
from regolith.lunar.verbs import VERBS


def verb_model(name: str) -> type[Verb]:
    """Model of a verb by its name on the command line."""
    module, attribute, _ = VERBS[name]
    return getattr(importlib.import_module(module), attribute)


def flag(name: str, field: FieldInfo, group: str = "") -> str:
    """A field as it is typed on the command line: `--frames`, `--rocks.abundance`, or `FOLDER` where it has no flag."""
    extra = field_extra(field)
    if extra.get("positional"):
        return name.upper()
    own = extra.get("flag") or name.replace("_", "-")
    return f"--{group.replace('_', '-')}.{own}" if group else f"--{own}"


def shown(value: Any) -> str:
    """A default as a reader types it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


class Fields(SphinxDirective):
    """Base of both references: sections with tables of fields."""

    def section(self, title: str, identifier: str, *, literal: bool = False) -> nodes.section:
        """A section with an anchor; a target of its own, so that other pages can link it."""
        section = nodes.section(ids=[identifier], names=[identifier])
        section += nodes.title("", "", nodes.literal(text=title) if literal else nodes.Text(title))
        domain = self.env.domains.standard_domain
        domain.labels[identifier] = (self.env.docname, identifier, title)
        domain.anonlabels[identifier] = (self.env.docname, identifier)
        return section

    def text(self, text: str) -> list[nodes.Node]:
        """Words with `code` between backticks."""
        parts = re.split(r"`([^`]+)`", text)
        return [nodes.literal(text=part) if index % 2 else nodes.Text(part) for index, part in enumerate(parts)]

    def table(self, head: list[str], rows: list[list[list[nodes.Node]]]) -> nodes.table:
        """A table from its cells' nodes."""
        group = nodes.tgroup(cols=len(head))
        group += [nodes.colspec(colwidth=1) for _ in head]
        group += nodes.thead("", self.row([[nodes.Text(title)] for title in head]))
        group += nodes.tbody("", *[self.row(cells) for cells in rows])
        return nodes.table("", group, classes=["fields"])

    def row(self, cells: list[list[nodes.Node]]) -> nodes.row:
        """One row."""
        return nodes.row("", *[nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells])

    def cells(self, name: str, field: FieldInfo, default: Any, group: str = "") -> list[list[nodes.Node]]:
        """Flag, default, allowed values with their unit, help."""
        absent = default is PydanticUndefined
        value = nodes.inline("", "required", classes=["default"]) if absent else nodes.literal(text=shown(default))
        return [
            [nodes.literal(text=flag(name, field, group))],
            [value],
            [nodes.Text("a switch" if field.annotation is bool and not group else describe_allowed(field))],
            self.text(field.description or ""),
        ]


HEAD = ["", "default", "allowed", "what it is"]


class Verbs(Fields):
    """`{verbs}`: every verb, every field with unit, default, limits and help."""

    def run(self) -> list[nodes.Node]:
        """Make a section a verb."""
        return [self._verb(name) for name in VERBS]

    def _verb(self, name: str) -> nodes.section:
        model = verb_model(name)
        section = self.section(f"regolith {name}", f"verb-{name.replace(' ', '-')}", literal=True)
        section += nodes.paragraph("", "", *self.text(VERBS[name][2]))
        own = [key for key in model.model_fields if key not in Verb.model_fields]
        if own:
            rows = [self.cells(key, model.model_fields[key], model.model_fields[key].default) for key in own]
            section += self.table(HEAD, rows)
        if issubclass(model, PresetVerb):
            parsed, messages = self.parse_inline("And every {doc}`parameter <parameters>` as a flag of its own.")
            section += nodes.paragraph("", "", *parsed, *messages)
        return section


class Common(Fields):
    """`{every-verb}`: the fields that every verb takes."""

    def run(self) -> list[nodes.Node]:
        """Make one table."""
        fields = Verb.model_fields
        return [self.table(HEAD, [self.cells(name, field, field.default) for name, field in fields.items()])]


class Parameters(Fields):
    """`{parameters}`: every group of `Params`, with v3's defaults and how often a value is drawn."""

    def run(self) -> list[nodes.Node]:
        """Make a section a group."""
        base = load_preset("v3")
        groups = [name for name, field in Params.model_fields.items() if is_group(field.annotation)]
        return [self._group(name, getattr(base, name)) for name in groups]

    def _group(self, name: str, group: Group) -> nodes.section:
        model = type(group)
        section = self.section(name, f"parameters-{name.replace('_', '-')}", literal=True)
        section += nodes.paragraph("", "", *self.text(inspect.getdoc(model) or ""))
        rows = []
        for key, field in model.model_fields.items():
            cells = self.cells(key, field, getattr(group, key), name)
            per = field_extra(field)["per"]
            cells.append([nodes.Text({"item": "rock or crater"}.get(per, per) or "")])
            rows.append(cells)
        section += self.table([*HEAD, "drawn per"], rows)
        return section


class Api(SphinxDirective):
    """`{api} MODULE`: its docstring, then every name of its `__all__`, or the names listed, one a line."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Hand each name to autodoc."""
        module = importlib.import_module(self.arguments[0])
        lines = [] if self.content else [f".. automodule:: {module.__name__}", ""]
        for name in self.content or module.__all__:
            value: Any = getattr(module, name)
            kind = "class" if isinstance(value, type) else "function" if callable(value) else "data"
            if isinstance(value, type) and issubclass(value, BaseException):
                kind = "exception"
            members = isinstance(value, type) and not (issubclass(value, Group) and value is not Group)
            lines += [f".. auto{kind}:: {module.__name__}.{name}", "   :members:" if members else "", ""]
        return self.parse_text_to_nodes("\n".join(["```{eval-rst}", *lines, "```"]))


class Rooms(Fields):
    """`{rooms}`: who may import whom, as `tests/test_rooms.py` has it."""

    def run(self) -> list[nodes.Node]:
        """Make one table."""
        path = Path(__file__).parents[2] / "tests" / "test_rooms.py"
        self.env.note_dependency(str(path))
        found: dict[str, Any] = {
            statement.targets[0].id: statement.value
            for statement in ast.parse(path.read_text("utf-8")).body
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
        }
        base = sorted(ast.literal_eval(found["BASE"]))
        rows = []
        for key, value in zip(found["ALLOWED"].keys, found["ALLOWED"].values, strict=True):
            parts = list(ast.walk(value))
            allowed = base if any(isinstance(part, ast.Name) and part.id == "BASE" for part in parts) else []
            allowed = [*allowed, *(str(part.value) for part in parts if isinstance(part, ast.Constant))]
            rows.append([[nodes.literal(text=key.value)], [nodes.Text(", ".join(allowed) or "nothing of ours")]])
        return [self.table(["room", "may import"], rows)]


class Docstring(SphinxDirective):
    """`{docstring} MODULE`: what a module says of itself, read as Markdown."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parse it."""
        return self.parse_text_to_nodes(inspect.getdoc(importlib.import_module(self.arguments[0])) or "")


def bare_models(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str, None] | None:
    """Leave parameter models without the signature pydantic makes of their fields: the reference has those."""
    del app, name, options, signature, returned
    if what == "class" and inspect.isclass(obj) and issubclass(obj, BaseModel) and obj is not Interval:
        return "", None
    return None


def types_in_annotations(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep napoleon from taking words before a colon for a type, under Returns and of attributes."""
    del app, name, obj, options
    starts = [index + 1 for index, line in enumerate(lines[:-1]) if line.strip() in ("Returns:", "Yields:")]
    if what in ("attribute", "property", "data") and lines and ":" in lines[0]:
        starts.append(0)
    for index in starts:
        text = lines[index]
        lines[index] = text[: len(text) - len(text.lstrip())] + ": " + text.lstrip()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("verbs", Verbs)
    app.add_directive("every-verb", Common)
    app.add_directive("parameters", Parameters)
    app.add_directive("api", Api)
    app.add_directive("rooms", Rooms)
    app.add_directive("docstring", Docstring)
    app.connect("autodoc-process-signature", bare_models)
    app.connect("autodoc-process-docstring", types_in_annotations, priority=400)  # before napoleon's 500
    return {"parallel_read_safe": True}
