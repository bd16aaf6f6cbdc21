"""Every file the program reads, with values changed and digests kept valid: it is read, or refused in one line.

`REGOLITH_EXAMPLES=1000` looks at as many files in each test.
"""

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from hostile import changed, examples, right_or_one_line, torn
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from small_split import PARAMS, write_split

from regolith.lunar import cli
from regolith.lunar.dataset.chunked_run import measured_need
from regolith.lunar.dataset.contract import CONTRACT, Contract, digest
from regolith.lunar.dataset.formats.source import read_source
from regolith.lunar.dataset.layout import JOURNAL, FrameRecord, read_journal
from regolith.lunar.dataset.survey import LOG
from regolith.lunar.jobs.runs import RUN, Run
from regolith.lunar.labels import CLASSES
from regolith.lunar.params import InputError, load_params
from regolith.lunar.params.training import TrainParams, load_train_params
from regolith.lunar.perception.importing import read_class_map
from regolith.lunar.perception.masks import decode_mask
from regolith.lunar.perception.model_files import read_card
from regolith.lunar.perception.photos import read_photo
from regolith.lunar.perception.session import Segmenter
from regolith.lunar.report.outcome import write_report
from regolith.lunar.report.split_stats import read_timings

SCORES = {"iou": 0.5, "precision": None, "recall": 0.75}
RESULTS: dict[str, Any] = {
    "model": {"file": "model.onnx", "sha256": "ab" * 32, "provider": "CPU"}, "split": "val", "frames": 4,
    "iou": {"regolith": 0.9, "rock": 0.5, "sky": 1.0}, "miou": 0.8, "rock": SCORES, "accuracy": 0.95,
    "confusion": [[90, 5, 0], [3, 6, 0], [0, 0, 40]], "classes": ["regolith", "rock", "sky"],
    "by_size": [{"from_px": 0, "to_px": 4, "rocks": 3, "pixels": 9, "recall": 0.5}],
    "by_sun_elevation": [{"from_deg": 5, "to_deg": 20, **SCORES}], "per_frame": [], "pictures": [],
}  # fmt: skip
LOGGED = {"event": "chunk", "time": 1.0, "status": "finished", "frames": 3, "peak_rss": 700, "host": "here",
          "seconds": {"start": 1.0, "render": 2.0, "write": 0.5}}  # fmt: skip
