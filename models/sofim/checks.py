"""The laws of SOFIM as live checks: the real optimiser is run on tiny float64 problems and held against the oracle and against algebra.

Each check answers one question of spec §8 and returns the largest difference found, or for a yes/no law the size of its violation. Checks
keep to the CPU, to their own random generator and to problems of at most 50 unknowns; all together take well under a second.
Oracle 14 (cost) is no law of algebra: its time half is measured by benchmarks/optimizer_step.py, its memory half is checked here.
"""

from __future__ import annotations

import numpy as np
import torch

from models.shared.laws import Check, Law, run
from models.sofim import reference
from models.sofim.optimizer import SOFIM

D = 24
"""Unknowns of the random problems: large enough to be generic, small enough for a d×d inverse in microseconds."""


def drive(gradients: np.ndarray, *, w: np.ndarray | None = None, cuts: tuple[int, ...] = (), **options: object) -> np.ndarray:
    """Feeds given gradients (T, d) to the real optimiser; returns the steps Δw (T, d), counted as what is subtracted.

    ``cuts`` splits the d unknowns into several tensors at these places. ``options`` go to SOFIM.
    """
    start = np.zeros(gradients.shape[1]) if w is None else w
    pieces = [torch.nn.Parameter(torch.from_numpy(part.copy())) for part in np.split(start, cuts)]
    optimizer = SOFIM(pieces, **options)
    deltas = []
    for g in gradients:
        for p, part in zip(pieces, np.split(g, cuts), strict=True):
            p.grad = torch.from_numpy(part.copy())
        before = torch.cat([p.detach().clone() for p in pieces])
        optimizer.step()
        deltas.append((before - torch.cat([p.detach() for p in pieces])).numpy())
    return np.array(deltas)


def _gradients(seed: int, steps: int = 8, d: int = D) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(steps, d)) * np.random.default_rng(seed + 1).uniform(0.05, 3.0, size=(steps, 1))


def _gap(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.max(np.abs(np.asarray(x) - np.asarray(y))))


def _against_inverse(variant: str) -> float:
    g = _gradients(1)
    exact = reference.run(g, np.zeros(D), eta=0.3, beta=0.9, rho=0.4, variant=variant)
    return _gap(drive(g, lr=0.3, beta=0.9, rho=0.4, variant=variant), [s.delta for s in exact])


def _two_term() -> float:
    g = _gradients(2)
    moments = [s.M_hat for s in reference.run(g, np.zeros(D), eta=1.0, beta=0.8, rho=0.7)]
    return _gap(drive(g, lr=1.0, beta=0.8, rho=0.7), [reference.sherman_morrison(m, m, 0.7) for m in moments])


def _a_equals_b() -> float:
    g = _gradients(3)
    memoryless = _gap(drive(g, beta=0.0, variant="A"), drive(g, beta=0.0, variant="B"))
    first = _gap(drive(g[:1], beta=0.95, variant="A"), drive(g[:1], beta=0.95, variant="B"))
    return max(memoryless, first)


def _constant_gradient() -> float:
    g = np.repeat(_gradients(4, steps=1), 12, axis=0)
    steps = drive(g, lr=1.0, beta=0.9, rho=0.5)
    return _gap(steps, g / (0.5 + np.sum(g[0] ** 2)))


def _large_rho() -> float:
    g, rate = _gradients(5), 0.1
    momentum = np.array([rate * s.M_hat for s in reference.run(g, np.zeros(D), eta=1.0, beta=0.9, rho=1.0)])
    gaps = [_gap(drive(g, lr=rate * rho, beta=0.9, rho=rho), momentum) for rho in (1e4, 1e6)]
    return abs(gaps[0] / gaps[1] / 100 - 1)


def _small_rho() -> float:
    g = _gradients(6)
    moments = [s.M_hat for s in reference.run(g, np.zeros(D), eta=1.0, beta=0.9, rho=1.0)]
    return _gap(drive(g, lr=0.1, beta=0.9, rho=1e-14), [0.1 * m / (m @ m) for m in moments])


def _length_bound() -> float:
    rho, eta = 0.3, 0.7
    direction = np.ones(D) / np.sqrt(D)
    lengths = [float(np.linalg.norm(drive(s * direction[None], lr=eta, rho=rho))) for s in (1e-3, 0.1, np.sqrt(rho), 1.0, 30.0, 1e4)]
    bound = eta / (2 * np.sqrt(rho))
    return max(abs(lengths[2] - bound), max(0.0, max(lengths) - bound))


def _loss_scaling() -> float:
    g, c = _gradients(7), 50.0
    pairs = [(drive(g, lr=0.2, rho=0.5, variant=v), drive(c * g, lr=c * 0.2, rho=c * c * 0.5, variant=v)) for v in "AB"]
    return max(_gap(x, y) for x, y in pairs)


