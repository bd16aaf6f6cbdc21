"""Sweeps: one thing varied over levels, all else alike, as studies of `training.ablate`.

    regolith sweep dr-strength --levels none,mild,strong --seeds 0,1,2 --out SWEEP
    regolith sweep gap --out GAP
    regolith sweep visual-vs-dynamics --out TWO_BY_TWO

`strength` says what is varied, `conclusion` what the differences between levels show, `report` writes it down. `worlds`
has a "real" simulation with known offsets, `arms` compares what trainings know of it (`gap`, `visual_dynamics`),
`policy_steps` teaches policies and drives with them, `arms_report` writes it down.
"""
