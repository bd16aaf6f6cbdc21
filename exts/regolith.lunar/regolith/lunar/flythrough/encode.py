"""Films and GIFs through imageio-ffmpeg, which brings an ffmpeg along."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import numpy as np

from regolith.lunar.files import replacing
from regolith.lunar.machine import install_command
from regolith.lunar.params import InputError

QUALITY = 18
"""Constant rate factor of H.264: 18 is next to the original."""
EXACT = ["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]
"""The same pictures give the same bytes, whatever the machine's cores and the day."""
GIF_STEPS = (
    (640, 15, 128), (560, 12, 128), (480, 12, 96), (480, 8, 64), (400, 8, 64), (360, 8, 64), (320, 8, 48), (280, 8, 32),
    (240, 6, 32), (160, 5, 16), (96, 4, 8),
)  # fmt: skip
"""Width [px], frames a second and colours of a GIF, from the best: the first that is small enough is kept."""


def find_ffmpeg() -> ModuleType:
    """Import imageio-ffmpeg.

    Raises:
        InputError: It is not installed, or has no ffmpeg.
    """
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        raise InputError("steps", "imageio-ffmpeg", f"imageio-ffmpeg: {install_command('film')}") from None
    return imageio_ffmpeg


def write_film(path: Path, pictures: Iterable[np.ndarray], *, size: tuple[int, int], fps: int) -> None:
    """Encode pictures as H.264 in an MP4, whole or not at all.

    Args:
        path: The film.
        pictures: uint8 [H, W, 3], H and W even.
        size: W and H.
        fps: Pictures a second.
    """
    ffmpeg = find_ffmpeg()
    with replacing(path) as temporary:
        film = ffmpeg.write_frames(
            str(temporary), size, fps=fps, codec="libx264", macro_block_size=2, quality=None,
            output_params=["-crf", str(QUALITY), "-preset", "slow", "-movflags", "+faststart", *EXACT],
        )  # fmt: skip
        film.send(None)
        try:
            for picture in pictures:
                film.send(np.ascontiguousarray(picture))
        finally:
            film.close()


def count_frames(path: Path) -> int:
    """Frames of a film."""
    return int(find_ffmpeg().count_frames_and_secs(str(path))[0])


def write_gif(path: Path, film: Path, *, most_bytes: int, width: int, fps: int) -> tuple[int, int, int]:
    """Make a GIF of a film, as large as may be.

    Args:
        path: The GIF.
        film: The film.
        most_bytes: Largest size of the file.
        width: Width of the film [px].
        fps: Frames a second of the film.

    Returns:
        Width [px], frames a second and colours.

    Raises:
        InputError: Not even the smallest of `GIF_STEPS` is small enough.
    """
    ffmpeg = find_ffmpeg().get_ffmpeg_exe()
    with replacing(path) as temporary:
        for wide, rate, colours in GIF_STEPS:
            wide, rate = min(wide, width), min(rate, fps)  # noqa: PLW2901
            palette = f"palettegen=max_colors={colours}:stats_mode=diff[p]"
            steps = f"fps={rate},scale={wide}:-1:flags=lanczos,split[a][b];[a]{palette}"
            steps += ";[b][p]paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle"
            command = [ffmpeg, "-v", "error", "-y", "-i", str(film), "-filter_complex", steps, *EXACT, str(temporary)]
            subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
            if temporary.stat().st_size <= most_bytes:
                return wide, rate, colours
        raise InputError("gif_mb", most_bytes / 1e6, "more for a film of this length")
