"""The program around the page: its start, its end, what outlives it."""

import re
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from studio_stand import SMALL, Studio, Tabs, until

from regolith.lunar.jobs.runs import Run, find_runs


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)], ids=["Ctrl+C", "told to end"])
def test_it_ends_soon_in_the_middle_of_its_work(tmp_path: Path, how: signal.Signals, code: int) -> None:
    """Also while the first stage is being built and drawn; another starts on the same port at once."""
    studio = Studio(tmp_path / "w", "--preset=v3")
    port = studio.url.rstrip("/").rpartition(":")[2]
    began = time.monotonic()
    assert studio.end(how) == code
    assert time.monotonic() - began < 5.0  # 2 s where the machine is not busy with other tests
    studio.check()
    again = Studio(tmp_path / "w", *SMALL, port=int(port))
    assert status(again.url) == 200
    assert again.end() == 0
    again.check()


def test_other_machines_are_let_in_by_a_token_that_is_printed_once(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "w", *SMALL, "--host=0.0.0.0")
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
    """The page's first picture at rest; preset v1 is far below the 2.5 GiB the studio may take."""
    tabs.open(studio.url).get_by_text("as exported").wait_for()
    assert psutil.Process(studio.process.pid).memory_info().rss < 2.5 * 2**30
