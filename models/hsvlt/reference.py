"""HSVLT written out slowly in NumPy and double precision from the spec's equations (§3, §4); the oracle of `network.py`, with which it shares nothing.

One picture at a time; attention is worked out label by label. Weights come by the network's names as arrays.
Legend: maps (C, h, w), label vectors (K, C), `at` the prefix of a part's names, W the weights.
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


def gelu(x: Array) -> Array:
    """x Φ(x), Φ the normal distribution's."""
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def softmax(x: Array) -> Array:
    """Over the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def linear(x: Array, W: Weights, at: str) -> Array:
    """x Wᵀ + b over the last axis."""
    y = x @ W[f"{at}.weight"].T
    return y + W[f"{at}.bias"] if f"{at}.bias" in W else y


def norm(x: Array, W: Weights, at: str) -> Array:
    """Layer norm over the channels of (C, h, w)."""
    mean, variance = x.mean(0), x.var(0)
    return (x - mean) / np.sqrt(variance + 1e-6) * W[f"{at}.weight"][:, None, None] + W[f"{at}.bias"][:, None, None]


def patches(x: Array, W: Weights, at: str) -> Array:
    """A convolution whose stride is its side: each patch by itself."""
    weight, bias = W[f"{at}.weight"], W[f"{at}.bias"]
    side = weight.shape[-1]
    h, w = x.shape[1] // side, x.shape[2] // side
    y = np.zeros((len(weight), h, w))
    for r in range(h):
        for c in range(w):
            y[:, r, c] = np.einsum("oiuv,iuv->o", weight, x[:, r * side : (r + 1) * side, c * side : (c + 1) * side]) + bias
    return y


def depthwise7(x: Array, W: Weights, at: str) -> Array:
    """Each channel by itself, 7×7, zero outside."""
    weight, padded = W[f"{at}.weight"][:, 0], np.pad(x, ((0, 0), (3, 3), (3, 3)))
    y = np.zeros_like(x) + W[f"{at}.bias"][:, None, None]
    for u in range(7):
        for v in range(7):
            y += weight[:, u, v, None, None] * padded[:, u : u + x.shape[1], v : v + x.shape[2]]
    return y


def visual(x: Array, W: Weights, at: str) -> Array:
    """V + γ ⊙ PW2(GELU(PW1(LN(DW V))))."""
    y = norm(depthwise7(x, W, f"{at}.depthwise"), W, f"{at}.norm").transpose(1, 2, 0)
    y = linear(gelu(linear(y, W, f"{at}.widen")), W, f"{at}.narrow") * W[f"{at}.gamma"]
    return x + y.transpose(2, 0, 1)


def gated(x: Array, W: Weights, at: str) -> Array:
    """tanh(U2 ReLU(U1 x))."""
    return np.tanh(linear(np.maximum(linear(x, W, f"{at}.first"), 0), W, f"{at}.second"))


def write_back(x: Array, labels: Array, W: Weights, at: str) -> Array:
    """Every place weighs the labels, and takes what they say through a gate."""
    out = x.copy()
    keys, values = linear(labels, W, f"{at}.key"), linear(labels, W, f"{at}.value")
    for r in range(x.shape[1]):
        for c in range(x.shape[2]):
            weights = softmax(keys @ linear(x[:, r, c], W, f"{at}.query") / math.sqrt(len(x)))
            said = linear(weights @ values, W, f"{at}.out")
            out[:, r, c] += gated(said, W, f"{at}.gate") * said
    return out


def interaction(x: Array, labels: Array, W: Weights, at: str, heads: int, product: bool) -> tuple[Array, Array]:
    """New labels and S, label by label."""
    places = x.reshape(len(x), -1).T
    keys, values = linear(places, W, f"{at}.key"), linear(places, W, f"{at}.value")
    wide, said, grown = len(x) // heads, [], []
    for label in labels:
        query = linear(label, W, f"{at}.query")
        parts = []
        for head in range(heads):
            cut = slice(head * wide, (head + 1) * wide)
            parts.append(softmax(keys[:, cut] @ query[cut] / math.sqrt(wide)) @ values[:, cut])
        seen = linear(np.concatenate(parts), W, f"{at}.out")
        text = gelu(linear(label, W, f"{at}.text"))
        fused = gelu(linear(text * seen if product else seen, W, f"{at}.mix"))
        new = label + fused
        if f"{at}.gate.first.weight" in W:
            new = new + gated(new, W, f"{at}.gate") * new
        said.append(fused)
        grown.append(new)
    return np.array(grown), np.array(said)


def logits(
    image: Array,
    vectors: Array,
    W: Weights,
    *,
    depths: Sequence[int],
    stages: Sequence[int],
    heads: int = 1,
    product: bool = True,
    back: bool = False,
) -> Array:
    """One grey picture (H, W) and label vectors (K, E) → (K,), with the concatenating head."""
    x, labels, kept = np.stack([image] * 3), vectors, []
    for number, depth in enumerate(depths):
        down = f"down.{number}"
        x = patches(norm(x, W, f"{down}.0"), W, f"{down}.1") if number else norm(patches(x, W, f"{down}.0"), W, f"{down}.1")
        labels = linear(labels, W, f"align.{number}")
        for block in range(depth):
            at = f"stages.{number}.{block}"
            x = visual(x, W, f"{at}.visual")
            x = write_back(x, labels, W, f"{at}.back") if back else x
            labels, fused = interaction(x, labels, W, f"{at}.interaction", heads, product)
        if number + 1 in stages:
            kept.append(fused)
    together = np.concatenate(kept, axis=1)
    return (together * W["weight"]).sum(1) + W["bias"]
