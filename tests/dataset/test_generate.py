"""Generation on the real renderer: the same bytes however a split was drawn, resume, refusals, redraws."""

import dataclasses
import fcntl
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from split_drawing import FRAMES, PARAMS, digest, draw

from regolith.lunar.dataset import chunked_run
from regolith.lunar.dataset.contract import CONTRACT, COPY, Contract
from regolith.lunar.dataset.layout import JOURNAL, read_journal
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.dataset.plan import plan_chunks
from regolith.lunar.dataset.survey import LOG
from regolith.lunar.dataset.verify import verify
from regolith.lunar.params import InputError, Interval, Params, change_params


@pytest.fixture
def copy(undisturbed: Path, tmp_path: Path) -> Path:
    """A copy of the undisturbed split, to be damaged."""
    return Path(shutil.copytree(undisturbed, tmp_path / "val"))


def with_share(lo: float, hi: float, **changes: Any) -> Params:
    """The test parameters with a range of rock shares."""
    update = {"rock_share": Interval(lo, hi), **changes}
    return PARAMS.model_copy(update={"randomize": PARAMS.randomize.model_copy(update=update)})


def test_split_is_whole(undisturbed: Path) -> None:
    assert verify(undisturbed)["problems"] == []
    assert sorted(read_journal(undisturbed)) == list(range(FRAMES))
    rgb = np.asarray(Image.open(undisturbed / file_name("rgb", 0)))
    depth = np.load(undisturbed / file_name("depth", 0))
    mask = np.asarray(Image.open(undisturbed / file_name("mask", 0)))
    instance = np.asarray(Image.open(undisturbed / file_name("instance", 0)))
    assert rgb.shape == (48, 64, 3) and depth.dtype == np.float32 and instance.dtype == np.uint16
    assert ((instance > 0) == (mask == 1)).all()
    assert (np.isinf(depth) == (mask == 2)).all()
    assert Contract.read(undisturbed).parameters == PARAMS.model_dump(mode="json")


def test_the_left_picture_does_not_tell_whether_there_is_a_right_one(undisturbed: Path, tmp_path: Path) -> None:
    """Splits from before there were pairs have the bytes they had: pictures, labels and, but for the pair, contract."""
    camera = PARAMS.camera.model_copy(update={"baseline_m": 0.0})
    dataset = PARAMS.dataset.model_copy(update={"right": False, "disparity": False})
    draw(tmp_path, PARAMS.model_copy(update={"camera": camera, "dataset": dataset}))
    pair, plain = digest(undisturbed), digest(tmp_path / "val")
    left = [name for name in pair if name.split("/")[0] in ("rgb", "mask", "depth", "instance")]
    assert len(left) == 4 * FRAMES and {name: pair[name] for name in left}.items() <= plain.items()
    assert not any("right" in name or "disparity" in name for name in plain)
    written = Contract.read(tmp_path / "val").parameters
    assert "baseline_m" not in written["camera"] and not written["dataset"].keys() & {"right", "disparity"}


def test_a_number_of_samples_is_of_the_contract(undisturbed: Path, tmp_path: Path) -> None:
    """Pictures change with it, labels do not; a split is gone on with by the number it was begun with."""

    def sampled(count: int) -> Params:
        return PARAMS.model_copy(update={"render": PARAMS.render.model_copy(update={"samples": count})})

    draw(tmp_path, sampled(32))
    few, many = digest(undisturbed), digest(tmp_path / "val")
    assert [name for name in few if few[name] != many[name] and not name.startswith(("rgb", "right"))] == [
        name for name in few if "/" not in name
    ]
    assert all(few[name] != many[name] for name in few if name.startswith("rgb"))
    assert "samples" not in Contract.read(undisturbed).parameters["render"]
    assert Contract.read(tmp_path / "val").params == sampled(32)
    with pytest.raises(InputError, match=r"render\.samples: 64"):
        draw(tmp_path, sampled(64))
    with pytest.raises(
        InputError, match=r"render\.samples: 24 is not allowed; allowed: 0, or a power of two up to 4096"
    ):
        change_params(PARAMS, {"render.samples": "24"})


