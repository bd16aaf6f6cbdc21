"""Every name of carb, omni and isaacsim that we use, its keywords and settings, against code that NVIDIA published.

What is looked for is read off our own sources. It has to occur in the Python sources and settings of Isaac Sim 6.2's
wheels, in the stubs of the installed kernel or the binding of omni.ui; what occurs in none of them stands in a
table here, with the file of a public repository that has it.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import re
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import EXTS, ROOT, Kit
from test_kit_api import HOSTS, LUNAR, WINDOWS, calls, host_names, root, signatures, site
from test_kit_api import SOURCES as OURS

ISAAC = ROOT / ".venv-kit" / "isaac"
WHEELS = ("core", "gui", "replicator", "app", "test")
"""Of Isaac Sim, by their names after `isaacsim-`."""
TOPS = (*HOSTS, "isaacsim")
PATH = re.compile(r"(?<![\w/.])/(?:rtx|rtx-transient|app|omni|exts|persistent|renderer|log)(?:/[\w.-]+)+(?![\w./-])")
"""A setting, wherever it is written out."""
OWN = "regolith.lunar"
MEMBERS = ("viewport_api",)
"""Attributes that hand out something of Kit's where nothing of it is imported."""

POST = "StanfordVL/OmniGibson@0961222: omnigibson/renderer_settings/post_processing_settings.py"
QUALITY = "isaac-sim/IsaacLab@05d1723: apps/rendering_modes/quality.kit"
BACKGROUND = (
    "isaac-sim/IsaacLab@01f4244: source/isaaclab_ov/isaaclab_ov/renderers/ovrtx_usd.py, as omni:rtx:background:"
)
CAMERA_LIGHT = (
    "NVIDIAGameWorks/toolkit-remix@65ede84: source/extensions/lightspeed.event.camera_light/lightspeed/event/"
    "camera_light/core.py"
)
REMIX = "NVIDIAGameWorks/toolkit-remix@65ede84: source/extensions/"
KIT_COMMANDS = "omni.kit.commands 1.4.10, config/python_api.md, as every Isaac Sim 5.1 has it"
REPLICATOR = "omni.replicator.core 1.12.27, scripts/{}, as every Isaac Sim 5.1 has it"
SETTINGS = {
    "/app/viewport/grid/enabled": "isaac-sim/IsaacSim v6.0.1: source/apps/isaacsim.exp.base.kit",
    "/app/viewport/outline/enabled": "isaac-sim/IsaacSim v6.0.1: source/apps/isaacsim.exp.base.kit",
    "/exts/omni.kit.test/testExts/0": "isaac-sim/IsaacSim v6.0.1: premake5-isaacsim.lua",
    "/log/file": "Carbonite SDK manual, Logging",
    "/rtx/ambientOcclusion/enabled": QUALITY,
    "/rtx/background/source/color": BACKGROUND + "source:color",
    "/rtx/background/source/type": BACKGROUND + "source:type",
    "/rtx/indirectDiffuse/enabled": QUALITY,
    "/rtx/post/chromaticAberration/enabled": POST,
    "/rtx/post/dlss/execMode": "isaac-sim/IsaacSim v5.1.0 and v6.0.1: source/apps/isaacsim.exp.base.kit",
    "/rtx/post/dof/enabled": POST,
    "/rtx/post/histogram/enabled": POST,
    "/rtx/post/lensFlares/enabled": POST,
    "/rtx/post/motionblur/enabled": POST,
    "/rtx/post/tvNoise/enabled": POST,
    "/rtx/sceneDb/ambientLightIntensity": QUALITY,
    "/rtx/useViewLightingMode": CAMERA_LIGHT,
}
"""Settings that none of the wheels has, with the public file that has them."""
MEMBERS_ELSEWHERE = {
    "AnnotatorError": REPLICATOR.format("annotators.py"),
    "AnnotatorRegistryError": REPLICATOR.format("annotators.py"),
    "get_redo_stack": KIT_COMMANDS,
    "get_stage_url": "isaac-sim/IsaacSim v6.0.1: .claude/skills/isaac-sim-remote/scripts/open_stage.py",
    "get_undo_stack": REMIX + "lightspeed.trex.control.stagecraft/lightspeed/trex/control/stagecraft/setup.py",
    "has_pending_edit": "isaac-sim/IsaacSim v6.0.1: source/deprecated/isaacsim.robot_setup.wizard/isaacsim/"
    "robot_setup/wizard/pages/prepare_files.py",
    "set_filename": "isaac-sim/IsaacSim v6.0.1: source/extensions/isaacsim.asset.gen.omap.ui/isaacsim/asset/gen/omap/"
    "ui/extension.py",
    "set_pending_edit": REMIX + "lightspeed.event.save_global_muteness/lightspeed/event/save_global_muteness/core.py",
}
"""The same of functions, classes and attributes."""
MODULES = {
    "omni.kit.commands.register": REMIX + "lightspeed.trex.commands/lightspeed/trex/commands/custom_commands.py",
    "omni.kit.commands.unregister": KIT_COMMANDS,
    "omni.kit.undo.disabled": REMIX + "lightspeed.event.capture_persp_to_persp/lightspeed/event/"
    "capture_persp_to_persp/core.py",
    "omni.kit.undo.get_redo_stack": KIT_COMMANDS,
    "omni.kit.undo.get_undo_stack": REMIX + "lightspeed.trex.control.stagecraft/lightspeed/trex/control/stagecraft/"
    "setup.py",
    "omni.kit.undo.redo": REMIX + "lightspeed.trex.commands/lightspeed/trex/commands/tests/unit/commands.py",
}
"""The same of what is taken off a module."""
KEYWORDS = {
    ("step", "rt_subframes"): "isaac-sim/IsaacSim v6.0.1: skills/data-collection-sim/SKILL.md",
    ("step", "delta_time"): "isaac-sim/IsaacSim v6.0.1: skills/data-collection-sim/SKILL.md",
}
"""The same of keywords."""
TEXTS = {"HdrColor": REPLICATOR.format("annotators.py")}
"""The same of names that are no Python."""
EXTENSIONS = {
    "omni.kit.commands": "isaac-sim/IsaacSim v6.0.1: source/extensions/isaacsim.examples.browser/config/extension.toml",
    "omni.kit.pip_archive": "isaac-sim/IsaacSim v6.0.1: source/extensions/omni.pip.compute/config/extension.toml",
    "omni.pip.compute": "isaac-sim/IsaacSim v6.0.1: source/apps/isaacsim.exp.base.kit",
}
"""The same of extensions we depend on."""


