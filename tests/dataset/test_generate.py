"""Generation on the real renderer: the same bytes however a split was drawn, resume, refusals, redraws."""

import fcntl
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from split_drawing import FRAMES, PARAMS, digest, draw

from regolith.lunar.dataset import generate as generate_module
from regolith.lunar.dataset.layout import JOURNAL, file_name, read_contract, read_journal, write_contract
from regolith.lunar.dataset.plan import plan_chunks
from regolith.lunar.dataset.survey import LOG
from regolith.lunar.dataset.verify import verify
from regolith.lunar.jobs.memory import available_bytes
from regolith.lunar.params import InputError, Interval, Params


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
    assert read_contract(undisturbed)["parameters"] == PARAMS.model_dump(mode="json")


@pytest.mark.parametrize("changes", [{"workers": 2, "chunk_frames": 2}, {"workers": 1}])
def test_processes_write_the_same_bytes(undisturbed: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Chunks of a scene in two processes at once, or all in one, give what one process gives."""
    result = draw(tmp_path, executor="processes", **changes)
    assert digest(tmp_path / "val") == digest(undisturbed)
    log = [json.loads(line) for line in (tmp_path / "val" / LOG).read_text().splitlines()]
    assert sum(chunk["frames"] for chunk in log) == result["drawn"] == FRAMES
    assert len(log) == (3 if "chunk_frames" in changes else 1)
    stages = {"start", "scene", "load", "aim", "render", "wait", "encode", "write"}
    assert all(set(chunk["seconds"]) == stages and chunk["peak_rss"] > 1e8 for chunk in log)


def test_command_template_runs_a_chunk(undisturbed: Path, tmp_path: Path) -> None:
    """What Isaac Sim is started by: any command that takes a task file; here our own interpreter behind a shell."""
    import sys

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
        ({"address": "auto"}, "address: .*--executor ray"),
        ({"split": "holdout"}, "split: 'holdout'"),
    ],
)
def test_bad_input_leaves_nothing_behind(tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        draw(tmp_path / "out", **changes)
    assert not list(tmp_path.rglob("dataset.json")) and not list(tmp_path.rglob("rgb"))


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
    with pytest.raises(InputError, match="size"):
        draw(undisturbed.parent, width=32)
    assert digest(undisturbed) == before


def test_another_back_end_is_refused_unless_asked_for(copy: Path) -> None:
    contract = read_contract(copy)
    contract["renderer"]["backend"] = "cuda"
    write_contract(copy, contract)
    with pytest.raises(InputError, match=r"renderer\.backend: .*'cuda'"):
        draw(copy.parent, frames=FRAMES + 1, extend=True)
    assert draw(copy.parent, frames=FRAMES + 1, extend=True, other_backend=True)["drawn"] == 1


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
    draw(tmp_path / "a", with_share(0.9, 1.0, redraws=2), frames=1)
    record = read_journal(tmp_path / "a" / "val")[0]
    assert record.redraws == 2
    draw(tmp_path / "b", frames=1)
    assert record.counts["rock"] >= read_journal(tmp_path / "b" / "val")[0].counts["rock"]


def test_too_little_memory_is_refused_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_module, "available_bytes", lambda: 700_000_000)
    with pytest.raises(InputError, match=r"workers: 2 is not allowed; allowed: 1\.20 GB .* 0\.70 GB are"):
        draw(tmp_path, executor="processes", workers=2)


def test_fewer_workers_run_where_memory_is_short(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory for one worker and a half: one runs at a time, a note says so, the bytes are the same."""
    monkeypatch.setattr(generate_module, "available_bytes", lambda: int(1.5 * generate_module.WORKER_BYTES))
    notes: list[str] = []
    emit = lambda event: notes.append(event.get("message", ""))  # noqa: E731
    draw(tmp_path, executor="processes", workers=2, chunk_frames=2, emit=emit)
    assert any("1 of 2 workers" in note for note in notes)
    assert digest(tmp_path / "val") == digest(undisturbed)


def test_container_limits_count(tmp_path: Path) -> None:
    """The smaller of the system's free memory and the control group's rest, its page cache counted as free."""
    folder = tmp_path / "sys/fs/cgroup"
    folder.mkdir(parents=True)
    (folder / "memory.max").write_text("3000000000\n")
    (folder / "memory.current").write_text("2500000000\n")
    (folder / "memory.stat").write_text("anon 5\ninactive_file 400000000\nactive_file 7\n")
    assert available_bytes(tmp_path) == min(available_bytes(Path("/")), 900_000_000)
    (folder / "memory.max").write_text("max\n")
    assert available_bytes(tmp_path) > 1_000_000_000


@pytest.mark.parametrize(
    ("frames", "workers", "sizes"), [(5, 1, [5]), (5, 2, [2, 3]), (9, 2, [4, 5]), (12, 9, [2] * 6)]
)
def test_chunks_are_whole_scenes(frames: int, workers: int, sizes: list[int]) -> None:
    chunks = plan_chunks(PARAMS, range(frames), chunk_frames=100, workers=workers)
    assert sorted(map(len, chunks)) == sorted(sizes) and [i for chunk in chunks for i in chunk] == list(range(frames))
    for chunk in chunks:
        assert chunk[0] % 2 == 0  # two frames a scene
    assert len(plan_chunks(PARAMS, range(frames), chunk_frames=1, workers=1)) == (frames + 1) // 2
