"""The verbs that judge data, as the panel has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regolith.lunar.dataset.splits import counted
from regolith.lunar.panel.verb_row import VerbRow
from regolith.lunar.quality.appearance import ScoreAppearance
from regolith.lunar.quality.drift import Drift
from regolith.lunar.quality.drift_report import REPORT as DRIFT_PAGE
from regolith.lunar.quality.gate import Gate
from regolith.lunar.quality.gate_frames import Check, say_accepted
from regolith.lunar.quality.gate_report import REPORT as GATE_PAGE
from regolith.lunar.quality.mix import Mix
from regolith.lunar.quality.score_geometry import ScoreGeometry
from regolith.lunar.quality.select_params import ENDS, SelectParams
from regolith.lunar.quality.select_report import REPORT as SELECT_PAGE
from regolith.lunar.quality.semantics import ScoreSemantics, say_interval
from regolith.lunar.quality.sensor import ALL, CalibrateSensor
from regolith.lunar.quality.tail import Tail
from regolith.lunar.quality.tail_report import REPORT as TAIL_PAGE
from regolith.lunar.quality.tail_report import say_budget

NAMED = 2
"""Reasons of a rejection that a line names; the log and the page have all."""
SPLIT = "dataset/train_dr"
"""Split that is judged, below the panel's data folder, where no other is entered: the one that export writes."""


def _say_gate(result: dict[str, Any]) -> str:
    if result["verdict"] == "accept":
        return say_accepted([Check.from_dict(row) for row in result["checks"]])
    reasons = result["reasons"]
    more = f"; and {len(reasons) - NAMED} more" if len(reasons) > NAMED else ""
    return f"rejected: {'; '.join(reasons[:NAMED])}{more}"


def _say_semantics(result: dict[str, Any]) -> str:
    return _by_class("divergence", {name: row["neighbour"] for name, row in result["classes"].items()})


def _say_appearance(result: dict[str, Any]) -> str:
    rows = result["classes"].items()
    return _by_class("luminance JSD", {name: row["luminance"]["jsd"] for name, row in rows if not row["note"]})


def _by_class(what: str, values: Mapping[str, dict[str, Any] | None]) -> str:
    words = [f"{name} {say_interval(value)}" for name, value in values.items() if value is not None]
    return f"{what}: {', '.join(words)}" if words else "no class could be compared"


def _say_geometry(result: dict[str, Any]) -> str:
    return "no score" if result["score"] is None else f"score {result['score']:.3f}"


def _say_drift(result: dict[str, Any]) -> str:
    tests = ", ".join(f"{name} p {result[name]['p']:.3f}" for name in ("features", "entropy"))
    return f"{'drift' if result['alert'] else 'no drift'}: {tests}"


def _say_tail(result: dict[str, Any]) -> str:
    return say_budget(result["budget"])


def _say_mix(result: dict[str, Any]) -> str:
    taken = result["frames"]
    return f"{counted(taken['synth'], 'synthetic frame')}, {counted(taken['real'], 'real frame')}"


def _say_select(result: dict[str, Any]) -> str:
    ends = f"; the loop ends: {ENDS[result['stop']]}" if result["stop"] else ""
    return f"{len(result['chosen'])} of {counted(len(result['units']), 'unit')} to label{ends}"


def _say_sensor(result: dict[str, Any]) -> str:
    most = max(row["points"] for row in result["rows"] if row["class"] == ALL)
    return f"{result['sensor']}: {counted(result['scans'], 'scan')}, up to {counted(most, 'point')}"


def _out(key: str) -> dict[str, str]:
    return {"out": f"quality/{key}"}


QUALITY: tuple[VerbRow, ...] = (
    VerbRow(
        "gate", "gate", Gate, "Gate", "Judge the split",
        "Accept a split that is near enough to real pictures, or reject it and say what to draw instead.",
        "pictures", _say_gate, {"synth": SPLIT} | _out("gate"), page=GATE_PAGE,
        marks=(("quarantine", "columns"), "synth"),
    ),
    VerbRow(
        "score_semantics", "score semantics", ScoreSemantics, "Semantics", "Score semantics",
        "Compare what an encoder sees of each class in synthetic and in real pictures.",
        "pictures", _say_semantics, {"synth": SPLIT} | _out("semantics"),
    ),
    VerbRow(
        "score_appearance", "score appearance", ScoreAppearance, "Appearance", "Score appearance",
        "Compare spectrum, brightness, shadow and edges of each class in synthetic and in real pictures.",
        "pictures", _say_appearance, {"synth": SPLIT} | _out("appearance"),
    ),
    VerbRow(
        "score_geometry", "score geometry", ScoreGeometry, "Geometry", "Score geometry",
        "Score the shapes of synthetic clouds of points, or depth, against real ones.",
        "clouds", _say_geometry, {"synth": SPLIT} | _out("geometry"), splits=(), files=("sensor",),
    ),
    VerbRow(
        "calibrate_sensor", "calibrate sensor", CalibrateSensor, "Sensor", "Calibrate the sensor",
        "Measure how far repeated scans of one place lie apart, which pairs of clouds are then held against.",
        "steps", _say_sensor, {"scans": "scans", "out": "calibration/sensor.json"}, splits=(), files=("out",),
        section="calibrate",
    ),
    VerbRow(
        "drift", "drift", Drift, "Drift", "Test for drift",
        "Test whether new pictures look to the model as reference pictures do.",
        "pictures", _say_drift, {"reference": SPLIT} | _out("drift"), splits=(), page=DRIFT_PAGE,
    ),
    VerbRow(
        "tail", "tail", Tail, "Tail", "Find the tail",
        "Find rocks that are rare in real pictures or hard for the model, and what to draw for more of them.",
        "frames", _say_tail, {"split": SPLIT} | _out("tail"), splits=("split",), page=TAIL_PAGE,
        marks=(("columns",), "split"),
    ),
    VerbRow(
        "mix", "mix", Mix, "Mixture", "Mix frames",
        "Mix synthetic and real frames in a ratio, as a manifest that training takes as a split.",
        "", _say_mix, {"synth": SPLIT, "out": "quality/mix.json"}, splits=(), files=("out",),
    ),
    VerbRow(
        "select", "select", SelectParams, "Labels", "Choose what to label",
        "Choose the pictures of a pool that would teach a model most, and queue them for people to label.",
        "pictures", _say_select, {"model": "training/best.pt"} | _out("select"), {"budget": 40}, splits=(),
        files=("model",), trains=True, marks=(("columns",), "pool"), page=SELECT_PAGE,
    ),
)  # fmt: skip
"""The verbs, in the order of their headings."""
