"""What the screen calls and gets an answer from at once: walks on two-dimensional hills, the step-length curve, the algebra check, a short run.

Two verbs: ``prepare(name)`` once (the height map of a hill, or the data of a task; kept), ``run(prepared, options)`` as often as wanted. Both
return frozen records of plain numbers and NumPy arrays; nothing here draws. Long work (races, heat maps, the study) is in ``race``,
``sensitivity`` and ``recipe``, which run as jobs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from models.shared.data import Dataset, load
from models.shared.training import Batches, Fit
from models.sofim import landscape as hills
from models.sofim import reference
from models.sofim.arms import ARMS
from models.sofim.checks import drive
from models.sofim.tasks import Task, evaluate, loss_fn, make_model, rows
from models.sofim.tasks import get as get_task

MAP_POINTS = 161
"""Height map: points along each side."""

MOST_SHORT_STEPS = 300
"""A short run answers at once; longer ones belong into a race."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class PreparedLandscape:
    """A hill and its height map: heights (MAP_POINTS, MAP_POINTS), rows from low y to high y; ``decades`` = log₁₀(height above the lowest)."""

    landscape: hills.Landscape
    x: np.ndarray
    y: np.ndarray
    heights: np.ndarray
    decades: np.ndarray


@dataclass(frozen=True)
class WalkOptions:
    """Who walks, with which knobs (others as ``suggested``), from where; see ``landscape.trace``."""

    walkers: tuple[str, ...] = ("sofim", "sgd_momentum", "adam", "normalised_momentum", "newton")
    hyper: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: _NOTHING)
    start: tuple[float, float] | None = None
    steps: int = 300
    noise: float | None = None
    seed: int = 0
    scale: float = 1.0
    pieces: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True)
class Walks:
    """The answer: ``scene`` is the JSON-able record of ``landscape.trace``; ``ends`` the final height above the lowest point, ∞ if diverged."""

    scene: Mapping[str, Any]
    ends: Mapping[str, float]


@dataclass(frozen=True)
class PreparedTask:
    """A task and its data."""

    task: Task
    data: Dataset


@dataclass(frozen=True)
class ShortOptions:
    """One optimiser for a few steps. ``seed`` fixes initial weights and batch order; ``batch`` 0 means the task's own."""

    arm: str = "sofim"
    hyper: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    steps: int = 100
    seed: int = 0
    batch: int = 0


@dataclass(frozen=True)
class ShortRun:
    """Batch losses (steps,), seconds spent in the steps, and the network's mean loss (nats) and share of correct answers on all test rows."""

    losses: np.ndarray
    seconds: float
    test_loss: float
    test_accuracy: float
    n_test: int
    diverged: bool


@dataclass(frozen=True)
class StepCurve:
    """The law of the step's length: lengths over norms ‖M̂‖ (same shape), and its peak, the longest step there is."""

    norms: np.ndarray
    lengths: np.ndarray
    peak_at: float
    peak: float


@dataclass(frozen=True)
class AlgebraCheck:
    """How far the closed form is from building and inverting the d×d matrix, and that matrix's condition number 1 + ‖M̂‖²/ρ."""

    d: int
    rho: float
    difference: float
    condition: float


@lru_cache(maxsize=16)
def prepare(name: str) -> PreparedLandscape | PreparedTask:
    """The hill or task of that name. Raises ValueError or UnknownTask for an unknown one, DataNotHere where a task's files are absent."""
    if name not in hills.LANDSCAPES:
        task = get_task(name)
        return PreparedTask(task, load(task.dataset))
    hill = hills.LANDSCAPES[name]
    x0, x1, y0, y1 = hill.bounds
    x, y = np.linspace(x0, x1, MAP_POINTS), np.linspace(y0, y1, MAP_POINTS)
    heights = hill.f(x[None, :], y[:, None])  # rows: y, columns: x
    return PreparedLandscape(hill, x, y, heights, np.log10(np.maximum(heights - hill.lowest, 1e-4)))


