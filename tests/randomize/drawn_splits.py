"""The splits that presets can draw: those for photographs span the test domain, so they have no `test_photoreal`."""

from regolith.lunar.params import preset_names
from regolith.lunar.randomize import SPLITS

FOR_PHOTOGRAPHS = ("boulders", "wide")
DRAWN = [
    (preset, split)
    for preset in preset_names()
    for split in SPLITS
    if split != "test_photoreal" or preset not in FOR_PHOTOGRAPHS
]
