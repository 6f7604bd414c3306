"""The oracles of the spec (§8) as live checks: the real code on a small untrained language model, held against the equations. No weights file is needed.

Each returns the largest difference found, or for a yes/no law the size of its violation.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch
from torch import Tensor, nn

from models.neural_tuning import reference
from models.neural_tuning.config import PAPER_LAYERS, PAPER_NEURONS, PAPER_WIDTH, Config, silent_count, stn_parameters
from models.neural_tuning.features import Seen
from models.neural_tuning.heads import Imager, Outline
from models.neural_tuning.losses import drawn, losses
from models.neural_tuning.network import AS_TRAINED, Dials, NeuralTuning, TaskNetwork, Trace
from models.neural_tuning.sequence import IGNORED, Batch, Turn, collate
from models.shared.backbones.language.decoder import Decoder
from models.shared.backbones.language.loading import new_decoder
from models.shared.laws import Check, Law, run

DEPTH, GRID, TOKENS, FEATURE, SIDE = 4, 2, 10, 6, 16
FULL = Config(start=2, neurons=16)
PAPER_STN, PAPER_IMAGER, PAPER_OUTLINE = 1_572_992, 11.02e6, 0.88e6
"""Numbers of one layer's task network, of the feature decoder and of the outline decoder at the paper's size (spec §3)."""


def small_llama(seed: int = 0, dtype: torch.dtype = torch.float32) -> Decoder:
    """A frozen model with fewer key heads than query heads; every number is random and large enough to matter."""
    decoder = new_decoder(
        hidden_size=24, intermediate_size=32, num_hidden_layers=DEPTH, num_attention_heads=4, num_key_value_heads=2, head_dim=6
    )
    _shake(decoder.model, seed)
    decoder.model.to(dtype)
    return decoder


def lively(config: Config = FULL, *, decoder: Decoder | None = None, seed: int = 1) -> NeuralTuning:
    """A network in which every learned number is random; answering."""
    net = NeuralTuning(decoder or small_llama(), config, tokens=TOKENS, feature=FEATURE, grid=GRID, side=SIDE, width=8)
    _shake(net, seed)
    return net.eval()


def pictures(seed: int = 2, n: int = 2) -> Seen:
    """Tower tokens of n pictures that were never drawn."""
    draw = torch.Generator().manual_seed(seed)
    return Seen(torch.randn(n, 3, 1 + GRID * GRID, TOKENS, generator=draw), torch.randn(n, FEATURE, generator=draw))


def turns(decoder: Decoder, task: str = "outline", objects: tuple[int, ...] = (1, 0)) -> list[Turn]:
    """Two requests with made-up words, of different lengths, with task tokens behind the answers."""
    tokens = decoder.tokenizer
    marks = (tokens.image_id,) if task == "draw" else tokens.object_ids[: len(objects)]
    meant = () if task == "draw" else objects
    return [
        Turn(task, (1, 20, 21, 22), (30, 31, *marks, tokens.eos_id), meant),
        Turn(task, (1, 25, 26), (33, 34, 35, *marks[:1], tokens.eos_id), meant[:1]),
    ]


@torch.no_grad()
def _shake(module: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for value in module.parameters():
        value.copy_(torch.randn(value.shape, generator=generator) * 0.3)


def _gap(one: Tensor, other: Tensor) -> float:
    return float((one - other).detach().abs().max())


def _batch(net: NeuralTuning, task: str = "outline") -> Batch:
    return collate(turns(net.decoder, task), net.decoder.tokenizer)


def _traced(net: NeuralTuning, dials: Dials = AS_TRAINED, seed: int = 2) -> Trace:
    trace = Trace()
    net.states(_batch(net), pictures(seed), dials, trace)
    return trace


@torch.no_grad()
def _sparsity() -> float:
    """D − κ positive entries of every token in every layer, at the paper's D = 128 too."""
    wrong = 0.0
    for config, rho in ((FULL, None), (FULL, 0.25), (replace(FULL, neurons=128), 0.4)):
        trace = _traced(lively(config), Dials(rho=rho))
        expected = config.neurons - silent_count(config.rho if rho is None else rho, config.neurons)
        wrong += sum(float(((a > 0).sum(-1) != expected).sum()) for a in trace.a)
    whole = _traced(lively(), Dials(rho=1.0))
    wrong += sum(float(not torch.equal(a, u)) for a, u in zip(whole.a, whole.u, strict=True))
    return wrong + float(silent_count(0.4, PAPER_NEURONS) != 76)


