"""The rover's picture as a page shows it: views of colours, classes, depth and the model's mask; bytes; words below."""

from __future__ import annotations

import dataclasses
import html
import io
from typing import Literal

import numpy as np
from PIL import Image

from regolith.lunar.labels import NAMES, ROCK, count_classes
from regolith.lunar.panel.host import LiveState
from regolith.lunar.perception.overlay import REGOLITH_COLOR, ROCK_COLOR, blend, class_layer, draw_classes
from regolith.lunar.studio.camera import Shown
from regolith.lunar.studio.live import Photo, Seen

PictureView = Literal["picture", "labels", "depth", "model"]
VIEWS: dict[PictureView, str] = {"picture": "Picture", "labels": "Labels", "depth": "Depth", "model": "Overlay"}
"""Views, and what their buttons say."""

JPEG_QUALITY = 85
PNG_LEVEL = 1
"""Compression of zlib: the picture goes a few metres of wire, or none."""

NEAR_M, FAR_M = 1.0, 1000.0
"""Ends of the depth view's scale [m], which is logarithmic."""
RAMP = (
    (253, 231, 37), (170, 220, 50), (92, 200, 99), (39, 173, 129), (33, 144, 141), (44, 113, 142), (59, 81, 139),
    (71, 44, 122), (68, 1, 84),
)  # fmt: skip
"""Colours of depth from near to far: nine of viridis (Smith & van der Walt 2015), from its end."""
SKY_COLOR = (0, 0, 0)


@dataclasses.dataclass(frozen=True)
class Looks:
    """How classes are laid over a picture."""

    opacity: float = 0.45
    rock: bool = True
    outline: bool = True
    regolith: bool = True


@dataclasses.dataclass(frozen=True)
class Picture:
    """Something to show, and how."""

    view: PictureView
    shown: Shown
    mask: np.ndarray | None
    """Classes the model saw in this very picture; None where it has not looked at it."""
    looks: Looks


@dataclasses.dataclass(frozen=True)
class Painted:
    """A picture ready to be sent."""

    picture: Picture
    format: Literal["jpeg", "png"]
    data: bytes
    counts: dict[str, int] | None
    """Pixels of each class of what is shown; None where no classes are."""


def choose_picture(view: PictureView, shown: Shown, seen: Seen | None, looks: Looks) -> Picture:
    """What a view shows: the model's, the newest picture that it has looked at."""
    if view == "model" and seen is not None:
        return Picture(view, seen.shown, seen.mask, looks)
    return Picture(view, shown, None, looks)


def paint(picture: Picture) -> Painted:
    """Draw a view and encode it: without loss at rest, small while things move."""
    shown = picture.shown
    classes = shown.mask if picture.view == "labels" else picture.mask if picture.view == "model" else None
    if classes is not None and picture.view == "labels":
        rgb = draw_classes(classes)
    elif classes is not None:
        rgb = overlay(shown.rgb, classes, picture.looks)
    elif picture.view == "depth" and shown.depth is not None:
        rgb = draw_depth(shown.depth)
    else:
        rgb = shown.rgb
    kind: Literal["jpeg", "png"] = "png" if shown.whole else "jpeg"
    return Painted(picture, kind, encode(rgb, kind), None if classes is None else count_classes(classes))


def overlay(rgb: np.ndarray, mask: np.ndarray, looks: Looks) -> np.ndarray:
    """Lay classes over a picture, uint8 [h, w, 3]."""
    layer = class_layer(
        mask, opacity=looks.opacity, rock=looks.rock, outline=looks.outline, regolith=looks.regolith
    )  # fmt: skip
    return blend(rgb, layer)


def draw_depth(depth: np.ndarray) -> np.ndarray:
    """Colour distances on a logarithmic scale from `NEAR_M` to `FAR_M`; sky is black.

    Args:
        depth: Metres, float32 [h, w]; inf on sky.

    Returns:
        uint8 [h, w, 3].
    """
    at = np.linspace(0, len(RAMP) - 1, 256)
    ramp = np.stack([np.interp(at, range(len(RAMP)), channel) for channel in np.array(RAMP).T], axis=1)
    table = np.concatenate([np.round(ramp), [SKY_COLOR]]).astype(np.uint8)
    share = np.log(np.clip(depth, NEAR_M, FAR_M) / NEAR_M) / np.log(FAR_M / NEAR_M)
    return table[np.where(np.isfinite(depth), np.round(255 * share), 256).astype(np.int64)]


