"""A film of a drive: splits that verify, the model's overlay, every frame in the film, and nothing lost by a kill."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regolith.lunar import cli
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.verify import verify
from regolith.lunar.files import file_digest
from regolith.lunar.flythrough.assemble import NOTE, Source
from regolith.lunar.flythrough.encode import count_frames, write_gif
from regolith.lunar.flythrough.hud import Caption, draw_hud, title_opacity
from regolith.lunar.flythrough.overlay import RIM_SHARE, read_mask, read_overlays, read_picture, seen_name
from regolith.lunar.labels import IGNORE, ROCK, SKY
from regolith.lunar.params import InputError
from regolith.lunar.perception.overlay import ROCK_COLOR, class_layer, draw_overlay
from regolith.lunar.reading import read_json

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed (the extra film)")

FRAMES, SIZE = 3, (160, 90)


def contents(folder: Path) -> dict[str, bytes]:
    """Everything of a film's folder but logs."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(".log.jsonl"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_what_is_rendered_are_splits_that_verify(film: Path) -> None:
    for part, frames in (("frames", FRAMES), ("inset", FRAMES), ("stills", 1)):
        found = verify(film / part)
        assert found["problems"] == [] and found["frames"] == frames, part
    records, rides = (read_journal(film / part / "train_dr") for part in ("frames", "inset"))
    times = [records[index].spec["time_s"] for index in range(FRAMES)]
    np.testing.assert_allclose(times, np.arange(FRAMES) / 4.0)
    assert all(records[index].counts["ignore"] > 0 for index in range(FRAMES))  # the rover is in every frame
    for index in range(FRAMES):
        seen, ridden = records[index].spec["rover"], rides[index].spec["rover"]
        assert not seen["carries"] and ridden["carries"]
        assert {**seen, "carries": True} == ridden
    moved = [records[index].spec["rover"]["x_m"] for index in (0, FRAMES - 1)]
    assert moved[0] != moved[1]
    assert Contract.read(film / "frames/train_dr").views["made_by"] == "flythrough"


def test_the_overlay_is_red_on_rock_and_leaves_the_sky(film: Path) -> None:
    seen_rock = 0
    for index in range(FRAMES):
        split = film / "frames/train_dr"
        rgb, labels = read_picture(split, index), read_mask(split, index)
        with Image.open(film / "overlay/frames" / seen_name(index)) as file:
            seen = np.asarray(file)
        drawn = Source(split, film / "overlay/frames").overlaid(index)
        assert (seen[labels == IGNORE] == IGNORE).all()
        clear = (seen == SKY) | (seen == IGNORE)
        np.testing.assert_array_equal(drawn[clear], rgb[clear])
        rock = seen == ROCK
        outline = class_layer(seen)[..., 3] == 255
        assert (drawn[outline] == ROCK_COLOR).all()
        red = drawn.astype(int)[..., 0] - drawn[..., 1]
        assert (red[rock & ~outline] > 50).all()  # of grey stone
        np.testing.assert_array_equal(drawn, draw_overlay(rgb, seen))
        seen_rock += int(rock.sum())
    assert 0.0 < RIM_SHARE < 0.05 and seen_rock > 0


def test_every_frame_is_in_the_film_in_its_place(film: Path) -> None:
    for name in ("film.mp4", "plate.mp4"):
        assert count_frames(film / name) == FRAMES
    reader = imageio_ffmpeg.read_frames(str(film / "film.mp4"))
    about = next(reader)
    assert about["codec"] == "h264" and tuple(about["size"]) == SIZE and about["fps"] == 4.0
    shown = [np.frombuffer(frame, np.uint8).reshape(SIZE[1], SIZE[0], 3).astype(int) for frame in reader]
    frames = Source(film / "frames/train_dr", film / "overlay/frames")
    inset = Source(film / "inset/train_dr", film / "overlay/inset")
    records = read_journal(frames.split)
    wanted = []
    for index, line in enumerate(read_overlays(frames.split, frames.overlays)):
        opacity, sun = title_opacity(index / 4.0, 0.75), records[index].spec["sun_elevation_deg"]
        caption = Caption(
            "A drive", "", opacity, index + 1, FRAMES, index / 4.0, line["rock_share"], sun, "HazCam front left"
        )
        wanted.append(draw_hud(frames.overlaid(index), caption, inset.overlaid(index)).astype(int))
    for index, picture in enumerate(shown):
        apart = [np.abs(picture - other).mean() for other in wanted]
        assert np.argmin(apart) == index and apart[index] < 8.0


