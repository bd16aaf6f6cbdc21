"""The studio: the panel in a browser. A second view of `regolith.lunar.panel`, served by viser from one process."""
