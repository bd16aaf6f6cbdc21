"""The widgets of the rover's picture: the picture and its views, what is laid over it, and photographs dropped in."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regolith.lunar.panel.context import say
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.observe import Change
from regolith.lunar.panel.presentation import labels
from regolith.lunar.perception.model_files import shipped_models
from regolith.lunar.studio.camera import RoverCamera, Shown
from regolith.lunar.studio.edits import Edits
from regolith.lunar.studio.live import Photo, Seen, StudioInference
from regolith.lunar.studio.parts import QUIET, add_image, assign, from_page, marked, markup, set_image
from regolith.lunar.studio.picture import (
    VIEWS,
    Looks,
    Painted,
    Picture,
    PictureView,
    caption,
    choose_picture,
    encode,
    overlay,
    paint,
    photo_caption,
)
from regolith.lunar.studio.rows import Row

if TYPE_CHECKING:
    from viser import GuiApi, ViserServer

    from regolith.lunar.studio.loop import Loop

HOLD_S = 0.5
"""How long the model's last picture stays on show while it has not looked at a newer one [s]."""
LOOKS = ("model.opacity", "model.rock", "model.outline", "model.regolith")
"""Fields of what is laid over the picture."""
KEYS: dict[PictureView, Any] = {"picture": "1", "labels": "2", "depth": "3", "model": "4"}
"""Keys of the views, with Alt."""

CSS = """
.mantine-ScrollArea-content:has(.rl-views) {
  & div:not([class]):has(> .rl-view) + [style^="margin-inline"] {
    flex: 1 1 0 !important; min-width: 0; margin: 0 2px 4px !important;
    & button { width: 100%; background: #33322f; color: #c8c7c0;
      &:hover, &:focus-visible { background: #45443f; } } }
  & div:not([class]):has(> .rl-chosen) + [style^="margin-inline"] button { background: #4d7a06; color: #fff; }
  & [style^="padding-inline"]:has(img) { flex: 0 0 100% !important; display: block !important; }
  & img { width: 100%; min-height: 60px; background: #000; border-radius: 3px; image-rendering: auto; }
  & .rl-shot { font-size: 12px; line-height: 1.5; color: #a9a8a1; font-variant-numeric: tabular-nums; }
  & .rl-shot[data-state]::before { content: ""; display: inline-block; width: 8px; height: 8px; border-radius: 50%;
    margin-right: 7px; background: #6b6a64; }
  & .rl-shot[data-state=exact]::before { background: #8fce1b; }
  & .rl-shot[data-state=aimed]::before { background: #f0b23c; }
  & .rl-problem { font-size: 12px; line-height: 1.4; color: #ff8d7e; overflow-wrap: anywhere; }
  & .rl-legend { display: flex; align-items: center; gap: 14px; font-size: 12.5px; line-height: 1.7; color: #d9d8d1;
    & b { font-weight: 600; font-variant-numeric: tabular-nums; }
    & i { flex: 1 1 0; height: 9px; border-radius: 2px; } }
  & .rl-swatch::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 2px;
    margin-right: 6px; background: var(--swatch); outline: 1px solid #6b6a64; }
}
"""
"""Styles of these widgets, beside `style.CSS`."""


