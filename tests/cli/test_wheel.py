"""The wheels, installed outside the checkout: every verb works from there, on each Python the machine has."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regolith.lunar import __version__
from regolith.lunar.perception.model_files import SEPARATE
from regolith.lunar.render.backend import find_llvm

ROOT = Path(__file__).parents[2]
LARGEST = 25 * 10**6
"""Most bytes a wheel may have."""
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = ("3.11", "3.12", "3.13")

HELP = """
import sys
from regolith.lunar import cli
for verb, (module, _, _) in cli.VERBS.items():
    if sys.argv[1] == "with torch" or not module.startswith("training."):
        assert cli.main([*verb.split(), "--help"]) == 0, verb
sys.exit(cli.main(["--version"]))
"""

WORK = """
import sys
from pathlib import Path
import regolith.lunar
from regolith.lunar import cli
from regolith.lunar.machine import install_command

assert Path(regolith.lunar.__file__).is_relative_to(sys.prefix), regolith.lunar.__file__
for line in Path(sys.argv[1]).read_text().splitlines():
    code = cli.main(line.split())
    assert code == 0, f"{line}: {code}"
print(install_command("ray"))
"""


def build(source: Path, out: Path) -> Path:
    """Build a wheel of a folder as `pip wheel` does, offline, with the setuptools that is here."""
    code = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)], cwd=source, capture_output=True, text=True, check=True
    )
    return out / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The distribution's wheel, and that of the other models."""
    folder = tmp_path_factory.mktemp("wheels")
    source = folder / "source"
    for name in ("exts", "training", "models"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    return [build(source, folder), build(source / "models", folder)]


def find_python(version: str) -> str | None:
    """An interpreter of a version: this one, one on the path, or one of pyenv's."""
    if version == HERE:
        return sys.executable
    roots = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions").glob(f"{version}.*/bin/python")
    for found in (*map(str, sorted(roots)), shutil.which(f"python{version}")):
        if found and subprocess.run([found, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
            return found
    return None


def dependencies(version: str) -> list[str]:
    """Folders with what the package needs, for an interpreter of a version; `make pythons` makes those of others."""
    if version == HERE:
        return [path for path in sys.path if path.endswith("site-packages")]
    site = Path(sys.prefix) / "pythons" / version
    return [str(site)] if site.is_dir() else []


class Installed:
    """A wheel in an environment of its own, in which nothing of the checkout can be imported."""

    def __init__(self, version: str, folder: Path, wheel: Path) -> None:
        python = find_python(version)
        if python is None:
            pytest.skip(f"no Python {version} here")
        needed = dependencies(version)
        if not needed:
            pytest.skip(f"no packages for Python {version} here; `make pythons` installs them")
        self.version, self.home, self.work = version, folder / "env", folder / "work"
        subprocess.run([python, "-m", "venv", "--without-pip", str(self.home)], check=True)
        self.work.mkdir()
        self.python = self.home / "bin" / "python"
        (site,) = self.home.glob("lib/*/site-packages")
        (site / "dependencies.pth").write_text("\n".join(needed) + "\n")
        self.install(wheel)
        self.environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        library = find_llvm()
        if library is not None:
            self.environment["DRJIT_LIBLLVM_PATH"] = str(library)

    def install(self, wheel: Path) -> None:
        """Install a wheel alone, offline."""
        pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(self.python), "install"]
        subprocess.run([*pip, "--no-index", "--no-deps", "--no-compile", str(wheel)], check=True, capture_output=True)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in a folder of its own."""
        program = self.home / "bin" / command[0]
        return subprocess.run(
            [program, *command[1:]], cwd=self.work, env=self.environment, capture_output=True, text=True, check=False
        )  # fmt: skip


@pytest.fixture(scope="module", params=PYTHONS)
def installed(
    request: pytest.FixtureRequest, wheels: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """The wheel on each Python."""
    return Installed(request.param, tmp_path_factory.mktemp("installed"), wheels[0])


def test_wheels_are_small_and_hold_what_is_needed(wheels: list[Path]) -> None:
    names = [set(zipfile.ZipFile(wheel).namelist()) for wheel in wheels]
    assert [wheel.name for wheel in wheels if wheel.stat().st_size > LARGEST] == []
    assert not names[0] & names[1], "one would overwrite files of the other"
    folder = "regolith/lunar/models/"
    models = {name.removeprefix(folder) for name in names[0] | names[1] if name.startswith(folder)}
    paths = [
        *(ROOT / "models").glob("*.json"),
        *(ROOT / "models").glob("*.onnx"),
        *(ROOT / "models/starts").glob("*/*"),
    ]
    shipped = {path.relative_to(ROOT / "models").as_posix() for path in paths}
    assert models == shipped
    separate = {Path(name).stem for name in names[1] if name.endswith(".onnx")}
    assert separate == set(SEPARATE)
    code = {
        path.relative_to(ROOT / "exts/regolith.lunar").as_posix()
        for path in (ROOT / "exts/regolith.lunar/regolith").rglob("*")
        if path.suffix in (".py", ".yaml", ".json", ".j2", ".typed")
    }
    assert {name for name in code if "/tests/" not in name} <= names[0]
    assert {f"training/{path.relative_to(ROOT / 'training').as_posix()}"
            for path in (ROOT / "training").rglob("*.py")} <= names[0]  # fmt: skip


def test_versions_are_equal(wheels: list[Path]) -> None:
    """The package's number is the one source; Kit and the models' distribution want it written once more each."""
    extension = tomllib.loads((ROOT / "exts/regolith.lunar/config/extension.toml").read_text("utf-8"))
    assert extension["package"]["version"] == __version__
    assert {wheel.name.split("-")[1] for wheel in wheels} == {__version__}
    for name in ("CHANGELOG.md", "exts/regolith.lunar/docs/CHANGELOG.md"):
        dated = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / name).read_text("utf-8"), re.MULTILINE)
        assert dated[0] == __version__, name


def test_every_verb_shows_its_help(installed: Installed) -> None:
    """On a Python without torch, of those that do not need it."""
    torch = "with torch" if installed.version == HERE else "without torch"
    done = installed.run("python", "-P", "-c", HELP, torch)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"regolith.lunar {__version__}\n")


def test_verbs_do_their_work(installed: Installed) -> None:
    """Author, generate, verify and evaluate with the shipped model; on the Python that has torch, train."""
    photographs = installed.work / "photographs"
    photographs.mkdir()
    grain = np.random.default_rng(0).normal(0, 9, (48, 64, 1)) + np.linspace(40, 200, 64)[:, None]
    Image.fromarray(np.repeat(grain.clip(0, 255).astype(np.uint8), 3, axis=2)).save(photographs / "a.png")
    small = "--preset v1 --size 32 --executor in-process --terrain.cell-m 0.5 --out data"
    lines = [
        "author --preset v1 --size 64 --terrain.cell-m 0.5 --out stage.usda",
        f"generate {small} --split train_dr --frames 4",
        f"generate {small} --split val --frames 2",
        "verify data",
        "evaluate real --model default --images photographs --out real --json real.json",
    ]
    if installed.version == HERE:
        recipe = "--init random --epochs 1 --batch 2 --warmup-steps 1 --amp off --threads 1"
        lines.append(f"train --train-split data/train_dr --val-split data/val --out run {recipe}")
    (installed.work / "lines").write_text("\n".join(lines))
    done = installed.run("python", "-P", "-c", WORK, "lines")
    assert done.returncode == 0, done.stderr
    assert json.loads((installed.work / "real.json").read_text("utf-8"))["photographs"] == 1
    assert (installed.work / "run/best.pt").is_file() == (installed.version == HERE)
    assert done.stdout.splitlines()[-1] == f"{installed.python} -m pip install 'ray>=2.40'"


def test_other_models_are_named_until_they_are_installed(installed: Installed, wheels: list[Path]) -> None:
    line = ["regolith", "evaluate", "real", "--model", "segformer-b0", "--images", "photographs", "--out", "other"]
    done = installed.run(*line)
    assert done.returncode == 2 and "the wheel regolith-lunar-models holds this one" in done.stderr
    installed.install(wheels[1])
    code = "from regolith.lunar.perception.model_files import shipped_models; print(*shipped_models())"
    found = installed.run("python", "-P", "-c", code).stdout.split()
    assert found == ["default", "default-fp16", *SEPARATE]


def test_studio_is_served(installed: Installed) -> None:
    process = subprocess.Popen(
        [installed.home / "bin/regolith", "studio", "--workspace=space", "--port=0", "--preset=v1", "--size=64x64"],
        cwd=installed.work, env=installed.environment | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if url := re.search(r"http://\S+", line):
                browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
                browser.open(url[0], timeout=120).close()  # takes the token for a cookie, and leads to the page
                with browser.open(url[0].partition("?")[0], timeout=120) as page:
                    assert page.status == 200 and b"<html" in page.read().lower()
                break
        else:
            pytest.fail("".join(said))
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
