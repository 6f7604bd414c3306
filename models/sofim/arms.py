"""The competitors of the SOFIM room: their names, their knobs, how to build them and what a step of each moves through memory.

``ARMS`` is the one list; the race, the study, the landscape and the screen read it. PyTorch is imported only when an arm is
built, so that the screen can list the arms without it.

Fairness (spec §5, inferred protocol): every arm is tuned over the same number of grid points, ``GRID_POINTS``: four learning
rates over two decades around the usual one, times three values of its second most important knob.

Words of memory are *counted* from the update rule, not measured: one word is one number read or written, each vector is moved
as few times as the rule allows, and a gradient costs 3 d words (weights read forward, weights read again backward, gradient
written). Activations, the same for every arm, are left out. A Hessian-vector product counts as one more gradient.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

GRID_POINTS = 12
"""Grid points of every arm's fair search."""

GRADIENT_WORDS = 3
"""Words per parameter of one forward and backward pass (see the module's text)."""


@dataclass(frozen=True)
class Hyper:
    """One knob: its default, the values of the fair search (empty: not searched) and one sentence of help."""

    name: str
    label: str
    default: float
    grid: tuple[float, ...]
    help: str


@dataclass(frozen=True)
class Arm:
    """One competitor.

    build(parameters, hyper) makes the optimiser; missing knobs take their defaults and an unknown name raises ValueError.
    words_per_step(d, grad_evals) counts the words of memory one step moves for d parameters when it used ``grad_evals`` gradients.
    colour is an index (0 to 9) into the palette of the screen.
    """

    id: str
    label: str
    colour: int
    hypers: tuple[Hyper, ...]
    build: Callable[[Iterable[nn.Parameter], Mapping[str, float]], Optimizer]
    second_order: bool
    full_batch: bool
    words_per_step: Callable[[int, float], float]
    words_formula: str
    note: str


def grid(arm: Arm) -> list[dict[str, float]]:
    """All GRID_POINTS settings of the fair search, as name → value; knobs with an empty grid stay at their defaults."""
    searched = [h for h in arm.hypers if h.grid]
    return [dict(zip((h.name for h in searched), point, strict=True)) for point in itertools.product(*(h.grid for h in searched))]


def defaults(arm: Arm) -> dict[str, float]:
    """Every knob at its default."""
    return {h.name: h.default for h in arm.hypers}


def _complete(label: str, hypers: tuple[Hyper, ...], given: Mapping[str, float]) -> dict[str, float]:
    known = {h.name: h.default for h in hypers}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"{label} has no setting called {name!r}; it has {', '.join(known)}.")
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{label}: {name} is {value!r}, but it has to be a finite number.")
    return known | dict(given)


def _log(low: float, high: float, n: int) -> tuple[float, ...]:
    """n values from low to high in equal ratios, at three significant digits."""
    return tuple(float(f"{low * (high / low) ** (i / (n - 1)):.3g}") for i in range(n))


def _make(
    id: str,
    label: str,
    colour: int,
    hypers: tuple[Hyper, ...],
    make: Callable[[Iterable[nn.Parameter], dict[str, float]], Optimizer],
    words: tuple[Callable[[int, float], float], str],
    note: str,
    *,
    second_order: bool = False,
    full_batch: bool = False,
) -> Arm:
    def build(params: Iterable[nn.Parameter], hyper: Mapping[str, float]) -> Optimizer:
        return make(params, _complete(label, hypers, hyper))

    return Arm(id, label, colour, hypers, build, second_order, full_batch, words[0], words[1], note)


def _streaming(update_words: float) -> tuple[Callable[[int, float], float], str]:
    """Counter of an arm whose update moves a fixed number of words per parameter."""
    return lambda d, grad_evals: (GRADIENT_WORDS * grad_evals + update_words) * d, f"{GRADIENT_WORDS}·d per gradient + {update_words:g}·d"


