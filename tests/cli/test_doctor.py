"""`regolith doctor`: what it tries, what it says, and when it ends with 1."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from regolith.lunar import cli, machine_checks, system
from regolith.lunar.doctor import Doctor, check_nodes
from regolith.lunar.machine_checks import Check
from regolith.lunar.params import InputError

CORE = '{"app": {"tokens": {"kit_version": "%s+feature.386251.187cf21b.gl", "usd_version": "25.11"}}}'
RENDERER = {"name": "mitsuba", "mitsuba": "3.9.1", "numpy": "2.4.6", "llvm": "19.1", "backend": "llvm"}


def test_everything_is_tried_and_nothing_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, result = tmp_path / "data", tmp_path / "result.json"
    folder.mkdir()
    assert cli.main(["doctor", "--folder", str(folder), "--json", str(result)]) == 0
    checks = {check["name"]: check for check in json.loads(result.read_text())["checks"]}
    for name in ("packages", "renderer", "training", "cores", "memory", "inference", "shipped files", "folder"):
        assert checks[name]["state"] == "ok", checks[name]
    assert checks.keys() >= {"LLVM", "CUDA", "Kit", "Chromium", "studio", "many machines", "export formats"}
    llvm = checks["LLVM"]
    assert "scalar takes" in llvm["found"] if llvm["state"] == "ok" else "libllvm" in llvm["advice"]
    assert "CPU" in checks["inference"]["found"] and "MB/s" in checks["folder"]["found"]
    assert list(folder.iterdir()) == []
    shown = capsys.readouterr().out
    assert all(name in shown for name in checks)


def test_what_the_main_job_needs_decides_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = [Check("CUDA", "absent", "none"), Check("memory", "failed", "0.1 GB", "1.2 GB for a worker", needed=True)]
    monkeypatch.setattr("regolith.lunar.doctor.check_machine", lambda folder: checks)
    assert cli.main(["doctor", "--json", str(tmp_path / "r.json")]) == 1
    out, err = capsys.readouterr()
    assert err == "regolith: what is needed does not work: memory\n" and "→ 1.2 GB for a worker" in out
    assert [check["state"] for check in json.loads((tmp_path / "r.json").read_text())["checks"]] == ["absent", "failed"]
    del checks[1]
    assert cli.main(["doctor"]) == 0


def test_missing_packages_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["numpy>=99", "no-such-package==1.0", "pillow>=1"]
    monkeypatch.setattr(machine_checks, "requirements", lambda extra: wanted)
    check = machine_checks.check_packages("train")
    assert check.stops and check.found.startswith("numpy 2.") and check.found.endswith("no no-such-package")
    assert check.advice == f"{sys.executable} -m pip install 'numpy>=99' no-such-package==1.0"
    assert machine_checks.check_packages("export").state == "absent"
    del wanted[:2]
    assert machine_checks.check_packages("train").state == "ok"


def test_renderer_that_draws_nothing_stops() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such variant')"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as drawing:
        renderer, llvm = machine_checks.check_renderer(drawing, None)
    assert renderer.stops and renderer.found == "draws nothing: no such variant"
    assert llvm.state == "absent" and not llvm.needed and "DRJIT_LIBLLVM_PATH" in llvm.advice


def test_too_little_memory_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "available_bytes", lambda: 700_000_000)
    check = machine_checks.check_memory()
    assert check.stops and check.found.startswith("0.7 GB free of ")


def test_model_that_does_not_load_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regolith.lunar.perception.model_files.shipped_models", lambda: {})
    check = machine_checks.check_inference(gpu=False)
    assert check.stops and "ships no model" in check.found


def test_folder_that_takes_no_files_stops() -> None:
    check = machine_checks.check_folder(Path("/proc"))
    assert check.stops and check.found.startswith("/proc: takes no files (")


def test_locks_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_checks.check_folder(tmp_path).found.endswith(", locks")

    def none_here(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(system.fcntl, "flock", none_here)
    check = machine_checks.check_folder(tmp_path)
    assert check.found.endswith(", no locks") and "two runs" in check.advice and not check.stops


@pytest.mark.parametrize(
    ("version", "kit", "state"),
    [
        ("5.1.0-rc.19+release.26219.9c81211b.gl", "107.3.3", "ok"),
        ("6.2.0-rc.14+release.52805.02189a84.gl", "110.4.0", "ok"),
        ("6.0.1", None, "ok"),
        ("4.5.0-rc.36+release.19112.f59b3005.gl", "106.5.0", "failed"),
        ("7.0.0", None, "failed"),
        ("5.1.0", "110.4.0", "failed"),
    ],
)
@pytest.mark.parametrize("inner", ["", "isaacsim"])
def test_isaac_sim_by_its_version(tmp_path: Path, version: str, kit: str | None, state: str, inner: str) -> None:
    home = tmp_path / inner
    home.mkdir(exist_ok=True)
    (home / "VERSION").write_text(version + "\n")
    if kit is not None:
        core = home / "kit/kernel/config/kit-core.json"
        core.parent.mkdir(parents=True)
        core.write_text(CORE % kit)
    check = machine_checks.check_isaac(tmp_path)
    assert check.state == state and check.found == f"{version}, Kit {kit or 'not found'}"
    assert bool(check.advice) == (state == "failed")


@pytest.mark.parametrize("content", [None, "", "a word", "6\n"])
def test_a_folder_without_isaac_sim_is_bad_input(
    tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "VERSION").write_text(content)
    assert cli.main(["doctor", "--isaac", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"regolith: isaac: '{tmp_path}' is not allowed; allowed: a folder of Isaac Sim, with its VERSION\n"
    )


def test_folder_that_is_none_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^folder: "):
        Doctor(folder=tmp_path / "nowhere").run()


def test_nodes_stand_side_by_side_and_equal_ones_share_a_column() -> None:
    def node(**changes: Any) -> dict[str, Any]:
        return {"python": "3.11.7", "regolith": "0.2.0", "renderer": RENDERER | changes}

    nodes = {f"host{number}": node() for number in range(5)} | {"odd": node(numpy="2.3.0")}
    table = Doctor().summary({"checks": [], "nodes": nodes}).splitlines()
    assert any("and 2 more" in line for line in table)
    (row,) = [line.split() for line in table if line.startswith("numpy")]
    assert row == ["numpy", "2.4.6", "2.3.0"]
    check = check_nodes(nodes)
    assert check.stops and check.found == "renderer.numpy is '2.3.0' on odd, '2.4.6' on host0"
    del nodes["odd"]
    assert not check_nodes(nodes).stops and check_nodes({}).stops
    nodes["host0"] = node() | {"python": "3.11.9"}
    assert not check_nodes(nodes).stops, "no byte depends on it"
