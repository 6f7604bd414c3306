"""A small untrained CLIP, random pictures, and a set of untrained prompts in the shape of a shipped one: no weights file is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import open_clip
import pytest
import torch

from models.promim.network import new_learner
from models.promim.tasks import TASKS
from models.promim.weights import Backbone, RunId, WeightSet, as_extra, as_tensors, from_tensors
from models.promim.wrapper import Explorer
from models.shared.backbones.clip import Clip, new_clip
from models.shared.checkpoints import Card

RUNS = (
    RunId("coop", seed=0),
    RunId("kgcoop", seed=0),
    RunId("cocoop", seed=0),
    RunId("cocoop", seed=1),
    RunId("promim", 0.75, 2.0, 0),
    RunId("promim", 0.75, 2.0, 1),
    RunId("promim", 0.25, 0.0, 0),
)


def card_for(clip: Clip, *, sha256: str | None = None) -> Card:
    return Card(
        method="promim",
        title="untrained",
        config={},
        datasets=(),
        recipe="",
        seed=0,
        seconds=0.0,
        hardware="none",
        parameters=1,
        trained_parameters=1,
        metrics={},
        extra=as_extra(Backbone(name=clip.name, sha256=clip.sha256 if sha256 is None else sha256), [TASKS["brain"].info]),
    )


def tensors_for(clip: Clip) -> dict[str, torch.Tensor]:
    found = {}
    for number, run in enumerate(RUNS):
        learner = new_learner(clip, conditional=run.arm in ("cocoop", "promim"), seed=number)
        with torch.no_grad():
            learner.context += 0.05 * torch.randn(learner.context.shape, generator=torch.Generator().manual_seed(number))
        found |= as_tensors("brain", run, learner)
    return found


@pytest.fixture(scope="package")
def clip() -> Clip:
    return new_clip(seed=0)


@pytest.fixture(scope="package")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """A CLIP of a fiftieth of the small one's cost, for whole trainings."""
    config = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 64, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16},
        "text_cfg": {"context_length": 40, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    path = tmp_path_factory.mktemp("configs") / "tiny-promim.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    open_clip.add_model_config(path)
    return new_clip("tiny-promim", seed=0)


@pytest.fixture(scope="package")
def pixels(clip: Clip) -> torch.Tensor:
    return torch.randn(3, 3, clip.image_size, clip.image_size, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="package")
def tensors(clip: Clip) -> dict[str, torch.Tensor]:
    return tensors_for(clip)


@pytest.fixture(scope="package")
def make_card(clip: Clip) -> Callable[..., Card]:
    return partial(card_for, clip)


@pytest.fixture(scope="package")
def prompts(clip: Clip, tensors: dict[str, torch.Tensor]) -> WeightSet:
    return from_tensors(tensors, card_for(clip))


@pytest.fixture(scope="package")
def explorer(clip: Clip, prompts: WeightSet) -> Explorer:
    return Explorer(clip, prompts)
