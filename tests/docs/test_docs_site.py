"""The site builds without a warning and holds what it promises."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from doc_pages import ROOT, name

from regolith.lunar import cli


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    out = tmp_path_factory.mktemp("site")
    done = build(ROOT / "docs", out)
    assert done.returncode == 0, done.stderr
    return out


def build(source: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Build pages as `make docs` does."""
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        "html",
        "-q",
        "-W",
        "--keep-going",
        *options,
        str(source),
        str(out),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Page(HTMLParser):
    """Anchors, links and sources of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if value and key in ("id", "name"):
                self.anchors.add(value)
            if value and (key == "src" or (key == "href" and tag in ("a", "link"))):
                self.targets.append(value)
                if tag != "a":
                    self.loaded.append(value)


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site) -> None:
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    assert len(pages) > 20
    broken: list[str] = []
    for path, page in pages.items():
        assert [target for target in page.loaded if urlsplit(target).netloc] == []
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages.get(there)
            if not there.exists() or (parts.fragment and known and unquote(parts.fragment) not in known.anchors):
                broken.append(f"{path.relative_to(site)}: {target}")
    assert broken == []


@pytest.mark.parametrize("verb", list(cli.VERBS))
def test_the_verb_reference_has_every_flag_of_the_help(verb: str, site, capsys) -> None:
    """Each flag that `--help` shows is on the page of verbs, or of parameters."""
    assert cli.main([*verb.split(), "--help"]) == 0
    shown = set(re.findall(r"(?<![\w-])--(?!no-)[a-z][\w.-]*\w", capsys.readouterr().out)) - {"--help"}
    section = (site / "verbs.html").read_text("utf-8").split(f'id="verb-{verb.replace(" ", "-")}"')[1]
    page = section.split("<section")[0] + (site / "parameters.html").read_text("utf-8")
    page += (site / "verbs.html").read_text("utf-8").split("<section")[1]  # what every verb takes
    assert {flag for flag in shown if f">{flag}<" not in page} == set()


def test_pictures_and_pages_are_there(site) -> None:
    for page in ("index", "install", "first-dataset", "randomize", "generate", "export-import", "train", "isaac-sim",
                 "studio", "extend/index", "architecture", "api", "verbs", "parameters", "benchmarks", "models/README",
                 "models/segformer-b0", "ablation/RESULTS", "ablation/pretrained/RESULTS",
                 "quality-features", "quality-gate", "quality-tail", "quality-study", "quality-mixing",
                 "calibrate-camera", "active-learning", "rover", "physics", "calibrate-dynamics", "progressive",
                 "sweep", "policy", "flythrough", "photometry-cameras", "contributing", "changelog"):  # fmt: skip
        assert (site / f"{page}.html").is_file(), page


GONE = {
    "gone.md": "[a page](gone.md)",
    "gone-anchor": "[an anchor](index.md#gone-anchor)",
    "gone.png": "![a picture](gone.png)",
    "params.gone": "{name}`params.gone`",
    "stage/gone.py": "{src}`stage/gone.py`",
    "regolith.lunar.gone": "{py:func}`regolith.lunar.gone`",
}


def test_what_is_gone_fails_the_build(tmp_path) -> None:
    """Each on a page of its own sees to a warning of its own."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text("# Page\n\n" + "\n\n".join(GONE.values()) + "\n")
    done = build(source, tmp_path / "out", "-c", str(ROOT / "docs"))
    assert done.returncode != 0
    assert [name for name in GONE if not re.search(rf"WARNING.*{re.escape(name)}", done.stderr)] == [], done.stderr


LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=name)
def test_links_of_pages_read_on_their_own(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text("utf-8")) if not urlsplit(link).scheme]
    assert links and [link for link in links if not (page.parent / link).exists()] == []


def test_readme_is_short() -> None:
    """At most 900 words, as a word counter counts."""
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= 900
