"""The process of a trial (`perception.trial`): python -m regolith.lunar.perception.tried FILE LAUNCHER."""

from __future__ import annotations

import contextlib
import sys

import numpy as np

from regolith.lunar.jobs.confined import begin
from regolith.lunar.jobs.events import emit

SIDE = 64
"""Side of the picture it is run on [px]."""


def main() -> None:
    """Open the model and run it once, within what `jobs.confined` lets it take."""
    import onnxruntime  # loading it is not the model's doing

    model, launcher = sys.argv[1:]
    begin(int(launcher))
    options = onnxruntime.SessionOptions()
    options.enable_mem_pattern = False
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    with contextlib.suppress(Exception):  # what refuses it here does so where it is opened, and says why
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        given = session.get_inputs()[0]
        planes = given.type == "tensor(float)"
        picture = np.zeros((1, 3, SIDE, SIDE), np.float32) if planes else np.full((1, SIDE, SIDE, 3), 96, np.uint8)
        session.run(None, {given.name: picture})
    emit({"event": "done", "status": "finished"})


if __name__ == "__main__":
    main()
