"""Four hills in two dimensions, as polynomials with their gradients and Hessians written out.

One formula serves floats, NumPy grids and tensors alike. Heights are scaled so that slopes at the start are of size 1 or so, as those of
networks are: ρ has the units of a slope squared. Importing this loads neither PyTorch nor NumPy. Our own choice of hills (spec §10).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Point = tuple[float, float]
Matrix = tuple[Point, Point]


@dataclass(frozen=True)
class Landscape:
    """One hill. f(x, y) → height, grad → (fx, fy), hess → ((fxx, fxy), (fxy, fyy)); bounds x0, x1, y0, y1 of the map; noise the usual push."""

    id: str
    title: str
    f: Callable[[Any, Any], Any]
    grad: Callable[[Any, Any], tuple[Any, Any]]
    hess: Callable[[float, float], Matrix]
    start: Point
    bounds: tuple[float, float, float, float]
    minima: tuple[Point, ...]
    lowest: float
    noise: float
    about: str


def eigen(matrix: Matrix) -> tuple[tuple[float, Point], tuple[float, Point]]:
    """Eigenvalues and unit directions of a symmetric 2×2 matrix, the larger value first."""
    (a, b), (_, d) = matrix
    angle = 0.5 * math.atan2(2 * b, a - d)
    c, s = math.cos(angle), math.sin(angle)
    middle, half = (a + d) / 2, math.hypot((a - d) / 2, b)
    return (middle + half, (c, s)), (middle - half, (-s, c))


def _bowl(flat: float, steep: float, degrees: float) -> tuple[Callable, Callable, Callable]:
    """Half (flat·u² + steep·v²) in axes turned by ``degrees``: f, gradient, Hessian."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    xx, xy, yy = flat * c * c + steep * s * s, (flat - steep) * c * s, flat * s * s + steep * c * c
    return (
        lambda x, y: 0.5 * (xx * x * x + 2 * xy * x * y + yy * y * y),
        lambda x, y: (xx * x + xy * y, xy * x + yy * y),
        lambda x, y: ((xx, xy), (xy, yy)),
    )


_BANANA = (
    lambda x, y: 0.1 * (1 - x) * (1 - x) + (y - x * x) * (y - x * x),
    lambda x, y: (-0.2 * (1 - x) - 4 * x * (y - x * x), 2 * (y - x * x)),
    lambda x, y: ((0.2 - 4 * (y - 3 * x * x), -4 * x), (-4 * x, 2.0)),
)
_SADDLE = (
    lambda x, y: 0.5 * x * x - 0.5 * y * y + 0.25 * y * y * y * y,
    lambda x, y: (x, y * y * y - y),
    lambda x, y: ((1.0, 0.0), (0.0, 3 * y * y - 1)),
)

_ALL = (
    Landscape(
        "valley", "Narrow valley", *_bowl(0.05, 3.0, 30.0), (-1.6, -1.5), (-2.0, 2.0, -2.0, 2.0), ((0.0, 0.0),), 0.0, 0.0,
        "Sixty times steeper across than along, and turned against the axes. Curvature is the same everywhere.",
    ),
    Landscape(
        "rosenbrock", "Rosenbrock's bend", *_BANANA, (-1.3, 2.2), (-2.0, 2.0, -1.0, 3.0), ((1.0, 1.0),), 0.0, 0.0,
        "A bent valley (factor 10 in place of the classic 100, heights divided by 10). The way along its floor keeps turning.",
    ),
    Landscape(
        "saddle", "Saddle", *_SADDLE, (1.6, 0.02), (-2.0, 2.0, -2.0, 2.0), ((0.0, 1.0), (0.0, -1.0)), -0.25, 0.0,
        "A pass between two lowest points. Near the pass the slope nearly vanishes, though it is no minimum.",
    ),
    Landscape(
        "noisy_valley", "Noisy valley", *_bowl(0.1, 1.5, -25.0), (-1.7, 1.4), (-2.0, 2.0, -2.0, 2.0), ((0.0, 0.0),), 0.0, 0.2,
        "A valley whose slope is told wrongly each time, as small batches do. Averaging helps; long steps do not.",
    ),
)  # fmt: skip
LANDSCAPES: dict[str, Landscape] = {landscape.id: landscape for landscape in _ALL}