def _rotation() -> float:
    g = _gradients(8)
    q, _ = np.linalg.qr(np.random.default_rng(80).normal(size=(D, D)))
    cuts = (5, 16)
    return max(_gap(drive(g @ q.T, cuts=cuts, variant=v), drive(g, cuts=cuts, variant=v) @ q.T) for v in "AB")


def _descent() -> float:
    g = _gradients(9, steps=40)
    moments = np.array([s.M_hat for s in reference.run(g, np.zeros(D), eta=1.0, beta=0.9, rho=0.5)])
    worst_b = float(np.min(np.sum(g * drive(g, variant="B"), axis=1)))
    signs_a = np.sign(np.sum(g * drive(g, variant="A"), axis=1)) == np.sign(np.sum(g * moments, axis=1))
    return max(0.0, -worst_b) + float(np.sum(~signs_a))


def _eigen_structure() -> float:
    step = reference.run(_gradients(10), np.zeros(D), eta=1.0, beta=0.9, rho=0.5)[-1]
    s2 = step.M_hat @ step.M_hat
    spectrum = np.linalg.eigvalsh(step.F)
    expected = np.array([0.5] * (D - 1) + [0.5 + s2])
    unit = step.M_hat / np.sqrt(s2)
    delta = drive(_gradients(10), lr=1.0, beta=0.9, rho=0.5, variant="B")[-1]
    along, across = unit @ step.g, step.g - (unit @ step.g) * unit
    ratio = (unit @ delta / along) / ((delta @ across) / (across @ across))
    return max(_gap(spectrum, expected), abs(ratio - 0.5 / (0.5 + s2)))


def _two_cycle() -> float:
    w = torch.nn.Parameter(torch.tensor([0.4], dtype=torch.float64))
    optimizer = SOFIM([w], lr=1.05, beta=0.0, rho=1.0)
    for _ in range(400):
        w.grad = 2.0 * w.detach()
        optimizer.step()
    return abs(abs(w.item()) - np.sqrt(1.05 * 2.0 / 2 - 1.0) / 2.0)


def _one_vector() -> float:
    g, cuts = _gradients(11), (7, 15)
    whole, pieces = drive(g), drive(g, cuts=cuts)
    w = np.linspace(-1, 1, D)
    still = drive(np.zeros((3, D)), w=w)
    return max(_gap(whole, pieces), _gap(still, np.zeros_like(still)))


def _memory() -> float:
    weights = [torch.nn.Parameter(torch.zeros(40, 3)), torch.nn.Parameter(torch.zeros(7))]
    for p in weights:
        p.grad = torch.ones_like(p)
    optimizer = SOFIM(weights)
    optimizer.step()
    kept = sum(v.numel() for s in optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor))
    return float(abs(kept - sum(p.numel() for p in weights)))


LAWS: tuple[Law, ...] = (
    Law("Explicit inverse, variant A", 1, "The quick formula gives the same step as building and inverting the whole matrix.", 1e-12,
        lambda: _against_inverse("A")),
    Law("Explicit inverse, variant B", 1, "The same for the variant that applies the inverse to the fresh gradient.", 1e-12,
        lambda: _against_inverse("B")),
    Law("One scalar is all", 2, "The step is the momentum divided by one number; the published two terms say no more.", 1e-12,
        _two_term),
    Law("A and B agree without memory", 3, "At the first step, and whenever nothing is remembered, the two are one.", 1e-12,
        _a_equals_b),
    Law("Steady gradient", 4, "With an unchanging gradient the average equals it from the first step on.", 1e-12, _constant_gradient),
    Law("Large ρ is plain momentum", 5, "Distrusting the curvature gives plain momentum; 100 times the ρ, a 100th of the gap.", 1e-2,
        _large_rho),
    Law("Small ρ makes long steps", 6, "Trusting it wholly divides by the squared length: small gradients make huge steps.", 1e-9,
        _small_rho),
    Law("Longest possible step", 7, "No gradient, however large, moves the weights further than η/(2√ρ).", 1e-12, _length_bound),
    Law("Scaling the loss", 8, "A loss c times as large changes nothing if η grows by c and ρ by c².", 1e-11, _loss_scaling),
    Law("Rotation", 9, "Turning the weight space turns the step with it: no coordinate is special.", 1e-12, _rotation),
    Law("Downhill", 10, "Variant B always goes downhill on its batch; A does so exactly when momentum and gradient agree.", 0.0, _descent),
    Law("Shape of the matrix", 11, "The matrix knows one direction only, the momentum's; all others look alike to it.", 1e-11,
        _eigen_structure),
    Law("Bounded bouncing", 12, "A step too long for the valley bounces between two known points, no further.", 1e-9, _two_cycle),
    Law("One vector", 13, "Cutting the weights into several tensors changes nothing; a zero gradient moves nothing.", 1e-12,
        _one_vector),
    Law("Memory of one vector", 14, "Beyond the weights it keeps exactly one number per weight.", 0.0, _memory),
)  # fmt: skip


def checks() -> list[Check]:
    """Runs every law of the room."""
    return run(LAWS)
