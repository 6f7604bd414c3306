"""What a section's counts are, whatever file they came in, and the limits that every reader holds to."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

MAX_SPOTS, MAX_GENES = 60_000, 80_000
MAX_VALUES = 400_000_000
"""Stored numbers of one table."""
MAX_BYTES = 1 << 30


class SpatialRefused(ValueError):
    """A table cannot be used; the text is one plain sentence: what was wrong, what is expected, what to do."""


@dataclass(frozen=True, eq=False)
class Expression:
    """Counts of one section. N spots, G genes."""

    counts: sparse.csr_matrix = field(repr=False)
    """float32 (N, G), never negative."""
    genes: tuple[str, ...] = field(repr=False)
    xy: np.ndarray = field(repr=False)
    """float64 (N, 2): centres in pixels of the full picture."""
    diameter_px: float | None
    """Of a spot, in pixels of the full picture; None when the files do not say."""
    mpp: float | None
    """µm per pixel of the full picture; None when nothing tells."""
    section: str = ""
    patient: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        spots, genes = self.counts.shape
        if len(self.genes) != genes or self.xy.shape != (spots, 2):
            raise SpatialRefused(
                f"The parts of this table do not fit: {spots} spots and {genes} genes, but {len(self.xy)} places and {len(self.genes)} names."
            )
        if spots < 1 or genes < 1:
            raise SpatialRefused("The table has no spots or no genes, so there is nothing to compare a prediction with.")
        if not np.isfinite(self.xy).all():
            raise SpatialRefused("Some spots have no place; every spot needs a finite x and y in pixels of the picture.")
        if self.counts.nnz and (not np.isfinite(self.counts.data).all() or self.counts.data.min() < 0):
            raise SpatialRefused("The table holds negative or infinite counts; bring raw counts, neither logarithms nor centred values.")

    @property
    def spots(self) -> int:
        """How many spots there are."""
        return self.counts.shape[0]


def check_size(spots: int, genes: int, *, stored: int = 0) -> None:
    """Raises SpatialRefused before anything of an absurd size is read."""
    if spots > MAX_SPOTS or genes > MAX_GENES or stored > MAX_VALUES:
        raise SpatialRefused(
            f"The table is too large: {spots:,} spots × {genes:,} genes; at most {MAX_SPOTS:,} × {MAX_GENES:,} can be read."
        )
