"""The rivals of SOFIM that no well-kept library has: normalised momentum, Nyström-SGD, and natural gradient with the full Fisher matrix.

All are ``torch.optim.Optimizer``s whose hyper-parameters are read afresh at each step. Notation: g mean gradient of the batch, d unknowns,
B cases, m columns.

* ``NormalisedMomentum``  w ← w − η M̂/‖M̂‖. The control experiment: SOFIM's direction with a constant step length (spec §6, inferred).
* ``NystromSGD``          w ← w − η (C W⁺ Cᵀ + ρI)⁻¹ g with C = HΩ, W = ΩᵀHΩ: the Hessian H seen through m random directions Ω, inverted
  by Woodbury's formula. After the column-sampled Newton method named in the first version of SOFIM's abstract. Deviations:
  Gaussian directions instead of coordinates (a coordinate with a dead input sees nothing), and only directions of positive
  curvature are kept, so that the matrix stays positive definite where H is not.
* ``DampedFisherNGD``     w ← w − η F⁻¹ g with F = (1/B) Σ gᵢgᵢᵀ + ρI, the empirical Fisher matrix of single cases for
  which SOFIM's rank-one matrix stands in; inverted exactly through a B×B system. For small models: it holds B·d numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from models.sofim.sweeps import choose, total

Closure = Callable[[], Tensor]

POSITIVE = 1e-6
"""Share of the largest curvature below which a Nyström direction counts as flat."""


def _check(who: str, **values: tuple[float, bool, str]) -> None:
    for name, (value, ok, wanted) in values.items():
        if not (ok and math.isfinite(value)):
            raise ValueError(f"{who}: {name} is {value!r}, but it has to be {wanted}.")


def _evaluate(closure: Closure | None) -> Tensor | None:
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def _with_grad(group: dict) -> list[Tensor]:
    return [p for p in group["params"] if p.grad is not None]


class NormalisedMomentum(torch.optim.Optimizer):
    """Steps of constant length η along the averaged gradient of the whole model; a vanishing average moves nothing."""

    def __init__(self, params: Iterable[Tensor], lr: float = 0.05, *, beta: float = 0.9) -> None:
        _check("NormalisedMomentum", lr=(lr, lr >= 0, "at least 0"), beta=(beta, 0 <= beta < 1, "at least 0 and below 1"))
        super().__init__(params, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:
        """One update; returns the closure's loss. The bias correction of the average cancels in its direction."""
        loss = _evaluate(closure)
        walks = []
        for group in self.param_groups:
            if params := _with_grad(group):
                grads, moments = [p.grad for p in params], [self._moment(p) for p in params]
                sweeps = choose(params, grads, None)
                sums = sweeps.gather(moments, grads, group["beta"], False)
                walks.append((group["lr"], sweeps, params, moments, grads, total(sums.moment)))
        length = total(norm2 for *_, norm2 in walks) ** 0.5
        for lr, sweeps, params, moments, grads, _ in walks:
            scale = _divided(-lr, length)
            sweeps.apply(params, moments, grads, [scale] * len(params), [0.0] * len(params), 0.0)
        return loss

    def _moment(self, p: Tensor) -> Tensor:
        if "moment" not in self.state[p]:
            self.state[p]["moment"] = torch.zeros_like(p)
        return self.state[p]["moment"]


def _divided(a: float, b: float | Tensor) -> float | Tensor:
    if isinstance(b, Tensor):
        return torch.where(b > 0, a / b, torch.zeros_like(b))
    return a / b if b != 0 else 0.0


