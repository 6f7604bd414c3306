"""One training run of the small segmenter: batches, prompts, steps, and the running mean of the weights that is kept.

Source: Ravi et al. 2024, section D.2 (a click or a box first, then corrections with the earlier mask as input).
Known deviations: one correction instead of seven, as every round costs a run of the decoder; each batch begins either with clicks or
with boxes, so that no prompt has to be padded; Muon for the matrices of the trunk's blocks and AdamW for all else, with a cosine; the parts that begin
from published weights learn ten times slower; bfloat16 where the processor computes in it.

n = B * O prompts; S, R, h as in `losses`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.shared.backbones.segmenter.beginning import is_taken
from models.shared.backbones.segmenter.clicks import boxes, corrections, first_clicks
from models.shared.backbones.segmenter.losses import overlap, prompt_loss
from models.shared.backbones.segmenter.network import encode
from models.shared.backbones.segmenter.pool import SIDE, Pool
from models.shared.backbones.segmenter.scenes import Scenes, draw_scenes

WARM_UP = 30
BOX_SHARE = 0.45
"""Of the batches: those that begin with a box."""
NOTHING = 0.08
"""Of the objects in a batch that begins with clicks: places where there is none."""
CLIP = 1.0
TAKEN_RATE = 0.1
"""Of AdamW's learning rate, for what begins from published weights."""


@dataclass(frozen=True)
class Settings:
    """One run; see `presets` for what is used."""

    steps: int
    alone: int
    """First steps, in which a single prompt is learned and no round of corrections is paid for."""
    pictures: int
    """In one batch."""
    objects: int
    """Prompted in each picture."""
    rounds: int
    """Of prompts after that: the first one and the corrections."""
    muon: float
    """Muon's learning rate."""
    lr: float
    """AdamW's learning rate."""
    weight_decay: float
    ema: float
    """Weight of the past in the running mean of the weights."""

    @classmethod
    def of(cls, config: Mapping[str, object]) -> Settings:
        """From a preset's configuration; ValueError for a missing or impossible value."""
        try:
            found = cls(
                **{name: int(config[name]) for name in ("steps", "alone", "pictures", "objects", "rounds")},
                **{name: float(config[name]) for name in ("muon", "lr", "weight_decay", "ema")},
            )
        except (KeyError, TypeError) as fault:
            raise ValueError(
                f"The segmenter's training lacks a setting or has one that is no number ({fault}); see its presets."
            ) from fault
        if min(found.steps, found.pictures, found.objects, found.rounds) < 1 or min(found.lr, found.muon) <= 0 or not 0 <= found.ema < 1:
            raise ValueError(
                "The segmenter's training needs steps, pictures, objects and rounds of at least 1, and learning rates above 0."
            )
        return found


