"""The studies as data: which pictures, how many keep their labels, which arms, how training goes. Light: no PyTorch.

A run is a task, an arm, a number of labelled pictures and a seed. All arms of a task, number and seed see the same labelled pictures and the same
batches for the same number of steps. Seeds differ in which pictures are labelled; with more labels the fewer stay among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from models.semsim.config import Config, small

OWN, FIXMATCH, SUPERVISED, LITERAL = "semsim", "fixmatch", "supervised", "semsim_literal"
MAIN = (SUPERVISED, FIXMATCH, OWN, LITERAL)
TEMPERED, PAPER_T = 0.1, 1.0


class PlanRefused(ValueError):
    """A study configuration that cannot be run; its text is the sentence people see."""


@dataclass(frozen=True)
class Arm:
    """One way to train."""

    id: str
    label: str
    weights: tuple[float, float, float] = (0.5, 0.25, 0.25)
    """Of L_u, L_intra and L_cross. Where some are left out the others are raised so that they add up to 1 again (inferred)."""
    fusion: Literal["sfm", "conv", "off"] = "sfm"
    t_aff: float = TEMPERED
    """Temperature of the affinity; the paper's equation has 1."""
    t_cr: float = TEMPERED
    """Temperature of the prototype query; the paper's equation has 1."""
    two_views: bool = False
    """Whether L_u is the mean over both strong views, as in UniMatch."""

    @property
    def unlabelled(self) -> bool:
        """Whether pictures without labels are used."""
        return any(self.weights)


ARMS: Mapping[str, Arm] = {
    arm.id: arm
    for arm in (
        Arm(OWN, "SemSim (temperature 0.1)"),
        Arm(LITERAL, "SemSim as its equations stand (temperature 1)", t_aff=PAPER_T, t_cr=PAPER_T),
        Arm(FIXMATCH, "FixMatch", (1.0, 0.0, 0.0), fusion="off"),
        Arm(SUPERVISED, "labelled pictures alone", (0.0, 0.0, 0.0), fusion="off"),
        Arm("fixmatch_two", "FixMatch with two strong views", (1.0, 0.0, 0.0), fusion="off", two_views=True),
        Arm("u_intra", "L_u and L_intra alone", (2 / 3, 1 / 3, 0.0)),
        Arm("u_cross", "L_u and L_cross alone", (2 / 3, 0.0, 1 / 3)),
        Arm("intra_cross", "L_intra and L_cross alone", (0.0, 0.5, 0.5)),
        Arm("semsim_minus", "SemSim with a plain convolution for the fusion module", fusion="conv"),
    )
}
ABLATIONS = tuple(arm for arm in ARMS if arm not in MAIN)


@dataclass(frozen=True)
class Training:
    """How one run trains (spec §3, on a smaller scale)."""

    steps: int = 1500
    labelled_batch: int = 8
    unlabelled_batch: int = 8
    lr: float = 0.03
    momentum: float = 0.9
    weight_decay: float = 1e-4
    tau: float = 0.95
    """Confidence from which a pseudo-label counts."""
    cells: int = 4
    """N: cells a side that prototypes are taken in."""
    sharpness: float = 1000.0
    """r of the agreement's weight."""
    mode: Literal["logit", "prob"] = "logit"
    """Whether the affinity spreads logits or probabilities."""
    channel_dropout: float = 0.0
    """Share of channels that the decoder does not get in a strong view; 0.5 in the paper."""
    quarter_turns: bool = True
    degrees: float = 20.0
    """Pictures are turned by quarters or by up to this much, in the weak view too."""
    colour: float = 0.5
    """Strength of brightness and contrast in a strong view; hue, in colour pictures, has half of it."""
    blur_px: float = 1.0
    """Largest sigma of the strong view's blur."""
    cutmix: float = 0.5
    """How often a box of another picture is pasted into a strong view."""


@dataclass(frozen=True)
class Task:
    """One study."""

    id: str
    title: str
    kind: Literal["real", "phantom"]
    source: str
    """"cardiac", a data set's name, or "own"."""
    labelled: tuple[float, ...]
    """How many training pictures keep their labels: from 1 on a number, below 1 a share. The smallest comes first."""
    arms: tuple[str, ...] = MAIN
    """At every number of labels."""
    ablations: tuple[str, ...] = ()
    """At the smallest number alone."""
    training: Training = Training()
    side: int = 64
    pool: int = 164
    """Phantoms: training pictures, labelled or not; the same for every seed."""
    tests: int = 300
    """Phantoms: test pictures."""
    difficulty: float = 0.4
    """Phantoms: how hard the borders are to see, 0 to 1."""
    structures: tuple[str, ...] = ("lesion",)
    network: Mapping[str, Any] = field(default_factory=dict)
    """Changes to the small network."""

    def config(self, arm: Arm) -> Config:
        """The arm's network on these pictures."""
        return small(self.side, classes=len(self.structures) + 1, **{"fusion": arm.fusion, **self.network})

    def count(self, labelled: float, pool: int) -> int:
        """How many of `pool` training pictures keep their labels."""
        return max(1, min(pool, round(labelled * pool) if labelled < 1 else round(labelled)))

    def arms_at(self, labelled: float) -> tuple[str, ...]:
        """The arms that train with so many labels, the method's own first."""
        arms = (*self.arms, *self.ablations) if labelled == self.labelled[0] else self.arms
        return tuple(sorted(dict.fromkeys(arms), key=lambda arm: arm != OWN))


