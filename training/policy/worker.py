"""A process that drives over a share of a round's stages: `python -m training.policy.worker OUT ROUND SHARE SHARES`.

ROUND is a number, or `held_out`. It ends with the process that started it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from regolith.lunar.params import CheckError, InputError
from regolith.lunar.system import end_with_parent
from training.policy.run import drive_left, read_config


def main(arguments: list[str]) -> int:
    """Drive; returns the exit status."""
    end_with_parent(politely=True)
    out, round_, share, shares = arguments
    number = None if round_ == "held_out" else int(round_)
    try:
        for _ in drive_left(read_config(Path(out)), number, int(share), int(shares)):
            pass
    except (InputError, CheckError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
