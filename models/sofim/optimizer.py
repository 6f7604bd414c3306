"""SOFIM as a ``torch.optim.Optimizer``.

Paper: SOFIM, Stochastic Optimization Using Regularized Fisher Information Matrix (arXiv 2403.02833), Algorithm 1 as published in
the code of one of its authors (DP-FedSOFIM). Words ↔ paper: moment = M, corrected moment = M̂, lr = η, beta = β, rho = ρ.

    M_t = β M_{t-1} + (1−β) g_t      M̂_t = M_t / (1 − β^t)      F_t = M̂_t M̂_tᵀ + ρ I      w_t = w_{t-1} − η F_t⁻¹ u
    variant A (default): u = M̂_t     variant B: u = g_t

What the step really is (derived, checked in tests/models/sofim/test_oracles.py): for variant A the Sherman–Morrison inverse
collapses to ``F⁻¹ M̂ = M̂ / (ρ + ‖M̂‖²)``. The direction is that of momentum; the "Fisher inverse" sets only the length
``η‖M̂‖/(ρ+‖M̂‖²)``, which rises while ‖M̂‖ < √ρ, peaks at η/(2√ρ) and then falls. No coordinate is rescaled against another.
Variant B does turn the direction: the part of g along M̂ is damped by ρ/(ρ+‖M̂‖²) against the rest. As ρ → 0 the step near a
minimum, η/‖M̂‖, grows without bound.

Known deviations: the 1e-8 which the published code adds to a denominator is left out, since ρ > 0 already forbids a division by zero; the
switches that the paper does not have (``granularity="tensor"``, ``variant="B"``, the ablations) are off by default.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from models.sofim.sweeps import Scalar, Sums, Sweeps, choose, dot, total

VARIANTS = ("A", "B")
GRANULARITIES = ("global", "tensor")
MOMENTA = ("full", "ema_only", "gradient_only")

GRADIENTS_GONE = "The gradients of this step are gone: read grad_norm and alignment before they are cleared."


@dataclass(frozen=True)
class StepInfo:
    """The inside of one step; every number is a float on the CPU and a 0-d tensor elsewhere, so ``float(x)`` is the only thing that waits.

    norm         ‖M̂‖ over all parameters that had a gradient.
    eta_eff      η/(ρ+‖M̂‖²) of the first parameter group; with ``granularity="tensor"`` the average step_length / norm.
    step_length  ‖Δw‖ without weight decay.
    """

    norm: Scalar
    eta_eff: Scalar
    step_length: Scalar
    _owner: Callable[[], SOFIM | None] = field(repr=False, compare=False)  # weak, so that a finished optimiser is freed at once
    _tick: int = field(repr=False, compare=False)

    @property
    def grad_norm(self) -> Scalar:
        """‖g‖ of the step. Measured on first reading from the gradients still in place, so read it before ``zero_grad`` or the next step.

        Raises RuntimeError when they are gone.
        """
        return self._gradient_sums[1] ** 0.5

    @property
    def alignment(self) -> Scalar:
        """Cosine of the angle between g and M̂, in [−1, 1]; 0 when either vanishes. Same condition as ``grad_norm``."""
        cross, grad2, moment2 = self._gradient_sums
        lengths = (grad2 * moment2) ** 0.5
        if isinstance(lengths, Tensor):
            return torch.where(lengths > 0, cross / lengths, torch.zeros_like(lengths))
        return cross / lengths if lengths > 0 else lengths * 0.0

    @cached_property
    def _gradient_sums(self) -> tuple[Scalar, Scalar, Scalar]:
        owner = self._owner()
        if owner is None:
            raise RuntimeError(GRADIENTS_GONE)
        return owner._measure_gradients(self._tick)


@dataclass(frozen=True)
class _Lane:
    """One parameter group's tensors that take part in this step, after the first walk."""

    group: dict
    params: list[Tensor]
    moments: list[Tensor]
    grads: list[Tensor]
    sweeps: Sweeps
    sums: Sums
    totals: tuple[Scalar, Scalar, Scalar]  # ‖M‖², M·g, ‖g‖² over the group; the last two are 0 where nobody asked
    correction: float  # 1 − β^t, or 1 without bias correction


