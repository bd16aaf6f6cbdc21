"""Export a checkpoint to ONNX: pixels in, logits at pixel resolution out, and a card beside it that says what it is.

regolith export-model RUN/best.pt --out models/NAME.onnx
regolith export-model RUN/best.pt --out models/default.onnx --variant best --calibrate DATA/val --measure DATA/TEST
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from regolith.lunar.files import AnyPath, file_digest, follow_link, replacing, write_json
from regolith.lunar.labels import CLASSES
from regolith.lunar.params import CheckError, InputError, Verb, quantity, sole_file
from regolith.lunar.params.fields import cross_field
from regolith.lunar.params.training import ARCHITECTURE_NAMES, portable_name, split_folders
from regolith.lunar.perception.views import SIZE_PX, Views
from regolith.lunar.reading import read_json
from training.model_file import file_fields, replaced

if TYPE_CHECKING:
    import onnx

    from training.networks.base import SegmentationNetwork

OPSET = 20
"""First opset with `Gelu`, which runtimes compute in one pass."""
CARD_VERSION = 1
MULTIPLE = 32
"""Height and width of a picture must be multiples of the encoder's largest stride."""
LOGIT_TOLERANCE = 1e-3
"""Largest difference to PyTorch a file may have."""
ARGMAX_SHARE = 0.999
"""Smallest share of pixels that must have PyTorch's class."""


class ExportModel(Verb):
    """Export a trained checkpoint to ONNX with a JSON card beside it."""

    checkpoint: Path = quantity(..., "best.pt or last.pt of a training run.", positional=True)
    out: Path = quantity(Path("models/model.onnx"), "File to write; the card is NAME.json beside it.")
    photo_px: int = quantity(
        SIZE_PX,
        "Long side photographs are brought to where nothing else is asked for, written into the card.",
        unit="px",
        ge=64,
        le=8192,
        step=32,
    )
    photo_tta: Views = quantity(
        "none", "Views of a photograph that are averaged where nothing else is asked for, written into the card."
    )
    variant: Literal["none", "fp16", "int8", "best"] = quantity(
        "none",
        "Second, smaller file NAME-fp16.onnx or NAME-int8.onnx, measured against the first; best is int8 where that is "
        "fast and accurate enough to ship, and fp16 where it is not.",
    )
    calibrate: Path | None = quantity(None, "Split whose frames set the ranges of int8.")
    temperature_split: Path | None = quantity(
        None, "Split the temperature of the model's probabilities is fitted on, which the card then names."
    )
    measure: Path | None = quantity(
        None, "Split on which the variant's loss, and the calibration error before and after, are measured."
    )
    images: Path | None = quantity(None, "Folder of photographs on which the loss is measured too.")
    masks: Path | None = quantity(None, "Folder of true classes of these photographs.")

    @model_validator(mode="after")
    def _needs(self) -> ExportModel:
        if self.variant != "none" and self.measure is None:
            raise cross_field("measure", self.measure, "a split: a variant is written with its measured loss")
        if self.variant in ("int8", "best") and self.calibrate is None:
            raise cross_field("calibrate", self.calibrate, "a split: int8 needs frames to set its ranges by")
        if self.temperature_split is not None and self.measure in (None, self.temperature_split):
            raise cross_field(
                "measure", self.measure and str(self.measure), "another split than the temperature is fitted on"
            )
        if self.masks is not None and self.images is None:
            raise cross_field("masks", str(self.masks), "masks together with their images")
        return self

    def run(self) -> dict[str, Any]:
        """Export, check against PyTorch, write the variant where one is asked for, and return the card.

        Raises:
            CheckError: The graph differs from PyTorch, or the variant asked for is too slow or loses too much.
        """
        with _sole_model(self.out):
            return self._export()

    def _export(self) -> dict[str, Any]:
        card = _export(self.checkpoint, self.out, photo_px=self.photo_px, photo_tta=self.photo_tta)
        if self.temperature_split is not None and self.measure is not None:
            from training.calibrate import calibrate

            card |= calibrate(self.out, self.temperature_split, self.measure)
            write_json(self.out.with_suffix(".json"), card)
        if self.variant == "none":
            return card
        from training.variants import Measurement, write_variant

        assert self.measure is not None
        data = Measurement(self.measure, self.calibrate, self.images, self.masks)
        return card | {"variants": write_variant(self.out, self.variant, data)}

    def summary(self, result: dict[str, Any]) -> str:
        """Name the files, how near the first is to PyTorch and what the second loses and gains."""
        difference = result["parity"]["logits_max_difference"]
        lines = [
            f"{self.out}: {result['bytes'] / 1e6:.2f} MB, epoch {result['epoch']}, "
            f"logits within {difference:.1e} of PyTorch"
        ]
        if "temperature" in result:
            error = result["calibration"]["measured_on"]
            lines.append(
                f"temperature {result['temperature']:.3f}: expected calibration error on {error['split']} "
                f"{error['ece_before']:.4f} before, {error['ece_after']:.4f} after"
            )
        for variant in result.get("variants", []):
            lines.append(
                f"{variant['file']}: {variant['bytes'] / 1e6:.2f} MB, {variant['speed']:.2f} times as fast, "
                f"rock-IoU lower by {variant['loss']:.4f}" + ("" if variant["kept"] else "; left out")
            )
        return "\n".join(lines)


