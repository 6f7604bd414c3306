"""Running the study of a room: every arm and seed; finished runs are shared between the rooms, as arms that are the same network are the same run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from models.shared.backbones.clip.interface import Clip
from models.shared.backbones.clip.load import load_clip
from models.shared.data.phantoms.notes import TRAITS
from models.shared.device import hardware
from models.shared.prompt_interaction.config import Config
from models.shared.prompt_interaction.data import Pairs, pairs
from models.shared.prompt_interaction.engine import PromptInteraction
from models.shared.prompt_interaction.plan import ARMS, Plan
from models.shared.prompt_interaction.training import answers, build, fit
from models.shared.study_runs import StudyRuns, short


@dataclass(frozen=True, eq=False)
class Found:
    """One run on the test pairs; probabilities (N, M, 3)."""

    test: np.ndarray
    unseen: np.ndarray
    """Pictures whose combination of side, zone, margin and density no training picture showed."""
    shuffled: np.ndarray
    """Each note beside the next picture."""
    seconds: float
    hardware: str


def clip_of(device: str = "cpu") -> Clip:
    """The frozen towers: this project's small CLIP."""
    return load_clip("small", device=device)


def runs_of(plan: Plan) -> StudyRuns:
    """The working folder of the plan's settings and towers."""
    return StudyRuns("prompt-interaction-study", {**plan.settings(), "towers": clip_of().sha256})


def name(plan: Plan, arm: str, seed: int) -> str:
    """A run's name, with letters for all that its network is."""
    return f"{arm}-{short({'network': asdict(plan.config(arm)), 'blind': ARMS[arm].blind})}.seed{seed}"


def pending(plan: Plan) -> list[tuple[str, int]]:
    """Runs that are not finished."""
    runs = runs_of(plan)
    return [run for run in plan.runs if not runs.has(name(plan, *run))]


@lru_cache(maxsize=2)
def train_pairs(pool: int, notes: int, seed: int) -> Pairs:
    """Training pairs of a seed."""
    return pairs(clip_of(), "train", pool, notes, start=seed * pool)


@lru_cache(maxsize=2)
def test_pairs(n: int) -> tuple[Pairs, Pairs]:
    """(test, unseen combinations), one note of each verdict a picture; the same for all runs."""
    return pairs(clip_of(), "test", n, 1), pairs(clip_of(), "unseen", n, 1)


def run_one(plan: Plan, run: tuple[str, int], device: str = "cpu") -> Iterator[tuple[int, float]]:
    """Train and measure one run and put its files into the folder; yields (step, loss)."""
    arm, seed = run
    started = time.perf_counter()
    net = build(clip_of(device), plan, arm, seed)
    yield from fit(net, train_pairs(plan.pool, plan.notes, seed), plan, arm, seed=seed)
    seconds = time.perf_counter() - started
    test, unseen = test_pairs(plan.tests)
    said = {"test": answers(net, test, arm), "unseen": answers(net, unseen, arm), "shuffled": answers(net, test, arm, shuffled=True)}
    values = {key: np.round(value.numpy(), 5).tolist() for key, value in said.items()}
    tensors = {key: value.detach().cpu().float().contiguous() for key, value in net.state_dict().items()}
    runs_of(plan).keep(
        name(plan, arm, seed), {**values, "seconds": seconds, "hardware": hardware(device)}, tensors if seed == plan.seeds[0] else None
    )


def found(plan: Plan, arm: str, seed: int) -> Found:
    """What a finished run found."""
    kept = runs_of(plan).values(name(plan, arm, seed))
    return Found(*(np.array(kept[key]) for key in ("test", "unseen", "shuffled")), kept["seconds"], kept["hardware"])


def tensors(plan: Plan, arm: str) -> dict[str, Tensor]:
    """The weights of an arm's first seed: a few thousand numbers, kept whole."""
    return runs_of(plan).tensors(name(plan, arm, plan.seeds[0]))


def network_of(clip: Clip, config: Config, state: Mapping[str, Tensor]) -> PromptInteraction:
    """A trained engine from its settings and weights; answering. ValueError when they do not fit."""
    with torch.random.fork_rng(devices=[]):
        net = PromptInteraction(clip, config)
    try:
        net.load_state_dict(dict(state))
    except RuntimeError as fault:
        raise ValueError("These weights do not fit the network; fetch the checkpoint once more.") from fault
    return net.to(clip.device).eval()


def wrong_names(test: Pairs) -> np.ndarray:
    """(N, M): the trait that a contradicting note gets wrong, '' elsewhere."""
    return np.array([*TRAITS, ""])[test.wrong]
