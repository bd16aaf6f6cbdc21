"""Change a file of the enabled extension: Kit's file watcher reloads it, without an error and with the new text."""

import sys
import time
from pathlib import Path

import conftest

root = Path(sys.argv[1])
conftest.EXTS = root / "exts"
conftest.ARGS = [a.replace("fsWatcherEnabled=false", "fsWatcherEnabled=true") for a in conftest.ARGS]
(root / "kit").mkdir()
kit = conftest.Kit(root / "kit")
try:
    import carb.settings

    carb.settings.get_settings().set("/exts/regolith.lunar/runsFolder", str(root / "runs"))
    kit.enable("regolith.lunar")
    kit.screen.frames(3)
    before = sys.modules["regolith.lunar.kit.window"]
    path = root / "exts" / "regolith.lunar" / "regolith" / "lunar" / "kit" / "style.py"
    time.sleep(0.3)
    path.write_text(path.read_text("utf-8") + "\nRELOADED = True\n", "utf-8")
    kit.until(lambda: getattr(sys.modules.get("regolith.lunar.kit.style"), "RELOADED", False), 20)
    kit.pump(10)
    kit.screen.frames(3)
    assert sys.modules["regolith.lunar.kit.window"] is not before
    assert sys.modules["regolith.lunar.kit.style"].RELOADED
    kit.disable("regolith.lunar")
    errors = [text for level, _, text in kit.logs if level >= 0]
    assert not errors, errors
    print("reloaded")
finally:
    kit.close()
