"""Text as omni.ui can draw it."""

from __future__ import annotations

import textwrap
import unicodedata

TOOLTIP_WIDTH = 64
"""Characters of a tooltip's line: omni.ui does not wrap them."""

PLAIN = str.maketrans(
    {"≤": "<=", "≥": ">=", "–": "-", "—": "-", "−": "-", "…": "...", "’": "'", "‘": "'", "“": '"', "”": '"', "→": "->",
     "∝": "~", "π": "pi", "σ": "sigma", "μ": "µ", "⁴": "^4", "≈": "~"}
)  # fmt: skip


def plain(text: str) -> str:
    """Text without what the default font lacks: Latin-1 is drawn, everything else comes as a replacement mark."""
    text = text.translate(PLAIN)
    if all(ord(c) < 256 for c in text):
        return text
    kept = (c if ord(c) < 256 else unicodedata.normalize("NFKD", c) for c in text)
    return "".join(c for part in kept for c in part if ord(c) < 256)


def tooltip(text: str) -> str:
    """A tooltip's text in lines that fit."""
    return "\n".join(textwrap.fill(line, TOOLTIP_WIDTH) for line in plain(text).splitlines())
