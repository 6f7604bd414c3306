"""The oracles of both rooms (EPIC §7, MITP §7) as live checks on a small random CLIP. No weights file is needed.

Each returns the largest difference found, or for a yes/no law the size of its violation.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from models.shared.backbones.clip.interface import Clip
from models.shared.laws import Check, Law, run
from models.shared.prompt_interaction.config import Config, pairs
from models.shared.prompt_interaction.engine import Hub, Inputs, PromptInteraction, Trace

CONFIG = Config(prompts=4, rungs=3)
NOTES = ("one small dark lesion in the left upper zone", "a large bright mass")


@lru_cache(maxsize=1)
def _clip() -> Clip:
    from models.shared.backbones.clip.load import new_clip

    return new_clip(seed=0)


def lively(config: Config = CONFIG, seed: int = 0) -> PromptInteraction:
    """An untrained engine whose prompts and maps are large enough to be felt; answering."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = PromptInteraction(_clip(), config)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.copy_(torch.randn(parameter.shape) * 0.3)
    return net.eval()


def _pictures(n: int = 2, seed: int = 1) -> Tensor:
    return torch.rand(n, 3, 128, 128, generator=torch.Generator().manual_seed(seed))


def _begin(net: PromptInteraction, notes: tuple[str, ...] = NOTES, seed: int = 1) -> Inputs:
    return net.begin(_pictures(len(notes), seed), _clip().tokenize(notes))


