"""Rerun recordings: verified and listed by Rerun's own program, where its package is installed."""

import re
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from small_split import write_split

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.export import export
from regolith.lunar.params import InputError

WORKS = find_spec("rerun") is not None


@pytest.mark.skipif(WORKS, reason="rerun is installed")
def test_without_the_package_it_is_named(tmp_path: Path) -> None:
    write_split(tmp_path / "val", 1)
    with pytest.raises(InputError, match=r"to: 'rerun' .* rerun is not; .*pip install .*rerun"):
        export(tmp_path / "val", tmp_path / "out", to="rerun")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not WORKS, reason="needs the extra `rerun`")
def test_the_viewer_takes_it(tmp_path: Path) -> None:
    write_split(tmp_path / "val", 3)
    export(tmp_path / "val", tmp_path / "out", to="rerun")
    program = [sys.executable, "-m", "rerun", "rrd"]
    recording = str(tmp_path / "out/val.rrd")
    subprocess.run([*program, "verify", recording], check=True, capture_output=True)
    listed = subprocess.run([*program, "print", recording], check=True, capture_output=True, text=True).stdout
    rows: Counter[str] = Counter()
    for count, entity in re.findall(r"with (\d+) rows \([^)]*\) - (/\S*) ", listed):
        rows[entity] += int(count)
    outputs = [f"/world/camera/{name}" for name in ("rgb", "classes", "depth", "instance")]
    assert {rows[name] for name in (*outputs, "/world/sun", "/spec/sun_elevation_deg")} == {3}, rows


@pytest.mark.skipif(not WORKS, reason="needs the extra `rerun`")
def test_imported_frames_have_no_camera(tmp_path: Path) -> None:
    split = write_split(tmp_path / "val", 1)
    Contract.of_import(split="val", frames=1, width=32, height=32).write(split)
    with pytest.raises(InputError, match="generated"):
        export(split, tmp_path / "out", to="rerun")
