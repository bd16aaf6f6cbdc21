"""The rover's picture in a real page: pixel for pixel what export writes, its views, and photographs dropped in."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from studio_stand import Studio, Tabs

from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.layout import file_name
from regolith.lunar.labels import count_classes
from regolith.lunar.params import load_preset
from regolith.lunar.perception.overlay import draw_classes
from regolith.lunar.studio.picture import draw_depth

SPLIT = "train_dr"
PIXELS = """async (img) => {
  await img.decode();
  const canvas = Object.assign(document.createElement("canvas"), {width: img.naturalWidth, height: img.naturalHeight});
  const context = canvas.getContext("2d");
  context.drawImage(img, 0, 0);
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let text = "";
  for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
  return [canvas.height, canvas.width, btoa(text)];
}"""


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the split on show, as `regolith generate` writes them, depth included."""
    params = load_preset("v1")
    params = params.model_copy(update={"dataset": params.dataset.model_copy(update={"depth": True})})
    folder = tmp_path_factory.mktemp("export")
    generate(params, folder, split=SPLIT, frames=2, width=240, height=180)
    return folder / SPLIT


def exported(split: Path, output: str, index: int = 0) -> np.ndarray:
    """One output of an exported frame."""
    path = split / file_name(output, index)
    return np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path))


def at_rest(page: Page, view: str, *, frame: int = 0, state: str = "exact") -> None:
    """Wait for the whole picture of a view."""
    shot = page.locator(f".rl-shot[data-state={state}][data-view={view}]")
    expect(shot).to_contain_text(f"frame {frame} of {SPLIT}", timeout=60_000)


def pixels(page: Page, number: int = 0) -> np.ndarray:
    """What the page's own <img> decodes to, uint8 [h, w, 3]."""
    height, width, data = page.locator("img[src^=blob]").nth(number).evaluate(PIXELS)
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3]


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
    assert np.array_equal(pixels(opened), exported(split, "rgb"))
    label = opened.locator("label", has_text=re.compile(r"^Frame$"))
    spinner = opened.locator(".mantine-Flex-root").filter(has=label).last.locator("input").first
    for index in (1, 0):
        spinner.fill(str(index))
        spinner.press("Enter")
        at_rest(opened, "picture", frame=index)
        assert np.array_equal(pixels(opened), exported(split, "rgb", index))


def test_labels_and_depth_are_the_export_s_too(opened: Page, split: Path) -> None:
    mask = exported(split, "mask")
    choose(opened, "Labels")
    at_rest(opened, "labels")
    assert np.array_equal(pixels(opened), draw_classes(mask))
    counts = count_classes(mask)
    for name in ("rock", "regolith", "sky"):
        expect(opened.locator(f"[data-share={name}]")).to_have_text(f"{100 * counts[name] / mask.size:.1f} %")
    choose(opened, "Depth")
    at_rest(opened, "depth")
    assert np.array_equal(pixels(opened), draw_depth(exported(split, "depth")))
    opened.keyboard.press("Alt+1")
    at_rest(opened, "picture")
    assert np.array_equal(pixels(opened), exported(split, "rgb"))


def test_the_model_s_view_is_the_live_preview(opened: Page, split: Path) -> None:
    rgb = exported(split, "rgb")
    choose(opened, "Overlay")
    at_rest(opened, "model")
    expect(opened.locator("[data-share=rock]")).to_be_visible(timeout=60_000)
    expect(opened.get_by_role("button", name="Stop live preview")).to_be_visible()
    opened.wait_for_function("document.querySelectorAll('.rl-shot').length === 2")  # name and speed of the model
    over = pixels(opened)
    assert over.shape == rgb.shape and (over != rgb).any()
    for label in ("Rock", "Outline", "Regolith"):
        opened.get_by_role("checkbox", name=label).first.uncheck()
    until_equal(opened, rgb)
    choose(opened, "Picture")
    expect(opened.get_by_role("button", name="Start live preview")).to_be_visible()
    expect(opened.locator("[data-share]")).to_have_count(0)


def until_equal(page: Page, rgb: np.ndarray) -> None:
    """The picture comes to be a given one."""
    for _ in range(200):
        if np.array_equal(pixels(page), rgb):
            return
        page.wait_for_timeout(50)
    raise AssertionError("the page does not come to show the picture")


def test_a_photograph_is_segmented(opened: Page) -> None:
    rgb = np.random.default_rng(2).integers(0, 255, (200, 300, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    with opened.expect_file_chooser() as chooser:
        opened.get_by_role("button", name="Segment a photograph").click()
    chooser.value.set_files({"name": "moon.png", "mimeType": "image/png", "buffer": file.getvalue()})
    expect(opened.get_by_text("moon.png · 300×200 px")).to_be_visible(timeout=60_000)
    expect(opened.locator("[data-share=rock]")).to_be_visible()
    assert pixels(opened, 1).shape == (200, 300, 3)
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
    expect(message).to_be_visible(timeout=30_000)
    expect(opened.locator("img[src^=blob]")).to_have_count(1)
    assert opened.get_by_text("Looking at the photograph").count() == 0
