"""`regolith author`: build a stage, write it, and look at it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from regolith.lunar.dataset.chunk import author_scene
from regolith.lunar.files import replacing
from regolith.lunar.params import InputError, PictureSize, PresetVerb, quantity, sole_file
from regolith.lunar.params.outputs import refusing
from regolith.lunar.randomize import Split, draw_frame, draw_time, scene_number


class Author(PresetVerb):
    """Author a stage and look at it: stage, picture, size–frequency plot."""

    out: Path = quantity(Path("stage.usda"), "Stage to write: .usda, .usdc or .usd; the pictures land beside it.")
    seed: int = quantity(0, "Seed of the dataset the stage belongs to.", ge=0)
    split: Split = quantity("train_dr", "Split the stage belongs to.")
    frame: int = quantity(0, "Frame whose scene, light and camera are authored.", ge=0)
    size: PictureSize = quantity(PictureSize(1024, 640), "Size of the picture.")
    baked: bool = quantity(False, "Write the fine ground as meshes instead of its recipe, as Isaac Sim needs it.")

    def run(self) -> dict[str, Any]:
        """Write the stage and its two pictures and say where they are."""
        with sole_file("out", self.out):
            return self._written()

    def _written(self) -> dict[str, Any]:
        from regolith.lunar.render import open_renderer
        from regolith.lunar.render.base import sampling
        from regolith.lunar.stage.edit import apply_frame
        from regolith.lunar.stage.ephemeris import sky_at
        from regolith.lunar.stage.save import save_stage
        from regolith.lunar.stage.sizes import SOFTWARE, plot_sizes

        width, height = self.size.width, self.size.height
        params = self.params
        picture, sizes = self.out.with_suffix(".png"), self.out.with_name("sizes.png")
        for path in (picture, sizes):
            if path.exists() and _software(path) != SOFTWARE:
                allowed = (
                    f"a stage beside which no picture of yours has the name of its own: {path.name} is not author's"
                )
                raise InputError("out", str(self.out), allowed)
        started = time.perf_counter()
        number = scene_number(params, self.frame)
        scene, stage = author_scene(params, seed=self.seed, split=self.split, number=number, baked=self.baked)
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
        if scene.terrain.notes:
            result["notes"] = list(scene.terrain.notes)
        when, site = draw_time(params, self.seed, self.split, self.frame), params.ground.site
        if when is not None and site is not None:
            result["sky"] = {body: seen._asdict() for body, seen in sky_at(site, when)._asdict().items()}
        with refusing("out", sizes, "file"):
            plot_sizes(scene, sizes)
        result["sizes"] = str(sizes)
        with contextlib.closing(open_renderer(params.render.backend)) as renderer:
            asked = sampling(renderer, params.render.samples)
            renderer.load(stage)
            frame = renderer.render(width, height, quality=params.render.quality, **asked)
        made = PngInfo()
        made.add_text("Software", SOFTWARE)
        with refusing("out", picture, "file"), replacing(picture) as temporary:
            Image.fromarray(frame.rgb).save(temporary, "PNG", pnginfo=made)
        result["picture"] = str(picture)
        result["seconds"] = round(time.perf_counter() - started, 1)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Name the files and count what is on the stage."""
        files = ", ".join(result[key] for key in ("stage", "picture", "sizes"))
        line = f"{files}: {result['craters']} craters, {result['rocks']} rocks, {result['seconds']} s"
        return "\n".join([line, *result.get("notes", [])])


def _software(path: Path) -> str | None:
    """What made a picture, by its own word; None where it is silent, or is no picture."""
    try:
        with Image.open(path) as picture:
            return picture.info.get("Software")
    except OSError:
        return None
