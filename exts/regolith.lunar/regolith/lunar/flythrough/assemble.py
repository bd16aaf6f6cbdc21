"""A film of frames and their overlays: H.264 and GIF, stills, and plates without overlay or words."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regolith.lunar.dataset.layout import FrameRecord, read_journal
from regolith.lunar.files import file_digest, write_bytes, write_json
from regolith.lunar.flythrough.encode import count_frames, write_film, write_gif
from regolith.lunar.flythrough.hud import Caption, draw_hud, title_opacity
from regolith.lunar.flythrough.overlay import overlay_name, png, read_overlays, read_picture
from regolith.lunar.jobs.events import Emit
from regolith.lunar.params import PictureSize
from regolith.lunar.reading import JSON_BYTES, read_json

FILM, PLATE, GIF, NOTE = "film.mp4", "plate.mp4", "film.gif", "film.json"


@dataclasses.dataclass(frozen=True)
class Source:
    """Frames and what a model saw on them."""

    split: Path
    overlays: Path

    def overlaid(self, index: int) -> np.ndarray:
        """A frame with its overlay, uint8 [H, W, 3]."""
        with Image.open(self.overlays / overlay_name(index)) as picture:
            return np.asarray(picture.convert("RGB"))


@dataclasses.dataclass(frozen=True)
class Cut:
    """A film to be assembled."""

    frames: Source
    inset: Source | None
    """A rover's own view, as many frames."""
    stills: Source | None
    numbers: tuple[int, ...]
    """Frames of the film that are stills."""
    size: PictureSize
    fps: int
    title: str
    subtitle: str
    inset_words: str
    gif_bytes: int

    def assemble(self, out: Path, emit: Emit) -> dict[str, Any]:
        """Make what is not there yet, or is of other frames or words.

        Returns:
            {frames, seconds, files, gif}: frames and length of the film, file to SHA-256, width, rate and colours of
            the GIF; it is also in `film.json`.

        Raises:
            InputError: Overlays are missing, or the GIF cannot be so small.
            RuntimeError: The film has other frames than were rendered.
        """
        records = read_journal(self.frames.split)
        seen = read_overlays(self.frames.split, self.frames.overlays)
        asked = self._digest(seen)
        if (before := _read_note(out, asked)) is not None:
            return before
        captions = [self._caption(records[line["index"]], line, len(seen)) for line in seen]
        total, size = 2 * len(seen) + len(self.numbers), (self.size.width, self.size.height)

        def told(pictures: Iterator[np.ndarray], begun: int) -> Iterator[np.ndarray]:
            for done, picture in enumerate(pictures, begun + 1):
                yield picture
                emit({"event": "progress", "done": done, "total": total})

        frames = (self._frame(caption, index) for index, caption in enumerate(captions))
        write_film(out / FILM, told(frames, 0), size=size, fps=self.fps)
        if (found := count_frames(out / FILM)) != len(seen):
            raise RuntimeError(f"{out / FILM} has {found} frames, {len(seen)} were rendered")
        plates = (read_picture(self.frames.split, line["index"]) for line in seen)
        write_film(out / PLATE, told(plates, len(seen)), size=size, fps=self.fps)
        files = [FILM, PLATE]
        for done, name in enumerate(self._write_stills(out, captions), 2 * len(seen) + 1):
            files += name
            emit({"event": "progress", "done": done, "total": total})
        gif = write_gif(out / GIF, out / FILM, most_bytes=self.gif_bytes, width=self.size.width, fps=self.fps)
        result = {
            "frames": len(seen),
            "seconds": round(len(seen) / self.fps, 4),
            "gif": dict(zip(("width", "fps", "colours"), gif, strict=True)),
            "files": {name: file_digest(out / name) for name in (*files, GIF)},
        }
        write_json(out / NOTE, result | {"asked": asked})
        return result

    def _frame(self, caption: Caption, index: int) -> np.ndarray:
        inset = None if self.inset is None else self.inset.overlaid(index)
        return draw_hud(self.frames.overlaid(index), caption, inset)

    def _write_stills(self, out: Path, captions: list[Caption]) -> Iterator[tuple[str, str]]:
        """Write each still with all that is said of it, and its plate."""
        if self.stills is None:
            return
        for index, (number, line) in enumerate(
            zip(self.numbers, read_overlays(self.stills.split, self.stills.overlays), strict=True)
        ):
            caption = dataclasses.replace(captions[number], opacity=1.0, rock_share=line["rock_share"])
            inset = None if self.inset is None else self.inset.overlaid(number)
            names = (f"still_{number:05d}.png", f"plate_{number:05d}.png")
            write_bytes(out / names[0], png(draw_hud(self.stills.overlaid(index), caption, inset)))
            write_bytes(out / names[1], png(read_picture(self.stills.split, index)))
            yield names

    def _caption(self, record: FrameRecord, seen: dict[str, Any], count: int) -> Caption:
        time_s = record.index / self.fps
        return Caption(
            self.title, self.subtitle, title_opacity(time_s, count / self.fps), record.index + 1, count, time_s,
            seen["rock_share"], record.spec["sun_elevation_deg"], self.inset_words,
        )  # fmt: skip

    def _digest(self, seen: list[dict[str, Any]]) -> str:
        """What decides every byte that is written."""
        sources = [seen]
        for source in (self.inset, self.stills):
            sources.append([] if source is None else read_overlays(source.split, source.overlays))
        words = (self.title, self.subtitle, self.inset_words)
        plain = [sources, self.numbers, str(self.size), self.fps, words, self.gif_bytes]
        return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


def _read_note(out: Path, asked: str) -> dict[str, Any] | None:
    """What was assembled before, where it is what is asked for and all of it is there as it was written."""
    try:
        note = read_json(out / NOTE, JSON_BYTES)
        if note.pop("asked") != asked:
            return None
        whole = all(file_digest(out / name) == sha256 for name, sha256 in note["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return note if whole else None