def run(prepared: PreparedLandscape | PreparedTask, options: WalkOptions | ShortOptions) -> Walks | ShortRun:
    """Walks for a hill and WalkOptions, a ShortRun for a task and ShortOptions. Raises ValueError for impossible options."""
    if isinstance(prepared, PreparedLandscape) and isinstance(options, WalkOptions):
        return _walk(prepared.landscape, options)
    if isinstance(prepared, PreparedTask) and isinstance(options, ShortOptions):
        return _short_run(prepared, options)
    raise ValueError("A landscape takes WalkOptions and a task takes ShortOptions; give the pair that belongs together.")


def step_curve(eta: float, rho: float, *, points: int = 200, decades: float = 2.0) -> StepCurve:
    """The curve from ``decades`` below √ρ to as many above. Raises ValueError unless η ≥ 0 and ρ > 0."""
    if not (math.isfinite(eta) and eta >= 0 and math.isfinite(rho) and rho > 0):
        raise ValueError(f"The step-length curve needs a learning rate of at least 0 and ρ above 0; got {eta} and {rho}.")
    norms = math.sqrt(rho) * np.logspace(-decades, decades, points)
    return StepCurve(norms, hills.step_length(norms, eta, rho), math.sqrt(rho), eta / (2 * math.sqrt(rho)))


def algebra_check(d: int = 50, rho: float = 0.5, *, seed: int = 0) -> AlgebraCheck:
    """Real optimiser against explicit matrix on five random gradients of d numbers. Raises ValueError unless 1 ≤ d ≤ 500 and ρ > 0."""
    if not (1 <= d <= 500 and math.isfinite(rho) and rho > 0):
        raise ValueError(f"The algebra check takes 1 to 500 unknowns and ρ above 0; got {d} and {rho}.")
    gradients = np.random.default_rng(seed).normal(size=(5, d)) / math.sqrt(d)
    exact = reference.run(gradients, np.zeros(d), eta=1.0, beta=0.9, rho=rho)
    difference = np.max(np.abs(drive(gradients, lr=1.0, beta=0.9, rho=rho) - [s.delta for s in exact]))
    return AlgebraCheck(d, rho, float(difference), float(np.linalg.cond(exact[-1].F)))


def _walk(hill: hills.Landscape, options: WalkOptions) -> Walks:
    scene = hills.trace(
        hill,
        options.walkers,
        options.hyper,
        start=options.start,
        steps=options.steps,
        noise=options.noise,
        seed=options.seed,
        scale=options.scale,
        pieces=options.pieces,
    )
    ends = {p["id"]: math.inf if p["diverged"] is not None else p["f"][-1] - hill.lowest for p in scene["paths"]}
    return Walks(scene, ends)


def _short_run(prepared: PreparedTask, options: ShortOptions) -> ShortRun:
    task, data = prepared.task, prepared.data
    if options.arm not in ARMS:
        raise ValueError(f"There is no optimiser called {options.arm!r}; choose one of {', '.join(ARMS)}.")
    if options.arm in task.without:
        raise ValueError(f"{ARMS[options.arm].label} does not fit this task: {task.without[options.arm]}")
    if not 1 <= options.steps <= MOST_SHORT_STEPS:
        raise ValueError(f"A short run takes 1 to {MOST_SHORT_STEPS} steps, not {options.steps}; start a race for longer ones.")
    arm = ARMS[options.arm]
    model = make_model(task, options.seed)
    train = rows(data.train, task.full_batch_rows) if arm.full_batch else data.train
    batches = Batches(len(train), options.batch or task.batch, options.seed)
    optimizer = arm.build(model.parameters(), options.hyper)
    fit = Fit(model, optimizer, loss_fn, train, batches, steps=options.steps, device="cpu", full_batch=arm.full_batch)
    events = list(fit)
    test_loss, test_accuracy = evaluate(model, data.test)
    losses = np.array([e.loss for e in events])
    return ShortRun(losses, events[-1].seconds, test_loss, test_accuracy, len(data.test), events[-1].diverged)
