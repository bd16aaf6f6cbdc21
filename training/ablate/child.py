"""A step's process: `python -m training.ablate.child LOCK verb …`.

It holds the step's lock, so that a step a killed study left running ends before it is started again, and it ends with
the process that started it, however that one ended.
"""

from __future__ import annotations

import sys
from pathlib import Path

from regolith.lunar.files import holding
from regolith.lunar.system import end_with_parent, is_parent


def main(arguments: list[str]) -> int:
    """Run one verb under a lock: PARENT LOCK VERB ARGUMENTS …; returns the exit status."""
    parent, lock, verb, *rest = arguments
    end_with_parent(politely=True)
    if not is_parent(int(parent)):  # it went before the kernel knew
        return 130
    with holding(Path(lock), wait=True):
        if verb == "train":
            from training.train import run_companion

            return run_companion(Path(rest[0]))
        if verb == "subset":
            from regolith.lunar.dataset.subset import link_subset

            link_subset(Path(rest[0]), Path(rest[1]), int(rest[2]))
            return 0
        from regolith.lunar.cli import main as regolith

        return regolith([verb, *rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
