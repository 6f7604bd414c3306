"""Settings of the network, checked, and what they cost. Loads no PyTorch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

TARGETS = ("qv", "kv", "qkv")


class ConfigRefused(ValueError):
    """Settings that make no network; the text is the sentence people see."""


@dataclass(frozen=True)
class Config:
    """What is put beside the frozen language model and what of it learns; the small profile by default (spec §10)."""

    start: int = 2
    """s: the first layer with neurons, counted from 0; half of the layers lie below (16 of 32 in the paper)."""
    neurons: int = 32
    """D, in each layer; 128 in the paper."""
    rho: float = 0.4
    """ρ: the share of neurons that stays active."""
    alpha: float = 0.2
    """α: how much of the layer below's neurons is kept."""
    targets: Literal["qv", "kv", "qkv"] = "qv"
    """Which of queries, keys and values are guided."""
    jitter: float = 0.1
    """Width of the active rate's random change in training, as a share of ρ; never drawn outside training (spec A3)."""
    dropout: float = 0.05
    """Of the guidance, in training (the value is inferred)."""
    dense: bool = False
    """All neurons stay active, with their values as they are."""
    detach: bool = False
    """No gradient goes through the threshold: a variant (spec §3.6)."""
    zero_init: bool = False
    """Begin as the frozen model (spec A5, a deviation)."""
    stn: bool = True
    """Whether there are neurons at all."""
    rows: Literal["new", "all", "head"] = "new"
    """Of the words' tables: the task tokens' rows learn, or both tables whole (as released, spec A4), or the head alone (for the probe)."""
    projection: bool = True
    """Whether the map from picture patches to the language model learns."""
    decoders: Literal["full", "linear"] = "full"
    """What draws outlines and picture features from a state."""

    def __post_init__(self) -> None:
        if self.start < 0 or self.neurons < 2:
            raise ConfigRefused("Neurons begin in layer 0 or above, and there are at least two of them.")
        if not 0 < self.rho <= 1 or not 0 <= self.alpha <= 1:
            raise ConfigRefused("The active share ρ lies above 0 and up to 1, the memory α from 0 to 1.")
        if self.targets not in TARGETS:
            raise ConfigRefused(f"What is guided is one of {', '.join(TARGETS)}, not {self.targets!r}.")
        if self.rows not in ("new", "all", "head") or self.decoders not in ("full", "linear"):
            raise ConfigRefused("Rows are new, all or head, decoders full or linear.")
        if not 0 <= self.dropout < 1 or not 0 <= self.jitter < 0.5:
            raise ConfigRefused("Dropout lies from 0 to below 1, jitter from 0 to below 0.5.")

    def check(self, depth: int) -> None:
        """ConfigRefused when the first layer with neurons is not among the model's `depth` ones."""
        if self.stn and self.start >= depth:
            raise ConfigRefused(f"The language model has the layers 0 to {depth - 1}; neurons cannot begin in layer {self.start}.")

    def layers(self, depth: int) -> tuple[int, ...]:
        """Layers with neurons, counted from 0."""
        return tuple(range(self.start, depth)) if self.stn else ()

    def as_json(self) -> dict:
        """Plain values."""
        return asdict(self)


def from_json(values: Mapping[str, object]) -> Config:
    """The inverse of `as_json`."""
    return Config(**values)


def silent_count(rho: float, neurons: int) -> int:
    """κ = floor((1 − ρ) D): how many neurons do not pass the threshold, which is the κ-th smallest; 0 means that there is none."""
    return min(max(math.floor((1 - rho) * neurons + 1e-9), 0), neurons)


def stn_parameters(width: int, neurons: int, targets: str = "qv") -> int:
    """Numbers of one layer's task network: d D + D + D · (d for each target) (spec §3)."""
    return width * neurons + neurons + neurons * width * len(targets)


PAPER_WIDTH, PAPER_NEURONS, PAPER_LAYERS = 4096, 128, 16
"""LLaMA-2-7B with neurons in its upper half (spec §3)."""
