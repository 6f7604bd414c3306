"""The oracles of the spec (§6) as live checks: the real code, untrained, held against the equations. No weights file is needed.

Each returns the largest difference found, or for a yes/no law the size of its violation; 0 is kept, above the tolerance is broken.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from models.semsim import losses, reference, semantics
from models.semsim.config import Config, paper
from models.semsim.network import SemSim, cut, parameter_parts, split
from models.semsim.plan import ARMS, FIXMATCH, OWN, Arm, Training
from models.semsim.training import build, loss_of, supervised_loss
from models.semsim.views import turned
from models.shared.laws import Check, Law, run

UNET_PAPER = 1_813_764
TINY = Config(side=32, classes=3, widths=(4, 6, 8, 8), dropouts=(0.05, 0.1, 0.2, 0.3), dim=8, windows=2, heads=2, mlp=12)
BRIEF = Training(steps=1, labelled_batch=2, unlabelled_batch=3, cells=2, channel_dropout=0.5)


def _rand(*shape: int, seed: int = 0, low: float = 0.0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * (1 - low) + low


def _labels(count: int, side: int, classes: int, seed: int = 0) -> Tensor:
    """Blocks of class numbers, every class shown."""
    coarse = torch.randint(0, classes, (count, 4, 4), generator=torch.Generator().manual_seed(seed))
    coarse[:, 0, :classes] = torch.arange(classes)
    return coarse.repeat_interleave(side // 4, 1).repeat_interleave(side // 4, 2)


def _most(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).abs().max())


# ---------------------------------------------------------------------- affinity
def _rows() -> float:
    f = _rand(2, 6, 8, 8)
    c = semantics.cosines(f)
    off = [float((semantics.affinity(f, t).sum(2) - 1).abs().max()) for t in (1.0, 0.1)]
    off += [
        float((-semantics.affinity(f, 0.1)).clamp_min(0).max()),
        _most(c, c.transpose(1, 2)),
        _most(c.diagonal(dim1=1, dim2=2), torch.ones(2, 64)),
    ]
    return max(off)


def _identity() -> float:
    f = torch.eye(16).view(1, 16, 4, 4)  # every pixel like itself alone
    z = 3 * (_rand(1, 3, 4, 4) - 0.5)
    p = z.softmax(1)
    prob = semantics.spread(z, f, 0.001, "prob").exp()
    logit = semantics.spread(z, f, 0.001, "logit").exp()
    return max(_most(prob, p), _most(logit, (2 * z).softmax(1)), float((logit.argmax(1) != p.argmax(1)).sum()))


def _constant() -> float:
    z = _rand(1, 3, 4, 4)
    mixed = semantics.affinity(torch.ones(1, 5, 4, 4), 0.1)[0] @ z.flatten(2)[0].T
    return _most(mixed, z.mean(dim=(2, 3)).expand(16, 3))


def _clusters() -> float:
    """Two clear clusters: each pixel gets its cluster's mean, and a hole in a pure one is filled."""
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[2:7, 2:7] = True
    f = torch.stack([inside.float(), 1 - inside.float()])[None]
    z = 0.4 * _rand(1, 2, 8, 8)
    z[0, 1] += torch.where(inside, 2.0, -2.0)
    z[0, 1, 4, 4] = -1.0  # the hole
    mixed = (semantics.affinity(f, 0.01)[0] @ z.flatten(2)[0].T).T.view(2, 8, 8)
    off = max(_most(mixed[:, part], z[0][:, part].mean(1, keepdim=True).expand(2, int(part.sum()))) for part in (inside, ~inside))
    answer = semantics.spread(z, f, 0.01).argmax(1)[0]
    return off + float(z[0].argmax(0)[4, 4] != 0) + float(answer[4, 4] != 1)


# ---------------------------------------------------------------------- prototypes
def _literal_bound() -> float:
    """At temperature 1 no probability passes e/(e+C−1), so that nothing is kept and the loss is 0."""
    worst = 0.0
    for classes in (2, 4):
        f, y = _rand(3, 6, 8, 8), _labels(3, 8, classes)
        m = semantics.similarities(_rand(2, 6, 8, 8, seed=1), semantics.prototypes(f, y, classes, 2))
        log_p = semantics.query(m, 1.0)
        target = losses.pseudo(log_p)
        worst = max(worst, float(target.confidence.max()) - math.e / (math.e + classes - 1))
        worst = max(worst, float(losses.cross(log_p, target, torch.ones(2, 8, 8), 0.95)))
    return max(worst, 0.0)


