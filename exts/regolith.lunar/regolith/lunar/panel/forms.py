"""Forms made from the parameter models: sections of fields, so that a new parameter appears by itself."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from regolith.lunar.dataset.generate import Generate
from regolith.lunar.panel.settings import (
    KEYS,
    CompanionSettings,
    GenerateSettings,
    ModelSettings,
    ShotSettings,
    WaySettings,
)
from regolith.lunar.panel.verb_rows import ROWS
from regolith.lunar.params import Group, Interval, Params, PresetVerb, describe_allowed, field_extra, is_group
from regolith.lunar.params.curriculum import PREFIX, CurriculumParams
from regolith.lunar.perception.evaluate import EvaluateReal, EvaluateSynth

Kind = Literal["bool", "int", "float", "choice", "text", "interval", "path", "keys"]

SECTIONS: dict[str, str] = {
    "stage": "Stage",
    "rocks": "Rocks",
    "craters": "Craters",
    "light": "Light",
    "camera": "Camera",
    "sensor": "Sensor",
    "dynamics": "Dynamics",
    "dataset": "Dataset",
    "test_domain": "Test domain",
    "traverse": "Traverse",
    "film": "Film",
    "calibrate": "Calibrate",
    "quality": "Quality",
    "model": "Model",
    "training": "Training",
}
"""Key to title, in the panel's order."""

CLOSED = frozenset(
    {"rocks", "craters", "camera", "sensor", "dynamics", "test_domain", "traverse", "film", "calibrate", "quality"}
)
"""Sections a view shows collapsed at first."""

PLACES = {
    "terrain": "stage", "relief": "stage", "ground": "stage", "rover": "camera", "render": "dataset",
    "randomize": "dataset",
}  # fmt: skip
"""Group of `Params`, or randomizer, to its section where the two names differ."""

TITLES = {"domain": "Per frame", "test_domain": "Per frame of test_photoreal", "randomize": "Randomizers"}
"""Group of `Params` to its heading where it is not the group's name."""

WORDS = {
    "fov": "FOV", "rms": "RMS", "psf": "PSF", "lr": "learning rate", "amp": "mixed precision", "b0": "B0",
    "jpeg": "JPEG", "jsd": "JSD", "hapke": "Hapke", "reseau": "Réseau", "dem": "height model", "sha256": "SHA-256",
    "fps": "FPS", "gif": "GIF",
}  # fmt: skip
"""Part of a field's name to the word its label has."""

UNIT_SUFFIXES = ("_m_s", "_s", "_m", "_mm", "_deg", "_px", "_ev", "_e", "_k", "_db", "_hz", "_mb")
"""Endings of names that repeat the unit, which a label shows anyway."""

FILES = frozenset({"ground.dem", "ground.hapke_map", "model.path", "companion.python", "evaluate.model"}) | {
    f"{row.key}.{name}" for row in ROWS for name in row.files
}
"""Fields that take a file; other paths are folders."""

PROGRAMS = frozenset({"companion.python", "generate.command"})
"""Fields that name what a companion executes: a host whose users may not run what they like withholds them."""

OUTPUTS = frozenset({"generate.out", "training.out", "evaluate.out", "photos.out"}) | {f"{row.key}.out" for row in ROWS}
"""Fields that name a folder or file a companion writes."""


@dataclasses.dataclass(frozen=True)
class FormSource:
    """A model whose fields are in the panel."""

    prefix: str
    """What its fields' paths begin with; empty for `Params`, whose groups' names do."""
    model: type[Group]
    section: str
    """Section of the fields; empty where each field's group decides."""
    group: str = ""
    """Heading of the fields inside the section."""
    hidden: frozenset[str] = frozenset()
    """Fields the panel sets itself, or that are of no use in it."""


_VERB = frozenset(PresetVerb.model_fields) | {"events"}
_TABLE = frozenset(name for name in CurriculumParams.model_fields if name.startswith(PREFIX))
"""What the stages of a curriculum are: the panel takes the table as it is."""

SOURCES: tuple[FormSource, ...] = (
    FormSource("shot", ShotSettings, "stage", "Frame on show"),
    FormSource("", Params, "", hidden=frozenset({"preset"})),
    FormSource("generate", Generate, "dataset", "Export", _VERB),
    FormSource("drawing", GenerateSettings, "dataset", "Export"),
    FormSource("way", WaySettings, "film", "Camera path"),
    *(FormSource(row.key, row.model, row.section, row.title, row.hidden) for row in ROWS),
    FormSource("model", ModelSettings, "model", "Live preview"),
    FormSource("evaluate", EvaluateSynth, "model", "Evaluate on a split", _VERB | {"model"}),
    FormSource("photos", EvaluateReal, "model", "Evaluate on photographs", _VERB | {"model"}),
    FormSource("companion", CompanionSettings, "training", "Process"),
    FormSource("training", CurriculumParams, "training", "Run", _VERB | _TABLE),
)
"""Every model in the panel, in the order its fields have inside a section."""


@dataclasses.dataclass(eq=False)
class Field:
    """A value a user edits; `value`, `default` and `message` are kept up to date by the panel's model."""

    path: str
    """Dotted path, unique in the panel: `domain.sun_elevation_deg`, `training.epochs`."""
    kind: Kind
    label: str
    group: str
    """Heading inside the section; fields of a heading follow each other."""
    unit: str
    ge: float | None
    le: float | None
    step: float | None
    choices: tuple[str, ...]
    tooltip: str
    """Help, unit and limits."""
    optional: bool
    """Whether it may be left out (None)."""
    picks: Literal["", "file", "folder"]
    """What a path is chosen from; also for a text that may name a file."""
    default: Any = None
    """What a reset gives: the value of the preset, the file or the model."""
    value: Any = None
    """What is entered, typed where it is valid: bool, int, float, str, `Path`, `Interval`, or None."""
    message: str = ""
    """Why the value is not allowed, as the command line says it; empty where it is."""
    asked: bool = False
    """Whether an action was refused because this field is empty."""

    @property
    def changed(self) -> bool:
        """Whether a reset would change it."""
        return self.value != self.default

    @property
    def problem(self) -> str:
        """The message a view shows: that of a field nobody touched, empty by default, only once it was asked for."""
        untouched = self.value in (None, "") and not self.changed
        return "" if untouched and not self.asked else self.message


