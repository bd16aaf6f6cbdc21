"""The verbs of the command line: where each lies, and what it does."""

VERBS: dict[str, tuple[str, str, str]] = {
    "author": (
        "regolith.lunar.dataset.author",
        "Author",
        "Author a stage and look at it: stage, picture, size–frequency plot.",
    ),
    "randomize": (
        "regolith.lunar.randomize.show",
        "Randomize",
        "Show what a split draws against what was asked for, without rendering.",
    ),
    "generate": (
        "regolith.lunar.quality.generate",
        "GenerateGated",
        "Generate labelled frames of a split; run again to resume.",
    ),
    "verify": (
        "regolith.lunar.dataset.verify",
        "Verify",
        "Check every frame of a split or dataset; --repair draws broken ones again.",
    ),
    "card": ("regolith.lunar.report.card", "Card", "Write a page that shows what a split or dataset holds."),
    "report": (
        "regolith.lunar.report.outcome",
        "Report",
        "Write a page that shows what a training or an evaluation came to.",
    ),
    "export": (
        "regolith.lunar.dataset.export",
        "Export",
        "Export a split or a dataset to COCO, YOLO, WebDataset, Hugging Face, BasicWriter, VOC or point clouds.",
    ),
    "import": ("regolith.lunar.perception.importing", "Import", "Import labelled pictures as a split."),
    "train": ("training.launch", "Train", "Train a segmentation network on a split."),
    "blend": ("training.blend", "Blend", "Blend the weights of a run with those of the run it started from."),
    "pack": ("training.pack", "Pack", "Pack splits to train on another machine."),
    "distill": ("training.distill", "Distill", "Teach SegFormer-B0's encoder the features of a free one."),
    "export-model": ("training.export", "ExportModel", "Export a checkpoint as an ONNX model."),
    "evaluate synth": ("regolith.lunar.perception.evaluate", "EvaluateSynth", "Score a model on a generated split."),
    "evaluate real": (
        "regolith.lunar.perception.evaluate",
        "EvaluateReal",
        "Score a model on real photographs: flood, and rock-IoU where masks are given.",
    ),
    "score geometry": (
        "regolith.lunar.quality.score_geometry",
        "ScoreGeometry",
        "Score the geometry of synthetic clouds of points against real ones.",
    ),
    "calibrate sensor": (
        "regolith.lunar.quality.sensor",
        "CalibrateSensor",
        "Measure what repeated real scans of one sensor differ by.",
    ),
    "calibrate dynamics": (
        "regolith.lunar.physics.calibrate",
        "CalibrateDynamics",
        "Fit the rover's dynamics to measured runs: narrowed ranges as a parameter file.",
    ),
    "calibrate camera": (
        "regolith.lunar.quality.calibrate_camera",
        "CalibrateCamera",
        "Narrow a preset's camera to what photographs show of a real one.",
    ),
    "score semantics": (
        "regolith.lunar.quality.semantics",
        "ScoreSemantics",
        "Compare what an encoder sees of each class in synthetic and in real pictures.",
    ),
    "score appearance": (
        "regolith.lunar.quality.appearance",
        "ScoreAppearance",
        "Compare spectrum, brightness, shadow and edges of each class in synthetic and in real pictures.",
    ),
    "gate": (
        "regolith.lunar.quality.gate",
        "Gate",
        "Accept a split that is near enough to real pictures, or reject it (exit code 1) and say what to draw.",
    ),
    "drift": (
        "regolith.lunar.quality.drift",
        "Drift",
        "Test whether new pictures look to a model as reference pictures do; exit code 1 where not.",
    ),
    "tail": (
        "regolith.lunar.quality.tail",
        "Tail",
        "Find rocks that are rare in real pictures or hard for a model, and what to draw for more of them.",
    ),
    "mix": (
        "regolith.lunar.quality.mix",
        "Mix",
        "Mix synthetic and real frames in a ratio, as a manifest that `train` takes as a split.",
    ),
    "select": (
        "training.selection",
        "Select",
        "Choose the pictures of a pool that would teach a model most, and queue them for people to label.",
    ),
    "ablate": (
        "training.ablate.verb",
        "Ablate",
        "Measure what fidelity, domain randomization and the number of frames do; run again to resume.",
    ),
    "sweep dr-strength": (
        "training.sweep.strength",
        "SweepStrength",
        "Measure what the strength of domain randomization does to a detector; run again to resume.",
    ),
    "sweep gap": (
        "training.sweep.gap",
        "SweepGap",
        'Measure what known differences to a "real" simulation cost a detector and a policy, and what wins it back.',
    ),
    "sweep visual-vs-dynamics": (
        "training.sweep.visual_dynamics",
        "SweepVisualDynamics",
        "Measure which randomization, of what is seen or of how the rover moves, helps a detector and a policy.",
    ),
    "traverse": (
        "regolith.lunar.physics.traverse",
        "Traverse",
        "Drive the rover over a stage under lunar gravity: trajectory, slip, and rocks it touched.",
    ),
    "flythrough": (
        "regolith.lunar.flythrough.verb",
        "Flythrough",
        "Film a camera's way over a scene, with what a model sees: frames, overlay, MP4 and GIF; run again to resume.",
    ),
    "train-policy": (
        "training.policy.verb",
        "TrainPolicy",
        "Teach a small network to drive by the hazard cameras, and measure how often it succeeds; run again to resume.",
    ),
    "studio": (
        "regolith.lunar.studio.serve",
        "Studio",
        "Serve the panel as a web page: author, tune, look, preview, export, train.",
    ),
    "real-photos": (
        "regolith.lunar.perception.real_photos",
        "RealPhotos",
        "List or fetch the published photographs of the lunar surface.",
    ),
    "doctor": (
        "regolith.lunar.doctor",
        "Doctor",
        "Say what this machine can do, and what to install for the rest.",
    ),
    "isaac-check": (
        "regolith.lunar.rtx_check.verb",
        "IsaacCheck",
        "Try this tool in an Isaac Sim, and write down what was seen, to be sent back.",
    ),
    "demo": ("regolith.lunar.demo", "Demo", "The main job end to end, at a size for two cores."),
}
"""Verb to module, class and summary; a verb's module is imported only when it is asked for.

A verb's module lies in the room whose work it does; of several rooms, in the topmost, which may import the others. What
needs torch, or starts a process that does, lies in `training`; `demo`, which runs the other verbs, and
`doctor`, which looks at every room, lie beside this module."""