def _grids() -> float:
    """N = 1 is the whole picture's prototype; pure classes do not depend on N; a class absent in a cell takes the whole picture's."""
    f, y = _rand(2, 5, 8, 8), _labels(2, 8, 3)
    one, four = semantics.prototypes(f, y, 3, 1), semantics.prototypes(f, y, 3, 4)
    whole = torch.stack([torch.stack([f[j][:, y[j] == c].mean(1) for c in range(3)]) for j in range(2)])
    off = _most(one.vectors[:, 0, 0], whole)
    fallen = ~four.local
    off = max(off, _most(four.vectors[fallen], whole[:, None, None].expand_as(four.vectors)[fallen]))
    pure = _rand(3, 5, seed=2)[y].permute(0, 3, 1, 2)
    u = _rand(1, 5, 8, 8, seed=3)
    each = [semantics.similarities(u, semantics.prototypes(pure, y, 3, n)) for n in (1, 2, 4, 8)]
    return max(off, *(_most(each[0], other) for other in each[1:]))


def _self_query() -> float:
    y = _labels(2, 8, 3)
    f = torch.nn.functional.one_hot(y, 3).permute(0, 3, 1, 2).float()
    p = semantics.query(semantics.similarities(f, semantics.prototypes(f, y, 3, 2)), 0.1)
    return float((p.argmax(1) != y).sum())


def _agreement() -> float:
    m = _rand(2, 3, 4, 4, 4)
    same = m[:, :1].expand(2, 3, 4, 4, 4)
    off = _most(semantics.agreement(same, 1000.0), torch.ones(2, 4, 4))
    values = [semantics.agreement(m, r) for r in (0.0, 1.0, 100.0, 1000.0)]
    off = max(
        off, _most(values[0], torch.ones(2, 4, 4)), float((values[-1].max() - 1).clamp_min(0)), float((-values[-1].min()).clamp_min(0))
    )
    return max(off, *(float((b - a).clamp_min(0).max()) for a, b in pairwise(values)))


# ---------------------------------------------------------------------- fusion module
def _windows() -> float:
    maps = [_rand(2, 8, side, side, seed=side) for side in (16, 8, 4)]
    return max(_most(a, b) for a, b in zip(maps, split(cut(maps, 2), [16, 8, 4], 2), strict=True))


@torch.no_grad()
def _silent() -> float:
    module = build(TINY, 0).fusion.eval()
    for part in (module.attention.out_proj, module.mlp[2]):
        part.weight.zero_()
        part.bias.zero_()
    maps = [_rand(1, 8, side, side, seed=side) for side in (16, 8, 4)]
    return max(_most(a, b) for a, b in zip(module.interact(maps), maps, strict=True)) + _most(
        module.join(module.interact(maps)), module.join(maps)
    )


@torch.no_grad()
def _own_window() -> float:
    """A change in one place is felt in its window alone, on every scale, and there it is felt."""
    module = build(TINY, 0).fusion.eval()
    maps = [_rand(1, 8, side, side, seed=side) for side in (16, 8, 4)]
    before = module.interact(maps)
    maps[0] = maps[0].clone()
    maps[0][0, 0, 9, 3] += 1.0  # window (1, 0) of 2 × 2
    worst = 0.0
    for a, b in zip(before, module.interact(maps), strict=True):
        felt, w = (a - b).abs().amax(dim=(0, 1)), a.shape[-1] // 2
        own = felt[w:, :w].clone()
        felt[w:, :w] = 0
        worst = max(worst, float(felt.max()), float(own.max() == 0))
    return worst


@torch.no_grad()
def _fusion_reference() -> float:
    module = build(TINY, 3).fusion.eval()
    maps = [_rand(1, 8, side, side, seed=side + 1) for side in (16, 8, 4)]
    W = reference.arrays(module.state_dict())
    slow = reference.fusion([x[0].double().numpy() for x in maps], W, "", windows=2, heads=TINY.heads)
    return max(_most(a[0], torch.from_numpy(b)) for a, b in zip(module.interact(maps), slow, strict=True))


