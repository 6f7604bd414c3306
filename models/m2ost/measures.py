"""How good a predicted expression is: by spot across genes, by gene across spots, and in its own unit. The correlations are torchmetrics'.

The average profile of the training spots scores high by spot, as genes differ far more than spots do, and nothing by gene: both always stand together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

MEASURES = ("spot_pcc", "gene_pcc", "local_pcc", "context_pcc", "rmse")


@dataclass(frozen=True, eq=False)
class Measured:
    """Numbers of one prediction. A gene whose prediction does not vary has no correlation; it counts as 0."""

    spot_pcc: float
    """Mean over spots of the correlation across genes."""
    gene_pcc: float
    """Mean over sections and genes of the correlation across the section's spots."""
    local_pcc: float
    """The same of the genes planted inside the spot; NaN where genes have no groups."""
    context_pcc: float
    rmse: float
    """Root of the mean squared error, log(1 + CPM), mean over spots."""
    by_gene: np.ndarray = field(repr=False)
    """(G,): mean over sections."""
    by_section: np.ndarray = field(repr=False)
    """(sections, G)."""

    def value(self, measure: str) -> float:
        """One of MEASURES."""
        return float(getattr(self, measure))


def measure(predicted: np.ndarray, truth: np.ndarray, section: np.ndarray, groups: Sequence[str] = ()) -> Measured:
    """predicted and truth (N, G), section (N,) numbers; groups: "local" or "context" for each gene, or nothing. ValueError for shapes that do not fit or a section of fewer than 3 spots."""
    if predicted.shape != truth.shape or len(section) != len(truth) or truth.ndim != 2:
        raise ValueError(f"Predicted {predicted.shape}, measured {truth.shape} and {len(section)} section numbers do not belong together.")
    places = [np.flatnonzero(section == number) for number in np.unique(section)]
    if min(len(rows) for rows in places) < 3:
        raise ValueError("A correlation over a section needs at least 3 of its spots.")
    by_section = np.stack([correlations(predicted[rows], truth[rows]) for rows in places])
    by_gene, names = by_section.mean(0), np.asarray(groups if len(groups) else [""] * truth.shape[1])

    def mean_of(name: str) -> float:
        return float(by_gene[names == name].mean()) if (names == name).any() else float("nan")

    return Measured(
        spot_pcc=float(correlations(predicted.T, truth.T).mean()),
        gene_pcc=float(by_gene.mean()),
        local_pcc=mean_of("local"),
        context_pcc=mean_of("context"),
        rmse=float(np.sqrt(((predicted - truth) ** 2).mean(1)).mean()),
        by_gene=by_gene,
        by_section=by_section,
    )


def correlations(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Pearson's r down the columns of two (N, K) tables, float64 (K,); 0 where one of the two does not vary."""
    import torch
    from torchmetrics.functional import pearson_corrcoef

    a, b = (np.asarray(some, np.float64) for some in (predicted, truth))
    varies = (a.std(0) > 1e-7) & (b.std(0) > 1e-7)
    made = np.zeros(a.shape[1])
    if varies.any():
        found = pearson_corrcoef(torch.from_numpy(a[:, varies]), torch.from_numpy(b[:, varies]))
        made[varies] = np.atleast_1d(found.numpy())
    return made