@torch.no_grad()
def _order() -> float:
    """The active set is the top of u, a = u − θ on it, never below nought."""
    wrong = 0.0
    trace = _traced(lively())
    for u, a in zip(trace.u, trace.a, strict=True):
        order = u.argsort(dim=-1)
        kappa = silent_count(FULL.rho, FULL.neurons)
        theta = u.gather(-1, order[..., kappa - 1 : kappa])
        expected = torch.zeros_like(u).scatter(-1, order[..., kappa:], (u - theta).gather(-1, order[..., kappa:]))
        wrong = max(wrong, _gap(a, expected), float((a < 0).any()))
    return wrong


def _threshold_gradient() -> float:
    """With a loss that adds up all a, each active neuron gets +1 and the threshold −(D − κ): 52 and −52 at the paper's size; none when detached."""
    found = 0.0
    for detach in (False, True):
        net = TaskNetwork(8, {"q": 8, "v": 8}, Config(neurons=128, detach=detach), 1e-5).eval()
        u = torch.randn(128, generator=torch.Generator().manual_seed(5)).requires_grad_()
        net._active(u, Dials()).sum().backward()
        expected = torch.zeros(128)
        order = u.detach().argsort()
        expected[order[76:]], expected[order[75]] = 1.0, 0.0 if detach else -52.0
        found = max(found, _gap(u.grad, expected))
    return found


@torch.no_grad()
def _off_switch() -> float:
    """W_b = 0, zero-init, or every neuron silenced: states and old words' logits are the untouched model's own, bit for bit."""
    wrong = 0.0
    dead = Dials(silenced=torch.ones(2, FULL.neurons, dtype=torch.bool))
    for net, dials in ((lively(), Dials()), (lively(), dead), (lively(replace(FULL, stn=False)), Dials())):
        if dials is not dead:
            for part in net.task.values():
                part.spread.weight.zero_()
        batch, seen = _batch(net), pictures()
        hidden, mask, skip = net.opened(batch.ids, batch.mask, seen)
        frozen = net.decoder.model(inputs_embeds=hidden, attention_mask=mask.long(), use_cache=False, output_hidden_states=True)
        states = net.states(batch, seen, dials)
        old = torch.ones(frozen.logits.shape[-1], dtype=torch.bool)
        old[net.new_ids] = False
        real = batch.mask
        wrong += float(not torch.equal(states[real], frozen.hidden_states[-1][:, skip:][real]))
        wrong += float(not torch.equal(net.logits(states)[real][:, old], frozen.logits[:, skip:][real][:, old]))
    fresh = NeuralTuning(small_llama(), replace(FULL, zero_init=True), tokens=TOKENS, feature=FEATURE, grid=GRID, side=SIDE, width=8)
    return wrong + sum(float(part.spread.weight.any()) for part in fresh.task.values())


def _memory() -> float:
    """α = 0: a layer's u is its own z's alone. α = 1: every layer repeats the first one's u, and the later W_z get no gradient."""
    net = lively(replace(FULL, alpha=0.0))
    trace = _traced(net)
    x = net._llama.layers[3].input_layernorm(trace.states[2])
    wrong = _gap(trace.u[1], net.task["3"].norm(net.task["3"].squeeze(x)))
    net = lively(replace(FULL, alpha=1.0))
    for part in net.task.values():
        nn.init.ones_(part.norm.weight)
    trace = Trace()
    net.states(_batch(net), pictures(), trace=trace).square().sum().backward()
    grad = net.task["3"].squeeze.weight.grad
    return max(wrong, _gap(trace.u[1], trace.u[0]), 0.0 if grad is None else float(grad.abs().max()))


