"""Sweeps: one thing varied over levels, all else alike, as studies of `training.ablate`.

    regolith sweep dr-strength --levels none,mild,strong --seeds 0,1,2 --out SWEEP

`strength` says what is varied, `conclusion` what the differences between levels show, `report` writes it down.
"""
