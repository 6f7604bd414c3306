"""What the segmenter is trained on: focal and Dice loss of the masks, and how well it knows its own quality.

Source: Ravi et al. 2024, section D.2.2: focal and Dice loss for masks, the mean absolute error of the estimated intersection over union;
of three candidates only the best is taught where it belongs, all estimates are.
Known deviations: focal and Dice loss weigh 10 to 3 instead of 20 to 1, and inside weighs a little more than outside in the focal loss
instead of a third, since random weights otherwise settle for the empty mask; the single mask is taught at every prompt, also the first, beside the candidates, so that each kind of prompt can be
asked for either; masks are compared at twice their own size, half the picture's.

n prompts, 4 masks of each: the single one first, then three candidates; h = S / 4 side of the logits, R = 2 h.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

FOCAL, DICE, ESTIMATE = 10.0, 3.0, 1.0
INSIDE = 0.6
"""Weight of the pixels inside in the focal loss, against 1 - INSIDE outside."""


def dice_loss(logits: Tensor, covered: Tensor) -> Tensor:
    """One minus the soft Dice overlap: (n, …, R, R) logits and covered shares → (n, …)."""
    inside = logits.sigmoid()
    overlap = (inside * covered).sum((-2, -1))
    return 1 - (2 * overlap + 1) / (inside.sum((-2, -1)) + covered.sum((-2, -1)) + 1)


def overlap(predicted: Tensor, masks: Tensor) -> Tensor:
    """Intersection over union of (n, …, R, R) bool masks: (n, …); 1 where both are empty."""
    both = (predicted & masks).sum((-2, -1)).float()
    either = (predicted | masks).sum((-2, -1)).float()
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def prompt_loss(logits: Tensor, estimates: Tensor, covered: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    """The mean loss over n prompts, and the masks (n, 4, R, R) as bool.

    `logits` (n, 4, h, h), `estimates` (n, 4), `covered` (n, R, R) in 0…1, `asked` (n,) bool. Where nothing is asked for, only the
    estimates are taught: to be zero.
    """
    n, size = len(logits), covered.shape[-1]
    with torch.no_grad():
        coarse = F.interpolate(covered[:, None], logits.shape[-1], mode="area")
        best = 1 + dice_loss(logits[:, 1:], coarse).argmin(1)  # n
        masks = F.interpolate(logits, size, mode="bilinear") > 0
        truth = overlap(masks, (covered > 0.5)[:, None]) * asked[:, None]
    picked = torch.stack([logits[:, 0], logits[torch.arange(n), best]], 1)  # n 2 h h
    fine = F.interpolate(picked, size, mode="bilinear")
    target = covered[:, None].expand_as(fine)
    focal = sigmoid_focal_loss(fine, target, alpha=INSIDE, gamma=2).mean((-2, -1))
    per_mask = FOCAL * focal + DICE * dice_loss(fine, target)  # n 2
    shape = (per_mask.sum(1) * asked).sum() / asked.sum().clamp(min=1)
    return shape + ESTIMATE * (estimates - truth).abs().sum(1).mean(), masks
