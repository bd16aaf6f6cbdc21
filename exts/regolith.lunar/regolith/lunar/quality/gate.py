"""`regolith gate`: are synthetic frames near enough to real ones to be trained on?

regolith gate data/train_dr --real photographs --masks masks --require semantics --quarantine --out gate
regolith generate --request gate/request.json --out again

It writes `gate.json`, `gate.html` and, of what was rejected with `--quarantine`, `request.json`. `gate.json` has

| field | |
|---|---|
| `schema` | 1 |
| `verdict` | `accept`, or `reject` where a figure fails, or what is required could not be scored |
| `reasons` | why it is rejected, each a line |
| `synth`, `real`, `real_clouds` | what was compared; null where there are no clouds |
| `settings` | how it was judged: flags of `regolith gate` and their values, for `regolith generate --gate-like` |
| `thresholds` | `geometry_min`, `jsd_max` by class, `divergence`, `require` |
| `checks` | a row each: `measure`, `class`, `value`, `interval` (95 %), `limit`, `passed`, `uncertain`, `note` |
| `quarantine` | `set`; `frames`, number to reasons; `classes`, name to reasons; `without`: class to divergence then |
| `request` | name of the file, or null |
| `asked`, `why` | what to change: `name`, `was`, `wanted`, `why` of each parameter; and what was found, in sentences |
| `frames` | of each frame looked at `frame`, and `own`: class to its own divergence, null where it shows none |
| `semantics`, `appearance`, `geometry` | results of `regolith score …`; `geometry` is null where not scored |
| `notes` | what else there is to know |
| `digest` | SHA-256 of the rest, as in `dataset.json` |
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Self

from pydantic import field_validator, model_validator

from regolith.lunar.dataset.quarantine import Quarantine
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.labels import NAMES
from regolith.lunar.params import CheckError, InputError, Verb, as_text, quantity, validate_text
from regolith.lunar.params.fields import cross_field, words_of
from regolith.lunar.quality.gate_frames import Check, say_accepted
from regolith.lunar.quality.gate_judge import GATE, REQUEST, gate
from regolith.lunar.quality.gate_report import REPORT
from regolith.lunar.quality.measures import GEOMETRY_MIN, JSD_MAX, REQUIRED, Required
from regolith.lunar.quality.semantics import MASKS_HELP, REAL_HELP, SIZE_HELP, STRIDE, Which, read_layer, say_interval
from regolith.lunar.reading import parse_yaml, read_json, read_text

REQUIRE_HELP = (
    "What has to be scored and pass. Without points on both sides, which are depth and real clouds, only semantics can."
)
CLOUDS_HELP = "Real clouds for the geometry, as `score geometry` takes them; left out, REAL where it has depth."


class Gate(Verb):
    """Accept synthetic frames that are near enough to real ones, or reject them (exit code 1) and say what to draw."""

    synth: Path = quantity(..., "Split of synthetic frames.", positional=True)
    real: Path = quantity(..., REAL_HELP)
    masks: Path | None = quantity(None, MASKS_HELP)
    real_clouds: Path | None = quantity(None, CLOUDS_HELP)
    geometry_min: float = quantity(GEOMETRY_MIN, "Smallest geometric score that passes.", ge=0, le=1, step=0.01)
    jsd_max: str = quantity(
        str(JSD_MAX), "Largest divergence of a class that passes; of some classes their own: 0.15,rock=0.2."
    )
    divergence: Which = quantity(
        "neighbour",
        "Divergence that is held against it: of densities by nearest neighbours, or of histograms of norms.",
    )
    require: Required = quantity(REQUIRED, REQUIRE_HELP)
    quarantine: bool = quantity(
        False, f"Mark in the split what is rejected, or lift the mark; of what is rejected write {REQUEST}."
    )
    columns: bool = quantity(False, "Also write what is found of each frame into the split: columns/gate.jsonl.")
    model: str = quantity("default", "Encoder: a shipped model by name, or an .onnx file.")
    layer: str = quantity(
        str(STRIDE), "Stride of the features, or the name of a tensor, as `score semantics` takes it."
    )
    classes: str = quantity(",".join(NAMES), "Classes to compare; name only those that both sides have labelled.")
    size: int | None = quantity(None, SIZE_HELP, unit="px", ge=64, le=8192, step=32)
    patch_m: float = quantity(2.0, "Side of a patch of ground, for the geometry.", unit="m", ge=0.1, le=1000)
    seed: int = quantity(0, "Seed of what is drawn: cells, bootstrap, exchanges, patches.", ge=0)
    out: Path = quantity(Path("out/gate"), f"Folder of {GATE}, {REPORT} and {REQUEST}.")
    threads: int | None = quantity(None, "CPU threads; left out, one per core.", ge=1, le=1024)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    @field_validator("jsd_max")
    @classmethod
    def _are_limits(cls, value: str) -> str:
        limits_of(value, NAMES)
        return value

    @field_validator("classes")
    @classmethod
    def _are_classes(cls, value: str) -> str:
        found = words_of(value)
        if not found or not set(found) <= set(NAMES):
            raise cross_field("", value, f"of {', '.join(NAMES)}, with commas between")
        return value

    @model_validator(mode="after")
    def _limits_are_of_classes(self) -> Self:
        compared = words_of(self.classes)
        loose = [word for word in words_of(self.jsd_max) if "=" in word and word.partition("=")[0] not in compared]
        if loose:
            raise cross_field("jsd_max", self.jsd_max, f"limits of what --classes names, {', '.join(compared)}")
        return self

    @classmethod
    def like(cls, path: Path | None, field: str, **values: Any) -> Self:
        """Make a gate that judges as a file says.

        Args:
            path: `gate.json`, or a .yaml or .json file of `SETTINGS`; None for their defaults.
            field: Parameter that named it, for errors.
            values: Of the other fields.

        Raises:
            InputError: The file cannot be read, or something in it does not fit.
        """
        said: dict[str, Any] = {}
        if path is not None:
            try:
                data = read_json(path) if path.suffix == ".json" else parse_yaml(read_text(path))
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                raise InputError(field, str(path), f"gate.json, or a file of gate's settings ({reason})") from None
            said = data.get("settings", data) if isinstance(data, dict) else {}
            unknown = [str(name) for name in said if name not in SETTINGS] if isinstance(said, dict) else [str(path)]
            if unknown or not said:
                raise InputError(field, ", ".join(unknown) or str(path), f"a file of some of {', '.join(SETTINGS)}")
        try:
            texts = {name: as_text(value) for name, value in said.items() if value is not None}
            settings = validate_text(cls, {"synth": "", "real": ""} | texts)
        except InputError as error:
            raise InputError(f"{field}: {error.field}", error.value, error.allowed) from None
        return settings.model_copy(update=values)

    def judge(self, emit: Emit = lambda event: None) -> dict[str, Any]:
        """Hold the split against the real side as `quality.gate_judge.gate` does, and return what `gate.json` holds."""
        return gate(
            self.synth,
            self.real,
            out=self.out,
            masks=self.masks,
            real_clouds=self.real_clouds,
            geometry_min=self.geometry_min,
            jsd_max=limits_of(self.jsd_max, words_of(self.classes)),
            divergence=self.divergence,
            require=words_of(self.require),
            quarantine=self.quarantine,
            columns=self.columns,
            model=self.model,
            layer=read_layer(self.layer),
            size=self.size,
            patch_m=self.patch_m,
            seed=self.seed,
            threads=self.threads,
            emit=emit,
        )

    def run(self) -> dict[str, Any]:
        """Judge; raises `CheckError` where the frames are rejected, with everything written."""
        with show(self.events, "gate", "pictures") as emit:
            result = self.judge(emit)
        if result["verdict"] == "reject":
            raise CheckError(f"{self.synth}: rejected: {'; '.join(result['reasons'])}", result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Give a line for each figure, the verdict where it is not an error, and where the rest is."""
        lines = say_checks(result)
        if result["verdict"] == "accept":
            lines.append(f"{self.synth}: {say_accepted([Check.from_dict(row) for row in result['checks']])}")
        return "\n".join([*lines, str(self.out / REPORT)])