# ---------------------------------------------------------------------- sizes and steps
def _counts() -> float:
    with torch.device("meta"):
        parts = parameter_parts(SemSim(paper()))
    reported = abs(round(sum(parts.values()) / 1e6, 2) - 2.60)
    return abs(parts["unet"] - UNET_PAPER) + reported


def _batch() -> tuple[Tensor, Tensor, Tensor]:
    return _rand(2, 1, 32, 32), _labels(2, 32, 3).to(torch.uint8), _rand(3, 1, 32, 32, seed=1)


def _step(config: Config, arm: Arm, training: Training = BRIEF) -> dict[str, Tensor]:
    """The U-Net's state after one step of SGD, from the same beginning and the same random numbers."""
    net = build(config, 0).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        loss_of(net, *_batch(), arm, training, torch.Generator().manual_seed(2)).total.backward()
    optimizer.step()
    return net.unet.state_dict()


def _fixmatch() -> float:
    """Without both losses and the module the method's own step is FixMatch's, bit for bit; so is it with the module standing by unused."""
    training = replace(BRIEF, tau=0.3)  # so that an untrained network keeps some pixels
    bare = replace(ARMS[OWN], weights=(1.0, 0.0, 0.0))
    want = _step(replace(TINY, fusion="off"), ARMS[FIXMATCH], training)
    got = [_step(replace(TINY, fusion=kind), bare, training) for kind in ("off", "sfm")]
    return float(sum(not torch.equal(want[name], one[name]) for one in got for name in want))


def _silent_tau() -> float:
    """tau above 1: every unlabelled loss is 0, and the U-Net's gradient is half the supervised one."""
    grads = []
    for number in range(2):
        net, generator = build(TINY, 0).train(), torch.Generator().manual_seed(2)
        x, y, u = _batch()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            if number:
                x, y = turned(x, y, generator, BRIEF)
                loss = 0.5 * supervised_loss(net, x, y).total
            else:
                found = loss_of(net, x, y, u, ARMS[OWN], replace(BRIEF, tau=1.01), generator)
                loss = found.total
                silent = sum(abs(found.rows[name].item()) for name in ("u", "intra", "cross"))
        loss.backward()
        grads.append([p.grad for p in net.unet.parameters()])
    return silent + max(_most(a, b) for a, b in zip(*grads, strict=True))


@torch.no_grad()
def _answering() -> float:
    """The fusion module is not run when the network answers."""
    net, runs = build(TINY, 0).eval(), []
    net.fusion.register_forward_hook(lambda *_: runs.append(1))
    plain = net(_rand(1, 1, 32, 32))
    idle = len(runs)
    full = net(_rand(1, 1, 32, 32), features=True)
    return idle + float(len(runs) != 1) + float(plain.features is not None) + _most(plain.logits, full.logits)


# ---------------------------------------------------------------------- against the equations
def _intra_reference() -> float:
    f, z = _rand(1, 5, 4, 4), 4 * (_rand(1, 3, 8, 8, seed=1) - 0.5)
    worst = 0.0
    for temperature in (1.0, 0.1):
        for mode in ("logit", "prob"):
            slow = reference.spread(z[0].double().numpy(), f[0].double().numpy(), temperature, mode)
            worst = max(worst, _most(semantics.spread(z, f, temperature, mode)[0].exp(), torch.from_numpy(slow)))
    return worst


def _cross_reference() -> float:
    """Prototypes, query, agreement and the loss, with a class that one picture does not show."""
    f_l, y, f_u = _rand(2, 5, 8, 8), _labels(2, 8, 3), _rand(1, 5, 8, 8, seed=1)
    y[1][y[1] == 2] = 0
    m = semantics.similarities(f_u, semantics.prototypes(f_l, y, 3, 4))
    slow = reference.scores(f_u[0].double().numpy(), list(f_l.double().numpy()), list(y.numpy()), 3, 4)
    worst = 0.0
    for temperature in (1.0, 0.1):
        log_p, p = semantics.query(m, temperature), reference.query(slow, temperature)
        worst = max(worst, _most(log_p[0].exp(), torch.from_numpy(p)))
        ubar = semantics.agreement(m, 100.0)
        worst = max(worst, _most(ubar[0], torch.from_numpy(reference.agreement(slow, 100.0))))
        loss = losses.cross(log_p, losses.pseudo(log_p), ubar, 0.4)
        worst = max(worst, abs(float(loss) - reference.cross(p[None], p[None], ubar.double().numpy(), 0.4)))
    return worst


