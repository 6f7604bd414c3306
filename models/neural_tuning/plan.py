"""The study as data: its arms, how training goes. Light: no PyTorch.

A run is an arm and a seed. All arms of a seed see the same pictures, requests and answers in the same order for the same number of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from models.neural_tuning.config import Config
from models.shared.backbones.language.tasks import TASKS
from models.shared.method import Preset

OWN, OFF, PROBE = "full", "stn_off", "probe"


class PlanRefused(ValueError):
    """A study configuration that cannot be run; its text is the sentence people see."""


@dataclass(frozen=True)
class Arm:
    """One network."""

    id: str
    label: str
    change: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the full network's settings."""


ARMS: Mapping[str, Arm] = {
    arm.id: arm
    for arm in (
        Arm(OWN, "sparse neurons beside the frozen language model"),
        Arm(OFF, "everything trained except the neurons", {"stn": False}),
        Arm(
            PROBE,
            "linear probe: frozen states, linear decoders alone",
            {"stn": False, "rows": "head", "projection": False, "decoders": "linear"},
        ),
        Arm("alpha_0", "no memory over depth (α = 0)", {"alpha": 0.0}),
        Arm("dense", "all neurons active", {"dense": True}),
        Arm("kv", "keys and values guided", {"targets": "kv"}),
        Arm("qkv", "queries, keys and values guided", {"targets": "qkv"}),
        Arm("zero_init", "beginning as the frozen model", {"zero_init": True}),
    )
}


@dataclass(frozen=True)
class Plan:
    """What one call of the recipe does."""

    arms: tuple[str, ...] = tuple(ARMS)
    seeds: tuple[int, ...] = (0, 1, 2)
    pool: int = 1600
    """Training pictures of a seed, of all phantom families, with none to three lesions."""
    variants: int = 4
    """Exchanges of each task for each training picture; which one is used is drawn every time."""
    tests: int = 200
    """Test pictures, and as many with combinations of traits that training never shows; one exchange of each task."""
    steps: int = 1200
    batch: int = 32
    """A quarter of it for each task (spec §4)."""
    lr: float = 3e-3
    decay: float = 0.1
    warm: float = 0.05
    """Share of the steps in which the rate rises; then it falls along a cosine (spec §4)."""
    side: int = 64
    """Of an outline."""
    width: int = 32
    """Of the outline decoder."""
    inline: bool = False
    """Object tokens behind the words that name them instead of at the answer's end (spec A10)."""
    silenced: int = 6
    """Neurons silenced for each task in the silencing study."""
    paint: int = 300
    """Steps of the small painter."""

    @property
    def runs(self) -> list[RunId]:
        """Every run, those first that the claim rests on."""
        return [RunId(arm, seed) for seed in self.seeds for arm in sorted(self.arms, key=lambda arm: arm not in (OWN, OFF, PROBE))]

    def config(self, arm: str) -> Config:
        """The arm's network."""
        return replace(Config(), **ARMS[arm].change)


@dataclass(frozen=True)
class RunId:
    """Which run."""

    arm: str
    seed: int


def read_plan(config: Mapping[str, object], seed: int = 0) -> Plan:
    """A preset's configuration, checked: entries are the plan's fields, `seeds` says how many. PlanRefused with a sentence for what cannot be run."""
    known = {one.name for one in fields(Plan)}
    if not set(config) <= known:
        raise PlanRefused(
            f"The study has the settings {', '.join(sorted(known))}; {', '.join(sorted(set(config) - known))} is none of them."
        )
    seeds = config.get("seeds", 3)
    if not isinstance(seeds, int) or not 1 <= seeds <= 20:
        raise PlanRefused("A study has 1 to 20 seeds.")
    change: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    plan = replace(Plan(), **change | {"seeds": tuple(range(seed, seed + seeds))})
    if not plan.arms or not set(plan.arms) <= set(ARMS) or plan.arms[0] != OWN:
        raise PlanRefused(f"The arms of a study are some of {', '.join(ARMS)}, beginning with {OWN}.")
    if plan.batch % len(TASKS) or plan.pool < plan.batch or plan.steps < 1 or plan.tests < 2:
        raise PlanRefused("A batch is so many equal quarters, the pool holds one at least, and there are a step and two test pictures.")
    return plan


def settings(plan: Plan) -> dict[str, Any]:
    """What all runs share."""
    return {name: value for name, value in asdict(plan).items() if name not in ("arms", "seeds")}


PRESETS = (
    Preset("embedded", "Every arm, 3 seeds. A stopped study goes on.", {"seeds": 3}),
    Preset(
        "cpu",
        "One seed of the three networks that the claim rests on: with neurons, without, and the linear probe. About 25 minutes of one processor core.",
        {"arms": [OWN, OFF, PROBE], "seeds": 1, "steps": 1800},
    ),
    Preset(
        "quick",
        "Few pictures and steps, one seed, three arms; a minute. Shows that everything runs; its numbers mean little.",
        {"arms": [OWN, OFF, PROBE], "seeds": 1, "pool": 48, "tests": 12, "steps": 12, "batch": 16, "paint": 20},
    ),
)
