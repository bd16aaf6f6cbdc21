"""The size-matched ablation: scene generations × runs × seeds, one recipe, as a job graph that survives being stopped.

    regolith ablate --presets v1,v2,v3 --runs nodr_750,dr_750,dr_1500 --seeds 0,1,2 --scale 0.3 --out STUDY

`study` says what is asked for, `steps` what is done for it, `schedule` does it, `collect` reads what came out,
`contrasts` and `findings` say what it means, `figures` and `report` show it. torch is loaded by the processes that
train and export, never here.
"""
