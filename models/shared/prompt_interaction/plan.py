"""The study of both rooms as data: which arms, how training goes. Light: no PyTorch.

All arms of a seed see the same pairs in the same order for the same number of steps. Arms of the two rooms that are the same network are one run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from models.shared.prompt_interaction.config import Config

OWN = "full"


class PlanRefused(ValueError):
    """A study configuration that cannot be run; its text is the sentence people see."""


@dataclass(frozen=True)
class Arm:
    """One network."""

    id: str
    label: str
    change: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the full network's settings."""
    blind: str = ""
    """"image" or "note": what it is not given, in training and in answering."""


ARMS: Mapping[str, Arm] = {
    arm.id: arm
    for arm in (
        Arm(OWN, "prompts and hub, both ways"),
        Arm("off", "no prompts: a head on frozen features", {"prompts": 0}),
        Arm("no_hub", "prompts, the hub off", {"direction": "off"}),
        Arm("to_text", "hub from picture to note alone", {"direction": "to_text"}),
        Arm("to_vision", "hub from note to picture alone", {"direction": "to_vision"}),
        Arm("uniform", "both ways, everything mixed alike", {"similarity": "uniform"}),
        Arm("random", "both ways, mixed by a fixed random table", {"similarity": "random"}),
        Arm("joint", "one bank of both sets", {"similarity": "joint"}),
        Arm("joint_masked", "one bank, without a prompt's likeness to itself", {"similarity": "joint_masked"}),
        Arm("pairwise", "each prompt with its counterpart alone", {"similarity": "pairwise"}),
        Arm("gelu", "activation taken as a nonlinearity", {"activate": "gelu"}),
        Arm("text_only", "the note alone", blind="image"),
        Arm("image_only", "the picture alone", blind="note"),
    )
}


@dataclass(frozen=True)
class Plan:
    """What one call of a room's recipe does."""

    arms: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    prompts: int = 4
    rungs: int = 3
    pool: int = 3000
    """Training pictures of a seed, one lesion each, of all phantom families."""
    notes: int = 2
    """Notes of each verdict for each."""
    tests: int = 400
    steps: int = 800
    batch: int = 32
    lr: float = 1e-3
    weight_decay: float = 0.01

    @property
    def runs(self) -> list[tuple[str, int]]:
        """(arm, seed) of every run."""
        return [(arm, seed) for seed in self.seeds for arm in self.arms]

    def config(self, arm: str) -> Config:
        """The arm's network."""
        return replace(Config(prompts=self.prompts, rungs=self.rungs), **ARMS[arm].change)

    def settings(self) -> dict[str, Any]:
        """What all runs share."""
        return {name: value for name, value in asdict(self).items() if name not in ("arms", "seeds")}


def read_plan(arms: Sequence[str], config: Mapping[str, object], seed: int = 0) -> Plan:
    """A room's arms and a preset's configuration, checked; `seeds` there is how many. PlanRefused with a sentence for what cannot be run."""
    names = {one.name for one in fields(Plan)}
    unknown = set(config) - names
    if unknown:
        raise PlanRefused(f"The study knows no setting called {', '.join(sorted(unknown))}; there are {', '.join(sorted(names))}.")
    chosen, count = tuple(config.get("arms", arms)), config.get("seeds", 3)
    if not chosen or not set(chosen) <= set(arms):
        raise PlanRefused(f"The arms of the study are some of {', '.join(arms)}.")
    if not isinstance(count, int) or not 1 <= count <= 20:
        raise PlanRefused("The study takes 1 to 20 seeds.")
    return replace(Plan(chosen), **{**config, "arms": chosen, "seeds": tuple(range(seed, seed + count))})
