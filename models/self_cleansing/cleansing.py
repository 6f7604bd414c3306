"""Label cleansing (LCM): new labels where the filter calls one noisy and the evidence is sure; and one pass of both modules over a training set.

Sources: the module's existence from the abstract of arXiv 2409.05024; prototypes after PLIL (MICCAI 2023); the rest is spec §3, stage B (inferred).
Every pass starts from the labels as they were given. Legend: N pictures, C classes, d feature channels, H × W pixels, P probabilities, w clean, κ sureness.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from models.self_cleansing.filtering import Fit, filter_pictures, filter_pixels, region
from models.self_cleansing.losses import picture_losses, pixel_losses
from models.self_cleansing.network import UNet
from models.self_cleansing.plan import Cleansing

KEPT, FLIPPED, ABSTAINED = 0, 1, 2
PROVENANCE = ("kept", "flipped", "abstained")
FLIPS = 0.05
"""A pass that would change fewer pixels than this share of the drawn ones changes none: no noise detected (ours, spec §6.9)."""
MOMENTUM = 0.9
"""Of the prototypes' average over epochs."""


@dataclass(frozen=True, eq=False)
class Cleansed:
    """Labels after cleansing."""

    labels: Tensor
    """uint8 (N, H, W)."""
    provenance: Tensor
    """uint8 (N, H, W): KEPT (not suspected, or found right), FLIPPED, or ABSTAINED (suspected, but the evidence is not sure)."""
    kappa: Tensor
    """float32 (N, H, W): the largest evidence."""


@dataclass(frozen=True, eq=False)
class Assessment:
    """One pass over training pictures."""

    p: Tensor
    """(N, C, H, W): the assessing network's probabilities."""
    pixel_loss: Tensor
    """(N, H, W)."""
    inside: Tensor
    """bool (N, H, W): pixels that the pixel filter looks at."""
    s: Tensor
    """(N,): 1 − soft Dice."""
    picture_w: Tensor
    """(N,)."""
    picture_fit: Fit | None
    w: Tensor
    """(N, H, W)."""
    fits: list[Fit | None]
    """For each class."""
    cleansed: Cleansed


def cleanse(labels: Tensor, evidence: Tensor, picture_w: Tensor, w: Tensor, config: Cleansing) -> Cleansed:
    """Given labels (N, H, W), evidence (N, C, H, W), w of pictures (N,) and pixels (N, H, W) to new labels.

    Y' = argmax e where the gate is open and max e > κ; Y elsewhere.
    """
    picture = (picture_w < config.w)[:, None, None].expand_as(w)
    open_ = {"both": picture & (w < config.w), "sample": picture, "pixel": w < config.w}[config.gate]
    kappa, proposed = evidence.max(dim=1)
    sure, differs = kappa > config.kappa, proposed != labels
    flipped, abstained = open_ & sure & differs, open_ & ~sure
    provenance = torch.where(flipped, FLIPPED, torch.where(abstained, ABSTAINED, KEPT)).to(torch.uint8)
    return Cleansed(torch.where(flipped, proposed.to(labels.dtype), labels), provenance, kappa)


def called_off(cleansed: Cleansed, given: Tensor) -> tuple[Cleansed, str]:
    """The labels as given, and why, where a pass would change too few pixels to speak of noise; else the pass as it is, and ""."""
    flips, drawn = int((cleansed.provenance == FLIPPED).sum()), int((given > 0).sum())
    if flips >= FLIPS * drawn:
        return cleansed, ""
    provenance = torch.where(cleansed.provenance == FLIPPED, ABSTAINED, cleansed.provenance).to(torch.uint8)
    share = 100 * flips / max(drawn, 1)
    return replace(
        cleansed, labels=given, provenance=provenance
    ), f"{share:.1f} % of the drawn pixels would change, less than {100 * FLIPS:g} %"


def class_means(z: Tensor, labels: Tensor, trusted: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Sums of features (N, d, H, W) over trusted pixels of each class (C, d), and their number (C,)."""
    chosen = F.one_hot(labels.long(), classes).movedim(-1, 1).flatten(2).to(z.dtype) * trusted.flatten(1)[:, None]  # N C HW
    return torch.einsum("ncp,ndp->cd", chosen, z.flatten(2)), chosen.sum(dim=(0, 2))


def similarity(z: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    """q = softmax over classes of cos(z, μ_c) / T: features (N, d, H, W) and unit prototypes (C, d) to (N, C, H, W)."""
    return (torch.einsum("ndhw,cd->nchw", F.normalize(z, dim=1), prototypes) / temperature).softmax(dim=1)


class Cleanser:
    """Both modules over a training set, epoch after epoch; remembers the prototypes."""

    def __init__(self, config: Cleansing, classes: int, *, batch: int = 32, seed: int = 0) -> None:
        self.config, self.classes, self.batch, self.seed = config, classes, batch, seed
        self.prototypes: Tensor | None = None

    @torch.no_grad()
    def assess(self, net: UNet, x: Tensor, given: Tensor, *, look_only: bool = False) -> Assessment:
        """`net` in answering mode on pictures (N, channels, H, W) with the labels as given (N, H, W); everything stays on the network's device.

        `look_only`: prototypes are left as they are, so that looking changes no training.
        """
        training = net.training
        net.eval()
        p = torch.cat([net(part).logits.softmax(dim=1) for part in x.split(self.batch)])
        loss, s, inside, picture_w, picture_fit, w, fits = self.filtered(p, given)
        evidence = p
        if self.config.evidence != "prediction" and not look_only:
            evidence = self._evidence(net, x, p, given, (picture_w >= self.config.w)[:, None, None] & (w >= self.config.w))
        net.train(training)
        cleansed = cleanse(given, evidence, picture_w, w, self.config)
        cleansed, why = called_off(cleansed, given)
        if why and picture_fit is not None:
            picture_fit = replace(picture_fit, noise=False, why=picture_fit.why or why)
        return Assessment(p, loss, inside, s, picture_w, picture_fit, w, fits, cleansed)

    def filtered(self, p: Tensor, given: Tensor):
        """The filter alone: pixel losses, s, inside, w and fit of pictures, w and fits of pixels."""
        loss, s = pixel_losses(p, given), picture_losses(p, given)
        inside = region(given, p.argmax(dim=1), self.config.band)
        picture_w, picture_fit = filter_pictures(s, inside.flatten(1).any(dim=1), seed=self.seed)
        w, fits = filter_pixels(loss, given, inside, self.classes, seed=self.seed)
        return loss, s, inside, picture_w, picture_fit, w, fits

    def _evidence(self, net: UNet, x: Tensor, p: Tensor, given: Tensor, trusted: Tensor) -> Tensor:
        features = lambda: ((rows, net(x[rows]).features) for rows in torch.arange(len(x), device=x.device).split(self.batch))  # noqa: E731
        sums = torch.zeros(self.classes, net.widths[0], device=x.device)
        counts = torch.zeros(self.classes, device=x.device)
        for rows, z in features():
            more, n = class_means(z, given[rows], trusted[rows], self.classes)
            sums, counts = sums + more, counts + n
        fresh = F.normalize(sums / counts.clamp_min(1)[:, None], dim=1)  # each class by its own mean, however many pixels it has
        old = fresh if self.prototypes is None else self.prototypes
        self.prototypes = F.normalize(MOMENTUM * old + (1 - MOMENTUM) * fresh, dim=1)
        q = torch.cat([similarity(z, self.prototypes, self.config.temperature) for _, z in features()])
        return q if self.config.evidence == "prototypes" else 0.5 * (p + q)
