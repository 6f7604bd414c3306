"""The studies as data: which pictures and labels, which arms, how training goes. Light: no PyTorch.

A run is a task, an arm and a seed. All arms of a task and seed see the same pictures in the same order for the same number of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from models.hsvlt.config import Config
from models.hsvlt.findings import FINDINGS
from models.shared.method import Preset

OWN, LAST = "full", "stage_4"


class PlanRefused(ValueError):
    """A study configuration that cannot be run; its text is the sentence people see."""


@dataclass(frozen=True)
class Arm:
    """One network, or one way to teach it."""

    id: str
    label: str
    change: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the full network's settings."""
    vectors: str = "clip"
    """Kind of label vectors, see `labels.py`."""
    loss: Literal["bce", "asl"] = "bce"
    pretrained: bool = True
    """Whether the visual trunk begins with what it learned from crops, see `pretraining.py`."""


ARMS: Mapping[str, Arm] = {
    arm.id: arm
    for arm in (
        Arm(OWN, "HSVLT"),
        Arm(LAST, "the last scale alone", {"stages": (4,)}),
        Arm("stages_34", "the last two scales", {"stages": (3, 4)}),
        Arm("random_labels", "label vectors without words", vectors="random"),
        Arm("ngram_labels", "label vectors from spelling", vectors="ngram"),
        Arm("text_to_vision", "words write back into the picture's features", {"text_to_vision": True}),
        Arm("visual_only", "without multiplying by the words", {"fusion": "visual"}),
        Arm("no_gate", "without the labels' gate", {"gate": False}),
        Arm("topdown", "the decoder along the label list", {"aggregate": "topdown", "topdown_width": 96}),
        Arm("asl", "the asymmetric loss", loss="asl"),
        Arm("scratch", "a trunk that begins untrained", pretrained=False),
    )
}


@dataclass(frozen=True)
class Task:
    """One set of pictures and its labels."""

    id: str
    title: str
    kind: Literal["real", "phantom"]
    source: str
    """"findings", or a data set's name."""
    labels: tuple[str, ...]
    arms: tuple[str, ...]
    side: int = 96
    pool: int = 6000
    """Phantoms: training pictures of a seed."""
    tests: int = 1000
    steps: int = 3000
    batch: int = 16
    lr: float = 1e-3
    weight_decay: float = 0.05
    pretrain: int = 4000
    """Steps of the trunk's first lesson."""
    crops_from: int = 5000
    """Made-up pictures that its crops are taken from."""

    def config(self, arm: Arm, text_width: int) -> Config:
        """The arm's network on these labels."""
        return replace(Config(len(self.labels), text_width), **arm.change)


TASKS: Mapping[str, Task] = {
    task.id: task
    for task in (
        Task("findings", "Made-up chest pictures, eight findings", "phantom", "findings", FINDINGS, tuple(ARMS)),
        Task(
            "brain", "Brain MRI, three tumours", "real", "brain_mri", ("glioma", "meningioma", "pituitary tumour"), (OWN, LAST), steps=1600
        ),
        Task("busi", "Breast ultrasound (BUSI), two labels", "real", "busi", ("benign mass", "malignant mass"), (OWN, LAST), steps=800),
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
        return sorted(runs, key=lambda run: (run.arm not in (OWN, LAST), run.task != "findings"))

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
    if "findings" not in changes or not isinstance(seeds, int) or not 1 <= seeds <= 20:
        raise PlanRefused("A study has the task findings, whose weights ship, and 1 to 20 seeds.")
    return Plan(tuple(_task(name, change) for name, change in changes.items()), tuple(range(seed, seed + seeds)))


def _task(name: str, change: Mapping[str, Any]) -> Task:
    if name not in TASKS:
        raise PlanRefused(f"There is no study called {name!r}; there are {', '.join(TASKS)}.")
    known = {one.name for one in fields(Task)} - {"id", "source", "kind", "labels"}
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
    Preset(
        "embedded",
        "Every arm on made-up chest pictures, and the full network beside its single-scale twin on brain MRI and BUSI; 3 seeds. A stopped study goes on.",
        {"seeds": 3},
    ),
    Preset(
        "quick",
        "Few pictures and steps, one seed, two arms; a minute. Shows that everything runs; its numbers mean little.",
        {
            "tasks": {"findings": {"arms": [OWN, LAST], "pool": 300, "tests": 120, "steps": 60, "pretrain": 20, "crops_from": 40}},
            "seeds": 1,
        },
    ),
)