class SOFIM(torch.optim.Optimizer):
    """Momentum steps whose length is set by a rank-one Fisher matrix inverted in closed form (Sherman–Morrison).

    A step makes two walks over memory (see ``sweeps``) and never makes the host wait for the device. Memory beyond the weights: one
    vector, M. Hyper-parameters are read from ``param_groups`` at each step and may be changed between steps. Several groups share one
    clock t and, with ``granularity="global"``, one F: a single ‖M̂‖² for the whole model. Groups with different ρ use
    F = M̂M̂ᵀ + diag(ρ), the same formula.

    A parameter without gradient is left alone for that step, moment included, while t goes on; a step in which no parameter has a
    gradient does nothing.

    Args:
        params: parameters or group dictionaries; dense real floating-point tensors.
        lr: η > 0 is usual; at least 0.
        beta: β in [0, 1), memory of the averaged gradient.
        rho: ρ > 0, how much the curvature guess is distrusted. It assumes the *mean* loss: L → cL needs ρ → c²ρ, η → cη.
        variant: "A" preconditions the corrected moment M̂ (published code), "B" the fresh gradient (generic formula of the reviews).
        granularity: "global" one F for all parameters; "tensor" one per tensor.
        weight_decay: λ ≥ 0, decoupled: w −= η λ w beside the preconditioned step, as in the follow-up's code.
        bias_correction: divide M by 1 − β^t.
        sherman_morrison: False drops the rank-one part, F = ρI: plain averaged-gradient momentum with rate η/ρ.
        momentum: "full", or the follow-up's ablations: "ema_only" w −= η M̂ (no F at all), "gradient_only" w −= η g.
        foreach: None or True picks the fastest walks for the device, False the readable ones; both give the same numbers up to rounding.

    Raises:
        ValueError: a hyper-parameter outside its range. TypeError: complex parameters. RuntimeError at ``step``: a sparse gradient.
    """

    last: StepInfo | None = None

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict],
        lr: float = 0.1,
        *,
        beta: float = 0.9,
        rho: float = 0.5,
        variant: Literal["A", "B"] = "A",
        granularity: Literal["global", "tensor"] = "global",
        weight_decay: float = 0.0,
        bias_correction: bool = True,
        sherman_morrison: bool = True,
        momentum: Literal["full", "ema_only", "gradient_only"] = "full",
        foreach: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "beta": beta,
            "rho": rho,
            "variant": variant,
            "granularity": granularity,
            "weight_decay": weight_decay,
            "bias_correction": bias_correction,
            "sherman_morrison": sherman_morrison,
            "momentum": momentum,
            "foreach": foreach,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict) -> None:
        """Adds a group; it joins the clock t of the groups already there."""
        clock = self.param_groups[0]["step"] if self.param_groups else 0
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        group.setdefault("step", clock)
        _check(group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Scalar] | None = None) -> Scalar | None:
        """One update. ``closure`` (optional) clears the gradients, computes the loss, calls backward and returns the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        taking_part = [(g, [p for p in g["params"] if p.grad is not None]) for g in self.param_groups]
        if not any(params for _, params in taking_part):
            return loss
        for group in self.param_groups:
            group["step"] += 1
        with_gradient = any(g["variant"] == "B" or g["momentum"] == "gradient_only" for g in self.param_groups)
        lanes = [self._first_walk(group, params, with_gradient) for group, params in taking_part if params]
        step2 = total(_second_walk(lane, *_shared_sums(lanes, lane.group)) for lane in lanes)
        self.last = self._describe(lanes, step2)
        return loss

    def _first_walk(self, group: dict, params: list[Tensor], with_gradient: bool) -> _Lane:
        _refuse_sparse(params)
        for p in params:
            if "moment" not in self.state[p]:
                self.state[p]["moment"] = torch.zeros_like(p, memory_format=torch.preserve_format)
        grads = [p.grad for p in params]
        moments = [self.state[p]["moment"] for p in params]
        sweeps = choose(params, grads, group["foreach"])
        sums = sweeps.gather(moments, grads, group["beta"], with_gradient)
        totals = tuple(total(s) for s in sums)
        correction = 1.0 - group["beta"] ** group["step"] if group["bias_correction"] else 1.0
        return _Lane(group, params, moments, grads, sweeps, sums, totals, correction)

    def _describe(self, lanes: list[_Lane], step2: Scalar) -> StepInfo:
        norm = total(lane.totals[0] / lane.correction**2 for lane in lanes) ** 0.5
        step_length = abs(step2) ** 0.5
        group = lanes[0].group
        if group["momentum"] != "full":
            eta_eff = group["lr"]
        elif not group["sherman_morrison"]:
            eta_eff = group["lr"] / group["rho"]
        elif group["granularity"] == "global":
            eta_eff = group["lr"] / (group["rho"] + _shared_sums(lanes, group)[0])
        else:
            tiny = torch.finfo(torch.float32).tiny
            eta_eff = step_length / (norm + tiny)
        return StepInfo(norm, eta_eff, step_length, weakref.ref(self), group["step"])

    def _measure_gradients(self, tick: int) -> tuple[Scalar, Scalar, Scalar]:
        """(M·g, ‖g‖², ‖M‖²) from what lies in memory now; M̂ is parallel to M when the groups share β, which the cosine assumes."""
        pairs = [(self.state[p]["moment"], p.grad) for g in self.param_groups for p in g["params"] if p.grad is not None]
        if tick != self.param_groups[0]["step"] or not pairs:
            raise RuntimeError(
                "The gradients of this step are gone: read grad_norm and alignment before zero_grad() and before the next step."
            )
        with torch.no_grad():
            return tuple(total(_float_on_cpu(dot(x, y)) for x, y in pair) for pair in _gradient_pairs(pairs))


def _gradient_pairs(pairs: list[tuple[Tensor, Tensor]]) -> tuple[list[tuple[Tensor, Tensor]], ...]:
    return pairs, [(g, g) for _, g in pairs], [(m, m) for m, _ in pairs]


def _float_on_cpu(x: Tensor) -> Scalar:
    return x.item() if x.device.type == "cpu" else x


def _shared_sums(lanes: list[_Lane], group: dict) -> tuple[Scalar, Scalar]:
    """‖M̂‖² and M̂·g over all groups with a global F, each weighted by ρ(this group)/ρ(that group), which is 1 when they agree."""
    sharing = [(lane, group["rho"] / lane.group["rho"]) for lane in lanes if lane.group["granularity"] == "global"]
    norm2 = total(lane.totals[0] * (weight / lane.correction**2) for lane, weight in sharing)
    return norm2, total(lane.totals[1] * (weight / lane.correction) for lane, weight in sharing)


def _scales(group: dict, correction: float, norm2: Scalar, cross: Scalar) -> tuple[Scalar, Scalar]:
    """The scalars (a, b) of Δw = a·M + b·g; norm2 = ‖M̂‖², cross = M̂·g (spec §3, §3.1)."""
    lr, rho = group["lr"], group["rho"]
    if group["momentum"] == "gradient_only":
        return 0.0, -lr
    if group["momentum"] == "ema_only":
        return -lr / correction, 0.0
    if not group["sherman_morrison"]:
        return (-lr / (rho * correction), 0.0) if group["variant"] == "A" else (0.0, -lr / rho)
    if group["variant"] == "A":
        return -lr / ((rho + norm2) * correction), 0.0
    return lr * cross / (rho * (rho + norm2) * correction), -lr / rho


def _second_walk(lane: _Lane, norm2: Scalar, cross: Scalar) -> Scalar:
    """Moves the weights of one group; returns ‖Δw‖² of it (weight decay excluded)."""
    group, sums, k, n = lane.group, lane.sums, lane.correction, len(lane.params)
    if group["granularity"] == "global":
        scale = _scales(group, k, norm2, cross)
        scales, to_measure = [scale] * n, [(scale, *lane.totals)]
    else:
        crosses, gradients = (sums.cross, sums.gradient) if len(sums.cross) else ([0.0] * n, [0.0] * n)
        scales = [_scales(group, k, mm / k**2, mg / k) for mm, mg in zip(sums.moment, crosses, strict=True)]
        to_measure = zip(scales, sums.moment, crosses, gradients, strict=True)
    a, b = [s[0] for s in scales], [s[1] for s in scales]
    lane.sweeps.apply(lane.params, lane.moments, lane.grads, a, b, group["lr"] * group["weight_decay"])
    return total(x * x * mm + 2 * x * y * mg + y * y * gg for (x, y), mm, mg, gg in to_measure)


def _refuse_sparse(params: list[Tensor]) -> None:
    for p in params:
        if p.grad.layout is not torch.strided:
            raise RuntimeError(
                f"SOFIM needs dense gradients, but a parameter of shape {tuple(p.shape)} has a sparse one. "
                "Build its embedding with sparse=False, or give it to another optimiser."
            )


def _check(group: dict) -> None:
    ranges = (
        ("lr", group["lr"] >= 0, "at least 0"),
        ("beta", 0 <= group["beta"] < 1, "at least 0 and below 1"),
        ("rho", 0 < group["rho"] < math.inf, "a finite number above 0"),
        ("weight_decay", group["weight_decay"] >= 0, "at least 0"),
        ("variant", group["variant"] in VARIANTS, "A or B"),
        ("granularity", group["granularity"] in GRANULARITIES, "global or tensor"),
        ("momentum", group["momentum"] in MOMENTA, "full, ema_only or gradient_only"),
    )
    for name, ok, wanted in ranges:
        if not ok:
            raise ValueError(f"SOFIM: {name} is {group[name]!r}, but it has to be {wanted}.")
    for p in group["params"]:
        if p.is_complex():
            raise TypeError(f"SOFIM works on real numbers, but a parameter of shape {tuple(p.shape)} is complex.")
