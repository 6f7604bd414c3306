"""The reconstruction's equations written out slowly, pixel by pixel, in the spec's symbols (spec §3). NumPy alone; no code is shared with the room's own.

The oracle of the tests and of the live checks. Symbols: P probabilities (C, H, W) of one picture, Y its label (H, W), w clean, κ sureness, μ_c prototypes.
"""

from __future__ import annotations

import math

import numpy as np

EPS = 1e-5


def pixel_loss(P: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """l_p = −log P[Y_p]."""
    l = np.zeros(Y.shape)  # noqa: E741
    for r in range(Y.shape[0]):
        for c in range(Y.shape[1]):
            l[r, c] = -math.log(max(P[Y[r, c], r, c], 1e-7))
    return l


def picture_loss(P: np.ndarray, Y: np.ndarray) -> float:
    """s = 1 − soft Dice, mean over structures in label or prediction."""
    said, terms = P.argmax(axis=0), []
    for c in range(1, len(P)):
        if (c == Y).any() or (said == c).any():
            both = sum(P[c, r, k] for r, k in np.argwhere(c == Y))
            terms.append(1 - (2 * both + EPS) / (P[c].sum() + (c == Y).sum() + EPS))
    return float(np.mean(terms)) if terms else 0.0


def gaussian(x: float, m: float, s: float) -> float:
    """N(x; m, s²)."""
    return math.exp(-0.5 * ((x - m) / s) ** 2) / (s * math.sqrt(2 * math.pi))


def clean_probability(x: float, means: tuple, sds: tuple, weights: tuple) -> float:
    """Posterior of the component with the lower mean by Bayes' rule; 1 up to that mean; and never above what a smaller loss has."""
    if x <= means[0]:
        return 1.0
    lowest = 1.0
    steps = 400
    for k in range(1, steps + 1):  # the least posterior on the way from the mean to x
        at = means[0] + (x - means[0]) * k / steps
        first, second = (weights[n] * gaussian(at, means[n], sds[n]) for n in (0, 1))
        lowest = min(lowest, first / (first + second) if first + second > 1e-290 else lowest)
    return lowest


def mixture(x: np.ndarray, rounds: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two Gaussians by plain expectation–maximisation from the halves of the sorted values: means, sds, weights."""
    x = np.sort(x)
    halves = np.array_split(x, 2)
    m, s, a = (np.array([f(h) for h in halves]) for f in (np.mean, np.std, lambda h: len(h) / len(x)))
    for _ in range(rounds):
        dens = np.stack([a[k] * np.exp(-0.5 * ((x - m[k]) / s[k]) ** 2) / s[k] for k in (0, 1)])
        r = dens / dens.sum(axis=0)
        n = r.sum(axis=1)
        m = (r * x).sum(axis=1) / n
        s = np.sqrt((r * (x - m[:, None]) ** 2).sum(axis=1) / n)
        a = n / len(x)
    return m, s, a


def band(Y: np.ndarray, said: np.ndarray, width: int) -> np.ndarray:
    """Pixels with a structure of label or prediction in the square of ± width around them."""
    inside = np.zeros(Y.shape, bool)
    for r in range(Y.shape[0]):
        for c in range(Y.shape[1]):
            box = np.s_[max(0, r - width) : r + width + 1, max(0, c - width) : c + width + 1]
            inside[r, c] = (Y[box] > 0).any() or (said[box] > 0).any()
    return inside


def prototypes(z: np.ndarray, Y: np.ndarray, w: np.ndarray, clean: np.ndarray, classes: int) -> np.ndarray:
    """μ_c: mean of features z (N, d, H, W) over pixels with Y = c, w ≥ ½, of clean pictures (N,), brought to length 1."""
    mu = []
    for c in range(classes):
        rows = [z[i, :, r, k] for i in np.flatnonzero(clean) for r, k in np.argwhere((Y[i] == c) & (w[i] >= 0.5))]
        mean = np.mean(rows, axis=0)
        mu.append(mean / np.linalg.norm(mean))
    return np.array(mu)


def similarity(z: np.ndarray, mu: np.ndarray, T: float) -> np.ndarray:
    """q_p = softmax_c(cos(z_p, μ_c) / T): z (d,) and μ (C, d) to (C,)."""
    cos = np.array([z @ m / (np.linalg.norm(z) * np.linalg.norm(m)) for m in mu]) / T
    return np.exp(cos - cos.max()) / np.exp(cos - cos.max()).sum()


def cleanse(Y: np.ndarray, e: np.ndarray, w_picture: float, w: np.ndarray, kappa: float, gate: str) -> tuple[np.ndarray, np.ndarray]:
    """Y' and provenance (0 kept, 1 flipped, 2 abstained) of one picture, pixel by pixel."""
    new, how = Y.copy(), np.zeros(Y.shape, int)
    for r in range(Y.shape[0]):
        for c in range(Y.shape[1]):
            noisy_picture, noisy_pixel = w_picture < 0.5, w[r, c] < 0.5
            suspected = {"both": noisy_picture and noisy_pixel, "sample": noisy_picture, "pixel": noisy_pixel}[gate]
            if suspected and e[:, r, c].max() > kappa:
                if e[:, r, c].argmax() != Y[r, c]:
                    new[r, c], how[r, c] = e[:, r, c].argmax(), 1
            elif suspected:
                how[r, c] = 2
    return new, how


def average(teacher: list, student: list, decay: float) -> list:
    """θ' ← m θ' + (1 − m) θ."""
    return [decay * t + (1 - decay) * s for t, s in zip(teacher, student, strict=True)]
