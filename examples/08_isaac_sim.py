"""Draw frames with RTX in a standalone Isaac Sim script.

- SimulationApp first: nothing of OpenUSD may be imported before it
- the fine ground is baked into meshes, for RTX does not know its recipe
- the renderer is the embedded one's twin: load, apply a frame, render

For whole datasets use `regolith generate --executor isaac`, which resumes and verifies.

    PYTHONPATH=exts/regolith.lunar /path/to/isaac-sim/python.sh examples/08_isaac_sim.py --out out/08
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import traceback
from pathlib import Path


def draw(out: Path, preset: str, frames: int, size: int) -> None:
    """Draw the first frames of train_dr in the app that runs."""
    from PIL import Image

    import regolith.lunar as rl
    from regolith.lunar.perception.overlay import contact_sheet, draw_overlay
    from regolith.lunar.render.replicator import ReplicatorRenderer

    out.mkdir(parents=True, exist_ok=True)
    params = rl.load_preset(preset)
    scene = rl.build_scene(params)
    stage = rl.author_stage(scene, baked=True)
    sheet = []
    with contextlib.closing(ReplicatorRenderer()) as renderer:
        stage = renderer.load(stage)  # opened in the app: edit that one from here on
        for index in range(frames):
            spec = rl.draw_frame(params, scene, frame=index)
            rl.apply_frame(stage, spec, params=params, width=size, height=size)
            arrays = renderer.render(size, size).arrays(["rgb", "mask"])
            Image.fromarray(arrays["rgb"]).save(out / f"rgb_{index:05d}.png")
            Image.fromarray(arrays["mask"]).save(out / f"mask_{index:05d}.png")
            sheet.append((draw_overlay(arrays["rgb"], arrays["mask"]), f"frame {index}"))
    contact_sheet(sheet, columns=frames, cell=224).convert("RGB").save(out / "picture.jpg", quality=75)
    print(out / "picture.jpg", flush=True)


def main() -> None:
    """Start the app, draw, and close it."""
    parser = argparse.ArgumentParser(description="Draw frames with RTX.")
    parser.add_argument("--out", type=Path, default=Path("out/08"), help="folder to write")
    parser.add_argument("--preset", default="v3", help="preset to draw")
    parser.add_argument("--frames", type=int, default=3, help="frames, all of one scene")
    parser.add_argument("--size", type=int, default=512, help="side of a picture [px]")
    arguments = parser.parse_args()
    sys.argv[1:] = []  # Kit reads it too

    from isaacsim import SimulationApp  # type: ignore[import-not-found]

    app = SimulationApp({"headless": True, "sync_loads": True, "extra_args": ["--enable", "omni.replicator.core"]})
    try:
        draw(arguments.out, arguments.preset, arguments.frames, arguments.size)
    except Exception:
        traceback.print_exc()  # nobody else will: closing the app ends the process
        raise
    finally:
        app.close()


if __name__ == "__main__":
    main()
