"""LSMS written out slowly in NumPy and double precision, from the spec's equations (§2); the oracle of `network.py`, with which it shares nothing.

One picture at a time. Convolutions are sums over taps, attention is worked out place by place and word by word, the recurrent text encoder step by
step (GRU: arXiv 1406.1078). Weights come by the network's names as arrays; normalisation uses the running statistics, as when a network answers.

Legend: maps (C, h, w), words (T, E), `at` the prefix of a part's names, W the weights. The matrix-factorisation decoder is not written out here.
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


# ---------------------------------------------------------------------- small pieces
def sigmoid(x: Array) -> Array:
    """1 / (1 + e^−x)."""
    return 1 / (1 + np.exp(-x))


def gelu(x: Array) -> Array:
    """x Φ(x), Φ the normal distribution's."""
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def softmax(x: Array) -> Array:
    """Over the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def conv(x: Array, weight: Array, bias: Array | None = None, *, stride: int = 1) -> Array:
    """y[o, r, c] = Σ weight[o, i, u, v] x[i, r·s + u − p, c·s + v − q], p and q half the kernel, zero outside.

    A weight of one input channel on a map of several works on each channel by itself (depth-wise).
    """
    out, inner, ku, kv = weight.shape
    channels, h, w = x.shape
    padded = np.pad(x, ((0, 0), (ku // 2, ku // 2), (kv // 2, kv // 2)))
    rows, columns = (h + 2 * (ku // 2) - ku) // stride + 1, (w + 2 * (kv // 2) - kv) // stride + 1
    y = np.zeros((out, rows, columns))
    for u in range(ku):
        for v in range(kv):
            seen = padded[:, u : u + stride * (rows - 1) + 1 : stride, v : v + stride * (columns - 1) + 1 : stride]
            depthwise = inner == 1 and channels == out
            y += weight[:, 0, u, v, None, None] * seen if depthwise else np.einsum("oi,ihw->ohw", weight[:, :, u, v], seen)
    return y if bias is None else y + bias[:, None, None]


def layer(x: Array, W: Weights, at: str, *, stride: int = 1) -> Array:
    """A convolution by its name, with its bias where it has one."""
    return conv(x, W[f"{at}.weight"], W.get(f"{at}.bias"), stride=stride)


def batch_norm(x: Array, W: Weights, at: str) -> Array:
    """γ (x − μ) / √(σ² + ε) + β with the running μ and σ²."""
    scale = W[f"{at}.weight"] / np.sqrt(W[f"{at}.running_var"] + 1e-5)
    return (x - W[f"{at}.running_mean"][:, None, None]) * scale[:, None, None] + W[f"{at}.bias"][:, None, None]


def instance_norm(x: Array) -> Array:
    """Each channel of the map to mean 0 and variance 1 over its places."""
    mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5)


def layer_norm(x: Array, W: Weights, at: str) -> Array:
    """Over the last axis."""
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * W[f"{at}.weight"] + W[f"{at}.bias"]


def resized(x: Array, h: int, w: int) -> Array:
    """Bilinear, pixel centres aligned at half a pixel: place r of the new map lies at (r + ½) H/h − ½ of the old one, held at the edges."""
    rows, columns = (np.clip((np.arange(n) + 0.5) * old / n - 0.5, 0, old - 1) for n, old in ((h, x.shape[1]), (w, x.shape[2])))
    y = np.zeros((x.shape[0], h, w))
    for r, row in enumerate(rows):
        for c, column in enumerate(columns):
            r0, c0 = int(row), int(column)
            r1, c1 = min(r0 + 1, x.shape[1] - 1), min(c0 + 1, x.shape[2] - 1)
            a, b = row - r0, column - c0
            y[:, r, c] = (1 - a) * ((1 - b) * x[:, r0, c0] + b * x[:, r0, c1]) + a * ((1 - b) * x[:, r1, c0] + b * x[:, r1, c1])
    return y


def pooled(x: Array, h: int, w: int) -> Array:
    """Means over equal cells; the map's sides are multiples of the grid's."""
    return x.reshape(x.shape[0], h, x.shape[1] // h, w, x.shape[2] // w).mean((2, 4))


# ---------------------------------------------------------------------- words
def gru(x: Sequence[Array], W: Weights, at: str) -> list[Array]:
    """r, z = σ(W x + U h), n = tanh(W x + r (U h)), h' = (1 − z) n + z h, from h = 0."""
    h, states = np.zeros(W[f"{at}.weight_hh_l0"].shape[1]), []
    for one in x:
        a = W[f"{at}.weight_ih_l0"] @ one + W[f"{at}.bias_ih_l0"]
        b = W[f"{at}.weight_hh_l0"] @ h + W[f"{at}.bias_hh_l0"]
        (ar, az, an), (br, bz, bn) = np.split(a, 3), np.split(b, 3)
        r, z = sigmoid(ar + br), sigmoid(az + bz)
        h = (1 - z) * np.tanh(an + r * bn) + z * h
        states.append(h)
    return states


def read(numbers: Sequence[int], W: Weights) -> Array:
    """Word numbers (without padding) → (T, E): forward and backward states side by side."""
    embedded = [W["words.embedding.weight"][number] for number in numbers]
    onward, back = gru(embedded, W, "words.onward"), gru(embedded[::-1], W, "words.back")[::-1]
    return np.array([np.concatenate(pair) for pair in zip(onward, back, strict=True)])


