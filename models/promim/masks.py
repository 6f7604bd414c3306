"""Which patches the prompt-maker may see: seeded masks over the grid of patches (ProMIM, arXiv 2508.04942).

B pictures, N patches in reading order, k patches kept.

A mask says which patches stay; the others are dropped, not painted over. `random` draws a permutation for each picture. `block` drops
rectangles, in the manner of BEiT's block-wise masking (arXiv 2106.08254, algorithm 1), which the paper is reported to have compared with.

Known deviations: how N(1 − r) is rounded is not told; here k = N − round(rN) (inferred), so that 49 of 196 stay at r = 0.75. BEiT may
drop a few patches more or less than asked; here the last rectangle is trimmed, so that both ways keep exactly k.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Sampling = Literal["random", "block"]
SAMPLINGS: tuple[Sampling, ...] = ("random", "block")
_LEAST_BLOCK = 4
_FLATTEST = 0.3  # BEiT: a rectangle's height over its width lies between this and its inverse


def kept_count(patches: int, ratio: float) -> int:
    """k = N − round(rN), between 0 and N. Raises ValueError for a ratio outside 0…1."""
    if not 0 <= ratio <= 1:
        raise ValueError(f"The share of patches to hide lies between 0 and 1; {ratio} does not.")
    return patches - round(ratio * patches)


def sample_keep(
    pictures: int, grid: tuple[int, int], ratio: float, *, mode: Sampling = "random", generator: torch.Generator | None = None
) -> Tensor:
    """Patches to keep, int64 (B, k), in rising order in each row, every row its own draw; the same generator state gives the same rows.

    `grid` is (rows, columns); patch number = row × columns + column. Raises ValueError for an unknown mode or a ratio outside 0…1.
    """
    patches = grid[0] * grid[1]
    k = kept_count(patches, ratio)
    if mode == "random":
        order = torch.rand(pictures, patches, generator=generator).argsort(dim=1)  # a random permutation in each row
        return order[:, :k].sort(dim=1).values
    if mode != "block":
        raise ValueError(f"Patches are hidden in the way {' or '.join(SAMPLINGS)}, not {mode!r}.")
    kept = [torch.nonzero(~_blocks(grid, patches - k, generator).flatten()).flatten() for _ in range(pictures)]
    return torch.stack(kept) if kept else torch.empty(0, k, dtype=torch.int64)


def _blocks(grid: tuple[int, int], drop: int, generator: torch.Generator | None) -> Tensor:
    """bool (rows, columns) with exactly `drop` patches True: rectangles, one after the other, the last one trimmed."""
    rows, columns = grid
    hidden = torch.zeros(rows, columns, dtype=torch.bool)
    while (missing := drop - int(hidden.sum())) > 0:
        area, shape, at_row, at_column = torch.rand(4, generator=generator).tolist()
        size = min(_LEAST_BLOCK, missing) + area * max(missing - _LEAST_BLOCK, 0)
        aspect = math.exp(math.log(_FLATTEST) * (1 - 2 * shape))
        height = min(rows, max(1, round(math.sqrt(size * aspect))))
        width = min(columns, max(1, round(math.sqrt(size / aspect))))
        top, left = int(at_row * (rows - height + 1)), int(at_column * (columns - width + 1))
        block = torch.zeros_like(hidden)
        block[top : top + height, left : left + width] = True
        fresh = torch.nonzero((block & ~hidden).flatten()).flatten()[:missing]
        hidden.view(-1)[fresh] = True
    return hidden
