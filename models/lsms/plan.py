"""The study as data: which arms, how training goes. Light: no PyTorch. All arms of a seed see the same slices and phrases for the same number of steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from models.lsms.config import Config
from models.lsms.phrases import VOCABULARY
from models.shared.method import Preset

OWN = "full"
MAIN = ("full", "no_language", "no_scale")
"""The method and the two rivals its claim rests on; they run first."""
WORDS = len(VOCABULARY) + 2


class PlanRefused(ValueError):
    """A study configuration that cannot be run; its text is the sentence people see."""


@dataclass(frozen=True)
class Arm:
    """One network, or one way to teach it."""

    id: str
    label: str
    change: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the full network's settings."""
    contrast: float = 0.2
    """Weight λ of the contrast between pixels and sentence."""
    emptiness: float = 0.5
    """Weight μ of the harder look at pictures in which nothing fits; it grows from nought between a tenth and half of the training."""
    none: float = 0.3
    """Share of training phrases that name what is not there; a quarter of the test phrases do."""

    def config(self) -> Config:
        """The arm's network."""
        return replace(Config(words=WORDS), **self.change)

    def as_config(self) -> dict:
        """Everything that sets its numbers apart from another arm's."""
        return {**asdict(self), "network": self.config().as_json()}


ARMS: Mapping[str, Arm] = {
    arm.id: arm
    for arm in (
        Arm(OWN, "LSMS"),
        # without words nothing says what is absent, and the harder look would only teach silence
        Arm("no_language", "without language: the picture alone", {"language": False}, contrast=0.0, emptiness=0.0),
        Arm("no_scale", "without the scale-aware part: one kernel size", {"kernels": ()}),
        Arm("no_fsd", "scales put together without the full-scale decoder", {"decoder": "plain"}),
        Arm("hamburger", "the predecessor's decoder (matrix factorisation)", {"decoder": "hamburger"}),
        Arm("no_contrast", "without the contrast of pixels and sentence", contrast=0.0),
        Arm("no_coords", "without telling pixels where they lie", {"coords": False}),
        Arm("lang_per_branch", "language for every kernel size", {"lang_per_branch": True}),
        Arm("no_emptiness", "without the harder look at pictures in which nothing fits", emptiness=0.0),
        Arm("no_none", "taught without phrases of what is not there", none=0.0),
    )
}


@dataclass(frozen=True)
class Plan:
    """What one call of the recipe does."""

    arms: tuple[str, ...] = tuple(ARMS)
    seeds: tuple[int, ...] = (0, 1, 2)
    slices: int = 1600
    """Training slices of a seed."""
    phrases: int = 8
    """Phrases for each."""
    tests: int = 300
    test_phrases: int = 4
    side: int = 64
    steps: int = 6000
    batch: int = 8
    lr: float = 2e-3
    weight_decay: float = 1e-2
    flip: float = 0.5
    """How often a slice is mirrored, with its side words swapped."""
    noise: float = 0.04

    @property
    def runs(self) -> list[tuple[str, int]]:
        """(arm, seed) of every run, those first that matter most."""
        runs = [(arm, seed) for seed in self.seeds for arm in self.arms]
        return sorted(runs, key=lambda run: run[0] not in MAIN)

    def as_config(self) -> dict:
        """What decides the numbers of every run beside its arm and seed; a longer list of arms or seeds goes on with the runs that are there."""
        return {name: value for name, value in asdict(self).items() if name not in ("arms", "seeds")} | {"first_seed": self.seeds[0]}


def read_plan(config: Mapping[str, object], seed: int = 0) -> Plan:
    """A preset's configuration, checked; `seeds` there is how many. PlanRefused with a sentence for what cannot be run."""
    names = {one.name for one in fields(Plan)}
    unknown = set(config) - names
    if unknown:
        raise PlanRefused(f"The study knows no setting called {', '.join(sorted(unknown))}; there are {', '.join(sorted(names))}.")
    given = dict(config)
    count = given.get("seeds", 3)
    arms = tuple(given.get("arms", tuple(ARMS)))
    if not arms or not set(arms) <= set(ARMS):
        raise PlanRefused(f"The arms of the study are some of {', '.join(ARMS)}.")
    if not isinstance(count, int) or not 1 <= count <= 20:
        raise PlanRefused("The study takes 1 to 20 seeds.")
    return replace(Plan(), **given | {"arms": arms, "seeds": tuple(range(seed, seed + count))})


PRESETS = (
    Preset(
        "embedded",
        "What ships: LSMS, its twin without language and its twin without the scale-aware part, 3 seeds. About two hours on one processor core; a stopped run "
        "goes on.",
        {"arms": list(MAIN), "seeds": 3},
    ),
    Preset(
        "every_arm",
        "Every arm and ablation on made-up liver slices with phrases, 3 seeds. Hours on one processor core, minutes with a GPU; a stopped run goes on.",
        {"seeds": 3},
    ),
    Preset(
        "quick",
        "Few slices and steps, one seed, two arms; a minute. Shows that everything runs; its numbers mean little.",
        {"arms": ["full", "no_language"], "seeds": 1, "slices": 48, "tests": 24, "steps": 40, "batch": 8},
    ),
)
