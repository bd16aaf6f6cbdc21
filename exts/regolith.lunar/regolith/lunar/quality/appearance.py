"""`regolith score appearance`: spectrum, brightness, shadow and edges of each class, synthetic against real."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.files import AnyPath, write_json
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.labels import CLASSES, IGNORE, NAMES, SKY
from regolith.lunar.params import InputError, Verb, quantity, sole_folder
from regolith.lunar.perception.session import load_model
from regolith.lunar.quality.appearance_plot import plot_appearance
from regolith.lunar.quality.divergence import FEW_NOTE, Statistic, bootstrap_interval, js_divergence
from regolith.lunar.quality.features import MAJORITY
from regolith.lunar.quality.pictures import Pictures, working_px
from regolith.lunar.quality.semantics import MASKS_HELP, PSEUDO_NOTE, REAL_HELP, SIZE_HELP, say_interval
from regolith.lunar.stage.colour import LUMINANCE

APPEARANCE, PICTURE = "appearance.json", "appearance.png"
PATCH = 16
"""Side of the patches a spectrum is taken of [px]."""
PATCHES_MAX = 256
"""Most patches of a class in one picture."""
FREQUENCIES = np.arange(1, PATCH // 2 + 1) / PATCH
"""Centres of the spectrum's rings [cycles per pixel], up to Nyquist."""
LEVELS = 32
"""Bins of luminance over 0 … 1."""
ANGLES = 18
"""Bins of the direction of edges over 0 … 180°."""
SHADOW = 0.25
"""Luminance below which a pixel is in shadow, in parts of what three quarters of the picture's ground stay below."""


class ScoreAppearance(Verb):
    """Compare how each class looks in synthetic and in real pictures: spectrum, brightness, shadow, edges."""

    synth: Path = quantity(..., "Split of synthetic frames.", positional=True)
    real: Path = quantity(..., REAL_HELP)
    masks: Path | None = quantity(None, MASKS_HELP)
    model: str = quantity("default", "Model that predicts the classes of photographs without masks.")
    size: int | None = quantity(None, SIZE_HELP, unit="px", ge=64, le=8192, step=32)
    seed: int = quantity(0, "Seed of the bootstrap.", ge=0)
    out: Path = quantity(Path("out/score-appearance"), f"Folder of {APPEARANCE} and {PICTURE}.")
    threads: int | None = quantity(None, "CPU threads; left out, one per core.", ge=1, le=1024)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Compare, write the result and its picture, and return the result."""
        with show(self.events, "score appearance", "pictures") as emit, sole_folder("out", self.out):
            result = score_appearance(
                self.synth,
                self.real,
                masks=self.masks,
                model=self.model,
                size=self.size,
                seed=self.seed,
                threads=self.threads,
                emit=emit,
            )
            plot_appearance(result, self.out / PICTURE)
            result["picture"] = str(self.out / PICTURE)
            write_json(self.out / APPEARANCE, result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Give a line for each class."""
        lines = [f"{'class':<9} {'spectrum':<27}{'luminance JSD':<24}{'edges JSD':<24}shadow, synthetic / real"]
        for name, row in result["classes"].items():
            if row["note"]:
                lines.append(f"{name:<9} {row['note']}")
                continue
            spectrum = "–"
            if row["spectrum"] is not None:
                worst = row["spectrum"]["worst"]
                spectrum = f"{worst['db']:+.1f} dB at {worst['cycles_per_px']:.2f} /px"
            shares = " / ".join(f"{share:.1%}" for share in row["shadow"]["shares"])
            edges = say_interval(row["edges"]["jsd"])
            lines.append(f"{name:<9} {spectrum:<27}{say_interval(row['luminance']['jsd']):<24}{edges:<24}{shares}")
        lines += [f"note: {note}" for note in result["notes"]]
        return "\n".join([*lines, str(self.out / APPEARANCE), str(self.out / PICTURE)])


