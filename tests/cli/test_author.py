"""`regolith author`: the pictures beside the stage are its own."""

from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from regolith.lunar import cli

ARGS = ["author", "--preset", "v1", "--size", "64"]


@pytest.mark.parametrize("name", ["stage.png", "sizes.png"])
def test_a_picture_that_author_did_not_make_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    Image.new("L", (8, 8), 7).save(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    assert cli.main([*ARGS, "--out", str(tmp_path / "stage.usda")]) == 2
    assert f"{name} is not author's" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_bytes() == before


def test_its_own_are_drawn_again(tmp_path: Path) -> None:
    made = PngInfo()
    made.add_text("Software", "regolith.lunar")
    for name in ("stage.png", "sizes.png"):
        Image.new("L", (8, 8), 7).save(tmp_path / name, pnginfo=made)
    assert cli.main([*ARGS, "--out", str(tmp_path / "stage.usdc")]) == 0
    for name in ("stage.png", "sizes.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.width >= 64 and picture.info["Software"] == "regolith.lunar"