_ETA_HELP = "Learning rate η: the step is proportional to it."
_BETA = Hyper("beta", "Memory β", 0.9, (), "How much of the averaged gradient is kept from step to step.")
_RHO = Hyper(
    "rho", "Distrust of the curvature ρ", 0.5, (0.1, 0.5, 2.0), "Large ρ: plain momentum. Small ρ: long steps where gradients are small."
)
_SOFIM = (Hyper("lr", "Learning rate η", 0.1, _log(0.01, 1.0, 4), _ETA_HELP), _RHO, _BETA)


def _sofim(**fixed: str) -> Callable[[Iterable[nn.Parameter], dict[str, float]], Optimizer]:
    def make(params: Iterable[nn.Parameter], hyper: dict[str, float]) -> Optimizer:
        from models.sofim.optimizer import SOFIM

        return SOFIM(params, **hyper, **fixed)

    return make


def _sgd_momentum(params: Iterable[nn.Parameter], hyper: dict[str, float]) -> Optimizer:
    import torch

    return torch.optim.SGD(params, lr=hyper["lr"], momentum=hyper["momentum"])


def _adam(params: Iterable[nn.Parameter], hyper: dict[str, float]) -> Optimizer:
    import torch

    return torch.optim.Adam(params, lr=hyper["lr"], betas=(hyper["beta1"], hyper["beta2"]))


def _lbfgs(params: Iterable[nn.Parameter], hyper: dict[str, float]) -> Optimizer:
    import torch

    # One outer iteration per step, so that it runs in lock-step with the others; the line search may look up to 25 times.
    return torch.optim.LBFGS(
        list(params),
        lr=hyper["lr"],
        history_size=_whole("L-BFGS", "history", hyper["history"]),
        max_iter=1,
        max_eval=25,
        line_search_fn="strong_wolfe",
    )


def _adahessian(params: Iterable[nn.Parameter], hyper: dict[str, float]) -> Optimizer:
    from timm.optim import Adahessian

    return Adahessian(params, lr=hyper["lr"], hessian_power=hyper["power"])


def _nystrom(params: Iterable[nn.Parameter], hyper: dict[str, float]) -> Optimizer:
    from models.sofim.baselines import NystromSGD

    return NystromSGD(params, **hyper)


def _normalised(params: Iterable[nn.Parameter], hyper: dict[str, float]) -> Optimizer:
    from models.sofim.baselines import NormalisedMomentum

    return NormalisedMomentum(params, **hyper)


def _fisher(params: Iterable[nn.Parameter], hyper: dict[str, float]) -> Optimizer:
    from models.sofim.baselines import DampedFisherNGD

    return DampedFisherNGD(params, **hyper)


def _whole(label: str, name: str, value: float) -> int:
    if value != int(value) or value < 1:
        raise ValueError(f"{label}: {name} is {value!r}, but it has to be a whole number of at least 1.")
    return int(value)