def _loss_reference() -> float:
    z, y = 3 * (_rand(2, 3, 6, 6) - 0.5), _labels(2, 8, 3)[:, :6, :6]
    p = z.softmax(1)
    worst = abs(float(losses.supervised(z, y)) - reference.supervised(p.double().numpy(), y.numpy()))
    target = losses.pseudo((2 * z.roll(1, 0)).log_softmax(1))
    slow = reference.dice_loss(p.double().numpy(), target.labels.numpy(), target.kept(0.6).numpy())
    return max(worst, abs(float(losses.consistency(z.log_softmax(1), target, 0.6)) - slow), float(losses.consistency(p.log(), target, 2.0)))


def _finite() -> float:
    """A class that no labelled picture shows: no probability, and no gradient that is not a number."""
    net, training = build(TINY, 0).train(), replace(BRIEF, tau=0.0)
    x, y, u = _batch()
    y[y == 2] = 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        loss_of(net, x, y, u, ARMS[OWN], training, torch.Generator().manual_seed(2)).total.backward()
    return float(sum(int((~p.grad.isfinite()).sum()) for p in net.parameters() if p.grad is not None))


LAWS: tuple[Law, ...] = (
    Law("Rows of the affinity", 1, "Every pixel shares out exactly its whole weight; likeness is mutual, and each pixel is fully like itself.", 1e-6, _rows),
    Law("Like itself alone", 2, "Where every pixel is like itself alone, spreading changes no answer.", 1e-5, _identity),
    Law("All alike", 3, "Where all pixels are alike, each gets the picture's mean.", 1e-6, _constant),
    Law("Two clusters", 4, "Where there are two clear clusters each pixel gets its own cluster's mean, and a hole is filled.", 1e-5, _clusters),
    Law("The printed equation keeps nothing", 5, "At temperature 1 the prototypes can never be sure enough, so the cross-image loss is 0.", 1e-6, _literal_bound),
    Law("Cells of prototypes", 6, "One cell is the whole picture; pure classes do not depend on the grid; an empty cell takes the whole picture's.", 1e-5, _grids),
    Law("Asked of itself", 7, "A labelled picture asked of its own prototypes gives its own labels.", 0.0, _self_query),
    Law("Agreement", 8, "It is 1 where all labelled pictures say the same, never leaves 0 to 1, and falls as r grows.", 1e-6, _agreement),
    Law("Cutting into windows loses nothing", 9, "Cut into windows and put together again, the maps are the same.", 0.0, _windows),
    Law("A silent fusion module", 9, "With silent outputs only resizing and the last convolutions are left.", 0.0, _silent),
    Law("Who feels whom", 9, "A change is felt in its own window alone, on all three scales.", 0.0, _own_window),
    Law("The paper's size", 10, "Counted at full size, the U-Net has the published number exactly, and with the module 2.60 million.", 1e-6, _counts),
    Law("FixMatch is what is left", 10, "Without the two losses and the module a training step is FixMatch's, bit for bit.", 0.0, _fixmatch),
    Law("Never sure", 11, "With tau above 1 unlabelled pictures teach nothing, and what is left is half the supervised step.", 1e-7, _silent_tau),
    Law("Answering is the U-Net alone", 12, "The fusion module rests when the network answers.", 0.0, _answering),
    Law("Within an image, by the equations", 1, "The spreading equals the equations, worked out pixel by pixel.", 1e-5, _intra_reference),
    Law("Across images, by the equations", 6, "Prototypes, query, agreement and loss equal the equations, also where a picture lacks a class.", 1e-5, _cross_reference),
    Law("The fusion module, by the equations", 9, "The module equals the equations, worked out token by token.", 1e-5, _fusion_reference),
    Law("The losses' equations", 10, "Dice and cross-entropy equal the equations; nothing kept costs nothing.", 1e-6, _loss_reference),
    Law("A class nobody shows", 6, "A class that no labelled picture shows breaks nothing.", 0.0, _finite),
)  # fmt: skip


def checks() -> list[Check]:
    """Runs every law of the room."""
    return run(LAWS)