@torch.no_grad()
def _targets() -> float:
    """In the first layer with neurons, what is guided differs from the frozen parts by exactly W_b a, slice by slice; the rest is untouched."""
    wrong = 0.0
    for targets in ("qv", "kv", "qkv"):
        net = lively(replace(FULL, targets=targets))
        trace = _traced(net)
        x, attn = net._llama.layers[2].input_layernorm(trace.states[1]), net._llama.layers[2].self_attn
        slices, begin = net.task["2"].spread.weight, 0
        for name, walked in (("q", trace.query), ("k", trace.key), ("v", trace.value)):
            raw = getattr(attn, f"{name}_proj")(x)
            if name in targets:
                rows = slices[begin : begin + raw.shape[-1]]
                begin += raw.shape[-1]
                wrong = max(wrong, _gap(walked[2] - raw, trace.a[0] @ rows.T))
            else:
                wrong += float(not torch.equal(walked[2], raw))
        wrong += float(begin != len(slices))
    return wrong


@torch.no_grad()
def _below() -> float:
    """Layers under the first neurons give the same states with neurons and without; the layers above do not."""
    on, off = _traced(lively()), _traced(lively(), Dials(silenced=torch.ones(2, FULL.neurons, dtype=torch.bool)))
    same = [torch.equal(one, other) for one, other in zip(on.states, off.states, strict=True)]
    return float(same != [True, True, False, False])


def _trainable() -> float:
    """What learns: neurons, map, the task tokens' rows and the decoders, each with a gradient; the frozen model does not move; counts as in the spec."""
    net = lively().train()
    before, wrong = _checksum(net.decoder.model), 0.0
    wrong += abs(sum(p.numel() for p in net.task.parameters()) - 2 * (24 * 16 + 16 + 16 * (24 + 12)))
    wrong += abs(stn_parameters(24, 16) - (24 * 16 + 16 + 16 * 48))
    wrong += abs(net.words_in.numel() - 6 * 24) + abs(net.words_out.numel() - 6 * 24)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    masks = torch.rand(2, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(6)) > 0.5
    total = losses(net, _batch(net), pictures(), masks) + losses(net, _batch(net, "draw"), pictures(), masks)
    total.total().backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    optimizer.step()
    whole = lively(replace(FULL, rows="all"))
    wrong += float(len(whole.words_in) != len(net.decoder.model.lm_head.weight))
    probe = lively(Config(stn=False, rows="head", projection=False, decoders="linear"))
    learns = {name.split(".")[0] for name, p in probe.named_parameters() if p.requires_grad}
    wrong += float(learns != {"words_out", "outline", "imager"})
    return wrong + len(silent) + float(_checksum(net.decoder.model) != before)


def _checksum(model: nn.Module) -> str:
    return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest()


def _budget() -> float:
    """At the paper's size: one layer, sixteen of them, the map, the feature decoder and the outline decoder."""
    with torch.device("meta"):
        one = TaskNetwork(PAPER_WIDTH, {"q": PAPER_WIDTH, "v": PAPER_WIDTH}, Config(neurons=PAPER_NEURONS), 1e-5)
        imager, outline = Imager(), Outline()
        drawn_, out = (
            outline.draw(torch.empty(1, 64, 16, 16)),
            outline(torch.empty(1, PAPER_WIDTH), [torch.empty(1, 257, 1024)] * 3),
        )
    counts = [sum(p.numel() for p in part.parameters()) for part in (one, imager, outline)]
    wrong = abs(counts[0] - PAPER_STN) + abs(stn_parameters(PAPER_WIDTH, PAPER_NEURONS) - PAPER_STN)
    wrong += float(round(PAPER_LAYERS * counts[0] / 1e6, 2) != 25.17)
    wrong += float(abs(counts[1] - PAPER_IMAGER) > 0.005e6) + float(abs(counts[2] - PAPER_OUTLINE) > 0.005e6)
    return wrong + float(drawn_.shape != (1, 2, 144, 144)) + float(out.shape != (1, 2, 224, 224))


