"""What an encoder sees: tensors inside a model, cells and their classes, pictures at one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from PIL import Image
from quality_sets import photo_folder, write_set

from regolith.lunar.labels import IGNORE, ROCK, SKY
from regolith.lunar.params import InputError
from regolith.lunar.perception.apollo_masks import apollo_masks
from regolith.lunar.perception.model_files import find_model
from regolith.lunar.quality import features as module
from regolith.lunar.quality.features import Encoder, cell_classes, collect_features, near_rock
from regolith.lunar.quality.pictures import Pictures, working_px
from regolith.lunar.quality.taps import tensors, with_outputs


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(threads=1)


@pytest.mark.parametrize("name", ["default", "default-fp16", "segformer-b0"])
def test_tensors_are_those_the_onnx_package_reads(name: str) -> None:
    path = find_model(name)
    graph = onnx.load(path).graph
    found = tensors(path.read_bytes())
    assert [t.name for t in found] == [output for node in graph.node for output in node.output if output]
    taken = [name for node in graph.node for name in node.input]
    assert [t.consumers for t in found] == [taken.count(t.name) for t in found]


def test_an_output_is_added_and_nothing_else() -> None:
    data = find_model("default").read_bytes()
    assert with_outputs(data, ["logits"]) == data
    name = "add_256"
    expected = onnx.load_model_from_string(data)
    expected.graph.output.append(onnx.ValueInfoProto(name=name))
    assert onnx.load_model_from_string(with_outputs(data, [name])) == expected
    session = onnxruntime.InferenceSession(with_outputs(data, [name]), providers=["CPUExecutionProvider"])
    plain = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    image = {"image": np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)}
    assert np.array_equal(np.asarray(session.run(["logits"], image)[0]), np.asarray(plain.run(["logits"], image)[0]))
    assert np.asarray(session.run([name], image)[0]).shape == (1, 40, 8, 8)


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(find_model("default").read_bytes()[:-cut])
    with pytest.raises(InputError, match="model"):
        Encoder(path, threads=1)


def test_a_damaged_output_is_refused_in_one_line(tmp_path: Path) -> None:
    """What describes an output is read only where outputs are added: a field of it is cut off."""
    path = tmp_path / "damaged.onnx"
    output = b"\x62\x02\x0a\x05"  # GraphProto.output, of two bytes: a name of five
    path.write_bytes(find_model("default").read_bytes() + b"\x3a" + bytes([len(output)]) + output)
    with pytest.raises(InputError, match=r"^model: .*cut off"):
        Encoder(path, threads=1)


def test_groups_are_no_protobuf_we_read() -> None:
    with pytest.raises(ValueError, match="wire type 3"):
        tensors(b"\x0b")
    with pytest.raises(ValueError, match="64 bits"):
        tensors(b"\xff" * 11)


def test_the_default_is_the_last_stage_at_its_stride(encoder: Encoder) -> None:
    """Where the pyramid branches off the encoder, by its names in the graph."""
    assert (encoder.layer, encoder.stride) == ("add_256", 8)
    assert [Encoder(layer=stride, threads=1).layer for stride in (2, 4, 16)] == ["getitem_6", "add_160", "add_550"]
    assert Encoder(layer="relu_2", threads=1).stride == 8
    assert Encoder("segformer-b0", threads=1).stride == 8


@pytest.mark.parametrize("layer", ["nothing", "val_0", "getitem_6 ", 3])
def test_other_layers_are_refused(layer: str | int) -> None:
    with pytest.raises(InputError, match="layer"):
        Encoder(layer=layer, threads=1)


def write_graph(path: Path, nodes: list[onnx.NodeProto], kind: int = TensorProto.FLOAT) -> Path:
    """Write a model of `x` [N, 3, H, W] to `y`."""
    value = helper.make_tensor_value_info("x", kind, ["n", 3, "h", "w"])
    graph = helper.make_graph(nodes, "own", [value], [helper.make_tensor_value_info("y", kind, ["n", 3, "a", "b"])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def test_any_model_of_floats_sees_the_picture_as_imagenet_models_do(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    nodes = [
        helper.make_node("AveragePool", ["x"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("GlobalAveragePool", ["pooled"], ["y"]),
    ]
    path = write_graph(tmp_path / "pool.onnx", nodes)
    found = Encoder(path, layer=4, threads=1).maps(rgb)
    scaled = (rgb / 255 - module.IMAGENET_MEAN) / module.IMAGENET_STD
    expected = scaled.reshape(8, 4, 16, 4, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    assert np.allclose(found, expected, atol=1e-5)
    with pytest.raises(InputError, match="uint8"):
        nodes = [helper.make_node("Relu", ["x"], ["y"])]
        Encoder(write_graph(tmp_path / "double.onnx", nodes, TensorProto.DOUBLE), layer="y", threads=1)


def test_what_only_becomes_much_when_it_is_asked_for_is_refused(tmp_path: Path) -> None:
    """A part of the graph that leads to no output is not run, until its tensors are features."""
    value = helper.make_tensor("side", TensorProto.INT64, [2], [46_000, 46_000])
    nodes = [
        helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Constant", [], ["side"], value=value),
        helper.make_node("ConstantOfShape", ["side"], ["much"]),
    ]
    path = write_graph(tmp_path / "much.onnx", nodes)
    with pytest.raises(InputError, match=r"^model: .*much\.onnx' is not allowed; .* opens with 1 GiB"):
        Encoder(path, layer=4, threads=1)


def test_maps_of_a_picture_of_any_size_are_those_of_its_own_cells(encoder: Encoder) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (50, 70, 3), np.uint8)
    assert encoder.maps(rgb).shape == (40, 7, 9)


def test_a_cell_is_of_the_class_of_most_of_its_pixels() -> None:
    classes = np.full((5, 12), IGNORE, np.uint8)
    classes[:4, :4] = ROCK
    classes[:4, 4:6] = ROCK
    classes[:4, 6:8] = SKY
    classes[4:, :4] = SKY
    expected = [[ROCK, IGNORE, IGNORE], [SKY, IGNORE, IGNORE]]
    assert cell_classes(classes, 4).tolist() == expected


def test_cells_near_a_rock_are_two_steps_from_one_that_has_a_pixel_of_it() -> None:
    classes = np.zeros((44, 60), np.uint8)
    classes[43, 31] = ROCK
    rows, columns = np.nonzero(near_rock(classes, 8))
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {
        (row, column) for row in range(6) for column in range(8) if abs(row - 5) + abs(column - 3) <= 2
    }
    assert not near_rock(np.zeros((44, 60), np.uint8), 8).any()


def test_features_of_a_split_are_those_at_the_places_of_their_class(tmp_path: Path, encoder: Encoder) -> None:
    split = write_set(tmp_path / "a", frames=3, scenes=2)
    pictures = Pictures(split, field="synth")
    found = collect_features(pictures, encoder, 64)
    assert found.values.dtype == np.float32 and found.values.shape == (len(found), 40)
    first = next(pictures.read(64))
    cells = cell_classes(first.classes, 8)
    rocks = np.flatnonzero(cells.ravel() == ROCK)
    expected = encoder.maps(first.rgb).reshape(40, -1).T[rocks]
    chosen = found.of_class(ROCK)
    assert np.array_equal(chosen.values[chosen.pictures == 0], expected)
    assert sorted(set(found.groups.tolist())) == [0, 1] and pictures.groups == 2


def test_few_cells_are_kept_of_each_picture_the_same_for_one_seed(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = Pictures(write_set(tmp_path / "a", frames=2), field="synth")
    monkeypatch.setattr(module, "CELLS_MAX", 5)
    first, again, other = (collect_features(pictures, encoder, 64, seed=seed) for seed in (0, 0, 1))
    counts = [np.sum((first.classes == c) & (first.pictures == p)) for c in range(3) for p in range(2)]
    assert max(counts) == 5
    assert np.array_equal(first.values, again.values) and not np.array_equal(first.values, other.values)
    monkeypatch.setattr(module, "CELLS_TOTAL", 4)
    assert len(collect_features(pictures, encoder, 64)) <= 2 * 3 * 2


def test_photographs_have_masks_or_a_labeller(tmp_path: Path) -> None:
    images, masks = photo_folder(tmp_path / "photos", 3, size=(96, 128))
    labelled = Pictures(images, field="real", masks=masks)
    assert (labelled.labels, len(labelled), labelled.groups, labelled.long_side_px) == ("masks", 3, 3, None)
    first = next(labelled.read(64))
    assert first.rgb.shape == (48, 64, 3) and ROCK in first.classes
    pseudo = Pictures(images, field="real")
    seen: list[tuple[int, ...]] = []

    def label(rgb: np.ndarray) -> np.ndarray:
        seen.append(rgb.shape)
        return np.full(rgb.shape[:2], SKY, np.uint8)

    assert (next(pseudo.read(64, label)).classes == SKY).all() and pseudo.labels == "pseudo"
    assert seen == [(96, 128, 3)]


def test_of_many_pictures_some_are_looked_at_evenly_spread(tmp_path: Path) -> None:
    split = write_set(tmp_path / "a", frames=7)
    some = Pictures(split, field="synth", most=3)
    assert [picture.name for picture in some.read(64)] == ["00000", "00003", "00006"]
    expected = {"folder": str(split), "pictures": 3, "of": 7, "left_out": 0, "groups": 3, "labels": "split"}
    assert some.words() == expected


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    """A photograph without one of the shipped masks, and a file that is none."""
    images, _ = photo_folder(tmp_path / "photos", 1)
    mask = apollo_masks()[0]
    Image.effect_noise(mask.size, 60).convert("RGB").save(images / f"{mask.name}.png")
    (images / "notes.txt").touch()
    words = Pictures(images, field="real", masks=Path("apollo")).words()
    assert (words["pictures"], words["left_out"]) == (1, 2)


def test_sets_are_brought_to_the_smaller_splits_size(tmp_path: Path) -> None:
    small = Pictures(write_set(tmp_path / "a", frames=2), field="synth")
    photos = Pictures(photo_folder(tmp_path / "p", 1)[0], field="real")
    assert working_px(small, photos, None) == 64
    assert working_px(photos, photos, None) == 512
    assert working_px(small, photos, 32) == 32


def test_what_is_no_set_is_refused(tmp_path: Path) -> None:
    split = write_set(tmp_path / "a", frames=2)
    images, _ = photo_folder(tmp_path / "photos", 1)
    with pytest.raises(InputError, match="its own"):
        Pictures(split, field="real", masks=images)
    with pytest.raises(InputError, match="real"):
        Pictures(tmp_path / "nowhere", field="real")
    with pytest.raises(InputError, match="masks"):
        Pictures(images, field="real", masks=tmp_path / "nowhere")
    with pytest.raises(InputError, match="apollo"):
        Pictures(images, field="real", masks=Path("apollo"))
    Image.new("L", (64, 48)).save(images / "picture0_mask.png")
    with pytest.raises(InputError, match="px"):
        list(Pictures(images, field="real", masks=images).read(64))
