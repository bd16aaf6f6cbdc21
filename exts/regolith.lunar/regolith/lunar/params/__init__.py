"""Parameters: models, presets, files and validation messages."""

from regolith.lunar.params.capture import CameraParams, Domain, LightParams, RandomizeParams, SensorParams
from regolith.lunar.params.dynamics import DynamicsParams
from regolith.lunar.params.errors import CheckError, InputError, one_line
from regolith.lunar.params.fields import (
    Group,
    Interval,
    PictureSize,
    Site,
    as_text,
    describe_allowed,
    drawn,
    field_extra,
    is_group,
    quantity,
)
from regolith.lunar.params.io import (
    change_params,
    check_values,
    dump_params,
    load_params,
    load_preset,
    preset_names,
    save_params,
    validate,
    validate_text,
)
from regolith.lunar.params.models import DatasetParams, Params, RenderParams, intervals
from regolith.lunar.params.outputs import sole_file, sole_folder, writable_folder
from regolith.lunar.params.rover import CameraView, RoverParams
from regolith.lunar.params.scene import CraterParams, GroundParams, ReliefParams, RockParams, TerrainParams
from regolith.lunar.params.utc import UtcSpan
from regolith.lunar.params.verb import PresetVerb, Verb

__all__ = [
    "CameraParams",
    "CameraView",
    "CheckError",
    "CraterParams",
    "DatasetParams",
    "Domain",
    "DynamicsParams",
    "GroundParams",
    "Group",
    "InputError",
    "Interval",
    "LightParams",
    "Params",
    "PictureSize",
    "PresetVerb",
    "RandomizeParams",
    "ReliefParams",
    "RenderParams",
    "RockParams",
    "RoverParams",
    "SensorParams",
    "Site",
    "TerrainParams",
    "UtcSpan",
    "Verb",
    "as_text",
    "change_params",
    "check_values",
    "describe_allowed",
    "drawn",
    "dump_params",
    "field_extra",
    "intervals",
    "is_group",
    "load_params",
    "load_preset",
    "one_line",
    "preset_names",
    "quantity",
    "save_params",
    "sole_file",
    "sole_folder",
    "validate",
    "validate_text",
    "writable_folder",
]
