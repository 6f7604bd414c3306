"""The network's settings, checked. Light: no PyTorch, so that records, plans and the screen can read it.

H is the picture's side; stage i (from 1) of the U-Net works at H / 2^(i−1); S windows a side; D channels of the fused features.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Fusion = Literal["sfm", "conv", "off"]


class ConfigRefused(ValueError):
    """Settings that make no network; its text is the sentence people see."""


@dataclass(frozen=True)
class Config:
    """One network. The defaults are the paper's size for heart slices; what the paper leaves open is the spec's choice (§2.2, inferred)."""

    side: int = 224
    in_channels: int = 1
    classes: int = 4
    """With the background."""
    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    dropouts: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.5)
    """Of the encoder's blocks; the decoder has none (SSL4MIS)."""
    fusion: Fusion = "sfm"
    """What makes the features that similarities are taken of: the fusion module, one plain convolution (SemSim-minus), or nothing."""
    scales: tuple[int, int, int] = (2, 3, 4)
    """Stages that are fused; the middle one gives the features' size."""
    dim: int = 128
    windows: int = 14
    """S: windows a side."""
    heads: int = 4
    mlp: int = 384
    """Hidden width of the module's MLP."""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def sides(self) -> tuple[int, ...]:
        """Side of each stage's map."""
        return tuple(self.side >> stage for stage in range(len(self.widths)))

    @property
    def feature_side(self) -> int:
        """Side of the fused features."""
        return self.sides[self.scales[1] - 1]

    @property
    def tokens(self) -> tuple[int, ...]:
        """Tokens of one window from each scale."""
        return tuple((self.sides[scale - 1] // self.windows) ** 2 for scale in self.scales)

    def as_json(self) -> dict[str, Any]:
        """Plain values for a card."""
        return asdict(self)


def from_json(values: dict[str, Any]) -> Config:
    """The settings a card holds. ConfigRefused when they make no network of this version."""
    try:
        return Config(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except TypeError as fault:
        raise ConfigRefused(f"These settings are not those of a SemSim network ({fault}). Make the checkpoint again.") from fault


def paper(side: int = 224, *, in_channels: int = 1, classes: int = 4, **change: Any) -> Config:
    """The paper's size."""
    return Config(side=side, in_channels=in_channels, classes=classes, **change)


def small(side: int = 64, *, in_channels: int = 1, classes: int = 4, **change: Any) -> Config:
    """What a CPU trains in minutes: four stages of 8 to 64 channels, features of 32 channels at a quarter of the picture's side (spec §8)."""
    made = Config(
        side=side,
        in_channels=in_channels,
        classes=classes,
        widths=(8, 16, 32, 64),
        dropouts=(0.05, 0.1, 0.2, 0.3),
        dim=32,
        windows=side // 16,
        mlp=96,
    )
    return replace(made, **change)


def _check(config: Config) -> None:
    stages = len(config.widths)
    if not 3 <= stages <= 6 or min(config.widths) < 1 or len(config.dropouts) != stages or not all(0 <= p < 1 for p in config.dropouts):
        raise ConfigRefused("A U-Net here has 3 to 6 stages, each with a width from 1 on and a dropout of at least 0 and below 1.")
    if config.side < 1 or config.side % (1 << (stages - 1)):
        raise ConfigRefused(
            f"A picture of {config.side} pixels cannot be halved {stages - 1} times; take a multiple of {1 << (stages - 1)}."
        )
    if config.in_channels not in (1, 3) or config.classes < 2:
        raise ConfigRefused("Pictures have 1 or 3 channels, and there are at least two classes, the background among them.")
    if config.fusion not in ("sfm", "conv", "off"):
        raise ConfigRefused(f"Features come from sfm, conv or off, not from {config.fusion!r}.")
    if (
        tuple(sorted(set(config.scales))) != tuple(config.scales)
        or len(config.scales) != 3
        or not 1 <= config.scales[0] <= config.scales[2] <= stages
    ):
        raise ConfigRefused(f"Three different stages from 1 to {stages} are fused, in rising order, not {config.scales}.")
    if config.dim < 1 or config.heads < 1 or config.dim % config.heads or config.mlp < 1:
        raise ConfigRefused(f"{config.dim} channels cannot be cut into {config.heads} attention heads; make them a multiple.")
    if config.windows < 1 or config.sides[config.scales[2] - 1] % config.windows:
        raise ConfigRefused(
            f"{config.windows} windows a side do not cut a map of {config.sides[config.scales[2] - 1]} pixels evenly; take a divisor of it."
        )
