"""Settings of the network, checked. Loads no PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal


class ConfigRefused(ValueError):
    """Settings that make no network; the text is the sentence people see."""


@dataclass(frozen=True)
class Config:
    """The small profile by default (spec §10); `paper()` gives the released COCO configuration (spec §3)."""

    labels: int = 8
    """K."""
    text_width: int = 192
    """E of the label vectors; as the small CLIP's text tower gives them."""
    widths: tuple[int, ...] = (16, 32, 64, 128)
    depths: tuple[int, ...] = (1, 1, 2, 1)
    stem: int = 4
    """Side and stride of the first convolution."""
    heads: int = 1
    layer_scale: float = 1.0
    """γ at the start; 1e-6 presumes a pretrained trunk. In our trials 1 found small findings sooner than 0.1."""
    spread: float | None = None
    """Standard deviation of linear layers at the start; None: one over the root of a layer's inputs. The released 0.02 presumes hundreds of channels."""
    stages: tuple[int, ...] = (1, 2, 3, 4)
    """Whose multi-modal features the head reads."""
    fusion: Literal["product", "visual"] = "product"
    """T ⊙ X, or X alone."""
    gate: bool = True
    text_to_vision: bool = False
    """Whether words write back into the picture's features (spec §4, inferred)."""
    aggregate: Literal["concat", "topdown"] = "concat"
    topdown_width: int = 512

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.depths) or not self.widths or min(*self.widths, *self.depths, self.labels, self.stem) < 1:
            raise ConfigRefused("Widths and depths need one positive number for each stage.")
        if any(width % self.heads for width in self.widths):
            raise ConfigRefused("Every width is a multiple of the number of heads.")
        if not self.stages or not set(self.stages) <= set(range(1, len(self.widths) + 1)) or sorted(set(self.stages)) != list(self.stages):
            raise ConfigRefused(f"The head reads some of the stages 1 to {len(self.widths)}, in order.")
        if self.fusion not in ("product", "visual") or self.aggregate not in ("concat", "topdown"):
            raise ConfigRefused("Fusion is product or visual, aggregation concat or topdown.")

    @property
    def strides(self) -> tuple[int, ...]:
        """Of each stage's map against the picture."""
        return tuple(self.stem * 2**number for number in range(len(self.widths)))

    def as_json(self) -> dict:
        """Plain values."""
        return asdict(self)


def from_json(values: dict) -> Config:
    """The inverse of `as_json`."""
    return Config(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def paper(labels: int = 80) -> Config:
    """ConvNeXt-Small with BERT's 768-wide label vectors."""
    return Config(labels, 768, (96, 192, 384, 768), (3, 3, 27, 3), 4, layer_scale=1e-6, spread=0.02)
