"""Generate a split on the nodes of a Ray cluster.

- chunks of frames are Ray tasks; the nodes share the folder (NFS, Lustre, …), and every byte is as one machine draws it
- a node that dies costs the frames it was drawing; the same call goes on where it stopped
- without an address, a cluster of this machine's cores is started

    ray start --head                       # on one machine; `ray start --address HOST:6379` on the others
    python examples/11_many_machines_with_ray.py --address HOST:6379 --out /shared/out/11
"""

from __future__ import annotations

import json
from pathlib import Path

import tyro
from matplotlib.figure import Figure

import regolith.lunar as rl


def main(
    out: Path = Path("out/11"),
    address: str | None = None,
    preset: str = "v3",
    frames: int = 40,
    size: int = 256,
    workers: int = 2,
    chunk: int = 20,
) -> None:
    """Generate a split on a cluster.

    Args:
        out: Folder to write, at one path on every node.
        address: Address of the cluster, HOST:PORT.
        preset: Preset to start from.
        frames: Frames of the split.
        size: Side of a picture [px].
        workers: Chunks drawn at once.
        chunk: Frames of a chunk, rounded to whole scenes.
    """
    done = rl.generate(
        rl.load_preset(preset), out / "data", split="train_dr", frames=frames, width=size, height=size,
        executor="ray", address=address, workers=workers, chunk_frames=chunk,
        emit=lambda event: print(event.get("message") or f"{event['done']} of {event['total']}"),
    )  # fmt: skip
    print(f"{done['split']}: {done['frames']} frames, {done['drawn']} drawn now")

    log = (out / "data/train_dr/generate.log.jsonl").read_text("utf-8").splitlines()
    chunks = [entry for entry in map(json.loads, log) if entry["event"] == "chunk" and entry["frames"]]
    figure = Figure(figsize=(6, 2.4), layout="constrained")
    axes = figure.add_subplot(xlabel="seconds of a chunk, by what they were spent on", yticks=[])
    stages = ("start", "scene", "load", "aim", "render", "wait")
    for row, entry in enumerate(chunks):
        left = 0.0
        for number, stage in enumerate(stages):
            spent = entry["seconds"].get(stage, 0.0)
            axes.barh(row, spent, left=left, color=f"C{number}", label=stage if row == 0 else None)
            left += spent
        axes.text(left, row, f" {entry['frames']} frames on {entry['host']}", va="center", fontsize=8)
    axes.legend(ncols=6, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 1.25), frameon=False)
    axes.margins(x=0.35)
    figure.savefig(out / "picture.png", dpi=90)
    print(out / "picture.png")


if __name__ == "__main__":
    tyro.cli(main)
