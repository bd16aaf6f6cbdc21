"""Parameters: models, presets, files and validation messages."""

from regolith.lunar.params.errors import CheckError, InputError
from regolith.lunar.params.fields import Group, Interval, describe_allowed, field_extra, is_group, quantity
from regolith.lunar.params.io import (
    dump_params,
    load_params,
    load_preset,
    preset_names,
    save_params,
    validate,
    validate_text,
    writable_folder,
)
from regolith.lunar.params.models import (
    CameraParams,
    CraterParams,
    DatasetParams,
    Domain,
    GroundParams,
    LightParams,
    Params,
    ReliefParams,
    RenderParams,
    RockParams,
    SensorParams,
    TerrainParams,
)
from regolith.lunar.params.verb import PresetVerb, Verb

__all__ = [
    "CameraParams",
    "CheckError",
    "CraterParams",
    "DatasetParams",
    "Domain",
    "GroundParams",
    "Group",
    "InputError",
    "Interval",
    "LightParams",
    "Params",
    "PresetVerb",
    "ReliefParams",
    "RenderParams",
    "RockParams",
    "SensorParams",
    "TerrainParams",
    "Verb",
    "describe_allowed",
    "dump_params",
    "field_extra",
    "is_group",
    "load_params",
    "load_preset",
    "preset_names",
    "quantity",
    "save_params",
    "validate",
    "validate_text",
    "writable_folder",
]
