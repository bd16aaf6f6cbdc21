"""One module a format: each writes splits as the folder its own readers open."""
