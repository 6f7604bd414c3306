"""Running the studies: every task, arm and seed; what a finished run leaves behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from models.hsvlt.config import Config
from models.hsvlt.findings import FINDINGS
from models.hsvlt.labels import label_vectors
from models.hsvlt.network import HSVLT, Trace
from models.hsvlt.plan import ARMS, Plan, RunId, Task, settings
from models.hsvlt.pretraining import lay_trunk
from models.hsvlt.study_data import Cases, parts
from models.hsvlt.training import answers, build, fit
from models.shared.device import hardware
from models.shared.packing import lay_in, pack
from models.shared.study_runs import StudyRuns, short

VECTORS = "vectors"
"""Name of the label vectors beside a network's weights."""


@dataclass(frozen=True, eq=False)
class Found:
    """One run on the test pictures."""

    scores: np.ndarray
    """(N, K): probabilities."""
    pointing: np.ndarray
    """(N, K): whether the strongest attention of any stage's last block lies in the finding's mask; NaN where there is none or it is not known."""
    seconds: float
    hardware: str


def runs_of(task: Task) -> StudyRuns:
    """The task's working folder."""
    return StudyRuns("hsvlt-study", settings(task))


def name(task: Task, run: RunId) -> str:
    """A run's name, with letters for all that its arm is."""
    arm = asdict(ARMS[run.arm])
    return f"{run.arm}-{short({**arm, 'network': task.config(ARMS[run.arm], 1).as_json()})}.seed{run.seed}"


def pending(plan: Plan) -> list[RunId]:
    """Runs that are not finished."""
    return [run for run in plan.runs if not runs_of(plan.task(run.task)).has(name(plan.task(run.task), run))]


@lru_cache(maxsize=8)
def vectors_of(task: Task, kind: str) -> Tensor:
    """(K, E): the label vectors of an arm."""
    return label_vectors(task.labels, kind)


def run_one(plan: Plan, run: RunId, device: str = "cpu") -> Iterator[tuple[int, float]]:
    """Train and measure one run and put its files into the folder; yields (step, loss)."""
    task, arm, started = plan.task(run.task), ARMS[run.arm], time.perf_counter()
    vectors = vectors_of(task, arm.vectors)
    train, test = parts(task, run.seed)
    net = build(task.config(arm, vectors.shape[1]), run.seed)
    if arm.pretrained:
        lay_trunk(net, task, run.seed)
    yield from fit(net, train, vectors, task, arm, seed=run.seed, device=device)
    seconds = time.perf_counter() - started
    packed = pack(net.state_dict())
    net.to("cpu", memory_format=torch.contiguous_format)  # as a loaded network is, so that its numbers are the same to the bit
    lay_in(net, packed)
    scores = answers(net, test.x, vectors).numpy()
    looked = pointing(net, test, vectors) if test.masks is not None else np.full(scores.shape, np.nan)
    values = {"scores": _rounded(scores), "pointing": _rounded(looked), "seconds": seconds, "hardware": hardware(device)}
    keeps = run.seed == plan.seeds[0] and task.kind == "phantom"
    runs_of(task).keep(name(task, run), values, {**packed, VECTORS: vectors.clone()} if keeps else None)


def found(plan: Plan, run: RunId) -> Found:
    """What a finished run found."""
    task = plan.task(run.task)
    kept = runs_of(task).values(name(task, run))
    return Found(np.array(kept["scores"]), np.array(kept["pointing"], float), kept["seconds"], kept["hardware"])


def tensors(plan: Plan, arm: str) -> dict[str, Tensor]:
    """The packed weights and label vectors of an arm's first seed on made-up pictures."""
    task = plan.task("findings")
    return runs_of(task).tensors(name(task, RunId("findings", arm, plan.seeds[0])))


def network_of(config: Config, packed: dict[str, Tensor]) -> HSVLT:
    """A trained network from its settings, as its card keeps them, and its packed weights; answering."""
    with torch.random.fork_rng(devices=[]):
        net = HSVLT(config)
    lay_in(net, {key: value for key, value in packed.items() if key != VECTORS})
    return net.eval()


@torch.no_grad()
def pointing(net: HSVLT, test: Cases, vectors: Tensor, *, batch: int = 50) -> np.ndarray:
    """(N, K), see `Found.pointing`: of the stages that the head reads, the one that adds most to the label's logit is looked at."""
    hits = np.full((len(test), len(FINDINGS)), np.nan)
    side = test.x.shape[-1]
    for start in range(0, len(test), batch):
        rows, trace = slice(start, start + batch), Trace()
        out = net(test.x[rows].float() / 255, vectors, trace=trace)
        last = {stage: place for place, stage in enumerate(trace.stage)}
        best = out.contributions.argmax(-1)  # B K: place among the stages read
        for row, label in zip(*np.nonzero(test.y[rows].numpy()), strict=True):
            stage = net.config.stages[int(best[row, label])]
            place = last[stage]
            (h, w), spot = trace.size[place], int(trace.attention[place][row, 0, label].argmax())
            y, x = ((spot // w + 0.5) * side / h, (spot % w + 0.5) * side / w)
            half = side / h / 2
            inside = test.masks[start + row, label, max(0, int(y - half)) : int(y + half) + 1, max(0, int(x - half)) : int(x + half) + 1]
            hits[start + row, label] = bool(inside.any())
    return hits


def _rounded(values: np.ndarray) -> list[list[float]]:
    return [[round(float(v), 5) for v in row] for row in values]
