"""Training and held-out evaluation of the small CLIP: contrastive, on phantoms and on the training parts of public sets.

Phases of one run, in the order of the configuration. Those with `left_out` go without the liver-CT phantoms and the real brain MRI: the
weights after the last of them are kept as a twin (`FEWSHOT_FILE`), for studies of few-shot learning that must not have met their pictures
before. The image tower is first taught by direct questions alone (see `teachers`), then by them and by `captions`.
Contrastive loss: symmetric cross-entropy over a batch, every picture for which a caption is true being a match (see `corpus.matches`).
Source: Radford et al. 2021 (arXiv 2103.00020).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.shared.backbones.clip import zero_shot
from models.shared.backbones.clip.batches import Batch
from models.shared.backbones.clip.corpus import REAL_SETS, Source, draws, phantom_source, real_source
from models.shared.backbones.clip.interface import Clip
from models.shared.backbones.clip.load import FEWSHOT_FILE, new_clip, save_clip, weights_of
from models.shared.backbones.clip.teachers import Teachers
from models.shared.checkpoints import Card, DatasetUse, Metric
from models.shared.data import DataNotHere, load, phantoms
from models.shared.device import hardware, pick_device, seed_everything
from models.shared.paths import assets_dir

LEFT_OUT = ("liver_ct", "brain_mri")
WARM_UP = 60
MUON_DECAY = 0.02
TEXT_GROUPS = 3
WEIGHT_DECAY = 0.05
HIGHEST_SCALE = math.log(100)


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Trains the two stages; yields `progress` events and at last `result`. Raises DataNotHere without the real sets."""
    torch.set_flush_denormal(True)  # gradients of hardly used weights turn so small that a CPU would take ten times as long over them
    seed_everything(seed)
    started, place = time.perf_counter(), pick_device(device)
    sources = []
    for family in phantoms.families():
        yield {"kind": "progress", "step": 0, "steps": 1, "text": f"drawing {phantoms.title(family)}s"}
        sources.append(phantom_source(family, phantoms.split_seeds("train", int(config["pool"]))))
    sources += [real_source(name, "train") for name in REAL_SETS]
    clip = new_clip(seed=seed, device=str(place))
    clip.model.train().requires_grad_(True)
    done, total, twin = 0, sum(phase["steps"] for phase in config["phases"]), {}
    for number, phase in enumerate(config["phases"]):
        wanted = [source for source in sources if not (phase["left_out"] and source.name in LEFT_OUT)]
        for step, loss in _phase(clip, wanted, phase, seed + number):
            yield {"kind": "progress", "step": done + step, "steps": total, "loss": loss, "text": f"phase {number + 1}"}
        done += phase["steps"]
        if phase["left_out"]:
            twin = {name: value.clone() for name, value in weights_of(clip).items()}
    clip.model.eval().requires_grad_(False)
    tensors = weights_of(clip)
    yield {"kind": "progress", "step": total, "steps": total, "text": "measuring on held-out pictures"}
    metrics = _measured(tensors, "") | _measured(twin, "@small-fewshot")
    card = _card(config, seed, device, metrics, time.perf_counter() - started, clip)
    _keep_twin(twin)
    yield {"kind": "result", "card": card, "tensors": tensors}


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The card's numbers again, those of real sets only where their files are here."""
    from safetensors.torch import load_file

    found = _measured(tensors, "")
    twin = assets_dir() / "checkpoints" / FEWSHOT_FILE
    return found | (_measured(load_file(twin), "@small-fewshot") if twin.is_file() else {})


def tolerance(name: str) -> float:
    """Another processor rounds otherwise, which may turn a few answers that were close."""
    return 0.01


def _phase(clip: Clip, sources: Sequence[Source], phase: Mapping, seed: int) -> Iterator[tuple[int, float]]:
    """One phase with warm-up and a cosine to a hundredth; yields the step and the smoothed loss."""
    teachers = Teachers(sources, clip.model.visual.conv1.out_channels, clip.embed_dim).to(clip.device)
    optimisers = _optimisers(clip, teachers, phase)
    rates = [group["lr"] for optimiser in optimisers for group in optimiser.param_groups]
    half = copy.deepcopy(clip)  # forward and backward in bfloat16, the steps in float32
    half.model.bfloat16()
    stream = draws(int(phase["batch"]), sources, [_weight(source, phase["left_out"]) for source in sources], seed)
    smooth = None
    for step in range(int(phase["steps"])):
        groups = [group for optimiser in optimisers for group in optimiser.param_groups]
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate * _rate(step, int(phase["steps"]))
        with sdpa_kernel(SDPBackend.MATH):  # for so few tokens twice as fast on a CPU as the fused kernel
            loss = _loss(half, teachers, Batch.of(*next(stream)), phase)
            teachers.zero_grad(set_to_none=True)
            loss.backward()
        _step(optimisers, clip, half)
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        yield step + 1, smooth


