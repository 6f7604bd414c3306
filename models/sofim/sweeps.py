"""The two walks over memory that one SOFIM step needs, in three flavours that give the same numbers.

First walk  ``gather``: M ← M + (1−β)(g − M), and in the same breath the sums ‖M‖² (and, where asked, M·g and ‖g‖²).
Second walk ``apply``:  w ← (1 − decay)·w + a·M + b·g with the two scalars a and b that SOFIM worked out in between.

* ``PLAIN``   one tensor after the other, readable; also for odd layouts and for a model spread over several devices.
* ``BLOCKED`` for CPUs: each tensor is walked in blocks that fit the cache, so that the sums are taken from the block
  just written and cost no further trip to memory. The second walk runs backwards: the last blocks of the first are still at hand.
* ``FOREACH`` for one CUDA device: PyTorch's multi-tensor kernels. Sums and scalars stay on the device, so the host never waits.

Memory traffic of a step, counted from these loops for d parameters: read g, read and write M, read M again, read and write w =
6 d words (variant B reads g once more: 7 d). torch.optim.SGD with momentum, written as three separate loops, moves 8 d words.

Sums are Python floats on a CPU and 0-d tensors elsewhere; half-precision tensors are multiplied in float32, as ‖M‖² would
underflow (spec §9 I).
Source: inferred engineering; no deviation from the algorithm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Scalar = float | Tensor
"""A Python float on the CPU, a 0-d tensor on any other device."""

BLOCK = 1 << 20
"""Elements per block: 4 MB of float32, a small part of any last-level cache. Smaller blocks measured no faster: more calls per element."""

WIDE = (torch.float32, torch.float64)
"""Kinds of number whose products may be added up as they are."""

BUCKET = 1 << 24
"""Elements per multi-tensor call of the second walk: bounds its scratch memory to 64 MB of float32 whatever the model's size."""


class Sums(NamedTuple):
    """What the first walk leaves behind, one entry per tensor: lists of scalars, or 1-D tensors on a device."""

    moment: Sequence[Scalar] | Tensor  # ‖M‖²
    cross: Sequence[Scalar] | Tensor  # M·g, empty unless asked for
    gradient: Sequence[Scalar] | Tensor  # ‖g‖², empty unless asked for


