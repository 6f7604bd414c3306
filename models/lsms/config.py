"""Settings of the network, checked. Loads no PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

HEADS = ("fsd", "plain", "hamburger")


class ConfigRefused(ValueError):
    """Settings that make no network; the text is the sentence people see."""


@dataclass(frozen=True)
class Config:
    """The small profile by default (spec §8); `paper()` gives the predecessor's size (spec §2)."""

    widths: tuple[int, ...] = (16, 32, 48)
    depths: tuple[int, ...] = (1, 1, 2)
    mlp: tuple[int, ...] = (4, 4, 4)
    """Widening of each stage's MLP."""
    stem_convs: int = 1
    """Convolutions of stride 2 before the first stage."""
    kernels: tuple[int, ...] = (3, 5, 9)
    """Of the strip branches beside the 5×5; empty: without the scale-aware part."""
    text_width: int = 48
    words: int = 0
    """Size of the vocabulary for the own text encoder; 0: features come from a published one."""
    language: bool = True
    lang_per_branch: bool = False
    coords: bool = True
    """Two more input channels that tell where a pixel lies; without them left and right look alike to a convolution."""
    decoder: Literal["fsd", "plain", "hamburger"] = "fsd"
    width: int = 32
    """D of the decoder."""
    fsd_layers: int = 1
    fsd_heads: int = 4
    drop_path: float = 0.0
    layer_scale: float = 0.3
    """Of every block at the start."""

    def __post_init__(self) -> None:
        if not len(self.widths) == len(self.depths) == len(self.mlp) or not self.widths:
            raise ConfigRefused("Widths, depths and MLP ratios need one number for each stage.")
        if any(kernel < 3 or kernel % 2 == 0 for kernel in self.kernels):
            raise ConfigRefused("A strip's length is an odd number from 3.")
        if self.width % self.fsd_heads or self.decoder not in HEADS:
            raise ConfigRefused("The decoder's width is a multiple of its heads, and its kind one of fsd, plain and hamburger.")

    @property
    def strides(self) -> tuple[int, ...]:
        """Of each stage's map against the picture."""
        return tuple(2 ** (self.stem_convs + stage) for stage in range(len(self.widths)))

    def as_json(self) -> dict:
        """Plain values."""
        return asdict(self)


def from_json(values: dict) -> Config:
    """The inverse of `as_json`."""
    return Config(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def paper() -> Config:
    """The predecessor's encoder with our full-scale decoder: widths 64 to 512, strips 7, 11, 21, text of BERT's width."""
    return Config(
        (64, 128, 320, 512),
        (3, 3, 12, 3),
        (8, 8, 4, 4),
        2,
        (7, 11, 21),
        768,
        0,
        width=256,
        fsd_layers=2,
        fsd_heads=8,
        coords=False,
        drop_path=0.2,
        layer_scale=1e-2,
    )
