"""Infusion written out slowly in NumPy and double precision from the spec's equations (§3.3–3.9); the oracle of `network.py`, with which it shares nothing.

One sample without padding, head by head and token by token. Weights come by the networks' names as arrays: W of the language model, U of the infusion.
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


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^−x)."""
    return 1 / (1 + np.exp(-x))


def rms_norm(x: Array, gain: Array, eps: float) -> Array:
    """x / √(mean x² + ε) · gain."""
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * gain


def rope(x: Array, theta: float = 10000.0) -> Array:
    """Rotary positions on (T, d_h): pair (i, i + d_h/2) of token t is turned by t θ^(−2i/d_h)."""
    t, width = x.shape
    half, out = width // 2, np.empty_like(x)
    for place in range(t):
        for i in range(half):
            angle = place * theta ** (-2 * i / width)
            a, b = x[place, i], x[place, i + half]
            out[place, i] = a * math.cos(angle) - b * math.sin(angle)
            out[place, i + half] = b * math.cos(angle) + a * math.sin(angle)
    return out


def gate(L: float, V: Array, I_a: Array, *, learned: bool, cosine: bool) -> float:
    """g = σ(L + cos(V, I_a)) of one head: V (T, d_h) flattened, I_a (d_h,) repeated T times."""
    if not (learned or cosine):
        return 1.0
    flat, tiled = V.ravel(), np.tile(I_a, len(V))
    cos = float(flat @ tiled / (np.linalg.norm(flat) * np.linalg.norm(tiled)))
    return float(sigmoid((L if learned else 0.0) + (cos if cosine else 0.0)))


def infuse(X: Array, I_d: Array, I_a: Array, g: float, form: str) -> Array:
    """One head's K or V (T, d_h): X + (X ⊙ I_d + I_a) g as released, (X ⊙ I_d + I_a) g as printed."""
    made = (X * I_d + I_a) * g
    return X + made if form == "residual" else made


def states(
    ids: Sequence[int], image: Array, W: Weights, U: Weights, *, layers: Sequence[int], depth: int, heads: int, key_heads: int, form: str = "residual",
    keys: bool = True, values: bool = True, ffn: bool = True, learned: bool = True, cosine: bool = True, eps: float = 1e-5,
) -> Array:  # fmt: skip
    """(T, d): states after the final norm of tokens `ids` with the vector `image` (d_I,) infused into `layers` (from 1) of `depth` ones."""
    x = W["model.embed_tokens.weight"][list(ids)]
    for number in range(depth):
        x = _layer(x, image, W, U, number, number + 1 in layers, heads, key_heads, form, keys, values, ffn, learned, cosine, eps)
    return rms_norm(x, W["model.norm.weight"], eps)


def _layer(x, image, W, U, number, infused, heads, key_heads, form, keys, values, ffn, learned, cosine, eps):
    at, up = f"model.layers.{number}.", f"infusion.maps.{number + 1}.0."

    def mapped(name: str) -> Array:
        return U[f"{up}{name}.weight"] @ image + U[f"{up}{name}.bias"]

    a = rms_norm(x, W[at + "input_layernorm.weight"], eps)
    q, k, v = (a @ W[f"{at}self_attn.{name}_proj.weight"].T for name in "qkv")
    width = q.shape[1] // heads
    mixed = np.zeros_like(q)
    for head in range(heads):
        mine, theirs = slice(head * width, (head + 1) * width), head // (heads // key_heads)
        shared = slice(theirs * width, (theirs + 1) * width)
        Q, K, V = rope(q[:, mine]), rope(k[:, shared]), v[:, shared]
        if infused:
            g = gate(U[up + "level"][head], V, mapped("value_shift")[mine], learned=learned, cosine=cosine)
            K_r = infuse(K, mapped("key_scale")[mine], mapped("key_shift")[mine], g, form) if keys else K
            V = infuse(V, mapped("value_scale")[mine], mapped("value_shift")[mine], g, form) if values else V
            K = K_r
        for t in range(len(x)):
            scores = np.array([Q[t] @ K[s] / math.sqrt(width) for s in range(t + 1)])
            share = np.exp(scores - scores.max())
            mixed[t, mine] = (share / share.sum()) @ V[: t + 1]
    x = x + mixed @ W[at + "self_attn.o_proj.weight"].T
    b = rms_norm(x, W[at + "post_attention_layernorm.weight"], eps)
    gated, raised = (b @ W[f"{at}mlp.{name}_proj.weight"].T for name in ("gate", "up"))
    units = gated * sigmoid(gated) * raised
    if infused and ffn:
        units = units * mapped("ffn")
    return x + units @ W[at + "mlp.down_proj.weight"].T
