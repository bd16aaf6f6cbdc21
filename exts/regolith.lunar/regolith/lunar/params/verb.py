"""Base of the command line's verbs: a group of arguments that can run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from regolith.lunar.params.cameras import CAMERAS
from regolith.lunar.params.errors import InputError
from regolith.lunar.params.fields import Group, PictureSize, as_text, quantity
from regolith.lunar.params.io import change_params, load_params, load_preset
from regolith.lunar.params.models import Params
from regolith.lunar.params.named import NAMED

NAMED_FLAGS = {name.replace("_", "-"): name for name in NAMED}
"""Flag to parameter of those that stand for values of others."""


class Verb(Group):
    """Arguments of one verb; `run` does the work and returns the result as one JSON object."""

    json_file: Path | None = quantity(None, "Also write the result to this file, as one JSON object.", flag="json")
    debug: bool = quantity(False, "Show the traceback of an error.")

    def run(self) -> dict[str, Any]:
        """Do the work; raises `InputError` (exit code 2) or `CheckError` (exit code 1)."""
        raise TypeError(f"{type(self).__name__} has no run")

    def summary(self, result: dict[str, Any]) -> str:
        """Say in a line or a few what the result is; empty for nothing."""
        return ""


class PresetVerb(Verb):
    """A verb that also takes a preset, a parameter file and every parameter as an override."""

    preset: str = quantity("v3", "Preset to start from.")
    params_file: Path | None = quantity(
        None, "Parameter file (.yaml, .yml, .json) to start from instead of a preset.", flag="params"
    )

    start_flags: ClassVar[tuple[str, ...]] = ("preset", "params", *NAMED_FLAGS)
    """Flags that decide what all others start from, and so are read ahead of them."""

    _params: Params | None = None

    @classmethod
    def start(cls, given: Mapping[str, str]) -> tuple[Params, dict[str, str]]:
        """Say what the other flags start from.

        Args:
            given: Of `start_flags` those that were given, with their texts.

        Returns:
            The parameters that `--group.field` flags change, and texts of fields of this verb, for those not given.

        Raises:
            InputError: No such preset or file, or flags that do not go together.
        """
        if {"params", "preset"} <= given.keys():
            raise InputError("preset", given["preset"], "either --preset or --params, not both")
        params = load_params(Path(given["params"])) if "params" in given else load_preset(given.get("preset", "v3"))
        changed = change_params(params, {name: given[flag] for flag, name in NAMED_FLAGS.items() if flag in given})
        return changed, cls._sized(changed)

    @classmethod
    def _sized(cls, params: Params) -> dict[str, str]:
        """Size of a real camera's picture, of a verb that has one: as long as its own."""
        field, camera = cls.model_fields.get("size"), CAMERAS.get(params.camera.model)
        if camera is None or field is None or not isinstance(field.default, PictureSize):
            return {}
        return {"size": as_text(camera.size(max(field.default.width, field.default.height)))}

    @property
    def params(self) -> Params:
        """The parameters after preset, file and overrides."""
        if self._params is None:
            raise RuntimeError("params are set by the command line before run")
        return self._params

    def with_params(self, params: Params) -> Self:
        """Attach the resolved parameters."""
        self._params = params
        return self
