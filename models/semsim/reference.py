"""SemSim's equations written out slowly, one pixel, cell and token at a time, in double precision; the oracle of `semantics`, `losses` and `network`.

Nothing is shared with them. Source: arXiv 2410.13486, equations 1 to 19, in the paper's symbols. The temperatures are ours (`deviations.py`); with 1 the
equations stand as printed. Legend: f (D, h, h) features, z (C, h, h) logits, G prototypes, Λ cells, W weights by the network's names.
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
def softmax(values: Array) -> Array:
    """Of a vector."""
    e = np.exp(values - values.max())
    return e / e.sum()


def cosine(a: Array, b: Array) -> float:
    """a·b / (|a| |b|), 0 for a zero vector."""
    size = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
    return float(a @ b) / size if size > 0 else 0.0


def enlarge(x: Array, side: int) -> Array:
    """Bilinear resizing of (C, s, s) with pixel centres at halves."""
    old = x.shape[-1]
    y = np.zeros((x.shape[0], side, side))
    for r in range(side):
        for c in range(side):
            u, v = (max(0.0, (at + 0.5) * old / side - 0.5) for at in (r, c))
            r0, c0 = int(u), int(v)
            r1, c1 = min(r0 + 1, old - 1), min(c0 + 1, old - 1)
            a, b = u - r0, v - c0
            y[:, r, c] = (1 - a) * ((1 - b) * x[:, r0, c0] + b * x[:, r0, c1]) + a * ((1 - b) * x[:, r1, c0] + b * x[:, r1, c1])
    return y


# ---------------------------------------------------------------------- within an image
def affinity(f: Array, temperature: float) -> Array:
    """A[q, k] (equations 4 and 5)."""
    d, n = f.shape[0], f.shape[1] * f.shape[2]
    flat = f.reshape(d, n)
    return np.stack([softmax(np.array([cosine(flat[:, q], flat[:, k]) for k in range(n)]) / temperature) for q in range(n)])


def spread(z: Array, f: Array, temperature: float, mode: str = "logit") -> Array:
    """p_in (equation 6): z (C, H, H) logits, resized to f's side; probabilities (C, h, h)."""
    side = f.shape[-1]
    small = z if z.shape[-1] == side else enlarge(z, side)
    A, classes = affinity(f, temperature), z.shape[0]
    flat = small.reshape(classes, -1)
    if mode == "prob":
        flat = np.stack([softmax(column) for column in flat.T]).T
    made = np.zeros_like(flat)
    for q in range(flat.shape[1]):
        total = flat[:, q].copy()
        for k in range(flat.shape[1]):
            total += A[q, k] * flat[:, k]
        made[:, q] = softmax(total) if mode == "logit" else total / 2
    return made.reshape(classes, side, side)