def export_model(
    checkpoint: AnyPath, out: AnyPath, *, photo_px: int = SIZE_PX, photo_tta: Views = "none"
) -> dict[str, Any]:
    """Export a checkpoint of a training to ONNX.

    The graph takes `image` uint8 [N, H, W, 3] RGB and returns `logits` float32 [N, 3, H, W], N, H and W free, H and W
    multiples of 32. The file is compared with PyTorch before it takes its name.

    Args:
        checkpoint: best.pt or last.pt of a training run; summary.json beside it goes into the card.
        out: File to write, ending in `.onnx`.
        photo_px: Long side photographs are to be brought to [px].
        photo_tta: Views of a photograph that are to be averaged.

    Returns:
        The card, as written to NAME.json.

    Raises:
        InputError: No checkpoint, or `out` does not end in `.onnx`.
        CheckError: The exported graph does not compute what PyTorch computes.
    """
    with _sole_model(Path(out)) as path:
        return _export(Path(checkpoint), path, photo_px=photo_px, photo_tta=photo_tta)


@contextlib.contextmanager
def _sole_model(out: Path) -> Iterator[Path]:
    """Hold a model's file, beside which its card lies, for one run."""
    if out.suffix != ".onnx":
        raise InputError("out", str(out), "a file name ending in .onnx")
    with sole_file("out", out):
        yield follow_link(out)  # the card and the variants lie beside the file itself


def _export(checkpoint: Path, out: Path, *, photo_px: int, photo_tta: Views) -> dict[str, Any]:
    from training.checkpoint import read_checkpoint
    from training.networks import load_network

    state = read_checkpoint(checkpoint)
    model = load_network(state)
    usage = {"photo_px": photo_px, "photo_tta": photo_tta}
    with replacing(out) as scratch:
        write_graph(model, scratch)
        parity = compare(model, scratch)
        card = _card(checkpoint, state, parity) | usage | file_fields(out, scratch.read_bytes())
        write_json(out.with_suffix(".json"), card | replaced(out))
    write_json(out.with_suffix(".json"), card)
    return card


