"""Headless companion: training and export. The only room where torch lives."""

import os

# OpenMP reads this once, when torch loads. Threads that spin while they wait for one another make a step several times
# dearer as soon as anything else runs on the machine: 2.9 against 0.7 CPU seconds on two busy cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
