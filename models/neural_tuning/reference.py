"""The sparse task network written out slowly in NumPy and double precision (spec §3.4–§3.7); the oracle of `network.py`, with which it shares nothing.

One row without padding, token by token and head by head. Weights come by the networks' names as arrays: W of the language model, U of what is tuned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]


def arrays(state: Mapping[str, object]) -> dict[str, Array]:
    """A PyTorch state as float64 arrays."""
    return {name: np.asarray(value.detach().cpu().numpy(), dtype=np.float64) for name, value in state.items()}


def rms_norm(x: Array, gain: Array, eps: float) -> Array:
    """x / √(mean x² + ε) · gain, of each token."""
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * gain


def active(u: Array, rho: float) -> Array:
    """a = ReLU(u − θ) of one token's u (D,): θ is the κ-th smallest entry, κ = floor((1 − ρ) D); no threshold for κ = 0."""
    kappa = math.floor((1 - rho) * len(u) + 1e-9)
    if kappa == 0:
        return u
    theta = sorted(u)[kappa - 1]
    return np.array([max(entry - theta, 0.0) for entry in u])


def neurons(
    x: Array, before: Array | None, W_z: Array, gain: Array, W_b: Array, *, rho: float, alpha: float, eps: float, dense: bool = False
):
    """(guidance, u) of x (N, d): z = W_z x; u = RMSNorm((1 − α) z + α u of the layer below), RMSNorm(z) in the first; guidance = W_b a."""
    z = np.stack([W_z @ token for token in x])
    u = rms_norm(z if before is None else (1 - alpha) * z + alpha * before, gain, eps)
    a = u if dense else np.stack([active(token, rho) for token in u])
    return np.stack([W_b @ token for token in a]), u


def rope(x: Array, theta: float = 10000.0) -> Array:
    """Rotary positions on (N, d_h): pair (i, i + d_h/2) of token t is turned by t θ^(−2i/d_h)."""
    n, width = x.shape
    half, out = width // 2, np.empty_like(x)
    for place in range(n):
        for i in range(half):
            angle = place * theta ** (-2 * i / width)
            a, b = x[place, i], x[place, i + half]
            out[place, i] = a * math.cos(angle) - b * math.sin(angle)
            out[place, i + half] = b * math.cos(angle) + a * math.sin(angle)
    return out


def states(
    embedded: Array, W: Weights, U: Weights, *, start: int, depth: int, heads: int, key_heads: int, targets: str, rho: float, alpha: float,
    dense: bool = False, eps: float = 1e-5,
) -> Array:  # fmt: skip
    """(N, d): states after the final norm of embedded tokens (N, d), visual ones first, with neurons in the layers `start` … `depth` − 1."""
    x, u = embedded, None
    for number in range(depth):
        x, u = _layer(x, u, W, U, number, number >= start, heads, key_heads, targets, rho, alpha, dense, eps)
    return rms_norm(x, W["model.norm.weight"], eps)


def visual(tokens: Array, U: Weights) -> Array:
    """(1 + P, d): the tower's tokens (1 + P, d_v) through the linear map without bias."""
    return np.stack([U["project.weight"] @ token for token in tokens])


def reading_places(ids: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """Places t whose state draws: those with ids[t + 1] among the task tokens (spec §3.7)."""
    return [t for t in range(len(ids) - 1) if ids[t + 1] in wanted]


def _layer(x, u, W, U, number, tuned, heads, key_heads, targets, rho, alpha, dense, eps):
    at, up = f"model.layers.{number}.", f"task.{number}."
    a = rms_norm(x, W[at + "input_layernorm.weight"], eps)
    flat = {name: a @ W[f"{at}self_attn.{name}_proj.weight"].T for name in "qkv"}
    if tuned:
        guided, u = neurons(
            a, u, U[up + "squeeze.weight"], U[up + "norm.weight"], U[up + "spread.weight"], rho=rho, alpha=alpha, eps=eps, dense=dense
        )
        begin = 0
        for name in targets:
            width = flat[name].shape[1]
            flat[name] = flat[name] + guided[:, begin : begin + width]
            begin += width
    width = flat["q"].shape[1] // heads
    mixed = np.zeros_like(flat["q"])
    for head in range(heads):
        mine, theirs = slice(head * width, (head + 1) * width), head // (heads // key_heads)
        shared = slice(theirs * width, (theirs + 1) * width)
        Q, K, V = rope(flat["q"][:, mine]), rope(flat["k"][:, shared]), flat["v"][:, shared]
        for t in range(len(x)):
            scores = np.array([Q[t] @ K[s] / math.sqrt(width) for s in range(t + 1)])
            share = np.exp(scores - scores.max())
            mixed[t, mine] = (share / share.sum()) @ V[: t + 1]
    x = x + mixed @ W[at + "self_attn.o_proj.weight"].T
    b = rms_norm(x, W[at + "post_attention_layernorm.weight"], eps)
    gated, raised = (b @ W[f"{at}mlp.{name}_proj.weight"].T for name in ("gate", "up"))
    return x + (gated / (1 + np.exp(-gated)) * raised) @ W[at + "mlp.down_proj.weight"].T, u
