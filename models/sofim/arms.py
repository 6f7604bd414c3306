"""The competitors of the SOFIM room: their names, their knobs, how to build them and what a step of each moves through memory.

``ARMS`` is the one list; the race, the study, the landscape and the screen read it. PyTorch is imported only when an arm is
built, so that the screen can list the arms without it.

Fairness (spec §5, inferred protocol): every arm is tuned over the same number of grid points, ``GRID_POINTS``, spread over the
knobs that its authors call important.

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
    "rho", "Distrust of the curvature ρ", 0.5, (0.01, 0.1, 1.0), "Large ρ: plain momentum. Small ρ: long steps where gradients are small."
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


_ALL = (
    _make("sofim", "SOFIM", 0, _SOFIM, _sofim(), _streaming(6), "The method: momentum whose length is set by ρ + ‖M̂‖²."),
    _make("sofim_b", "SOFIM, variant B", 1, _SOFIM, _sofim(variant="B"), _streaming(7), "Fresh gradient, damped along the momentum."),
    _make("sofim_tensor", "SOFIM per tensor", 2, _SOFIM, _sofim(granularity="tensor"), _streaming(6), "One step length per tensor."),
    _make(
        "sgd_momentum",
        "SGD with momentum",
        3,
        (
            Hyper("lr", "Learning rate η", 0.05, _log(0.001, 1.0, 4), _ETA_HELP),
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
            Hyper("lr", "Learning rate η", 1e-3, _log(1e-4, 0.1, 4), _ETA_HELP),
            Hyper("beta1", "Memory β₁", 0.9, (0.8, 0.9, 0.95), "Memory of the averaged gradient."),
            Hyper("beta2", "Memory β₂", 0.999, (), "Memory of the averaged squared gradient."),
        ),
        _adam,
        _streaming(7),
        "PyTorch's own. It rescales every coordinate by its own gradient size, which SOFIM does not.",
    ),
)

ARMS: dict[str, Arm] = {arm.id: arm for arm in _ALL}
