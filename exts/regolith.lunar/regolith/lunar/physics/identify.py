"""Dynamics from measured motion: least squares of simulated against measured, over a grid of delays.

Least squares cannot move a delay, which goes by whole control steps: each delay of a grid has its own fit of all other
parameters. A column's residuals are divided by its noise: at first that told from its third differences, in which
motion that changes slowly cancels, then what the best fit so far leaves. Intervals are those of the linearised model
(Student's t) with what is left of each column, the delay's those of the F-test on the sum of squares of its grid.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from regolith.lunar.params import DynamicsParams, InputError, field_extra
from regolith.lunar.physics.experiments import DEPENDS, Bench
from regolith.lunar.physics.measured import Run
from regolith.lunar.stage.dynamics import NEUTRAL
from regolith.lunar.stage.spec import rng

DELAY = "action_delay_steps"

IDENTIFIES: dict[str, tuple[str, ...]] = {
    "drop": ("restitution",),
    "rolling": ("inertia_scale", "friction_scale"),
    "coast": ("joint_damping_scale", "friction_scale"),
    "steps": ("friction_scale", "joint_damping_scale", "action_gain", DELAY),
}
"""Experiment to the fields of `DynamicsParams` that are fitted to it unless others are asked for."""

FITTED = tuple(name for name in NEUTRAL if any(name in depends for depends in DEPENDS.values()))
"""Fields that can be fitted."""

START = NEUTRAL | {"restitution": 0.5}
"""Where the first fit begins: at a restitution of 0 nothing is thrown back, whatever it changes to."""

SPREAD = 1.6
"""Further fits begin at factors up to this one, and its inverse, of the first one's start."""

DIFF_STEPS = {"restitution": 0.005, "action_gain": 0.01, "inertia_scale": 0.02, "mass_scale": 0.02}
DIFF_STEP = 0.05
"""Relative steps of derivatives, and that of all other values. Contacts make a motion a rough function of these: at
steps of 1e-3 least squares stands still."""

TOLERANCE, GRID_TOLERANCE = 1e-4, 1e-3
"""Relative change of values or cost at which a fit ends, and at which one ends that shall tell delays apart."""

EVALUATIONS, GRID_EVALUATIONS = 50, 8
"""Most residuals asked for in such fits, derivatives apart."""

TOLD = 0.5
"""Share of its limits' width below which the half-width of an interval lies where the runs tell a parameter."""

ALIKE = 0.999
"""Correlation of two parameters' effects on the runs from which on they are said to be alike."""

MISFIT = 2.0
"""Ratio of a column's residuals to its noise from which on the simulation is said not to describe it."""

CALM, CALM_VARIANCE = 0.7, 0.3096
"""Share of the third differences of a column that tell its noise, and the variance of that share of a unit normal."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """One parameter."""

    value: float
    lo: float
    """Lower end of its interval, within the field's limits."""
    hi: float
    told: bool
    """Whether the runs tell it."""


@dataclasses.dataclass(frozen=True)
class Misfit:
    """What the best fit leaves of one measured column."""

    run: str
    column: str
    ratio: float
    """RMS of the residuals over the column's noise: about 1 where the simulation describes the run."""


@dataclasses.dataclass(frozen=True)
class Fit:
    """What runs say of a rover."""

    estimates: Mapping[str, Estimate]
    """By field of `DynamicsParams`."""
    misfits: tuple[Misfit, ...]
    """In the order of the runs."""
    warnings: tuple[str, ...]
    """What cannot be told, in words."""
    delays: Mapping[int, float]
    """Delay [control steps] to the least sum of squares; empty where it was not fitted."""
    simulations: int


def noise_of(values: np.ndarray) -> float:
    """Standard deviation of the noise of a column, shape [N]; never nothing, so that it can be divided by.

    That of the smaller `CALM` of its third differences, which of white noise have 1 + 9 + 9 + 1 times its variance: the
    larger ones are those of impacts and commands.
    """
    third = np.sort(np.abs(np.diff(values, 3)))[: round(CALM * (len(values) - 3))]
    spread = math.sqrt(float(np.mean(third**2)) / (20.0 * CALM_VARIANCE))
    return max(spread, 1e-4 * float(np.ptp(values)), 1e-9)


