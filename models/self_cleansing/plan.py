"""The studies as data: which pictures, which planted noise, which arms, how training goes. Light: no PyTorch.

A task is one set of pictures with masks; a setting is the noise planted into its training labels; an arm is one way of training on them; a run is a
task, a setting, an arm and a seed. All arms of a task and seed see the same pictures in the same batches, turned alike, for as many steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

Kind = Literal["missing", "erosion", "dilation", "shift", "dabs", "swapped", "mixed", "asymmetric"]
Gate = Literal["both", "sample", "pixel"]
Evidence = Literal["prediction", "prototypes", "both"]
KINDS: Mapping[str, str] = {
    "asymmetric": "eroded outlines or missing lesions",
    "mixed": "outlines too large, too small, moved or dabbed, by chance",
    "missing": "missing lesions",
    "shift": "turned and moved outlines",
    "swapped": "lesions given another kind",
    "erosion": "outlines too small",
    "dilation": "outlines too large",
    "dabs": "blots along the outline",
}
OWN, NOISY, CLEAN, GUARD = "cleansed", "noisy", "clean", "guard"
NONE, DEFAULT = "none", "asymmetric-50"
RATES = (0.3, 0.5, 0.7)


class PlanRefused(ValueError):
    """A study configuration that cannot be run; its text is the sentence people see."""


@dataclass(frozen=True)
class Noise:
    """What is planted into training labels."""

    kind: Kind = "asymmetric"
    alpha: float = 0.5
    """Share of the pictures with something drawn that are corrupted."""
    beta: float = 0.5
    """Of a corrupted picture, wrong pixels for each truly drawn pixel, as near as the kind allows."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not 0 <= self.alpha <= 1 or not 0 < self.beta <= 1:
            raise PlanRefused(f"Noise is one of {', '.join(KINDS)}, with alpha in 0…1 and beta above 0 and up to 1.")


@dataclass(frozen=True)
class Cleansing:
    """The two modules' settings (spec §3; every number is inferred, none read in the paper)."""

    gate: Gate = "both"
    """Who may call a pixel wrong: the picture's filter, the pixel's, or only both together."""
    evidence: Evidence = "prediction"
    """What proposes the new label: the teacher's probabilities, the prototypes', or their mean."""
    w: float = 0.5
    """Below this probability of being clean a label counts as noisy."""
    kappa: float = 0.8
    """A proposal must be surer than this."""
    temperature: float = 0.1
    band: int = 6
    """Pixels around drawn or predicted structures in which background takes part."""
    every: int = 1
    """Epochs from one cleansing to the next."""


@dataclass(frozen=True)
class Arm:
    """One way of training."""

    id: str
    label: str
    cleansing: Cleansing | None = None
    ema: bool = True
    """Off: the student is its own teacher (decay 0)."""
    augment: bool = True


ARMS: Mapping[str, Arm] = {
    arm.id: arm
    for arm in (
        Arm(OWN, "cleansed: sample and pixel gate", Cleansing()),
        Arm(CLEAN, "true labels"),
        Arm(NOISY, "noisy labels as given"),
        Arm(GUARD, "true labels with cleansing switched on", Cleansing()),
        Arm("sample_gate", "sample gate only", Cleansing(gate="sample")),
        Arm("pixel_gate", "pixel gate only", Cleansing(gate="pixel")),
        Arm("prototypes", "new labels from prototypes", Cleansing(evidence="prototypes")),
        Arm("both_evidences", "new labels from prediction and prototypes", Cleansing(evidence="both")),
        Arm("no_ema", "the student is its own teacher", Cleansing(), ema=False),
        Arm("no_augment", "cleansed, without augmentation", Cleansing(), augment=False),
        Arm("noisy_no_augment", "noisy labels, without augmentation", augment=False),
    )
}
ABLATIONS = ("sample_gate", "pixel_gate", "prototypes", "both_evidences", "no_ema", "no_augment", "noisy_no_augment")


@dataclass(frozen=True)
class Training:
    """How one run trains (spec §4, the small profile)."""

    epochs: int = 30
    warmup: int = 9
    """Epochs on the labels as given, before the first cleansing."""
    batch: int = 16
    lr: float = 2e-3
    decay: float = 0.97
    """Of the teacher's moving average, each step."""
    flips: bool = True
    """Mirrors and quarter turns."""
    degrees: float = 0.0
    """Turned by up to this much besides."""
    gamma: float = 0.0
    """Grey levels are raised to a power of up to e^±gamma."""
    half: bool = False
    """Convolutions of the training in bfloat16, losses in float32: a third faster where the processor has instructions for it, slower elsewhere."""


SETTINGS: Mapping[str, Noise | None] = {NONE: None} | {
    f"{kind}-{round(100 * rate)}": Noise(kind, rate) for kind in ("asymmetric", "mixed", "missing", "shift", "swapped") for rate in RATES
}
_MAIN = {NONE: (CLEAN, GUARD)} | {name: (NOISY, OWN) for name in SETTINGS if name != NONE}
_REAL = {NONE: (CLEAN,), DEFAULT: (NOISY, OWN)}