def literals(text: str) -> set[str]:
    """Settings written out in a text."""
    return set(PATH.findall(text))


def flat(table: Any, path: str = "") -> Iterator[str]:
    """Settings of a table of TOML, and those its texts name."""
    if isinstance(table, dict):
        for key, value in table.items():
            yield from flat(value, f"{path}/{key}")
    else:
        yield path
        yield from literals(str(table))


@dataclasses.dataclass
class Names:
    """What code uses or offers."""

    modules: set[str] = dataclasses.field(default_factory=set)
    """Modules of `TOPS`, and what is taken from them, by their full names."""
    members: set[str] = dataclasses.field(default_factory=set)
    """Functions, classes and attributes, by their own names."""
    keywords: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    """Callee and keyword."""
    settings: set[str] = dataclasses.field(default_factory=set)
    extensions: set[str] = dataclasses.field(default_factory=set)
    """Extensions depended on or there."""
    texts: set[str] = dataclasses.field(default_factory=set)
    """Texts of one word."""


def parsed(path: Path) -> ast.Module | None:
    with warnings.catch_warnings(action="ignore"):  # odd escapes in others' texts
        try:
            return ast.parse(path.read_text("utf-8", errors="replace"))
        except SyntaxError:
            return None


def imported(tree: ast.Module) -> tuple[set[str], dict[str, str]]:
    """Modules of `TOPS` a module imports, names taken from them included, and what its own names stand for."""
    modules: set[str] = set()
    stands: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in TOPS:
                    modules.add(alias.name)
                    stands[alias.asname or alias.name.split(".")[0]] = alias.name if alias.asname else ""
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in TOPS:
            for alias in node.names:
                modules |= {node.module, f"{node.module}.{alias.name}"}
                stands[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return modules, stands


def chain(node: ast.Attribute, stands: dict[str, str]) -> str:
    """Full name of an attribute of a module that is imported; empty for any other."""
    names: list[str] = []
    base: ast.expr = node
    while isinstance(base, ast.Attribute):
        names.append(base.attr)
        base = base.value
    if not isinstance(base, ast.Name) or base.id not in stands:
        return ""
    return ".".join([stands[base.id] or base.id, *reversed(names)])


def defined(node: ast.AST) -> Iterator[str]:
    """Names a statement defines, attributes among them."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    for target in (
        node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    ):
        for each in target.elts if isinstance(target, ast.Tuple) else [target]:
            if isinstance(each, (ast.Name, ast.Attribute)):
                yield each.id if isinstance(each, ast.Name) else each.attr


def read_theirs() -> Names:
    """What NVIDIA's own code has."""
    names = Names()
    kernel = [path for path in (site() / "kernel" / "py").rglob("*.py*") if path.suffix in (".py", ".pyi")]
    for path in (*ISAAC.rglob("*.py"), *kernel):
        if "pip_prebundle" in path.parts:  # what others wrote
            continue
        tree = parsed(path)
        if tree is None:
            continue
        modules, stands = imported(tree)
        names.modules |= modules
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                names.members.add(node.attr)
                names.modules.add(chain(node, stands))
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names.members.add(node.name)
                if not isinstance(node, ast.ClassDef):
                    names.keywords |= {(node.name, each.arg) for each in (*node.args.args, *node.args.kwonlyargs)}
            elif isinstance(node, ast.alias):
                names.members.add(node.name.split(".")[-1])
            elif isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else root(node.func)
                names.keywords |= {(called, keyword.arg) for keyword in node.keywords if keyword.arg}
                names.keywords |= {
                    (called, key.value)
                    for argument in node.args
                    if isinstance(argument, ast.Dict)
                    for key in argument.keys
                    if isinstance(key, ast.Constant) and isinstance(key.value, str)
                }
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.settings |= literals(node.value)
                names.texts |= {node.value} if " " not in node.value else set()
    for name, parameters in signatures(iter(kernel)).items():  # of bindings too, which tell them in their texts
        names.keywords |= {(name, parameter) for parameter in parameters}
    for path in (site() / "ui").glob("_ui.*"):  # the binding, with the names it gives Python
        names.members |= {word.decode() for word in re.findall(rb"[A-Za-z]\w+", path.read_bytes())}
    names.extensions |= {path.name for path in (site() / "extscore").iterdir()}
    for path in (*ISAAC.rglob("*.toml"), *ISAAC.rglob("*.kit"), *(site() / "apps").rglob("*.kit")):
        text = path.read_text("utf-8", errors="replace")
        names.settings |= literals(text)
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            continue
        names.settings |= set(flat(table.get("settings", {})))
        names.extensions |= {path.parents[1].name, *table.get("dependencies", {})}
    return names


@functools.cache
def read_module(path: Path, text: str) -> tuple[Names, set[str]]:
    """What one of our modules uses, and what it defines itself."""
    names = Names()
    tree = ast.parse(text)
    names.settings |= {
        setting
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for setting in literals(node.value)
    }
    own = {name for node in ast.walk(tree) for name in defined(node)}
    if path not in OURS and not any(member in text for member in MEMBERS):
        return names, own
    modules, stands = imported(tree)
    hosts = host_names(tree) | {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and any(ast.unparse(node.value).endswith(f".{m}") for m in MEMBERS)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    names.modules |= modules
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and root(node) in hosts - {"self"}:
            names.members.add(node.attr)
            names.modules.add(chain(node, stands))
    for call in calls(path):  # those of omni.ui are held against its headers by test_kit_api
        if not call.command and call.first != "ui" and call.called not in WINDOWS:
            names.keywords |= {(call.called, keyword) for keyword in call.keywords}
    return names, own


def read_ours() -> Names:
    """What we use."""
    names = Names()
    own: set[str] = set()
    """What we define ourselves: where one is a member of theirs as well, its calls tell."""
    for path in sorted(LUNAR.rglob("*.py")):
        uses, defines = read_module(path, path.read_text("utf-8"))
        own |= defines
        for field in dataclasses.fields(Names):
            getattr(names, field.name).update(getattr(uses, field.name))
    names.members -= own
    names.modules = {name for name in names.modules if name and not name.startswith("omni.ui.")}
    manifest = tomllib.loads((EXTS / OWN / "config" / "extension.toml").read_text("utf-8"))
    names.extensions |= set(manifest["dependencies"])
    names.settings |= set(flat(manifest["settings"])) | literals(str(manifest["test"]))
    names.settings = {setting for setting in names.settings if OWN not in setting}
    return names


@pytest.fixture(scope="module")
def ours() -> Names:
    return read_ours()


@pytest.fixture(scope="module")
def theirs() -> Names:
    missing = [name for name in WHEELS if not list(ISAAC.glob(f"isaacsim_{name}-*.dist-info"))]
    if missing:
        pytest.skip(f"without the wheels isaacsim-{{{','.join(missing)}}} (make test-kit fetches them)")
    return read_theirs()


def unknown(used: set[Any], there: set[Any], elsewhere: dict[Any, str]) -> list[Any]:
    """What we use that neither the wheels nor the table has."""
    return sorted(used - there - elsewhere.keys())


def test_everything_we_use_of_kit_is_in_nvidias_own_code(ours: Names, theirs: Names) -> None:
    assert unknown(ours.modules, theirs.modules, MODULES) == []
    assert unknown(ours.members, theirs.members, MEMBERS_ELSEWHERE) == []
    assert unknown(ours.keywords, theirs.keywords, KEYWORDS) == []
    assert unknown(ours.settings, theirs.settings, SETTINGS) == []
    assert unknown(ours.extensions, theirs.extensions, EXTENSIONS) == []


def test_the_tables_name_nothing_else(ours: Names, theirs: Names) -> None:
    """What we no longer use, or what the wheels have by now, goes out of them."""
    assert MODULES.keys() <= ours.modules - theirs.modules
    assert MEMBERS_ELSEWHERE.keys() <= ours.members - theirs.members
    assert KEYWORDS.keys() <= ours.keywords - theirs.keywords
    assert SETTINGS.keys() <= ours.settings - theirs.settings
    assert EXTENSIONS.keys() <= ours.extensions - theirs.extensions


def test_enough_is_looked_at(ours: Names) -> None:
    sizes = [len(names) for names in (ours.modules, ours.members, ours.keywords, ours.settings, ours.extensions)]
    assert all(size >= least for size, least in zip(sizes, (50, 90, 15, 30, 10), strict=True)), sizes


def test_what_is_told_in_texts_is_nvidias(lunar: Kit, theirs: Names) -> None:
    """Names that are no Python: of annotators, of what a camera is given, of how a worker starts."""
    from regolith.lunar.dataset.isaac_worker import launch_config
    from regolith.lunar.render.capture_layer import EXPOSURE_SCHEMAS, RTX_NEUTRAL
    from regolith.lunar.render.product import ANNOTATORS

    assert launch_config([]).keys() <= theirs.texts
    wanted = {theirs_name for theirs_name, _, _ in ANNOTATORS.values()} | {*EXPOSURE_SCHEMAS, *RTX_NEUTRAL}
    assert wanted - theirs.texts == TEXTS.keys()
    parameters = {name for _, options, _ in ANNOTATORS.values() for name in options}
    assert parameters <= {keyword for _, keyword in theirs.keywords} | theirs.texts


@pytest.mark.parametrize(
    ("where", "right", "wrong"),
    [
        ("render/rtx.py", "get_stage_loading_status", "get_stage_load_status"),
        ("render/rtx.py", "get_timeline_interface", "get_timeline_iface"),
        ("render/rtx.py", "/rtx/ecoMode/enabled", "/rtx/ecomode/enabled"),
        ("render/rtx.py", "observer_name=OBSERVER", "observername=OBSERVER"),
        ("kit/live.py", "api.render_product_path", "api.renderproduct_path"),
        ("kit/adapter.py", "click_apply_handler=", "apply_handler="),
    ],
)
def test_a_name_that_is_not_theirs_is_seen(
    theirs: Names, monkeypatch: pytest.MonkeyPatch, where: str, right: str, wrong: str
) -> None:
    """The check above can fail."""
    text = (LUNAR / where).read_text("utf-8")
    assert right in text
    read = Path.read_text
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda self, *a, **k: text.replace(right, wrong) if self == LUNAR / where else read(self, *a, **k),
    )
    with pytest.raises(AssertionError):
        test_everything_we_use_of_kit_is_in_nvidias_own_code(read_ours(), theirs)
