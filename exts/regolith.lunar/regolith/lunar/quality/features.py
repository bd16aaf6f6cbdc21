"""What a frozen encoder sees of each class: one vector for each cell of its feature map that is mostly of the class."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.files import file_digest
from regolith.lunar.jobs.events import Emit
from regolith.lunar.labels import IGNORE, NAMES, ROCK
from regolith.lunar.params import InputError, one_line
from regolith.lunar.perception.model_files import find_model, is_shipped
from regolith.lunar.perception.session import MULTIPLE, padded
from regolith.lunar.perception.trial import try_model
from regolith.lunar.quality.pictures import Labeller, Picture, Pictures
from regolith.lunar.quality.taps import tensors, with_outputs
from regolith.lunar.reading import read_bytes
from regolith.lunar.scratch import scratch_folder

STRIDE = 8
"""Pixels of the picture to a cell of the feature map, where nothing else is asked for."""
STRIDES = (2, 4, 8, 16, 32)
MAJORITY = 0.5
"""Share of a cell's or patch's pixels a class needs to have more than, for the cell or patch to be of it."""
NEAR_CELLS = 2
"""Cells between a cell and one with some rock, at most, for it to be near a rock."""

CELLS_MAX = 48
"""Most cells of a class that are kept of one picture."""
CELLS_TOTAL = 4096
"""Cells of a class that are kept of all pictures, about: of many pictures fewer each, but at least one."""
MODEL_BYTES = 1 << 30
"""Largest model that is read."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What a model that takes floats is taken to expect: RGB of 0 … 1 less the mean, by the deviation."""
_PROBE = (3 * MULTIPLE, 4 * MULTIPLE)
"""Height and width a model is tried at [px]: unlike, so that weights are not taken for a picture's features."""


@dataclasses.dataclass(frozen=True)
class Features:
    """Vectors of n cells of pictures."""

    values: np.ndarray
    """float32 [n, channels]."""
    classes: np.ndarray
    """Class of each, uint8 [n]."""
    pictures: np.ndarray
    """Number of the picture it is in, int32 [n]."""
    groups: np.ndarray
    """Number of the picture's group, as `Picture.group` tells them apart, int32 [n]."""
    near: np.ndarray | None = None
    """Whether a rock is within `NEAR_CELLS`, bool [n]; None where that was not looked at."""

    def of_class(self, value: int) -> Features:
        """Return those of one class."""
        return self.rows(self.classes == value)

    def rows(self, chosen: np.ndarray) -> Features:
        """Return some rows: bool [n], or their numbers."""
        near = None if self.near is None else self.near[chosen]
        return Features(self.values[chosen], self.classes[chosen], self.pictures[chosen], self.groups[chosen], near)

    def __len__(self) -> int:
        return len(self.values)


