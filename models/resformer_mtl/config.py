"""The network's settings, checked. Light: no PyTorch, so that records, plans and the screen can read it.

H is the picture's side; p the stride of the embedding (2 in the paper); stage i works at H / (p · 2^(i−1)).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Wiring = Literal["sequential", "parallel"]
Dfe = Literal["all", "skips", "off"]
Rates = tuple[tuple[int, int, int], ...]
STAGES = 4
PAPER_RATES = (6, 12, 18)


class ConfigRefused(ValueError):
    """Settings that make no network; its text is the sentence people see."""


@dataclass(frozen=True)
class Config:
    """One network. The defaults are the paper's, as its repository sets them for OCT (spec §2)."""

    side: int = 512
    in_channels: int = 3
    seg_classes: int = 4
    """Channels of the segmentation: 1 is one structure through a sigmoid; K > 1 is background and K − 1 structures through a softmax."""
    classes: int = 3
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    """Residual blocks of each stage."""
    heads: tuple[int, int, int, int] = (2, 4, 8, 16)
    window: int | None = None
    """Side of the attention's windows in tokens; None takes the whole map of stage 4, the paper's H/16."""
    kernels: tuple[int, ...] = (2, 4, 8, 16)
    """Of the embedding, for a stride of 2; with another stride they grow with it."""
    stem_stride: int = 1
    """Of the 7×7 convolution: 1 in the paper; 2 quarters the work and is ours, for a CPU."""
    transformer: bool = True
    """Off: the encoder is a plain residual network."""
    wiring: Wiring = "sequential"
    dfe: Dfe = "all"
    """Feature enhancement on every encoder scale, on the skips alone (not at the bottleneck), or nowhere."""
    rates: Literal["paper", "auto"] | Rates = "paper"
    """Dilations of the three branches: 6/12/18; "auto" caps them at half the map; or three for each stage."""
    scales: tuple[int, ...] = (3, 4)
    """Stages that the classifier pools."""
    head_width: int = 32
    drop_path: float = 0.1
    eca_layout: Literal["correct", "repo"] = "correct"
    """"repo": tokens and channels mixed up before channel attention, as the published code does."""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def stride(self) -> int:
        """Pixels from one token of stage 1 to the next."""
        return 2 * self.stem_stride

    @property
    def sides(self) -> tuple[int, ...]:
        """Side of each stage's map."""
        return tuple(self.side // (self.stride << stage) for stage in range(STAGES))

    @property
    def window_side(self) -> int:
        """The windows' side in use."""
        return self.window or self.sides[-1]

    @property
    def stage_rates(self) -> Rates:
        """The three dilations of each stage in use."""
        if self.rates == "paper":
            return (PAPER_RATES,) * STAGES
        if self.rates == "auto":
            return tuple(tuple(max(1, min(rate, side // 2)) for rate in PAPER_RATES) for side in self.sides)
        return self.rates

    @property
    def structures(self) -> int:
        """Structures that are outlined, background not counted."""
        return max(1, self.seg_classes - 1)

    def as_json(self) -> dict[str, Any]:
        """Plain values for a card."""
        return asdict(self)


def from_json(values: dict[str, Any]) -> Config:
    """The settings a card holds. ConfigRefused when they make no network of this version."""

    def tuples(value: Any) -> Any:
        return tuple(tuples(item) for item in value) if isinstance(value, list) else value

    try:
        return Config(**{name: tuples(value) for name, value in values.items()})
    except TypeError as fault:
        raise ConfigRefused(f"These settings are not those of a ResFormer network ({fault}). Make the checkpoint again.") from fault


def paper(side: int = 512, *, seg_classes: int | None = None, classes: int = 3, **change: Any) -> Config:
    """The paper's size: 512 pixels with four OCT classes, or 224 with one structure, as for skin lesions."""
    return Config(side=side, seg_classes=(4 if side == 512 else 1) if seg_classes is None else seg_classes, classes=classes, **change)


def small(side: int = 96, *, seg_classes: int = 1, classes: int = 3, **change: Any) -> Config:
    """What a CPU trains in minutes: grey pictures, one residual block a stage, narrow maps, dilations that fit them (spec §8)."""
    made = Config(
        side=side,
        in_channels=1,
        seg_classes=seg_classes,
        classes=classes,
        widths=(8, 16, 32, 64),
        blocks=(1, 1, 1, 1),
        heads=(1, 2, 4, 8),
        kernels=(2, 4, 8),
        rates=((2, 4, 6), (1, 2, 4), (1, 2, 3), (1, 1, 2)),
    )
    return replace(made, **change)


def _check(config: Config) -> None:
    side, lengths = config.side, (config.widths, config.blocks, config.heads)
    if any(len(values) != STAGES or min(values) < 1 for values in lengths):
        raise ConfigRefused("Widths, blocks and heads are four whole numbers each, from 1 on, one for each stage.")
    if side < 1 or side % (config.stride << (STAGES - 1)):
        raise ConfigRefused(f"A picture of {side} pixels cannot be halved {STAGES} times here; take a multiple of {config.stride << 3}.")
    if side % ((config.stride << (STAGES - 1)) * config.window_side):
        unit = (config.stride << (STAGES - 1)) * config.window_side
        raise ConfigRefused(
            f"Windows of {config.window_side} tokens do not fill the maps of a picture of {side} pixels; take a multiple of {unit}."
        )
    if config.transformer and any(deep != 2 * width for width, deep in zip(config.widths, config.widths[1:], strict=False)):
        raise ConfigRefused(
            f"Merging doubles the width from stage to stage, so {config.widths} cannot be; double each, such as 8, 16, 32, 64."
        )
    if any(width % heads for width, heads in zip(config.widths, config.heads, strict=True)):
        raise ConfigRefused(f"The widths {config.widths} cannot be cut into {config.heads} attention heads; make each a multiple.")
    if config.classes < 1 or config.seg_classes < 1 or config.in_channels not in (1, 3):
        raise ConfigRefused("There must be at least one class and one structure, and pictures have 1 or 3 channels.")
    if not config.scales or not set(config.scales) <= set(range(1, STAGES + 1)):
        raise ConfigRefused(f"The classifier pools some of the stages 1 to {STAGES}, not {config.scales}.")
    if config.wiring not in ("sequential", "parallel") or config.dfe not in ("all", "skips", "off"):
        raise ConfigRefused("The wiring is sequential or parallel, and feature enhancement stands on all scales, on the skips, or is off.")
    if len(config.stage_rates) != STAGES or any(len(rates) != 3 or min(rates) < 1 for rates in config.stage_rates):
        raise ConfigRefused("Dilations are three whole numbers from 1 on for each of the four stages.")
    if not config.kernels or any(kernel < 2 or kernel % 2 for kernel in config.kernels):
        raise ConfigRefused(f"The embedding's kernels are even numbers from 2 on, not {config.kernels}.")
