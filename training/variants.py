"""Smaller files of an exported model, each written with what it loses and gains against the first.

fp16 stores the weights in half precision and computes as before: a runtime widens them once, when it loads the file.
int8 computes convolutions, linear layers and the decode head on bytes: one scale per output channel for weights,
ranges of activations from the frames of a split.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from regolith.lunar.dataset.formats.source import read_source
from regolith.lunar.files import write_bytes, write_json
from regolith.lunar.params import CheckError
from regolith.lunar.perception.evaluate import EvaluateReal, EvaluateSynth
from regolith.lunar.perception.session import Segmenter
from regolith.lunar.reading import read_json
from regolith.lunar.stage.spec import rng
from training.model_file import file_fields, replaced

if TYPE_CHECKING:
    import onnx

Kind = Literal["fp16", "int8"]

SPEED_MIN = {"fp16": 0.9, "int8": 1.3}
"""Least speed against the first file at which a variant is kept; fp16 exists for its size."""
LOSS_MAX = 0.01
"""Most rock-IoU a variant may lose on the split it is measured on."""
CALIBRATION_FRAMES = 48
"""Frames that set the ranges of int8, evenly spread over the split; twice as many change no range by 5 %."""
HALF_MIN = 256
"""Values a tensor must have to be stored in half precision: the rest is biases and norms, a hundredth of the file."""
SPEED_SIZE_PX = 512
SPEED_RUNS = 9


class Measurement(NamedTuple):
    """What a variant is made and judged with."""

    split: Path
    """Split the loss is measured on."""
    calibrate: Path | None = None
    """Split whose frames set the ranges of int8."""
    images: Path | None = None
    """Folder of photographs the loss is measured on too."""
    masks: Path | None = None
    """Folder of their true classes."""


def variant_path(model: Path, kind: Kind) -> Path:
    """Return the file of a variant: NAME-fp16.onnx beside NAME.onnx."""
    return model.with_name(f"{model.stem}-{kind}.onnx")


def write_variant(model: Path, variant: Literal["fp16", "int8", "best"], data: Measurement) -> list[dict[str, Any]]:
    """Write a variant beside a model; older variants of it, which were made of other weights, go.

    Args:
        model: An exported model with its card.
        variant: `fp16`, `int8`, or `best`: int8 where it is at least `SPEED_MIN` as fast and loses at most
            `LOSS_MAX`, and fp16 where not.
        data: Splits and photographs.

    Returns:
        For each variant that was tried: `kind`, `kept`, `file`, `bytes`, `speed`, `loss` and the figures of both.

    Raises:
        InputError: A split or folder cannot be used.
        CheckError: None of the variants is good enough to keep.
    """
    for kind in ("fp16", "int8"):
        variant_path(model, kind).unlink(missing_ok=True)
        variant_path(model, kind).with_suffix(".json").unlink(missing_ok=True)
    expected = _figures(model, data)
    tried: list[dict[str, Any]] = []
    for kind in _kinds(variant):
        tried.append(_try_variant(model, kind, data, expected))
        if tried[-1]["kept"]:
            break
    card_path = model.with_suffix(".json")
    card = read_json(card_path)
    write_json(card_path, card | {"variants": tried})
    if not any(row["kept"] for row in tried):
        words = "; ".join(f"{r['kind']} {r['speed']:.2f} times as fast, loss {r['loss']:.4f}" for r in tried)
        raise CheckError(f"no variant is worth keeping: {words}", card | {"variants": tried})
    return tried


def _kinds(variant: Literal["fp16", "int8", "best"]) -> tuple[Kind, ...]:
    return ("int8", "fp16") if variant == "best" else (variant,)


def _try_variant(model: Path, kind: Kind, data: Measurement, expected: dict[str, Any]) -> dict[str, Any]:
    """Make a variant, measure it, and keep its file and card where it is good enough."""
    with tempfile.TemporaryDirectory(prefix="regolith-variant-") as folder:
        file = Path(folder) / variant_path(model, kind).name
        if kind == "int8":
            assert data.calibrate is not None
            write_int8(model, file, data.calibrate)
        else:
            write_fp16(model, file)
        card = read_json(model.with_suffix(".json"))
        for key in ("variants", "calibration"):  # measured with the first file; its temperature stays
            card.pop(key, None)
        fields = file_fields(file, file.read_bytes())
        own = card | {"variant": {"kind": kind, "of": card["sha256"]}} | fields
        del own["parity"]  # is of the first file
        write_json(file.with_suffix(".json"), own)
        found = _figures(file, data)
        row: dict[str, Any] = {
            "kind": kind,
            "speed": speed_ratio(model, file),
            "loss": (expected["synth"]["rock_iou"] or 0.0) - (found["synth"]["rock_iou"] or 0.0),
            "measured": {"first": expected, "variant": found},
        }
        row["kept"] = row["speed"] >= SPEED_MIN[kind] and row["loss"] <= LOSS_MAX
        if row["kept"]:
            own["variant"] |= row
            out = variant_path(model, kind)
            write_json(out.with_suffix(".json"), own | replaced(out))
            write_bytes(out, file.read_bytes())
            write_json(out.with_suffix(".json"), own)
        return row | {key: fields[key] for key in ("file", "bytes", "sha256")}


def _figures(model: Path, data: Measurement) -> dict[str, Any]:
    """Return rock figures on the split, and flood and rock figures on the photographs."""
    with tempfile.TemporaryDirectory(prefix="regolith-variant-") as out:
        synth = EvaluateSynth(model=str(model), split=data.split, out=Path(out), worst=0).run()
        figures: dict[str, Any] = {
            "synth": {"split": data.split.name, "frames": synth["frames"]}
            | {f"rock_{key}": synth["rock"][key] for key in ("iou", "precision", "recall")}
            | {"miou": synth["miou"]}
        }
        if data.images is not None:
            real = EvaluateReal(model=str(model), images=data.images, masks=data.masks, out=Path(out)).run()
            figures["real"] = {"photographs": real["photographs"], "flood": real["flood"]}
            rock = real.get("rock", {})
            figures["real"] |= {f"rock_{key}": rock[key] for key in ("iou", "precision", "recall") if key in rock}
    return figures


def speed_ratio(first: Path, second: Path, *, size: int = SPEED_SIZE_PX, runs: int = SPEED_RUNS) -> float:
    """Return how many times as fast the second model is, in CPU time of one thread.

    The models take turns and each turn gives one ratio, so that a machine others work on disturbs both alike.
    """
    sessions = [Segmenter(path, threads=1, cuda=False) for path in (first, second)]
    image = rng(0, "speed", size).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    ratios = []
    for turn in range(runs + 1):
        spent = []
        for session in sessions:
            started = time.process_time()
            session.logits(image)
            spent.append(time.process_time() - started)
        if turn:  # the first one allocates
            ratios.append(spent[0] / spent[1])
    return float(np.median(ratios))


def write_fp16(model: Path, out: Path) -> None:
    """Write a model with its large tensors in half precision, widened by a Cast that a runtime folds at loading."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = (loaded := onnx.load(model)).graph
    casts, largest = [], float(np.finfo(np.float16).max)
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < HALF_MIN or np.abs(values).max() > largest:
            continue
        half = numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}.half")
        graph.initializer.remove(tensor)
        graph.initializer.append(half)
        casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(loaded)
    out.write_bytes(loaded.SerializeToString())


