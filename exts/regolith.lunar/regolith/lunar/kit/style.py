"""Colours, sizes and styles of the panel: one place, close to Kit's own."""

# pyright: reportMissingImports=false
from __future__ import annotations

import omni.ui as ui
from omni.ui import color as cl

from regolith.lunar.perception.overlay import REGOLITH_COLOR, ROCK_COLOR

WIDTH, HEIGHT = 440, 800
"""Size of the window [px]."""
LABEL_WIDTH = 150
"""Column of the labels [px]."""
SCALE_WIDTH = 36
"""Column of a plot's scale [px]."""
ROW = 24
"""Height of a row [px]."""
GAP = 4

TEXT = cl("#c8c8c8")
FAINT = cl("#8c8c8c")
ACCENT = cl("#76b900")
WARNING = cl("#e8864a")
FIELD = cl("#23211f")
PANEL = cl("#343432")
HEADER = cl("#4a4a48")
CLEAR = cl(0, 0, 0, 0)
LOSS = cl("#f0b23c")
IOU = cl("#5aa9e6")


def _rgb(color: tuple[int, int, int]) -> int:
    return cl("#{:02x}{:02x}{:02x}".format(*color))


PANEL_STYLE = {
    "Label": {"color": TEXT, "font_size": 14},
    "Label::faint": {"color": FAINT, "font_size": 13},
    "Label::group": {"color": FAINT, "font_size": 13, "margin_height": 2},
    "Label::message": {"color": WARNING, "font_size": 13},
    "Label::title": {"color": TEXT, "font_size": 16},
    "Circle::dirty": {"background_color": ACCENT},
    "Label::changed": {"color": cl("#ffffff"), "font_size": 14},
    "CollapsableFrame": {
        "background_color": PANEL,
        "secondary_color": HEADER,
        "border_radius": 4,
        "padding": 6,
        "margin_height": 1,
        "font_size": 15,
        "color": TEXT,
    },
    "CollapsableFrame:hovered": {"secondary_color": cl("#565654")},
    "Button": {"background_color": cl("#4d4d4b"), "border_radius": 4, "margin": 0, "padding": 4},
    "Button:hovered": {"background_color": cl("#626260")},
    "Button:pressed": {"background_color": cl("#3a3a38")},
    "Button.Label": {"color": TEXT, "font_size": 14},
    "Button::main": {"background_color": cl("#55534f"), "border_radius": 4, "padding": 4},
    "Button::main:hovered": {"background_color": cl("#6a6864")},
    "Button::main:pressed": {"background_color": cl("#3a3a38")},
    "Button::first": {"background_color": cl("#4f7a06"), "border_radius": 4, "padding": 4},
    "Button::first:hovered": {"background_color": cl("#629607")},
    "Button.Label::first": {"color": cl("#ffffff"), "font_size": 14},
    "Button.Label::main": {"color": cl("#ffffff"), "font_size": 14},
    "Button::grey": {"background_color": cl("#3b3b39"), "border_radius": 4, "padding": 4},
    "Button::grey:hovered": {"background_color": cl("#3b3b39")},
    "Button.Label::grey": {"color": cl("#7a7a78"), "font_size": 14},
    "Button::tool": {"background_color": CLEAR, "padding": 2, "border_radius": 3},
    "Button::tool:hovered": {"background_color": cl("#565654")},
    "Button.Label::tool": {"color": TEXT, "font_size": 14},
    "Button::toolgrey": {"background_color": CLEAR, "padding": 2, "border_radius": 3},
    "Button.Label::toolgrey": {"color": cl("#6a6a68"), "font_size": 14},
    "Field::faced": {"background_color": FIELD, "color": CLEAR, "border_radius": 3},
    "Field": {"background_color": FIELD, "color": TEXT, "border_radius": 3},
    "ComboBox": {"background_color": FIELD, "secondary_color": HEADER, "color": TEXT, "border_radius": 3},
    "Slider": {
        "background_color": FIELD,
        "secondary_color": cl("#5c6f3f"),
        "color": TEXT,
        "border_radius": 3,
        "draw_mode": ui.SliderDrawMode.FILLED,
    },
    "Slider::end": {
        "background_color": FIELD,
        "secondary_color": FIELD,
        "color": TEXT,
        "border_radius": 3,
        "draw_mode": ui.SliderDrawMode.DRAG,
    },
    "CheckBox": {"background_color": cl("#9a9a98"), "color": FIELD, "border_radius": 3, "font_size": 12},
    "ProgressBar": {
        "background_color": FIELD,
        "color": cl("#4f7a06"),
        "secondary_color": cl("#ffffff"),
        "border_radius": 3,
        "font_size": 13,
    },
    "Plot::loss": {"color": LOSS, "background_color": FIELD, "border_radius": 3},
    "Plot::iou": {"color": IOU, "background_color": FIELD, "border_radius": 3},
    "Label::scale": {"color": FAINT, "font_size": 12},
    "Label::loss": {"color": LOSS, "font_size": 13},
    "Label::iou": {"color": IOU, "font_size": 13},
    "Rectangle::reset": {"background_color": ACCENT, "border_radius": 2, "margin": 3},
    "Rectangle::reset:hovered": {"background_color": cl("#ffffff")},
    "Rectangle::range": {"background_color": FIELD, "border_radius": 2},
    "Rectangle::span": {"background_color": ACCENT, "border_radius": 2},
    "Line": {"color": HEADER, "border_width": 1},
    "Tooltip": {"background_color": cl("#1f1e1c"), "color": TEXT, "padding": 6, "border_width": 0},
}

LEGEND = {
    "Label::legend": {"color": cl("#e9e6e0"), "font_size": 14},
    "Rectangle::legend": {"background_color": cl(0.08, 0.07, 0.07, 0.78), "border_radius": 4},
    "VStack::legend": {"margin": 8},
    "Rectangle::rock": {"background_color": _rgb(ROCK_COLOR), "border_radius": 2},
    "Rectangle::regolith": {"background_color": _rgb(REGOLITH_COLOR), "border_radius": 2},
}
