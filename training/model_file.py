"""What a model's card says of its file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any


def file_fields(out: Path, data: bytes) -> dict[str, Any]:
    """Return what a card says of its file: name, size and digest."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "file": out.name}