_ALL = (
    _make("sofim", "SOFIM", 0, _SOFIM, _sofim(), _streaming(6), "The method: momentum whose length is set by ρ + ‖M̂‖²."),
    _make("sofim_b", "SOFIM, variant B", 1, _SOFIM, _sofim(variant="B"), _streaming(7), "Fresh gradient, damped along the momentum."),
    _make("sofim_tensor", "SOFIM per tensor", 2, _SOFIM, _sofim(granularity="tensor"), _streaming(6), "One step length per tensor."),
    _make(
        "sgd_momentum",
        "SGD with momentum",
        3,
        (
            Hyper("lr", "Learning rate η", 0.05, _log(0.003, 0.3, 4), _ETA_HELP),
            Hyper("momentum", "Momentum μ", 0.9, (0.8, 0.9, 0.95), "How much of the last step is carried on."),
        ),
        _sgd_momentum,
        _streaming(5),
        "PyTorch's own. Its momentum adds gradients up, so its η is about ten times smaller than that of an averaged gradient.",
    ),
    _make(
        "adam",
        "Adam",
        4,
        (
            Hyper("lr", "Learning rate η", 1e-3, _log(3e-4, 0.03, 4), _ETA_HELP),
            Hyper("beta1", "Memory β₁", 0.9, (0.8, 0.9, 0.95), "Memory of the averaged gradient."),
            Hyper("beta2", "Memory β₂", 0.999, (), "Memory of the averaged squared gradient."),
        ),
        _adam,
        _streaming(7),
        "PyTorch's own. It rescales every coordinate by its own gradient size, which SOFIM does not.",
    ),
    _make(
        "lbfgs",
        "L-BFGS",
        5,
        (
            Hyper("lr", "First trial step", 1.0, (0.03, 0.1, 0.3, 1.0), "Where the line search begins."),
            Hyper("history", "History", 10, (5, 10, 20), "How many past steps it keeps, two vectors each."),
        ),
        _lbfgs,
        (lambda d, grad_evals: (6 * grad_evals + 109) * d, "6·d per gradient and trial point + 109·d (history of 10)"),
        "PyTorch's own with strong-Wolfe line search. It uses all training cases at every step: its line search cannot stand noise.",
        second_order=True,
        full_batch=True,
    ),
    _make(
        "adahessian",
        "AdaHessian",
        6,
        (
            Hyper("lr", "Learning rate η", 0.1, _log(0.005, 0.5, 4), _ETA_HELP),
            Hyper("power", "Power of the curvature", 1.0, (0.5, 0.75, 1.0), "1: divide by the curvature; 0.5: by its root."),
        ),
        _adahessian,
        _streaming(13),
        "timm's. Adam with the Hessian's diagonal, probed with one Hessian-vector product per step.",
        second_order=True,
    ),
    _make(
        "nystrom_sgd",
        "Nyström-SGD",
        7,
        (
            Hyper("lr", "Learning rate η", 0.1, _log(0.01, 1.0, 4), _ETA_HELP),
            Hyper("rho", "Damping ρ", 1.0, (0.1, 1.0, 10.0), "Added to every curvature; directions not looked at move at η/ρ."),
            Hyper("columns", "Directions m", 10, (), "How many random directions the Hessian is seen through."),
            Hyper("refresh", "Renewed every", 10, (), "Steps between two looks at the Hessian."),
        ),
        _nystrom,
        (lambda d, grad_evals: (GRADIENT_WORDS * grad_evals + 27) * d, "3·d per gradient + 27·d (10 directions, renewed every 10 steps)"),
        "Newton steps in a few random directions, plain gradient steps in all others. Each look costs m Hessian-vector products.",
        second_order=True,
    ),
    _make(
        "normalised_momentum",
        "Normalised momentum",
        8,
        (
            Hyper("lr", "Step length η", 0.05, _log(0.003, 0.3, 4), "Length of every step, whatever the gradient."),
            Hyper("beta", "Memory β", 0.9, (0.8, 0.9, 0.95), "How much of the averaged gradient is kept from step to step."),
        ),
        _normalised,
        _streaming(6),
        "SOFIM's direction with a constant step length: shows how much of SOFIM is control of the length alone.",
    ),
    _make(
        "fisher_ngd",
        "Natural gradient, full Fisher",
        9,
        (
            Hyper("lr", "Learning rate η", 0.1, _log(0.01, 1.0, 4), _ETA_HELP),
            Hyper("rho", "Damping ρ", 0.1, (0.01, 0.1, 1.0), "Added to every eigenvalue of the Fisher matrix."),
        ),
        _fisher,
        (lambda d, grad_evals: (GRADIENT_WORDS * grad_evals + 4 * 64 + 3) * d, "3·d per gradient + 4·B·d + 3·d (counted at B = 64)"),
        "The Fisher matrix of single cases that SOFIM's stands in for, inverted exactly. Needs one gradient per case, small models only.",
        second_order=True,
    ),
)

ARMS: dict[str, Arm] = {arm.id: arm for arm in _ALL}
