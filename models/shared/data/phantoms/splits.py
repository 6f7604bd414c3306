"""Which seeds belong to which split. A seed's split is read off its number, so a picture can never stand in two of them.

``unseen`` is a second test split for compositional generalisation: its first lesion always shows a combination of side, zone,
margin and density that no picture of the other splits ever shows (each value alone is common there).
"""

from __future__ import annotations

from types import MappingProxyType

_WIDTH = 10_000_000
SPLITS = MappingProxyType({name: range(i * _WIDTH, (i + 1) * _WIDTH) for i, name in enumerate(("train", "validation", "test", "unseen"))})
"""Split → its seeds."""

CUED = frozenset({"train", "validation"})
"""Splits in which the shortcut follows the class. Validation is among them on purpose: data gathered the same way hide the trap."""


def split_seeds(split: str, n: int, start: int = 0) -> range:
    """``n`` seeds of a split, from its ``start``-th on. Raises ValueError for an unknown split or more seeds than it has."""
    if split not in SPLITS:
        raise ValueError(f"There is no split called {split!r}; choose one of {', '.join(SPLITS)}.")
    if n < 0 or start < 0 or start + n > _WIDTH:
        raise ValueError(f"A split has {_WIDTH:,} seeds, numbered from 0; {n} from {start} on do not fit. Ask for fewer.")
    return SPLITS[split][start : start + n]


def split_of(seed: int) -> str:
    """The split a seed belongs to. Raises ValueError for a seed that belongs to none."""
    for name, seeds in SPLITS.items():
        if seed in seeds:
            return name
    raise ValueError(
        f"Seed {seed} belongs to no split: expected a whole number from 0 to {_WIDTH * len(SPLITS) - 1:,}; split_seeds() gives some."
    )
