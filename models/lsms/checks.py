"""The oracles of the spec (§6) as live checks: the real code, untrained, held against the equations. No weights file is needed.

Each returns the largest difference found, or for a yes/no law the size of its violation. Oracles 8, 9 and 10 speak of trained networks and are the
card's numbers: shuffled and mirrored phrases.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.lsms import abdomen, phrases, reference
from models.lsms.config import Config, paper
from models.lsms.losses import contrast_loss
from models.lsms.network import LSMS, Attention, Block, FullScale, Language, Trace
from models.shared.laws import Check, Law, run

TINY = Config(widths=(6, 8, 12), depths=(1, 1, 1), mlp=(2, 2, 2), text_width=8, words=len(phrases.VOCABULARY) + 2, width=8, fsd_heads=2)


def lively(config: Config = TINY, seed: int = 0) -> LSMS:
    """A network in which every number is random, scales and norms included, so that no term is hidden by a start at nought; answering."""
    generator = torch.Generator().manual_seed(seed)
    net = LSMS(config)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if value.dtype.is_floating_point:
                noise = torch.randn(value.shape, generator=generator)
                value.copy_(noise.abs() * 0.5 + 0.5 if name.endswith("running_var") else noise * 0.3)
    return net.eval()


def _image(n: int = 1, h: int = 32, w: int = 32, seed: int = 1) -> Tensor:
    return torch.rand(n, 1, h, w, generator=torch.Generator().manual_seed(seed))


def _tokens(*texts: str) -> Tensor:
    return torch.from_numpy(phrases.tokens(texts or ("the large dark lesion in the right lobe",)))


def _gap(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


@torch.no_grad()
def _shapes() -> float:
    wrong = 0
    for config, (h, w) in ((TINY, (32, 64)), (paper(), (64, 96))):
        with torch.device("meta"):
            net, trace = LSMS(config), Trace()
            text = torch.empty(2, config.text_width, 5)
            out = net(torch.empty(2, 1, h, w), text, torch.ones(2, 5, dtype=torch.bool), trace=trace)
        wrong += int(out.logits.shape != (2, 1, h, w))
        expected = [(2, c, h // s, w // s) for c, s in zip(config.widths, config.strides, strict=True)]
        wrong += sum(tuple(got.shape) != want for got, want in zip(trace.stages, expected, strict=True))
    return float(wrong)


@torch.no_grad()
def _rows() -> float:
    trace, tokens = Trace(), _tokens("all lesions", "the large dark lesion in the right lobe")
    lively()(_image(2), tokens, trace=trace)
    return max(max(_gap(rows.sum(-1), torch.ones(())), float(rows[0, :, 2:].max())) for rows in trace.words)


@torch.no_grad()
def _padding() -> float:
    net, short = lively(), _tokens("the large lesion")
    return _gap(net(_image(), short).logits, net(_image(), F.pad(short, (0, 6))).logits)


@torch.no_grad()
def _silent_gate() -> float:
    net, plain = lively(), lively(replace(TINY, language=False))
    plain.load_state_dict({name: value for name, value in net.state_dict().items() if name in plain.state_dict()})
    for module in net.modules():
        if isinstance(module, Language):
            nn.init.zeros_(module.gate_b.weight)
    one, other = (net(_image(), _tokens(text)).logits for text in ("the small lesion", "all the dark masses"))
    return max(_gap(one, other), _gap(one, plain(_image(), _tokens()).logits))


@torch.no_grad()
def _additive() -> float:
    """A = W3 Σ c: silencing one strip changes A by W3 c_k alone."""
    block, worst = Attention(6, TINY).eval(), 0.0
    x, words, mask = torch.randn(1, 6, 12, 12), torch.randn(1, 8, 4), torch.ones(1, 4, dtype=torch.bool)
    sums: list[Tensor] = []
    block.mix.register_forward_hook(lambda _m, _i, out: sums.append(out))
    trace = Trace()
    block(x, words, mask, trace)
    for name, strip in zip(block.names, block.strips, strict=True):
        handle = strip.register_forward_hook(lambda _m, _i, out: torch.zeros_like(out))
        # the language branch reads the 5×5 alone, so it stays as it was
        block(x, words, mask)
        handle.remove()
        told = F.conv2d(trace.branches[0][name], block.mix.weight)
        worst = max(worst, _gap(sums[0] - sums[-1], told))
    return worst


@torch.no_grad()
def _reach() -> float:
    """Pixels a strip branch reaches although it should not, or the other way round."""
    block, wrong = Attention(4, replace(TINY, language=False, kernels=(3, 9))).eval(), 0
    for k, strip in zip((3, 9), block.strips, strict=True):
        for conv in strip:
            nn.init.ones_(conv.weight)
            nn.init.zeros_(conv.bias)
        impulse = torch.zeros(1, 4, 21, 21)
        impulse[..., 10, 10] = 1
        reached, half = strip(impulse)[0, 0] > 0, k // 2
        expected = torch.zeros(21, 21, dtype=torch.bool)
        expected[10 - half : 11 + half, 10 - half : 11 + half] = True
        wrong += int((reached ^ expected).sum())
    return float(wrong)


@torch.no_grad()
def _identity() -> float:
    block = Block(6, 2, TINY, 0.0).eval()
    nn.init.zeros_(block.scale1)
    nn.init.zeros_(block.scale2)
    x = torch.randn(1, 6, 8, 8)
    return _gap(block(x, torch.randn(1, 8, 3), torch.ones(1, 3, dtype=torch.bool)), x)


@torch.no_grad()
def _full_scale() -> float:
    """Tokens cut and put together again; a silent decoder changes nothing."""
    config = replace(TINY, fsd_layers=1)
    part = FullScale(config).eval()
    maps = [torch.randn(1, 8, side, side) for side in (16, 8, 4)]
    tokens = part.tokens(maps)
    again = torch.cat([one.flatten(2).transpose(1, 2) for one in part.split(tokens, maps)], dim=1)
    nn.init.zeros_(part.out.weight)
    nn.init.zeros_(part.out.bias)
    return max(_gap(again, tokens), max(_gap(a, b) for a, b in zip(part(maps), maps, strict=True)))


@torch.no_grad()
def _silent_decoder() -> float:
    net, plain = lively(), lively(replace(TINY, decoder="plain"))
    plain.load_state_dict({name: value for name, value in net.state_dict().items() if name in plain.state_dict()})
    nn.init.zeros_(net.full.out.weight)
    nn.init.zeros_(net.full.out.bias)
    return _gap(net(_image(), _tokens()).logits, plain(_image(), _tokens()).logits)


@torch.no_grad()
def _written_out() -> float:
    """The network against the equations written out in NumPy, in double precision, with every part and with parts taken out."""
    worst = 0.0
    for change in ({}, {"language": False}, {"kernels": ()}, {"decoder": "plain"}, {"lang_per_branch": True}, {"coords": False}):
        config = replace(TINY, **change)
        net, image, tokens = lively(config).double(), _image().double(), _tokens()
        spoken = (1 + len(config.kernels) if config.lang_per_branch else 1) if config.language else 0
        expected = reference.logits(
            image[0, 0].numpy(), tokens[0].tolist(), reference.arrays(net.state_dict()), depths=config.depths, stem=config.stem_convs,
            kernels=config.kernels, language=spoken, coords=config.coords, decoder=config.decoder, layers=config.fsd_layers, heads=config.fsd_heads,
        )  # fmt: skip
        worst = max(worst, _gap(net(image, tokens).logits[0, 0], torch.from_numpy(expected)))
    return worst


def _contrast() -> float:
    """Perfectly aligned pixels cost nothing; turning everything together changes nothing."""
    generator = torch.Generator().manual_seed(0)
    t = F.normalize(torch.randn(2, 8, generator=generator), dim=1)
    mask = torch.zeros(2, 8, 8)
    mask[:, 2:5, 3:6] = 1
    z = t[:, :, None, None] * (2 * mask[:, None] - 1)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=generator))[0]
    other = F.normalize(torch.randn(2, 8, 8, 8, generator=generator), dim=1)
    rotated = contrast_loss(torch.einsum("ij,bjhw->bihw", turn, other), t @ turn.T, mask)
    return max(0.0, float(contrast_loss(z, t, mask)) - 1e-3) + abs(float(rotated - contrast_loss(other, t, mask)))


def _words_fit() -> float:
    """Phrases that mean other lesions than their words say, over fifty slices; and mirrored phrases that are not mirrored back."""
    wrong = 0
    for seed in range(50):
        shown, random = abdomen.sample(seed), np.random.default_rng(seed)
        for phrase in phrases.phrases(shown, random, n=6):
            wrong += sum(phrases.mirrored(phrases.mirrored(phrase.text)) != " ".join(phrases.words_of(phrase.text)) for _ in (0,))
            wrong += bool(phrases.unknown_words(phrase.text)) + ((phrase.kind == "none") != (not phrase.rows))
            said = set(phrases.words_of(phrase.text))
            wrong += sum("right" in said and shown.lesions[row].lobe != "right" for row in phrase.rows)
            wrong += sum("left" in said and shown.lesions[row].lobe != "left" for row in phrase.rows)
    return float(wrong)


LAWS: tuple[Law, ...] = (
    Law("Shapes", 1, "Every map has the size the paper gives it, for the small network and at the paper's size.", 0.0, _shapes),
    Law("Attention adds up", 2, "Every place shares its attention among the real words alone.", 1e-5, _rows),
    Law("Padding says nothing", 2, "Empty places behind a phrase change nothing.", 1e-5, _padding),
    Law("A closed gate is silent", 3, "With the language gate closed the phrase does not matter, and the block is the plain multi-kernel one.", 1e-5, _silent_gate),
    Law("Branches add up", 4, "Silencing one kernel size takes away its own share and nothing else.", 1e-5, _additive),
    Law("How far a strip sees", 5, "A strip pair of length k sees a square of k by k, no more and no less.", 0.0, _reach),
    Law("Blocks begin as nothing", 6, "With layer scales of nought a block hands its input through.", 0.0, _identity),
    Law("Tokens of all scales", 7, "Cut into tokens and put together again the scales are the same; silent, the decoder adds nothing.", 1e-6, _full_scale),
    Law("A silent full-scale decoder", 7, "With its output silenced the decoder is the plain one.", 1e-5, _silent_decoder),
    Law("The equations, written out", 2, "The network gives what the equations give, written out step by step in NumPy, whole and with parts taken out.", 1e-9, _written_out),
    Law("The contrast's limits", 11, "Aligned pixels cost nothing, and turning pixels and sentence together changes nothing.", 1e-5, _contrast),
    Law("Phrases mean what they say", 8, "The lesions a made-up phrase means are those its words name.", 0.0, _words_fit),
)  # fmt: skip


def checks() -> list[Check]:
    """Runs every law of the room."""
    return run(LAWS)
