"""Frames of a film by headless Isaac Sim, through a Replicator that draws: paths are traced, the rover is posed."""

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest
from kit_doubles import environment, running_app
from pxr import UsdGeom

from regolith.lunar import cli
from regolith.lunar.dataset.chunk import ChunkTask, draw_task
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.verify import verify
from regolith.lunar.flythrough.overlay import read_mask
from regolith.lunar.labels import IGNORE
from regolith.lunar.reading import read_json
from regolith.lunar.stage import schema
from regolith.lunar.stage.pose import rover_matrix
from regolith.lunar.stage.spec import FrameSpec

WORKER = f"{environment()} {sys.executable} -m regolith.lunar.dataset.isaac_worker {{task}}"
PARTS = {"frames": 3, "inset": 3, "stills": 1}


@pytest.fixture(scope="module", name="isaac")
def fixture_isaac(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is rendered of the film of the drive, by workers that a command starts."""
    out = tmp_path_factory.mktemp("isaac") / "film"
    assert cli.main([*words, "--steps", "render", "--executor", "isaac", "--command", WORKER, "--out", str(out)]) == 0
    return out


def test_labels_are_those_of_the_embedded_renderers_film(film: Path, isaac: Path) -> None:
    """Rover and all; frames, stills and inset are splits that verify, and say what drew them."""
    for part, count in PARTS.items():
        ours, theirs = (folder / part / "train_dr" for folder in (film, isaac))
        assert verify(theirs)["problems"] == []
        assert Contract.read(theirs).renderer["name"] == "replicator"
        assert [record.spec for record in read_journal(theirs).values()] == [
            record.spec for record in read_journal(ours).values()
        ]
        for index in range(count):
            mask = read_mask(theirs, index)
            np.testing.assert_array_equal(mask, read_mask(ours, index))
            assert (mask == IGNORE).any()


def test_the_number_of_samples_is_that_of_the_quality_unless_another_is_asked_for(film: Path, isaac: Path) -> None:
    split = "frames/train_dr"
    assert Contract.read(film / split).params.render.samples == 0
    assert Contract.read(isaac / split).params.render.samples == 4


def test_paths_are_traced_and_the_rover_is_where_the_drive_has_it(isaac: Path, tmp_path: Path) -> None:
    """On the stage that is open in the app, frame by frame."""
    split = isaac / "frames/train_dr"
    specs = [FrameSpec.from_dict(record.spec) for _, record in sorted(read_journal(split).items())]
    (tmp_path / "views.jsonl").write_bytes((split / "views.jsonl").read_bytes())
    task = ChunkTask(tmp_path / "task.json", tmp_path, Contract.read(split), (0, 1, 2), other_backend=True)

    async def draw() -> None:
        from regolith.lunar.render.replicator import ReplicatorRenderer

        with running_app() as kit:
            async for index in draw_task(task, lambda task: ReplicatorRenderer()):
                settings = kit.settings.values
                assert settings["/rtx/rendermode"] == "PathTracing" and settings["/rtx/pathtracing/totalSpp"] == 4
                stance = specs[index].rover
                assert stance is not None
                rover = kit.context.get_stage().GetPrimAtPath(schema.ROVER)
                place = UsdGeom.XformCache().GetLocalToWorldTransform(rover)
                np.testing.assert_allclose(np.array(place), rover_matrix(stance), atol=1e-12)

    asyncio.run(draw())
    assert read_json(task.result)["error"] is None
    for index in range(3):
        np.testing.assert_array_equal(read_mask(tmp_path, index), read_mask(split, index))


def test_a_film_in_isaac_sim_wants_its_command(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "--executor", "isaac", "--out", str(tmp_path / "film")]) == 2
    assert "command" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "film").exists()
