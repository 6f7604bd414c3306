"""Sets of learned prompts: how they are named in a file, read from one, and picked by task, arm and slider.

A file holds small learners by the name "<task>.<run>.<seed>.<parameter>"; a run is coop, kgcoop, cocoop, or promim with its share of
hidden patches and its λ ("promim-r75-w2"). r = 0 with λ = 0 is CoCoOp by construction and stored as that. The card beside the file says,
under `extra`, for which backbone the prompts were learned (`backbone`) and on which classes (`tasks`); a file without that is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.promim.records import Preset, Presets, TaskInfo
from models.shared import checkpoints
from models.shared.checkpoints import Card, CheckpointRefused

if TYPE_CHECKING:
    from torch import Tensor

    from models.promim.network import PromptLearner

_MAX_RUNS = 2000


class Backbone(BaseModel):
    """The CLIP that prompts were learned for."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str = ""


class _Task(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    base: tuple[str, ...] = Field(min_length=1, max_length=64)
    new: tuple[str, ...] = Field(default=(), max_length=64)
    template: str
    family: str = ""


class _Sheet(BaseModel):
    """What `Card.extra` must hold."""

    backbone: Backbone
    tasks: tuple[_Task, ...] = Field(min_length=1)


@dataclass(frozen=True, order=True)
class RunId:
    """One training: `arm` with its mask ratio and λ, and the seed."""

    arm: str
    ratio: float = 0.0
    weight: float = 0.0
    seed: int = 0

    @property
    def name(self) -> str:
        """ "promim-r75-w2.0", "coop.1": run and seed as in the file."""
        shape = f"-r{round(100 * self.ratio)}-w{self.weight:g}".replace(".", "p") if self.arm == "promim" else ""
        return f"{self.arm}{shape}.{self.seed}"


def run_id(arm: str, *, ratio: float = 0.0, weight: float = 0.0, seed: int = 0) -> RunId:
    """The run that answers for an arm: ratio and λ count for ProMIM alone, and its r = 0, λ = 0 is CoCoOp."""
    if arm != "promim":
        return RunId(arm, seed=seed)
    return RunId("promim", ratio, weight, seed) if ratio or weight else RunId("cocoop", seed=seed)


def _parse(name: str) -> tuple[str, RunId, str]:
    """ "<task>.<run>.<seed>.<parameter>" to its parts; ValueError for another form."""
    task, run, seed, parameter = name.split(".", 3)
    arm, *shape = run.split("-")
    if not shape:
        return task, RunId(arm, seed=int(seed)), parameter
    ratio, weight = shape
    return task, RunId(arm, int(ratio.removeprefix("r")) / 100, float(weight.removeprefix("w").replace("p", ".")), int(seed)), parameter


@dataclass(frozen=True, eq=False)
class WeightSet:
    """Learned prompts with their card. `runs`: (task, run) → the learner's tensors by name."""

    card: Card
    backbone: Backbone
    tasks: tuple[TaskInfo, ...]
    runs: Mapping[tuple[str, RunId], Mapping[str, Tensor]]

    @cached_property
    def _learners(self) -> dict[tuple[str, RunId], PromptLearner]:
        return {}

    def learner(self, task: str, run: RunId) -> PromptLearner | None:
        """The frozen learner of a run, or None where it is not in the set."""
        tensors = self.runs.get((task, run))
        if tensors is None:
            return None
        if (task, run) not in self._learners:
            from models.promim.network import learner_from

            self._learners[task, run] = learner_from(dict(tensors))
        return self._learners[task, run]

    def presets(self, task: str) -> Presets:
        """What the sliders can be set to; CoCoOp, where there is one, stands at r = 0, λ = 0."""
        own = [run for name, run in self.runs if name == task and run.arm in ("promim", "cocoop")]
        return Presets(*(tuple(sorted({getattr(run, key) for run in own})) for key in ("ratio", "weight", "seed")))

    def nearest(self, task: str, *, ratio: float, weight: float, seed: int) -> Preset | None:
        """The ProMIM weights nearest to what the sliders ask for: λ first, then ratio, then seed. None where there are none."""
        own = [run for name, run in self.runs if name == task and run.arm == "promim"]
        if any(name == task and run.arm == "cocoop" for name, run in self.runs):
            own += [RunId("promim", 0.0, 0.0, run.seed) for name, run in self.runs if name == task and run.arm == "cocoop"]
        if not own:
            return None
        best = min(own, key=lambda run: (abs(run.weight - weight), abs(run.ratio - ratio), abs(run.seed - seed)))
        return Preset(best.ratio, best.weight, best.seed)

    def seed_of(self, task: str, arm: str, seed: int) -> int:
        """The seed nearest to `seed` among the trainings of an arm; `seed` itself where there are none."""
        seeds = [run.seed for name, run in self.runs if name == task and run.arm == arm]
        return min(seeds, key=lambda one: (abs(one - seed), one), default=seed)


def as_tensors(task: str, run: RunId, learner: PromptLearner) -> dict[str, Tensor]:
    """A learner's tensors by the names they have in a file."""
    return {f"{task}.{run.name}.{name}": value.detach().cpu() for name, value in learner.state_dict().items()}


def as_extra(backbone: Backbone, tasks: Iterable[TaskInfo]) -> dict[str, object]:
    """What goes into `Card.extra` so that `read` understands the file."""
    return {"backbone": backbone.model_dump(), "tasks": [vars(task) for task in tasks]}


def read(path: Path) -> WeightSet:
    """A set from a .safetensors file and the card beside it. Raises CheckpointRefused for a damaged one or one of another kind."""
    tensors, card = checkpoints.load(path)
    return from_tensors(tensors, card, path.name)


def from_tensors(tensors: Mapping[str, Tensor], card: Card, name: str = "the weights") -> WeightSet:
    """As `read`, from what was already read."""
    other = f"{name} holds no learned prompts of this method. Choose a file that its training has written."
    if card.method != "promim":
        raise CheckpointRefused(other)
    try:
        sheet = _Sheet.model_validate(card.extra)
        runs: dict[tuple[str, RunId], dict[str, Tensor]] = defaultdict(dict)
        for key, value in tensors.items():
            task, run, parameter = _parse(key)
            runs[task, run][parameter] = value
    except (ValidationError, ValueError) as fault:
        raise CheckpointRefused(other) from fault
    forms = {_form(parts) for parts in runs.values()}
    if len(runs) > _MAX_RUNS or len(forms) != 1 or None in forms:
        raise CheckpointRefused(other)
    return WeightSet(card, sheet.backbone, tuple(TaskInfo(**task.model_dump()) for task in sheet.tasks), dict(runs))


def _form(parts: Mapping[str, Tensor]) -> tuple[int, int] | None:
    """(M, D) of one learner's tensors, or None where they do not belong together."""
    shapes = {name: tuple(value.shape) for name, value in parts.items()}
    if len(shapes.get("context", ())) != 2:
        return None
    m, d = shapes["context"]
    if len(shapes) == 1:
        return m, d
    hidden, embed_dim = (*shapes.get("meta.0.weight", ()), 0, 0)[:2]
    expected = {
        "context": (m, d),
        "meta.0.weight": (hidden, embed_dim),
        "meta.0.bias": (hidden,),
        "meta.2.weight": (d, hidden),
        "meta.2.bias": (d,),
    }
    return (m, d) if shapes == expected and hidden == embed_dim // 16 else None