RUN_INFO = {"kind": "training", "arguments": ["true"], "env": {}, "cwd": "/", "details": {"out": "run"}, "pid": 1,
            "birth": "", "started": 1.0}  # fmt: skip


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split of two frames; each test writes the file it changes anew."""
    return write_split(tmp_path_factory.mktemp("hostile") / "val", 2)


@examples(40)
@given(data=changed(PARAMS.model_dump(mode="json")), ending=st.sampled_from([".json", ".yaml"]))
def test_parameters(tmp_path: Path, data: Any, ending: str) -> None:
    path = tmp_path / f"params{ending}"
    path.write_text(json.dumps(data) if ending == ".json" else yaml.safe_dump(data, allow_unicode=True), "utf-8")
    right_or_one_line(lambda: load_params(path))


@pytest.mark.parametrize(
    "text",
    [
        "rocks: " + "[" * 3000 + "]" * 3000,
        "rocks: " + "9" * 5000,
        "rocks: {abundance: 2001-01-01}",
        "rocks: {abundance: 2001-99-99}",
        "2001-01-01: 3",
        "a: &a [x,x]\nrocks: {abundance: *a}",
        "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)), "rocks: *a39"]),
        "? [a, b]\n: 1",
        "!!python/object/apply:os.system ['true']",
        "rocks: !!binary 'a'",
        "rocks: !!float abc",
        "<<: 3",
        "seed: 1e999",
        "- 1",
    ],
)
def test_parameters_of_odd_yaml(tmp_path: Path, capsys, text: str) -> None:
    """One line in the library, for class maps, and from the command line, with exit code 2."""
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    assert not right_or_one_line(lambda: load_params(path))
    assert not right_or_one_line(lambda: read_class_map(str(path)))
    assert cli.main(["randomize", "--frames", "1", "--params", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) <= 300


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "9" * 5000, '{"a": NaN', "\ud800".encode("utf-8", "surrogatepass"), "{"]
)
def test_json_that_is_none(split: Path, tmp_path: Path, text: str | bytes) -> None:
    content = text if isinstance(text, bytes) else text.encode()
    for name in ("params.json", "results.json", CONTRACT, RUN, "model.json", "metrics.jsonl"):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "model.onnx").touch()
    for read in (
        lambda: load_params(tmp_path / "params.json"),
        lambda: load_train_params(tmp_path / "params.json"),
        lambda: write_report(tmp_path, tmp_path / "page.html"),
        lambda: Contract.read(tmp_path),
        lambda: read_card(tmp_path / "model.onnx"),
    ):
        assert not right_or_one_line(read)
    assert not right_or_one_line(lambda: Run.open(tmp_path), ValueError)


@examples(30)
@given(data=changed(TrainParams(train_split=Path("a"), val_split=Path("b"), out=Path("c")).model_dump(mode="json")))
def test_parameters_of_a_training(tmp_path: Path, data: Any) -> None:
    (tmp_path / "config.json").write_text(json.dumps(data))
    right_or_one_line(lambda: load_train_params(tmp_path / "config.json"))


@examples(40)
@given(st.data())
def test_journal(split: Path, data: st.DataObject) -> None:
    """What is read has counts of a frame, whatever its digest says."""
    whole = (split / JOURNAL).read_bytes()
    lines = whole.decode().splitlines()
    record = data.draw(changed({k: v for k, v in json.loads(lines[0]).items() if k != "digest"}))
    try:
        line = json.dumps(record | {"digest": digest(record)}, sort_keys=True, separators=(",", ":"))
        (split / JOURNAL).write_text("\n".join([line, *lines[1:], ""]), "utf-8")
        if right_or_one_line(lambda: read_journal(split)):
            right_or_one_line(lambda: [read_source(split).array("mask", each) for each in read_source(split).records])
    finally:
        (split / JOURNAL).write_bytes(whole)


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ({}, "not the counts of a frame"),
        ({"rock": 1}, "not the counts of a frame"),
        ({"regolith": 1, "rock": -1, "sky": 0, "ignore": 0}, r"counts\.rock"),
    ],
)
def test_journal_with_counts_of_no_frame(split: Path, counts: dict[str, int], reason: str) -> None:
    record = dataclasses.replace(read_journal(split)[0], counts=counts)
    with pytest.raises(ValueError, match=reason):
        FrameRecord.from_line(record.to_line())


@examples(40)
@given(data=changed(Contract.of(PARAMS, split="val", frames=2, seed=0, width=32, height=32).to_dict()))
def test_contract(tmp_path: Path, data: dict[str, Any]) -> None:
    (tmp_path / CONTRACT).write_text(json.dumps(data | {"digest": digest(data)}))
    right_or_one_line(lambda: Contract.read(tmp_path).params)


@examples(30)
@given(data=changed(LOGGED))
def test_log(tmp_path: Path, data: dict[str, Any]) -> None:
    """A line of no chunk does not count."""
    (tmp_path / LOG).write_text(json.dumps(LOGGED) + "\n" + json.dumps(data) + "\n")

    def read() -> None:
        timings = read_timings(tmp_path / LOG)
        assert timings is not None and timings.drawing_s >= 3.0 and measured_need(tmp_path / LOG) >= 700

    assert right_or_one_line(read)


@examples(12)
@given(data=changed(RESULTS))
def test_results(tmp_path: Path, data: dict[str, Any]) -> None:
    (tmp_path / "results.json").write_text(json.dumps(data))
    right_or_one_line(lambda: write_report(tmp_path, tmp_path / "page.html"))


@examples(40)
@given(data=changed(RUN_INFO))
def test_run(tmp_path: Path, data: dict[str, Any]) -> None:
    (tmp_path / RUN).write_text(json.dumps(data))
    right_or_one_line(lambda: (Run.open(tmp_path).kind, Run.open(tmp_path).alive), ValueError)


def pictures() -> dict[str, bytes]:
    """Pictures of some formats, 40 × 36 px."""
    draw = np.random.default_rng(0)
    grey, deep = draw.integers(0, 256, (36, 40), np.uint8), draw.integers(0, 65536, (36, 40)).astype(np.uint16)
    found = {}
    for name, array in (
        ("a.png", grey),
        ("b.jpg", grey),
        ("c.tif", deep),
        ("d.png", np.dstack([grey] * 3)),
        ("e.bmp", grey),
    ):
        file = io.BytesIO()
        Image.fromarray(array).save(file, Image.registered_extensions()[Path(name).suffix])
        found[name] = file.getvalue()
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("read", [read_photo, decode_mask])
@examples(40)
@given(st.data())
def test_photographs_and_masks(tmp_path: Path, read: Callable[[Path], Any], data: st.DataObject) -> None:
    name, content = data.draw(st.sampled_from(list(pictures().items())))
    (tmp_path / name).write_bytes(data.draw(torn(content)))
    right_or_one_line(lambda: read(tmp_path / name))


def write_model(
    path: Path, *, channels: int = 3, value: float = 1.0, dtype: int = TensorProto.UINT8, **card: Any
) -> Path:
    """Write a model of some channels and weights, with a card that fits."""
    weight = np.full((channels, 3, 1, 1), value, np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["x"], ["y"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["y", "weight"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("image", dtype, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", channels, "h", "w"])],
        [numpy_helper.from_array(weight, "weight")],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return describe(path, made.SerializeToString(), card)


def describe(path: Path, content: bytes, card: dict[str, Any]) -> Path:
    """Write a model's bytes, and a card of these."""
    path.write_bytes(content)
    fields = {"classes": CLASSES, "sha256": hashlib.sha256(content).hexdigest()} | card
    path.with_suffix(".json").write_text(json.dumps(fields))
    return path


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"channels": 7}, "it gives float32 [1, 7, 64, 64]"),
        ({"value": float("nan")}, "it gives values that are no numbers"),
        ({"dtype": TensorProto.FLOAT}, "it does not run"),
    ],
)
def test_model_of_other_classes_numbers_and_pictures(tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as raised:
        Segmenter(write_model(tmp_path / "model.onnx", **changes))
    assert line in str(raised.value) and len(str(raised.value)) <= 300
    Segmenter(write_model(tmp_path / "model.onnx"))


@examples(40)
@given(card=changed({"photo_px": 512, "photo_tta": "none", "temperature": 1.0, "variant": {"kind": "fp16", "of": "a"}}))
def test_card(tmp_path: Path, card: Any) -> None:
    path = write_model(tmp_path / "model.onnx", **card)
    right_or_one_line(lambda: Segmenter(path).photo_px)


@examples(15)
@given(st.data())
def test_model(tmp_path: Path, data: st.DataObject) -> None:
    """Other shapes, types, operators and names in the graph; its digest fits."""
    model = onnx.load(write_model(tmp_path / "model.onnx"))
    node = data.draw(st.sampled_from(list(model.graph.node)))
    field = data.draw(st.sampled_from(["op_type", "input", "output", "attribute", "weight", "shape"]))
    if field == "op_type":
        node.op_type = data.draw(st.sampled_from(["Relu", "Loop", "NoSuch", "MatMul", "Shape"]))
    elif field == "weight":
        model.graph.initializer[0].raw_data = data.draw(st.binary(min_size=36, max_size=36))
    elif field == "shape":
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = data.draw(st.integers(-(2**40), 2**40))
    elif field == "attribute":
        del node.attribute[:]
    else:
        getattr(node, field)[0] = data.draw(st.sampled_from(["", "y", "image", "logits", "none"]))
    path = describe(tmp_path / "model.onnx", model.SerializeToString(), {})
    right_or_one_line(lambda: Segmenter(path).predict(np.zeros((40, 50, 3), np.uint8)))