class Encoder:
    """A tensor inside a model, as features of a picture."""

    def __init__(self, model: Path | str = "default", *, layer: str | int = STRIDE, threads: int | None = None) -> None:
        """Load a model and choose the tensor.

        Args:
            model: `.onnx` file, or the name of a shipped one. Its one input is uint8 [N, H, W, 3] RGB, as of our
                models, or float32 [N, 3, H, W], which gets the picture normalised by ImageNet's mean and deviation.
            layer: Name of a tensor of the graph, float [N, C, H / s, W / s]; or a stride s, for the last tensor of that
                stride up to the end of the coarsest ones, after which a decoder only gets finer: of those that more
                than one node takes, as residuals and what a pyramid branches off from are, and of all without such.
            threads: CPU threads; left out, onnxruntime decides.

        Raises:
            InputError: No such model, or no such tensor in it.
        """
        self.path = find_model(model)
        try:
            data = read_bytes(self.path, MODEL_BYTES)
        except OSError as error:
            raise InputError("model", str(self.path), f"a readable file ({error.strerror})") from None
        try:
            wanted = [tensor for tensor in tensors(data) if isinstance(layer, int) or tensor.name == layer]
            tapped = with_outputs(data, [tensor.name for tensor in wanted])
        except ValueError as error:
            raise InputError("model", str(self.path), f"an ONNX file ({error})") from None
        self._threads = threads
        if not wanted:
            raise InputError(
                "layer", layer, f"a stride ({', '.join(map(str, STRIDES))}) or a tensor of {self.path.name}"
            )
        self._try(tapped)
        shapes = self._probe(tapped, [tensor.name for tensor in wanted])
        if isinstance(layer, int):
            strides = [shapes.get(tensor.name, 0) for tensor in wanted]
            end = max((i for i, stride in enumerate(strides) if stride == max(strides)), default=-1)
            ahead = [t for t, stride in zip(wanted[: end + 1], strides, strict=False) if stride == layer]
            shared = [t for t in ahead if t.consumers > 1] or ahead
            if not shared:
                raise InputError("layer", layer, f"a stride {self.path.name} has features at; or name a tensor of it")
            layer = shared[-1].name
        if layer not in shapes:
            raise InputError("layer", layer, "a tensor of floats [N, C, H / s, W / s]")
        self.layer: str = layer
        self.stride: int = shapes[layer]
        self._session = self._load(with_outputs(data, [layer]))

    def _try(self, tapped: bytes) -> None:
        """Try a stranger's model, with all that may be asked of it as outputs, where it can do no harm."""
        if is_shipped(self.path):
            return
        with scratch_folder() as folder:
            path = folder / "tapped.onnx"
            path.write_bytes(tapped)
            try:
                try_model(path)
            except InputError as error:
                raise InputError("model", str(self.path), error.allowed) from None

    def _load(self, data: bytes) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        if self._threads:
            options.intra_op_num_threads = self._threads
        try:
            session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            line = one_line(str(error), 100)
            raise InputError("model", str(self.path), f"a model onnxruntime loads ({line})") from None
        inputs = session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in ("tensor(uint8)", "tensor(float)"):
            found = ", ".join(f"{i.type} {i.shape}" for i in inputs)
            allowed = "a model of one input, uint8 [N, H, W, 3] or float32 [N, 3, H, W]"
            raise InputError("model", str(self.path), f"{allowed}, not {found}")
        return session

    def _probe(self, tapped: bytes, names: list[str]) -> dict[str, int]:
        """Return the strides of those tensors that are features of a picture."""
        session = self._load(tapped)
        found = self._run(session, np.zeros((*_PROBE, 3), np.uint8), names)
        strides: dict[str, int] = {}
        for name, value in zip(names, found, strict=True):
            if not isinstance(value, np.ndarray) or value.ndim != 4 or value.shape[0] != 1 or value.dtype.kind != "f":
                continue
            stride = _PROBE[0] // value.shape[2] if value.shape[2] else 0
            if stride and (value.shape[2] * stride, value.shape[3] * stride) == _PROBE:
                strides[name] = stride
        return strides

    def _run(self, session: Any, rgb: np.ndarray, names: list[str]) -> list[Any]:
        given = session.get_inputs()[0]
        image = np.ascontiguousarray(rgb[None])
        if given.type == "tensor(float)":
            scaled = (image.astype(np.float32) / 255 - np.array(IMAGENET_MEAN, np.float32)) / np.array(
                IMAGENET_STD, np.float32
            )
            image = np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
        try:
            return session.run(names, {given.name: image})
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            line = one_line(str(error), 100)
            raise InputError(
                "model", str(self.path), f"a model that takes a picture of 32 px multiples ({line})"
            ) from None

    def maps(self, rgb: np.ndarray) -> np.ndarray:
        """Return the features of a picture, float32 [channels, ceil(H / stride), ceil(W / stride)].

        Args:
            rgb: Picture, uint8 [H, W, 3]; its edge pixels fill up to multiples of 32, whose features are left out.
        """
        height, width = rgb.shape[:2]
        (found,) = self._run(self._session, padded(rgb), [self.layer])
        return np.asarray(found[0, :, : -(-height // self.stride), : -(-width // self.stride)], np.float32)

    def words(self) -> dict[str, Any]:
        """Which features they are, for a result: {file, sha256, layer, stride}."""
        digest = file_digest(self.path)
        return {"file": self.path.name, "sha256": digest, "layer": self.layer, "stride": self.stride}


def cell_classes(classes: np.ndarray, stride: int) -> np.ndarray:
    """Return the class more than half of each cell's pixels have, `IGNORE` where none has.

    Args:
        classes: uint8 [H, W].
        stride: Side of a cell [px]; cells the picture's edge cuts count by the pixels they have.

    Returns:
        uint8 [ceil(H / stride), ceil(W / stride)].
    """
    height, width = classes.shape
    rows, columns = -(-height // stride), -(-width // stride)
    filled = np.full((rows * stride, columns * stride), IGNORE + 1, np.uint16)
    filled[:height, :width] = classes
    cells = filled.reshape(rows, stride, columns, stride)
    pixels = (cells <= IGNORE).sum(axis=(1, 3))
    found = np.full((rows, columns), IGNORE, np.uint8)
    for value in range(len(NAMES)):
        found[(cells == value).sum(axis=(1, 3)) > MAJORITY * pixels] = value
    return found


def near_rock(classes: np.ndarray, stride: int) -> np.ndarray:
    """Whether a cell is within `NEAR_CELLS` of one that has a pixel of rock.

    Args:
        classes: uint8 [H, W].
        stride: Side of a cell [px].

    Returns:
        bool [ceil(H / stride), ceil(W / stride)].
    """
    from scipy.ndimage import binary_dilation

    height, width = classes.shape
    filled = np.pad(classes == ROCK, [(0, -height % stride), (0, -width % stride)])
    cells = filled.reshape(filled.shape[0] // stride, stride, -1, stride)
    return binary_dilation(cells.any(axis=(1, 3)), iterations=NEAR_CELLS)


def collect_features(
    pictures: Pictures,
    encoder: Encoder,
    px: int,
    *,
    labeller: Labeller | None = None,
    seed: int = 0,
    also: Callable[[Picture], object] = lambda picture: None,
    emit: Emit = lambda event: None,
) -> Features:
    """Return the features of every class in a set of pictures.

    Args:
        pictures: The set.
        encoder: What sees them.
        px: Long side they are brought to [px].
        labeller: What the classes are taken from instead of labels, as of `Pictures.read`.
        seed: Seed of the draw, without replacement, of the cells of a picture that are kept where it has more than
            `CELLS_MAX`, or than its part of `CELLS_TOTAL`.
        also: Called with each picture, at its working size.
        emit: Receives `progress` events, dictionaries.
    """
    values: list[np.ndarray] = []
    rows: list[tuple[int, int, int]] = []
    near: list[np.ndarray] = []
    groups: dict[str, int] = {}
    most = min(CELLS_MAX, max(1, CELLS_TOTAL // len(pictures)))
    for number, picture in enumerate(pictures.read(px, labeller)):
        maps = encoder.maps(picture.rgb)
        also(picture)
        cells = cell_classes(picture.classes, encoder.stride).ravel()
        beside = near_rock(picture.classes, encoder.stride).ravel()
        flat = maps.reshape(len(maps), -1).T
        group = groups.setdefault(picture.group, len(groups))
        for value in range(len(NAMES)):
            places = np.flatnonzero(cells == value)
            if len(places) > most:
                random = np.random.default_rng((seed, number, value))
                places = np.sort(random.choice(places, most, replace=False))
            values.append(flat[places])
            near.append(beside[places])
            rows += [(value, number, group)] * len(places)
        emit({"event": "progress", "done": number + 1, "total": len(pictures)})
    table = np.array(rows, np.int32).reshape(-1, 3)
    stacked = np.concatenate(values).astype(np.float32)
    return Features(stacked, table[:, 0].astype(np.uint8), table[:, 1], table[:, 2], np.concatenate(near))
