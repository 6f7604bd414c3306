"""The oracles of the spec (§8) as live checks: the real code on a small untrained language model, held against the equations. No weights file is needed.

Each returns the largest difference found, or for a yes/no law the size of its violation.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch
from torch import Tensor, nn

from models.mit import reference
from models.mit.config import CLIP_LARGE, LLAMA_7B, Config, infusion_parameters
from models.mit.heads import Outline, Verdict
from models.mit.network import Maps, MiT, Trace, begin_as_nothing
from models.shared.backbones.language.decoder import Decoder
from models.shared.backbones.language.loading import new_decoder
from models.shared.laws import Check, Law, run

IMAGE, DEPTH = 10, 3
ALL = Config(layers=(1, 2, 3))
PAPER_LAYER, PAPER_OUTLINE = 21_064_448 + 32, 1_620_642
"""Numbers of one infused layer with its L, and of the outline head, at the paper's size (spec §3)."""


def small_llama(seed: int = 0, dtype: torch.dtype = torch.float32) -> Decoder:
    """A frozen model with fewer key heads than query heads; every number is random and large enough to matter."""
    decoder = new_decoder(
        hidden_size=24, intermediate_size=32, num_hidden_layers=DEPTH, num_attention_heads=4, num_key_value_heads=2, head_dim=6
    )
    _shake(decoder.model, seed)
    decoder.model.to(dtype)
    return decoder


def lively(config: Config = ALL, *, widths: tuple[int, ...] = (IMAGE,), decoder: Decoder | None = None, seed: int = 1) -> MiT:
    """A network in which every learned number is random."""
    net = MiT(decoder or small_llama(), config, widths, Verdict(24, 3), patch=IMAGE)
    _shake(net, seed)
    return net.eval()


def text(seed: int = 2, t: int = 7, n: int = 2) -> tuple[Tensor, Tensor]:
    """Token numbers and a full mask (n, t)."""
    ids = torch.randint(10, 60, (n, t), generator=torch.Generator().manual_seed(seed))
    return ids, torch.ones_like(ids, dtype=torch.bool)


def image(seed: int = 3, n: int = 2) -> tuple[Tensor]:
    """One modality's vectors (n, d_I)."""
    return (torch.randn(n, IMAGE, generator=torch.Generator().manual_seed(seed)),)


