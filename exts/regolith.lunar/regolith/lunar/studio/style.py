"""Colours, sizes and styles of the page: one place.

viser has no classes of its own for rows, so they are told apart by what they hold: a piece of HTML of a class `rl-…`
(`parts.marked`), the icon of a button, the kind of an input. `tests/studio/test_studio_page.py` measures that rows
come out as rows, and so notices a viser whose page is built otherwise.
"""

from __future__ import annotations

LEFT, RIGHT = 400, 400
"""Width of the docked panels [px]: beside them a page of 1280 has room for the 3D view."""
BRAND = (118, 185, 0)
CURVE_COLORS = {"loss": "#f0b23c", "iou": "#5aa9e6"}

CSS = """
/* a container whose children flow in rows */
div:has(> div > .rl-flow) {
  display: flex; flex-wrap: wrap; align-items: center; padding: 4px 10px 8px !important; row-gap: 3px;
  --line: 27px; --label: 138px; --ends: 118px;
  & > div { flex: 0 0 100%; min-width: 0; box-sizing: border-box; padding: 0 !important; margin: 0 !important; }
  & > div:has(> style), & > div:has(> .rl-flow) { display: none; }
  & > div:has(> .rl-flow.rl-dialog) { display: block; }
  & > div:has(> .rl-flow:empty) { display: none; }

  /* label, editor */
  & > div > .mantine-Flex-root:has(> div > p > label) { min-height: var(--line); }
  & > div > .mantine-Flex-root > div:has(> p > label) { width: var(--label) !important; padding-right: 8px !important; }
  & > div > .mantine-Flex-root > div:has(> p > label:empty) { display: none; }
  & > div > .mantine-Flex-root > div:last-child { min-width: 0; }
  & label { font-size: 12.5px; letter-spacing: -0.1px; line-height: 1.15; color: #b9b9b4; }
  & p:has(> label) { line-height: 1.15 !important; letter-spacing: 0 !important; }
  & input { font-variant-numeric: tabular-nums; }

  /* an editor with its reset: one line */
  & > div:not(:has(> button)):has(+ div > button .icon-tabler-arrow-back-up) { flex: 1 1 calc(100% - 40px); }
  & > div:not(:has(> button)):has(+ div > button .icon-tabler-folder-open) { flex: 1 1 calc(100% - 70px); }
  & > div:has(.multi-slider) { flex: 1 1 calc(100% - var(--ends) - 40px) !important; padding-right: 8px !important; }
  & > div:has(.multi-slider) + div { flex: 0 0 var(--ends) !important; }
  & > div:has(> button .icon-tabler-arrow-back-up), & > div:has(> button .icon-tabler-folder-open) {
    flex: 0 0 24px; margin-left: 4px !important;
    & button { height: 24px !important; width: 24px; padding: 0; background: none; color: #8fce1b; min-width: 0; }
    & .mantine-Button-inner { justify-content: center; }
    & button:hover, & button:focus-visible { background: #3a3a38; }
    & button:disabled { visibility: hidden; }
    & button svg { width: 15px; height: 15px; }
    & .mantine-Button-section { margin: 0; }
    & .mantine-Button-label { display: none; }
  }
  & > div:has(> button .icon-tabler-folder-open) button { color: #b9b9b4; }

  /* changed: its label is white, with a mark before it */
  & > div:has(+ div > button:not(:disabled) .icon-tabler-arrow-back-up) label,
  & > div:has(+ div > button .icon-tabler-folder-open):has(+ div + div > button:not(:disabled)
    .icon-tabler-arrow-back-up) label,
  & > div:has(.multi-slider):has(+ div + div > button:not(:disabled) .icon-tabler-arrow-back-up) label {
    color: #ffffff; &::before { content: "• "; color: #8fce1b; font-weight: 700; }
  }

  /* why a value is not allowed: below its row, whose editor is red */
  & > div:has(> .rl-message) { padding-left: var(--label) !important; }
  & > div:has(> .rl-message:empty) { display: none; }
  & > div:has(+ div + div > .rl-message:not(:empty)) input,
  & > div:has(.multi-slider) + div:has(+ div + div > .rl-message:not(:empty)) input { border-color: #ff7b6b; }

  /* editors */
  & .mantine-Slider-root { padding: 0 4px !important; align-self: center; }
  & .mantine-Slider-bar { background: #6f9a17; }
  & .mantine-Slider-thumb, & .multi-slider-thumb {
    background: #e9e6de !important; border: 1px solid #1c1b19; width: 8px !important; height: 14px !important;
    border-radius: 2px; box-sizing: border-box; }
  & .mantine-Slider-thumb:focus-visible { outline: 2px solid #8fce1b; }
  & .mantine-Flex-root:has(> .mantine-Slider-root) > .mantine-NumberInput-root { width: 60px !important; }
  & .multi-slider { margin: 0 4px; width: calc(100% - 8px); height: 12px; }
  & .multi-slider-track-container { margin: 4px 0; anchor-scope: --lo, --hi; }
  & .multi-slider-track { background: #45443f; }
  & .multi-slider-thumb:nth-of-type(2) { anchor-name: --lo; }
  & .multi-slider-thumb:nth-of-type(3) { anchor-name: --hi; }
  & .multi-slider-track-container::after {
    content: ""; position: absolute; top: 0; bottom: 0; border-radius: 3px; background: #6f9a17; pointer-events: none;
    left: anchor(--lo center); right: anchor(--hi center);
  }
  & > div:has(.multi-slider) + div .mantine-NumberInput-controls { display: none; }
  & > div:has(.multi-slider) + div .mantine-NumberInput-section { display: none; }
  & > div:has(.multi-slider) + div input { padding: 0 6px !important; }
  & > div:has(.multi-slider) + div .mantine-Flex-root { column-gap: 4px !important; }

  /* buttons */
  & > div > button { height: 30px !important; font-size: 12.5px; padding: 0 8px; }
  & > div:has(> .rl-tip) { flex: 0 0 0; width: 0; height: 0; position: relative; }
  & > div:has(> .rl-main) + div { flex: 1 1 calc(50% - 6px); margin: 2px 3px !important;
    & button { height: 34px !important; font-size: 13.5px; & .mantine-Button-label { font-weight: 600; } } }
  & > div:has(> .rl-main:not(.rl-off)) + div > button[style*="gray"] { background: #3f3e3a !important; color: #f1efe9 !important;
    & .mantine-Button-section { color: #9ad62f; } &:hover { background: #4c4b46 !important; } }
  & > div:has(> .rl-half:not(.rl-off)) + div > button, & > div:has(> .rl-third:not(.rl-off)) + div > button {
    background: #3a3936; color: #e6e4de; &:hover { background: #4a4944; } }
  & > div:has(> .rl-half) + div { flex: 1 1 calc(50% - 6px); margin: 1px 3px !important; }
  & > div:has(> .rl-third) + div { flex: 1 1 calc(33% - 6px); margin: 1px 3px !important; }
  & > div:has(> .rl-tool) + div { flex: 0 0 30px;
    & button { padding: 0; background: none; color: #c8c8c8; }
    & button:hover, & button:focus-visible { background: #3a3a38; }
    & .mantine-Button-section { margin: 0; } & .mantine-Button-label { display: none; } }
  & > div:has(> .rl-off) + div button { color: #77766f !important; background: #2b2a28 !important; }
  & > div:has(> .rl-tool.rl-off) + div button { background: none !important; color: #55544e !important; }

  /* what a button does, or why not: while it is pointed at or focused */
  & .rl-tip { display: none; }
  & > div:has(> .rl-tip):has(+ div:hover), & > div:has(> .rl-tip):has(+ div > button:focus-visible) {
    z-index: 40; & > .rl-tip {
      display: block; position: absolute; bottom: 4px; left: 0; width: 240px; padding: 6px 9px; border-radius: 4px;
      background: #f1efe9; color: #1c1b19; font-size: 12px; line-height: 1.35; white-space: pre-line;
      pointer-events: none; box-shadow: 0 2px 10px rgb(0 0 0 / 0.5); } }
  & > div:has(> .rl-half) > .rl-tip, & > div:has(> .rl-third) > .rl-tip { width: 190px !important; }
  & > div:has(> .rl-third) > .rl-tip { width: 150px !important; }

  /* headers */
  & > div:has(> .rl-head) { display: none; }
  & > div:has(> .rl-head) + div { margin-top: 5px !important;
    & button { height: 30px !important; background: #33322f; color: #efeee9; padding: 0 8px; border-radius: 4px;
      &:hover, &:focus-visible { background: #403f3b; }
      & .mantine-Button-inner { justify-content: flex-start; }
      & .mantine-Button-label { font-size: 13.5px; font-weight: 600; }
      & .mantine-Button-section svg { opacity: 0.6; } }
    & button[style*="red"] { color: #ff9c8f; } }
  & > div:has(> .rl-tail) { display: none; }
  & > div:has(> .rl-tail) + div { margin: 2px 3px 6px auto !important; flex: 0 0 auto;
    & button { height: 24px !important; background: none; color: #a3a29b; font-size: 12px;
      &:hover, &:focus-visible { background: #3a3a38; } &:disabled { visibility: hidden; } } }

  /* words */
  & .rl-group { font-size: 11.5px; letter-spacing: 0.04em; text-transform: uppercase; color: #8b8a83;
    padding: 9px 0 2px; }
  & .rl-message { font-size: 12px; line-height: 1.35; color: #ff8d7e; overflow-wrap: anywhere; }
  & .rl-note { font-size: 12.5px; line-height: 1.4; color: #a9a8a1; overflow-wrap: anywhere; }
  & .rl-note:empty { display: none; }
}

/* the panel of parameters: what is always in sight stays */
.mantine-ScrollArea-content div:has(.rl-fixed) { overflow: visible !important; }
div:has(> div > .rl-params) {
  padding: 0 10px !important;
  & > .mantine-Paper-root:has(.rl-fixed) {
    position: sticky; z-index: 30; border: none; background: var(--mantine-color-body); margin: 0 -10px !important;
    flex: 0 0 calc(100% + 20px);
    & > .mantine-Paper-root { display: none; }
    & > div > div > div > div > div { padding-top: 0 !important; }
  }
  & > .mantine-Paper-root:has(.rl-top) { top: 0; border-bottom: 1px solid #3a3936; }
  & div:has(> div > .rl-top) {
    & > div:has(.mantine-Select-input) { flex: 1 1 calc(100% - 140px); }
    & > div:has(> .rl-tip) { position: static; & > .rl-tip { left: 10px !important; right: 10px; width: auto; bottom: auto; top: calc(100% + 4px); } }
    & > div:has(> .rl-tool) + div > button { height: 26px !important; }
    & > div > .mantine-Flex-root > div:has(> p > label) { width: 58px !important; }
    & > div:has(> .rl-file-state) { padding-left: 58px !important; }
  }
  & div:has(> div > .rl-foot) > div:has(> .rl-tip) {
    position: static; & > .rl-tip { left: 10px; right: 10px; width: auto; bottom: calc(100% + 4px); } }
  & div:has(> div > .rl-foot) > div:has(> .rl-summary) { padding: 2px 4px !important; }
  & > .mantine-Paper-root:has(.rl-foot) { bottom: 0; border-top: 1px solid #3a3936; }
}
"""
"""What is laid over viser's own styles, on every page."""