def write_graph(model: SegmentationNetwork, path: Path) -> None:
    """Trace the network and fold what is constant.

    PyTorch's tracing exporter is asked for: `torch.export`, its successor, takes ten times as long over free sizes, for
    a graph that computes the same bits in the same time. What tracing could get wrong, a size taken for a constant,
    `compare` sees.

    Args:
        model: The network; its `inference_graph` takes pixels.
        path: File to write.
    """
    import onnx
    import onnx_ir
    import torch
    from onnxscript import optimizer, rewriter

    sizes = {0: "batch", 1: "height", 2: "width"}
    with quiet():
        torch.onnx.export(
            model.inference_graph().eval(),
            (torch.zeros(2, 96, 128, 3, dtype=torch.uint8),),
            str(path),
            dynamo=False,
            input_names=["image"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamic_axes={"image": sizes, "logits": {0: "batch", 2: "height", 3: "width"}},
        )
        graph = onnx_ir.from_proto(onnx.load(path))
        optimizer.fold_constants(graph, should_fold=lambda node: node.op_type == "ConstantOfShape" or None)  # paddings
        optimizer.optimize(graph)
        proto = onnx_ir.to_proto(rewriter.rewrite(graph))
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = len(CLASSES)
    _slim(proto)
    path.write_bytes(proto.SerializeToString())


def _slim(model: onnx.ModelProto) -> None:
    """Drop what no runtime reads: the exporter's trace of each node and the shapes it inferred, a megabyte together."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    for tensor in [*model.graph.initializer, *model.graph.input, *model.graph.output]:
        tensor.doc_string = ""
        del tensor.metadata_props[:]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporter's progress chatter off stdout, which may carry events."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def compare(
    model: SegmentationNetwork,
    path: Path,
    shapes: tuple[tuple[int, int, int], ...] = ((1, 64, 64), (3, 32, 96), (2, 160, 128)),
) -> dict[str, float]:
    """Compare an exported graph with PyTorch on noise.

    Args:
        model: The network in evaluation mode.
        path: The exported file.
        shapes: Batch, height and width of each comparison.

    Returns:
        `logits_max_difference` and `argmax_equal`, the smallest share of pixels with the same class.

    Raises:
        CheckError: They differ by more than `LOGIT_TOLERANCE`, or in more than 0.1 % of the classes.
    """
    import numpy as np
    import onnxruntime
    import torch

    from regolith.lunar.stage.spec import rng

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    difference, equal = 0.0, 1.0
    for shape in shapes:
        coarse = rng(0, "parity", *shape).integers(0, 256, (shape[0], shape[1] // 8, shape[2] // 8, 3), dtype=np.uint8)
        image = coarse.repeat(8, axis=1).repeat(8, axis=2)  # blocks of 8 px: edges at every scale the network sees
        with torch.no_grad():
            expected = model(torch.from_numpy(image)).numpy()
        got = np.asarray(session.run(["logits"], {"image": image})[0])
        if got.shape != expected.shape:
            raise CheckError(f"exported logits have shape {got.shape}, not {expected.shape}")
        difference = max(difference, float(np.abs(got - expected).max()))
        equal = min(equal, float((got.argmax(1) == expected.argmax(1)).mean()))
    if not difference <= LOGIT_TOLERANCE or equal < ARGMAX_SHARE:
        raise CheckError(f"exported graph differs from PyTorch: logits by {difference:.2g}, {equal:.3%} equal classes")
    return {"logits_max_difference": difference, "argmax_equal": equal}


def _card(checkpoint: Path, state: dict[str, Any], parity: dict[str, float]) -> dict[str, Any]:
    """Say what the model is, what it takes and gives, and what it was trained on."""
    summary: dict[str, Any] | None = None
    with contextlib.suppress(OSError, ValueError):
        summary = read_json(checkpoint.parent / "summary.json")
        for split in (summary or {}).get("splits", {}).values():
            split["path"] = ",".join(portable_name(folder) for folder in split_folders(Path(split["path"])))
    return {
        "version": CARD_VERSION,
        "architecture": ARCHITECTURE_NAMES[state["network"]["arch"]],
        "start": state["network"]["start"],
        "classes": state["classes"],
        "input": {"name": "image", "dtype": "uint8", "shape": ["N", "H", "W", 3], "color": "RGB", "multiple": MULTIPLE},
        "output": {"name": "logits", "dtype": "float32", "shape": ["N", len(CLASSES), "H", "W"]},
        "opset": OPSET,
        "checkpoint_sha256": file_digest(checkpoint),
        "epoch": state["epoch"],
        "metrics": state.get("metrics"),
        "fingerprints": state["fingerprints"],
        "recipe": state["recipe"],
        "origin": state.get("origin"),
        "training": summary,
        "parity": parity,
    }
