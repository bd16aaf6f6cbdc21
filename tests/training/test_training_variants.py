"""The exported graph is the network, and a variant is kept only with what it was measured to lose and gain."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from pydantic import ValidationError
from toy_split import draw_frame

from regolith.lunar.params import CheckError, InputError
from regolith.lunar.perception.model_files import read_card
from regolith.lunar.perception.session import Segmenter
from training import variants
from training.export import ExportModel, export_model
from training.networks.segformer import fresh_segformer
from training.variants import Measurement, speed_ratio, write_int8, write_variant


@pytest.fixture
def model(exported: SimpleNamespace, tmp_path: Path) -> Path:
    for path in (exported.out, exported.out.with_suffix(".json")):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path / exported.out.name


def test_inference_graph_equals_the_network() -> None:
    """Folding and moving the layers changes no value beyond rounding, whatever weights and statistics they have."""
    torch.manual_seed(0)
    network = fresh_segformer().eval()
    for tensor in [*network.parameters(), *(b for n, b in network.named_buffers() if "running" in n)]:
        tensor.data += 0.05 * torch.rand_like(tensor)
    image = torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = network(image)
        assert torch.allclose(network.inference_graph()(image), expected, atol=1e-4 * float(expected.abs().max()))


def test_file_is_slim(exported: SimpleNamespace) -> None:
    graph = onnx.load(exported.out).graph
    assert exported.out.stat().st_size <= 14_500_000
    assert not any(node.metadata_props or node.doc_string for node in graph.node) and not graph.value_info
    assert sum(node.op_type == "Gelu" for node in graph.node) == 8
    assert json.loads(exported.out.with_suffix(".json").read_text())["bytes"] == exported.out.stat().st_size


def test_fp16_is_half_as_large_and_answers_alike(model: Path, toy: SimpleNamespace) -> None:
    stale = variants.variant_path(model, "int8")
    stale.write_bytes(b"of older weights")
    (row,) = write_variant(model, "fp16", Measurement(toy.val, images=toy.val / "rgb", masks=None))
    file = variants.variant_path(model, "fp16")
    assert row["kept"] and file.name == "toy-fp16.onnx" and not stale.exists()
    assert file.stat().st_size <= 0.55 * model.stat().st_size
    card, first = read_card(file), read_card(model)
    assert card["variant"]["of"] == first["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert card["variant"]["measured"]["variant"]["synth"]["frames"] == 6
    assert card["variant"]["measured"]["variant"]["real"]["photographs"] == 6
    assert first["variants"] == [row] and "parity" not in card
    image = np.stack([draw_frame(9, i, (64, 64))[0] for i in range(3)])
    a, b = (Segmenter(path, threads=1).logits(image) for path in (model, file))
    assert 0 < np.abs(a - b).max() < 0.05 * np.abs(a).max()
    assert (a.argmax(1) == b.argmax(1)).mean() > 0.99


def test_int8_computes_on_bytes_where_it_should(model: Path, toy: SimpleNamespace) -> None:
    file = model.with_name("bytes.onnx")
    write_int8(model, file, toy.val)
    assert file.stat().st_size <= 0.35 * model.stat().st_size
    graph = onnx.load(file).graph
    producer = {name: node.op_type for node in graph.node for name in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) > 30
    assert all(producer[node.input[0]] == "DequantizeLinear" for node in convolutions)
    softmax = {node.output[0] for node in graph.node if node.op_type == "Softmax"}
    attention = [node for node in graph.node if node.op_type == "MatMul" and node.input[0] in softmax]
    assert len(attention) == 2 * (8 + 8 + 4 + 1), "in float, two blocks a stage, in parts"
    scales = [t for t in graph.initializer if t.name.endswith("_scale") and t.dims and t.dims[0] > 1]
    assert len(scales) >= len(convolutions), "weights have a scale per channel"
    card = json.loads(model.with_suffix(".json").read_text())
    file.with_suffix(".json").write_text(json.dumps(card | {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}))
    image = np.stack([draw_frame(9, i, (64, 64))[0] for i in range(4)])
    a, b = (Segmenter(path, threads=1).logits(image).argmax(1) for path in (model, file))
    assert (a == b).mean() > 0.9


def test_best_takes_int8_only_where_it_pays(model: Path, toy: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    speed = {"int8": 1.29, "fp16": 1.0}
    loss = {"int8": 0.0, "fp16": 0.0}
    monkeypatch.setattr(variants, "speed_ratio", lambda first, second: speed[second.stem.split("-")[1]])

    def figures(path: Path, data: Measurement) -> dict:
        lost = loss.get(path.stem.split("-")[-1], 0.0)
        return {"synth": {"rock_iou": 0.5 - lost}}

    monkeypatch.setattr(variants, "_figures", figures)
    data = Measurement(toy.val, calibrate=toy.val)

    def kinds() -> list[str]:
        return sorted(path.stem for path in model.parent.glob("*.onnx"))

    assert [row["kind"] for row in write_variant(model, "best", data)] == ["int8", "fp16"]
    assert kinds() == ["toy", "toy-fp16"]
    speed["int8"] = 1.31
    assert [row["kept"] for row in write_variant(model, "best", data)] == [True]
    assert kinds() == ["toy", "toy-int8"]
    loss["int8"], speed["fp16"] = 0.02, 0.5
    with pytest.raises(CheckError, match=r"int8 1\.31 times as fast, loss 0\.0200; fp16 0\.50 times"):
        write_variant(model, "best", data)
    assert kinds() == ["toy"]
    assert [row["kept"] for row in json.loads(model.with_suffix(".json").read_text())["variants"]] == [False, False]


def test_a_model_is_as_fast_as_itself(model: Path) -> None:
    assert 0.5 < speed_ratio(model, model, size=64, runs=5) < 2


def test_variant_needs_its_splits(tmp_path: Path) -> None:
    given = {"checkpoint": tmp_path / "best.pt", "out": tmp_path / "a.onnx"}
    for fields, words in (
        ({"variant": "fp16"}, "with its measured loss"),
        ({"variant": "best", "measure": tmp_path}, "int8 needs frames"),
        ({"masks": tmp_path}, "masks together with their images"),
    ):
        with pytest.raises(ValidationError, match=words):
            ExportModel.model_validate(given | fields)
    with pytest.raises(InputError, match=r"^checkpoint: "):
        export_model(tmp_path / "best.pt", tmp_path / "a.onnx")
