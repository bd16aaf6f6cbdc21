"""Our premake5.lua run on NVIDIA's own project functions, with premake's words as no-ops and a recording repo_build.

What this cannot show is repo_build's linking itself, which is on no package index.
"""

import tomllib
from pathlib import Path

import pytest

lupa = pytest.importorskip("lupa.lua53", reason="lupa is not installed (make test-kit installs it)")

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "exts" / "regolith.lunar"
WORDS = """newoption project group kind location files vpaths filter links includedirs defines language workspace
targetdir debugdir debugargs flags buildoptions linkoptions symbols optimize runtime libdirs postbuildcommands
cppdialect warnings disablewarnings architecture platforms configurations rtti staticruntime editandcontinue
externalincludedirs dependson targetname targetprefix targetextension undefines removeflags startproject
prebuildcommands removefiles propertydefinition usage uses exceptionhandling""".split()  # noqa: SIM905


def public_lua() -> Path:
    found = list((ROOT / ".venv-kit").glob("lib/python3*/site-packages/omni/dev/premake5-public.lua"))
    if not found:
        pytest.skip("omniverse-kit with its premake5-public.lua is not installed (make test-kit installs it)")
    return found[0]


class Build:
    """A Lua state as premake5 gives it to a project file; `links` and `copies` are what repo_build was asked for."""

    def __init__(self, tmp_path: Path) -> None:
        self.lua = lua = lupa.LuaRuntime(unpack_returned_tuples=True)
        self.links: list[tuple[str, str]] = []  # those of our own folder
        self.copies: list[tuple[str, str]] = []
        self.written: list[str] = []
        g = lua.globals()
        nothing = lua.eval("function() end")
        for word in WORDS:
            g[word] = nothing
        g.os.isdir = lambda path: (EXTENSION / path).is_dir()
        g.os.isfile = lambda path: (EXTENSION / path).is_file()
        g.os.target = g.os.host = lambda: "linux"
        g.os.chmod = nothing
        g.os.match = lambda pattern: lua.table()
        g.os.matchfiles = lambda pattern: lua.table("libpython3.12.so") if "python" in pattern else lua.table()
        g.path = lua.table(
            getname=lambda p: Path(p).name,
            getbasename=lambda p: Path(p).stem,
            getextension=lambda p: Path(p).suffix,
            getabsolute=lambda p: str((EXTENSION / p).resolve()),
            getrelative=lambda base, p: p,
            normalize=lambda p: p,
        )
        g.premake = lua.table(warn=lambda *words: self.written.append(" ".join(map(str, words))))
        g._OPTIONS = lua.table(**{"platform-target": "linux-x86_64", "platform-host": "linux-x86_64"})
        g._ACTION = "gmake2"
        g.root, g.kit_sdk, g.kit_sdk_bin_dir = str(tmp_path), str(tmp_path / "kit"), str(tmp_path / "kit")
        g.kit_dev_dir = str(tmp_path / "kit" / "dev")
        g.require = lambda name: lua.table(get_python_version=lambda options: "3.12")  # for C++ projects
        self.runners: list[str] = []
        g.repo_build = lua.table(
            get_abs_path=lambda path: str(EXTENSION),
            prebuild_link=lambda pairs: self.links.extend(
                p for p in self._pairs(pairs) if not p[0].startswith("${root}")
            ),
            prebuild_copy=lambda pairs: self.copies.extend(self._pairs(pairs)),
            enable_vstudio_sourcelink=nothing,
            remove_vstudio_jmc=nothing,
            accept_eula=nothing,
            setup_options=nothing,
        )
        lua.execute(public_lua().read_text("utf-8"))
        real = g.define_ext_test_experience
        g.define_ext_test_experience = lambda *a: self.runners.append(a[0])
        assert real is not None
        g.get_current_lua_file_dir = lambda: str(EXTENSION)
        g.get_current_dir_name = lambda: EXTENSION.name

    @staticmethod
    def _pairs(pairs: object) -> list[tuple[str, str]]:
        rows = [list(row.values()) if hasattr(row, "values") else row for row in pairs.values()]
        return [(rows[0], rows[1])] if rows and isinstance(rows[0], str) else [(a, b) for a, b in rows]

    def run(self, text: str) -> None:
        """Run a project file where an unknown global is an error."""
        strict = self.lua.eval(
            """function(text)
                local known = setmetatable({}, { __index = function(_, name)
                    local value = _G[name]
                    if value == nil then error("unknown word " .. name) end
                    return value
                end })
                return assert(load(text, "premake5.lua", "t", known))()
            end"""
        )
        strict(text)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


def test_every_linked_folder_exists_and_holds_what_the_manifest_names(build: Build) -> None:
    build.run((EXTENSION / "premake5.lua").read_text("utf-8"))
    sources = {source for source, _ in build.links}
    assert {"config", "data", "docs", "regolith"} <= sources
    assert all((EXTENSION / source).is_dir() for source in sources)
    for source, target in build.links:
        assert target.endswith(f"/{EXTENSION.name}/{source}")
    manifest = tomllib.loads((EXTENSION / "config" / "extension.toml").read_text("utf-8"))
    named = [manifest["package"][key] for key in ("readme", "changelog", "icon", "preview_image")]
    named += manifest["documentation"]["pages"]
    for path in named:
        assert Path(path).parts[0] in sources and (EXTENSION / path).is_file(), path
    for module in manifest["python"]["module"]:
        parts = module["name"].split(".")
        assert parts[0] in sources
        assert (EXTENSION.joinpath(*parts).with_suffix(".py")).is_file() or EXTENSION.joinpath(*parts).is_dir()


def test_one_test_runner_and_no_licence_of_nvidias(build: Build) -> None:
    build.run((EXTENSION / "premake5.lua").read_text("utf-8"))
    assert build.runners == ["regolith.lunar"]
    assert not [pair for pair in build.copies if "license-templates" in pair[0]]


@pytest.mark.parametrize(
    "typo", [("project_ext", "projet_ext"), ("prebuild_link", "prebuild_lnk"), ('"data"', '"dta"')]
)
def test_a_typo_does_not_pass(build: Build, typo: tuple[str, str]) -> None:
    """The check above can fail."""
    text = (EXTENSION / "premake5.lua").read_text("utf-8").replace(*typo)
    with pytest.raises((lupa.LuaError, AssertionError)):
        build.run(text)
        assert all((EXTENSION / source).is_dir() for source, _ in build.links)


def test_the_top_file_says_where_it_belongs() -> None:
    lua = lupa.LuaRuntime()
    lua.globals().os.isfile = lambda path: False
    with pytest.raises(lupa.LuaError, match="repo_kit_tools checkout"):
        lua.execute((ROOT / "premake5.lua").read_text("utf-8"))
    ran = []
    lua.globals().os.isfile, lua.globals().dofile = (lambda path: True), ran.append
    lua.execute((ROOT / "premake5.lua").read_text("utf-8"))
    assert ran == ["_repo/deps/repo_kit_tools/kit-template/premake5.lua"]
