"""`regolith author`: build a stage, write it, and look at it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from PIL import Image

from regolith.lunar.params import PresetVerb, quantity, writable_folder
from regolith.lunar.randomize import Split, draw_frame, draw_scene, narrowed, scene_number


class Author(PresetVerb):
    """Author a stage and look at it: stage, picture, size–frequency plot."""

    out: Path = quantity(Path("stage.usda"), "Stage to write: .usda, .usdc or .usd; the pictures land beside it.")
    seed: int = quantity(0, "Seed of the dataset the stage belongs to.", ge=0)
    split: Split = quantity("train_dr", "Split the stage belongs to.")
    frame: int = quantity(0, "Frame whose scene, light and camera are authored.", ge=0)
    size: str = quantity("1024x640", "Size of the picture in pixels: SIDE, or WIDTHxHEIGHT.")
    baked: bool = quantity(False, "Write the fine ground as meshes instead of its recipe, as Isaac Sim needs it.")

    def run(self) -> dict[str, Any]:
        """Write the stage and its two pictures and say where they are."""
        from regolith.lunar.dataset.generate import parse_size
        from regolith.lunar.render import open_renderer
        from regolith.lunar.stage.author import author_stage, build_scene
        from regolith.lunar.stage.edit import apply_frame
        from regolith.lunar.stage.save import save_stage
        from regolith.lunar.stage.sizes import plot_sizes

        width, height = parse_size(self.size)
        params = self.params
        writable_folder("out", self.out.parent)
        started = time.perf_counter()
        scene_spec = draw_scene(params, self.seed, self.split, scene_number(params, self.frame))
        scene = build_scene(narrowed(params, self.split), scene_spec)
        stage = author_stage(scene, baked=self.baked)
        spec = draw_frame(params, self.seed, self.split, self.frame, scene)
        apply_frame(stage, params, spec, width, height)
        files = save_stage(stage, self.out)
        result: dict[str, Any] = {
            "stage": str(self.out),
            "files": [str(file) for file in files],
            "craters": len(scene.terrain.craters),
            "rocks": len(scene.rocks),
            "frame": spec.to_dict(),
        }
        sizes = self.out.with_name("sizes.png")
        plot_sizes(scene, sizes)
        result["sizes"] = str(sizes)
        picture = self.out.with_suffix(".png")
        with contextlib.closing(open_renderer(params.render.backend)) as renderer:
            renderer.load(stage)
            frame = renderer.render(width, height, quality=params.render.quality)
        Image.fromarray(frame.rgb).save(picture)
        result["picture"] = str(picture)
        result["seconds"] = round(time.perf_counter() - started, 1)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Name the files and count what is on the stage."""
        files = ", ".join(result[key] for key in ("stage", "picture", "sizes"))
        return f"{files}: {result['craters']} craters, {result['rocks']} rocks, {result['seconds']} s"