@dataclass(frozen=True)
class Task:
    """One study."""

    id: str
    title: str
    kind: Literal["real", "phantom"]
    source: str
    """ "slices" (made-up liver slices) or a data set's name."""
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Setting → arms."""
    training: Training = Training()
    side: int = 64
    channels: int = 1
    structures: tuple[str, ...] = ("lesion",)
    widths: tuple[int, ...] = (16, 32, 64)
    pool: int = 320
    """Training pictures of one seed: made-up ones of its own, of a real set so many drawn by the seed, or all where there are fewer."""
    tests: int = 200
    """Phantoms: test pictures; two fifths as many are for validation."""

    @property
    def classes(self) -> int:
        """Background and structures."""
        return 1 + len(self.structures)

    def arms(self) -> list[tuple[str, str]]:
        """Every (setting, arm)."""
        return [(setting, arm) for setting, arms in self.settings.items() for arm in arms]


TASKS: Mapping[str, Task] = {
    task.id: task
    for task in (
        Task(
            "liver",
            "liver-CT-like slices with tumours and cysts",
            "phantom",
            "slices",
            _MAIN | {DEFAULT: (NOISY, OWN, *ABLATIONS)},
            structures=("tumour", "cyst"),
        ),
        Task(
            "plain",
            "the same slices, never turned or mirrored while training",
            "phantom",
            "slices",
            _MAIN | {DEFAULT: (NOISY, OWN, *ABLATIONS)},
            Training(flips=False),
            structures=("tumour", "cyst"),
        ),
        Task(
            "busi",
            "breast ultrasound (BUSI)",
            "real",
            "busi",
            _REAL,
            Training(epochs=80, warmup=25, degrees=20.0, gamma=0.2),
            side=96,
            pool=2000,
        ),
        Task(
            "isic",
            "skin lesions (ISIC 2018)",
            "real",
            "isic2018",
            _REAL,
            Training(epochs=40, warmup=10, degrees=20.0, gamma=0.2),
            side=96,
            channels=3,
            pool=2000,
        ),
    )
}


@dataclass(frozen=True)
class Plan:
    """What one call of the recipe does."""

    tasks: tuple[Task, ...]
    seeds: tuple[int, ...]

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return sum(len(task.arms()) for task in self.tasks) * len(self.seeds)

    def task(self, id: str) -> Task:
        """The task of that name; KeyError for none."""
        return {task.id: task for task in self.tasks}[id]

    def first(self, seed: int) -> bool:
        """Whether a run's weights and epochs are kept: those of the first seed."""
        return seed == self.seeds[0]

    def as_config(self) -> dict:
        """Everything that decides the numbers, for a hash and for the card."""
        return {
            "tasks": {task.id: asdict(task) for task in self.tasks},
            "seeds": list(self.seeds),
            "arms": {arm.id: asdict(arm) for arm in ARMS.values()},
            "settings": {name: asdict(noise) if noise else None for name, noise in SETTINGS.items()},
        }


def read_plan(config: Mapping[str, object], seed: int = 0) -> Plan:
    """A preset's configuration, checked. PlanRefused with a sentence for what cannot be run.

    Entries: `tasks` (names, or name → changes of `settings`, `side`, `pool`, `tests`, `training`, `widths`), `seeds` (how many).
    """
    unknown = set(config) - {"tasks", "seeds"}
    if unknown:
        raise PlanRefused(f"The studies know no setting called {', '.join(sorted(unknown))}; there are tasks and seeds.")
    asked = config.get("tasks", ("liver",))
    changes = dict(asked) if isinstance(asked, Mapping) else {str(name): {} for name in asked if isinstance(asked, (list, tuple))}
    seeds = config.get("seeds", 3)
    if not changes or not isinstance(seeds, int) or not 1 <= seeds <= 20:
        raise PlanRefused("Name at least one study, and 1 to 20 seeds.")
    return Plan(tuple(_task(name, change) for name, change in changes.items()), tuple(range(seed, seed + seeds)))


def _task(name: str, change: Mapping[str, object]) -> Task:
    if name not in TASKS:
        raise PlanRefused(f"There is no study called {name!r}; there are {', '.join(TASKS)}.")
    known, given = TASKS[name], dict(change)
    if "training" in given:
        given["training"] = _replaced(known.training, given["training"])
    if "settings" in given:
        given["settings"] = {setting: tuple(arms) for setting, arms in dict(given["settings"]).items()}
    if "widths" in given:
        given["widths"] = tuple(given["widths"])
    task = _replaced(known, given)
    arms = {arm for arms in task.settings.values() for arm in arms}
    if not task.settings or not set(task.settings) <= set(SETTINGS) or not arms or not arms <= set(ARMS):
        raise PlanRefused(f"A study has some of the settings {', '.join(SETTINGS)}, each with some of the arms {', '.join(ARMS)}.")
    if not 0 < task.training.warmup < task.training.epochs:
        raise PlanRefused("Warm-up takes at least one epoch and fewer than all.")
    return task


def _replaced(record: Any, change: Any) -> Any:
    names = {one.name for one in fields(record)}
    if not isinstance(change, Mapping) or not set(change) <= names:
        raise PlanRefused(f"{type(record).__name__} has the settings {', '.join(sorted(names))}; {change!r} does not fit them.")
    return replace(record, **change)
