"""Training the small language model on its made-up texts and measuring it (contract: `models.cli`): the next word, by cross-entropy."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.shared.backbones.language import corpus
from models.shared.backbones.language.decoder import Decoder, Tokens, padded
from models.shared.backbones.language.loading import new_decoder, small_tokens, with_weights
from models.shared.backbones.language.measures import Counts, perplexities
from models.shared.backbones.language.record import METHOD
from models.shared.checkpoints import Card, DatasetUse, Metric
from models.shared.device import hardware, pick_device
from models.shared.packing import lay_in, pack

WARM, TOLD_EVERY, ALIKE = 0.05, 10, 8
"""Share of the steps in which the rate rises; every how many steps the loss is told; batches are cut from so many sorted by length."""


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Yields `progress` events and at last `result`."""
    torch.set_flush_denormal(True)
    started = time.perf_counter()
    place, steps = pick_device(device), int(config["steps"])
    tokens = small_tokens()
    rows = [row for some in _rows(tokens, "train", int(config["pool"])).values() for row in some]
    decoder = new_decoder(seed=seed, device=str(place))
    for step, loss in fit(decoder, rows, config, seed):
        yield {"kind": "progress", "step": step, "steps": steps, "loss": loss, "text": "next word"}
    packed = pack(decoder.model.state_dict())
    lay_in(decoder.model.cpu(), packed)  # measured as it ships
    seconds = time.perf_counter() - started
    yield {"kind": "progress", "step": steps, "steps": steps, "text": "measuring on held-out texts"}
    metrics = _measured(decoder, config)
    yield {"kind": "result", "card": _card(config, seed, device, metrics, seconds, decoder), "tensors": packed}


def fit(decoder: Decoder, rows: Sequence[Sequence[int]], config: Mapping[str, object], seed: int) -> Iterator[tuple[int, float]]:
    """Train in place on rows of tokens; yields (step, mean loss since the last). AdamW, warm-up, cosine; norms are not decayed."""
    model, steps, size = decoder.model.train().requires_grad_(True), int(config["steps"]), int(config["batch"])
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": float(config["weight_decay"])}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=float(config["lr"]), betas=(0.9, 0.95))
    warm = max(1, round(WARM * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / steps)))
    )
    random, told = np.random.default_rng([seed, 0x11A]), []
    batches: list[np.ndarray] = []
    for step in range(steps):
        if not batches:
            batches = _batches(rows, size, random)
        ids, mask = padded([rows[row] for row in batches.pop()], decoder.tokenizer.pad_id)
        loss = next_word_loss(decoder, ids, mask)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        told.append(loss.item())
        if (step + 1) % TOLD_EVERY == 0 or step + 1 == steps:
            yield step + 1, float(np.mean(told))
            told = []
    model.eval().requires_grad_(False)


def next_word_loss(decoder: Decoder, ids: Tensor, mask: Tensor) -> Tensor:
    """Mean cross-entropy of each token after the first, padding left out."""
    ids, mask = ids.to(decoder.device), mask.to(decoder.device)
    logits = decoder.model(ids, attention_mask=mask, use_cache=False).logits
    return F.cross_entropy(logits[:, :-1][mask[:, 1:]], ids[:, 1:][mask[:, 1:]])


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """The card's numbers again."""
    return _measured(with_weights(tensors, card), card.config)


def tolerance(name: str) -> float:
    """Perplexities; the order of sums differs between processors."""
    return 5e-3


def _batches(rows: Sequence[Sequence[int]], size: int, random: np.random.Generator) -> list[np.ndarray]:
    """Every row once, in batches of rows alike in length, in random order."""
    found = []
    order = random.permutation(len(rows))
    for start in range(0, len(rows), size * ALIKE):
        part = sorted(order[start : start + size * ALIKE], key=lambda row: len(rows[row]))
        found += [np.array(part[at : at + size]) for at in range(0, len(part), size)]
    return [found[place] for place in random.permutation(len(found))]


def _rows(tokens: Tokens, split: str, n: int) -> dict[str, list[list[int]]]:
    """Kind → texts as rows of tokens, with beginning and end."""
    return {kind: [[tokens.bos_id, *tokens.ids(text), tokens.eos_id] for text in some] for kind, some in corpus.texts(split, n).items()}


def _measured(decoder: Decoder, config: Mapping[str, object]) -> dict[str, Metric]:
    """On test texts, and on texts of combinations that no training text speaks of."""
    tokens = decoder.tokenizer
    counts = Counts([row for some in _rows(tokens, "train", int(config["pool"])).values() for row in some], len(tokens))
    found = perplexities(decoder, counts, _rows(tokens, "test", int(config["tests"])))
    unseen = _rows(tokens, "unseen", int(config["tests"]))
    return found | perplexities(decoder, counts, {f"{kind} unseen": rows for kind, rows in unseen.items()})


def _card(config: Mapping, seed: int, device: str, metrics: dict[str, Metric], seconds: float, decoder: Decoder) -> Card:
    kinds, preset = len(corpus.KINDS), next((one.name for one in METHOD.presets if dict(one.config) == dict(config)), "")
    flags = [*([f"--preset {preset}"] if preset not in ("", METHOD.presets[0].name) else []), f"--seed {seed} --device {device}"]
    return Card(
        method=METHOD.id,
        title=METHOD.title,
        config=dict(config),
        datasets=(
            DatasetUse(
                name="phantom_texts", title="Made-up findings, notes, requests and answers", kind="phantom", licence="made here, CC0",
                n_train=kinds * int(config["pool"]), n_validation=0, n_test=2 * kinds * int(config["tests"]),
                note="No patients. Words that the phantoms' own rules allow together; no picture is drawn.",
            ),
        ),
        recipe=" ".join([f"python -m models train {METHOD.id}", *flags]),
        seed=seed,
        seconds=seconds,
        hardware=hardware(device),
        parameters=decoder.parameters,
        trained_parameters=decoder.parameters,
        metrics=metrics,
        loses=tuple(_weak_points(metrics)),
        deviations=tuple(vars(deviation).copy() for deviation in METHOD.deviations),
        notes=(
            "Perplexity: how many words the model wavers between on average, each word after the first and the end counted; lower is better. One training; "
            "intervals redraw the texts. Unigram and bigram: counting single words, and words after one word, in the same training texts. \"unseen\": texts "
            "of combinations of side, zone, margin and density that no training text has. Weights are rounded to one byte a number."
        ),
        extra={"texts": list(corpus.KINDS)},
    )  # fmt: skip


def _weak_points(metrics: Mapping[str, Metric]) -> Iterator[str]:
    for name, metric in metrics.items():
        rival = metrics.get(f"{name}@bigram")
        if rival is not None and metric.value >= rival.value:
            yield f"{name.split('/')[0]}: perplexity {metric.value:.2f}, no better than counting pairs of words ({rival.value:.2f})."