class Fitting:
    """A network on its way. Iterate over `run()`; `averaged` is the network to keep."""

    def __init__(self, model: SAM2Base, pools: Sequence[Pool], settings: Settings, *, seed: int, device: torch.device) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self.model = model.to(device, memory_format=torch.channels_last).train()
        self.averaged = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))
        self._pools, self._settings, self._device = pools, settings, device
        self._optimisers = _optimisers(self.model, settings)
        self._schedules = [LambdaLR(one, lambda step: _rate(step, settings.steps)) for one in self._optimisers]
        self._fast = device.type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16", False)

    def run(self) -> Iterator[tuple[int, float, float]]:
        """(steps taken, loss of the last one, mean overlap of its single masks after the last prompt) after each step."""
        for step in range(1, self._settings.steps + 1):
            yield step, *self._step(1 if step <= self._settings.alone else self._settings.rounds)

    def _step(self, rounds: int) -> tuple[float, float]:
        with_box = float(torch.rand((), generator=self._generator)) < BOX_SHARE
        scenes = draw_scenes(
            self._pools,
            pictures=self._settings.pictures,
            objects=self._settings.objects,
            generator=self._generator,
            nothing=0.0 if with_box else NOTHING,
        )
        with self._numbers():
            loss, good = self._loss(scenes, rounds, with_box=with_box)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        for stepped in (*self._optimisers, *self._schedules):
            stepped.step()
        self.averaged.update_parameters(self.model)
        return float(loss.detach()), good

    def _loss(self, scenes: Scenes, rounds: int, *, with_box: bool) -> tuple[Tensor, float]:
        """Mean over the rounds of prompts, and the mean overlap after the last."""
        objects, masks = self._settings.objects, scenes.covered > 0.5
        pixels = scenes.pixels.to(self._device, memory_format=torch.channels_last)
        covered, asked = scenes.covered.to(self._device), scenes.asked.to(self._device)
        features = tuple(part.repeat_interleave(objects, 0) for part in encode(self.model, pixels))
        points, labels = self._first(scenes, masks, with_box=with_box)
        earlier, total = None, torch.zeros((), device=self._device)
        for round_ in range(rounds):
            logits, estimates = candidates(self.model, features, points.to(self._device), labels.to(self._device), earlier)
            loss, predicted = prompt_loss(logits, estimates, covered, asked)
            total = total + loss
            if round_ + 1 < rounds:
                shown = _shown(estimates, first_click=round_ == 0 and not with_box)
                rows = torch.arange(len(shown), device=shown.device)
                earlier = logits.detach()[rows, shown][:, None].clamp(-32, 32)
                point, label = corrections(predicted[rows, shown].cpu(), _filled(masks, scenes), side=SIDE, generator=self._generator)
                points, labels = torch.cat([points, point[:, None]], 1), torch.cat([labels, label[:, None]], 1)
        good = overlap(predicted[:, 0], covered > 0.5)[asked].mean() if asked.any() else torch.zeros(())
        return total / rounds, float(good)

    def _first(self, scenes: Scenes, masks: Tensor, *, with_box: bool) -> tuple[Tensor, Tensor]:
        """Points (n, P, 2) and labels (n, P)."""
        region, n = _filled(masks, scenes), len(masks)
        if with_box:
            return boxes(region, side=SIDE, generator=self._generator), torch.tensor([[2, 3]], dtype=torch.int32).expand(n, 2)
        return first_clicks(region, side=SIDE, generator=self._generator)[:, None], torch.ones(n, 1, dtype=torch.int32)

    @contextlib.contextmanager
    def _numbers(self) -> Iterator[None]:
        """bfloat16 where it is fast, and plain attention: on a CPU its backward pass takes half the time of the fused one's."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._fast), sdpa_kernel(SDPBackend.MATH):
            yield


def candidates(
    model: SAM2Base, features: tuple[Tensor, ...], m_points: Tensor, labels: Tensor, mask_input: Tensor | None
) -> tuple[Tensor, Tensor]:
    """As `network.decode`, but all four masks at once: logits (n, 4, h, h), the single one first, and estimates (n, 4), float32."""
    embedding, fine, middle = features
    sparse, dense = model.sam_prompt_encoder(points=(m_points, labels), boxes=None, masks=mask_input)
    logits, estimates, _, _ = model.sam_mask_decoder.predict_masks(
        image_embeddings=embedding,
        image_pe=model.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        repeat_image=False,
        high_res_features=[fine, middle],
    )
    return logits.float(), estimates.float()


def _shown(estimates: Tensor, *, first_click: bool) -> Tensor:
    """Which mask a person would see and correct: after one click the candidate thought best, else the single one. (n,)."""
    best = 1 + estimates.detach()[:, 1:].argmax(1)
    return best if first_click else torch.zeros_like(best)


def _filled(masks: Tensor, scenes: Scenes) -> Tensor:
    """The masks, and where nothing is asked for the picture's empty places (all of it, should it have none): never empty. (n, R, R)."""
    empty = torch.where(scenes.empty.flatten(1).any(1)[:, None, None], scenes.empty, True)
    return torch.where(scenes.asked[:, None, None], masks, empty.repeat_interleave(len(masks) // len(empty), 0))


def _optimisers(model: SAM2Base, settings: Settings) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the trunk's matrices (in trials it needed half as many steps as AdamW alone), AdamW for all else; no decay for vectors."""
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices = {name for name, p in named.items() if "trunk.blocks" in name and p.ndim == 2}
    rest = {name: p for name, p in named.items() if name not in matrices}
    slow = settings.lr * TAKEN_RATE
    groups = [
        {"params": [p for name, p in rest.items() if is_taken(name) and p.ndim > 1], "lr": slow},
        {"params": [p for name, p in rest.items() if is_taken(name) and p.ndim <= 1], "lr": slow, "weight_decay": 0.0},
        {"params": [p for name, p in rest.items() if not is_taken(name) and p.ndim > 1]},
        {"params": [p for name, p in rest.items() if not is_taken(name) and p.ndim <= 1], "weight_decay": 0.0},
    ]
    return (
        torch.optim.Muon([named[name] for name in sorted(matrices)], lr=settings.muon, weight_decay=settings.weight_decay),
        torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.98), weight_decay=settings.weight_decay),
    )


def _rate(step: int, steps: int) -> float:
    """Share of the learning rate: a straight rise, then half a cosine to a hundredth."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    done = (step - WARM_UP) / max(1, steps - WARM_UP)
    return 0.01 + 0.99 * 0.5 * (1 + float(torch.cos(torch.tensor(done * torch.pi))))
