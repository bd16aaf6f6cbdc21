"""The program around the page: its start, its end, what outlives it."""

import io
import os
import random
import re
import signal
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from page_wire import WirePage
from PIL import Image
from studio_stand import PATIENCE_S, SMALL, Studio, Tabs, until

from regolith.lunar.jobs.runs import Run, find_runs


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)], ids=["Ctrl+C", "told to end"])
def test_it_ends_in_the_middle_of_its_work(tmp_path: Path, how: signal.Signals, code: int) -> None:
    """Also while the first stage is being built and drawn; another starts on the same port at once."""
    studio = Studio(tmp_path / "w", "--preset=v3", "--size=240x180")
    port = urlsplit(studio.url).port or 0
    assert studio.end(how) == code
    studio.check()
    again = Studio(tmp_path / "w", *SMALL, port=port)
    assert status(again.url) == 200
    assert again.end() == 0
    again.check()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_who_comes_is_let_in_by_a_token_that_is_printed_once(tmp_path: Path, host: str) -> None:
    """This machine's other users and programs are strangers too."""
    studio = Studio(tmp_path / "w", *SMALL, f"--host={host}")
    try:
        (token,) = re.findall(r"token=([\w~.-]+)", studio.log())
        port = re.search(r":(\d+)/", studio.url)
        assert port is not None
        assert status(f"http://127.0.0.1:{port[1]}/") == 401
        assert status(f"http://127.0.0.1:{port[1]}/?token={token}") == 200
    finally:
        assert studio.end() == 0
    assert studio.log().count(token) == 1
    assert token not in "".join(path.read_text() for path in (tmp_path / "w").rglob("*.json"))


def test_the_token_can_be_switched_off(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "w", *SMALL, "--no-token")
    try:
        assert "token" not in studio.url and status(studio.url) == 200
    finally:
        assert studio.end() == 0


def test_companions_outlive_it_and_the_next_one(tmp_path: Path) -> None:
    """Ctrl+C ends the studio and not a companion in its runs folder, nor does the start and end of the next one."""
    studio = Studio(tmp_path / "w", *SMALL)
    runs = tmp_path / "w" / ".studio" / "runs"
    out = tmp_path / "w" / "dataset"
    run = Run.start(
        runs / "evaluate-1", ["sleep", "600"], kind="evaluate", details={"out": str(out)}, env={}, cwd=tmp_path
    )
    assert studio.end(signal.SIGINT) == 130
    assert run.alive
    again = Studio(tmp_path / "w", *SMALL)
    assert [found.kind for found in find_runs(runs) if found.alive] == ["evaluate"]
    assert again.end() == 0
    assert run.alive
    run.kill()
    until(lambda: not run.alive)


def test_it_stays_small(studio: Studio, tabs: Tabs) -> None:
    """The page's first picture at rest; a small stage is far below the 2.5 GiB the studio may take."""
    tabs.open(studio.url).get_by_text("as exported").wait_for()
    assert psutil.Process(studio.process.pid).memory_info().rss < 2.5 * 2**30


def test_photographs_leave_nothing_behind(studio: Studio) -> None:
    """Files of a few kilobytes and up to 100 megapixels; the network at rest takes no more than before them.

    `REGOLITH_PHOTOGRAPHS=50` looks at as many, of any size, and `-s` prints what the studio holds after each.
    """
    process = psutil.Process(studio.process.pid)
    page = WirePage(studio.url)

    def shown(words: str) -> bool:
        page.catch_up()
        return any(words in str(widget.get("content")) for widget in page.widgets.values())

    def look(name: str, image: Image.Image, kind: str) -> None:
        file = io.BytesIO()
        image.save(file, kind)
        page.upload(name, file.getvalue())
        until(lambda: shown(f"{name} ·"))

    try:
        look("first.jpg", Image.new("RGB", (64, 48), (90, 80, 70)), "JPEG")
        before = process.memory_info().rss
        look("one_bit.png", Image.new("1", (10_000, 10_000), 1), "PNG")
        assert shown("its 10000×10000 px reduced to 3334×3334")
        look("wide.jpg", Image.new("RGB", (3001, 777), (90, 80, 70)), "JPEG")
        draw = random.Random(3)
        for number in range(int(os.environ.get("REGOLITH_PHOTOGRAPHS", "3")) - 3):
            width, height = (int(10 ** draw.uniform(1.5, 4.0)) for _ in range(2))
            look(f"{number}.png", Image.new("1", (width, height), number % 2), "PNG")
            print(f"{width}×{height} px: {process.memory_info().rss / 2**20:.0f} MiB, before {before / 2**20:.0f} MiB")
        assert process.memory_info().rss < before + 300 * 2**20 and process.memory_info().rss < 2 * 2**30
    finally:
        page.close()
