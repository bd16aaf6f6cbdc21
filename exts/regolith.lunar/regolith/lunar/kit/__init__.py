"""The view in Isaac Sim: omni.ui window, viewport overlay, life cycle. Needs Kit; nothing imports it."""
