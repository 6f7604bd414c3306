"""What learning costs, measured here and now on one small batch: head alone, prompts and hub, and the same towers wholly unfrozen.

Memory is what automatic differentiation keeps for the way back (counted as it is kept) plus gradients and AdamW's two moments (4 bytes each); the
weights themselves, the same for all, are left out.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.shared.backbones.clip.interface import Clip
from models.shared.prompt_interaction.config import Config
from models.shared.prompt_interaction.engine import PromptInteraction

BATCH, TIMES = 4, 3
NOTE = "brain MR: one small bright smooth tumour in the left frontal region"


@dataclass(frozen=True)
class Cost:
    """One way to learn."""

    label: str
    trained: int
    """Numbers that learn."""
    share: float
    """Of all numbers."""
    step_ms: float
    """One training step of BATCH pairs, the fastest of TIMES."""
    memory_bytes: int
    """Kept for the way back, gradients and moments."""


def measured(clip: Clip, config: Config) -> list[Cost]:
    """Head alone, the method, everything; on the towers' device. Takes a second or two."""
    x = torch.rand(BATCH, 3, clip.image_size, clip.image_size, generator=torch.Generator().manual_seed(0)).to(clip.device)
    tokens = clip.tokenize([NOTE] * BATCH)
    y = torch.arange(BATCH, device=clip.device) % config.classes
    made = []
    for label, build in _ways(clip, config):
        parameters, forward = build()
        trained = sum(p.numel() for p in parameters)
        kept, step = _Kept(), torch.optim.AdamW(parameters, lr=0.0)  # moves nothing: only the price is of interest
        times = []
        for turn in range(TIMES):
            began = time.perf_counter()
            with torch.autograd.graph.saved_tensors_hooks(kept.keep if turn == 0 else _same, _same):
                loss = F.cross_entropy(forward(x, tokens), y)
            loss.backward()
            step.step()
            step.zero_grad(set_to_none=True)
            if clip.device.type == "cuda":
                torch.cuda.synchronize(clip.device)
            times.append(1000 * (time.perf_counter() - began))
        total = clip.parameters + (trained if trained < clip.parameters else trained - clip.parameters)
        weights = {p.data_ptr() for p in (*clip.model.parameters(), *parameters)}
        made.append(Cost(label, trained, trained / total, min(times[1:]), kept.bytes(weights) + 12 * trained))
    return made


class _Kept:
    """Counts each storage once that is kept for the way back."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}

    def keep(self, tensor: Tensor) -> Tensor:
        self._sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    def bytes(self, weights: set[int]) -> int:
        """Without the weights, which are there anyway."""
        return sum(size for place, size in self._sizes.items() if place not in weights)


def _same(tensor: Tensor) -> Tensor:
    return tensor


Build = Callable[[], tuple[list[nn.Parameter], Callable[[Tensor, Tensor], Tensor]]]


def _ways(clip: Clip, config: Config) -> Iterator[tuple[str, Build]]:
    def engine(settings: Config) -> Build:
        def build() -> tuple[list[nn.Parameter], Callable[[Tensor, Tensor], Tensor]]:
            with torch.random.fork_rng(devices=[]):
                net = PromptInteraction(clip, settings).to(clip.device).train()
            return list(net.parameters()), lambda x, tokens: net(net.begin(x, tokens))

        return build

    def everything() -> tuple[list[nn.Parameter], Callable[[Tensor, Tensor], Tensor]]:
        own = copy.deepcopy(clip)
        head = nn.Linear(2 * clip.embed_dim, config.classes).to(clip.device)
        own.model.requires_grad_(True)
        parameters = [*own.model.parameters(), *head.parameters()]
        return parameters, lambda x, tokens: head(torch.cat([own.encode_image(x), own.encode_text(tokens)], dim=-1))

    yield "Head alone, no prompts", engine(replace(config, prompts=0))
    yield "Prompts, hub and head", engine(config)
    yield "Everything, towers too", everything
