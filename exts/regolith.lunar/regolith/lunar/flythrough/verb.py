"""`regolith flythrough`: a film of a camera's way over a scene, with what a model sees on every frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.run import begin
from regolith.lunar.dataset.splits import counted, is_split
from regolith.lunar.dataset.views import Views
from regolith.lunar.flythrough.asked import FlythroughParams
from regolith.lunar.flythrough.assemble import FILM, Cut, Source
from regolith.lunar.flythrough.encode import find_ffmpeg
from regolith.lunar.flythrough.overlay import draw_overlays
from regolith.lunar.flythrough.shots import choose_shots, still_numbers
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.params import InputError, Params, PictureSize, sole_folder
from regolith.lunar.params.fields import words_of
from regolith.lunar.params.models import SAMPLES
from regolith.lunar.perception.session import Segmenter

OTHER = "a folder without frames of another way"
"""What is allowed where a folder holds another film."""
PARTS = ("frames", "inset", "stills")
"""Folders of what is rendered, each with one split; overlays lie in `overlay/PART`."""


class Flythrough(FlythroughParams):
    """Film a camera's way over a scene, with what a model sees: frames, overlay, MP4 and GIF; run again to resume."""

    def run(self) -> dict[str, Any]:
        """Take the steps that are asked for, and return what was made.

        Raises:
            InputError: As the steps (`choose_shots`, `draw_overlays`, `Cut.assemble`) and `generate`; a step before is
                missing; imageio-ffmpeg is not installed.
        """
        steps, result = self.chosen_steps, dict[str, Any]()
        if "assemble" in steps:
            find_ffmpeg()
        model = Segmenter(self.model) if "overlay" in steps else None
        with sole_folder("out", self.out):
            if "render" in steps:
                result["rendered"] = self._render()
            if model is not None:
                with show(self.events, "flythrough overlay", "frames") as emit:
                    result["overlaid"] = self._overlay(model, emit)
            if "assemble" in steps:
                with show(self.events, "flythrough assemble", "frames") as emit:
                    result["film"] = self._cut().assemble(self.out, emit)
        return result

    def _render(self) -> dict[str, Any]:
        """Render what is missing of the film's frames, of the inset and of the stills."""
        shots = choose_shots(self)
        seed, split = shots.seed, shots.split
        numbers = still_numbers(self, len(shots.specs))
        params = self._traced(shots.params)
        parts: dict[str, tuple[Params, Views, PictureSize]] = {"frames": (params, shots.views, self.size)}
        if shots.stances and self.inset != "none" and shots.params.camera.rig == "mast":
            ridden, views = shots.rides(self.inset)
            parts["inset"] = (self._traced(ridden), views, PictureSize(self.inset_px))
        if numbers:
            parts["stills"] = (params, shots.stills(numbers), self.still_size)
        for name, (params, views, size) in parts.items():
            begin(
                params, self.out / name, split=split, frames=len(views), width=size.width, height=size.height, seed=seed
            )
        drawn = {}
        for name, (params, views, size) in parts.items():
            with show(self.events, f"flythrough {name}", "frames") as emit:
                try:
                    done = generate(
                        params, self.out / name, split=split, frames=len(views), width=size.width, height=size.height,
                        seed=seed, workers=self.workers, executor=self.executor, address=self.address,
                        command=self.command, views=views, emit=emit,
                    )  # fmt: skip
                except InputError as error:
                    raise self._other_film(error) from None
            drawn[name] = {key: done[key] for key in ("split", "frames", "drawn")}
        return drawn

    def _other_film(self, error: InputError) -> InputError:
        """Say in the film's own words that its folder has another film; any other error stays as it is."""
        if error.field not in ("frames", "sha256"):
            return error
        return InputError("out", str(self.out), OTHER)

    def _traced(self, params: Params) -> Params:
        """Parameters of what is rendered: in Isaac Sim with a number of samples, for which RTX traces paths."""
        if self.executor != "isaac" or params.render.samples:
            return params
        samples = {"samples": SAMPLES[params.render.quality]}
        return params.model_copy(update={"render": params.render.model_copy(update=samples)})

    def _overlay(self, model: Segmenter, emit: Emit) -> dict[str, Any]:
        """Draw what is missing of the overlays."""
        sources = self._sources()
        total, done, drawn = sum(len(read_journal(source.split)) for source in sources.values()), 0, {}

        def tell() -> None:
            nonlocal done
            done += 1
            emit({"event": "progress", "done": done, "total": total})

        for name, source in sources.items():
            drawn[name] = draw_overlays(source.split, source.overlays, model, tell)
        return drawn

    def _cut(self) -> Cut:
        sources = self._sources()
        frames = sources["frames"]
        count = len(read_journal(frames.split))
        told = self.inset.replace("_", " ").replace("hazcam", "HazCam").replace("navcam", "NavCam")
        return Cut(
            frames, sources.get("inset"), sources.get("stills"),
            tuple(still_numbers(self, count)) if "stills" in sources else (), self.size, self.fps, self.title,
            self.subtitle, told.replace("aftcam", "AftCam"), round(self.gif_mb * 1e6),
        )  # fmt: skip

    def _sources(self) -> dict[str, Source]:
        """What was rendered, of what is asked for.

        Raises:
            InputError: Nothing was, or not all of it.
        """
        found = {}
        unasked = {"inset"} if self.inset == "none" else set()
        if self.stills is not None and not words_of(self.stills.replace("none", "")):
            unasked.add("stills")
        for part in (part for part in PARTS if part not in unasked):
            split = next((path for path in _folders(self.out / part) if is_split(path)), None)
            if split is not None:
                found[part] = Source(split, self.out / "overlay" / part)
        if "frames" not in found:
            raise InputError("steps", self.steps, f"render before it: {self.out} has no frames")
        return found

    def summary(self, result: dict[str, Any]) -> str:
        """Say what was made and where."""
        lines = [f"{each['split']}: {counted(each['frames'], 'frame')}" for each in result.get("rendered", {}).values()]
        if "film" in result:
            film, gif = result["film"], result["film"]["gif"]
            lines.append(f"film.gif: {gif['width']} px, {gif['fps']} frames/s, {gif['colours']} colours")
            lines.append(f"{self.out / FILM}: {counted(film['frames'], 'frame')}, {film['seconds']:g} s")
        return "\n".join(lines)


def _folders(folder: Path) -> list[Path]:
    """Folders directly below one, by name; none where it is not there."""
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
