"""Which genes are predicted, and in which unit: the paper's selection and its normalisation, with a stored list in place of a chance one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.shared.data.spatial.record import Expression, SpatialRefused

MOST_VARIABLE = 1500
SEED = 1553
"""The released scripts' own."""


def select_genes(
    sections: Sequence[Expression], count: int = 250, *, most_variable: int = MOST_VARIABLE, seed: int = SEED
) -> tuple[str, ...]:
    """Per section the genes with the largest variance of raw counts, those common to all, `count` of them drawn from the sorted list.

    The released script draws from an unordered set, so its list differs from run to run; this one is always the same and is stored with
    what is trained on it. SpatialRefused when the sections share fewer than two such genes.
    """
    common: set[str] | None = None
    for section in sections:
        mean = np.asarray(section.counts.mean(0)).ravel()
        variance = np.asarray(section.counts.multiply(section.counts).mean(0)).ravel() - mean**2
        top = np.argsort(-variance, kind="stable")[:most_variable]
        names = {section.genes[place] for place in top if variance[place] > 0}
        common = names if common is None else common & names
    found = sorted(common or ())
    if len(found) < 2:
        raise SpatialRefused("The sections share fewer than two genes that vary; check that gene names are written alike in all of them.")
    drawn = np.random.default_rng(seed).permutation(len(found))[:count]
    return tuple(found[place] for place in sorted(drawn))


def with_counts(section: Expression, genes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(counts float32 (n, G) of these genes, rows (n,)): spots in which none of them was counted are left out. SpatialRefused for a gene that is missing."""
    places = {name: place for place, name in enumerate(section.genes)}
    missing = [name for name in genes if name not in places]
    if missing:
        raise SpatialRefused(f"The table lacks {len(missing)} of the {len(genes)} genes asked for, such as {missing[0]}.")
    some = section.counts[:, [places[name] for name in genes]].toarray().astype(np.float32)
    rows = np.flatnonzero(some.sum(1) > 0)
    return some[rows], rows


def log_cpm(counts: np.ndarray) -> np.ndarray:
    """log(1 + 10⁶ c / Σ c), the sum over the selected genes alone [verified in the released scripts]; float32 (N, G). ValueError for a spot without counts."""
    total = counts.sum(1, keepdims=True, dtype=np.float64)
    if (total <= 0).any():
        raise ValueError("A spot without a single count has no shares; leave such spots out first.")
    return np.log1p(1e6 * counts / total).astype(np.float32)
