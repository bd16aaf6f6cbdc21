"""What `regolith flythrough` refuses, and films without a rover."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from small_film import SCENE, SMALL

from regolith.lunar import cli
from regolith.lunar.cli import parse_verb
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.verify import verify
from regolith.lunar.flythrough.shots import choose_shots, still_numbers
from regolith.lunar.flythrough.verb import Flythrough
from regolith.lunar.physics.ledger import find_driven


def asked(*words: str) -> Flythrough:
    """The verb by its arguments."""
    verb = parse_verb(Flythrough, "flythrough", [*SCENE, *SMALL, *words])
    assert isinstance(verb, Flythrough)
    return verb


def test_a_glide_under_a_moving_sun(tmp_path: Path) -> None:
    """No rover, no stills: a split whose sun and camera are what was chosen."""
    words = ["--waypoints=-3,0;0,1;3,0", "--sun", "10,350;14,370", "--seconds", "1", "--stills", "none"]
    out = tmp_path / "film"
    assert cli.main(["flythrough", *SCENE, *SMALL, *words, "--steps", "render", "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["frames"]
    assert verify(out / "frames")["problems"] == []
    specs = [record.spec for _, record in sorted(read_journal(out / "frames/train_dr").items())]
    np.testing.assert_allclose([spec["sun_elevation_deg"] for spec in specs], np.linspace(10.0, 14.0, 4))
    np.testing.assert_allclose(
        [spec["sun_azimuth_deg"] for spec in specs], np.array([1050.0, 1070.0, 10.0, 30.0]) / 3.0
    )
    assert specs[0]["camera_x_m"] == pytest.approx(-3.0, abs=1e-6)
    assert len({json.dumps(spec["albedo"]) for spec in specs}) == 1


def test_a_camera_on_keys_looks_at_the_rover(drive: Path, tmp_path: Path) -> None:
    keys = [{"time_s": time, "x_m": -6.0 + time, "y_m": 5.0, "height_m": 1.5} for time in (0.0, 1.0, 2.0)]
    path = tmp_path / "path.json"
    path.write_text(json.dumps({"aim": "rover", "keys": keys}))
    shots = choose_shots(asked("--drive", str(drive), "--path", str(path)))
    assert len(shots.specs) == len(shots.stances) == 8
    for spec, stance in zip(shots.specs, shots.stances, strict=True):
        toward = np.degrees(np.arctan2(stance.y_m - spec.camera_y_m, stance.x_m - spec.camera_x_m)) % 360.0
        assert spec["heading_deg"] == pytest.approx(toward, abs=1e-6)
        assert spec.rover is not None and not spec.rover.carries
    assert still_numbers(asked("--waypoints", "0,0;1,0"), 8) == [0, 2, 4, 6]


def test_a_camera_that_rides_along_sees_what_it_sees_on_the_drive(drive: Path) -> None:
    shots = choose_shots(asked("--drive", str(drive), "--camera.rig", "viper", "--seconds", "1"))
    assert all(spec.carrier is not None for spec in shots.specs)
    with np.load(find_driven(drive, "drive").trajectory) as file:
        at, x = file["time_s"], file["position_m"][:, 0]
    wanted = np.interp(4.0 * np.arange(4) / 4.0, at, x)
    np.testing.assert_allclose([stance.x_m for stance in shots.stances], wanted, atol=1e-9)


REFUSED = {
    "no way": ((), "path: missing"),
    "a path and waypoints": (("--path", "p.yaml", "--waypoints", "0,0;1,1"), "waypoints"),
    "a step": (("--waypoints", "0,0;1,1", "--steps", "paint"), "steps: 'paint'"),
    "odd sides": (("--waypoints", "0,0;1,1", "--size", "65x48"), "size: '65x48'"),
    "a sun": (("--waypoints", "0,0;1,1", "--sun", "95,0"), "sun: '95,0'"),
    "a still": (("--waypoints", "0,0;1,1", "--stills", "9"), "stills: '9'"),
    "one frame": (("--waypoints", "0,0;1,1", "--seconds", "0.2"), "seconds"),
    "beyond the ground": (("--waypoints", "0,0;99,1"), "camera_x_m"),
    "one place": (("--waypoints", "0,0"), "waypoints: '0,0'"),
    "a rig without a rover's drive": (("--waypoints", "0,0;1,1", "--camera.rig", "viper"), "camera.rig"),
    "no drive": (("--drive", "nowhere"), "drive: 'nowhere'"),
    "too long": (("--drive", "{drive}", "--seconds", "60"), "start_s"),
    "another scene": (("--drive", "{drive}", "--rocks.abundance", "0.1,0.1"), "rocks.abundance"),
    "into the rover": (("--drive", "{drive}", "--distance-m", "1", "--seconds", "1"), "path"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_one_line(
    case: str, drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, told = REFUSED[case]
    given = [word.format(drive=drive) for word in words]
    assert cli.main(["flythrough", *SCENE, *SMALL, *given, "--out", str(tmp_path / "film")]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert told in line and len(line) <= 300
    assert not (tmp_path / "film").exists()


def test_steps_want_those_before_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for step in ("overlay", "assemble"):
        line = ["flythrough", *SCENE, "--waypoints", "0,0;1,1", "--steps", step, "--out", str(tmp_path / "film")]
        assert cli.main(line) == 2
        assert "render before it" in capsys.readouterr().err


def test_without_imageio_ffmpeg_the_line_says_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert cli.main(["flythrough", *SCENE, "--waypoints", "0,0;1,1", "--out", str(tmp_path / "film")]) == 2
    line = capsys.readouterr().err
    assert "imageio-ffmpeg" in line and "pip install" in line
    assert not (tmp_path / "film").exists()