@torch.no_grad()
def _blind_drawing() -> float:
    """Drawing never looks at the picture; and the released fillers, masked out behind the text, change nothing."""
    net = lively()
    batch = _batch(net, "draw")
    one, other = (net.states(batch, pictures(seed)) for seed in (2, 9))
    seeing = _batch(net)
    sees = torch.equal(net.states(seeing, pictures(2)), net.states(seeing, pictures(9)))
    hidden = torch.cat([net.embed(batch.ids), torch.randn(2, 5, 24)], dim=1)
    mask = torch.cat([batch.mask, batch.mask.new_zeros(2, 5)], dim=1)
    filled = net._llama.norm(net.walk(hidden, mask)[:, : batch.ids.shape[1]])
    return float(not torch.equal(one, other)) + float(sees) + _gap(filled[batch.mask], one[batch.mask])


@torch.no_grad()
def _bookkeeping() -> float:
    """One outline for each object token; other order, same outlines in other order; read one place on, another outline; writing keeps one state a token."""
    net, seen = lively(), pictures()
    batch, states = _batch(net), net.states(_batch(net), pictures())
    places = [reference.reading_places(row, net.new_ids.tolist()) for row in batch.ids.tolist()]
    wrong = float([[row, place] for row, some in enumerate(places) for place in some] != batch.objects[:, :2].tolist())
    outlines = drawn(net, states, batch.objects, seen)
    wrong += float(len(outlines) != 3) + float(batch.objects[:, 2].tolist() != [1, 0, 1])
    turned = torch.tensor([2, 0, 1])
    wrong += float(_gap(drawn(net, states, batch.objects[turned], seen), outlines[turned]) > 1e-5)
    moved = batch.objects.clone()
    moved[:, 1] += 1
    wrong += float(_gap(drawn(net, states, moved, seen), outlines) < 1e-4)
    net.words_out.copy_(4 * torch.randn(net.words_out.shape, generator=torch.Generator().manual_seed(8)))  # so that task tokens are said
    for said in net.greedy(batch.ids[:, :3], batch.mask[:, :3], seen, longest=8):
        marks = said.marks(net.new_ids.tolist())
        wrong += float(len(said.states) != len(said.ids)) + float(len(marks) != len({said.ids[place] for place in marks}))
        wrong += float(not said.ids or not marks or _gap(net.logits(said.states).argmax(-1), torch.tensor(said.ids)) != 0)
    return wrong


@torch.no_grad()
def _labels() -> float:
    """The loss does not depend on the labels of question, padding and visual tokens, nor on what stands in the padding."""
    net, seen = lively(), pictures()
    masks = torch.ones(2, 2, SIDE, SIDE, dtype=torch.bool)
    batch = _batch(net)
    one = losses(net, batch, seen, masks)
    answers = sum(len(turn.answer) for turn in turns(net.decoder))
    ids = torch.where(batch.mask, batch.ids, 7)
    other = losses(net, replace(batch, ids=ids), seen, masks)
    wrong = float(one.words != answers) + _gap(one.total(), other.total())
    first = [len(turn.question) for turn in turns(net.decoder)]
    return wrong + sum(float((batch.labels[row, :end] != IGNORED).any()) for row, end in enumerate(first))


