"""The paths that the real optimisers take down the hills of ``hills``.

The paths come from the classes that train networks, on a two-number tensor; only damped Newton, the judge who knows the true curvature, is
written here: w ← w − η Σᵢ vᵢ(vᵢ·g)/(|λᵢ|+ρ) over the Hessian's eigenvalues λᵢ and directions vᵢ (absolute values, so that it leaves saddles).

Noise stands for small batches: a random push added to each gradient, the same sequence for all competitors. The settings in ``SUGGESTED``
are each competitor's best of 36 on that hill, chosen by ``best_of_grid``: lowest mean height over the walk, in decades.
Importing this loads neither PyTorch nor NumPy.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.sofim.arms import ARMS, Hyper, grid
from models.sofim.hills import LANDSCAPES, Landscape, Point, eigen
from models.sofim.landscape_settings import SUGGESTED

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

FAR = 1e4
"""A path this far from the origin counts as diverged and ends."""

FLOOR = 1e-12
"""Heights above the lowest point below this are treated as arrived."""

MOST_STEPS = 5000
"""Longest walk: beyond it a drawing needs no more points and a visitor would wait."""


@dataclass(frozen=True)
class Walker:
    """A competitor on the hills: id, label, colour index, knobs."""

    id: str
    label: str
    colour: int
    hypers: tuple[Hyper, ...]


_NEWTON = Walker(
    "newton",
    "Damped Newton (true curvature)",
    9,
    (
        Hyper("lr", "Learning rate η", 0.3, (0.03, 0.1, 0.3, 1.0), "Share of the full Newton step."),
        Hyper("rho", "Damping ρ", 0.1, (0.01, 0.1, 1.0), "Added to the size of every true curvature."),
    ),
)
# One tensor of two numbers has no second tensor and no single cases, so these two have nothing of their own to show here.
_LEFT_OUT = ("sofim_tensor", "fisher_ngd")
WALKERS: dict[str, Walker] = {a.id: Walker(a.id, a.label, a.colour, a.hypers) for a in ARMS.values() if a.id not in _LEFT_OUT} | {
    "newton": _NEWTON
}


def step_length(s: Any, eta: float, rho: float) -> Any:
    """Length of a variant-A step whose corrected average gradient has length s: η s/(ρ + s²), largest at s = √ρ (spec §3.1)."""
    return eta * s / (rho + s * s)


def suggested(landscape: Landscape, walker: str) -> dict[str, float]:
    """All knobs of a competitor, at the best of the 36 settings searched for it on this hill."""
    known = {h.name: h.default for h in _walker(walker).hypers}
    return known | SUGGESTED[landscape.id][walker]


def trace(
    landscape: Landscape | str,
    walkers: Sequence[str],
    hyper: Mapping[str, Mapping[str, float]] | None = None,
    *,
    start: Point | None = None,
    steps: int = 300,
    noise: float | None = None,
    seed: int = 0,
    scale: float = 1.0,
    pieces: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Let the competitors walk; returns a JSON-able dict.

    hyper: competitor → knobs that differ from ``suggested``. scale multiplies the height that is walked on (not the heights reported): oracle 8.
    pieces: SOFIM's switches (variant, bias_correction, sherman_morrison, momentum) for the competitor "sofim".

    Result: id, title, about, bounds, start, minima, lowest, noise, seed, paths. A path: id, label, colour, lr, rho (SOFIM), x, y, f (n+1 points),
    diverged (step or None); for SOFIM also norm ‖M̂‖, eta_eff, length (n steps each), shrinking (share of steps with ‖M̂‖ > √ρ), metric and
    hessian: ellipses {a, b, angle} with a the half-axis along ``angle`` (radians): 1/(ρ+‖M̂‖²) and 1/ρ; 1/(|λ|+ρ) for the true curvature.

    Raises ValueError for unknown names and impossible numbers.
    """
    hill = _hill(landscape)
    start = hill.start if start is None else (float(start[0]), float(start[1]))
    noise = hill.noise if noise is None else float(noise)
    _check(start=start[0] + start[1], noise=noise, scale=scale)
    if not 1 <= steps <= MOST_STEPS or noise < 0 or scale <= 0:
        raise ValueError(f"A walk takes 1 to {MOST_STEPS} steps, noise of 0 or more and a scale above 0; got {steps}, {noise} and {scale}.")
    draw = random.Random(seed)
    pushes = [(draw.gauss(0, noise), draw.gauss(0, noise)) if noise else (0.0, 0.0) for _ in range(steps)]
    paths = []
    for name in walkers:
        settings = suggested(hill, name) | dict((hyper or {}).get(name, {}))
        walk = _Walk(hill, start, pushes, float(scale), seed)
        paths.append(_path(_walker(name), settings, walk, pieces if name == "sofim" else None))
    return {
        "id": hill.id,
        "title": hill.title,
        "about": hill.about,
        "bounds": list(hill.bounds),
        "start": list(start),
        "minima": [list(m) for m in hill.minima],
        "lowest": hill.lowest,
        "noise": noise,
        "seed": seed,
        "paths": paths,
    }


