"""The studies as data: two tasks, their arms, how training goes. Light: no PyTorch.

A run is a task, an arm and a seed. All arms of a task and seed see the same pictures and texts in the same order for the same number of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from models.mit.config import Config
from models.shared.method import Preset

OWN, OFF, TOKENS = "full", "off", "tokens"


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
        Arm(OWN, "infused, residual form as released"),
        Arm(OFF, "nothing infused: the text alone", {"layers": ()}),
        Arm("paper", "infused, replacing form as printed", {"form": "paper"}),
        Arm("identity", "beginning as the frozen model", {"identity_init": True}),
        Arm("no_rescale", "without the heads' gates", {"learned": False, "cosine": False}),
        Arm("keys", "keys alone", {"values": False, "ffn": False}),
        Arm("values", "values alone", {"keys": False, "ffn": False}),
        Arm("ffn", "feed-forward units alone", {"keys": False, "values": False}),
        Arm("last", "the last layer alone", {"layers": (4,)}),
        Arm("every", "all four layers", {"layers": (1, 2, 3, 4)}),
        Arm(TOKENS, "patches put before the text", {"layers": (), "prepend": True}),
    )
}


@dataclass(frozen=True)
class Task:
    """One question about pictures and texts."""

    id: str
    title: str
    arms: tuple[str, ...]
    pool: int
    """Training pictures of a seed, of all phantom families."""
    texts: int
    """Texts for each: notes of every verdict, or phrases."""
    tests: int = 300
    steps: int = 800
    batch: int = 32
    lr: float = 3e-3
    drop: float = 1 / 3
    """Every such share of the steps the rate falls to a tenth (spec §4)."""
    side: int = 64
    """Of an outline."""
    width: int = 32
    """Of the outline head."""

    def config(self, arm: str) -> Config:
        """The arm's network."""
        return replace(Config(), **ARMS[arm].change)


TASKS: Mapping[str, Task] = {
    task.id: task
    for task in (
        Task("notes", "Does the note fit the picture?", tuple(ARMS), pool=1600, texts=2),
        Task(
            "outline",
            "Which lesion does the phrase mean?",
            (OWN, OFF, "paper", "no_rescale", "last", TOKENS),
            pool=1200,
            texts=4,
            steps=800,
            lr=2e-3,
        ),
    )
}


@dataclass(frozen=True)
class RunId:
    """Which run."""

    task: str
    arm: str
    seed: int


@dataclass(frozen=True)
class Plan:
    """What one call of the recipe does."""

    tasks: tuple[Task, ...]
    seeds: tuple[int, ...]

    @property
    def runs(self) -> list[RunId]:
        """Every run, those first that the claim rests on."""
        runs = [RunId(task.id, arm, seed) for task in self.tasks for seed in self.seeds for arm in task.arms]
        return sorted(runs, key=lambda run: run.arm not in (OWN, OFF))

    def task(self, id: str) -> Task:
        """The task of that name. KeyError for an unknown one."""
        return {task.id: task for task in self.tasks}[id]


def read_plan(config: Mapping[str, object], seed: int = 0) -> Plan:
    """A preset's configuration, checked. PlanRefused with a sentence for what cannot be run.

    Entries: `tasks` (names, or name → changes of a task's fields), `seeds` (how many).
    """
    unknown = set(config) - {"tasks", "seeds"}
    if unknown:
        raise PlanRefused(f"The studies know no setting called {', '.join(sorted(unknown))}; there are tasks and seeds.")
    asked = config.get("tasks", tuple(TASKS))
    changes = dict(asked) if isinstance(asked, Mapping) else {str(name): {} for name in asked}
    seeds = config.get("seeds", 3)
    if not changes or not isinstance(seeds, int) or not 1 <= seeds <= 20:
        raise PlanRefused("A study has at least one task and 1 to 20 seeds.")
    return Plan(tuple(_task(name, change) for name, change in changes.items()), tuple(range(seed, seed + seeds)))


def _task(name: str, change: Mapping[str, Any]) -> Task:
    if name not in TASKS:
        raise PlanRefused(f"There is no study called {name!r}; there are {', '.join(TASKS)}.")
    known = {one.name for one in fields(Task)} - {"id", "title"}
    if not set(change) <= known:
        raise PlanRefused(f"A study has the settings {', '.join(sorted(known))}; {', '.join(sorted(set(change) - known))} is none of them.")
    task = replace(TASKS[name], **{key: tuple(value) if isinstance(value, list) else value for key, value in change.items()})
    if not task.arms or not set(task.arms) <= set(ARMS) or task.arms[0] != OWN:
        raise PlanRefused(f"The arms of a study are some of {', '.join(ARMS)}, beginning with {OWN}.")
    return task


def settings(task: Task) -> dict[str, Any]:
    """What all runs of a task share."""
    return {name: value for name, value in asdict(task).items() if name not in ("arms", "title")}


PRESETS = (
    Preset("embedded", "Both tasks, every arm, 3 seeds. A stopped study goes on.", {"seeds": 3}),
    Preset(
        "quick",
        "Few pictures and steps, one seed, two arms; a minute. Shows that everything runs; its numbers mean little.",
        {
            "tasks": {
                "notes": {"arms": [OWN, OFF], "pool": 64, "tests": 24, "steps": 30, "batch": 16},
                "outline": {"arms": [OWN, OFF], "pool": 48, "tests": 16, "steps": 20, "batch": 16},
            },
            "seeds": 1,
        },
    ),
)