class NystromSGD(torch.optim.Optimizer):
    """Newton steps in a random m-dimensional picture of the Hessian, plain gradient steps η/ρ in all other directions.

    The closure must build the gradient with its own graph (``is_second_order``). The picture is renewed every ``refresh`` steps at the
    price of m Hessian-vector products, reported in ``extra_grad_evals``; its random directions come from PyTorch's global generator.
    One parameter group only. Memory: m vectors of d.
    """

    is_second_order = True

    def __init__(self, params: Iterable[Tensor], lr: float = 0.1, *, rho: float = 1.0, columns: int = 10, refresh: int = 10) -> None:
        _check(
            "NystromSGD",
            lr=(lr, lr >= 0, "at least 0"),
            rho=(rho, rho > 0, "above 0"),
            columns=(columns, columns >= 1 and columns == int(columns), "a whole number of at least 1"),
            refresh=(refresh, refresh >= 1 and refresh == int(refresh), "a whole number of at least 1"),
        )
        super().__init__(params, {"lr": lr, "rho": rho, "columns": int(columns), "refresh": int(refresh), "step": 0})
        if len(self.param_groups) != 1:
            raise ValueError("NystromSGD takes a single parameter group.")
        self.extra_grad_evals = 0.0

    def step(self, closure: Closure | None = None) -> Tensor | None:
        """One update; returns the closure's loss. Raises RuntimeError where a refresh is due and the gradients carry no graph."""
        loss = _evaluate(closure)
        group = self.param_groups[0]
        params = _with_grad(group)
        if not params:
            return loss
        due = group["step"] % group["refresh"] == 0 or any("sketch" not in self.state[p] for p in params)
        self.extra_grad_evals = float(group["columns"]) if due else 0.0
        if due:
            self._refresh(params, group["columns"])
        group["step"] += 1
        self._move(params, group["lr"], group["rho"])
        return loss

    def _refresh(self, params: list[Tensor], columns: int) -> None:
        """Stores Z with Z Zᵀ = C W⁺ Cᵀ: per parameter a tensor (m, *shape), flat directions as zeros."""
        grads = [p.grad for p in params]
        if not any(g.requires_grad for g in grads):
            raise RuntimeError("NystromSGD needs gradients with their own graph: call backward(create_graph=True) in the closure.")
        directions = [torch.randn(columns, *p.shape, dtype=p.dtype, device=p.device) for p in params]
        products = [self._hessian_times(grads, params, [v[i] for v in directions]) for i in range(columns)]
        c = torch.cat([torch.stack([h[j].reshape(-1) for h in products]) for j in range(len(params))], dim=1)  # m d
        omega = torch.cat([v.reshape(columns, -1) for v in directions], dim=1)  # m d
        w = (omega @ c.mT).double()  # m m
        values, vectors = torch.linalg.eigh((w + w.mT) / 2)
        keep = values > POSITIVE * values.abs().max()
        roots = torch.where(keep, values.clamp(min=torch.finfo(torch.float64).tiny).rsqrt(), torch.zeros_like(values))
        z = (roots[:, None] * vectors.mT).to(c.dtype) @ c  # m d
        for p, part in zip(params, z.split([p.numel() for p in params], dim=1), strict=True):
            self.state[p]["sketch"] = part.reshape(columns, *p.shape).clone()
        self.state[params[0]]["gram"] = z @ z.mT  # m m

    def _hessian_times(self, grads: list[Tensor], params: list[Tensor], direction: list[Tensor]) -> list[Tensor]:
        live = [(g, v) for g, v in zip(grads, direction, strict=True) if g.requires_grad]
        found = torch.autograd.grad([g for g, _ in live], params, grad_outputs=[v for _, v in live], retain_graph=True, allow_unused=True)
        return [torch.zeros_like(p) if h is None else h.detach() for h, p in zip(found, params, strict=True)]

    @torch.no_grad()
    def _move(self, params: list[Tensor], lr: float, rho: float) -> None:
        """Woodbury: (ZᵀZ written for rows)  F⁻¹g = (g − Zᵀ (ρI + ZZᵀ)⁻¹ Z g) / ρ with Z of shape (m, d)."""
        sketches = [self.state[p]["sketch"] for p in params]
        seen = sum((z.flatten(1) @ p.grad.reshape(-1)).double() for z, p in zip(sketches, params, strict=True))  # m
        gram = self.state[params[0]]["gram"].double()
        weights = torch.linalg.solve(gram + rho * torch.eye(len(gram), dtype=gram.dtype, device=gram.device), seen)
        for z, p in zip(sketches, params, strict=True):
            correction = (weights.to(z.dtype) @ z.flatten(1)).view_as(p)
            p.sub_(p.grad - correction, alpha=lr / rho)


class DampedFisherNGD(torch.optim.Optimizer):
    """Natural gradient with the damped empirical Fisher matrix of the batch's cases, F = (1/B) Σ gᵢgᵢᵀ + ρI.

    Needs ``p.grad_sample`` (B, *p.shape), one gradient per case (``needs_per_sample``), which it clears after use. One group only.
    """

    needs_per_sample = True

    def __init__(self, params: Iterable[Tensor], lr: float = 0.1, *, rho: float = 0.1) -> None:
        _check("DampedFisherNGD", lr=(lr, lr >= 0, "at least 0"), rho=(rho, rho > 0, "above 0"))
        super().__init__(params, {"lr": lr, "rho": rho})
        if len(self.param_groups) != 1:
            raise ValueError("DampedFisherNGD takes a single parameter group.")

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:
        """One update; returns the closure's loss. Raises RuntimeError where the gradients of the cases are missing."""
        loss = _evaluate(closure)
        group = self.param_groups[0]
        params = _with_grad(group)
        if not params:
            return loss
        if any(getattr(p, "grad_sample", None) is None for p in params):
            raise RuntimeError("DampedFisherNGD needs one gradient per case in p.grad_sample; p.grad alone is not enough.")
        cases = [p.grad_sample.flatten(1) for p in params]  # B d_p
        gram = sum((j @ j.mT).double() for j in cases)  # B B
        seen = sum((j @ p.grad.reshape(-1)).double() for j, p in zip(cases, params, strict=True))  # B
        damping = group["rho"] * len(gram) * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        weights = torch.linalg.solve(gram + damping, seen)
        for j, p in zip(cases, params, strict=True):
            p.sub_(p.grad - (weights.to(j.dtype) @ j).view_as(p), alpha=group["lr"] / group["rho"])
            p.grad_sample = None
        return loss