class CameraPanel:
    """The rover's picture on the page; everything on the loop's thread, but painting, which has one of its own."""

    def __init__(
        self,
        server: ViserServer,
        loop: Loop,
        model: PanelModel,
        camera: RoverCamera,
        live: StudioInference,
        *,
        home: Path,
        tell: Callable[[str], object],
    ) -> None:
        """Make it; `build` makes its widgets.

        Args:
            server: Of the pages.
            loop: Everything here happens on it.
            model: The panel's model.
            camera: Draws the pictures.
            live: Segments them.
            home: Folder relative paths lie in.
            tell: Shows the user a line about what failed.
        """
        self._server, self._loop, self._model, self._camera, self._live = server, loop, model, camera, live
        self._home, self._tell = home, tell
        self._edits = Edits(loop, model)
        self._edits.rested = lambda path: self._refresh_rows({path})
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="regolith-paint")
        self._lock = threading.Lock()
        self._next: Picture | None = None
        """What is to be painted next; a newer one takes its place."""
        self.view: PictureView = "picture"
        self._shown: Shown | None = None
        self._seen: Seen | None = None
        self._held = False
        """Whether the model's last picture stays on show for now."""
        self._painted: Painted | None = None
        self._photo: Photo | None = None
        self._photo_task: Future[Photo] | None = None
        self._image: Any = None
        self._marks: dict[PictureView, Any] = {}
        self._rows: list[Row] = []

    # building

    def build(self) -> None:
        """Make the widgets in the container that is open."""
        gui = self._server.gui
        gui.add_html(f'<i class="rl-views"></i><style>{CSS}</style>')
        for view, label in VIEWS.items():
            self._marks[view] = marked(gui, self._mark(view))
            button = gui.add_button(label, color=QUIET)
            button.on_click(from_page(self._loop, lambda value, view=view: self.choose(view)))
            self._add_command(gui, view, label)
        self._image = add_image(gui)
        self._caption = gui.add_html(markup("note", "The stage is being built."))
        self._over = gui.add_folder(None, visible=False)
        with self._over:
            fields = [self._model.field(path) for path in LOOKS]
            for field, label in zip(fields, labels(fields).values(), strict=True):
                row = Row(gui, self._loop, self._edits, field, label, home=self._home, pick=lambda field: None)
                row.show(True)
                self._rows.append(row)
        self._build_photo(gui)
        self._subscription = self._model.subscribe(self._changed)

    def _add_command(self, gui: GuiApi, view: PictureView, label: str) -> None:
        command = gui.add_command(
            f"View: {label}", description="What the rover's picture shows.", hotkey=KEYS[view], modifier="alt"
        )

        async def trigger(event: Any) -> None:
            self._loop.call(self.choose, view)

        command.on_trigger(trigger)

    def _build_photo(self, gui: GuiApi) -> None:
        from viser import Icon

        marked(gui, "group", "Your photograph")
        self._upload = gui.add_upload_button(
            "Segment a photograph…", icon=Icon.PHOTO_SEARCH, color=QUIET, mime_type="image/*",
            hint="See what the model makes of a picture of your own. It stays on this machine.",
        )  # fmt: skip
        self._upload.on_upload(from_page(self._loop, self._take_photo))
        self._photo_image = add_image(gui, visible=False)
        self._photo_caption = gui.add_html("", visible=False)
        self._photo_close = gui.add_button("Put the photograph away", icon=Icon.CIRCLE_X, color=QUIET, visible=False)
        self._photo_close.on_click(from_page(self._loop, lambda value: self._drop_photo()))

    def _mark(self, view: PictureView) -> str:
        return "view chosen" if view == self.view else "view"

    # views

    def choose(self, view: PictureView) -> None:
        """Show a view; that of the model is the live preview, and starts and stops with it."""
        running = self._live.state is not None
        self._set_view(view)
        if (view == "model") != running:
            self._model.actions["preview"].run()

    def _set_view(self, view: PictureView) -> None:
        self.view = view
        for name, mark in self._marks.items():
            assign(mark, "content", markup(self._mark(name)))
        assign(self._over, "visible", view == "model")
        if view != "model":
            self._seen = None
        self._camera.mask(view in ("labels", "depth"))
        self._repaint()

    def show(self, shown: Shown) -> None:
        """Show a picture of the rover's camera."""
        self._shown = shown
        if self.view == "model" and self._seen is not None and self._live.state is not None:
            self._held = True  # picture and mask belong together: they come together
            self._loop.later(HOLD_S, self._show_bare, key="bare picture")
        else:
            self._repaint()

    def _show_bare(self) -> None:
        if self._held:  # the model is slower than the hand is patient
            self._held, self._seen = False, None
            self._repaint()

    def segmented(self, seen: Seen) -> None:
        """Show what the model made of a picture."""
        if self.view == "model":
            self._seen = seen
            self._held = self._held and seen.shown is not self._shown
            self._repaint()

    def _looks(self) -> Looks:
        opacity, rock, outline, regolith = (self._good(path) for path in LOOKS)
        return Looks(float(opacity), bool(rock), bool(outline), bool(regolith))

    def _good(self, path: str) -> Any:
        """Value of a field, or its default while what is entered is not allowed."""
        field = self._model.field(path)
        return field.default if field.message else field.value

    # painting

    def _repaint(self) -> None:
        """Paint what is to be seen now, on the painting thread."""
        if self._shown is None:
            return
        with self._lock:
            self._next = choose_picture(self.view, self._shown, self._seen, self._looks())
        self._pool.submit(self._paint)

    def _paint(self) -> None:
        with self._lock:
            picture, self._next = self._next, None
        if picture is not None:
            self._loop.call(self._put, paint(picture), key="painted")

    def _put(self, painted: Painted) -> None:
        """Send a picture to the pages."""
        self._painted = painted
        with self._server.atomic():  # one message to the page
            set_image(self._image, painted.format, painted.data)
            self._caption_now()
        self._server.flush()  # at once, not at viser's next sixtieth of a second

    def _caption_now(self) -> None:
        if self._painted is None:
            return
        words = caption(
            self._painted,
            exact=self._model.exact and self._painted.picture.shown.spec == self._model.spec,
            live=self._live.state,
            legend=bool(self._good("model.legend")),
        )
        assign(self._caption, "content", words)

    # following the model

    def _changed(self, change: Change) -> None:
        if change.kind == "live":
            self._follow_live()
        elif change.kind == "shot":
            self._caption_now()
        elif change.kind == "fields" and (not change.keys or change.keys & {*LOOKS, "model.legend"}):
            self._refresh_rows(change.keys)
            if self.view == "model":
                self._repaint()
            if self._photo is not None:
                self._show_photo(self._photo)

    def _follow_live(self) -> None:
        running = self._live.state is not None
        if running != (self.view == "model"):
            self._set_view("model" if running else "picture")
        elif running:
            self._caption_now()

    def _refresh_rows(self, paths: Any) -> None:
        for row in self._rows:
            if not paths or row.field.path in paths:
                row.refresh()

    # photographs

    def _take_photo(self, file: Any) -> None:
        """Segment an uploaded file."""
        if self._photo_task is not None:
            self._photo_task.cancel()
        path = str(self._good("model.path"))
        model = path if path in shipped_models() else str(self._home / path)
        task = self._live.photo(file.name, file.content, model)
        if self._upload.value is file:
            self._upload._impl.value = dataclasses.replace(file, content=b"")  # or the widget would keep it
        self._photo_task = task
        assign(self._photo_caption, "content", markup("note", "Looking at the photograph…"))
        assign(self._photo_caption, "visible", True)
        task.add_done_callback(lambda task: self._loop.call(self._photo_done, task))

    def _photo_done(self, task: Future[Photo]) -> None:
        if task is not self._photo_task:  # a newer one is on its way
            return
        self._photo_task = None
        try:
            photo = task.result()
        except CancelledError:
            return
        except Exception as error:
            self._drop_photo()
            self._tell(say(error))
            return
        self._photo = photo
        self._show_photo(photo)

    def _show_photo(self, photo: Photo) -> None:
        set_image(self._photo_image, "png", encode(overlay(photo.rgb, photo.mask, self._looks()), "png"))
        assign(self._photo_caption, "content", photo_caption(photo))
        for part in (self._photo_image, self._photo_caption, self._photo_close):
            assign(part, "visible", True)
        self._server.flush()

    def _drop_photo(self) -> None:
        self._photo = None
        for part in (self._photo_image, self._photo_caption, self._photo_close):
            assign(part, "visible", False)

    def close(self) -> None:
        """End the painting thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)