@dataclasses.dataclass(frozen=True)
class Section:
    """A collapsable part of the panel."""

    key: str
    title: str
    fields: tuple[Field, ...]
    collapsed: bool = False
    """Whether a view shows it collapsed at first."""


def build_sections(sources: Sequence[FormSource] = SOURCES) -> tuple[Section, ...]:
    """Make the panel's sections from the models; values are the models' defaults, None where there is none."""
    found: dict[str, list[Field]] = {key: [] for key in SECTIONS}
    for source in sources:
        for section, field in _source_fields(source):
            found[section].append(field)
    return tuple(
        Section(key, SECTIONS[key], tuple(_by_group(fields)), key in CLOSED) for key, fields in found.items() if fields
    )


def offered(sections: Sequence[Section], withheld: frozenset[str]) -> tuple[Section, ...]:
    """Leave fields out by their paths, and sections that have no others."""
    left = (
        dataclasses.replace(section, fields=tuple(field for field in section.fields if field.path not in withheld))
        for section in sections
    )
    return tuple(section for section in left if section.fields)


def _by_group(fields: list[Field]) -> list[Field]:
    order = list(dict.fromkeys(field.group for field in fields))
    return sorted(fields, key=lambda field: order.index(field.group))


def _source_fields(source: FormSource) -> typing.Iterator[tuple[str, Field]]:
    for name, info in source.model.model_fields.items():
        if name in source.hidden:
            continue
        if not is_group(info.annotation):
            path = f"{source.prefix}.{name}" if source.prefix else name
            yield source.section or "dataset", make_field(path, info, info.default, group=source.group)
            continue
        default: Group = info.default
        title = TITLES.get(name, name.capitalize())
        for key, inner in type(default).model_fields.items():
            place = _section(name, key, field_extra(inner))
            yield place, make_field(f"{name}.{key}", inner, getattr(default, key), group=title)


def _section(group: str, name: str, extra: Mapping[str, Any]) -> str:
    """Section of a field of `Params`: of the test domain, of its randomizer, of the switch it is, or of its group."""
    if group == "test_domain":
        return group
    key = extra.get("randomizer") or (name if group == "randomize" and name in (*SECTIONS, "ground") else group)
    key = PLACES.get(key, key)
    return key if key in SECTIONS else "dataset"


def make_field(path: str, info: FieldInfo, default: Any, *, group: str = "") -> Field:
    """Make the field of a parameter.

    Args:
        path: Dotted path in the panel.
        info: Field of the model.
        default: Its default; pydantic's undefined where there is none.
        group: Heading it stands under.
    """
    extra = field_extra(info)
    annotation, optional = strip_optional(info.annotation)
    kind = _kind(annotation)
    if path == KEYS:
        kind = "keys"
    if kind == "choice" and optional:  # a menu has no entry for what is left out
        kind = "text"
    value = None if default is PydanticUndefined else default
    picks: Literal["", "file", "folder"] = "folder" if kind == "path" else ""
    if path in FILES:
        picks = "file"
    return Field(
        path=path,
        kind=kind,
        label=_label(path.rpartition(".")[2], extra.get("unit") or ""),
        group=group,
        unit=extra.get("unit") or "",
        ge=extra.get("ge"),
        le=extra.get("le"),
        step=extra.get("step") or _step(kind, extra.get("ge"), extra.get("le")),
        choices=tuple(str(choice) for choice in get_args(annotation)) if kind == "choice" else (),
        tooltip=f"{info.description or ''}\n[{describe_allowed(info)}]",
        optional=optional,
        picks=picks,
        default=value,
        value=value,
    )


def _step(kind: Kind, ge: float | None, le: float | None) -> float | None:
    """Step of a field whose definition has none: 1, or the power of ten nearest below a hundredth of the range."""
    if kind == "int":
        return 1
    return 10.0 ** math.floor(math.log10((le - ge) / 100)) if ge is not None and le is not None and le > ge else None


def strip_optional(annotation: Any) -> tuple[Any, bool]:
    """Return the type a field takes when it is given, and whether it may be left out."""
    if get_origin(annotation) in (typing.Union, types.UnionType):
        inner = [part for part in get_args(annotation) if part is not type(None)]
        return (inner[0] if len(inner) == 1 else annotation), True
    return annotation, False


def _kind(annotation: Any) -> Kind:
    if get_origin(annotation) is Literal:
        return "choice"
    kinds: dict[Any, Kind] = {bool: "bool", int: "int", float: "float", Interval: "interval", Path: "path"}
    return kinds.get(annotation, "text")


def _label(name: str, unit: str) -> str:
    if unit:
        ending = next((suffix for suffix in UNIT_SUFFIXES if name.endswith(suffix)), "")
        name = name.removesuffix(ending)
    words = [WORDS.get(word, word) for word in name.split("_")]
    for limit, adjective in (("min", "smallest"), ("max", "largest")):
        if limit in words:
            words = [adjective, *(word for word in words if word != limit)]
    text = " ".join(words)
    return text[:1].upper() + text[1:]
