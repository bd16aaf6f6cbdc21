"""Build one self-contained HTML page: sections of text, tables and pictures, nothing fetched from a network."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from regolith.lunar.files import write_bytes


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture with its caption; `data` is a `data:` URL."""

    data: str
    caption: str = ""
    wide: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; numbers are written by `number`."""

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""


@dataclasses.dataclass(frozen=True)
class ReportSection:
    """A heading with text, tables and pictures under it, in this order."""

    heading: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()


def picture(image: np.ndarray | Path, caption: str = "", *, wide: bool = False, side: int = 1280) -> Picture:
    """Embed an image.

    Args:
        image: uint8 array, shape [H, W] or [H, W, 3], or an image file.
        caption: Line under the picture.
        wide: Whether it takes the page's whole width.
        side: Longer side it is reduced to, in pixels; smaller images stay as they are.
    """
    source = Image.open(image) if isinstance(image, Path) else Image.fromarray(image)
    source = source.convert("RGB")
    source.thumbnail((side, side))
    buffer = io.BytesIO()
    photo = max(source.size) > 400
    source.save(buffer, "JPEG" if photo else "PNG", **({"quality": 88} if photo else {}))
    kind = "jpeg" if photo else "png"
    return Picture(f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}", caption, wide)


def drawing(svg: str, caption: str = "", *, wide: bool = False) -> Picture:
    """Embed an SVG drawing."""
    return Picture(f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}", caption, wide)


def number(value: Any) -> str:
    """Write a value for a table: floats with three decimals, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return f"{value:.3f}"


def write_page(
    path: Path, title: str, lead: str, sections: Sequence[ReportSection], facts: Sequence[tuple[str, Any]] = ()
) -> None:
    """Write the page whole or not at all.

    Args:
        path: HTML file to write.
        title: Title and first heading.
        lead: Line under it.
        sections: What follows, in order.
        facts: Name and value of what to see at a glance, in a row under the lead.
    """
    template = resources.files("regolith.lunar.report").joinpath("page.html.j2").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = number
    html = environment.from_string(template).render(title=title, lead=lead, sections=sections, facts=facts)
    write_bytes(path, html.encode())
