"""What an ablation is asked for: scale, names, settings, flags, and the subset made of links."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_split import write_split

from regolith.lunar import cli
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.subset import link_subset, split_digest
from regolith.lunar.params import InputError
from regolith.lunar.params.training import TrainParams
from training.ablate.asked import FIXED, RECIPE, StudyFlags, spaced
from training.ablate.steps import INITIALIZATION, Generate, Link, Synth, Train, make_steps
from training.ablate.study import RunSpec, changed_recipe
from training.ablate.verb import Ablate


def ablate(*args: str) -> Ablate:
    verb = cli.parse_verb(Ablate, "ablate", list(args))
    assert isinstance(verb, Ablate)
    return verb


@pytest.mark.parametrize(
    ("scale", "side", "epochs", "frames"),
    [(1, 512, 40, 1500), (0.3, 160, 12, 450), (0.02, 64, 1, 30), (2, 1024, 80, 3000)],
)
def test_scale_shrinks_frames_side_and_epochs_together(scale: float, side: int, epochs: int, frames: int) -> None:
    study = ablate("--scale", str(scale)).study()
    assert (study.side, study.epochs, study.split_frames("train_dr")) == (side, epochs, frames)
    assert study.split_frames("train_nodr") == frames // 2
    assert study.settings()["scale"] == scale and study.settings()["side_px"] == side


def test_every_part_of_the_recipe_is_a_flag_and_reaches_every_training() -> None:
    assert set(RECIPE.values()) == set(TrainParams.model_fields) - FIXED
    assert all(flag in Ablate.model_fields for flag in RECIPE)
    study = ablate("--lr", "2e-3", "--init", "random", "--no-flip", "--epochs", "10", "--scale", "0.5").study()
    for seed in study.seeds:
        for run in study.runs:
            params = study.train_params("v2", run, seed)
            assert (params.lr_peak, params.init, params.flip, params.epochs, params.seed) == (
                2e-3,
                "random",
                False,
                5,
                seed,
            )
            assert params.select_on == "val" and params.val_split == study.out / "data" / "v2" / "val"
    stamped = study.settings()["recipe"]
    assert stamped["lr"] == 2e-3 and stamped["flip"] is False and stamped["init"] == "random" and "batch" not in stamped


def test_a_study_field_keeps_its_name_beside_a_recipe_field() -> None:
    assert all((flag == name) == (name not in StudyFlags.model_fields) for flag, name in RECIPE.items())


def test_recipe_of_defaults_has_nothing_changed() -> None:
    study = ablate().study()
    assert changed_recipe(study.train_params("v1", study.runs[0], 0)) == {}
    assert changed_recipe(study.train_params("v1", study.runs[0], 3)) == {"seed": 3}


def test_steps_are_in_order_and_share_what_they_can() -> None:
    study = ablate("--scale", "0.1").study()
    steps = make_steps(study, shown=[])
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    for position, step in enumerate(steps):
        assert all(name in names[:position] for name in step.needs)
    counts = {kind: sum(isinstance(step, kind) for step in steps) for kind in (Generate, Link, Train, Synth)}
    assert counts == {Generate: 12, Link: 3, Train: 27, Synth: 81}
    drawn = {(s.preset, s.split): s.frames for s in steps if isinstance(s, Generate)}
    assert drawn["v1", "train_dr"] == 150 and drawn["v1", "train_nodr"] == 75
    large, small = study.runs[2], study.runs[1]
    assert study.train_params("v1", large, 0).train_split.name == "train_dr"
    assert study.train_params("v1", small, 0).train_split.name == "train_dr_75"


def test_fingerprint_follows_what_decides_and_nothing_else() -> None:
    def of(*args: str) -> str:
        steps = make_steps(ablate("--init", "random", *args).study(), shown=[])
        step = next(step for step in steps if step.name == "train v1 dr_750 seed 0")
        return step.fingerprint(dict.fromkeys(step.needs, "same"))

    assert of() == of("--workers", "4") == of("--presets", "v1") == of("--out", "elsewhere")
    assert len({of(), of("--lr", "1e-4"), of("--batch", "4"), of("--epochs", "20")}) == 4
    step = make_steps(ablate().study(), shown=[])[12]
    assert step.needs and step.fingerprint(dict.fromkeys(step.needs, "a")) != step.fingerprint(
        dict.fromkeys(step.needs, "b")
    )


def test_fresh_weights_are_known_by_how_they_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tmp_path / "best.pt"
    checkpoint.write_bytes(b"weights")
    inits = ("random", "nvidia/mit-b0", str(checkpoint))

    def fingerprints() -> list[str]:
        studies = [ablate("--init", init).study() for init in inits]
        trainings = [next(s for s in make_steps(study, shown=[]) if isinstance(s, Train)) for study in studies]
        return [step.fingerprint(dict.fromkeys(step.needs, "same")) for step in trainings]

    before = fingerprints()
    monkeypatch.setattr("training.ablate.steps.INITIALIZATION", INITIALIZATION + 1)
    assert [old != new for old, new in zip(before, fingerprints(), strict=True)] == [True, False, False]


def test_study_from_a_checkpoint_is_known_by_its_bytes_and_not_by_its_folder(tmp_path: Path) -> None:
    for place in ("here", "there"):
        checkpoint = tmp_path / place / "run" / "best.pt"
        checkpoint.parent.mkdir(parents=True)
        checkpoint.write_bytes(b"weights")
        study = ablate("--init", str(checkpoint), "--out", str(tmp_path)).study()
        study.check()
        study.settle()
        assert study.command.endswith(" --init run/best.pt") and str(tmp_path) not in study.command
    checkpoint.write_bytes(b"other weights")
    with pytest.raises(InputError, match=r"^recipe\.init_sha256: .* with which .* was begun; or another --out"):
        study.settle()


def test_scores_are_known_by_the_code_that_makes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    from regolith.lunar import perception
    from training.ablate import digests

    before = digests.source_digest()
    copied = shutil.copytree(next(iter(perception.__path__)), tmp_path / "perception")
    monkeypatch.setattr(perception, "__path__", [str(copied)])
    digests.source_digest.cache_clear()
    try:
        assert digests.source_digest() == before
        for name, changes in (("__init__", False), ("metrics", True)):  # imported through evaluate
            with (copied / f"{name}.py").open("a") as file:
                file.write("\n# changed\n")
            digests.source_digest.cache_clear()
            assert (digests.source_digest() != before) == changes
    finally:
        digests.source_digest.cache_clear()


def test_folder_keeps_its_study_and_may_grow(tmp_path: Path) -> None:
    ablate("--out", str(tmp_path), "--scale", "0.1").study().settle()
    ablate("--out", str(tmp_path), "--scale", "0.1", "--seeds", "0,1,2,3", "--presets", "v1,v4").study().settle()
    for args, field in ((["--scale", "0.2"], "scale"), (["--scale", "0.1", "--lr", "1e-3"], "recipe.lr")):
        with pytest.raises(InputError, match=rf"^{field}: .* with which .* was begun; or another --out"):
            ablate("--out", str(tmp_path), *args).study().settle()


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--presets", "v1,v9"], "presets: 'v9' is not allowed; allowed: boulders, v1, v2, v3, v4, v5, wide"),
        (["--presets", "v1,v1"], "presets: 'v1,v1' is not allowed; allowed: different names with commas between them"),
        (["--runs", "dr_750,fog_3"], "runs: 'fog_3' is not allowed; allowed: names like dr_1500 and nodr_750: "
         "randomized or not, and the frames at scale 1"),
        (["--seeds", "0,-1"], "seeds: '0,-1' is not allowed; "
         "allowed: whole numbers, at least 0, with commas between them"),
        (["--size", "100"], "size: '100' is not allowed; allowed: one side, a multiple of 32"),
        (["--scale", "0"], "scale: '0' is not allowed; allowed: a number 0.01 … 4"),
        (["--polar", "."], "masks: missing; allowed: together with --polar, and only so"),
        (["--real", "nowhere"], "real: 'nowhere' is not allowed; allowed: a folder"),
        (["--lr", "7"], "lr: '7' is not allowed; allowed: a number 1e-08 … 1"),
        (["--init", "nowhere/best.pt"], "init: 'nowhere/best.pt' is not allowed; "
         "allowed: best.pt or last.pt of a training run (No such file or directory)"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_any_work(tmp_path: Path, capsys, args: list[str], line: str) -> None:
    assert cli.main(["ablate", "--out", str(tmp_path / "out"), *args]) == 2
    assert capsys.readouterr().err == f"regolith: {line}\n"
    assert not (tmp_path / "out").exists()


def test_dry_run_prints_the_plan_and_touches_nothing(tmp_path: Path, capsys) -> None:
    assert cli.main(["ablate", "--dry-run", "--scale", "0.5", "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "256 × 256 px, 20 epochs" in text and "27 trainings" in text and "about " in text
    assert "real: not measured" in text
    assert not (tmp_path / "out").exists()


def test_shown_photographs_are_spread_over_all() -> None:
    assert spaced([f"{i:02d}" for i in range(21)], 6) == ["00", "04", "08", "12", "16", "20"]
    assert spaced(["a", "b"], 6) == ["a", "b"]


@pytest.mark.parametrize("text", ["dr", "dr_0", "DR_5", "nodr_7x", "dr_-1", ""])
def test_run_names_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=r"^runs: "):
        RunSpec.parse(text)


def test_subset_is_the_first_frames_by_links(tmp_path: Path) -> None:
    split = write_split(tmp_path / "train_dr", 7)
    link_subset(split, tmp_path / "train_dr_4", 4)
    part = tmp_path / "train_dr_4"
    assert Contract.read(part).frames == 4
    assert [r.to_line() for r in read_journal(part).values()] == [read_journal(split)[i].to_line() for i in range(4)]
    assert sorted(p.name for p in (part / "rgb").iterdir()) == [f"rgb_{i:05d}.png" for i in range(4)]
    assert (part / "mask" / "mask_00003.png").samefile(split / "mask" / "mask_00003.png")
    same = write_split(tmp_path / "other", 4)
    assert split_digest(part) == split_digest(same) != split_digest(split)
    link_subset(split, part, 2)
    assert len(read_journal(part)) == 2 and not (part / "rgb" / "rgb_00002.png").exists()
    assert len(list((split / "rgb").iterdir())) == 7


def test_subset_refuses_what_would_not_be_one(tmp_path: Path) -> None:
    split = write_split(tmp_path / "train_dr", 3)
    with pytest.raises(InputError, match=r"^frames: 4 "):
        link_subset(split, tmp_path / "train_dr_4", 4)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match=r"^out: "):
        link_subset(split, tmp_path / "mine", 2)
    assert (tmp_path / "mine" / "letter.txt").exists()


def test_digest_of_a_split_that_is_not_whole_is_none(tmp_path: Path) -> None:
    split = write_split(tmp_path / "val", 3)
    assert split_digest(split) is not None and split_digest(tmp_path / "nowhere") is None
    (split / "mask" / "mask_00001.png").unlink()
    assert split_digest(split) is None
