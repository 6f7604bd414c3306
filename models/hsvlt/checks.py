"""The oracles of the spec (§8) as live checks: the real code, untrained, held against the equations. No weights file is needed.

Each returns the largest difference found, or for a yes/no law the size of its violation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from models.hsvlt import losses, reference
from models.hsvlt.config import Config, paper
from models.hsvlt.metrics import average_precision
from models.hsvlt.network import HSVLT, Trace, Visual
from models.shared.laws import Check, Law, run

TINY = Config(labels=5, text_width=12, widths=(4, 6, 8, 10), depths=(1, 1, 2, 1), stem=2)
PAPER_USED = 97_183_472
"""Numbers that the released configuration uses, counted from its file (spec §3.5)."""


def lively(config: Config = TINY, seed: int = 0) -> HSVLT:
    """A network in which every number is random, so that no term is hidden by a start at nought; answering."""
    generator = torch.Generator().manual_seed(seed)
    net = HSVLT(config)
    with torch.no_grad():
        for value in net.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) * 0.4)
    return net.eval()


def _image(n: int = 2, side: int = 32, seed: int = 1) -> Tensor:
    return torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(seed))


def _vectors(config: Config = TINY, seed: int = 2) -> Tensor:
    return torch.randn(config.labels, config.text_width, generator=torch.Generator().manual_seed(seed))


def _gap(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


@torch.no_grad()
def _shapes() -> float:
    wrong = 0
    for config, side in ((TINY, 32), (replace(paper(), depths=(1, 1, 1, 1)), 448)):
        with torch.device("meta"):
            net, trace = HSVLT(config), Trace()
            out = net(torch.empty(1, 1, side, side), torch.empty(config.labels, config.text_width), trace=trace)
        wrong += int(out.logits.shape != (1, config.labels))
        for place, stage in enumerate(trace.stage):
            width, at = config.widths[stage - 1], side // config.strides[stage - 1]
            wrong += int(trace.vision[place].shape != (1, width, at, at)) + int(trace.fused[place].shape != (1, config.labels, width))
            wrong += int(trace.attention[place].shape != (1, 1, config.labels, at * at))
    return float(wrong)


def _count() -> float:
    with torch.device("meta"):
        return float(abs(sum(p.numel() for p in HSVLT(paper()).parameters()) - PAPER_USED))


@torch.no_grad()
def _rows() -> float:
    trace = Trace()
    lively()(_image(), _vectors(), trace=trace)
    return max(max(_gap(a.sum(-1), torch.ones(())), float((-a).clamp_min(0).max())) for a in trace.attention)


@torch.no_grad()
def _even() -> float:
    """Without a query attention is uniform."""
    net, trace = lively(), Trace()
    for stage in net.stages:
        for block in stage:
            nn.init.zeros_(block.interaction.query.weight)
    net(_image(), _vectors(), trace=trace)
    return max(_gap(a, torch.full_like(a, 1 / a.shape[-1])) for a in trace.attention)


@torch.no_grad()
def _equivariant() -> float:
    net, order = lively(), torch.tensor([3, 0, 4, 1, 2])
    whole = net(_image(), _vectors()).logits
    return _gap(net(_image(), _vectors()[order], rows=order).logits, whole[:, order])


@torch.no_grad()
def _independent() -> float:
    """Other labels change nothing; with the way back from words, or the decoder along the labels, they must."""
    rows, worst = torch.tensor([1, 3]), 0.0
    for config, free in (
        (TINY, True),
        (replace(TINY, text_to_vision=True), False),
        (replace(TINY, aggregate="topdown", topdown_width=6), False),
    ):
        net = lively(config)
        gap = _gap(net(_image(), _vectors(config)).logits[:, rows], net(_image(), _vectors(config)[rows], rows=rows).logits)
        worst = max(worst, gap if free else float(gap < 1e-3))
    return worst


def _blind() -> float:
    """The picture's features do not know the labels; with the way back they begin the same and then do."""
    one, other = Trace(), Trace()
    with torch.no_grad():
        net = lively()
        net(_image(), _vectors(), trace=one)
        net(_image(), _vectors(seed=9), trace=other)
    worst = max(_gap(a, b) for a, b in zip(one.vision, other.vision, strict=True))
    torch.manual_seed(0)
    back = HSVLT(replace(TINY, text_to_vision=True))
    plain = HSVLT(TINY)
    plain.load_state_dict({name: value for name, value in back.state_dict().items() if name in plain.state_dict()})
    with torch.no_grad():
        return max(worst, _gap(back(_image(), _vectors()).logits, plain(_image(), _vectors()).logits))


@torch.no_grad()
def _still() -> float:
    """With γ = 0 the visual block hands its map through; at 1e-6 it hardly changes it."""
    x = torch.randn(1, 6, 9, 9)
    nearly = (Visual(6, 1e-6)(x) - x).abs().max() / x.abs().max()
    return max(_gap(Visual(6, 0.0)(x), x), float((nearly - 1e-4).clamp_min(0)))


@torch.no_grad()
def _silent() -> float:
    """A gate of nought leaves L + S; a fusion of nought leaves the head's biases."""
    net, trace = lively(), Trace()
    for stage in net.stages:
        for block in stage:
            nn.init.zeros_(block.interaction.gate.second.weight)
            nn.init.zeros_(block.interaction.mix.weight)
            nn.init.zeros_(block.interaction.mix.bias)
    out = net(_image(), _vectors(), trace=trace)
    return max(
        _gap(out.logits, net.bias.expand_as(out.logits)),
        max(float(g.abs().max()) for g in trace.gates),
        max(float(s.abs().max()) for s in trace.fused),
    )


