"""How well masks agree: Dice, IoU, HD95 and ASSD in millimetres, for each picture and as held-out numbers with intervals.

The measures are MONAI's. One call speaks of one structure; with several classes, call once for each. Conventions for empty masks, the same for
every room:
- both empty: Dice and IoU are 1 (rightly nothing), the distances are not defined (NaN);
- only one empty: Dice and IoU are 0, the distances are not defined (NaN); such a picture is counted as `missed` or `false_alarm`.
Means leave NaN out and carry the number of pictures that stayed; a mean distance therefore says nothing of missed structures, so show it with
`missed`. "dice" is the mean over the pictures in which the structure is truly there; "dice_all" is over all pictures.

HD95 is the larger of the two directed 95th percentiles. ASSD is the mean over the points of both outlines together. Outlines are the mask's own
border pixels; a mask's part at the picture's edge has its border there.

Legend: N pictures, H × W pixels; volumes (N, D, H, W) are taken as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.shared import metrics
from models.shared.checkpoints import Metric

if TYPE_CHECKING:
    from models.shared.metrics import Kind

Masks = Tensor | np.ndarray
Spacing = float | Sequence[float] | Sequence[Sequence[float]]
"""Millimetres from one pixel to the next: one number, one for each axis (rows first), or such a list for each picture."""


@dataclass(frozen=True, eq=False)
class CaseScores:
    """Every picture's own numbers, float64 (N,)."""

    dice: Tensor
    iou: Tensor
    hd95_mm: Tensor
    """NaN where a mask is empty."""
    assd_mm: Tensor
    """NaN where a mask is empty."""
    present: Tensor
    """bool (N,): whether the structure is truly there."""
    found: Tensor
    """bool (N,): whether the predicted mask holds a pixel."""

    def __len__(self) -> int:
        return len(self.dice)

    def rows(self, chosen: Tensor) -> CaseScores:
        """The scores of some pictures: bool (N,) or numbers of rows."""
        return CaseScores(*(getattr(self, field.name)[chosen] for field in fields(self)))


def dice(predicted: Masks, truth: Masks) -> Tensor:
    """2 |A ∩ B| / (|A| + |B|) of each picture, float64 (N,); 1 when both masks are empty. Masks are bool or 0/1 (N, H, W)."""
    from monai.metrics import compute_dice

    predicted, truth = _pair(predicted, truth)
    return _both_empty_are_one(compute_dice(predicted, truth, include_background=True, ignore_empty=False), predicted, truth)


def iou(predicted: Masks, truth: Masks) -> Tensor:
    """|A ∩ B| / |A ∪ B| of each picture, float64 (N,); 1 when both masks are empty. Masks are bool or 0/1 (N, H, W)."""
    from monai.metrics import compute_iou

    predicted, truth = _pair(predicted, truth)
    return _both_empty_are_one(compute_iou(predicted, truth, include_background=True, ignore_empty=False), predicted, truth)


def hd95_mm(predicted: Masks, truth: Masks, spacing_mm: Spacing) -> Tensor:
    """95th percentile Hausdorff distance of each picture, float64 (N,) in mm; NaN where a mask is empty."""
    from monai.metrics import compute_hausdorff_distance

    def measure(predicted: Tensor, truth: Tensor, spacing: list[list[float]]) -> Tensor:
        return compute_hausdorff_distance(predicted, truth, include_background=True, percentile=95, spacing=spacing)

    return _distance(measure, predicted, truth, spacing_mm)


def assd_mm(predicted: Masks, truth: Masks, spacing_mm: Spacing) -> Tensor:
    """Average symmetric surface distance of each picture, float64 (N,) in mm; NaN where a mask is empty."""
    from monai.metrics import compute_average_surface_distance

    def measure(predicted: Tensor, truth: Tensor, spacing: list[list[float]]) -> Tensor:
        return compute_average_surface_distance(predicted, truth, include_background=True, symmetric=True, spacing=spacing)

    return _distance(measure, predicted, truth, spacing_mm)


def case_scores(predicted: Masks, truth: Masks, spacing_mm: Spacing = 1.0) -> CaseScores:
    """All measures of each picture. Masks are bool or 0/1 (N, H, W). With a spacing of 1 the "mm" are pixels: say so.

    ValueError for masks of different shapes, no picture, a spacing that is not positive or does not fit.
    """
    first, second = _pair(predicted, truth)
    found, present = (mask.flatten(1).any(dim=1) for mask in (first, second))
    return CaseScores(
        dice(first[:, 0], second[:, 0]),
        iou(first[:, 0], second[:, 0]),
        hd95_mm(first[:, 0], second[:, 0], spacing_mm),
        assd_mm(first[:, 0], second[:, 0], spacing_mm),
        present,
        found,
    )


