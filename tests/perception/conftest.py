from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from regolith.lunar.labels import CLASSES


def write_threshold_model(path: Path, **card: object) -> Path:
    """Write a model that calls each pixel sky below brightness 40.15, rock above 125.15, regolith between."""
    weight = np.array([[0, 0, 0], [1, 1, 1], [-1, -1, -1]], np.float32)[:, :, None, None] / 3
    bias = np.array([0, -125.15, 40.15], np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["x"], ["y"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["y", "weight", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "threshold",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [onnx.numpy_helper.from_array(weight, "weight"), onnx.numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({"classes": CLASSES, "sha256": digest} | card))
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose answer is known at every pixel."""
    return write_threshold_model(tmp_path_factory.mktemp("model") / "threshold.onnx")


@pytest.fixture
def write_model() -> Callable[..., Path]:
    return write_threshold_model