class Sweeps(NamedTuple):
    """One flavour: ``gather(moments, grads, beta, with_gradient)`` and ``apply(params, moments, grads, a, b, decay)``."""

    name: str
    gather: Callable[[list[Tensor], list[Tensor], float, bool], Sums]
    apply: Callable[[list[Tensor], list[Tensor], list[Tensor], Sequence[Scalar], Sequence[Scalar], float], None]


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of two tensors of one shape, as a 0-d tensor of at least float32."""
    if a.dtype in WIDE and a.dtype == b.dtype:
        return torch.dot(a.reshape(-1), b.reshape(-1))
    kind = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    return torch.dot(a.reshape(-1).to(kind), b.reshape(-1).to(kind))


def total(values: Iterable[Scalar] | Tensor) -> Scalar:
    """Sum of scalars, on the device of the first one; 0 for none."""
    if isinstance(values, Tensor):
        return values.sum()
    whole: Scalar = 0.0
    for value in values:
        whole = whole + (value.to(whole.device) if isinstance(whole, Tensor) and isinstance(value, Tensor) else value)
    return whole


def _as_scalar(x: Tensor) -> Scalar:
    return x.item() if x.device.type == "cpu" else x


def _for(value: Scalar, like: Tensor) -> Scalar:
    return value.to(like.device, non_blocking=True) if isinstance(value, Tensor) else value


def _blend(m: Tensor, g: Tensor, weight: float) -> None:
    m.lerp_(g if g.dtype == m.dtype else g.to(m.dtype), weight)


def _add_scaled(w: Tensor, x: Tensor, scale: Scalar) -> None:
    if isinstance(scale, Tensor):
        w.addcmul_(x, _for(scale, w).to(x.dtype))
    else:
        w.add_(x, alpha=scale)


def _is_zero(scale: Scalar) -> bool:
    """True only for the plain float 0, so that a scalar on a device is never waited for."""
    return isinstance(scale, float) and scale == 0.0


def plain_gather(moments: list[Tensor], grads: list[Tensor], beta: float, with_gradient: bool) -> Sums:
    """First walk, tensor by tensor."""
    home = moments[0]
    sums: tuple[list[Scalar], ...] = ([], [], [])
    for m, g in zip(moments, grads, strict=True):
        _blend(m, g, 1.0 - beta)
        pairs = ((m, m), (m, g), (g, g)) if with_gradient else ((m, m),)
        for into, (a, b) in zip(sums, pairs, strict=False):
            into.append(_for(_as_scalar(dot(a, b)), home))
    return Sums(*sums)


def plain_apply(
    params: list[Tensor], moments: list[Tensor], grads: list[Tensor], a: Sequence[Scalar], b: Sequence[Scalar], decay: float
) -> None:
    """Second walk, tensor by tensor."""
    for w, m, g, by_m, by_g in zip(params, moments, grads, a, b, strict=True):
        _move(w, m, g, by_m, by_g, decay)


def _move(w: Tensor, m: Tensor, g: Tensor, by_m: Scalar, by_g: Scalar, decay: float) -> None:
    if decay:
        w.mul_(1.0 - decay)
    if not _is_zero(by_m):
        _add_scaled(w, m, by_m)
    if not _is_zero(by_g):
        _add_scaled(w, g, by_g)


def _blocks(*tensors: Tensor) -> list[tuple[Tensor, ...]]:
    """The tensors cut alike into blocks; whole where they are small or their elements do not lie in one order."""
    first = tensors[0]
    if first.numel() <= BLOCK or not all(t.is_contiguous() for t in tensors):
        return [tensors]
    return list(zip(*(t.view(-1).split(BLOCK) for t in tensors), strict=True))


def blocked_gather(moments: list[Tensor], grads: list[Tensor], beta: float, with_gradient: bool) -> Sums:
    """First walk in cache-sized blocks (CPU)."""
    sums: tuple[list[Scalar], ...] = ([], [], [])
    for m, g in zip(moments, grads, strict=True):
        mm = mg = gg = 0.0
        for m_block, g_block in _blocks(m, g):
            _blend(m_block, g_block, 1.0 - beta)
            mm += dot(m_block, m_block).item()
            if with_gradient:
                mg += dot(m_block, g_block).item()
                gg += dot(g_block, g_block).item()
        for into, value in zip(sums, (mm, mg, gg) if with_gradient else (mm,), strict=False):
            into.append(value)
    return Sums(*sums)


def blocked_apply(
    params: list[Tensor], moments: list[Tensor], grads: list[Tensor], a: Sequence[Scalar], b: Sequence[Scalar], decay: float
) -> None:
    """Second walk, last block first (CPU)."""
    for w, m, g, by_m, by_g in zip(*(reversed(x) for x in (params, moments, grads, a, b)), strict=True):
        for w_block, m_block, g_block in reversed(_blocks(w, m, g)):
            _move(w_block, m_block, g_block, by_m, by_g, decay)


def foreach_gather(moments: list[Tensor], grads: list[Tensor], beta: float, with_gradient: bool) -> Sums:
    """First walk with multi-tensor kernels (all tensors on one device and of one dtype)."""
    kind = torch.promote_types(moments[0].dtype, torch.float32)
    torch._foreach_lerp_(moments, grads, 1.0 - beta)
    moment = torch.stack(torch._foreach_norm(moments, 2, dtype=kind)).square()
    if not with_gradient:
        return Sums(moment, [], [])
    cross = torch.stack([dot(m, g) for m, g in zip(moments, grads, strict=True)])
    return Sums(moment, cross, torch.stack(torch._foreach_norm(grads, 2, dtype=kind)).square())


def _buckets(params: list[Tensor]) -> Iterator[slice]:
    start = size = 0
    for i, p in enumerate(params):
        if size and size + p.numel() > BUCKET:
            yield slice(start, i)
            start, size = i, 0
        size += p.numel()
    yield slice(start, len(params))


def foreach_apply(
    params: list[Tensor], moments: list[Tensor], grads: list[Tensor], a: Sequence[Scalar], b: Sequence[Scalar], decay: float
) -> None:
    """Second walk with multi-tensor kernels; scratch memory is at most BUCKET elements or the largest tensor."""
    if decay:
        torch._foreach_mul_(params, 1.0 - decay)
    for scales, values in ((a, moments), (b, grads)):
        if all(_is_zero(s) for s in scales):
            continue
        for part in _buckets(params):
            torch._foreach_add_(params[part], _scaled(values[part], scales[part]))


def _scaled(tensors: list[Tensor], scales: Sequence[Scalar]) -> list[Tensor]:
    shared = all(s is scales[0] for s in scales)
    if shared or not isinstance(scales[0], Tensor):
        return list(torch._foreach_mul(tensors, scales[0] if shared else list(scales)))
    return [t * s.to(t.dtype) for t, s in zip(tensors, scales, strict=True)]


PLAIN = Sweeps("plain", plain_gather, plain_apply)
BLOCKED = Sweeps("blocked", blocked_gather, blocked_apply)
FOREACH = Sweeps("foreach", foreach_gather, foreach_apply)


def choose(params: list[Tensor], grads: list[Tensor], foreach: bool | None) -> Sweeps:
    """The flavour for one parameter group; ``foreach=False`` asks for the readable one."""
    if foreach is False:
        return PLAIN
    devices = {p.device for p in params}
    if all(d.type == "cpu" for d in devices):
        return BLOCKED
    alike = len(devices) == 1 and len({t.dtype for t in (*params, *grads)}) == 1
    return FOREACH if alike and next(iter(devices)).type == "cuda" else PLAIN
