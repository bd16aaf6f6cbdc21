"""Colours, sizes and styles of the page: one place.

viser's boxes have no classes of their own. They are told apart by the styles viser writes on them: a container by its
`padding-top`, an input by its `padding-inline`, a button by its `margin-inline`; a piece of HTML (`parts.marked`) has
neither style nor class. Buttons are told apart by their icons. Pages are slow where `:has` stands with boxes, of which
there are thousands, so it only stands with the few elements that have a class. `tests/studio/test_studio_page.py`
measures that rows come out as rows, and so notices a viser whose page is built otherwise.
"""

from __future__ import annotations

LEFT, RIGHT = 400, 400
"""Width of the docked panels [px]: beside them a page of 1280 has room for the 3D view."""
BRAND = (118, 185, 0)
CURVE_COLORS = {"loss": "#f0b23c", "iou": "#5aa9e6"}

CSS = """
:root { --rl-text: #c4c3bd; --rl-faint: #8b8a83; --rl-bright: #f1efe9; --rl-green: #8fce1b; --rl-red: #ff8d7e;
  --rl-raised: #3a3936; --rl-over: #4a4944; --rl-line: #3a3936; }

/* containers: what follows each other stands in a line while there is room */
.mantine-ScrollArea-content, .mantine-Modal-body {
  container-type: inline-size; --full: calc(100cqw - 24px); --label: 138px; --ends: 122px;

  & div[style^="padding-top: var(--mantine-spacing-xs)"] {
    display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; row-gap: 3px;
    padding: 4px 14px 8px 10px !important;
    & > * { flex: 0 0 100%; min-width: 0; box-sizing: border-box; }
    & > div:not([class]) { flex: 0 0 auto; position: relative; max-width: 100%; }
    & > [style^="padding-inline"] { flex: 1 1 calc(100% - 40px); padding: 0 !important; min-height: 27px;
      display: flex; align-items: center; & > * { flex: 1 1 auto; min-width: 0; } }
    & > [style^="margin-inline"] { flex: 0 0 auto; padding: 0 !important; margin: 0 !important; display: flex; }
    & > .mantine-Paper-root { margin: 4px 0 !important; }
    & div[style^="padding-top"] { padding: 0 !important; }
  }

  /* label, editor */
  & .mantine-Flex-root:has(> div > p > label) > div:first-child {
    width: var(--label) !important; padding-right: 8px !important; }
  & .mantine-Flex-root:has(> div > p > label:empty) > div:first-child { display: none; }
  & .mantine-Flex-root > div:last-child { min-width: 0; }
  & p:has(> label) { line-height: 1.15 !important; letter-spacing: 0 !important; }
  & label { font-size: 12.5px; letter-spacing: -0.1px; color: var(--rl-text); }
  & input { font-variant-numeric: tabular-nums; }
  & [style*="contain: layout"] { padding: 2px 0 !important; }
  & .mantine-Checkbox-root { padding: 5px 0; }
  & .mantine-Slider-root { padding: 0 4px !important; align-self: center; }
  & .mantine-Slider-root + .mantine-NumberInput-root { width: 59px !important; }
  & .mantine-Slider-bar { background: #6f9a17; }
  & .mantine-Slider-thumb, & .multi-slider-thumb {
    background: #e9e6de !important; border: 1px solid #1c1b19; width: 8px !important; height: 14px !important;
    border-radius: 2px; box-sizing: border-box; }
  & .mantine-Slider-thumb:focus-visible { outline: 2px solid var(--rl-green); }

  /* buttons */
  & .mantine-Button-root { height: 28px !important; width: calc(var(--full) / 2 - 3px); margin: 1px 0;
    font-size: 12.5px; padding: 0 8px; background: var(--rl-raised); color: #e6e4de;
    &:hover, &:focus-visible { background: var(--rl-over); }
    &[style*="dark-filled"] { background: #2b2a28 !important; color: #77766f !important; } }
  & .mantine-Button-root:has(.icon-tabler-arrow-back-up, .icon-tabler-folder-open, .icon-tabler-viewfinder,
    .icon-tabler-camera-plus, .icon-tabler-trash) {
    width: 24px; height: 24px !important; margin: 0 0 0 4px; padding: 0 !important; background: none;
    color: var(--rl-green);
    &:hover, &:focus-visible { background: var(--rl-raised); }
    &:disabled { visibility: hidden; }
    & .mantine-Button-section { margin: 0; font-size: 15px; & svg { left: 0; } }
    & .mantine-Button-label { display: none; } }
  & .mantine-Button-root:has(.icon-tabler-folder-open, .icon-tabler-viewfinder, .icon-tabler-camera-plus,
    .icon-tabler-trash) { color: var(--rl-text); }
  & .mantine-Button-root:has(.icon-tabler-restore) { width: var(--full); height: 24px !important; margin: 4px 0 6px;
    background: none; color: #a3a29b; font-size: 12px; &:hover, &:focus-visible { background: var(--rl-raised); }
    &:disabled { visibility: hidden; } }
  & .mantine-Button-root:has(.icon-tabler-restore) .mantine-Button-inner { justify-content: flex-end; }
  & .mantine-Button-root:has(.icon-tabler-chevron-right, .icon-tabler-chevron-down) {
    width: var(--full); height: 30px !important; margin: 4px 0 0; background: #33322f; color: var(--rl-bright);
    &:hover, &:focus-visible { background: #403f3b; }
    & .mantine-Button-inner { justify-content: flex-start; }
    & .mantine-Button-label { font-size: 13.5px; font-weight: 600; }
    & .mantine-Button-section svg { opacity: 0.6; }
    &[style*="red-filled"] { color: var(--rl-red); } }

  /* what a button does, or why not: while it is pointed at or focused */
  & .rl-tip { display: none; position: absolute; z-index: 40; right: 0; bottom: 34px; width: 178px; padding: 6px 9px;
    border-radius: 4px; background: var(--rl-bright); color: #1c1b19; font-size: 12px; line-height: 1.35;
    white-space: pre-line; overflow-wrap: anywhere; pointer-events: none; box-shadow: 0 2px 10px rgb(0 0 0 / 0.5); }
  & [style^="margin-inline"]:hover + div > .rl-tip, & [style^="margin-inline"]:focus-within + div > .rl-tip {
    display: block; }

  /* words */
  & .rl-group { width: var(--full); font-size: 11.5px; letter-spacing: 0.04em; text-transform: uppercase;
    color: var(--rl-faint); padding: 9px 0 2px; }
  & .rl-message { width: var(--full); padding-left: var(--label); box-sizing: border-box; font-size: 12px;
    line-height: 1.35; color: var(--rl-red); overflow-wrap: anywhere; }
  & .rl-note { width: var(--full); font-size: 12.5px; line-height: 1.4; color: #a9a8a1; overflow-wrap: anywhere; }
  & .rl-message:empty, & .rl-note:empty { display: none; }
}
.mantine-Tooltip-tooltip { white-space: pre-line; font-size: 12px; line-height: 1.35; }

/* the panel of parameters */
.mantine-ScrollArea-content:has(.rl-params) {
  & div[style*="overflow: hidden"] { overflow: visible !important; }
  & > div > div > div > div > div[style^="padding-top"] { padding-bottom: 0 !important; }

  /* an interval: thumbs on their track, then both ends as numbers, in one line */
  & .multi-slider { margin: 0 4px; top: 2px; width: calc(100% - var(--ends) - 16px); height: 12px; }
  & .multi-slider-track-container { margin: 4px 0; anchor-scope: --lo, --hi; }
  & .multi-slider-track { background: #45443f; }
  & .multi-slider-thumb:nth-of-type(2) { anchor-name: --lo; }
  & .multi-slider-thumb:nth-of-type(3) { anchor-name: --hi; }
  & .multi-slider-track-container::after {
    content: ""; position: absolute; top: 0; bottom: 0; border-radius: 3px; background: #6f9a17; pointer-events: none;
    left: anchor(--lo center); right: anchor(--hi center); }
  & [style^="padding-inline"] + [style^="padding-inline"] {
    flex: 0 0 var(--ends) !important; margin-left: calc(-1 * var(--ends)) !important;
    & .mantine-NumberInput-section { display: none; }
    & input { padding: 0 6px !important; }
    & .mantine-Flex-root { column-gap: 4px !important; } }
  & [style^="padding-inline"]:has(+ [style^="margin-inline"] > button .icon-tabler-folder-open) {
    flex-basis: calc(100% - 70px) !important; }
  & [style^="padding-inline"]:has(+ [style^="margin-inline"] > button .icon-tabler-viewfinder) {
    flex-basis: calc(100% - 100px) !important; }
  & .rl-key { padding-bottom: 4px; font-size: 12px; }
  & .rl-path { padding-left: 0; }

  /* changed: a mark at the edge of the panel */
  & .mantine-Button-root:has(.icon-tabler-arrow-back-up) { overflow: visible; position: relative; }
  & .mantine-Button-root:not(:disabled):has(.icon-tabler-arrow-back-up)::after {
    content: ""; position: absolute; inset: 2px auto 2px auto; right: calc(100cqw - 17px); left: auto; width: 3px;
    border-radius: 2px; background: var(--rl-green); transform: none; }

  /* why a value is not allowed: its numbers are red */
  & [style^="padding-inline"]:has(+ [style^="margin-inline"] + div > .rl-message) input { border-color: var(--rl-red); }

  /* what is always in sight */
  & .mantine-Paper-root:has(.rl-fixed) {
    position: sticky; z-index: 30; border: none; background: var(--mantine-color-body);
    margin: 0 -14px 0 -10px !important; flex: 0 0 calc(100% + 24px);
    & > .mantine-Paper-root { display: none; }
    & div[style^="padding-top: var(--mantine-spacing-xs)"] { padding: 6px 14px 6px 10px !important; }
    & div[style^="padding-top: 0.2em"] { padding: 0 !important; }
    & .rl-tip { position: absolute; } }
  & .mantine-Paper-root:has(.rl-top) { top: 0; border-bottom: 1px solid var(--rl-line); --label: 58px;
    & [style^="padding-inline"]:nth-child(2) { flex-basis: calc(100% - 140px); }
    & .mantine-Button-root { width: 28px; height: 26px !important; margin: 0 0 0 4px; padding: 0 !important;
      background: none; color: #d4d3cd; &:hover, &:focus-visible { background: var(--rl-raised); }
      &[style*="dark-filled"] { background: none !important; color: #5a5953 !important; }
      & .mantine-Button-section { margin: 0; } & .mantine-Button-label { display: none; } }
    & .rl-tip { bottom: auto; top: 20px; }
    & .rl-file-state { width: calc(var(--full) - 58px); margin-left: 58px; } }
  & .mantine-Paper-root:has(.rl-foot) { bottom: 0; border-top: 1px solid var(--rl-line);
    & .rl-summary { padding-left: 2px; }
    & div:not([class]):has(> .rl-tip) { position: static; }
    & .rl-tip { left: 10px; right: 10px; width: auto; bottom: calc(100% + 4px); }
    & .mantine-Button-root { height: 34px !important; font-size: 13.5px; color: var(--rl-bright);
      & .mantine-Button-label { font-weight: 600; } & .mantine-Button-section { color: var(--rl-green); }
      &[style*="dark-filled"] .mantine-Button-section { color: inherit; }
      &:not([style*="gray-filled"], [style*="dark-filled"]) { background: #76b900; color: #14180a;
        &:hover, &:focus-visible { background: #87cf0c; } & .mantine-Button-section { color: inherit; } } } }
}

/* work under way */
.rl-work { width: var(--full); display: flex; justify-content: space-between; margin-top: 8px; font-size: 13.5px;
  font-weight: 600; color: var(--rl-bright); & span { font-weight: 400; font-size: 12px; color: var(--rl-faint); } }
.rl-curve { width: var(--full); font-size: 12px; padding-top: 4px; }
.rl-curve.rl-loss { color: #f0b23c; } .rl-curve.rl-iou { color: #5aa9e6; }
.rl-log { width: var(--full); max-height: 180px; overflow: auto; font: 11px/1.45 ui-monospace, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; color: #a9a8a1; }
.mantine-ScrollArea-content:has(.rl-works) {
  & .mantine-Button-root { width: calc(var(--full) / 3 - 4px); }
  & [style^="padding-inline"]:has(img) { flex: 0 0 calc(50% - 3px) !important; display: block !important;
    align-self: flex-start; }
  & img { width: 100%; min-height: 60px; background: #000; border-radius: 3px; } }
.rl-picture { width: calc(var(--full) / 2 - 3px); font-size: 12px; line-height: 1.3; color: #a9a8a1; padding-top: 4px; }
.rl-table { width: 100%; border-collapse: collapse; font-size: 12px; line-height: 1.5; color: var(--rl-text);
  font-variant-numeric: tabular-nums;
  & th { text-align: left; font-weight: 600; color: var(--rl-faint); border-bottom: 1px solid var(--rl-line); }
  & th, & td { padding: 1px 6px 1px 0; overflow-wrap: anywhere; } }

/* messages: below the first-run card */
.mantine-Notifications-root { top: auto !important; bottom: 1em !important; }

/* dialogs and the first-run card */
.mantine-Modal-content { background: #242422; }
.mantine-Modal-title { font-weight: 600; font-size: 15px; }
.mantine-Modal-body {
  & .rl-question { width: var(--full); font-size: 13.5px; line-height: 1.5; padding-bottom: 8px; }
  & .rl-place { width: var(--full); font: 12px ui-monospace, monospace; color: var(--rl-faint); padding-bottom: 4px; }
  & .rl-message { padding-left: 0; }
  & .mantine-Button-root { height: 32px !important;
    &:not([style*="gray-filled"]) { background: #76b900; color: #14180a; &:hover { background: #87cf0c; } } }
  & .mantine-Button-root:has(.icon-tabler-folder, .icon-tabler-folder-up, .icon-tabler-file) {
    width: var(--full); height: 26px !important; margin: 0; background: none; color: var(--rl-text);
    &:hover, &:focus-visible { background: var(--rl-raised); }
    & .mantine-Button-inner { justify-content: flex-start; } }
  & a { display: block; width: var(--full); box-sizing: border-box; padding: 5px 8px; border-radius: 4px;
    color: #9ad62f; font-size: 13px; text-decoration: none; overflow-wrap: anywhere;
    &:hover, &:focus-visible { background: var(--rl-raised); } }
  & a.rl-open { text-align: center; background: #76b900; color: #14180a; font-weight: 600; margin-bottom: 6px; }
}
.rl-welcome { margin: 0; padding: 2px 0 0 20px; font-size: 13px; line-height: 1.5; color: var(--rl-text);
  & li { padding-bottom: 4px; } & b { color: var(--rl-bright); } }
.mantine-ScrollArea-content:has(.rl-welcome) .mantine-Button-root { width: var(--full); background: #76b900;
  color: #14180a; }
"""
"""What is laid over viser's own styles, on every page."""
