"""Label filtering (LFM): two Gaussians fitted to losses tell noisy labels from clean ones, picture by picture and pixel by pixel.

Sources: the module's existence from the abstract of arXiv 2409.05024; how the mixture is fitted from DivideMix's published code (losses brought to 0…1,
two components, 10 iterations, tolerance 1e-2, 5e-4 on variances, clean = the component with the lower mean, threshold one half); the two levels, the fits
for each class, the band and the guards from spec §3 and §6 (inferred). The mixture itself is scikit-learn's.

Legend: N pictures, C classes, H × W pixels, w probability that a label is clean.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

VALUES = 20_000
"""So many losses at most are looked at for one fit."""
FEWEST = 10
SEPARATION = 2.0
"""Means nearer than this many pooled standard deviations: no noise detected."""
MASS = 0.02
"""Pictures: a noisy component with less than this: no noise detected."""
GAP = 0.1
"""Pictures: means of 1 − soft Dice nearer than this: no noise detected (ours: two halves of one clean cluster can be "separated")."""


@dataclass(frozen=True)
class Fit:
    """Two Gaussians on losses that were brought to 0…1 by `low` and `high`; the first is the clean one."""

    low: float
    high: float
    means: tuple[float, float]
    sds: tuple[float, float]
    weights: tuple[float, float]
    n: int
    """Losses there were."""
    noise: bool = True
    """Whether noise counts as detected; if not, every label is clean."""
    why: str = ""
    """Why not."""

    @property
    def separation(self) -> float:
        """Distance of the means in pooled standard deviations."""
        pooled = np.sqrt(self.weights[0] * self.sds[0] ** 2 + self.weights[1] * self.sds[1] ** 2)
        return float((self.means[1] - self.means[0]) / max(pooled, 1e-12))

    @property
    def raw_means(self) -> tuple[float, float]:
        """The means as losses."""
        return tuple(self.low + mean * (self.high - self.low) for mean in self.means)

    def normalised(self, losses: Tensor) -> Tensor:
        """Losses on the scale of the fit."""
        return (losses - self.low) / max(self.high - self.low, 1e-12)

    def clean(self, losses: Tensor) -> Tensor:
        """w of losses of any shape: posterior of the first component, 1 below its mean, never rising with the loss; all 1 without noise."""
        return self.posterior(losses) if self.noise else torch.ones_like(losses)

    def posterior(self, losses: Tensor) -> Tensor:
        """As `clean`, whether noise was detected or not."""
        (m1, m2), (s1, s2), (a1, a2) = self.means, self.sds, self.weights
        x = self.normalised(losses)
        if s1 > s2:  # from here on the wider, clean component would win again
            x = x.clamp_max((m2 * s1**2 - m1 * s2**2) / (s1**2 - s2**2))
        odds = math.log(max(a2, 1e-12) / max(a1, 1e-12)) + math.log(s1 / s2) + 0.5 * ((x - m1) / s1) ** 2 - 0.5 * ((x - m2) / s2) ** 2
        return torch.where(x <= m1, 1.0, torch.sigmoid(-odds))

    def as_json(self) -> dict:
        """Plain values."""
        return asdict(self)

    @staticmethod
    def of_json(values: dict) -> Fit:
        """The inverse of `as_json`."""
        return Fit(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def fit_two(losses: Tensor, *, seed: int = 0, early: bool = False) -> Fit | None:
    """The two Gaussians of losses (n,); None for fewer than `FEWEST` or all alike. At most `VALUES` of them, drawn by the seed, are looked at.

    `early`: the fit starts with the losses beyond a quarter of the way from the median to the largest as noisy, not with scikit-learn's own guess.
    Pictures whose lesion is missing altogether have a loss of exactly 1; the guess would spend a Gaussian on them alone (inferred).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    n = losses.numel()
    if n < FEWEST:
        return None
    low, high = torch.aminmax(losses)
    low, high = float(low), float(high)
    if high - low < 1e-9:
        return None
    drawn = losses
    if n > VALUES:
        rows = torch.from_numpy(np.random.default_rng(seed).choice(n, VALUES, replace=False))
        drawn = losses[rows.to(losses.device)]
    x = ((drawn.double().cpu().numpy() - low) / (high - low)).reshape(-1, 1)
    x = np.sort(x, axis=0)  # the order of pictures decides nothing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # DivideMix's ten iterations are meant
        found = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0, means_init=_start(x) if early else None).fit(x)
    order = np.argsort(found.means_[:, 0])
    pick = [tuple(float(v) for v in values[order]) for values in (found.means_[:, 0], np.sqrt(found.covariances_[:, 0, 0]), found.weights_)]
    return Fit(low, high, *pick, n)


def _start(x: np.ndarray) -> np.ndarray:
    """Means (2, 1) to start from, of sorted losses (n, 1) in 0…1."""
    far = x > np.median(x) + 0.25 * (1 - np.median(x))
    return np.array([[x[~far].mean()], [x[far].mean() if far.any() else 1.0]])


def guarded(fit: Fit, *, pictures: bool) -> Fit:
    """The fit, with `noise` off where it shows none (spec §6.9). The rules on mass and gap hold for pictures alone: few pixels may be wrong."""
    why = ""
    if fit.separation < SEPARATION:
        why = f"the two means are {fit.separation:.1f} standard deviations apart, fewer than {SEPARATION:g}"
    elif pictures and fit.weights[1] < MASS:
        why = f"the noisy component holds {100 * fit.weights[1]:.1f} % of the pictures, less than {100 * MASS:g} %"
    elif pictures and fit.raw_means[1] - fit.raw_means[0] < GAP:
        why = f"the two means of 1 − Dice are {fit.raw_means[1] - fit.raw_means[0]:.2f} apart, less than {GAP:g}"
    return replace(fit, noise=not why, why=why)


def filter_pictures(losses: Tensor, counted: Tensor | None = None, *, seed: int = 0) -> tuple[Tensor, Fit | None]:
    """w of each picture (N,), and the fit. Without a fit all are clean.

    `counted` bool (N,): pictures with a structure in label or prediction; the others have a loss of exactly 0, would draw a Gaussian onto
    themselves, and are clean (inferred).
    """
    counted = torch.ones_like(losses, dtype=torch.bool) if counted is None else counted
    fit = fit_two(losses[counted], seed=seed, early=True)
    if fit is None:
        return torch.ones_like(losses), None
    fit = guarded(fit, pictures=True)
    return torch.where(counted, fit.clean(losses), 1.0), fit


def region(labels: Tensor, predicted: Tensor, band: int) -> Tensor:
    """bool (N, H, W): pixels that take part: structures in the label, and background near a structure in label or prediction (a square of ±`band`)."""
    near = ((labels > 0) | (predicted > 0)).float()[:, None]
    return F.max_pool2d(near, 2 * band + 1, stride=1, padding=band)[:, 0] > 0


def filter_pixels(losses: Tensor, labels: Tensor, inside: Tensor, classes: int, *, seed: int = 0) -> tuple[Tensor, list[Fit | None]]:
    """w of each pixel (N, H, W), and one fit for each class of the labels. Pixels outside `inside` are clean."""
    w, fits = torch.ones_like(losses), []
    for number in range(classes):
        here = (labels == number) & inside
        values = losses[here]
        fit = fit_two(values, seed=seed + number)
        if fit is not None:
            fit = guarded(fit, pictures=False)
            w[here] = fit.clean(values)
        fits.append(fit)
    return w, fits
