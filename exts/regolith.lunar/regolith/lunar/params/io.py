"""Presets, parameter files and overrides."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from regolith.lunar.params.errors import InputError
from regolith.lunar.params.fields import Group, input_error
from regolith.lunar.params.models import Params

G = TypeVar("G", bound=Group)

_PRESETS = resources.files("regolith.lunar.params") / "presets"


def preset_names() -> tuple[str, ...]:
    """Names of the presets, sorted."""
    return tuple(sorted(p.name.removesuffix(".yaml") for p in _PRESETS.iterdir() if p.name.endswith(".yaml")))


def load_preset(name: str) -> Params:
    """Load a preset.

    Raises:
        InputError: No preset has that name.
    """
    if name not in preset_names():
        raise InputError("preset", name, ", ".join(preset_names()))
    return validate(Params, yaml.safe_load((_PRESETS / f"{name}.yaml").read_text("utf-8")))


def validate(model: type[G], data: Any) -> G:
    """Build a model from plain data with exact types, as read from a file.

    Raises:
        InputError: The first field that does not fit.
    """
    try:
        return model.model_validate(data, strict=True)
    except ValidationError as error:
        raise input_error(model, data, error) from None


def validate_text(model: type[G], data: dict[str, Any]) -> G:
    """Build a model from nested text values, as typed on a command line.

    Raises:
        InputError: The first field that does not fit.
    """
    try:
        return model.model_validate_strings(data)
    except ValidationError as error:
        raise input_error(model, data, error) from None


def load_params(path: Path) -> Params:
    """Read parameters from a `.yaml`, `.yml` or `.json` file.

    Fields left out are those of the preset the file names (v3 where it names none of ours).

    Raises:
        InputError: The file is missing, is not YAML or JSON, or a field does not fit.
    """
    if path.suffix not in (".yaml", ".yml", ".json"):
        raise InputError("params", str(path), "a .yaml, .yml or .json file")
    try:
        text = path.read_text("utf-8")
        data = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise InputError("params", str(path), f"a readable file ({error.strerror})") from None
    except (UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError) as error:
        line = " ".join(str(error).split())
        raise InputError("params", str(path), f"well-formed {path.suffix[1:].upper()} ({line})") from None
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise InputError("params", str(path), "a file of named groups of fields")
    preset = data.get("preset")
    base = load_preset(preset if preset in preset_names() else "v3").model_dump(mode="json")
    for name, value in data.items():
        base[name] = base[name] | value if isinstance(base.get(name), dict) and isinstance(value, dict) else value
    return validate(Params, base)


def writable_folder(field: str, path: Path) -> Path:
    """Make a folder, so that a path nobody can write to is refused before the work that would be lost.

    Raises:
        InputError: It cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(field, str(path), f"a folder that can be written ({error.strerror})") from None
    if not os.access(path, os.W_OK):
        raise InputError(field, str(path), "a folder that can be written")
    return path


def dump_params(params: Params) -> str:
    """Return the parameters as one canonical line of JSON."""
    return json.dumps(params.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def save_params(params: Params, path: Path) -> None:
    """Write parameters as YAML or JSON, by the file's ending; reading them back gives the same values."""
    data = params.model_dump(mode="json")
    if path.suffix == ".json":
        path.write_text(json.dumps(data, indent=2) + "\n", "utf-8")
    elif path.suffix in (".yaml", ".yml"):
        path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), "utf-8")
    else:
        raise InputError("params", str(path), "a .yaml, .yml or .json file")