def write_int8(model: Path, out: Path, split: Path) -> None:
    """Write a model that computes on bytes where that is faster.

    Attention's own products stay in float: both their sides change with the picture, and ONNX Runtime is slower on
    them in bytes. So do normalisations, softmax and GELU.

    Args:
        model: The exported model.
        out: File to write.
        split: Split whose frames set the ranges of activations.

    Raises:
        InputError: The split has no frames.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    source = read_source(split)
    last = len(source.records) - 1
    places = np.unique(np.linspace(0, last, min(last + 1, CALIBRATION_FRAMES)).round().astype(int))

    class Frames(CalibrationDataReader):
        def __init__(self) -> None:
            self.places = iter(places.tolist())

        def get_next(self) -> dict[str, np.ndarray] | None:  # type: ignore[override]
            place = next(self.places, None)
            return None if place is None else {"image": source.array("rgb", source.records[place])[None]}

    prepared = out.with_suffix(".prepared.onnx")
    quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    nodes, kinds = _int8_nodes(onnx.load(prepared).graph)
    quantize_static(
        str(prepared),
        str(out),
        Frames(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=sorted(kinds),
        nodes_to_quantize=nodes,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    prepared.unlink()


def _int8_nodes(graph: onnx.GraphProto) -> tuple[list[str], set[str]]:
    """Return the nodes to compute on bytes: those with weights, and the decode head up to its last upsampling."""
    weights = {tensor.name for tensor in graph.initializer}
    producer = {name: node for node in graph.node for name in node.output}
    chosen = {
        node.name: node.op_type
        for node in graph.node
        if node.op_type == "Conv" or (node.op_type == "MatMul" and not weights.isdisjoint(node.input))
    }
    open_nodes = [producer[producer["logits"].input[0]]]
    seen: set[str] = set()
    while open_nodes:
        node = open_nodes.pop()
        if node.name in seen or node.op_type == "LayerNormalization":
            continue
        seen.add(node.name)
        if node.op_type in ("MatMul", "Resize", "Add", "Relu", "Transpose", "Reshape"):
            chosen[node.name] = node.op_type
            open_nodes += [producer[name] for name in node.input if name in producer]
    return list(chosen), set(chosen.values())