@dataclasses.dataclass(frozen=True)
class Looks:
    """How one class looks in one picture."""

    spectrum: np.ndarray | None
    """`ring_power` of its patches, their mean, [rings]; None without a patch."""
    luminance: np.ndarray
    """Share of its pixels by luminance, [LEVELS]."""
    edges: np.ndarray
    """Gradient of luminance summed by the direction of its edges, of sum 1 or 0, [ANGLES]."""
    shadow: float
    """Share of its pixels in shadow."""


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Return the luminance of a picture uint8 [H, W, 3] as it is displayed, not of its light, float64 [H, W], 0 … 1."""
    return rgb @ LUMINANCE / 255


def ring_power(patches: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Radially averaged power spectrum of patches, in parts of the squared mean.

    Each patch is taken by its own contrast: divided by its mean over the pixels that count, less 1; the others are 0.
    Times a Hann window, and divided by the sum of its squares over the pixels that count, so that white noise of
    variance v has power v at every ring. (A. van der Schaaf, J. van Hateren, "Modelling the power spectra of natural
    images", Vision Research 36, 1996, for rings and contrast.) Below two cycles a patch the window mixes the mean in:
    the first ring is low.

    Args:
        patches: Luminance, float [n, P, P].
        inside: Pixels that count, bool [n, P, P], in each patch at least one.

    Returns:
        float64 [n, P / 2]: power at 1, 2, … P / 2 cycles a patch, each the mean of the frequencies nearer to it than to
        another whole number.
    """
    side = patches.shape[1]
    taper = np.hanning(side + 1)[:-1]
    window = np.outer(taper, taper) * inside
    weight = window.sum(axis=(1, 2), keepdims=True)
    mean = (patches * window).sum(axis=(1, 2), keepdims=True) / weight
    contrast = (patches / np.maximum(mean, 1 / 255) - 1) * window
    power = np.abs(np.fft.fft2(contrast)) ** 2 / (window**2).sum(axis=(1, 2), keepdims=True)
    frequency = np.fft.fftfreq(side, 1 / side)
    ring = np.rint(np.hypot.outer(frequency, frequency)).astype(int)
    return np.stack([power[:, ring == r].mean(axis=1) for r in range(1, side // 2 + 1)], axis=1)


def edge_directions(grey: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Histogram of the directions of edges, each pixel counted by its gradient.

    Args:
        grey: Luminance, float [H, W].
        inside: Pixels that count, bool [H, W]; those on the picture's rim do not.

    Returns:
        float64 [ANGLES], sum 1, or all 0 without a gradient: the direction along an edge, from 0° (along a row) over
        90° (along a column) to 180°, counter-clockwise as the picture is seen.
    """
    down, right = np.gradient(grey)
    strength = np.hypot(down, right) * inside
    strength[[0, -1]] = 0
    strength[:, [0, -1]] = 0
    angle = np.degrees(np.arctan2(right, down)) % 180  # the gradient (right, −down) turned by 90°
    places = np.rint(angle / (180 / ANGLES)).astype(int) % ANGLES
    total = np.bincount(places.ravel(), strength.ravel(), minlength=ANGLES)
    return total / total.sum() if total.sum() > 0 else total


def look_at(rgb: np.ndarray, classes: np.ndarray) -> dict[int, Looks]:
    """Return how each class of a picture looks; classes without a pixel are left out.

    Args:
        rgb: uint8 [H, W, 3].
        classes: uint8 [H, W].
    """
    grey = luminance(rgb)
    ground = grey[(classes != SKY) & (classes != IGNORE)]
    dark = SHADOW * np.quantile(ground, 0.75) if ground.size else 0.0
    found: dict[int, Looks] = {}
    for value in range(len(NAMES)):
        inside = classes == value
        if not inside.any():
            continue
        levels = np.minimum((grey[inside] * LEVELS).astype(int), LEVELS - 1)
        whole = np.bincount(levels, minlength=LEVELS) / levels.size
        shadow = float((grey[inside] < dark).mean())
        spectrum = _mean_power(grey, inside)
        interior = inside & _all_around(inside)
        found[value] = Looks(spectrum, whole, edge_directions(grey, interior), shadow)
    return found


def _all_around(inside: np.ndarray) -> np.ndarray:
    """Whether the four neighbours of each pixel count too: their differences are not those of two classes."""
    filled = np.pad(inside, 1, mode="edge")
    return filled[:-2, 1:-1] & filled[2:, 1:-1] & filled[1:-1, :-2] & filled[1:-1, 2:]


def _mean_power(grey: np.ndarray, inside: np.ndarray) -> np.ndarray | None:
    rows, columns = (length // PATCH for length in grey.shape)
    if not rows or not columns:
        return None

    def cut(array: np.ndarray) -> np.ndarray:
        whole = array[: rows * PATCH, : columns * PATCH].reshape(rows, PATCH, columns, PATCH)
        return whole.swapaxes(1, 2).reshape(-1, PATCH, PATCH)

    counted = cut(inside)
    chosen = np.flatnonzero(counted.mean(axis=(1, 2)) > MAJORITY)
    if not len(chosen):
        return None
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), PATCHES_MAX)).round().astype(int)]
    return ring_power(cut(grey)[chosen], counted[chosen]).mean(axis=0)


def score_appearance(
    synth: AnyPath,
    real: AnyPath,
    *,
    masks: AnyPath | None = None,
    model: AnyPath = "default",
    size: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Compare how each class looks in two sets of pictures; each picture counts the same.

    Args:
        synth: A split.
        real: A folder of photographs, or a split.
        masks: Folder of the photographs' masks, or `apollo`; None to take the classes the model predicts.
        model: `.onnx` file with its card, or the name of a shipped one; used only where there are no masks.
        size: Long side both sets are reduced to [px]; None for the smaller split's.
        seed: Of the bootstrap.
        threads: CPU threads of the model; None for one per core.
        emit: Receives `progress` events, dictionaries.

    Returns:
        {size, seed, synth, real, classes, notes}: `classes` has a row each: `pictures` (of synth, of real), `spectrum`
        {cycles_per_px, synth, real, db, interval_db, rms_db, worst}, powers in parts of the squared mean and `db` 10
        log10 of synthetic by real; `luminance` and `edges` {synth, real, jsd}, shares by bin; `shadow` {shares,
        difference}; `note`, where one side lacks the class.

    Raises:
        InputError: No such pictures, masks or model.
    """
    first = Pictures(Path(synth), field="synth")
    second = Pictures(Path(real), field="real", masks=None if masks is None else Path(masks))
    if first.labels != "split":
        raise InputError("synth", str(synth), "a split, as `regolith generate` writes")
    px = working_px(first, second, size)
    segmenter = load_model(model, threads=threads, cuda=False) if second.labels == "pseudo" else None
    sides: list[list[tuple[str, dict[int, Looks]]]] = []
    for pictures in (first, second):
        labeller = None if segmenter is None or pictures is first else lambda rgb: segmenter.segment(rgb).mask
        found: list[tuple[str, dict[int, Looks]]] = []
        for picture in pictures.read(px, labeller):
            found.append((picture.group, look_at(picture.rgb, picture.classes)))
            emit({"event": "progress", "done": len(found), "total": len(pictures)})
        sides.append(found)
    rows: dict[str, Any] = {}
    for name, value in CLASSES.items():
        looks = [[(group, found[value]) for group, found in side if value in found] for side in sides]
        rows[name] = compare_looks(looks[0], looks[1], name, seed)
    return {
        "size": px,
        "seed": seed,
        "synth": first.words(),
        "real": second.words(),
        "classes": rows,
        "notes": ([PSEUDO_NOTE] if segmenter is not None else [])
        + [f"{name}: {FEW_NOTE}" for name, row in rows.items() if not row["note"] and _lacks_interval(row)],
    }


def _lacks_interval(row: dict[str, Any]) -> bool:
    """Whether a figure of a class both sides have is without an interval: each counts the groups it is found in."""
    spectrum, histograms = row["spectrum"], [row[key]["jsd"] for key in ("luminance", "edges")]
    found = [figure["interval"] for figure in (*histograms, row["shadow"]["difference"]) if figure is not None]
    return None in found or (spectrum is not None and spectrum["interval_db"] is None)


def compare_looks(x: list[tuple[str, Looks]], y: list[tuple[str, Looks]], name: str, seed: int) -> dict[str, Any]:
    """Compare how a class looks in pictures, each with the name of its group; a row as in `score_appearance`."""
    row: dict[str, Any] = {"pictures": [len(x), len(y)], "note": ""}
    if not x or not y:
        side = "either" if not x and not y else "the synthetic" if not x else "the real"
        return row | {"note": f"no {name} on {side} side"}

    def measure(statistic: Statistic, gx: np.ndarray, gy: np.ndarray, low: float, high: float) -> dict[str, Any]:
        value = statistic(np.ones(len(gx)), np.ones(len(gy)))
        interval = bootstrap_interval(statistic, gx, gy, low=low, high=high, seed=seed)
        return {"value": value, "interval": interval}

    def histograms(key: str) -> dict[str, Any]:
        sides = [
            [(group, getattr(looks, key)) for group, looks in side if getattr(looks, key).any()] for side in (x, y)
        ]
        if not all(sides):
            return {"synth": None, "real": None, "jsd": None}
        (gx, p), (gy, q) = (_stack(side) for side in sides)
        jsd = measure(lambda wx, wy: js_divergence(wx @ p, wy @ q), gx, gy, 0, 1)
        return {"synth": p.mean(axis=0).tolist(), "real": q.mean(axis=0).tolist(), "jsd": jsd}

    (gx, p), (gy, q) = (_stack([(group, np.array([looks.shadow])) for group, looks in side]) for side in (x, y))
    shadow = measure(lambda wx, wy: float((wx @ p / wx.sum() - wy @ q / wy.sum())[0]), gx, gy, -1, 1)
    return row | {
        "spectrum": _compare_spectra(x, y, seed),
        "luminance": histograms("luminance"),
        "edges": histograms("edges"),
        "shadow": {"shares": [float(p.mean()), float(q.mean())], "difference": shadow},
    }


def _stack(side: list[tuple[str, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return group numbers int [n] and values float [n, k]."""
    return np.unique([group for group, _ in side], return_inverse=True)[1], np.stack([values for _, values in side])


def _compare_spectra(x: list[tuple[str, Looks]], y: list[tuple[str, Looks]], seed: int) -> dict[str, Any] | None:
    """Compare powers ring by ring [dB]; None where a side has no patch mostly of the class.

    Pictures are averaged in decibels, so by geometric means: a few of hard light would decide arithmetic ones.
    """
    sides = [[(group, looks.spectrum) for group, looks in side if looks.spectrum is not None] for side in (x, y)]
    if not all(sides):
        return None
    (gx, p), (gy, q) = (_stack(side) for side in sides)
    p, q = (10 * np.log10(np.maximum(power, 1e-12)) for power in (p, q))

    def ratio(ring: int) -> Statistic:
        return lambda wx, wy: float(wx @ p[:, ring] / wx.sum() - wy @ q[:, ring] / wy.sum())

    db = [ratio(ring)(np.ones(len(p)), np.ones(len(q))) for ring in range(len(FREQUENCIES))]
    rings = range(len(FREQUENCIES))
    intervals = [bootstrap_interval(ratio(ring), gx, gy, low=-np.inf, seed=seed) for ring in rings]
    worst = int(np.argmax(np.abs(db)))
    return {
        "cycles_per_px": FREQUENCIES.tolist(),
        "synth": (10 ** (p.mean(axis=0) / 10)).tolist(),
        "real": (10 ** (q.mean(axis=0) / 10)).tolist(),
        "db": db,
        "interval_db": None if None in intervals else intervals,
        "rms_db": float(np.sqrt(np.mean(np.square(db)))),
        "worst": {"cycles_per_px": float(FREQUENCIES[worst]), "db": db[worst]},
    }
