"""The rover's picture in a real page: pixel for pixel what export writes, its views, and photographs dropped in."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from studio_stand import SMALL_STAGE, Studio, Tabs, pixels, seen, until_equal

from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.labels import count_classes
from regolith.lunar.params import load_params
from regolith.lunar.perception.overlay import draw_classes
from regolith.lunar.studio.picture import draw_depth

SPLIT = "train_dr"


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the split on show, as `regolith generate` writes them, depth included."""
    params = load_params(SMALL_STAGE)
    params = params.model_copy(update={"dataset": params.dataset.model_copy(update={"depth": True})})
    folder = tmp_path_factory.mktemp("generate")
    generate(params, folder, split=SPLIT, frames=2, width=240, height=180)
    return folder / SPLIT


def exported(split: Path, output: str, index: int = 0) -> np.ndarray:
    """One output of an exported frame."""
    path = split / file_name(output, index)
    return np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path))


def at_rest(page: Page, view: str, *, frame: int = 0, state: str = "exact") -> None:
    """Wait for the whole picture of a view."""
    shot = page.locator(f".rl-shot[data-state={state}][data-view={view}]")
    expect(shot).to_contain_text(f"frame {frame} of {SPLIT}")


def choose(page: Page, view: str) -> None:
    page.get_by_role("button", name=view, exact=True).click()


@pytest.fixture(scope="module")
def opened(studio: Studio, browser: object) -> Iterator[Page]:
    """One page for the tests of this module, past its welcome."""
    tabs = Tabs(browser)  # type: ignore[arg-type]
    page = tabs.open(studio.url, width=1280, height=900)
    at_rest(page, "picture")
    page.get_by_role("button", name="Got it").click()
    yield page
    tabs.close()


def test_the_page_shows_what_export_writes(opened: Page, split: Path) -> None:
    until_equal(opened, exported(split, "rgb"))
    label = opened.locator("label", has_text=re.compile(r"^Frame$"))
    spinner = opened.locator(".mantine-Flex-root").filter(has=label).last.locator("input").first
    for index in (1, 0):
        spinner.fill(str(index))
        spinner.press("Enter")
        at_rest(opened, "picture", frame=index)
        until_equal(opened, exported(split, "rgb", index))


def test_labels_and_depth_are_the_export_s_too(opened: Page, split: Path) -> None:
    mask = exported(split, "mask")
    choose(opened, "Labels")
    at_rest(opened, "labels")
    until_equal(opened, draw_classes(mask))
    counts = count_classes(mask)
    for name in ("rock", "regolith", "sky"):
        expect(opened.locator(f"[data-share={name}]")).to_have_text(f"{100 * counts[name] / mask.size:.1f} %")
    choose(opened, "Depth")
    at_rest(opened, "depth")
    until_equal(opened, draw_depth(exported(split, "depth")))
    opened.keyboard.press("Alt+1")
    at_rest(opened, "picture")
    until_equal(opened, exported(split, "rgb"))


def test_the_model_s_view_is_the_live_preview(opened: Page, split: Path) -> None:
    rgb = exported(split, "rgb")
    choose(opened, "Overlay")
    at_rest(opened, "model")
    expect(opened.locator("[data-share=rock]")).to_be_visible()
    expect(opened.get_by_role("button", name="Stop live preview")).to_be_visible()
    opened.wait_for_function("document.querySelectorAll('.rl-shot').length === 2")  # name and speed of the model
    seen(opened, lambda: (over := pixels(opened)).shape == rgb.shape and bool((over != rgb).any()))
    for label in ("Rock", "Outline", "Regolith"):
        opened.get_by_role("checkbox", name=label).first.uncheck()
    until_equal(opened, rgb)
    choose(opened, "Picture")
    expect(opened.get_by_role("button", name="Start live preview")).to_be_visible()
    expect(opened.locator("[data-share]")).to_have_count(0)


def test_a_photograph_is_segmented(opened: Page) -> None:
    rgb = np.random.default_rng(2).integers(0, 255, (200, 300, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    with opened.expect_file_chooser() as chooser:
        opened.get_by_role("button", name="Segment a photograph").click()
    chooser.value.set_files({"name": "moon.png", "mimeType": "image/png", "buffer": file.getvalue()})
    expect(opened.get_by_text("moon.png · 300×200 px")).to_be_visible()
    expect(opened.locator("[data-share=rock]")).to_be_visible()
    seen(opened, lambda: pixels(opened, 1).shape == (200, 300, 3))
    opened.get_by_role("button", name="Put the photograph away").click()
    expect(opened.locator("img[src^=blob]")).to_have_count(1)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("notes.txt", b"no picture at all", "notes.txt"), ("cut.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF", "cut.jpg")],
)
def test_a_file_that_is_none_gives_a_message(opened: Page, name: str, content: bytes, words: str) -> None:
    with opened.expect_file_chooser() as chooser:
        opened.get_by_role("button", name="Segment a photograph").click()
    chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": content})
    message = opened.get_by_role("alert").filter(has_text=words).filter(has_text="allowed: ")
    expect(message).to_be_visible()
    expect(opened.locator("img[src^=blob]")).to_have_count(1)
    expect(opened.get_by_text("Looking at the photograph")).to_have_count(0)
