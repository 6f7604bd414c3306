"""Decisions of a person on suspected labels, put back into the labels. NumPy alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.self_cleansing.results import OptionRefused

Action = Literal["accept", "reject", "edit"]


@dataclass(frozen=True, eq=False)
class Decision:
    """What a person said of one training picture's label."""

    index: int
    action: Action
    """Accept the proposed correction, reject it and keep the label, or put another label of one's own."""
    mask: np.ndarray | None = None
    """uint8 (H, W): the label drawn by hand, for "edit"."""


def apply(given: np.ndarray, proposed: np.ndarray, decisions: Iterable[Decision], structures: int) -> np.ndarray:
    """Labels (N, H, W) after the decisions, a new array; of several on one picture the last counts. OptionRefused for one that cannot be followed."""
    labels = np.array(given, np.uint8)
    if proposed.shape != labels.shape:
        raise OptionRefused(f"Proposals {proposed.shape} and labels {labels.shape} must have one shape.")
    for decision in decisions:
        if not 0 <= decision.index < len(labels):
            raise OptionRefused(f"There are {len(labels)} training pictures; there is none with the number {decision.index}.")
        if decision.action == "edit":
            mask = None if decision.mask is None else np.asarray(decision.mask)
            if mask is None or mask.shape != labels.shape[1:] or mask.min() < 0 or mask.max() > structures:
                raise OptionRefused(f"An edited label is a mask of {labels.shape[1:]} pixels with numbers from 0 to {structures}.")
            labels[decision.index] = mask
        elif decision.action in ("accept", "reject"):
            labels[decision.index] = (proposed if decision.action == "accept" else given)[decision.index]
        else:
            raise OptionRefused(f"A decision is accept, reject or edit, not {decision.action!r}.")
    return labels
