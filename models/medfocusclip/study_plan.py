"""The two studies as data: which pictures, which arms, how training goes. Light: no PyTorch.

A study task is one set of pictures; an arm is one way of telling CLIP where to look, trained and tested in that way; a run is an arm, a share of the training
pictures and a seed. All arms of a task train alike (spec §5.5): same weights to start from, same pictures, same batches, same steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from models.medfocusclip.options import Guidance, Mode, Painting

CLIP = "small-fewshot"
Source = Literal["automatic", "truth"]


class PlanRefused(ValueError):
    """A study configuration that cannot be run; its text is the sentence people see."""


@dataclass(frozen=True)
class Arm:
    """One way of telling CLIP where to look."""

    id: str
    label: str
    mode: Mode
    source: Source = "automatic"
    """Whose segments: the task's automatic ones, or a phantom's true outlines."""
    painting: Painting = field(default_factory=Painting)
    guidance: Guidance = field(default_factory=Guidance)


ARMS: Mapping[str, Arm] = {
    arm.id: arm
    for arm in (
        Arm("plain", "plain CLIP, trained the same way", "plain"),
        Arm("painted", "segments painted (the paper's way)", "painted"),
        Arm("painted_intensity", "segments painted in colours of their brightness", "painted", painting=Painting(palette="by_intensity")),
        Arm("binary", "white region on black", "binary"),
        Arm("attention", "attention guided to the outlined organ (ours)", "attention", "truth", guidance=Guidance(beta=4.0, rows="all")),
        Arm("crop", "cut down to the outlined organ", "crop", "truth"),
        Arm("painted_truth", "true outlines painted, an upper bound", "painted", "truth"),
    )
}


@dataclass(frozen=True)
class Training:
    """How one run trains."""

    blocks: int = 1
    """Blocks of the image tower that train, from the last; final norm and projection always do."""
    lr: float = 3e-4
    weight_decay: float = 0.05
    batch: int = 32
    epochs: float = 30.0
    """At all training pictures; smaller shares get more, see `steps`."""
    min_steps: int = 150
    balance: float = 0.5
    """λ of the two losses."""
    mirror: bool = True
    """Whether versions are mirrored too; not for slices of the belly, where left and right are told apart by the organs."""
    variants: int = 4
    """Versions of each training picture: as it is first, then mirrored (where allowed) and turned a little."""

    def steps(self, n: int) -> int:
        """Steps of a run on `n` pictures: the epochs, but never fewer than `min_steps`."""
        return max(self.min_steps, round(self.epochs * n / self.batch))


@dataclass(frozen=True)
class Task:
    """One study."""

    id: str
    title: str
    kind: Literal["real", "phantom"]
    arms: tuple[str, ...]
    fractions: tuple[float, ...]
    training: Training
    pool: int | None = None
    """Training pictures to draw from; None takes all there are."""
    tests: int | None = None
    shortcut: float = 0.0
    """Phantoms: how often the planted cue follows the class in training pictures."""


TASKS: Mapping[str, Task] = {
    task.id: task
    for task in (
        Task(
            "liver_ct",
            "liver-CT-like phantoms with a planted shortcut",
            "phantom",
            ("plain", "painted", "painted_intensity", "binary", "attention", "crop", "painted_truth"),
            (0.05, 0.2, 1.0),
            Training(),
            pool=400,
            tests=600,
            shortcut=0.95,
        ),
        Task(
            "brain_mri",
            "brain MRI, four classes",
            "real",
            ("plain", "painted", "painted_intensity"),
            (0.05, 0.1, 0.2, 0.5, 1.0),
            Training(blocks=3, epochs=8.0),
        ),
    )
}

SHIPPED_FRACTION = 1.0


@dataclass(frozen=True)
class Plan:
    """What one call of the recipe does."""

    tasks: tuple[Task, ...]
    seeds: tuple[int, ...]
    clip: str
    """Name of the CLIP to start from; its pre-training must not have seen the pictures of the studies."""

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return sum(len(task.arms) * len(task.fractions) for task in self.tasks) * len(self.seeds)

    def ships(self, run: object) -> bool:
        """Whether a run's weights go into the checkpoint: all pictures, first seed."""
        return getattr(run, "fraction", None) == SHIPPED_FRACTION and getattr(run, "seed", None) == self.seeds[0]

    def as_config(self) -> dict:
        """Everything that decides the numbers, for a hash and for the card."""
        return {
            "tasks": {task.id: asdict(task) for task in self.tasks},
            "seeds": list(self.seeds),
            "clip": self.clip,
            "arms": {k: asdict(a) for k, a in ARMS.items()},
        }


def read_plan(config: Mapping[str, object], seed: int = 0) -> Plan:
    """A preset's configuration, checked. PlanRefused with a sentence for what cannot be run.

    Entries: `tasks` (names, or name → changes of `pool`, `tests`, `arms`, `fractions`, `training`), `seeds` (how many), `clip`.
    """
    unknown = set(config) - {"tasks", "seeds", "clip"}
    if unknown:
        raise PlanRefused(f"The studies know no setting called {', '.join(sorted(unknown))}; there are tasks, seeds and clip.")
    asked = config.get("tasks", tuple(TASKS))
    names = asked if isinstance(asked, (list, tuple)) else ()
    changes = dict(asked) if isinstance(asked, Mapping) else {str(name): {} for name in names}
    seeds = config.get("seeds", 3)
    if not changes or not isinstance(seeds, int) or not 1 <= seeds <= 20:
        raise PlanRefused("Name at least one study, and 1 to 20 seeds.")
    return Plan(
        tuple(_task(name, change) for name, change in changes.items()), tuple(range(seed, seed + seeds)), str(config.get("clip", CLIP))
    )


def _task(name: str, change: Mapping[str, object]) -> Task:
    if name not in TASKS:
        raise PlanRefused(f"There is no study called {name!r}; there are {', '.join(TASKS)}.")
    known, given = TASKS[name], dict(change)
    if "training" in given:
        given["training"] = _replaced(known.training, given["training"])
    for key in ("arms", "fractions"):
        if key in given:
            given[key] = tuple(given[key])
    task = _replaced(known, given)
    if not task.arms or not set(task.arms) <= set(ARMS):
        raise PlanRefused(f"The arms of a study are some of {', '.join(ARMS)}.")
    if any(ARMS[arm].source == "truth" for arm in task.arms) and task.kind == "real":
        raise PlanRefused("True outlines are known for phantoms alone; leave the arms that need them out on real pictures.")
    if not task.fractions or not all(0 < fraction <= 1 for fraction in task.fractions):
        raise PlanRefused("Shares of the training pictures lie above 0 and not above 1.")
    return task


def _replaced(record: Any, change: Any) -> Any:
    names = {one.name for one in fields(record)}
    if not isinstance(change, Mapping) or not set(change) <= names:
        raise PlanRefused(f"{type(record).__name__} has the settings {', '.join(sorted(names))}; {change!r} does not fit them.")
    return replace(record, **change)