@pytest.mark.usefixtures("shadowing")
@pytest.mark.parametrize("changes", [{"workers": 2, "chunk_frames": 2}, {"workers": 1}])
def test_processes_write_the_same_bytes(undisturbed: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Chunks of a scene in two processes at once, or all in one, give what one process gives, wherever we are."""
    result = draw(tmp_path, executor="processes", **changes)
    assert digest(tmp_path / "val") == digest(undisturbed)
    log = [json.loads(line) for line in (tmp_path / "val" / LOG).read_text().splitlines()]
    assert sum(chunk["frames"] for chunk in log) == result["drawn"] == FRAMES
    assert len(log) == (3 if "chunk_frames" in changes else 1)
    stages = {"start", "scene", "load", "aim", "render", "wait", "encode", "write"}
    assert all(set(chunk["seconds"]) == stages and chunk["peak_rss"] > 1e8 for chunk in log)


def test_command_template_runs_a_chunk(undisturbed: Path, tmp_path: Path) -> None:
    """What Isaac Sim is started by: any command that takes a task file; here our own interpreter behind a shell."""
    template = f"sh -c '{sys.executable} -m regolith.lunar.dataset.chunk \"$0\"' {{task}}"
    draw(tmp_path, executor="isaac", command=template)
    assert digest(tmp_path / "val") == digest(undisturbed)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"executor": "isaac"}, "command: missing"),
        ({"executor": "isaac", "command": "isaac-sim.sh"}, "command: .*{task}"),
        ({"executor": "isaac", "command": "/no/such/program {task}"}, "command: .*can be started"),
        ({"command": "x {task}"}, "command: .*--executor isaac"),
        ({"executor": "isaac", "command": "x ' {task}"}, "command: .*No closing quotation"),
        ({"address": "auto"}, "address: .*--executor ray"),
        ({"split": "holdout"}, "split: 'holdout'"),
    ],
)
def test_bad_input_leaves_nothing_behind(tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        draw(tmp_path / "out", **changes)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_resume_redraws_only_what_is_missing(undisturbed: Path, tmp_path: Path) -> None:
    """A split cut short, with a lost file and a torn journal line, completes to the bytes of an undisturbed run."""
    split = tmp_path / "val"
    draw(tmp_path, frames=3)
    (split / file_name("mask", 1)).unlink()
    text = (split / JOURNAL).read_bytes()
    (split / JOURNAL).write_bytes(text[:-20])
    result = draw(tmp_path, extend=True)
    assert result["drawn"] == 4 and result["broken"] == [1]
    assert digest(split) == digest(undisturbed)
    assert draw(tmp_path)["drawn"] == 0


def test_damage_is_found_and_redrawn(undisturbed: Path, copy: Path) -> None:
    """Truncated file by its size, a damaged journal line by its digest, a flipped bit where hashes are read."""
    path = copy / file_name("rgb", 3)
    path.write_bytes(path.read_bytes()[:-1])
    journal = (copy / JOURNAL).read_bytes().split(b"\n")
    journal[1] = journal[1].replace(b'"index":1', b'"index":7')
    (copy / JOURNAL).write_bytes(b"\n".join(journal))
    flipped = bytearray((copy / file_name("depth", 4)).read_bytes())
    flipped[200] ^= 4
    (copy / file_name("depth", 4)).write_bytes(flipped)
    notes: list[str] = []
    result = draw(copy.parent, hashes=True, emit=lambda event: notes.append(event.get("message", "")))
    assert result["drawn"] == 3 and result["broken"] == [3, 4]
    assert any("1 damaged journal line" in note for note in notes)
    assert digest(copy) == digest(undisturbed)


def test_extra_files_are_reported_and_stay(undisturbed: Path, copy: Path) -> None:
    for name in ("notes.txt", "rgb/rgb_99999.png", "mask/thumbs.db"):
        (copy / name).write_text("mine")
    (copy / "more").mkdir()
    result = draw(copy.parent)
    assert result["extra"] == ["mask/thumbs.db", "more/", "notes.txt", "rgb/rgb_99999.png"] and result["drawn"] == 0
    assert all((copy / name).exists() for name in result["extra"])


def test_foreign_files_that_look_like_leftovers_stay(undisturbed: Path, copy: Path) -> None:
    """Only temporary files of our own names go, and only from our own folders."""
    (copy / "mine").mkdir()
    foreign = [copy / "mine" / ".notes.2024.tmp", copy / ".notes.7.tmp.json", copy / "rgb" / ".thumb.3.tmp.png"]
    ours = [copy / ".frames.99.tmp.jsonl", copy / "rgb" / ".rgb_00001.99.tmp.png"]
    for path in (*foreign, *ours):
        path.write_text("x")
    draw(copy.parent)
    assert all(path.exists() for path in foreign) and not any(path.exists() for path in ours)


def test_frames_without_their_contract_are_not_taken_over(copy: Path) -> None:
    for name in (CONTRACT, COPY):
        (copy / name).unlink()
    with pytest.raises(InputError, match=r"out: .*a split with its dataset\.json; it is missing"):
        draw(copy.parent, seed=77)
    assert not (copy / CONTRACT).exists()


@pytest.mark.parametrize("name", ["rgb", "rgb/rgb_00000.png", "frames.jsonl", ".lock"])
def test_something_else_in_a_files_place_is_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "val" / name
    path.parent.mkdir(parents=True)
    path.write_text("x") if name == "rgb" else path.mkdir()
    with pytest.raises(InputError, match="out: "):
        draw(tmp_path)


def test_growing_a_split_has_to_be_asked_for(undisturbed: Path, tmp_path: Path) -> None:
    draw(tmp_path, frames=2)
    before = digest(tmp_path / "val")
    for frames in (FRAMES, 1):
        with pytest.raises(InputError, match=rf"frames: {frames} is not allowed; allowed: 2, .*--extend"):
            draw(tmp_path, frames=frames)
    with pytest.raises(InputError, match="frames: 1"):
        draw(tmp_path, frames=1, extend=True)
    assert digest(tmp_path / "val") == before
    assert draw(tmp_path, extend=True)["drawn"] == FRAMES - 2
    assert digest(tmp_path / "val") == digest(undisturbed)


def test_other_parameters_are_refused_naming_the_first_difference(undisturbed: Path) -> None:
    other = PARAMS.model_copy(update={"rocks": PARAMS.rocks.model_copy(update={"exponent": Interval(2.5)})})
    before = digest(undisturbed)
    with pytest.raises(InputError, match=r"rocks\.exponent: \[2\.5, 2\.5\] is not allowed; allowed: \[1\.6, 1\.6\]"):
        draw(undisturbed.parent, other)
    with pytest.raises(InputError, match="seed"):
        draw(undisturbed.parent, seed=6)
    with pytest.raises(InputError, match="size: '32x48' is not allowed; allowed: '64x48'"):
        draw(undisturbed.parent, width=32)
    wider = PARAMS.model_copy(update={"camera": PARAMS.camera.model_copy(update={"baseline_m": 0.0})})
    with pytest.raises(InputError, match=r"camera\.baseline_m: 0.0 is not allowed; allowed: above 0 m"):
        draw(undisturbed.parent, wider)
    deeper = PARAMS.model_copy(update={"dataset": PARAMS.dataset.model_copy(update={"normals": True})})
    with pytest.raises(InputError, match=r"dataset\.normals: True is not allowed; allowed: False"):
        draw(undisturbed.parent, deeper)
    assert digest(undisturbed) == before


def test_another_back_end_is_refused_unless_asked_for(copy: Path) -> None:
    contract = Contract.read(copy)
    dataclasses.replace(contract, renderer=contract.renderer | {"backend": "cuda"}).write(copy)
    with pytest.raises(InputError, match=r"renderer\.backend: .*'cuda'"):
        draw(copy.parent, frames=FRAMES + 1, extend=True)
    assert draw(copy.parent, frames=FRAMES + 1, extend=True, other_backend=True)["drawn"] == 1
    assert [other["backend"] for other in Contract.read(copy).other_renderers] != ["cuda"]
    assert len(Contract.read(copy).other_renderers) == 1
    assert draw(copy.parent, frames=FRAMES + 1)["drawn"] == 0


def test_folder_in_use_is_refused_naming_who(undisturbed: Path) -> None:
    with (undisturbed / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("process 7 on rover")
        file.flush()
        with pytest.raises(InputError, match="no other run is writing to; process 7 on rover is"):
            draw(undisturbed.parent)


def test_rock_share_is_reached_by_redraws(tmp_path: Path) -> None:
    """Frames lie in the range or used up their redraws; the count is recorded; the same bytes every time."""
    params = with_share(0.02, 0.2, redraws=12)
    draw(tmp_path / "a", params)
    records = read_journal(tmp_path / "a" / "val")
    plain = tmp_path / "plain"
    draw(plain)
    shares = {i: r.counts["rock"] / (64 * 48) for i, r in records.items()}
    before = {i: r.counts["rock"] / (64 * 48) for i, r in read_journal(plain / "val").items()}
    assert any(not 0.02 <= share <= 0.2 for share in before.values()), "the range asks for nothing"
    for index, record in records.items():
        assert 0.02 <= shares[index] <= 0.2 or record.redraws == 12
        assert (record.redraws == 0) == (0.02 <= before[index] <= 0.2)
        values = {name: value for name, value in record.spec.items() if not name.startswith(("camera_", "heading"))}
        assert values.items() <= read_journal(plain / "val")[index].spec.items()
    assert sum(0.02 <= share <= 0.2 for share in shares.values()) >= 3
    draw(tmp_path / "b", params, executor="processes")
    assert digest(tmp_path / "a" / "val") == digest(tmp_path / "b" / "val")


def test_nearest_is_kept_where_no_redraw_fits(tmp_path: Path) -> None:
    notes: list[str] = []
    result = draw(
        tmp_path / "a",
        with_share(0.9, 1.0, redraws=2),
        frames=1,
        emit=lambda event: notes.append(event.get("message", "")),
    )
    assert result["outside_rock_share"] == 1 and any("1 of 1 frames lie outside" in note for note in notes)
    record = read_journal(tmp_path / "a" / "val")[0]
    assert record.redraws == 2
    draw(tmp_path / "b", frames=1)
    assert record.counts["rock"] >= read_journal(tmp_path / "b" / "val")[0].counts["rock"]


@pytest.mark.parametrize("executor", ["processes", "in-process"])
def test_too_little_memory_is_refused_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    """What this process holds already counts where it draws itself."""
    held = psutil.Process().memory_info().rss if executor == "in-process" else 0
    monkeypatch.setattr(chunked_run, "available_bytes", lambda: 700_000_000 - held)
    with pytest.raises(InputError, match=r"workers: \d is not allowed; allowed: 1\.20 GB .* 0\.[67]\d GB are"):
        draw(tmp_path / "out", executor=executor, workers=2)
    assert not list(tmp_path.rglob(".chunks")) and not list(tmp_path.rglob(".lock"))


def test_memory_is_measured_by_chunks_that_drew(tmp_path: Path) -> None:
    """An interrupted start and a torn line say nothing of what a worker takes."""
    log = tmp_path / LOG
    none, some = (f'{{"event": "chunk", "seconds": {{}}, "frames": {n}, "peak_rss": {700 * n}}}\n' for n in (0, 3))
    log.write_text(f'{none}{some}{{"event": "chunk", "frames": 9, "peak_r')
    assert chunked_run.measured_need(log) == 2100
    log.write_text(none)
    assert chunked_run.measured_need(log) == chunked_run.WORKER_BYTES


def test_fewer_workers_run_where_memory_is_short(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory for one worker and a half: one runs at a time, a note says so, the bytes are the same."""
    monkeypatch.setattr(chunked_run, "available_bytes", lambda: int(1.5 * chunked_run.WORKER_BYTES))
    notes: list[str] = []
    emit = lambda event: notes.append(event.get("message", ""))  # noqa: E731
    draw(tmp_path, executor="processes", workers=2, chunk_frames=2, emit=emit)
    assert any("1 of 2 workers" in note for note in notes)
    assert digest(tmp_path / "val") == digest(undisturbed)


def test_peak_memory_is_the_process_own() -> None:
    """A small process that a large one starts does not inherit its peak."""
    ballast = np.ones(600_000_000, np.uint8)
    program = "from regolith.lunar.system import peak_bytes; print(peak_bytes())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ballast.nbytes > int(done.stdout) > 10_000_000


@pytest.mark.parametrize(
    ("frames", "workers", "sizes"), [(5, 1, [5]), (5, 2, [2, 3]), (9, 2, [4, 5]), (12, 9, [2] * 6)]
)
def test_chunks_are_whole_scenes(frames: int, workers: int, sizes: list[int]) -> None:
    chunks = list(plan_chunks(PARAMS, range(frames), chunk_frames=100, workers=workers))
    assert sorted(map(len, chunks)) == sorted(sizes) and [i for chunk in chunks for i in chunk] == list(range(frames))
    for chunk in chunks:
        assert chunk[0] % 2 == 0  # two frames a scene
    assert len(list(plan_chunks(PARAMS, range(frames), chunk_frames=1, workers=1))) == (frames + 1) // 2