def best_of_grid(landscape: Landscape | str, walker: str, *, steps: int = 200, seeds: Sequence[int] = (0, 1, 2)) -> dict[str, float]:
    """The competitor's setting with the lowest mean of log₁₀(height above the lowest point) over walks from the usual start."""
    hill = _hill(landscape)
    points = _grid(walker)
    seeds = seeds if hill.noise else seeds[:1]

    def score(point: dict[str, float]) -> float:
        walks = [trace(hill, [walker], {walker: point}, steps=steps, seed=s)["paths"][0] for s in seeds]
        if any(p["diverged"] is not None for p in walks):
            return math.inf
        return sum(math.log10(max(f - hill.lowest, FLOOR)) for p in walks for f in p["f"])

    return min(points, key=score)


@dataclass(frozen=True)
class _Walk:
    hill: Landscape
    start: Point
    pushes: list[Point]
    scale: float
    seed: int

    def slope(self, x: Any, y: Any, push: Point) -> tuple[Any, Any]:
        """The gradient that the competitors are told; ``push`` moves it as a small batch would."""
        gx, gy = self.hill.grad(x, y)
        return self.scale * (gx + push[0]), self.scale * (gy + push[1])

    def height(self, x: float, y: float, push: Point) -> float:
        """The height whose slope is ``slope``."""
        return self.scale * (self.hill.f(x, y) + push[0] * x + push[1] * y)


def _path(walker: Walker, settings: dict[str, float], walk: _Walk, pieces: Mapping[str, Any] | None) -> dict[str, Any]:
    sofim = walker.id.startswith("sofim")
    inside: list[tuple[float, ...]] = []
    moves = _newton_moves(walk, settings) if walker.id == "newton" else _moves(walker, settings, walk, pieces, inside)
    points, diverged = [walk.start], None
    for t, (x, y) in enumerate(moves):
        if not (abs(x) < FAR and abs(y) < FAR):
            diverged = t + 1
            break
        points.append((x, y))
    path = {
        "id": walker.id,
        "label": walker.label,
        "colour": walker.colour,
        "lr": settings["lr"],
        "x": [_short(x) for x, _ in points],
        "y": [_short(y) for _, y in points],
        "f": [_short(walk.hill.f(x, y)) for x, y in points],
        "diverged": diverged,
    }
    return path | _sofim_inside(settings, walk.hill, points, inside) if sofim else path


def _moves(
    walker: Walker, settings: dict[str, float], walk: _Walk, pieces: Mapping[str, Any] | None, inside: list[tuple[float, ...]]
) -> Iterator[Point]:
    """The point after each step of a real optimiser; SOFIM's insides (‖M̂‖, η_eff, length, angle of M̂) go to ``inside``."""
    import torch

    w = torch.nn.Parameter(torch.tensor(walk.start, dtype=torch.float64))
    optimizer = ARMS[walker.id].build([w], settings)
    for name, value in (pieces or {}).items():
        _switch(optimizer, name, value)
    closures = {"lbfgs": _height_closure, "adahessian": _graph_closure, "nystrom_sgd": _graph_closure}
    make = closures.get(walker.id, _slope_closure)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(walk.seed)
        for push in walk.pushes:
            optimizer.step(make(walk, w, push))
            if walker.id.startswith("sofim"):
                mx, my = optimizer.state[w]["moment"].tolist()
                inside.append((optimizer.last.norm, optimizer.last.eta_eff, optimizer.last.step_length, math.atan2(my, mx)))
            yield tuple(w.tolist())


