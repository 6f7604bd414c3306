"""One leg of the small segmenter's training: batches, prompts, steps, and the running mean of the weights that is kept.

Source: Ravi et al. 2024, section D.2 (a click or a box first, then corrections with the earlier mask as input).
Known deviations: two corrections instead of seven, as every round costs a run of the decoder; each batch begins either with clicks or
with boxes, so that no prompt has to be padded; AdamW with a cosine; bfloat16 where the processor computes in it.

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

from models.shared.backbones.segmenter.clicks import boxes, corrections, first_clicks
from models.shared.backbones.segmenter.losses import overlap, prompt_loss
from models.shared.backbones.segmenter.network import build, encode
from models.shared.backbones.segmenter.pool import Pool
from models.shared.backbones.segmenter.scenes import Scenes, draw_scenes

WARM_UP = 30
NOTHING = 0.08
"""Of the objects in a batch that begins with clicks: places where there is none."""
CLIP = 1.0
LOUDEST = 0.25
"""Mean square of the encoder's maps above which they are pulled down: louder ones drown the place code, and the prompt is forgotten."""
NECK_RATE = 0.1
"""Of the learning rate, for the layer in front of the embedding, whose weights begin small."""


@dataclass(frozen=True)
class Settings:
    """One leg of a training; see `presets` for what is used."""

    side: int
    """S, 256 or 128: a quarter of the pixels cost a quarter of the time, and the place code means the same at both."""
    steps: int
    alone: int
    """First steps, in which the network learns to follow a single prompt and no round of corrections is paid for."""
    pictures: int
    """In one batch."""
    objects: int
    """Prompted in each picture."""
    rounds: int
    """Of prompts: the first one and the corrections."""
    boxes: float
    """Share of the batches that begin with a box instead of clicks."""
    lr: float
    weight_decay: float
    ema: float
    """Weight of the past in the running mean of the weights."""

    @classmethod
    def of(cls, config: Mapping[str, object]) -> Settings:
        """From a leg of a preset's configuration; ValueError for a missing or impossible value."""
        try:
            found = cls(
                **{name: int(config[name]) for name in ("side", "steps", "alone", "pictures", "objects", "rounds")},
                **{name: float(config[name]) for name in ("boxes", "lr", "weight_decay", "ema")},
            )
        except (KeyError, TypeError) as fault:
            raise ValueError(
                f"The segmenter's training lacks a setting or has one that is no number ({fault}); see its presets."
            ) from fault
        if found.side not in (128, 256):
            raise ValueError(f"The segmenter is trained on pictures of 128 or 256 pixels a side, not {found.side}.")
        if min(found.steps, found.pictures, found.objects, found.rounds) < 1 or found.lr <= 0 or not 0 <= found.ema < 1:
            raise ValueError(
                "The segmenter's training needs steps, pictures, objects and rounds of at least 1, and a learning rate above 0."
            )
        return found


class Fitting:
    """A network on its way through one leg. Iterate over `run()`; `averaged` holds the weights to keep."""

    def __init__(
        self, model: SAM2Base, pools: Sequence[Pool], settings: Settings, *, generator: torch.Generator, device: torch.device
    ) -> None:
        self.model = _at(model, settings.side).to(device, memory_format=torch.channels_last).train()
        self.averaged = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))
        self._pools, self._settings, self._device = pools, settings, device
        self._generator = generator
        self._optimizer = torch.optim.AdamW(_groups(self.model, settings), lr=settings.lr, betas=(0.9, 0.98))
        self._schedule = LambdaLR(self._optimizer, lambda step: _rate(step, settings.steps))
        self._fast = device.type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16", False)

    def run(self) -> Iterator[tuple[int, float, float]]:
        """(steps taken, loss of the last one, mean overlap of its single masks after the last prompt) after each step."""
        for step in range(1, self._settings.steps + 1):
            yield step, *self._step(1 if step <= self._settings.alone else self._settings.rounds)

    def _step(self, rounds: int) -> tuple[float, float]:
        with_box = float(torch.rand((), generator=self._generator)) < self._settings.boxes
        scenes = draw_scenes(
            self._pools,
            pictures=self._settings.pictures,
            objects=self._settings.objects,
            generator=self._generator,
            side=self._settings.side,
            nothing=0.0 if with_box else NOTHING,
        )
        with self._numbers():
            loss, good = self._loss(scenes, rounds, with_box=with_box)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self._optimizer.step()
        self._schedule.step()
        self.averaged.update_parameters(self.model)
        return float(loss.detach()), good

    def _loss(self, scenes: Scenes, rounds: int, *, with_box: bool) -> tuple[Tensor, float]:
        """Mean over the rounds of prompts, and the mean overlap after the last."""
        objects, masks = self._settings.objects, scenes.covered > 0.5
        pixels = scenes.pixels.to(self._device, memory_format=torch.channels_last)
        covered, asked = scenes.covered.to(self._device), scenes.asked.to(self._device)
        maps = encode(self.model, pixels)
        features = tuple(part.repeat_interleave(objects, 0) for part in maps)
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
                point, label = corrections(
                    predicted[rows, shown].cpu(), _filled(masks, scenes), side=self._settings.side, generator=self._generator
                )
                points, labels = torch.cat([points, point[:, None]], 1), torch.cat([labels, label[:, None]], 1)
        good = overlap(predicted[:, 0], covered > 0.5)[asked].mean() if asked.any() else torch.zeros(())
        loud = sum((part.float().square().mean() - LOUDEST).relu() for part in maps)
        return total / rounds + loud, float(good)

    def _first(self, scenes: Scenes, masks: Tensor, *, with_box: bool) -> tuple[Tensor, Tensor]:
        """Points (n, P, 2) and labels (n, P)."""
        region, n = _filled(masks, scenes), len(masks)
        if with_box:
            return boxes(region, side=self._settings.side, generator=self._generator), torch.tensor([[2, 3]], dtype=torch.int32).expand(
                n, 2
            )
        return first_clicks(region, side=self._settings.side, generator=self._generator)[:, None], torch.ones(n, 1, dtype=torch.int32)

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


def _at(model: SAM2Base, side: int) -> SAM2Base:
    """The same weights in a network that sees a square of another size."""
    if int(model.image_size) == side:
        return model
    other = build("small", image_size=side, seed=0)
    other.load_state_dict(model.state_dict())
    return other


def _groups(model: SAM2Base, settings: Settings) -> list[dict]:
    """Decay for matrices alone, not for biases, norms and embeddings of single tokens; a small rate for the layer before the embedding."""
    neck = list(model.image_encoder.neck.convs[0].parameters())
    apart = {id(p) for p in neck}
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad and id(p) not in apart]
    matrices = [p for name, p in named if p.ndim > 1 and "embed" not in name and "token" not in name]
    apart |= {id(p) for p in matrices}
    return [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": [p for _, p in named if id(p) not in apart], "weight_decay": 0.0},
        {"params": neck, "weight_decay": 0.0, "lr": NECK_RATE * settings.lr},
    ]


def _rate(step: int, steps: int) -> float:
    """Share of the learning rate: a straight rise, then half a cosine to a hundredth."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    done = (step - WARM_UP) / max(1, steps - WARM_UP)
    return 0.01 + 0.99 * 0.5 * (1 + float(torch.cos(torch.tensor(done * torch.pi))))
