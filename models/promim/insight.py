"""Looks inside a learned prompt: how far it drifted, which pixels move it, which words lie near, where its class texts stand.

C classes, E joint size, D text width, M context vectors, S side of what the model sees. All of it is for looking: nothing here is part
of the method. Nearest words are CoOp's own probe (arXiv 2109.01134, section 4.4, table 4, Euclidean distance); the drift meter is L_kg of KgCoOp
seen class by class; leakage and the map in two dimensions are ours (inferred).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.promim.arms import ARMS
from models.promim.losses import pull_per_class
from models.promim.network import text_features
from models.promim.records import Drift, Leakage, NearWord, Options, Prepared, PromptMap
from models.promim.seeing import masked_features

if TYPE_CHECKING:
    from models.promim.wrapper import Explorer
    from models.shared.backbones.clip import Clip

MOST_WORDS = 20
MOST_PICTURES = 64


def learned_arms(explorer: Explorer, options: Options) -> tuple[str, ...]:
    """The arms asked for that have learned prompts."""
    return tuple(arm for arm in options.arms if arm in explorer.arms and ARMS[arm].learned)


def _condition(explorer: Explorer, prepared: Prepared, options: Options, arm: str) -> Tensor | None:
    """What the arm's meta-net sees, (1, E): the whole picture, the first mask's patches, or nothing at all."""
    if not ARMS[arm].conditional:
        return None
    if not ARMS[arm].masked:
        return torch.from_numpy(prepared.feature)[None]
    return masked_features(explorer.clip, torch.from_numpy(prepared.pixels), explorer.kept(options)[:1], options.hiding)


@torch.no_grad()
def drift(explorer: Explorer, prepared: Prepared, options: Options) -> dict[str, Drift]:
    """See `Explorer.drift`."""
    found = {}
    texts = explorer.texts(options)
    for arm in learned_arms(explorer, options):
        learner, condition = explorer.learner(options, arm), _condition(explorer, prepared, options, arm)
        shift = None if condition is None else learner.shift(condition)
        text = text_features(explorer.clip, texts, learner.contexts(shift))[0]  # C E
        length = learner.context.norm(dim=-1).mean()
        found[arm] = Drift(
            shift_ratio=0.0 if shift is None else float(shift.norm() / length),
            cosine=(text * texts.hand).sum(dim=-1).numpy(),
            pull=pull_per_class(text, texts.hand).numpy(),
        )
    return found


def leakage(explorer: Explorer, prepared: Prepared, options: Options) -> dict[str, Leakage]:
    """See `Explorer.leakage`."""
    clip, found = explorer.clip, {}
    for arm in (arm for arm in learned_arms(explorer, options) if ARMS[arm].conditional):
        learner = explorer.learner(options, arm)
        keep = explorer.kept(options)[:1] if ARMS[arm].masked else torch.arange(clip.patches)[None]
        pixels = torch.from_numpy(prepared.pixels).clone().requires_grad_(True)
        learner.shift(masked_features(clip, pixels, keep, options.hiding))[0].norm().backward()
        slope = pixels.grad[0].abs().sum(dim=0).numpy()  # 3 S S -> S S
        found[arm] = _leakage_of(slope, clip, keep[0])
    return found


def _leakage_of(slope: np.ndarray, clip: Clip, keep: Tensor) -> Leakage:
    rows, columns = clip.grid
    side = clip.patch_size
    patches = slope.reshape(rows, side, columns, side).sum(axis=(1, 3))
    hidden = np.ones(rows * columns, dtype=bool)
    hidden[keep.numpy()] = False
    total = float(patches.sum())
    return Leakage(slope, patches, float(patches.reshape(-1)[hidden].sum()) / total if total else 0.0)


@torch.no_grad()
def words(explorer: Explorer, prepared: Prepared, options: Options, count: int) -> dict[str, tuple[tuple[NearWord, ...], ...]]:
    """See `Explorer.words`."""
    if not 1 <= count <= MOST_WORDS:
        raise ValueError(f"Between 1 and {MOST_WORDS} near words can be shown, not {count}.")
    names, table = vocabulary(explorer.clip)
    found = {}
    for arm in learned_arms(explorer, options):
        learner, condition = explorer.learner(options, arm), _condition(explorer, prepared, options, arm)
        contexts = learner.contexts(None if condition is None else learner.shift(condition))[0]  # M D
        near = torch.cdist(contexts, table).topk(count, dim=-1, largest=False)
        found[arm] = tuple(
            tuple(NearWord(names[i], d) for i, d in zip(ids, distances, strict=True))
            for ids, distances in zip(near.indices.tolist(), near.values.tolist(), strict=True)
        )
    return found


@lru_cache(maxsize=4)
def vocabulary(clip: Clip) -> tuple[tuple[str, ...], Tensor]:
    """Tokens that can be read, as text, and their embeddings (V, D): whole words and pieces of ASCII letters and digits."""
    readable = {}
    for number in clip.tokenizer.decoder:
        if number not in clip.tokenizer.all_special_ids:
            word = clip.tokenizer.decode([number]).strip()
            if word.isascii() and word.isalnum():
                readable[number] = word
    numbers = torch.tensor(list(readable))
    embeddings, _ = clip.token_embeddings(numbers[:, None].to(clip.device))  # V 1 D
    return tuple(readable.values()), embeddings[:, 0]


@torch.no_grad()
def prompt_map(explorer: Explorer, pictures: Sequence[Prepared], options: Options) -> PromptMap:
    """See `Explorer.prompt_map`."""
    if not 1 <= len(pictures) <= MOST_PICTURES:
        raise ValueError(f"The map takes 1 to {MOST_PICTURES} pictures, not {len(pictures)}.")
    texts, blocks = explorer.texts(options), []
    blocks.append(("clip", -1, texts.hand))
    for arm in learned_arms(explorer, options):
        learner = explorer.learner(options, arm)
        shown = enumerate(pictures) if ARMS[arm].conditional else [(-1, pictures[0])]
        for number, prepared in shown:
            condition = _condition(explorer, prepared, options, arm)
            shift = None if condition is None else learner.shift(condition)
            blocks.append((arm, number, text_features(explorer.clip, texts, learner.contexts(shift))[0]))
    points, explained = _two_main_directions(torch.cat([block for _, _, block in blocks]))
    c = len(texts.names)
    return PromptMap(
        points=points,
        arm=tuple(arm for arm, _, _ in blocks for _ in range(c)),
        label=np.tile(np.arange(c), len(blocks)),
        picture=np.repeat([number for _, number, _ in blocks], c),
        classes=texts.names,
        explained=explained,
    )


def _two_main_directions(points: Tensor) -> tuple[np.ndarray, tuple[float, float]]:
    """Principal components: (P, E) to (P, 2) float32, and the share of the spread along each; zeros where there is no spread."""
    centred = points - points.mean(dim=0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    flat = np.zeros((len(points), 2), dtype=np.float32)
    two = min(2, len(s))
    flat[:, :two] = (u[:, :two] * s[:two]).numpy()
    total = float(s.square().sum())
    shares = [float(value) ** 2 / total if total else 0.0 for value in s[:two]] + [0.0, 0.0]
    return flat, (shares[0], shares[1])
