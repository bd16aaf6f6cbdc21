"""A short drive and a film of it, at a size that is drawn in moments."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_film import SCENE, SMALL

from regolith.lunar import cli


@pytest.fixture(scope="session", name="drive")
def fixture_drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a drive of some seconds."""
    out = tmp_path_factory.mktemp("driven") / "drive"
    way = ("--distance-m", "3", "--time-max-s", "12", "--seed", "3", "--avoid", "labels", "--soil", "none")
    assert cli.main(["traverse", *SCENE, "--rover.model", "viper", *way, "--out", str(out), "--events"]) == 0
    return out


@pytest.fixture(scope="session", name="words")
def fixture_words(drive: Path) -> list[str]:
    """Command line of a film of three frames along the drive, but for its folder."""
    film = ["--seconds", "0.75", "--speed", "4", "--distance-m", "5", "--stills", "0.25", "--title", "A drive"]
    return ["flythrough", *SCENE, *SMALL, "--drive", str(drive), *film]


@pytest.fixture(scope="session", name="film")
def fixture_film(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of that film."""
    out = tmp_path_factory.mktemp("film") / "film"
    assert cli.main([*words, "--out", str(out)]) == 0
    return out