def _gap(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


@torch.no_grad()
def _off() -> float:
    """Without prompts the features are the frozen encoders' own."""
    net = lively(replace(CONFIG, prompts=0))
    image, text = net.features(_begin(net))
    clip = _clip()
    return max(_gap(image, clip.image_features(_pictures())), _gap(text, clip.encode_text(clip.tokenize(NOTES))))


@torch.no_grad()
def _mask() -> float:
    """Without prompts the mask is the causal one; with them prompts see the note's own tokens and no padding."""
    text, end = torch.zeros(2, 6, 4), torch.tensor([5, 3])
    plain = PromptInteraction.mask(text, end, 0)[0, 0]
    causal = torch.full((6, 6), float("-inf")).triu(1)
    mixed = PromptInteraction.mask(text, end, 2)[1, 0]
    wrong = int(not torch.equal(plain, causal)) + int(not torch.equal(mixed[2:, 2:], causal))
    wrong += int((mixed[:, :2] != 0).any()) + int((mixed[:2, 2:6] != 0).any()) + int((mixed[:2, 6:] == 0).any())
    return float(wrong)


@torch.no_grad()
def _padding() -> float:
    """A pair alone and beside others, with a short note and with a long one beside it."""
    net = lively()
    both = _begin(net)
    alone = net.begin(_pictures()[1:], _clip().tokenize(NOTES[1:]))
    return _gap(net(both)[1:], net(alone))


@torch.no_grad()
def _hub_off() -> float:
    """With the hub off picture and note know nothing of each other; with it on they do."""
    worst = 0.0
    for direction, told_image, told_text in (
        ("off", False, False),
        ("to_text", False, True),
        ("to_vision", True, False),
        ("both", True, True),
    ):
        net = lively(replace(CONFIG, direction=direction))
        base = _begin(net)
        other_picture, other_note = _begin(net, seed=7), _begin(net, (NOTES[1], NOTES[0]))
        image, text = net.features(base)
        of_note = _gap(net.features(Inputs(base.image, other_note.text, other_note.end))[0], image)
        of_picture = _gap(net.features(Inputs(other_picture.image, base.text, base.end))[1], text)
        for told, gap in ((told_image, of_note), (told_text, of_picture)):
            worst = max(worst, float(gap < 1e-4) if told else gap)
    return worst


@torch.no_grad()
def _two_rungs() -> float:
    """With one rung what the hub says has nowhere to go."""
    net = lively(replace(CONFIG, rungs=1))
    base, other = _begin(net), _begin(net, seed=7)
    return _gap(net.features(Inputs(other.image, base.text, base.end))[1], net.features(base)[1])


@torch.no_grad()
def _derived() -> float:
    """Picture prompts are born from note prompts: W p + b."""
    net = lively()
    born: list[Tensor] = []
    handle = net.hub.to_vision.register_forward_hook(lambda _m, _i, out: born.append(out))
    net(_begin(net))
    handle.remove()
    expected = net.prompts @ net.hub.to_vision.weight.T + net.hub.to_vision.bias
    return _gap(born[0][0], expected)


def _hub(similarity: str = "cross", **change: object) -> tuple[Hub, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    hub = Hub(12, 8, replace(CONFIG, similarity=similarity, **change))
    with torch.no_grad():
        for parameter in hub.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return hub, torch.randn(2, 4, 12, generator=generator), torch.randn(2, 4, 8, generator=generator)


@torch.no_grad()
def _rows() -> float:
    worst = 0.0
    for kind in ("cross", "joint", "joint_masked", "uniform", "random", "pairwise"):
        hub, image, text = _hub(kind)
        worst = max(worst, *(_gap(s.sum(-1), torch.ones(())) for s in hub(image, text)[2:]))
    return worst


@torch.no_grad()
def _limits() -> float:
    """Hot: uniform. Longer vectors: the same S. Foreign prompts in another order: columns in that order, the same outcome. Maps of nought: own content alone."""
    hub, image, text = _hub()
    hot = hub(image, text, tau=1e9)[3]
    worst = _gap(hot, torch.full_like(hot, 0.25))
    s, c = hub._taken(text, hub.to_text(image), 0.1, False, 0)
    longer, _ = hub._taken(3 * text, 5 * hub.to_text(image), 0.1, False, 0)
    order = torch.tensor([2, 0, 3, 1])
    turned, same = hub._taken(text, hub.to_text(image)[:, order], 0.1, False, 0)
    worst = max(worst, _gap(longer, s), _gap(turned, s[..., order]), _gap(same, c))
    for layer in (hub.to_text, hub.to_vision):
        layer.weight.zero_()
        layer.bias.zero_()
    next_v, next_t, _, _ = hub(image, text)
    return max(worst, _gap(next_v, image), _gap(next_t, text))


@torch.no_grad()
def _formula() -> float:
    """p̂ + β S φ(p̂ of the other), written out number by number."""
    hub, image, text = _hub(beta=0.7)
    _, next_t, _, s = hub(image, text)
    worst = 0.0
    for b in range(2):
        foreign = [hub.to_text(p) for p in image[b]]
        for i in range(4):
            scores = torch.stack([F.cosine_similarity(text[b, i], f, dim=0) / 0.1 for f in foreign])
            row = scores.exp() / scores.exp().sum()
            expected = text[b, i] + 0.7 * sum(r * f for r, f in zip(row, foreign, strict=True))
            worst = max(worst, _gap(next_t[b, i], expected), _gap(s[b, i], row))
    return worst


def _count() -> float:
    net = lively()
    n, d_t, d_v, p, k = 4, 160, 192, 192, 3
    return float(abs(net.trained() - (n * d_t + 2 * d_t * d_v + d_t + d_v + 2 * p * k + k)))


def _reach() -> float:
    """All three groups learn, the frozen part does not, and nothing below the first rung keeps a graph."""
    net = lively().train()
    inputs = _begin(net)
    net(inputs).square().sum().backward()
    silent = sum(int(p.grad is None or not p.grad.any()) for p in net.parameters())
    moved = sum(int(p.requires_grad) for p in _clip().model.parameters())
    return float(silent + moved + int(inputs.image.requires_grad or inputs.text.requires_grad))


@torch.no_grad()
def _causal() -> float:
    """Changing a late word leaves earlier words as they are up to the first rung's output."""
    net = lively()
    clip = _clip()
    tokens = clip.tokenize(["one small dark lesion in the left zone"])
    changed = tokens.clone()
    place = int(clip._text.end_of(tokens)[0]) - 1
    changed[0, place] = tokens[0, 1]
    one, other = (_words_after_first_rung(net, ids) for ids in (tokens, changed))
    return _gap(one[:, :place], other[:, :place])


def _words_after_first_rung(net: PromptInteraction, tokens: Tensor) -> Tensor:
    kept: list[Tensor] = []
    block = _clip()._text.transformer.resblocks[net.pairs[0][1]]
    handle = block.ln_2.register_forward_hook(lambda _m, _i, out: kept.append(out))
    net(net.begin(_pictures(1), tokens))
    handle.remove()
    return kept[0][:, net.config.prompts :]


def _paired() -> float:
    wrong = int(pairs(12, 12, 3) != [(9, 9), (10, 10), (11, 11)]) + int(pairs(24, 12, 2) != [(21, 10), (23, 11)])
    net = lively()
    trace = Trace()
    with torch.no_grad():
        net(_begin(net), trace=trace)
    wrong += sum(x.shape[-1] != 65 for x in trace.patches) + sum(x.shape[1] != 4 for x in trace.words)
    return float(wrong + int(len(trace.text_from_image) != 3))


LAWS: tuple[Law, ...] = (
    Law("Prompts off", 1, "Without prompts picture and note have the frozen encoders' own features.", 1e-5, _off),
    Law("Who sees whom", 2, "Words see what stands before them and the prompts; prompts see the note and no padding.", 0.0, _mask),
    Law("Alone or beside others", 8, "A pair's answer does not depend on the others of a batch or the length of their notes.", 1e-4, _padding),
    Law("The hub carries what is told", 3, "With it off neither knows of the other; one way tells one of them; both ways both.", 1e-4, _hub_off),
    Law("Two rungs", 3, "With a single rung the exchange has nowhere to go.", 1e-6, _two_rungs),
    Law("Born from one another", 5, "Picture prompts begin as a linear map of note prompts.", 1e-6, _derived),
    Law("Rows add up", 6, "Each prompt shares what it takes among the others' prompts.", 1e-5, _rows),
    Law("Limits of the similarity", 6, "Hot it is uniform; lengths do not matter, nor the order of the others; with maps of nought each keeps its own.", 1e-5, _limits),
    Law("The hub, written out", 4, "What a prompt becomes is its own content and the rows' weighted sum of the other's, number by number.", 1e-5, _formula),
    Law("What learns", 7, "Exactly the first prompts, two maps and the head.", 0.0, _count),
    Law("Gradients reach them", 9, "All of these learn; the towers do not, and nothing is kept below the first rung.", 0.0, _reach),
    Law("Words keep their order", 9, "A later word changes no earlier one before prompts have carried it.", 1e-5, _causal),
    Law("Layers pair up", 10, "Towers of unequal depth meet at the same share of their depth, and prompts leave the sequence again.", 0.0, _paired),
)  # fmt: skip


def checks() -> list[Check]:
    """Runs every law of the engine."""
    return run(LAWS)
