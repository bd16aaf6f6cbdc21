"""What the benchmarks share: rows of what is demanded and measured, printed as they come and written at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regolith.lunar.machine import cores


def say_load() -> float:
    """Print and return the load average, from before the start; times need an idle machine."""
    load = os.getloadavg()[0]
    print(f"load average before the start: {load:.1f} on {cores()} cores (times need an idle machine)")
    return load


def row(name: str, demanded: str, measured: str, ok: bool | None) -> dict[str, Any]:
    """Print and return a row; `ok` is None where nothing is demanded, or it could not be measured."""
    verdict = "" if ok is None else "ok" if ok else "NOT MET"
    print(f"{name:<66} {demanded:<28} {measured:<34} {verdict}", flush=True)
    return {"name": name, "demanded": demanded, "measured": measured, "ok": ok}


def finish(rows: Sequence[dict[str, Any]], load: float, file: Path | None) -> int:
    """Write the rows where a file is named; return the exit code, 1 where a demand is not met."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"load_average": load, "rows": rows}, indent=2) + "\n")
    return 0 if all(entry["ok"] is not False for entry in rows) else 1
