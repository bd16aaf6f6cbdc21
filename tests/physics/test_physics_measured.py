"""Files of measured runs: units, round trips, and one line for whatever is wrong."""

import math
from pathlib import Path

import numpy as np
import pytest

from regolith.lunar.params import InputError
from regolith.lunar.physics.measured import EXPERIMENTS, KINDS, UNITS, Run, load_run, save_run

ROWS = "\n".join(f"{0.1 * n:.1f},{n * n}" for n in range(12))


def written(tmp_path: Path, text: str, name: str = "run.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("ending", [".csv", ".npz"])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_what_is_written_is_read_back(tmp_path: Path, experiment: str, ending: str) -> None:
    recipe, generator = EXPERIMENTS[experiment], np.random.default_rng(0)
    columns = {name: generator.standard_normal(20) for name in (*recipe.inputs, *recipe.outputs)}
    settings = dict.fromkeys(recipe.settings, 0.1234567890123)
    run = Run(f"r{ending}", experiment, settings, np.linspace(0.0, 1.0, 20), columns)
    save_run(run, tmp_path / run.name)
    again = load_run(tmp_path / run.name)
    assert (again.name, again.experiment, again.settings) == (run.name, experiment, settings)
    assert np.array_equal(again.time, run.time) and again.columns.keys() == columns.keys()
    assert all(np.array_equal(again.columns[name], columns[name]) for name in columns)
    assert list(again.outputs) == list(recipe.outputs)


def test_units_are_turned_into_those_of_si(tmp_path: Path) -> None:
    text = f"# experiment: rolling\n#  slope [deg]: 12\ntime [ms],spin [rpm]\n{ROWS}\n"
    run = load_run(written(tmp_path, text))
    assert run.settings["slope"] == pytest.approx(math.radians(12.0))
    assert run.time == pytest.approx(1e-4 * np.arange(12))
    assert run.columns["spin"] == pytest.approx(np.arange(12) ** 2 * 2.0 * math.pi / 60.0)
    assert set(KINDS.values()) == set(UNITS) and all(next(iter(units.values())) == 1.0 for units in UNITS.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a well-formed CSV (no row of columns)"),
        ("time [s],height [m]\n0,1\n", "run.csv: experiment: missing; allowed: drop, rolling, coast, steps"),
        (f"# experiment: fall\ntime [s],height [m]\n{ROWS}", "run.csv: experiment: 'fall' is not allowed"),
        (f"# experiment: drop\ntime [s],height [m]\n{ROWS}", "run.csv: release: missing; allowed: release [m] or [cm]"),
        (f"# experiment: drop\n# release [m]: 1\ntime [s],height\n{ROWS}", "'height' is not allowed; allowed: a unit"),
        (f"# experiment: drop\n# release [m]: 1\ntime [s],height [ft]\n{ROWS}", "allowed: a unit: height [m] or [cm]"),
        (f"# experiment: drop\n# release [m]: 1\ntime [s],speed [m/s]\n{ROWS}", "'speed [m/s]' is not allowed"),
        (f"# experiment: coast\n# start [m/s]: a\ntime [s],speed [m/s]\n{ROWS}", "could not convert string to float"),
        (f"# experiment: steps\ntime [s],speed [m/s]\n{ROWS}", "run.csv: command: missing; allowed: command [rad/s]"),
        ("# experiment: steps\ntime [s],command [rpm]\n" + ROWS, "run.csv: speed: missing; allowed: speed [m/s]"),
        ("# experiment: drop\n# release [m]: 1\ntime [s],height [m]\n0,0\n1,1", "samples' is not allowed"),
        (f"# experiment: drop\n# release [m]: 1\ntime [s],height [m]\n{ROWS}\n0.5,1", "time: '0 … 0.5 s' is not"),
        (f"# experiment: drop\n# release [m]: 1\ntime [s],height [m]\n{ROWS}\n5,nan", "height: 'a value that is no"),
        (f"# experiment: drop\n# release [m]: 1\ntime [s],height [m]\n{ROWS}\n5", "1 values in row 13, should be 2"),
        (f"# experiment: drop\n# release [m]: 1\ntime [s],time [s]\n{ROWS}", "column 'time [s]' twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        load_run(written(tmp_path, text))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_files_that_are_no_runs_are_bad_input(tmp_path: Path) -> None:
    np.savez(tmp_path / "pickled.npz", experiment=np.array([{}], object))
    (tmp_path / "torn.npz").write_bytes(b"PK\3\4torn")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\0")
    for name in ("pickled.npz", "torn.npz", "bytes.csv", "none.csv", "run.txt"):
        with pytest.raises(InputError, match=r"^runs: "):
            load_run(tmp_path / name)
    with pytest.raises(InputError):
        save_run(Run("a", "drop", {"release": 1.0}, np.arange(20.0), {"height": np.ones(20)}), tmp_path / "run.txt")