def encode(rgb: np.ndarray, kind: Literal["jpeg", "png"]) -> bytes:
    """Encode a picture, uint8 [h, w, 3], as the file a browser shows."""
    file = io.BytesIO()
    options = {"quality": JPEG_QUALITY} if kind == "jpeg" else {"compress_level": PNG_LEVEL}
    Image.fromarray(np.ascontiguousarray(rgb)).save(file, kind, **options)
    return file.getvalue()


# words


def caption(painted: Painted, *, exact: bool, live: LiveState | None, legend: bool) -> str:
    """Lines below the picture, as HTML: what it is, and what its colours mean.

    Args:
        painted: The picture.
        exact: Whether the frame on show is as export draws it, nothing held by hand.
        live: State of the preview.
        legend: Whether the model's legend is wanted.
    """
    picture, shown = painted.picture, painted.picture.shown
    frame = f"frame {shown.spec.index} of {shown.spec.split}"
    if not shown.whole:
        state, words = "moving", "refining"
    elif exact:
        state, words = "exact", "as exported"
    else:
        state, words = "aimed", "aimed by hand"
    height, width = shown.rgb.shape[:2]
    parts = [frame, words, f"{width}×{height} px", f"{shown.milliseconds:.0f} ms"]
    line = html.escape(" · ".join(parts))
    lines = [f'<div class="rl-shot" data-state="{state}" data-view="{picture.view}">{line}</div>']
    if picture.view == "depth":
        lines.append(_depth_legend())
    elif picture.view == "labels" and painted.counts is not None:
        lines.append(class_legend(painted.counts))
    elif picture.view == "model":
        if painted.counts is not None and legend:
            lines.append(class_legend(painted.counts, names=("rock", "regolith")))
        lines.append(_model_line(live, legend=legend))
    return "".join(lines)


def class_legend(counts: dict[str, int], *, names: tuple[str, ...] = NAMES) -> str:
    """Swatches of classes with their share of a picture."""
    colors = {"regolith": REGOLITH_COLOR, "rock": ROCK_COLOR, "sky": SKY_COLOR}
    total = max(sum(counts.values()), 1)
    order = sorted(names, key=lambda name: name != NAMES[ROCK])  # rock, which matters most, first
    parts = [
        f'<span class="rl-swatch" style="--swatch: rgb{colors[name]}">{name.capitalize()} '
        f'<b data-share="{name}">{100 * counts[name] / total:.1f} %</b></span>'
        for name in order
    ]
    return f'<div class="rl-legend">{"".join(parts)}</div>'


def _depth_legend() -> str:
    stops = ", ".join(f"rgb{color}" for color in RAMP)
    ramp = f'<i style="background: linear-gradient(90deg, {stops})"></i>'
    return f'<div class="rl-legend"><span>1 m</span>{ramp}<span>1 km</span></div>'


def _model_line(live: LiveState | None, *, legend: bool) -> str:
    if live is not None and live.problem:
        return f'<div class="rl-problem" role="status">{html.escape(live.problem)}</div>'
    if live is None or not live.model or not legend:
        return ""
    words = f"{live.model} · {live.provider} · {live.milliseconds:.0f} ms"
    if live.frames_per_s > 0.0:
        words += f" · {live.frames_per_s:.1f} frames/s"
    return f'<div class="rl-shot">{html.escape(words)}</div>'


def photo_caption(photo: Photo) -> str:
    """Lines below a photograph, as HTML."""
    name = f"{photo.name} · {photo.width}×{photo.height} px · {photo.model} · {photo.milliseconds:.0f} ms"
    lines = html.escape("; ".join([name, *photo.notes]))
    return f'{class_legend(photo.counts)}<div class="rl-shot">{lines}</div>'
