"""A policy: a small network that drives by the hazard cameras, taught by the planner that knows the labels.

    regolith train-policy --preset v1 --out POLICY

`collect` drives and writes down what the planner would do, `samples` makes batches of that, `network` and `fit` learn
from it, `held_out` measures, `run` does all of it in rounds, and `page` shows what came of it.
"""
