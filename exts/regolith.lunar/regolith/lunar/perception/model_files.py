"""Where models lie, shipped ones by name, and the card beside each."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

from regolith.lunar.files import file_digest
from regolith.lunar.labels import CLASSES
from regolith.lunar.params import InputError
from regolith.lunar.perception.calibration import TEMPERATURE_MAX, TEMPERATURE_MIN
from regolith.lunar.perception.views import PHOTO_MAX_PX, PHOTO_MIN_PX, SIZE_PX, check_views
from regolith.lunar.reading import read_json
from regolith.lunar.system import join_command

MODEL_HELP = "Model to score: an .onnx file, or a shipped one by name, `default` or a variant such as `default-fp16`."
SEPARATE = ("segformer-b0", "segformer-b0-fp16")
"""Shipped models that a distribution of their own holds, `regolith-lunar-models`: one wheel would be too large."""


def find_model(model: Path | str) -> Path:
    """Return the file of a model: a name of a shipped one (`default`, `default-fp16`, …), or a path.

    Raises:
        InputError: There is no such file.
    """
    shipped = shipped_models()
    if str(model) in shipped:
        return shipped[str(model)]
    path = Path(model)
    with contextlib.suppress(OSError):  # no name of this file system
        if path.is_file():
            return path
    if str(model) in SEPARATE:
        command = join_command([sys.executable, "-m", "pip", "install"])
        allowed = f"{', '.join(shipped)}; the wheel regolith-lunar-models holds this one: {command} WHEEL"
        raise InputError("model", str(model), allowed)
    if not shipped and str(model) == "default":
        raise InputError("model", "default", "an .onnx file: this installation ships no model; train and export one")
    names = ", ".join([*shipped, ""])
    raise InputError("model", str(model), f"{names}or an .onnx file written by `regolith export-model`")


def shipped_models() -> dict[str, Path]:
    """Return the models that come with this installation by name, `default` first."""
    found: dict[str, Path] = {}
    for folder in model_folders():
        for path in sorted(folder.glob("*.onnx")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items(), key=lambda item: (item[0] != "default", item[0])))


def model_folders() -> tuple[Path, ...]:
    """Return where models may lie that come with an installation: of a wheel, of a Kit extension, of a checkout."""
    package, extension = Path(__file__).parents[1], Path(__file__).parents[3]  # exts/regolith.lunar
    return package / "models", extension / "data" / "models", extension.parents[1] / "models"


def is_shipped(model: Path) -> bool:
    """Whether a file is one of the models that come along; others are tried before they are opened (`trial`)."""
    return model in shipped_models().values()


def read_card(model: Path) -> dict[str, Any]:
    """Read and check the card beside a model.

    A card is written before its model's file; while the file is still the one before it, the card that one had, which
    the new card holds as `replaces`, is meant.

    Raises:
        InputError: It is missing, of another file, of other classes, or of a variant of other weights than the model
            beside it.
    """
    path = model.with_suffix(".json")
    try:
        card = read_json(path)
    except OSError:
        raise InputError("model", str(model), f"a model with its card {path.name} beside it") from None
    except ValueError:
        raise InputError("model", str(path), "a card of well-formed JSON") from None
    digest = file_digest(model)
    if isinstance(card, dict) and isinstance(before := card.get("replaces"), dict) and before.get("sha256") == digest:
        card = before
    if not isinstance(card, dict) or card.get("classes") != CLASSES:
        found = card.get("classes") if isinstance(card, dict) else card
        raise InputError(f"{path.name}: classes", found or "nothing", str(CLASSES))
    if card.get("sha256") != digest:
        raise InputError("model", str(model), f"the file its card {path.name} describes: the sha256 differs")
    size, views = card.get("photo_px", SIZE_PX), card.get("photo_tta", "none")
    if type(size) is not int or not PHOTO_MIN_PX <= size <= PHOTO_MAX_PX:
        raise InputError(f"{path.name}: photo_px", size, f"{PHOTO_MIN_PX} … {PHOTO_MAX_PX}")
    check_views(f"{path.name}: photo_tta", views)
    temperature = card.get("temperature", 1.0)
    if type(temperature) not in (int, float) or not TEMPERATURE_MIN <= temperature <= TEMPERATURE_MAX:
        raise InputError(f"{path.name}: temperature", temperature, f"{TEMPERATURE_MIN:g} … {TEMPERATURE_MAX:g}")
    _check_variant(model, card)
    return card


def _check_variant(model: Path, card: dict[str, Any]) -> None:
    """Refuse NAME-fp16 that was made of another NAME than the one beside it: whoever compares them would be misled."""
    variant = card.get("variant")
    if not isinstance(variant, dict):
        return
    first = model.with_name(f"{model.stem.removesuffix('-' + str(variant.get('kind')))}.json")
    try:
        expected = read_json(first)["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # it stands alone
    if first.stem != model.stem and variant.get("of") != expected:
        raise InputError("model", str(model), f"a variant of {first.stem}.onnx beside it; this one has other weights")
