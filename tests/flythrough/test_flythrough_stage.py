"""A film of a drive over a stage file: what is on the stage is filmed, and the camera keeps clear of it."""

from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom
from small_film import SCENE, SMALL

from regolith.lunar import cli
from regolith.lunar.cli import parse_verb
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.verify import verify
from regolith.lunar.files import file_digest
from regolith.lunar.flythrough.overlay import read_mask, read_picture
from regolith.lunar.flythrough.shots import choose_shots
from regolith.lunar.flythrough.surroundings import read_surroundings
from regolith.lunar.flythrough.verb import Flythrough
from regolith.lunar.labels import IGNORE, ROCK
from regolith.lunar.params import InputError
from regolith.lunar.randomize import draw_scene, narrowed
from regolith.lunar.render.mitsuba import MitsubaRenderer
from regolith.lunar.stage import schema
from regolith.lunar.stage.author import build_scene
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.spec import FrameSpec

ROVER = ("--rover.model", "viper")
FILM = ("--seconds", "0.75", "--speed", "4", "--stills", "0.25")
ROCK_AT = (-0.5, -5.0)
"""Where a rock of the stage is moved to [m]: below the camera's way."""


def asked(*words: str) -> Flythrough:
    """The verb by its arguments."""
    verb = parse_verb(Flythrough, "flythrough", [*SCENE, *ROVER, *SMALL, *words])
    assert isinstance(verb, Flythrough)
    return verb


@pytest.fixture(scope="module", name="authored")
def fixture_authored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stage file as it is authored."""
    path = tmp_path_factory.mktemp("stage") / "authored.usdc"
    assert cli.main(["author", *SCENE, *ROVER, "--seed", "8", "--size", "32", "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module", name="stage")
def fixture_stage(authored: Path) -> Path:
    """The stage with its largest rock elsewhere."""
    path = authored.with_name("stage.usdc")
    stage = Usd.Stage.Open(str(authored))
    rock = UsdGeom.Xformable(stage.GetPrimAtPath(schema.ROCKS).GetChildren()[0])
    rock.GetOrderedXformOps()[0].Set(Gf.Vec3d(*ROCK_AT, 0.5))
    rock.GetOrderedXformOps()[2].Set(Gf.Vec3f(0.8, 0.8, 0.8))
    stage.Export(str(path))
    return path


@pytest.fixture(scope="module", name="over")
def fixture_over(stage: Path) -> Path:
    """Folder of a drive over it."""
    out = stage.with_name("over")
    way = ("--waypoints=-1.5,0;1.5,0", "--time-max-s", "12", "--avoid", "none", "--soil", "none", "--seed", "3")
    line = ["traverse", *SCENE, *ROVER, *way, "--stage", str(stage), "--out", str(out), "--events"]
    assert cli.main(line) == 0
    return out


def test_ground_and_rocks_of_a_stage_are_those_of_its_scene(authored: Path) -> None:
    params = asked("--waypoints", "0,0;1,1").params
    found = read_surroundings(authored, params)
    scene = build_scene(narrowed(params, "train_dr"), draw_scene(params, 8, "train_dr", 0))
    assert len(found.rocks.meshes) == len(scene.rocks) > 10
    np.testing.assert_allclose(found.rocks.position, scene.rocks.position, atol=1e-9)
    np.testing.assert_allclose(found.rocks.radius, scene.rocks.radius, rtol=1e-4)
    np.testing.assert_allclose(found.rocks.mesh(3).points, scene.rocks.mesh(3).points, atol=1e-4)
    x, y = np.random.default_rng(0).uniform(-8.0, 8.0, (2, 200))
    np.testing.assert_allclose(found.terrain.height(x, y), scene.terrain.height(x, y), atol=1e-5)


def test_the_camera_rises_over_what_the_stage_has(authored: Path, stage: Path, over: Path, tmp_path: Path) -> None:
    """Over the rock where it lies now, not where its scene had it."""
    x, y = ROCK_AT
    keys = [f"{{time_s: {time}, x_m: {x}, y_m: {y - 2 + 2 * time}, height_m: 0.5}}" for time in (0, 1, 2)]
    path = tmp_path / "path.yaml"
    path.write_text(f"aim: rover\nkeys: [{', '.join(keys)}]\n")
    shots = choose_shots(asked("--drive", str(over), "--path", str(path)))
    around = read_surroundings(stage, shots.params)
    top = around.rocks.mesh(0).points[:, 2].max()
    above = [spec for spec in shots.specs if abs(spec.camera_y_m - y) < 0.3]
    assert above and all(spec.camera_z_m > top + shots.params.camera.clearance_m for spec in above)
    plain = read_surroundings(authored, shots.params)
    ground = float(plain.terrain.height(np.array([x]), np.array([y]))[0])
    assert top > ground + 0.6  # which is what it had to rise over


def test_frames_show_the_stage(stage: Path, over: Path, tmp_path: Path) -> None:
    """Frames, inset and stills are splits that verify, drawn on that file; the rover moves."""
    out = tmp_path / "film"
    line = ["flythrough", *SCENE, *ROVER, *SMALL, "--drive", str(over), *FILM]
    assert cli.main([*line, "--steps", "render", "--executor", "in-process", "--out", str(out)]) == 0
    for part in ("frames", "inset", "stills"):
        split = out / part / "train_dr"
        assert verify(split)["problems"] == []
        views = Contract.read(split).views
        assert views["stage"] == str(stage.resolve()) and views["stage_sha256"] == file_digest(stage)
    split = out / "frames/train_dr"
    params = Contract.read(split).params
    specs = [FrameSpec.from_dict(record.spec) for _, record in sorted(read_journal(split).items())]
    assert specs[0].rover is not None and specs[2].rover is not None
    assert specs[2].rover.x_m > specs[0].rover.x_m + 0.2
    renderer, opened = MitsubaRenderer("auto"), Usd.Stage.Open(str(stage))
    opened = renderer.load(opened)
    apply_frame(opened, params, specs[1], 160, 90)
    frame = renderer.render(160, 90, quality="draft")
    np.testing.assert_array_equal(frame.mask, read_mask(split, 1))
    np.testing.assert_array_equal(frame.rgb, read_picture(split, 1))
    assert {ROCK, IGNORE} <= set(np.unique(frame.mask).tolist())


def test_what_does_not_fit_a_stage_is_refused(stage: Path, over: Path) -> None:
    """Parameters of another scene than the stage says it shows, Isaac Sim, and a stage that is another one by now."""
    with pytest.raises(InputError, match=r"rocks\.abundance"):
        choose_shots(asked("--drive", str(over), "--rocks.abundance", "0.1,0.1"))
    with pytest.raises(InputError, match="executor: 'isaac'"):
        choose_shots(asked("--drive", str(over), "--executor", "isaac", "--command", "worker {task}"))
    data = stage.read_bytes()
    stage.write_bytes(data + b"\n")
    with pytest.raises(InputError, match=r"drive: .* a drive whose stage, .*stage\.usdc, is there as it was"):
        choose_shots(asked("--drive", str(over)))
    stage.write_bytes(data)