def _slope_closure(walk: _Walk, w: Tensor, push: Point) -> Callable[[], float]:
    def closure() -> float:
        w.grad = w.new_tensor(walk.slope(*w.tolist(), push))
        return 0.0

    return closure


def _height_closure(walk: _Walk, w: Tensor, push: Point) -> Callable[[], float]:
    def closure() -> float:
        x, y = w.tolist()
        w.grad = w.new_tensor(walk.slope(x, y, push))
        return walk.height(x, y, push)

    return closure


def _graph_closure(walk: _Walk, w: Tensor, push: Point) -> Callable[[], float]:
    import torch

    def closure() -> float:
        w.grad = torch.stack(walk.slope(*w.unbind(), push))  # keeps its graph, for Hessian-vector products
        return 0.0

    return closure


def _switch(optimizer: Optimizer, name: str, value: Any) -> None:
    from models.sofim.optimizer import SOFIM

    if name not in ("variant", "bias_correction", "sherman_morrison", "momentum"):
        raise ValueError(f"SOFIM has no piece called {name!r} here; it has variant, bias_correction, sherman_morrison and momentum.")
    SOFIM([optimizer.param_groups[0]["params"][0]], **{name: value})  # refuses impossible values in its own words
    optimizer.param_groups[0][name] = value


def _newton_moves(walk: _Walk, settings: dict[str, float]) -> Iterator[Point]:
    x, y = walk.start
    for push in walk.pushes:
        gx, gy = walk.slope(x, y, push)
        for value, (vx, vy) in eigen(walk.hill.hess(x, y)):
            along = settings["lr"] * (vx * gx + vy * gy) / (abs(walk.scale * value) + settings["rho"])
            x, y = x - along * vx, y - along * vy
        yield x, y


def _sofim_inside(settings: dict[str, float], hill: Landscape, points: list[Point], inside: list[tuple[float, ...]]) -> dict[str, Any]:
    rho = settings["rho"]
    inside = inside[: max(1, len(points) - 1)]
    metric = [{"a": _short(1 / (rho + s * s)), "b": _short(1 / rho), "angle": _short(angle)} for s, _, _, angle in inside]
    hessian = []
    for x, y in points[: len(inside)]:
        (large, (vx, vy)), (small, _) = eigen(hill.hess(x, y))
        hessian.append({"a": _short(1 / (abs(large) + rho)), "b": _short(1 / (abs(small) + rho)), "angle": _short(math.atan2(vy, vx))})
    return {
        "rho": rho,
        "norm": [_short(i[0]) for i in inside],
        "eta_eff": [_short(i[1]) for i in inside],
        "length": [_short(i[2]) for i in inside],
        "shrinking": sum(i[0] > math.sqrt(rho) for i in inside) / len(inside),
        "metric": metric,
        "hessian": hessian,
    }


def _short(value: float) -> float | None:
    """Six digits are more than a screen shows and a third of the bytes; a number that is none becomes null."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _hill(landscape: Landscape | str) -> Landscape:
    if isinstance(landscape, Landscape):
        return landscape
    if landscape not in LANDSCAPES:
        raise ValueError(f"There is no landscape called {landscape!r}; choose one of {', '.join(LANDSCAPES)}.")
    return LANDSCAPES[landscape]


def _walker(name: str) -> Walker:
    if name not in WALKERS:
        raise ValueError(f"{name!r} does not walk on landscapes; choose among {', '.join(WALKERS)}.")
    return WALKERS[name]


def _grid(walker: str) -> list[dict[str, float]]:
    """36 settings for every competitor: its fair grid, and the same with learning rates ten times smaller and larger."""
    lr, rho = _NEWTON.hypers
    points = grid(ARMS[walker]) if walker in ARMS else [{"lr": a, "rho": b} for a in lr.grid for b in rho.grid]
    return [point | {"lr": float(f"{point['lr'] * factor:.3g}")} for factor in (1.0, 0.1, 10.0) for point in points]


def _check(**numbers: float) -> None:
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise ValueError(f"The {name} of a walk has to be a finite number, not {value!r}.")
