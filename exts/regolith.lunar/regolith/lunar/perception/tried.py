"""The process of a trial (`perception.trial`): python -m regolith.lunar.perception.tried FILE LAUNCHER."""

from __future__ import annotations

import contextlib
import sys

from regolith.lunar.jobs.confined import begin
from regolith.lunar.jobs.events import emit
from regolith.lunar.params import InputError
from regolith.lunar.perception.session import Segmenter


def main() -> None:
    """Open the model and run it once, within what `jobs.confined` lets it take."""
    import onnxruntime  # noqa: F401  (loading it is not the model's doing)

    model, launcher = sys.argv[1:]
    begin(int(launcher))
    with contextlib.suppress(InputError):  # what refuses it here does so there
        Segmenter(model, threads=1, cuda=False, trusted=True)
    emit({"event": "done", "status": "finished"})


if __name__ == "__main__":
    main()