def _optimisers(clip: Clip, teachers: Teachers, phase: Mapping) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the matrices of the blocks, AdamW for all else. In trials Muon needed about half as many pictures as AdamW alone."""
    named = dict(clip.model.named_parameters())
    matrices = {name for name, p in named.items() if "resblocks" in name and p.ndim == 2}
    rest = [*(p for name, p in named.items() if name not in matrices), *teachers.parameters()]
    groups = [{"params": [p for p in rest if p.ndim >= 2]}, {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0}]
    return (
        torch.optim.Muon([named[name] for name in sorted(matrices)], lr=float(phase["muon"]), weight_decay=MUON_DECAY),
        torch.optim.AdamW(groups, lr=float(phase["adam"]), betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY),
    )


def _step(optimisers: Sequence[torch.optim.Optimizer], clip: Clip, half: Clip) -> None:
    """Move the gradients over, step, and move the weights back."""
    pairs = list(zip(clip.model.parameters(), half.model.parameters(), strict=True))
    for full, short in pairs:
        full.grad, short.grad = (None if short.grad is None else short.grad.float()), None
    torch.nn.utils.clip_grad_norm_(clip.model.parameters(), 1.0)
    for optimiser in optimisers:
        optimiser.step()
    with torch.no_grad():
        clip.model.logit_scale.clamp_(0, HIGHEST_SCALE)
        for full, short in pairs:
            short.copy_(full)


def _rate(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / min(WARM_UP, max(1, steps // 5)))
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def _weight(source: Source, left_out: bool) -> float:
    """How often a source is drawn: phantoms most, new ones twice as often, small real sets seldom, so that they are not learnt by heart."""
    if source.kind == "phantom":
        return 2.0 if source.name in LEFT_OUT and not left_out else 1.0
    return {"brain_mri": 1.2, "busi": 0.25, "pneumoniamnist": 0.4}[source.name]


def _loss(clip: Clip, teachers: Teachers, batch: Batch, phase: Mapping) -> Tensor:
    pixels = clip.normalise(batch.pixels.to(clip.device)).bfloat16().expand(-1, 3, -1, -1)
    look = clip.look(pixels)
    features, tokens, first = look.features.float(), look.tokens.float(), 0
    loss = features.new_zeros(())
    if phase["captions"]:
        loss = contrastive(clip, features, _words(clip, batch.texts), batch.targets.to(clip.device))
    for source, rows, where in batch.parts:
        own = slice(first, first := first + len(rows))
        share = None if where is None else F.adaptive_avg_pool2d(where, clip.grid).flatten(1).to(clip.device)
        loss = loss + teachers(source, torch.from_numpy(rows), features[own], tokens[own], share) / len(batch.parts)
    return loss


def contrastive(clip: Clip, images: Tensor, words: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy both ways between B pictures and B captions, features (B, E); `targets` (B, B) holds 1 where a caption is true."""
    logits = clip.logit_scale.float() * F.normalize(images.float(), dim=-1) @ F.normalize(words.float(), dim=-1).T
    forth = targets / targets.sum(1, keepdim=True)
    back = targets.T / targets.T.sum(1, keepdim=True)
    return (F.cross_entropy(logits, forth) + F.cross_entropy(logits.T, back)) / 2


def _words(clip: Clip, texts: list[str]) -> Tensor:
    """Text features (B, E): each different text once, short ones apart from long ones, since a batch costs what its longest text costs."""
    different = sorted(set(texts), key=len)
    size = -(-len(different) // TEXT_GROUPS)
    parts = [clip.encode_text(different[start : start + size]) for start in range(0, len(different), size)]
    place = {words: number for number, words in enumerate(different)}
    return torch.cat(parts)[[place[words] for words in texts]]


def _measured(tensors: Mapping[str, Tensor], arm: str) -> dict[str, Metric]:
    clip = new_clip()
    clip.model.load_state_dict({name: value.float() for name, value in tensors.items()})
    found = zero_shot.on_phantoms(clip)
    for name in REAL_SETS:
        try:
            found |= zero_shot.on_real(clip, name)
        except DataNotHere:
            continue
    return {f"{name}{arm}": metric for name, metric in found.items()}


def _keep_twin(tensors: Mapping[str, Tensor]) -> Path:
    clip = new_clip()
    clip.model.load_state_dict({name: value.float() for name, value in tensors.items()})
    path = assets_dir() / "checkpoints" / FEWSHOT_FILE
    save_clip(clip, path, dtype=torch.float16)
    return path


def _card(config: Mapping, seed: int, device: str, metrics: dict[str, Metric], seconds: float, clip: Clip) -> Card:
    from models.shared.backbones.clip.record import METHOD

    real = [
        DatasetUse(
            name=name, title=load(name).title, kind="real", licence=load(name).licence, note=load(name).note,
            n_train=len(load(name).train), n_validation=0, n_test=len(load(name).test),
        )
        for name in REAL_SETS
    ]  # fmt: skip
    drawn = [
        DatasetUse(
            name=family, title=f"{phantoms.title(family)}s", kind="phantom", licence="made by this program",
            n_train=int(config["pool"]), n_validation=0, n_test=2 * zero_shot.CASES,
        )
        for family in phantoms.families()
    ]  # fmt: skip
    return Card(
        method=METHOD.id,
        title=METHOD.title,
        config=dict(config),
        datasets=tuple(drawn + real),
        recipe=f"python -m models train clip_small --seed {seed} --device {device}",
        seed=seed,
        seconds=seconds,
        hardware=hardware(device),
        parameters=clip.parameters,
        trained_parameters=clip.parameters,
        metrics=metrics,
        loses=tuple(_weak_points(metrics)),
        deviations=tuple(vars(deviation).copy() for deviation in METHOD.deviations),
        notes=(
            "Zero-shot: the class whose description fits best, the features of five wordings averaged. "
            "\"unseen\": phantoms with combinations of side, zone, margin and density that no training picture shows. "
            "The class names of the real sets were among the training captions, so on them this is ordinary supervised learning, not a surprise. "
            "Rows marked small-fewshot are of the twin that never met a liver-CT phantom or a real brain MRI."
        ),
    )  # fmt: skip


def _weak_points(metrics: Mapping[str, Metric]) -> Iterator[str]:
    for name, metric in metrics.items():
        if "@" not in name and name.endswith("accuracy") and metric.value < 0.8:
            yield f"{name.split('/')[0].replace('_', ' ')}: {100 * metric.value:.0f} % right, below the 80 % aimed at."