# ---------------------------------------------------------------------- encoder
def spoken(a: Array, words: Array, W: Weights, at: str) -> Array:
    """The gated cross-modal branch: S = softmax_T(q k / √C), o = IN(W_o (S v)), tanh(W_b ReLU(W_a o)) ⊙ o."""
    channels, h, w = a.shape
    q = instance_norm(layer(a, W, f"{at}.query"))
    k = words @ W[f"{at}.key.weight"][:, :, 0].T + W[f"{at}.key.bias"]
    v = words @ W[f"{at}.value.weight"][:, :, 0].T + W[f"{at}.value.bias"]
    said = np.zeros_like(a)
    for r in range(h):
        for c in range(w):
            said[:, r, c] = softmax(k @ q[:, r, c] / math.sqrt(channels)) @ v
    o = instance_norm(layer(said, W, f"{at}.out"))
    return np.tanh(layer(np.maximum(layer(o, W, f"{at}.gate_a"), 0), W, f"{at}.gate_b")) * o


def attention(x: Array, words: Array, W: Weights, at: str, kernels: Sequence[int], language: int) -> Array:
    """u = GELU(W1 x), a = DW5×5 u, A = W3 (a + Σ c_k + Σ c_L), W2 (A ⊙ u) + x. language: how many branches hear the words."""
    u = gelu(layer(x, W, f"{at}.first"))
    a = layer(u, W, f"{at}.local")
    branches = [a]
    for place, _ in enumerate(kernels):
        branches.append(layer(layer(a, W, f"{at}.strips.{place}.0"), W, f"{at}.strips.{place}.1"))
    total = sum(branches)
    for place in range(language):
        total = total + spoken(branches[place], words, W, f"{at}.language.{place}")
    return layer(layer(total, W, f"{at}.mix") * u, W, f"{at}.last") + x


def block(x: Array, words: Array, W: Weights, at: str, kernels: Sequence[int], language: int) -> Array:
    """x + s1 Attn(BN x), then x + s2 MLP(BN x)."""
    x = x + W[f"{at}.scale1"] * attention(batch_norm(x, W, f"{at}.norm1"), words, W, f"{at}.attention", kernels, language)
    y = layer(layer(batch_norm(x, W, f"{at}.norm2"), W, f"{at}.mlp.0"), W, f"{at}.mlp.1")
    return x + W[f"{at}.scale2"] * layer(gelu(y), W, f"{at}.mlp.3")


# ---------------------------------------------------------------------- decoder
def full_scale(maps: Sequence[Array], W: Weights, layers: int, heads: int) -> list[Array]:
    """Tokens of all scales on the coarsest grid attend to each other; what they say is added to each scale."""
    d, h, w = maps[-1].shape
    tokens = []
    for number, one in enumerate(maps):
        small = pooled(one, h, w)
        for r in range(h):
            for c in range(w):
                where = np.array([-1 + 2 * r / max(h - 1, 1), -1 + 2 * c / max(w - 1, 1)])
                place = W["full.place.weight"] @ where + W["full.place.bias"]
                tokens.append(small[:, r, c] + place + W["full.scale"][number])
    x = np.array(tokens)
    for number in range(layers):
        at = f"full.layers.layers.{number}"
        y = layer_norm(x, W, f"{at}.norm1") @ W[f"{at}.self_attn.in_proj_weight"].T + W[f"{at}.self_attn.in_proj_bias"]
        mixed = []
        for head in range(heads):
            q, k, v = (part[:, head * d // heads : (head + 1) * d // heads] for part in np.split(y, 3, axis=1))
            mixed.append(softmax(q @ k.T / math.sqrt(d // heads)) @ v)
        x = x + np.concatenate(mixed, axis=1) @ W[f"{at}.self_attn.out_proj.weight"].T + W[f"{at}.self_attn.out_proj.bias"]
        inner = gelu(layer_norm(x, W, f"{at}.norm2") @ W[f"{at}.linear1.weight"].T + W[f"{at}.linear1.bias"])
        x = x + inner @ W[f"{at}.linear2.weight"].T + W[f"{at}.linear2.bias"]
    told = x @ W["full.out.weight"].T + W["full.out.bias"]
    parts = [part.T.reshape(d, h, w) for part in np.split(told, len(maps))]
    return [one + resized(part, *one.shape[1:]) for one, part in zip(maps, parts, strict=True)]


# ---------------------------------------------------------------------- the whole
def logits(
    image: Array,
    numbers: Sequence[int],
    W: Weights,
    *,
    depths: Sequence[int],
    stem: int = 1,
    kernels: Sequence[int] = (3, 5, 9),
    language: int = 1,
    coords: bool = True,
    decoder: str = "fsd",
    layers: int = 1,
    heads: int = 4,
) -> Array:
    """One grey picture (H, W) and its phrase's word numbers → (H, W)."""
    h, w = image.shape
    x = np.stack([image] * 3)
    if coords:
        rows, columns = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
        x = np.concatenate([x, [rows, columns]])
    words = read(numbers, W) if language else np.zeros((len(numbers), 1))
    for number in range(stem):
        x = batch_norm(layer(x, W, f"embed.0.{3 * number}", stride=2), W, f"embed.0.{3 * number + 1}")
        x = gelu(x) if number < stem - 1 else x
    maps = []
    for stage, depth in enumerate(depths):
        if stage:
            x = batch_norm(layer(x, W, f"embed.{stage}.0", stride=2), W, f"embed.{stage}.1")
        for number in range(depth):
            x = block(x, words, W, f"stages.{stage}.{number}", kernels, language)
        normed = layer_norm(x.transpose(1, 2, 0), W, f"norms.{stage}").transpose(2, 0, 1)
        maps.append(layer(normed, W, f"reduce.{stage}"))
    if decoder == "fsd":
        maps = full_scale(maps, W, layers, heads)
    fine = maps[0].shape[1:]
    joined = np.concatenate([resized(one, *fine) for one in maps])
    y = np.maximum(batch_norm(layer(joined, W, "fuse.0"), W, "fuse.1"), 0)
    return resized(layer(y, W, "head"), h, w)[0]
