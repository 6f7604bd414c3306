"""M2OST's equations written out slowly and literally, in NumPy and double precision, for one spot at a time. Shares no code with `network.py`.

Weights come as the dictionary of a network's own tensors. d width, H heads, e width of a head, L patches a group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

Weights = Mapping[str, np.ndarray]


def linear(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    """x Wᵀ + b."""
    made = x @ weights[f"{name}.weight"].T
    return made + weights[f"{name}.bias"] if f"{name}.bias" in weights else made


def layer_norm(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    """Each row brought to mean 0 and variance 1, then scaled and shifted."""
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def gelu(x: np.ndarray) -> np.ndarray:
    """x Φ(x)."""
    return np.vectorize(lambda v: 0.5 * v * (1 + math.erf(v / math.sqrt(2))))(x)


def softmax(x: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def patches(image: np.ndarray, size: int) -> np.ndarray:
    """(3, S, S) → ((S/size)², size·size·3): row by row, inside a patch row by row, colours last."""
    side = image.shape[-1]
    rows = []
    for top in range(0, side, size):
        for left in range(0, side, size):
            rows.append(image[:, top : top + size, left : left + size].transpose(1, 2, 0).ravel())
    return np.stack(rows)


def embed(image: np.ndarray, size: int, weights: Weights, name: str) -> np.ndarray:
    """E_k: LN, Linear, GELU, Linear, LN."""
    x = layer_norm(patches(image, size), weights, f"{name}.net.0")
    x = linear(gelu(linear(x, weights, f"{name}.net.1")), weights, f"{name}.net.3")
    return layer_norm(x, weights, f"{name}.net.4")


def sequence(image: np.ndarray, level: int, place: int, patch: int, weights: Weights) -> np.ndarray:
    """S_k: class token, then E of the central quarter of a quarter … of the whole view, plus positions. Level 2: [E3(centre ¼); E2(centre ½); E1(all)]."""
    side = image.shape[-1]
    parts = [weights["cls"][0]]
    for k in range(level, -1, -1):
        width = side // 2**k
        low = (side - width) // 2
        parts.append(embed(image[:, low : low + width, low : low + width], patch // 2**k, weights, f"embed.{k}"))
    return np.concatenate(parts) + weights[f"positions.{place}"][0]


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int) -> np.ndarray:
    """softmax(QKᵀ/√e)V, head by head, side by side again."""
    width = q.shape[-1] // heads
    made = []
    for h in range(heads):
        part = slice(h * width, (h + 1) * width)
        made.append(softmax(q[:, part] @ k[:, part].T / math.sqrt(width)) @ v[:, part])
    return np.concatenate(made, -1)


def itmm(s: np.ndarray, i: int, weights: Weights, name: str, heads: int, prenorm: bool) -> np.ndarray:
    """S ← S + W_o(A V); S ← S + GELU(W2 GELU(W1 LN(S)))."""
    x = layer_norm(s, weights, f"{name}.norms.{i}") if prenorm else s
    q, k, v = np.split(linear(x, weights, f"{name}.qkv.{i}"), 3, -1)
    s = s + linear(attention(q, k, v, heads), weights, f"{name}.out.{i}")
    inner = gelu(linear(layer_norm(s, weights, f"{name}.mlp_norm"), weights, f"{name}.mlp_in"))
    return s + gelu(linear(inner, weights, f"{name}.mlp_out"))


def ctmm(tokens: list[np.ndarray], weights: Weights, name: str, heads: int, paper: bool) -> list[np.ndarray]:
    """O_ij = softmax(Q_i K_jᵀ/√e) V_j; S_i ← Linear_i([O_ij ‖ …]), or in the paper's form S_i + Σ w_ij O_ij."""
    normed = [layer_norm(s, weights, f"{name}.norm") for s in tokens]
    made = []
    for i, s in enumerate(tokens):
        q = linear(normed[i], weights, f"{name}.q.{i}")
        each = []
        for j in range(len(tokens)):
            if j != i:
                each.append(attention(q, linear(normed[j], weights, f"{name}.k.{j}"), linear(normed[j], weights, f"{name}.v.{j}"), heads))
        if paper:
            total = s.copy()
            for place, one in enumerate(each):
                total = total + weights[f"{name}.weight"][i, place] * one
            made.append(total)
        else:
            made.append(linear(np.concatenate(each, -1), weights, f"{name}.out.{i}"))
    return made


def ccmm(tokens: list[np.ndarray], weights: Weights, name: str) -> list[np.ndarray]:
    """z = [mean S_0 ‖ mean S_1 ‖ …]; g = σ(W2 GELU(W1 LN(z))); S_i ← S_i ⊙ (1 + g_i)."""
    z = np.concatenate([s.mean(0) for s in tokens])[None]
    raw = linear(gelu(linear(layer_norm(z, weights, f"{name}.norm"), weights, f"{name}.squeeze")), weights, f"{name}.excite")[0]
    g = 1 / (1 + np.exp(-raw))
    width = tokens[0].shape[-1]
    return [s * (1 + g[i * width : (i + 1) * width]) for i, s in enumerate(tokens)]


def forward(
    images: list[np.ndarray],
    weights: Weights,
    *,
    levels: tuple[int, ...],
    patch: int,
    depth: int,
    heads: int,
    paper: bool,
    dpe: bool = True,
) -> np.ndarray:
    """Expression (G,) of one spot from its views (3, S, S)."""
    tokens = [
        sequence(image, level if dpe else 0, place, patch, weights) for place, (image, level) in enumerate(zip(images, levels, strict=True))
    ]
    for block in range(depth):
        tokens = [itmm(s, i, weights, f"blocks.{block}.itmm", heads, paper) for i, s in enumerate(tokens)]
        if f"blocks.{block}.ctmm.norm.weight" in weights:
            tokens = ctmm(tokens, weights, f"blocks.{block}.ctmm", heads, paper)
        if f"blocks.{block}.ccmm.norm.weight" in weights:
            tokens = ccmm(tokens, weights, f"blocks.{block}.ccmm")
    return linear(np.concatenate([layer_norm(s[0], weights, "norm") for s in tokens])[None], weights, "head")[0]


def normalised(counts: np.ndarray) -> np.ndarray:
    """y_g = log(1 + 10⁶ c_g / Σ c) of one spot (G,), the sum over the selected genes alone."""
    return np.array([math.log(1 + 1e6 * float(c) / float(counts.sum())) for c in counts])


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Σ(a−ā)(b−b̄) / √(Σ(a−ā)² Σ(b−b̄)²); not a number where one does not vary."""
    da, db = a - a.mean(), b - b.mean()
    scale = math.sqrt(float((da**2).sum() * (db**2).sum()))
    return float((da * db).sum()) / scale if scale > 0 else math.nan
