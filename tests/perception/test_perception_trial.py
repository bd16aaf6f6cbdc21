"""A model whose graph asks for much is refused in one line, at once, and takes nothing of this process."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import numpy as np
import onnx
import pytest
from hostile import CPU_S, HELD_BYTES
from onnx import TensorProto, helper, numpy_helper

from regolith.lunar.jobs import confined
from regolith.lunar.jobs.confined import run_confined
from regolith.lunar.labels import CLASSES
from regolith.lunar.params import InputError
from regolith.lunar.perception import trial
from regolith.lunar.perception.session import Segmenter

LOADED_BYTES = 200 << 20
"""Most that Python, numpy and onnxruntime hold before a model is opened."""
OPEN = """
import resource, sys, time
from regolith.lunar.system import peak_bytes
import onnxruntime
from regolith.lunar.params import InputError
from regolith.lunar.perception.session import Segmenter
for line in sys.stdin:
    began, said = time.process_time(), ""
    try:
        Segmenter(line.strip(), threads=1)
    except InputError as error:
        said = str(error)
    own = time.process_time() - began
    print(said)
    print(own, peak_bytes(), 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, flush=True)
"""
"""Opens the models it is told, and says what was said of each, what that took, and the peaks since it began."""
node = helper.make_node


def constant(name: str, *values: float, dtype: type = np.int64) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, dtype), name)


def loop(trips: int) -> onnx.NodeProto:
    """Add one to a number so many times."""
    body = helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("Add", ["a", "one"], ["b"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("a", TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, [1]),
        ],
        [constant("one", 1, dtype=np.float32)],
    )
    return node("Loop", ["trips", "", "f"], ["big"], body=body)


SIDE = 46_000
ONE = constant("f", 1, dtype=np.float32)
BOMBS = {
    "ConstantOfShape": ([node("ConstantOfShape", ["s"], ["big"])], [constant("s", SIDE, SIDE)]),
    "Expand": ([node("Expand", ["f", "s"], ["big"])], [ONE, constant("s", SIDE, SIDE)]),
    "Expand of what is drawn": (
        [node("ReduceMax", ["x"], ["g"], keepdims=0), node("Expand", ["g", "s"], ["big"])],
        [constant("s", SIDE, SIDE)],
    ),
    "Tile": ([node("Tile", ["x", "s"], ["big"])], [constant("s", 1, 1, 1, 80_000)]),
    "Resize": (
        [node("Resize", ["x", "", "k"], ["big"], mode="nearest")],
        [constant("k", 1, 1, 700, 700, dtype=np.float32)],
    ),
    "Range": ([node("Range", ["a", "b", "c"], ["big"])], [
        numpy_helper.from_array(np.array(v, np.float32), n) for n, v in (("a", 0), ("b", 2e9), ("c", 1))
    ]),
    "Concat": (
        [node("Concat", [f"y{n}"] * 8, [f"y{n + 1}"], axis=0) for n in range(8)]
        + [node("Identity", ["x"], ["y0"]), node("Identity", ["y8"], ["big"])],
        [],
    ),
    "MatMul": (
        [
            node("ConstantOfShape", ["s"], ["m"], value=helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])),
            *(node("MatMul", [f"m{n}" if n else "m", "m"], [f"m{n + 1}"]) for n in range(64)),
            node("Identity", ["m64"], ["big"]),
        ],
        [constant("s", 4000, 4000)],
    ),
    "Conv": (
        [
            node("Expand", ["f4", "s"], ["w"]),
            node("Resize", ["x", "", "k"], ["y"], mode="nearest"),
            node("Slice", ["y", "from", "to", "of"], ["z"]),
            node("Conv", ["z", "w"], ["big"], pads=[400, 400, 400, 400]),
        ],
        [
            numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "f4"),
            constant("s", 1, 1, 800, 800),
            constant("k", 1, 1, 30, 30, dtype=np.float32),
            *(constant(name, value) for name, value in (("from", 0), ("to", 1), ("of", 1))),
        ],
    ),
    "Loop": ([loop(10**12)], [ONE, numpy_helper.from_array(np.array(10**12, np.int64), "trips")]),
}  # fmt: skip
"""What makes the memory or the time, and the constants of it; `x` is the picture, float32 [1, 3, 64, 64]."""


def write_bomb(path: Path, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> Path:
    """Write a model whose answer is that of a whole one, and takes what `big` takes beside."""
    nodes = [
        node("Cast", ["image"], ["f32"], to=TensorProto.FLOAT),
        node("Transpose", ["f32"], ["x"], perm=[0, 3, 1, 2]),
        *sorted(nodes, key=lambda each: each.output[0] != "y0"),
        node("ReduceMax", ["big"], ["most"], keepdims=0),
        node("Min", ["most", "nil"], ["none"]),
        node("Add", ["x", "none"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "bomb",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [*constants, constant("nil", 0, dtype=np.float32)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(made.SerializeToString())
    card = {"classes": CLASSES, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(card))
    return path


@pytest.fixture(scope="module")
def opener() -> Iterator[subprocess.Popen[str]]:
    """A process that opens the models it is told."""
    with subprocess.Popen([sys.executable, "-c", OPEN], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as process:
        yield process
        _, err = process.communicate()
        assert process.returncode == 0, err


@pytest.mark.parametrize("name", BOMBS)
def test_a_graph_that_asks_for_much_is_refused(tmp_path: Path, opener: subprocess.Popen[str], name: str) -> None:
    path = write_bomb(tmp_path / "bomb.onnx", *BOMBS[name])
    assert opener.stdin is not None and opener.stdout is not None
    print(path, file=opener.stdin, flush=True)
    line, figures = (opener.stdout.readline().rstrip("\n") for _ in range(2))
    own_s, own_bytes, child_bytes = map(float, figures.split())
    assert line.startswith("model: ") and "1 GiB of memory and 2 s of processor time" in line and len(line) <= 300
    assert own_s <= CPU_S and own_bytes <= LOADED_BYTES
    assert child_bytes <= HELD_BYTES + LOADED_BYTES


def test_a_graph_that_asks_for_little_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped models are not; what was tried is opened at once the next time, and again after a change."""
    tries: list[str] = []
    monkeypatch.setattr(
        trial, "run_confined", lambda *args, **limits: (tries.append(args[1][0]), run_confined(*args, **limits))
    )
    nodes, constants = [node("Identity", ["x"], ["big"])], [ONE]
    path = write_bomb(tmp_path / "small.onnx", nodes, constants)
    picture = np.full((1, 64, 64, 3), 7, np.uint8)
    for _ in range(2):
        assert (Segmenter(path, threads=1).logits(picture) == 7).all()
    Segmenter(threads=1)
    assert tries == [str(path)]
    Segmenter(write_bomb(path, nodes, [*constants, constant("more", 1)]), threads=1)
    assert len(tries) == 2


def test_a_process_that_cannot_try_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_bomb(tmp_path / "small.onnx", [node("Identity", ["x"], ["big"])], [])
    monkeypatch.setattr(confined, "python", lambda: tmp_path / "none")
    with pytest.raises(InputError, match=r"where a process can open it first \(No such file"):
        Segmenter(path, threads=1)
