"""The method's equations written out literally and slowly, in the spec's symbols; shares no code with the rest of the room.

- k(p): the last, so the smallest, mask that covers pixel p; J(p) = (1 − α) I(p) + α c_k(p), or I(p) where no mask is (§5.2).
- v = norm(f_img(J)), t_k = norm(f_txt(…)), logits = s v tᵀ (§5.3); v' = norm(v + W₂ GELU(W₁[v ; v_roi])).
- L = λ L_ce + (1 − λ) L_align (§5.4).
- A = softmax(QKᵀ/√d + β log(ε + (1 − ε) m̃_j)) (§6; ours, not from the paper).

Everything is float64 NumPy. I (H, W, 3), masks m_k (H, W) bool, c_k (3,) in painting order, v (B, E), t (C, E), Q and K (N, d), m̃ (n,).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def k(p: tuple[int, int], m: Sequence[np.ndarray]) -> int | None:
    """Which mask shows at pixel p: of those that cover it, the one of least area; None where none does."""
    best = None
    for number in range(len(m)):
        if m[number][p] and (best is None or m[number].sum() < m[best].sum()):
            best = number
    return best


def J(I: np.ndarray, m: Sequence[np.ndarray], c: Sequence[np.ndarray], alpha: float) -> np.ndarray:  # noqa: E741
    """The painted picture; c[number] is the colour of mask m[number]."""
    painted = np.empty(I.shape)
    for y in range(I.shape[0]):
        for x in range(I.shape[1]):
            which = k((y, x), m)
            painted[y, x] = I[y, x] if which is None else (1 - alpha) * I[y, x] + alpha * np.asarray(c[which])
    return painted


def norm(x: np.ndarray) -> np.ndarray:
    """A vector of length one."""
    return x / math.sqrt(sum(float(one) ** 2 for one in x))


def logits(f_img: np.ndarray, f_txt: np.ndarray, s: float) -> np.ndarray:
    """(B, C) from features as the towers give them."""
    return np.array([[s * float(np.dot(norm(v), norm(t))) for t in f_txt] for v in f_img])


def L_ce(z: np.ndarray, y: Sequence[int]) -> float:
    """Cross-entropy of logits z (B, C), the mean over the batch."""
    return sum(math.log(sum(math.exp(one) for one in z[i])) - z[i][y[i]] for i in range(len(y))) / len(y)


def L_align(v: np.ndarray, t: np.ndarray, y: Sequence[int], s: float) -> float:
    """Two-way InfoNCE: every picture and text of one class is a pair. v (B, E), t (C, E), of length one."""
    B = len(y)
    z = [[s * float(np.dot(v[i], t[y[j]])) for j in range(B)] for i in range(B)]
    total = 0.0
    for i in range(B):
        pairs = [j for j in range(B) if y[j] == y[i]]
        to_text = sum(z[i][j] - math.log(sum(math.exp(z[i][b]) for b in range(B))) for j in pairs) / len(pairs)
        to_picture = sum(z[j][i] - math.log(sum(math.exp(z[b][i]) for b in range(B))) for j in pairs) / len(pairs)
        total -= (to_text + to_picture) / 2
    return total / B


def L(v: np.ndarray, t: np.ndarray, y: Sequence[int], s: float, lam: float) -> float:
    """λ L_ce + (1 − λ) L_align."""
    return lam * L_ce(logits(v, t, s), y) + (1 - lam) * L_align(v, t, y, s)


def gelu(x: float) -> float:
    """x Φ(x)."""
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


def fused(v: np.ndarray, v_roi: np.ndarray, w1: np.ndarray, b1: np.ndarray, w2: np.ndarray, b2: np.ndarray) -> np.ndarray:
    """v' = norm(v + W₂ GELU(W₁ [v ; v_roi])) for one picture."""
    hidden = np.array([gelu(float(one)) for one in w1 @ np.concatenate([v, v_roi]) + b1])
    return norm(v + w2 @ hidden + b2)


def A(Q: np.ndarray, K: np.ndarray, m: np.ndarray, beta: float, epsilon: float, rows: str) -> np.ndarray:
    """Guided attention of one head, (N, N); token 0 is the class token, whose own m̃ is 1. `rows`: "class" or "all"."""
    N, d = Q.shape
    soft = [1.0, *m]
    out = np.empty((N, N))
    for i in range(N):
        guided = rows == "all" or i == 0
        score = [float(Q[i] @ K[j]) / math.sqrt(d) for j in range(N)]
        if guided:
            score = [score[j] + beta * math.log(epsilon + (1 - epsilon) * soft[j]) for j in range(N)]
        top = max(score)
        weight = [math.exp(one - top) for one in score]
        out[i] = [one / sum(weight) for one in weight]
    return out


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval."""
    z, p = 1.959963984540054, hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half