def test_stills_plates_and_gif(film: Path) -> None:
    with Image.open(film / "still_00001.png") as still, Image.open(film / "plate_00001.png") as plate:
        assert still.size == plate.size == (192, 108)
        np.testing.assert_array_equal(np.asarray(plate), read_picture(film / "stills/train_dr", 0))
    with Image.open(film / "film.gif") as gif:
        assert gif.n_frames == FRAMES  # pyright: ignore[reportAttributeAccessIssue]
    assert (film / "film.gif").stat().st_size <= 4e6
    note = read_json(film / NOTE)
    assert note["frames"] == FRAMES and note["files"].keys() == {
        "film.mp4", "plate.mp4", "film.gif", "still_00001.png", "plate_00001.png"
    }  # fmt: skip
    assert all(file_digest(film / name) == sha256 for name, sha256 in note["files"].items())


def test_a_gif_is_made_smaller_until_it_fits(film: Path, tmp_path: Path) -> None:
    large = (film / "film.gif").stat().st_size
    write_gif(tmp_path / "small.gif", film / "film.mp4", most_bytes=large // 2, width=160, fps=4)
    assert (tmp_path / "small.gif").stat().st_size <= large // 2
    with pytest.raises(InputError, match="gif_mb"):
        write_gif(tmp_path / "none.gif", film / "film.mp4", most_bytes=100, width=160, fps=4)
    assert not (tmp_path / "none.gif").exists()


def test_the_same_command_again_draws_nothing(film: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in film.rglob("*.png")} | {
        path: path.stat().st_mtime_ns for path in film.glob("film.*")
    }
    assert cli.main([*words, "--out", str(film)]) == 0
    capsys.readouterr()
    assert {path: path.stat().st_mtime_ns for path in before} == before


STEPS = {
    "render": "frames/train_dr/rgb/*.png",
    "overlay": "overlay/frames/overlay_*.png",
    "assemble": ".film.*.tmp.mp4",
}
"""Step to a file that shows that it is under way."""
MADE = {"render": ("frames", "inset", "stills"), "overlay": "overlay"}
"""Step to folders it fills."""


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_loses_nothing(film: Path, words: list[str], tmp_path: Path, step: str) -> None:
    """Killed while a step is under way, the same command comes to the same bytes."""
    out, words = tmp_path / "film", [*words, "--steps", step]
    wanted = {name: data for name, data in contents(film).items() if step == "assemble" or name.startswith(MADE[step])}
    if step != "render":
        shutil.copytree(film, out)
        for path in (*out.glob("*.*"), *(out.glob("overlay/*/*") if step == "overlay" else ())):
            path.unlink()
    command = [sys.executable, "-m", "regolith.lunar.cli", *words, "--out", str(out)]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while run.poll() is None and not next(out.glob(STEPS[step]), None):
        time.sleep(0.005)
    run.kill()
    run.wait()
    assert cli.main([*words, "--out", str(out)]) == 0
    made = contents(out)
    assert wanted.keys() <= made.keys()
    assert [name for name in wanted if made[name] != wanted[name]] == []


def test_a_title_has_the_characters_that_the_first_font_lacks() -> None:
    """No two of them look alike, as boxes would; a title without them is as it was."""

    def drawn(title: str) -> bytes:
        caption = Caption(title, "", 1.0, 1, 1, 0.0, 0.0, 0.0)
        return draw_hud(np.zeros((270, 480, 3), np.uint8), caption).tobytes()

    strange = "×é–ä→²"
    assert len({drawn(f"Moon {character}") for character in strange}) == len(strange)
    assert drawn("Moon x") != drawn("Moon ×")
