"""Presets, parameter files and overrides."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError, create_model

from regolith.lunar.files import AnyPath, write_bytes, write_json
from regolith.lunar.params.errors import InputError
from regolith.lunar.params.fields import Group, as_text, input_error
from regolith.lunar.params.models import Params
from regolith.lunar.params.named import NAMED, named_values
from regolith.lunar.reading import parse_json, parse_yaml, read_text

G = TypeVar("G", bound=Group)

_PRESETS = resources.files("regolith.lunar.params") / "presets"


def preset_names() -> tuple[str, ...]:
    """Names of the presets, sorted."""
    return tuple(sorted(p.name.removesuffix(".yaml") for p in _PRESETS.iterdir() if p.name.endswith(".yaml")))


def load_preset(name: str) -> Params:
    """Load a preset: what its file does not name is that of the preset it names as `base`, or else of v3.

    Args:
        name: `v1`, `v2`, `v3`, `v4`, `v5`, `wide` or `boulders`.

    Raises:
        InputError: No preset has that name.
    """
    if name not in preset_names():
        raise InputError("preset", name, ", ".join(preset_names()))
    data = parse_yaml((_PRESETS / f"{name}.yaml").read_text("utf-8"))
    base = data.pop("base", None)
    return validate(Params, data if base is None else _over(load_preset(base), data))


def _over(base: Params, data: dict[str, Any]) -> dict[str, Any]:
    """Plain values of a base, with those of `data` over them."""
    merged = base.model_dump(mode="json")
    given = {
        f"{name}.{key}": value
        for name, group in data.items()
        if isinstance(group, dict)
        for key, value in group.items()
    }
    for name, value in named_values(given, _names(base)).items():
        group, key = name.split(".")
        merged[group][key] = TypeAdapter(type(value)).dump_python(value)
    for name, value in data.items():
        merged[name] = merged[name] | value if isinstance(merged.get(name), dict) and isinstance(value, dict) else value
    return merged


def _names(params: Params) -> dict[str, Any]:
    """What the parameters that stand for others are."""
    return {name: getattr(getattr(params, name.split(".")[0]), name.split(".")[1]) for name in NAMED}


def validate(model: type[G], data: Any, *, stored: bool = False) -> G:
    """Build a model from plain data with exact types, as read from a file.

    Args:
        model: Model to build.
        data: Its values, nested as its groups are.
        stored: Whether they tell how a dataset was drawn, maybe by a plug-in that is not installed here.

    Raises:
        InputError: The first field that does not fit.
    """
    try:
        return model.model_validate(data, strict=True, context={"stored": stored})
    except ValidationError as error:
        raise input_error(model, data, error) from None


def check_values(model: type[Group], **values: Any) -> None:
    """Hold arguments of a function to the fields of the same names, exact types included; other fields may be missing.

    Args:
        model: Model that has these fields: parameters of the verb that does what the function does.
        values: Value by field.

    Raises:
        InputError: The first value that does not fit.
    """
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in model.model_fields.items()}
    validate(create_model(model.__name__, __base__=Group, **{name: fields[name] for name in values}), values)


def validate_text(model: type[G], data: dict[str, Any]) -> G:
    """Build a model from nested text values, as typed on a command line.

    Raises:
        InputError: The first field that does not fit.
    """
    try:
        return model.model_validate_strings(data)
    except ValidationError as error:
        raise input_error(model, data, error) from None


def read_plain(field: str, path: Path) -> Any:
    """Read plain values from a `.yaml`, `.yml` or `.json` file.

    Args:
        field: Parameter that names the file.
        path: The file.

    Raises:
        InputError: The file is missing, or is not YAML or JSON.
    """
    if path.suffix not in (".yaml", ".yml", ".json"):
        raise InputError(field, str(path), "a .yaml, .yml or .json file")
    try:
        text = read_text(path)
        return parse_json(text) if path.suffix == ".json" else parse_yaml(text)
    except OSError as error:
        raise InputError(field, str(path), f"a readable file ({error.strerror})") from None
    except ValueError as error:
        raise InputError(field, str(path), f"well-formed {path.suffix[1:].upper()} ({error})") from None


def load_params(path: AnyPath) -> Params:
    """Read parameters from a `.yaml`, `.yml` or `.json` file.

    Fields left out are those of the preset the file names (v3 where it names none of ours).

    Args:
        path: File, as `save_params` writes it or with fewer fields.

    Raises:
        InputError: The file is missing, is not YAML or JSON, or a field does not fit.
    """
    data = read_plain("params", Path(path))
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise InputError("params", str(path), "a file of named groups of fields")
    preset = data.get("preset")
    return validate(Params, _over(load_preset(preset if preset in preset_names() else "v3"), data))


def change_params(params: Params, changes: Mapping[str, Any], *, named: bool = True) -> Params:
    """Return parameters with some values changed, checked as the command line checks `--rocks.abundance 0.08`.

    Args:
        params: Parameters to start from; they stay as they are.
        changes: Dotted name to value: `{"rocks.abundance": 0.08, "domain.sun_elevation_deg": (5, 20)}`. A range takes
            an `Interval`, a pair (lo, hi) or one number; texts are read as the command line reads them.
        named: Whether `ground.place`, `ground.hapke_map` and `camera.model` bring values of other parameters along,
            of each that is not among the changes.

    Raises:
        InputError: There is no such parameter, or a value does not fit; the first one, with what is allowed.
    """
    texts = _texts(params)
    brought = named_values(changes, _names(params)) if named else {}
    for name, value in {**brought, **changes}.items():
        *groups, field = name.split(".")
        place = texts
        for group in groups:
            inner = place.setdefault(group, {})
            if not isinstance(inner, dict):
                raise InputError(name, as_text(value), f"no such parameter; {group} is one")
            place = inner
        place[field] = as_text(value)
    return validate_text(Params, texts)


def _texts(group: Group) -> dict[str, Any]:
    """Every value of a group as it is typed on the command line, nested as the groups are."""
    values = {name: getattr(group, name) for name in type(group).model_fields}
    return {name: _texts(value) if isinstance(value, Group) else as_text(value) for name, value in values.items()}


def dump_params(params: Params) -> str:
    """Return the parameters as one canonical line of JSON."""
    return json.dumps(params.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def save_params(params: Params, path: AnyPath) -> None:
    """Write parameters as YAML or JSON, by the file's ending, whole or not at all; reading them back gives the same.

    Args:
        params: Parameters.
        path: File to write, ending in `.yaml`, `.yml` or `.json`.

    Raises:
        InputError: Another ending.
        OSError: The file cannot be written.
    """
    write_plain("params", Path(path), params.model_dump(mode="json"))


def write_plain(field: str, path: Path, data: Any, *, rows: bool = False) -> None:
    """Write plain values as `read_plain` reads them, whole or not at all.

    Args:
        field: Parameter that names the file.
        path: File to write, ending in `.yaml`, `.yml` or `.json`.
        data: The values.
        rows: Whether in YAML each group that holds no other stands in a line.

    Raises:
        InputError: Another ending.
        OSError: The file cannot be written.
    """
    if path.suffix == ".json":
        write_json(path, data)
    elif path.suffix in (".yaml", ".yml"):
        layout: dict[str, Any] = {"default_flow_style": None, "width": math.inf} if rows else {}
        write_bytes(path, yaml.safe_dump(data, sort_keys=False, allow_unicode=True, **layout).encode())
    else:
        raise InputError(field, str(path), "a .yaml, .yml or .json file")