@torch.no_grad()
def _shake(module: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for value in module.parameters():
        value.copy_(torch.randn(value.shape, generator=generator) * 0.3)


def _gap(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def _frozen(net: MiT, ids: Tensor, mask: Tensor) -> Tensor:
    """The untouched model's own forward pass: states after the final norm."""
    return net.decoder.model.model(ids, attention_mask=mask.long(), use_cache=False).last_hidden_state


def _states(net: MiT, ids: Tensor, mask: Tensor, given, **more) -> Tensor:
    embedded = net.decoder.model.model.embed_tokens(ids)
    return net.decoder.model.model.norm(net.walk(embedded, mask, given, **more))


@torch.no_grad()
def _identity() -> float:
    net = lively()
    for maps in (one for layer in net.infusion.maps.values() for one in layer):
        begin_as_nothing(maps, paper=False)
    ids, mask = text()
    whole = float(not torch.equal(_states(net, ids, mask, image()), _frozen(net, ids, mask)))
    return max(whole, float(not torch.equal(_states(lively(), ids, mask, image(), strength=0.0), _frozen(net, ids, mask))))


@torch.no_grad()
def _identity_as_printed() -> float:
    net = lively(replace(ALL, form="paper"))
    ids, mask = text()
    found = []
    for level in (30.0, 1.0):
        for maps in (one for layer in net.infusion.maps.values() for one in layer):
            begin_as_nothing(maps, paper=True)
            maps.level.fill_(level)
        found.append(_gap(_states(net, ids, mask, image()), _frozen(net, ids, mask)))
    return max(found[0], float(found[1] < 1e-3))


@torch.no_grad()
def _gates() -> float:
    net, other, (ids, mask) = lively(), Trace(), text()
    trace = Trace()
    _states(net, ids, mask, image(), trace=trace)
    _states(net, ids, mask, image(9), trace=other)
    gates = torch.stack([one[0] for one in trace.gate])
    wrong = (
        float(gates.shape != (DEPTH, 2, 4))
        + float(not ((gates > 0) & (gates < 1)).all())
        + float(torch.equal(trace.gate[0][0], other.gate[0][0]))
    )
    value = torch.randn(2, 4, 7, 6, generator=torch.Generator().manual_seed(4))
    pair = [Trace(), Trace()]
    for one, key in zip(pair, (value * 0.5, value.flip(2)), strict=True):
        net.infusion.keys_values(1, key, value, image(), mask, 1.0, one)
    wrong += float(not torch.equal(pair[0].gate[0][0], pair[1].gate[0][0]))
    for maps in (one for layer in net.infusion.maps.values() for one in layer):
        maps.level.fill_(-1e4)
    without = lively(replace(ALL, keys=False, values=False))
    return wrong + _gap(_states(net, ids, mask, image()), _states(without, ids, mask, image()))


@torch.no_grad()
def _off() -> float:
    net, (ids, mask) = lively(Config(layers=())), text()
    hidden = net.begin(ids, mask)
    return _gap(net(hidden, mask, image()), net(hidden, mask, image(9)))


@torch.no_grad()
def _length() -> float:
    """Attention stays T by T; with patches before the text it grows by their number."""
    ids, mask = text()
    infused, before = Trace(), Trace()
    _states(lively(), ids, mask, image(), trace=infused)
    net = lively(Config(layers=(), prepend=True))
    net.read(net.begin(ids, mask), mask, (), patches=torch.randn(2, 5, IMAGE), trace=before)
    return float(any(a.shape != (2, 4, 7, 7) for a in infused.attention)) + float(any(a.shape != (2, 4, 12, 12) for a in before.attention))


@torch.no_grad()
def _query() -> float:
    """The first infused layer's queries know nothing of the picture; the next layer's do."""
    net, (ids, mask), traces = lively(Config(layers=(2, 3))), text(), (Trace(), Trace())
    _states(net, ids, mask, image(), trace=traces[0])
    _states(net, ids, mask, (), trace=traces[1])
    first = float(not torch.equal(traces[0].query[1], traces[1].query[1]))
    return first + float(torch.equal(traces[0].query[2], traces[1].query[2]))


@torch.no_grad()
def _local() -> float:
    """Layers below the first infused one do not depend on the picture; kept states give the same answer as a whole pass."""
    net, (ids, mask), traces = lively(Config(layers=(2, 3))), text(), (Trace(), Trace())
    for trace, seed in zip(traces, (3, 9), strict=True):
        whole = _states(net, ids, mask, image(seed), trace=trace)
    kept = net.read(net.begin(ids, mask), mask, image(9))
    below = float(not torch.equal(traces[0].states[0], traces[1].states[0])) + float(torch.equal(traces[0].states[1], traces[1].states[1]))
    return below + _gap(kept, whole[:, -1])


def _trainable() -> float:
    net, (ids, mask) = lively(), text()
    llama = net.decoder.model
    before, count = _checksum(llama), sum(p.numel() for p in net.parameters())
    expected = DEPTH * infusion_parameters(24, 32, 4, IMAGE) + sum(p.numel() for p in Verdict(24, 3).parameters())
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    net(net.begin(ids, mask), mask, image()).square().mean().backward()
    silent = sum(p.grad is None or not p.grad.any() for p in net.parameters())
    optimizer.step()
    return (
        float(abs(count - expected))
        + float(silent)
        + float(any(p.requires_grad for p in llama.parameters()))
        + float(_checksum(llama) != before)
    )


def _checksum(model: nn.Module) -> str:
    return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest()


@torch.no_grad()
def _padding() -> float:
    """A text alone, and beside a longer one; as released, with padding in the cosine, the answer depends on the neighbour."""
    ids, mask = text(t=9)
    mask = mask.clone()
    mask[0, 5:] = False
    worst = []
    for masked in (True, False):
        net = lively(replace(ALL, mask_padding=masked))
        beside = net(net.begin(ids, mask), mask, image())[:1]
        alone = (ids[:1, :5], mask[:1, :5])
        worst.append(_gap(beside, net(net.begin(*alone), alone[1], (image()[0][:1],))))
    return max(worst[0], float(worst[1] < 1e-4))


def _cache() -> float:
    """Word by word with a cache and without, where the gate holds no cosine, and with it where only the last layer is infused."""
    wrong = 0
    for config in (replace(ALL, cosine=False), replace(ALL, learned=False, cosine=False), Config(layers=(DEPTH,))):
        net, (ids, _) = lively(config), text()
        wrong += int((net.greedy(ids, image(), 6) != net.greedy(ids, image(), 6, cached=False)).sum())
    return float(wrong)


def _shapes() -> float:
    with torch.device("meta"):
        net = Outline()
        drawn, out = net.draw(torch.empty(1, 64, 24, 24)), net(torch.empty(1, 4096), [torch.empty(1, 577, 1024)] * 3)
    wrong = float(336 // 14 != 24) + float(drawn.shape != (1, 2, 216, 216)) + float(out.shape != (1, 2, 480, 480))
    return wrong + abs(sum(p.numel() for p in net.parameters()) - PAPER_OUTLINE)


def _budget() -> float:
    s = LLAMA_7B
    with torch.device("meta"):
        counted = sum(p.numel() for p in Maps(CLIP_LARGE, s.width, s.ffn, s.heads, identity=False, paper=False).parameters())
    return float(abs(counted - PAPER_LAYER) + abs(infusion_parameters(s.width, s.ffn, s.heads, CLIP_LARGE) - PAPER_LAYER))


@torch.no_grad()
def _several() -> float:
    """Two modalities: their changes of keys and values add up; one whose maps begin as nothing changes nothing."""
    net, (ids, mask) = lively(widths=(IMAGE, IMAGE)), text()
    one = lively()
    for number, pair in net.infusion.maps.items():
        pair[0].load_state_dict(one.infusion.maps[number][0].state_dict())
        begin_as_nothing(pair[1], paper=False)
    alone = _gap(_states(net, ids, mask, (*image(), *image(9))), _states(one, ids, mask, image()))
    net, key = lively(widths=(IMAGE, IMAGE)), torch.randn(2, 4, 7, 6, generator=torch.Generator().manual_seed(4))
    both, _ = net.infusion.keys_values(1, key, key, (*image(), *image(9)), mask, 1.0, None)
    parts = key.clone()
    for place, given in enumerate((image(), image(9))):
        single = lively()
        single.infusion.maps["1"][0].load_state_dict(net.infusion.maps["1"][place].state_dict())
        parts += single.infusion.keys_values(1, key, key, given, mask, 1.0, None)[0] - key
    return max(alone, _gap(both, parts))


@torch.no_grad()
def _written_out() -> float:
    """The network against the equations in NumPy, both forms, parts switched off, with fewer key heads than query heads."""
    worst, decoder = 0.0, small_llama(dtype=torch.float64)
    (ids, mask), given = text(n=1), (image(n=1)[0].double(),)
    changes = (
        {},
        {"form": "paper"},
        {"learned": False},
        {"cosine": False, "ffn": False},
        {"keys": False, "layers": (2,)},
        {"values": False, "cosine": False, "learned": False},
    )
    for change in changes:
        config = replace(ALL, **change)
        net = lively(config, decoder=decoder).double()
        expected = reference.states(
            ids[0].tolist(), given[0][0].numpy(), reference.arrays(decoder.model.state_dict()), reference.arrays(net.state_dict()),
            layers=config.layers, depth=DEPTH, heads=4, key_heads=2, form=config.form, keys=config.keys, values=config.values, ffn=config.ffn,
            learned=config.learned, cosine=config.cosine,
        )  # fmt: skip
        worst = max(worst, _gap(_states(net, ids, mask, given)[0], torch.from_numpy(expected)))
    return worst


LAWS: tuple[Law, ...] = (
    Law("Nothing infused, nothing changed", 1, "With maps of nought (or the dial at nought) every state is the frozen model's own, to the last bit.", 0.0, _identity),
    Law("The printed form's rest", 2, "As printed, nothing changes only where the gate is wide open; with L = 1 it does change.", 1e-6, _identity_as_printed),
    Law("Gates", 3, "One a head, between 0 and 1, other for another picture, the same whatever the keys are; shut, keys and values stay as they were.", 1e-6, _gates),
    Law("Switched off, blind", 4, "Without infused layers two pictures get the same answer.", 0.0, _off),
    Law("The text grows by nothing", 5, "Attention stays as long as the text; patches put before it make it longer.", 0.0, _length),
    Law("Questions stay text", 6, "In the first infused layer the queries are the frozen model's own; above it they are not.", 0.0, _query),
    Law("Below, nothing", 7, "Layers under the first infused one do not know the picture, so their outputs may be kept.", 1e-5, _local),
    Law("What learns", 8, "Five maps and L in each infused layer, and the head; every one of them gets a gradient; the frozen weights do not move.", 0.0, _trainable),
    Law("Padding", 9, "A text beside a longer one is answered as alone; with padding in the cosine, as released, it is not.", 1e-5, _padding),
    Law("Word by word", 10, "With keys and values kept raw, writing word by word gives the same words as reading all again (see the card on the cosine).", 0.0, _cache),
    Law("Shapes", 11, "336 pixels, 24 × 24 patches, 216, 480; the outline head has exactly the paper's 1,620,642 numbers.", 0.0, _shapes),
    Law("The paper's budget", 8, "One infused layer of LLaMA-2-7B beside CLIP ViT-L/14 has 21,064,480 numbers.", 0.0, _budget),
    Law("Several senses", 1, "Changes by two modalities add up, and one that says nothing changes nothing.", 1e-5, _several),
    Law("The equations, written out", 3, "The network gives what the equations give, written out step by step in NumPy, in both forms and with parts off.", 1e-5, _written_out),
)  # fmt: skip


def checks() -> list[Check]:
    """Runs every law of the room."""
    return run(LAWS)
