"""Fixtures of the studio's tests; `studio_stand` says what they are.

`studio`: the real program on a small stage, one for a module. `page`: a Chromium page on it. `stand`: a bare server
with loop and workspace for tests of one part, one for a module; with `tabs.open(stand.url)` as its page.
Whatever went wrong in a page or in the log fails the test at its end.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from studio_stand import PATIENCE_S, SMALL, Stand, Studio, Tabs

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
]  # fmt: skip

expect.set_options(timeout=1000 * PATIENCE_S)  # the browser shares the processor with the tests


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium, one for a module: while Playwright is open, no other test of the process can run a loop."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def tabs(browser: Browser) -> Iterator[Tabs]:
    """Pages of it, closed and checked at the end."""
    made = Tabs(browser)
    yield made
    made.close()


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """The studio on a stage that is quick to build; its log has to be clean."""
    made = Studio(tmp_path_factory.mktemp("workspace"), *SMALL)
    yield made
    made.end()
    made.clear()
    made.check()


@pytest.fixture
def page(studio: Studio, tabs: Tabs) -> Page:
    """A page of the studio, 1280×720."""
    return tabs.open(studio.url)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A bare server for one part."""
    made = Stand(tmp_path_factory.mktemp("stand"))
    yield made
    made.close()
