"""Empty: NVIDIA's utilities import it, and label reading does not call it."""