def identify(
    runs: Sequence[Run],
    *,
    names: Sequence[str] = (),
    known: Mapping[str, float] | None = None,
    delay_max: int = 12,
    starts: int = 3,
    confidence: float = 0.95,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Fit:
    """Fit dynamics to runs, all of them together.

    Args:
        runs: Measured runs.
        names: Fields of `DynamicsParams` to fit; left out, those of `IDENTIFIES`.
        known: What the others are; neutral where left out.
        delay_max: Largest delay of the grid [control steps].
        starts: Fits at the best delay, from different values, the first from what the grid found; the best counts.
        confidence: Of the intervals.
        seed: Seed of these values.
        progress: Told how many fits are done of how many.

    Raises:
        InputError: A name that cannot be fitted, or on which none of the runs depends; or fewer samples than names.
    """
    names = list(names or dict.fromkeys(name for run in runs for name in IDENTIFIES[run.experiment]))
    _check_names(names, runs)
    problem = _Problem(runs, [name for name in names if name != DELAY], known or {})
    if problem.count <= len(names):
        raise InputError("runs", f"{problem.count} samples", f"more than {len(names)}, one for each value to fit")
    delays = list(range(delay_max + 1)) if DELAY in names else [round((NEUTRAL | dict(known or {}))[DELAY])]
    total = starts + (len(delays) if len(delays) > 1 else 0)
    solutions: dict[int, _Solution] = {}
    guess, best = problem.start(), delays[0]
    for done, delay in enumerate(delays if len(delays) > 1 else (), 1):
        solutions[delay] = problem.solve(guess, delay, rough=True)
        best = min(solutions, key=lambda delay: solutions[delay].cost)
        guess = solutions[best].at
        progress(done, total)
    if not solutions:
        solutions[best] = problem.solve(guess, best, rough=True)
    solutions = problem.weigh_anew(solutions, best)
    for number in range(starts):
        start = problem.start(rng(seed, "identify", number)) if number else solutions[best].at
        found = problem.solve(start, best)
        if found.cost < solutions[best].cost or not number:
            solutions[best] = found
        progress(total - starts + number + 1, total)
    return _conclude(problem, solutions, best, confidence, fitted_delay=DELAY in names)


def _check_names(names: Sequence[str], runs: Sequence[Run]) -> None:
    if not runs:
        raise InputError("runs", None, "at least one run")
    depends = {name for run in runs for name in DEPENDS[run.experiment]}
    for name in names:
        if name not in FITTED:
            raise InputError("fit", name, ", ".join(FITTED))
        if name not in depends:
            raise InputError("fit", name, f"what these runs depend on: {', '.join(n for n in FITTED if n in depends)}")


@dataclasses.dataclass(frozen=True)
class _Solution:
    at: np.ndarray
    """Values, shape [P]."""
    cost: float
    """Sum of squares of the residuals."""
    jacobian: np.ndarray
    """Of the residuals, shape [N, P]."""


class _Problem:
    """Residuals of runs as a function of the values fitted, one delay at a time."""

    def __init__(self, runs: Sequence[Run], names: list[str], known: Mapping[str, float]) -> None:
        self.runs, self.names, self.simulations = runs, names, 0
        self._known = NEUTRAL | dict(known)
        self._bench = Bench()
        self._lengths = [len(run.time) for run in runs for _ in run.outputs]
        self._noise = np.array([noise_of(values) for run in runs for values in run.outputs.values()])
        self._weights = 1.0 / np.repeat(self._noise, self._lengths)
        self._last: dict[int, tuple[tuple[float, ...], np.ndarray]] = {}
        self.count = sum(len(run.time) * len(run.outputs) for run in runs)
        limits = [field_extra(DynamicsParams.model_fields[name]) for name in names]
        self.lower, self.upper = (np.array([float(limit[end]) for limit in limits]) for end in ("ge", "le"))

    def start(self, generator: np.random.Generator | None = None) -> np.ndarray:
        """Values a fit begins at, inside the limits."""
        first = np.array([START[name] for name in self.names])
        if generator is not None:
            first = first * SPREAD ** generator.uniform(-1.0, 1.0, first.shape)
        margin = 0.01 * (self.upper - self.lower)
        return np.clip(first, self.lower + margin, self.upper - margin)

    def differences(self, at: np.ndarray, delay: int) -> np.ndarray:
        """Simulated less measured, shape [N]; a run that nothing changed for is not simulated again."""
        values = self._known | dict(zip(self.names, at.tolist(), strict=True)) | {DELAY: float(delay)}
        parts = []
        for number, run in enumerate(self.runs):
            key = tuple(values[name] for name in DEPENDS[run.experiment])
            kept = self._last.get(number)
            if kept is None or kept[0] != key:
                simulated = self._bench.simulate(run, values)
                self.simulations += 1
                found = [simulated[name] - measured for name, measured in run.outputs.items()]
                kept = self._last[number] = key, np.concatenate(found)
            parts.append(kept[1])
        return np.concatenate(parts)

    def residuals(self, at: np.ndarray, delay: int) -> np.ndarray:
        """Differences over the noise, shape [N]."""
        return self.differences(at, delay) * self._weights

    def left(self, at: np.ndarray, delay: int) -> np.ndarray:
        """RMS of the differences of each column, shape [columns]."""
        parts = np.split(self.differences(at, delay), np.cumsum(self._lengths)[:-1])
        return np.array([math.sqrt(float(np.mean(part**2))) for part in parts])

    def weigh_anew(self, solutions: Mapping[int, _Solution], best: int) -> dict[int, _Solution]:
        """Take what the best solution leaves of each column for its noise; returns the solutions at their new costs."""
        self._weights = 1.0 / np.repeat(np.maximum(self.left(solutions[best].at, best), 1e-12), self._lengths)
        costs = {delay: float(np.sum(self.residuals(each.at, delay) ** 2)) for delay, each in solutions.items()}
        return {delay: dataclasses.replace(each, cost=costs[delay]) for delay, each in solutions.items()}

    def solve(self, start: np.ndarray, delay: int, *, rough: bool = False) -> _Solution:
        """Fit all values at one delay, or well enough to compare it with others."""
        from scipy.optimize import least_squares

        if not self.names:
            residuals = self.residuals(start, delay)
            return _Solution(start, float(residuals @ residuals), np.empty((self.count, 0)))
        tolerance, evaluations = (GRID_TOLERANCE, GRID_EVALUATIONS) if rough else (TOLERANCE, EVALUATIONS)
        found = least_squares(
            self.residuals, start, bounds=(self.lower, self.upper), args=(delay,), x_scale=np.maximum(start, 0.1),
            diff_step=[DIFF_STEPS.get(name, DIFF_STEP) for name in self.names],
            xtol=tolerance, ftol=tolerance, max_nfev=evaluations,
        )  # fmt: skip
        return _Solution(found.x, 2.0 * float(found.cost), found.jac)

    def misfits(self, at: np.ndarray, delay: int) -> tuple[Misfit, ...]:
        """What is left of each column over its noise, in the order of the columns."""
        columns = [(run.name, name) for run in self.runs for name in run.outputs]
        ratios = (self.left(at, delay) / self._noise).tolist()
        return tuple(Misfit(run, name, ratio) for (run, name), ratio in zip(columns, ratios, strict=True))

    def deviations(self, solution: _Solution, delay: int, free: int) -> np.ndarray:
        """Standard deviations of fitted values, shape [P]: of residuals with what is left of their columns."""
        left = np.repeat(self.left(solution.at, delay), self._lengths) * self._weights
        return _deviations(solution.jacobian, left * math.sqrt(self.count / free))


def _conclude(
    problem: _Problem, solutions: Mapping[int, _Solution], best: int, confidence: float, *, fitted_delay: bool
) -> Fit:
    """Intervals and warnings of the best fit."""
    from scipy import stats

    solution = solutions[best]
    free = problem.count - len(problem.names) - fitted_delay
    half = float(stats.t.ppf(0.5 + 0.5 * confidence, free)) * problem.deviations(solution, best, free)
    misfits = problem.misfits(solution.at, best)
    estimates: dict[str, Estimate] = {}
    for number, name in enumerate(problem.names):
        lower, upper, value = problem.lower[number], problem.upper[number], float(solution.at[number])
        told = bool(half[number] < TOLD * (upper - lower))
        ends = max(value - half[number], lower), min(value + half[number], upper)
        estimates[name] = Estimate(value, float(ends[0]), float(ends[1]), told)
    if fitted_delay:
        most = solution.cost * (1.0 + float(stats.f.ppf(confidence, 1, free)) / free)
        among = [delay for delay, each in solutions.items() if each.cost <= most]
        told = len(among) < len(solutions)
        estimates[DELAY] = Estimate(float(best), float(min(among)), float(max(among)), told)
    return Fit(
        estimates=estimates,
        misfits=misfits,
        warnings=tuple(_warnings(problem, solution, estimates, misfits, edge=fitted_delay and best == max(solutions))),
        delays={delay: each.cost for delay, each in solutions.items()} if fitted_delay else {},
        simulations=problem.simulations,
    )


def _deviations(jacobian: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """Standard deviations of fitted values, shape [P], by singular values; infinite for what nothing depends on.

    Args:
        jacobian: Of the residuals, shape [N, P].
        residuals: Standard deviation of each residual, shape [N]: that of its column.
    """
    length = np.linalg.norm(jacobian, axis=0)
    scale = np.where(length > 0.0, length, 1.0)
    left, singular, right = np.linalg.svd(jacobian / scale, full_matrices=False)
    inverse = right.T / np.maximum(singular, 1e-9) @ left.T  # of the scaled matrix, shape [P, N]
    return np.where(length > 0.0, np.sqrt(np.sum((inverse * residuals) ** 2, axis=1)) / scale, np.inf)


def _warnings(
    problem: _Problem,
    solution: _Solution,
    estimates: Mapping[str, Estimate],
    misfits: Sequence[Misfit],
    *,
    edge: bool,
) -> list[str]:
    """Say what the runs do not tell, and why."""
    length = np.linalg.norm(solution.jacobian, axis=0)
    unit = solution.jacobian / np.where(length > 0.0, length, 1.0)
    alike = np.abs(unit.T @ unit) - np.eye(len(problem.names))
    found = []
    for one, name in enumerate(problem.names):
        partners = [problem.names[other] for other in np.flatnonzero(alike[one] > ALIKE)]
        if length[one] == 0.0:
            found.append(f"{name}: nothing in these runs depends on it there; it is left as it was")
        elif not estimates[name].told:
            found.append(f"{name}: these runs do not tell it; it is left as it was")
        for partner in partners:
            if problem.names.index(partner) > one:
                found.append(f"{name} and {partner} change these runs in the same way: only together are they told")
        if estimates[name].told and solution.at[one] in (problem.lower[one], problem.upper[one]):
            found.append(f"{name}: the best value, {solution.at[one]:g}, is at its limit")
    if DELAY in estimates and not estimates[DELAY].told:
        found.append(f"{DELAY}: every delay of the grid fits; it is left as it was")
    elif edge:
        found.append(f"{DELAY}: the best delay is the longest tried; try longer ones")
    for each in misfits:
        if each.ratio > MISFIT:
            what = f"{each.run} {each.column}: differs from the simulation by {each.ratio:.1f} times its noise"
            found.append(f"{what}; the intervals are too narrow")
    return found


def narrowed_values(fit: Fit) -> dict[str, Any]:
    """What the fit makes of the parameters, for `params.change_params`: dotted name to interval, of what it tells."""
    return {f"dynamics.{name}": (each.lo, each.hi) for name, each in fit.estimates.items() if each.told}