@torch.no_grad()
def _stage_four() -> float:
    """A head that reads the last stage alone is the full head with the other columns at nought; contributions add up to the logit."""
    net, last = lively(), HSVLT(replace(TINY, stages=(4,))).eval()
    state = dict(net.state_dict())
    state["weight"] = state["weight"][:, -TINY.widths[-1] :]
    last.load_state_dict(state)
    net.weight[:, : -TINY.widths[-1]] = 0
    out = net(_image(), _vectors())
    whole = lively()(_image(), _vectors())
    added = whole.contributions.sum(-1) + lively().bias
    return max(_gap(out.logits, last(_image(), _vectors()).logits), _gap(added, whole.logits))


@torch.no_grad()
def _multiplied() -> float:
    """Where T is nought, S is GELU(b_s) whatever the picture shows."""
    net, trace = lively(), Trace()
    block = net.stages[-1][-1].interaction
    nn.init.zeros_(block.text.weight)
    nn.init.zeros_(block.text.bias)
    net(_image(), _vectors(), trace=trace)
    return _gap(trace.fused[-1], nn.functional.gelu(block.mix.bias).expand_as(trace.fused[-1]))


def _losses() -> float:
    y = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    start = abs(float(losses.bce(torch.zeros(1, 4), y)) - float(np.log(2)))
    logits = torch.tensor([[1.0, -2.0, 0.3, 0.7]])
    plain = losses.asymmetric(logits, y, positive=0, negative=0, clip=0)
    summed = nn.functional.binary_cross_entropy_with_logits(logits, y, reduction="sum")
    easy = losses.asymmetric(torch.full((1, 4), -6.0), torch.zeros(1, 4))
    return max(start, _gap(plain, summed), float(easy.abs()))


def _ranking() -> float:
    """Average precision against its definition: the precision at each positive, from the top of the list."""
    scores, y = np.random.default_rng(0).permutation(40) / 40, np.random.default_rng(1).random(40) < 0.3
    listed = y[np.argsort(-scores)]
    expected = np.mean([listed[: place + 1].mean() for place in np.flatnonzero(listed)])
    third = average_precision(np.array([0.9, 0.8, 0.7, 0.1]), np.array([False, False, True, False]))
    perfect = average_precision(np.array([0.9, 0.8, 0.1]), np.array([True, True, False]))
    return max(abs(average_precision(scores, y) - expected), abs(third - 1 / 3), abs(perfect - 1))


@torch.no_grad()
def _written_out() -> float:
    """The network against the equations written out in NumPy, in double precision, whole and with parts changed."""
    worst = 0.0
    for change in ({}, {"text_to_vision": True}, {"fusion": "visual"}, {"gate": False}, {"heads": 2}, {"stages": (1, 4)}):
        config = replace(TINY, **change)
        net, image, vectors = lively(config).double(), _image(1, 16).double(), _vectors(config).double()
        expected = reference.logits(
            image[0, 0].numpy(), vectors.numpy(), reference.arrays(net.state_dict()), depths=config.depths, stages=config.stages, heads=config.heads,
            product=config.fusion == "product", back=config.text_to_vision,
        )  # fmt: skip
        worst = max(worst, _gap(net(image, vectors).logits[0], torch.from_numpy(expected)))
    return worst


LAWS: tuple[Law, ...] = (
    Law("Shapes", 1, "Every map, label vector and attention has the size the released configuration gives it.", 0.0, _shapes),
    Law("The paper's size", 2, "At the released configuration the network has exactly the 97,183,472 numbers that its file uses.", 0.0, _count),
    Law("Attention adds up", 3, "Each label shares its attention among the places; no share is negative.", 1e-5, _rows),
    Law("No question, no preference", 3, "Without a query every place is looked at alike.", 1e-6, _even),
    Law("The order of labels", 4, "Labels in another order give the same answers in that order.", 1e-5, _equivariant),
    Law("Labels by themselves", 4, "Leaving labels out changes no other label; with words written back, or a decoder along the labels, it does.", 1e-5, _independent),
    Law("A picture read without words", 5, "The picture's features do not depend on the labels; the way back begins as nothing.", 1e-5, _blind),
    Law("Blocks begin as nothing", 6, "With layer scales of nought the visual block hands its map through.", 1e-6, _still),
    Law("Silent gate, silent fusion", 7, "A closed gate lets labels grow by S alone; without S the answer is the head's bias.", 1e-5, _silent),
    Law("One scale, and the sum of four", 8, "The last stage alone is the full head with other columns at nought; the stages' shares add up to the logit.", 1e-4, _stage_four),
    Law("The losses' limits", 9, "Zero logits cost ln 2; the asymmetric loss without focus is the summed one, and easy negatives cost nothing.", 1e-5, _losses),
    Law("Average precision", 10, "A perfect ranking has 1, one positive at rank r has 1/r; in general it is the mean precision at the positives.", 1e-9, _ranking),
    Law("Words and picture multiply", 11, "A label whose words say nothing cannot fire from the picture.", 1e-5, _multiplied),
    Law("The equations, written out", 3, "The network gives what the equations give, written out step by step in NumPy, whole and with parts changed.", 1e-9, _written_out),
)  # fmt: skip


def checks() -> list[Check]:
    """Runs every law of the room."""
    return run(LAWS)