TASKS: Mapping[str, Task] = {
    task.id: task
    for task in (
        Task(
            "cardiac",
            "heart-slice phantoms",
            "phantom",
            "cardiac",
            (2, 4, 8),
            (SUPERVISED, FIXMATCH, OWN),
            (LITERAL, *ABLATIONS),
            structures=("RV", "myocardium", "LV"),
        ),
        Task(
            "isic",
            "skin lesions (ISIC 2018)",
            "real",
            "isic2018",
            (0.03, 0.1),
            (SUPERVISED, FIXMATCH, OWN),
            training=Training(steps=3000, channel_dropout=0.5),
            side=96,
            network={"in_channels": 3, "widths": (16, 32, 64, 128), "dim": 64, "mlp": 192},
        ),
    )
}


@dataclass(frozen=True)
class RunId:
    """Which run."""

    task: str
    arm: str
    labelled: float
    seed: int

    @property
    def name(self) -> str:
        """Its file's name, without an ending."""
        return f"{self.task}.{self.arm}.{self.labelled:g}.seed{self.seed}"


@dataclass(frozen=True)
class Plan:
    """What one call of the recipe does."""

    tasks: tuple[Task, ...]
    seeds: tuple[int, ...]

    @property
    def runs(self) -> tuple[RunId, ...]:
        """Every run, in the order of one process that does them all."""
        return tuple(
            RunId(task.id, arm, labelled, seed)
            for task in self.tasks
            for seed in self.seeds
            for labelled in task.labelled
            for arm in task.arms_at(labelled)
        )

    def task(self, id: str) -> Task:
        """The task of that name. KeyError for an unknown one."""
        return {task.id: task for task in self.tasks}[id]

    def ships(self, run: RunId) -> bool:
        """Whether a run's weights go into the checkpoint: those of the first seed, on made-up pictures."""
        return run.seed == self.seeds[0] and self.task(run.task).kind == "phantom"

    def as_config(self) -> dict:
        """Everything that decides the numbers, for a hash and for the card."""
        return {
            "tasks": {task.id: asdict(task) for task in self.tasks},
            "seeds": list(self.seeds),
            "arms": {arm.id: asdict(arm) for arm in ARMS.values()},
        }


def read_plan(config: Mapping[str, object], seed: int = 0) -> Plan:
    """A preset's configuration, checked. PlanRefused with a sentence for what cannot be run.

    Entries: `tasks` (names, or name → changes of `labelled`, `arms`, `ablations`, `side`, `pool`, `tests`,
    `difficulty`, `training`, `network`), `seeds` (how many).
    """
    unknown = set(config) - {"tasks", "seeds"}
    if unknown:
        raise PlanRefused(f"The studies know no setting called {', '.join(sorted(unknown))}; there are tasks and seeds.")
    asked = config.get("tasks", ("cardiac", "isic"))
    changes = dict(asked) if isinstance(asked, Mapping) else {str(name): {} for name in asked if isinstance(asked, (list, tuple))}
    seeds = config.get("seeds", 3)
    if not changes or not isinstance(seeds, int) or not 1 <= seeds <= 20:
        raise PlanRefused("Name at least one study, and 1 to 20 seeds.")
    tasks = tuple(_task(name, change) for name, change in changes.items())
    if not any(task.kind == "phantom" for task in tasks):
        raise PlanRefused("The card's numbers are those of made-up pictures, whose weights ship; name the cardiac study too.")
    return Plan(tasks, tuple(range(seed, seed + seeds)))


def _task(name: str, change: Mapping[str, object]) -> Task:
    if name not in TASKS:
        raise PlanRefused(f"There is no study called {name!r}; there are {', '.join(TASKS)}.")
    known, given = TASKS[name], dict(change)
    if "training" in given:
        given["training"] = _replaced(known.training, given["training"])
    for entry in ("arms", "ablations", "labelled"):
        if entry in given:
            given[entry] = tuple(given[entry])
    if "network" in given:
        given["network"] = {
            **known.network,
            **{key: tuple(value) if isinstance(value, list) else value for key, value in given["network"].items()},
        }
    task = _replaced(known, given)
    if not task.arms or not {*task.arms, *task.ablations} <= set(ARMS):
        raise PlanRefused(f"The arms of a study are some of {', '.join(ARMS)}.")
    if not task.labelled or sorted(set(task.labelled)) != list(task.labelled) or task.labelled[0] <= 0:
        raise PlanRefused("The numbers of labelled pictures are positive, all different, and the smallest comes first.")
    return task


def _replaced(record: Any, change: Any) -> Any:
    names = {one.name for one in fields(record)}
    if not isinstance(change, Mapping) or not set(change) <= names:
        raise PlanRefused(f"{type(record).__name__} has the settings {', '.join(sorted(names))}; {change!r} does not fit them.")
    return replace(record, **change)