@torch.no_grad()
def _deterministic() -> float:
    """Twice the same answer, bit for bit; in training the active rate is drawn anew each time."""
    net, seen = lively(replace(FULL, jitter=0.3, neurons=128, dropout=0.0)), pictures()
    batch = _batch(net)
    wrong = float(not torch.equal(net.states(batch, seen), net.states(batch, seen)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net.train()
        return wrong + float(torch.equal(net.states(batch, seen), net.states(batch, seen)))


@torch.no_grad()
def _cache() -> float:
    """Word by word with keys and values kept, and reading all again: the same words; a row beside a longer one: the same as alone."""
    net, seen = lively(), pictures()
    batch = _batch(net)
    ways = [net.greedy(batch.ids, batch.mask, seen, longest=6, cached=cached) for cached in (True, False)]
    alone = net.greedy(batch.ids[1:, :8], batch.mask[1:, :8], seen.rows(torch.tensor([1])), longest=6)[0]
    wrong = sum(float(one.ids != other.ids) for one, other in zip(*ways, strict=True)) + float(alone.ids != ways[0][1].ids)
    gaps = [_gap(one.states, other.states) for one, other in zip(*ways, strict=True)]
    return max(wrong, *gaps, _gap(alone.states, ways[0][1].states))


@torch.no_grad()
def _written_out() -> float:
    """The network against the equations in NumPy: three sets of targets, α and ρ at their ends, all neurons active; fewer key heads than query heads."""
    worst, decoder = 0.0, small_llama(dtype=torch.float64)
    seen = Seen(*(part.double() for part in vars(pictures()).values()))
    changes = (
        {},
        {"targets": "kv"},
        {"targets": "qkv", "alpha": 0.0},
        {"alpha": 1.0, "start": 1},
        {"rho": 1.0},
        {"dense": True, "start": 3},
    )
    for change in changes:
        config = replace(FULL, **change)
        net = lively(config, decoder=decoder).double()
        batch = collate(turns(decoder)[:1], decoder.tokenizer)
        U = reference.arrays(net.state_dict())
        embedded = torch.cat([torch.from_numpy(reference.visual(seen.tokens[0].numpy(), U)), net.embed(batch.ids)[0]]).numpy()
        expected = reference.states(
            embedded, reference.arrays(decoder.model.state_dict()), U, start=config.start, depth=DEPTH, heads=4, key_heads=2,
            targets=config.targets, rho=config.rho, alpha=config.alpha, dense=config.dense,
        )  # fmt: skip
        found = net.states(batch, Seen(seen.taps[:1], seen.feature[:1]))
        worst = max(worst, _gap(found[0].double(), torch.from_numpy(expected)[1 + GRID * GRID :]))
    return worst


LAWS: tuple[Law, ...] = (
    Law("Just so many neurons", 1, "Every word and every patch has exactly the promised number of active neurons in every layer; with ρ = 1 all stay as they are.", 0.0, _sparsity),
    Law("The most active ones", 2, "Those that stay are the largest, they keep what they have above the threshold, and nothing is below nought.", 1e-6, _order),
    Law("The threshold learns", 2, "The neuron at the threshold receives minus the sum of what the active ones receive: −52 at the paper's size.", 1e-6, _threshold_gradient),
    Law("Switched off, frozen", 3, "Without guidance, or with every neuron silenced, the language model is its frozen self to the last bit.", 0.0, _off_switch),
    Law("Memory over depth", 4, "With α = 0 a layer knows nothing of the one below; with α = 1 it only repeats it (but for the tiny ε of the norm) and learns nothing itself.", 1e-3, _memory),
    Law("Only what is guided", 5, "Queries and values differ from the frozen ones by the guidance alone; keys not at all (and so for the other two sets of targets).", 1e-5, _targets),
    Law("Below, nothing", 6, "Layers under the first neurons do not know of them.", 0.0, _below),
    Law("What learns", 7, "Neurons, map, the task tokens' rows and the decoders all get a gradient; the frozen weights do not move.", 0.0, _trainable),
    Law("The paper's budget", 7, "1,572,992 numbers a layer of LLaMA-2-7B, 25.17 million in all; 16 × 16 patches, 144, 224.", 0.0, _budget),
    Law("Drawing is blind", 8, "Asked to draw, the network gives the same whatever picture is there; filler tokens change nothing.", 1e-5, _blind_drawing),
    Law("Task tokens", 9, "As many outlines as object tokens, in their order, each from the state that predicted its token and not from the next.", 0.0, _bookkeeping),
    Law("Only answers teach", 10, "The loss does not depend on the request's words as targets, nor on padding.", 1e-5, _labels),
    Law("The same twice", 11, "Asked twice, the same to the last bit; only training draws its rate anew.", 0.0, _deterministic),
    Law("Word by word", 11, "Keeping keys and values changes nothing, as the neurons' memory runs over depth and not over time.", 1e-4, _cache),
    Law("The equations, written out", 2, "The network gives what the equations give, written out step by step in NumPy.", 1e-5, _written_out),
)  # fmt: skip


def checks() -> list[Check]:
    """Runs every law of the room."""
    return run(LAWS)