def summary(
    scores: CaseScores, *, strata: Tensor | None = None, seed: int = 0, kind: Kind = "real", distance_unit: str = "mm"
) -> dict[str, Metric]:
    """The held-out numbers of a set, ready for a card.

    Names: dice, iou, hd95, assd (where the structure is truly there; distances also need a predicted mask), dice_all (all pictures), missed (share
    of present ones with an empty prediction) and false_alarm (share of absent ones with a prediction). A name is left out when no picture can tell.
    `strata` (N,) int: cases are redrawn within each (the classes, for instance). `distance_unit`: "px" where no spacing is known.
    """
    here, absent = scores.present, ~scores.present

    def over(values: Tensor, rows: Tensor, unit: str = "") -> Metric | None:
        return mean(values[rows], strata=None if strata is None else strata[rows], seed=seed, kind=kind, unit=unit)

    found: dict[str, Metric | None] = {
        "dice": over(scores.dice, here),
        "iou": over(scores.iou, here),
        "hd95": over(scores.hd95_mm, here, distance_unit),
        "assd": over(scores.assd_mm, here, distance_unit),
        "dice_all": over(scores.dice, torch.ones_like(here)),
        "missed": metrics.share(int((~scores.found & here).sum()), int(here.sum()), kind=kind) if here.any() else None,
        "false_alarm": metrics.share(int((scores.found & absent).sum()), int(absent.sum()), kind=kind) if absent.any() else None,
    }
    return {name: metric for name, metric in found.items() if metric is not None}


def mean(values: Tensor, *, strata: Tensor | None = None, seed: int = 0, kind: Kind = "real", unit: str = "") -> Metric | None:
    """Mean of (N,) numbers, one for each picture, with the house's bootstrap interval; NaN left out, None when nothing is left."""
    kept = ~values.isnan()
    if not kept.any():
        return None
    groups = torch.zeros(len(values), dtype=torch.long) if strata is None else strata
    return metrics.bootstrap(lambda drawn, _: drawn.mean(), values[kept], groups[kept], seed=seed, unit=unit, kind=kind)


def difference(
    ours: Tensor, theirs: Tensor, *, strata: Tensor | None = None, seed: int = 0, kind: Kind = "real", unit: str = ""
) -> Metric | None:
    """Mean of ours − theirs, picture by picture (N,), with a paired bootstrap interval; pictures that either cannot score are left out.

    An interval that lies above 0 says that ours is higher on other pictures like these; it says nothing of another training.
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"Two methods are compared on the same pictures; got {len(ours)} and {len(theirs)} numbers.")
    return mean(ours - theirs, strata=strata, seed=seed, kind=kind, unit=unit)


def _pair(predicted: Masks, truth: Masks) -> tuple[Tensor, Tensor]:
    """Both as bool (N, 1, …) on the CPU."""
    first, second = (torch.as_tensor(mask).detach().cpu() for mask in (predicted, truth))
    if first.shape != second.shape or first.ndim not in (3, 4) or len(first) == 0:
        raise ValueError(
            f"Masks are compared picture by picture as (pictures, rows, columns); got {tuple(first.shape)} against {tuple(second.shape)}."
        )
    for mask in (first, second):
        if mask.dtype != torch.bool and not bool(((mask == 0) | (mask == 1)).all()):
            raise ValueError("A mask holds other values than 0 and 1; threshold the probabilities first.")
    return first.bool()[:, None], second.bool()[:, None]


def _both_empty_are_one(values: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
    """MONAI's (N, 1) as (N,), with the convention written in."""
    empty = ~(predicted | truth).flatten(1).any(dim=1)
    return torch.where(empty, torch.ones((), dtype=torch.float64), values[:, 0].double())


def _distance(measure, predicted: Masks, truth: Masks, spacing_mm: Spacing) -> Tensor:
    """MONAI is asked only for pictures in which both masks hold a pixel: it answers 0, infinity or NaN for the others, depending on which is empty."""
    predicted, truth = _pair(predicted, truth)
    spacing = _spacings(spacing_mm, len(truth), truth.ndim - 2)
    both = predicted.flatten(1).any(dim=1) & truth.flatten(1).any(dim=1)
    found = torch.full((len(truth),), torch.nan, dtype=torch.float64)
    if both.any():
        chosen = [spacing[row] for row in both.nonzero()[:, 0].tolist()]
        found[both] = measure(predicted[both], truth[both], chosen)[:, 0].double()
    return found


def _spacings(spacing_mm: Spacing, n: int, axes: int) -> list[list[float]]:
    """One list of mm for each picture."""
    given = np.asarray(spacing_mm, dtype=np.float64)
    per_picture = given.ndim == 2 and given.shape == (n, axes)
    if not (given.ndim == 0 or given.shape == (axes,) or per_picture) or not (np.isfinite(given).all() and (given > 0).all()):
        raise ValueError(
            f"A spacing is one positive number of mm, one for each of the {axes} axes, or such a row for each of the {n} pictures."
        )
    return np.broadcast_to(given, (n, axes)).tolist()
