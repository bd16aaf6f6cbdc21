"""On the real kernel in the stand-in for Windows: author, edit, preview, export, train, all from the panel.

Arguments: a folder; an interpreter with torch, or nothing, for a training.
"""

import sys
import traceback
from pathlib import Path

import conftest

sys.path.append(str(Path(__file__).parents[1]))
import windows

root = Path(sys.argv[1])
(root / "kit").mkdir()
kit = conftest.Kit(root / "kit")
try:
    import carb.settings
    from panel import Panel

    for name in conftest.WINDOWED:
        kit.enable(name)
    windows.become_windows(windows.make_launcher(root))
    for key in ("dataFolder", "runsFolder"):
        carb.settings.get_settings().set(f"/exts/regolith.lunar/{key}", str(root / key))
    kit.logs.clear()
    kit.enable("regolith.lunar")
    kit.pump(2)
    import omni.kit.viewport.utility as viewport
    import omni.replicator.core as rep

    panel = Panel(kit)
    panel.author()
    panel.author()  # the first one's file goes
    panel.model.commit("domain.sun_elevation_deg", (33.0, 33.0))
    panel.until_work("stage", "finished")
    print("authored", *(path.name for path in (root / "dataFolder" / "stages").iterdir()))

    viewport.open_viewport()
    panel.press("preview")
    assert kit.until(lambda: panel.model.live is not None and not panel.model.live.problem, 60), panel.model.live
    panel.press("preview")
    print("previewed")

    for split in ("train_dr", "val"):
        rep.quirks.reset()
        for path, value in {
            "generate.frames": 2, "generate.size": "64x64", "generate.split": split, "dataset.frames_per_scene": 1,
            "relief.enabled": False, "rocks.abundance": (0.004, 0.004),
        }.items():  # fmt: skip
            panel.model.commit(path, value)
        kit.pump(5)
        panel.until_work("stage", "finished")  # the frame on show is of the split
        panel.press("generate")
        panel.until_work("generate", "running")
        work = panel.until_work("generate", "finished", "failed", seconds=200)
        assert work.state == "finished", work.text
        from regolith.lunar.dataset.verify import verify

        found = verify(root / "dataFolder" / "dataset" / split)
        assert found["frames"] == 2 and not found["problems"], found
    print("exported")

    if len(sys.argv) > 2:
        (root / "trainer").mkdir()
        dataset = root / "dataFolder" / "dataset"
        for path, value in {
            "companion.python": windows.make_launcher(root / "trainer", sys.argv[2]),
            "training.train_split": dataset / "train_dr", "training.val_split": dataset / "val",
            "training.out": root / "run", "training.arch": "efficientnet-lite0", "training.init": "random",
            "training.batch": 2, "training.epochs": 500, "training.patience": 500, "training.workers": 1,
            "training.threads": 1,
        }.items():  # fmt: skip
            panel.model.commit(path, value)
        panel.open("training")
        panel.press("train")
        work = panel.until_work("training", "running", "failed")
        kit.until(lambda: work.metrics.get("rock_iou") or work.state != "running", 200)
        assert work.state == "running", (work.text, list(work.log))
        panel.press("train")
        panel.until_work("training", "interrupted", "failed", seconds=90)
        assert work.state == "interrupted" and list((root / "run").glob("*.pt")), (work.text, list(work.log))
        print("trained")
    kit.disable("regolith.lunar")
    assert not kit.logs, kit.logs
    print("left")
except BaseException:
    traceback.print_exc()  # the hook of exceptions is the kernel's
    raise
finally:
    kit.close()
