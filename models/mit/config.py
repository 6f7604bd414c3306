"""Settings of the network, checked, and what they cost. Loads no PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal


class ConfigRefused(ValueError):
    """Settings that make no network; the text is the sentence people see."""


@dataclass(frozen=True)
class Config:
    """How a picture gets into the frozen language model; the small profile by default (spec §10)."""

    layers: tuple[int, ...] = (2, 3)
    """Λ, counted from 1 (spec A4); none: the picture does not get in."""
    form: Literal["residual", "paper"] = "residual"
    """As released, or as printed (spec A1)."""
    keys: bool = True
    values: bool = True
    ffn: bool = True
    learned: bool = True
    """Whether the gate holds the learned L."""
    cosine: bool = True
    """Whether the gate holds the cosine; without both terms the gate is 1."""
    identity_init: bool = False
    """Begin as the frozen model (spec A5, a deviation)."""
    mask_padding: bool = True
    """Leave padding out of the cosine (spec A3); False as released."""
    normalise: bool = False
    """Whether picture vectors are made of length one first."""
    prepend: bool = False
    """The baseline: patches as tokens before the text, and no infusion."""

    def __post_init__(self) -> None:
        if sorted(set(self.layers)) != list(self.layers) or (self.layers and self.layers[0] < 1):
            raise ConfigRefused("Infused layers are named by numbers from 1, each once and in order.")
        if self.form not in ("residual", "paper"):
            raise ConfigRefused(f"The form is residual or paper, not {self.form!r}.")
        if self.layers and not (self.keys or self.values or self.ffn):
            raise ConfigRefused("Infusion needs at least one of keys, values and the feed-forward part.")
        if self.prepend and self.layers:
            raise ConfigRefused("Pictures are put before the text or infused, not both.")

    def check(self, depth: int) -> None:
        """ConfigRefused when a layer is not among the model's `depth` ones."""
        if self.layers and self.layers[-1] > depth:
            raise ConfigRefused(f"The language model has {depth} layers; there is no layer {self.layers[-1]}.")

    def as_json(self) -> dict:
        """Plain values."""
        return asdict(self)


def from_json(values: dict) -> Config:
    """The inverse of `as_json`."""
    return Config(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def infusion_parameters(width: int, ffn: int, heads: int, image: int) -> int:
    """Numbers of one infused layer and modality: 4 (d_I d + d) + (d_I d_ff + d_ff) + h (spec §3)."""
    return 4 * (image * width + width) + image * ffn + ffn + heads


@dataclass(frozen=True)
class Sizes:
    """Of a language model, for reckoning."""

    width: int
    ffn: int
    layers: int
    heads: int


LLAMA_7B = Sizes(4096, 11008, 32, 32)
CLIP_LARGE = 768
"""Width of CLIP ViT-L/14's joint space; it has 577 visual tokens at 336 pixels."""


def flops(sizes: Sizes, text: int, *, visual: int = 0, infused: int = 0, image: int = 0) -> float:
    """Multiplications and additions of one forward pass over `text` tokens, LM head left out (inferred: matrix products alone, times two).

    visual: tokens put before the text; infused: layers with infusion of a vector of width `image`.
    """
    t, d = text + visual, sizes.width
    layer = 4 * t * d * d + 2 * t * t * d + 3 * t * d * sizes.ffn
    maps = image * (4 * d + sizes.ffn) + 4 * t * d + t * sizes.ffn  # five maps once, then two products and sums a token
    return 2.0 * (sizes.layers * layer + infused * maps)
