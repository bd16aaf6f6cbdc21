"""Passes really draw, a round chooses and queues, its queue comes back as a split, and the loop ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from toy_split import draw_frame, write_split

from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.labels import CLASSES, IGNORE, ROCK
from regolith.lunar.panel.quality import QUALITY
from regolith.lunar.params import InputError
from regolith.lunar.params.training import Architecture
from regolith.lunar.perception.importing import import_split
from regolith.lunar.quality.acquisition import Posterior
from regolith.lunar.quality.ensemble import Teacher
from regolith.lunar.quality.oracle_queue import OracleQueue, Proposal
from training.checkpoint import write_torch
from training.networks import build_network, describe_network
from training.selection import Select, open_model
from training.uncertainty import Checkpoints, picture_seed, switch_dropout_on

ARCHES: tuple[Architecture, ...] = ("efficientnet-lite0", "segformer-b0")
SIDE = 64


def checkpoint(path: Path, arch: Architecture = "efficientnet-lite0", seed: int = 0) -> Path:
    """Write a network of drawn weights as a run does."""
    torch.manual_seed(seed)
    network, start = build_network(arch, "random", logits_stride=4)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]
    made: dict[str, Any] = {"kind": "best", "recipe": {}, "fingerprints": {}, "classes": CLASSES, "epoch": 1}
    write_torch(path, made | {"model": network.state_dict(), "network": describe_network(arch, network, start)})
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    made = {arch: checkpoint(folder / f"{arch}.pt", arch) for arch in ARCHES}
    return made | {"other": checkpoint(folder / "other.pt", seed=1)}


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Four photographs of two places, 64 × 128 px, and their masks."""
    folder = tmp_path_factory.mktemp("pool")
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for number in range(4):
        rgb, mask = draw_frame(3, number, (SIDE, 2 * SIDE))
        Image.fromarray(rgb).save(folder / "images" / f"place{number // 2}_{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"place{number // 2}_{number}.png")
    return SimpleNamespace(images=folder / "images", masks=folder / "masks")


def select(pool: SimpleNamespace, model: Path | str, out: Path, **changes: Any) -> Select:
    given = {"pool": pool.images, "model": model, "budget": 4, "batch": 2, "out": out, "crop": SIDE, "threads": 1}
    return Select.model_validate(given | {"passes": 3, "top_share": 0.5} | changes)


@pytest.mark.parametrize("arch", ARCHES)
def test_passes_are_those_of_the_whole_network_with_dropout_on(runs: dict[str, Path], arch: Architecture) -> None:
    """Of a pyramid only what dropout changes is computed again; SegFormer's encoder draws too, by its drop-path."""
    looker = Checkpoints([runs[arch]], passes=6, seed=5, threads=1)
    network = looker.networks[0]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rgb = draw_frame(0, 0, (50, 70))[0]
    look = looker.look(rgb)
    filled = np.pad(rgb, [(0, 14), (0, 26), (0, 0)], mode="edge")
    expected = Posterior()
    with torch.no_grad():
        torch.manual_seed(picture_seed(5, rgb))
        logits = network(torch.from_numpy(filled)[None].expand(6, -1, -1, -1))[:, :, :50, :70]
        expected.add(torch.softmax(logits, 1).numpy())
    assert (logits - logits[:1]).abs().max() > 0.01 * logits.abs().max()
    assert look.posterior.passes == 6 and look.posterior.mean.shape == (3, 50, 70)
    assert np.allclose(look.posterior.mean, expected.mean, atol=1e-5)
    assert np.allclose(look.posterior.mutual_information, expected.mutual_information, atol=1e-4)
    assert look.posterior.mutual_information.mean() > 0
    looker.look(draw_frame(0, 1, (40, 40))[0])
    assert np.array_equal(looker.look(rgb).posterior.mean, look.posterior.mean)  # whatever was looked at before
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_dropout_and_drop_path_are_on_and_norms_are_not(runs: dict[str, Path]) -> None:
    network = Checkpoints([runs["segformer-b0"]], passes=1, threads=1).networks[0]
    assert not any(module.training for module in network.modules())
    switch_dropout_on(network)
    on = {type(module).__name__ for module in network.modules() if module.training}
    assert {"SegformerDropPath", "LunarSegformer"} <= on and "BatchNorm2d" not in on


def test_passes_that_are_equal_are_refused(runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.networks.pyramid.DROPOUT", 0.0)
    with pytest.raises(InputError, match="passes of this one are equal"):
        Checkpoints([runs["efficientnet-lite0"]], passes=20, threads=1)
    looker = Checkpoints([runs["efficientnet-lite0"]], passes=1, threads=1)
    assert looker.look(draw_frame(0, 0, (32, 32))[0]).posterior.mutual_information.max() < 1e-6


def test_members_of_an_ensemble_disagree_without_dropout(runs: dict[str, Path]) -> None:
    looker = open_model(Path(f"{runs['efficientnet-lite0']},{runs['other']}"), by="bald", passes=20, threads=1)
    rgb = draw_frame(0, 0, (32, 32))[0]
    assert looker.passes == 2 and looker.words()["drawn"] == "members"
    assert looker.look(rgb).posterior.mutual_information.mean() > 1e-4


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("default", {}, "an exported model has no dropout"),
        ("{lite},default", {}, "checkpoints alone"),
        ("{lite}", {"passes": 1}, "--passes 2 or more"),
        ("nothing.pt", {}, "best.pt or last.pt"),
        ("{lite}", {"crop": 256}, "a window that fits"),
        ("{lite}", {"scene_of": "("}, "a regular expression"),
        ("{lite}", {"done": "nowhere"}, "queues of earlier rounds"),
        ("{lite}", {"columns": True}, "a split, whose frames have columns"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_leaves_nothing(
    pool: SimpleNamespace, runs: dict[str, Path], tmp_path: Path, model: str, options: dict[str, Any], said: str
) -> None:
    model = model.format(lite=runs["efficientnet-lite0"])
    with pytest.raises(InputError, match=said):
        select(pool, model, tmp_path / "queue", **options).run()
    assert list(tmp_path.iterdir()) == []


def test_rounds_of_the_loop(pool: SimpleNamespace, runs: dict[str, Path], tmp_path: Path) -> None:
    """Each takes other units, of both places; the queue is COCO, comes back as a split, and the budget ends it."""
    first = select(pool, runs["efficientnet-lite0"], tmp_path / "first", scene_of=r"place\d", per_scene=1)
    result = first.run()
    assert result == json.loads((tmp_path / "first/select.json").read_text())
    assert len(result["units"]) == 8 and result["stop"] is None
    page = (tmp_path / "first/select.html").read_text()
    assert page.count("<figure") == 4 and "chosen in this round: 2 of 2" in page and "mutual_information from" in page
    assert {unit["scene"] for unit in result["chosen"]} == {"place0", "place1"}
    ranked = sorted(result["units"], key=lambda unit: -unit["mutual_information"])
    assert {unit["id"] for unit in ranked if unit["candidate"]} == {unit["id"] for unit in ranked[:4]}
    assert {unit["id"] for unit in result["chosen"]} <= {unit["id"] for unit in ranked if unit["candidate"]}
    assert "2 of 4 labels used" in first.summary(result)
    (says,) = (row.describe for row in QUALITY if row.key == "select")
    assert says(result) == "2 of 8 units to label"

    coco = COCO(str(tmp_path / "first/annotations/instances_default.json"))
    images = tmp_path / "first/images"
    assert sorted(coco.imgs[i]["file_name"] for i in coco.imgs) == sorted(path.name for path in images.iterdir())
    answers = tmp_path / "first/annotations/instances_default.json"
    import_split(images, None, tmp_path, split="real", coco=answers)
    looker = open_model(runs["efficientnet-lite0"], by="bald", passes=3, threads=1)
    for frame in open_split(tmp_path / "real"):
        mean = looker.look(frame.rgb).posterior.mean
        assert np.array_equal(frame.mask, mean.argmax(0))

    done = {"done": tmp_path / "first", "batch": None}
    second = select(pool, runs["efficientnet-lite0"], tmp_path / "second", **done).run()
    ids = [unit["id"] for said in (result, second) for unit in said["chosen"]]
    assert len(set(ids)) == 4 and second["stop"] == "budget" and second["labelled"] == 4
    third = select(
        pool, runs["efficientnet-lite0"], tmp_path / "third", done=f"{tmp_path / 'first'},{tmp_path / 'second'}"
    )
    said = third.run()
    assert said["chosen"] == [] and said["stop"] == "budget" and "the loop ends: the budget" in third.summary(said)
    assert says(said) == "0 of 8 units to label; the loop ends: the budget is used up"
    with pytest.raises(InputError, match="--crop or --size is another"):
        select(pool, runs["efficientnet-lite0"], tmp_path / "fourth", crop=32, **done).run()


def test_loop_ends_where_entropy_is_low(pool: SimpleNamespace, tmp_path: Path) -> None:
    """Of an exported model: by the entropy of its one answer."""
    verb = select(pool, "default", tmp_path / "queue", by="entropy", stop_entropy=1.58)
    said = verb.run()
    assert said["stop"] == "entropy" and said["chosen"] == [] and said["entropy"]["p95"] < 1.58
    entropies = [unit["entropy"] for unit in said["units"]]
    assert said["entropy"]["p95"] == pytest.approx(np.percentile(entropies, 95)) and len(set(entropies)) == 8
    assert all(unit["mutual_information"] is None for unit in said["units"])


def test_a_teacher_that_is_none_is_named() -> None:
    with pytest.raises(InputError, match=r"^teacher: 'nope' is not allowed"):
        Teacher(["nope"], sure=0.9)


def test_teacher_labels_what_it_is_sure_of(pool: SimpleNamespace, tmp_path: Path) -> None:
    """Its share and error are those of what it proposes; what it leaves is nobody's in the queue."""
    options = {"by": "random", "teacher": "default", "teacher_views": "none", "masks": pool.masks, "crop": None}
    said = select(pool, "default", tmp_path / "queue", budget=2, **options).run()
    import_split(
        tmp_path / "queue/images",
        None,
        tmp_path,
        split="real",
        coco=tmp_path / "queue/annotations/instances_default.json",
    )
    sure = wrong = pixels = 0
    for frame in open_split(tmp_path / "real"):
        truth = np.asarray(Image.open(pool.masks / str(frame.spec["source"]).removesuffix(".png")))
        labelled = frame.mask != IGNORE
        pixels, sure = pixels + labelled.size, sure + int(labelled.sum())
        wrong += int((labelled & (frame.mask != truth)).sum())
    teacher = said["teacher"]
    assert teacher["share"] == pytest.approx(sure / pixels) and teacher["error"] == pytest.approx(wrong / sure)
    assert 0 < teacher["share"] < 1 and said["chosen"][0]["teacher_share"] is not None


def test_split_is_a_pool_of_scenes(runs: dict[str, Path], tmp_path: Path) -> None:
    split = write_split(tmp_path / "val", 3, size=(SIDE, SIDE))
    said = select(SimpleNamespace(images=split), runs["efficientnet-lite0"], tmp_path / "queue", crop=None).run()
    assert [unit["id"] for unit in said["units"]] == ["00000", "00001", "00002"]
    assert said["pool"]["labels"] == "split" and len(said["chosen"]) == 2
    assert not (split / "columns").exists()


def test_columns_are_the_uncertainty_of_frames_of_windows_its_mean(runs: dict[str, Path], tmp_path: Path) -> None:
    split = SimpleNamespace(images=write_split(tmp_path / "val", 3, size=(SIDE, 2 * SIDE)))
    said = select(split, runs["efficientnet-lite0"], tmp_path / "queue", columns=True).run()
    frames = open_split(split.images)
    for name in ("entropy", "mutual_information"):
        values = [unit[name] for unit in said["units"]]
        assert frames.column(f"select.{name}") == pytest.approx(np.reshape(values, (3, 2)).mean(axis=1))
    chosen = [unit["id"] for unit in said["chosen"]]
    assert frames.column("select.chosen").tolist() == [
        sum(id.startswith(f"0000{k}@") for id in chosen) for k in range(3)
    ]
    one = select(split, "default", tmp_path / "one", columns=True, by="entropy").run()
    assert list(open_split(split.images).columns) == ["select.entropy", "select.chosen"] and one["model"]["passes"] == 1


def test_label_studio_is_asked_for_by_name(
    pool: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "label_studio_sdk", None)
    with pytest.raises(InputError, match="label_studio_sdk"):
        select(pool, "default", tmp_path / "queue", by="entropy", label_studio=True).run()
    assert list(tmp_path.iterdir()) == []


def test_label_studio_reads_its_strokes(tmp_path: Path) -> None:
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    rgb, classes = draw_frame(0, 0, (40, 56))
    queue = OracleQueue(tmp_path, label_studio=True)
    queue.add(Proposal("a.png", rgb, classes, np.ones(classes.shape, np.float32)))
    queue.finish({})
    (task,) = json.loads((tmp_path / "label_studio.json").read_text())
    strokes = {s["value"]["brushlabels"][0]: s["value"]["rle"] for s in task["predictions"][0]["result"]}
    assert set(strokes) == set(CLASSES)
    drawn = brush.decode_rle(strokes["rock"]).reshape(40, 56, 4)[:, :, 3]
    assert np.array_equal(drawn == 255, classes == ROCK)