# ---------------------------------------------------------------------- across images
def prototype(f: Array, y: Array, c: int, cell: tuple[int, int], cells: int) -> Array | None:
    """G[n, c] (equation 7) of one labelled picture: y (h, h) class numbers; the whole picture's where the cell has none; None where it has none."""
    side = f.shape[-1]
    w = side // cells
    here = [f[:, r, s] for r in range(side) for s in range(side) if y[r, s] == c and (r // w, s // w) == cell]
    here = here or [f[:, r, s] for r in range(side) for s in range(side) if y[r, s] == c]
    return np.mean(here, axis=0) if here else None


def scores(f_u: Array, f_l: Sequence[Array], y_l: Sequence[Array], classes: int, cells: int) -> Array:
    """m[j, c, r, s] (equation 8); NaN where picture j does not show class c."""
    side = f_u.shape[-1]
    w = side // cells
    m = np.full((len(f_l), classes, side, side), np.nan)
    for j, (f, y) in enumerate(zip(f_l, y_l, strict=True)):
        for c in range(classes):
            for r in range(side):
                for s in range(side):
                    G = prototype(f, y, c, (r // w, s // w), cells)
                    if G is not None:
                        m[j, c, r, s] = cosine(f_u[:, r, s], G)
    return m


def query(m: Array, temperature: float) -> Array:
    """p_cr (equation 9): probabilities (C, h, h)."""
    _, classes, side, _ = m.shape
    p = np.zeros((classes, side, side))
    for r in range(side):
        for s in range(side):
            sums = np.array([sum(math.exp(v / temperature) for v in m[:, c, r, s] if not math.isnan(v)) for c in range(classes)])
            p[:, r, s] = sums / sums.sum()
    return p


def agreement(m: Array, sharpness: float) -> Array:
    """Ubar (equations 10 to 12), (h, h)."""
    pictures, classes, side, _ = m.shape
    found = np.zeros((side, side))
    for r in range(side):
        for s in range(side):
            p = np.zeros((pictures, classes))
            for j in range(pictures):
                shown = [c for c in range(classes) if not math.isnan(m[j, c, r, s])]
                p[j, shown] = softmax(m[j, shown, r, s])
            mean = p.mean(axis=0)
            for j in range(pictures):
                divergence = sum(p[j, c] * math.log(p[j, c] / mean[c]) for c in range(classes) if p[j, c] > 0)
                found[r, s] += math.exp(-sharpness * divergence) / pictures
    return found


# ---------------------------------------------------------------------- losses
def dice_loss(p: Array, y: Array, kept: Array | None = None, smooth: float = 1e-10) -> float:
    """1 − (2 Σ p y + ε) / (Σ p² + Σ y² + ε), mean over classes; p (B, C, h, h), y (B, h, h), kept (B, h, h)."""
    total = 0.0
    for c in range(p.shape[1]):
        both = size = 0.0
        for b, r, s in np.ndindex(y.shape):
            if kept is None or kept[b, r, s]:
                truth = float(y[b, r, s] == c)
                both += p[b, c, r, s] * truth
                size += p[b, c, r, s] ** 2 + truth
        total += 1 - (2 * both + smooth) / (size + smooth)
    return total / p.shape[1]


def supervised(p: Array, y: Array) -> float:
    """L_s (equation 1) of probabilities."""
    entropy = np.mean([-math.log(p[b, y[b, r, s], r, s]) for b, r, s in np.ndindex(y.shape)])
    return 0.5 * (float(entropy) + dice_loss(p, y))


def cross(p: Array, target: Array, ubar: Array, tau: float) -> float:
    """L_cross (equation 13): target (B, C, h, h) probabilities of the weak view, its likeliest class as label."""
    total = 0.0
    for b, r, s in np.ndindex(ubar.shape):
        label = int(target[b, :, r, s].argmax())
        if target[b, label, r, s] >= tau:
            total += -math.log(p[b, label, r, s]) * ubar[b, r, s]
    return total / ubar.size


# ---------------------------------------------------------------------- the fusion module
def fusion(maps: Sequence[Array], W: Weights, at: str, *, windows: int, heads: int) -> list[Array]:
    """Equations 14 to 16 of three projected maps (D, side_i, side_i): window by window, token by token."""
    made = [np.zeros_like(x) for x in maps]
    for i in range(windows):
        for j in range(windows):
            places = []  # (map, row, column) of the window's tokens, scale after scale
            for number, x in enumerate(maps):
                w = x.shape[-1] // windows
                places += [(number, i * w + r, j * w + c) for r in range(w) for c in range(w)]
            T = np.stack([maps[number][:, r, c] for number, r, c in places])
            T = attention(layer_norm(T, W, f"{at}norm1"), W, f"{at}attention.", heads) + T
            T = mlp(layer_norm(T, W, f"{at}norm2"), W, f"{at}mlp.") + T
            for token, (number, r, c) in zip(T, places, strict=True):
                made[number][:, r, c] = token
    return made


def layer_norm(T: Array, W: Weights, at: str) -> Array:
    """Each token over its channels, ε = 1e-5."""
    mean, var = T.mean(axis=1, keepdims=True), T.var(axis=1, keepdims=True)
    return (T - mean) / np.sqrt(var + 1e-5) * W[f"{at}.weight"] + W[f"{at}.bias"]


def attention(T: Array, W: Weights, at: str, heads: int) -> Array:
    """Multi-head self-attention of tokens (N, D)."""
    d = T.shape[1]
    joined = T @ W[f"{at}in_proj_weight"].T + W[f"{at}in_proj_bias"]
    q, k, v = joined[:, :d], joined[:, d : 2 * d], joined[:, 2 * d :]
    out, w = np.zeros_like(T), d // heads
    for head in range(heads):
        part = slice(head * w, (head + 1) * w)
        for n in range(len(T)):
            out[n, part] = softmax(k[:, part] @ q[n, part] / math.sqrt(w)) @ v[:, part]
    return out @ W[f"{at}out_proj.weight"].T + W[f"{at}out_proj.bias"]


def mlp(T: Array, W: Weights, at: str) -> Array:
    """Two layers with the exact GELU between."""
    hidden = T @ W[f"{at}0.weight"].T + W[f"{at}0.bias"]
    hidden = 0.5 * hidden * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
    return hidden @ W[f"{at}2.weight"].T + W[f"{at}2.bias"]
