"""The oracle of SOFIM: the published equations written out slowly, in NumPy float64, with the d×d matrix F formed and solved.

Symbols are the paper's (arXiv 2403.02833 as carried by its co-author's code, spec §3): w weights, g mini-batch mean gradient, M averaged
gradient, M_hat its bias-corrected form, F = M_hat M_hatᵀ + ρI, η learning rate, β memory, ρ damping. Nothing here is shared with
``optimizer.py``: no closed form is used where the definition can be computed. Only for small d; the cost of a step is O(d³).

Known deviation: without the 1e-8 that the co-author's code adds to a denominator, so that the explicit inverse is matched exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Vector = np.ndarray
"""float64, shape (d,)."""


@dataclass(frozen=True)
class Step:
    """All symbols of one step t (counted from 1)."""

    t: int
    g: Vector
    M: Vector
    M_hat: Vector
    F: np.ndarray  # (d, d)
    delta: Vector  # what is subtracted from w: η F⁻¹ u
    w: Vector  # after the step


def fisher(M_hat: Vector, rho: float) -> np.ndarray:
    """F = M_hat M_hatᵀ + ρ I, shape (d, d)."""
    return np.outer(M_hat, M_hat) + rho * np.eye(M_hat.size)


def sherman_morrison(M_hat: Vector, u: Vector, rho: float) -> Vector:
    """F⁻¹ u by the published two-term expression u/ρ − M_hat (M_hatᵀu) / (ρ² + ρ M_hatᵀM_hat)."""
    return u / rho - M_hat * (M_hat @ u) / (rho**2 + rho * (M_hat @ M_hat))


def run(
    gradient: Callable[[Vector], Vector] | Sequence[Vector],
    w: Vector,
    *,
    eta: float,
    beta: float,
    rho: float,
    variant: str = "A",
    bias_correction: bool = True,
    weight_decay: float = 0.0,
    steps: int | None = None,
) -> list[Step]:
    """The algorithm from M_0 = 0.

    ``gradient`` is g(w), with ``steps`` given, or the list of g_t. ``variant`` "A" takes u = M_hat, "B" u = g (spec §3).
    Weight decay is the follow-up's: η λ w beside the step.
    """
    w = np.asarray(w, dtype=np.float64)
    M = np.zeros_like(w)
    history: list[Step] = []
    for t in range(1, (len(gradient) if steps is None else steps) + 1):
        g = np.asarray(gradient(w) if callable(gradient) else gradient[t - 1], dtype=np.float64)
        M = beta * M + (1 - beta) * g
        M_hat = M / (1 - beta**t) if bias_correction else M
        F = fisher(M_hat, rho)
        delta = eta * np.linalg.solve(F, M_hat if variant == "A" else g)
        w = w - delta - eta * weight_decay * w
        history.append(Step(t, g, M, M_hat, F, delta, w))
    return history