SETTINGS = (
    "geometry_min", "jsd_max", "divergence", "require", "model", "layer", "classes", "size", "patch_m", "seed",
)  # fmt: skip
"""Fields that say how it is judged, not what."""


def say_checks(result: dict[str, Any]) -> list[str]:
    """Lines of the table of figures, then what is set aside, and notes."""
    lines = [f"{'':<20} {'value':<24}{'limit':<9}"]
    for row in result["checks"]:
        value = None if row["value"] is None else {"value": row["value"], "interval": row["interval"]}
        sign = "≥" if row["measure"] == "geometry" else "≤"
        what = f"{row['measure']} {row['class']}"
        lines.append(f"{what:<20} {say_interval(value):<24}{sign} {row['limit']:<7g}{Check.from_dict(row).verdict}")
    lines += [
        f"{row['class']}: {row['note']}" for row in result["checks"] if row["note"] and row["measure"] != "geometry"
    ]
    aside = result["quarantine"]
    if aside["frames"] or aside["classes"]:
        words = Quarantine("", "", aside["frames"], aside["classes"]).words()
        lines.append(f"{'quarantined' if aside['set'] else 'to be quarantined (--quarantine)'}: {words}")
    return [*(line.rstrip() for line in lines), *(f"note: {note}" for note in result["notes"])]


def limits_of(text: str, classes: tuple[str, ...]) -> dict[str, float]:
    """Largest divergence of each class, of a text like `0.15`, `rock=0.2` or `0.15,rock=0.2`.

    Raises:
        PydanticCustomError: It is no such text.
    """
    limits = dict.fromkeys(classes, JSD_MAX)
    for word in sorted(words_of(text), key=lambda word: "=" in word):
        name, _, number = word.rpartition("=")
        try:
            limit = float(number)
        except ValueError:
            limit = math.nan
        if not 0 <= limit <= 1 or (name and name not in NAMES):
            raise cross_field("", text, f"numbers 0 … 1, of all or of {', '.join(NAMES)}: 0.15,rock=0.2")
        limits |= dict.fromkeys([name] if name in limits else [] if name else classes, limit)
    return limits
