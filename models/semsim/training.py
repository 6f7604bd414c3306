"""One run: a network, its arm's losses, its batches (spec §2.7 and §3).

SGD with momentum and a polynomial decay; the last weights are kept and no picture is looked at to choose a step. Random numbers follow from the seed,
so that neither other runs nor a stop change them. All pictures lie on the device, moves are tensor operations there, and the log is read back every
`TELL_EVERY` steps alone. Passes of one step: labelled, weak (without gradient), strong; each normalises its own batch.

Legend: N pictures, B of a batch, C classes, H side, h side of the features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from models.semsim import losses
from models.semsim.config import Config
from models.semsim.network import SemSim
from models.semsim.plan import Arm, Training
from models.semsim.semantics import agreement, labels_at_features, prototypes, query, similarities, spread
from models.semsim.study_data import Cases
from models.semsim.views import Views, mixed, turned, views

DECAY = 0.9
TELL_EVERY = 25
LOGGED = ("loss", "labelled", "u", "intra", "cross", "kept_u", "kept_intra", "kept_cross", "ubar")
"""What is kept of every step: the losses, the share of pixels that pass tau in each of them, and the mean agreement."""


@dataclass(frozen=True)
class Told:
    """What the last steps did, as means over them."""

    step: int
    """Steps done."""
    steps: int
    means: dict[str, float]
    """By the names in `LOGGED`."""


def build(config: Config, seed: int) -> SemSim:
    """An untrained network; the same seed gives the same numbers, whatever else is going on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SemSim(config)


# ---------------------------------------------------------------------- the losses of one step
@dataclass(frozen=True, eq=False)
class Found:
    """Losses and kept shares of one step, all 0-d tensors."""

    total: Tensor
    rows: dict[str, Tensor]


def supervised_loss(net: SemSim, x: Tensor, labels: Tensor) -> Found:
    """L_s alone, at its full weight."""
    loss = losses.supervised(net(x).logits, labels)
    return Found(loss, {"labelled": loss})


def fixmatch_loss(net: SemSim, x: Tensor, labels: Tensor, seen: Views, training: Training) -> Found:
    """FixMatch by itself: ½ (L_s + L_u) with the first strong view. The step that SemSim must fall back to without its parts."""
    labelled = losses.supervised(net(x).logits, labels)
    with torch.no_grad():
        target = _mixed(losses.pseudo(net(seen.weak).logits.log_softmax(dim=1)), seen.boxes[0])
    strong = net(seen.strong[0], drop_channels=training.channel_dropout).logits
    loss = losses.consistency(strong.log_softmax(dim=1), target, training.tau)
    return Found(losses.total(labelled, loss), {"labelled": labelled, "u": loss, "kept_u": target.kept(training.tau).mean()})


def semsim_loss(net: SemSim, x: Tensor, labels: Tensor, seen: Views, arm: Arm, training: Training) -> Found:
    """½ (L_s + w_u L_u + w_intra L_intra + w_cross L_cross) (equations 18 and 19); losses of weight 0 are not worked out.

    x (B, 1 or 3, H, H), labels int64 (B, H, H).
    """
    w = losses.Weights(*arm.weights)
    own, both = w.intra > 0 or w.cross > 0, w.cross > 0 or arm.two_views
    tau = training.tau
    out = net(x, features=w.cross > 0)
    labelled = losses.supervised(out.logits, labels)
    found: dict[str, Tensor] = {"labelled": labelled}
    unlabelled: Tensor | float = 0.0
    with torch.no_grad():
        weak = net(seen.weak, features=own)
    n = len(seen.weak)
    # Of the second strong view only the features are asked, unless L_u takes both: decoding it would cost time and change nothing but batch statistics.
    strong = net(
        torch.cat(seen.strong) if both else seen.strong[0],
        features=own,
        drop_channels=training.channel_dropout,
        answer=None if arm.two_views or not both else n,
    )
    if w.u > 0:
        target = losses.pseudo(weak.logits.log_softmax(dim=1))
        first = _mixed(target, seen.boxes[0])
        loss = losses.consistency(strong.logits[:n].log_softmax(dim=1), first, tau)
        if arm.two_views:
            loss = 0.5 * (loss + losses.consistency(strong.logits[n:].log_softmax(dim=1), _mixed(target, seen.boxes[1]), tau))
        found |= {"u": loss, "kept_u": first.kept(tau).mean()}
        unlabelled = w.u * loss if w.u != 1 else loss
    if w.intra > 0:
        target = losses.pseudo(spread(weak.logits, weak.features, arm.t_aff, training.mode))
        target = _mixed(target, seen.boxes[0])
        loss = losses.consistency(spread(strong.logits[:n], strong.features[:n], arm.t_aff, training.mode), target, tau)
        found |= {"intra": loss, "kept_intra": target.kept(tau).mean()}
        unlabelled = unlabelled + w.intra * loss
    if w.cross > 0:
        found |= _cross(out.features, labels, weak.features, strong.features[n:], seen.boxes[1], arm, training, net.config.classes)
        unlabelled = unlabelled + w.cross * found["cross"]
    return Found(losses.total(labelled, unlabelled), found)


def _cross(
    labelled: Tensor, labels: Tensor, weak: Tensor, strong: Tensor, boxes: Tensor, arm: Arm, training: Training, classes: int
) -> dict[str, Tensor]:
    """L_cross: weak and second strong view, each asked of the labelled half's prototypes; only the strong side teaches them."""
    small = labels_at_features(labels, labelled.shape[-1])
    known = prototypes(labelled, small, classes, training.cells)
    with torch.no_grad():
        m = similarities(weak, known)
        target = _mixed(losses.pseudo(query(m, arm.t_cr)), boxes)
        ubar = agreement(m, training.sharpness)
    loss = losses.cross(query(similarities(strong, known), arm.t_cr), target, mixed(ubar, boxes), training.tau)
    return {"cross": loss, "kept_cross": target.kept(training.tau).mean(), "ubar": ubar.mean()}


def _mixed(target: losses.Pseudo, boxes: Tensor) -> losses.Pseudo:
    """The weak view's answer, cut and mixed as the strong view was."""
    return losses.Pseudo(mixed(target.labels, boxes), mixed(target.confidence, boxes))


def loss_of(net: SemSim, x: Tensor, labels: Tensor, unlabelled: Tensor, arm: Arm, training: Training, generator: torch.Generator) -> Found:
    """One step's loss of any arm: views are made here. x and unlabelled (B, 1 or 3, H, H) in 0…1, labels uint8 (B, H, H)."""
    x, labels = turned(x, labels, generator, training)
    if not arm.unlabelled:
        return supervised_loss(net, x, labels)
    seen = views(unlabelled, generator, training)
    if arm.id == "fixmatch":
        return fixmatch_loss(net, x, labels, seen, training)
    return semsim_loss(net, x, labels, seen, arm, training)


# ---------------------------------------------------------------------- the run
class Log:
    """float32 (steps, len(LOGGED)) on the device, filled step by step; NaN where an arm has no such number."""

    def __init__(self, steps: int, device: str | torch.device) -> None:
        self._rows = torch.full((steps, len(LOGGED)), torch.nan, device=device)
        self._nan = torch.full((), torch.nan, device=device)

    def put(self, step: int, found: Found) -> None:
        """Keep step number `step`, from 0."""
        rows = {"loss": found.total, **found.rows}
        self._rows[step] = torch.stack([rows[name].detach() if name in rows else self._nan for name in LOGGED])

    def means(self, start: int, end: int) -> dict[str, float]:
        """Means over steps start…end−1 of what was logged."""
        values = self._rows[start:end].mean(dim=0).tolist()
        return {name: value for name, value in zip(LOGGED, values, strict=True) if value == value}

    def curve(self, points: int = 40) -> dict[str, list[float]]:
        """`step` and every logged name as means over `points` stretches of the training."""
        rows = self._rows.cpu().numpy()
        edges = np.unique(np.linspace(0, len(rows), min(points, len(rows)) + 1).astype(int))
        kept = {name: column for column, name in enumerate(LOGGED) if not np.isnan(rows[:, column]).any()}
        curve = {"step": [int(end) for end in edges[1:]]}
        for name, column in kept.items():
            curve[name] = [round(float(rows[a:b, column].mean()), 5) for a, b in pairwise(edges)]
        return curve


def fit(
    net: SemSim,
    train: Cases,
    labelled: Tensor,
    arm: Arm,
    training: Training,
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    log: Log | None = None,
    tell_every: int = TELL_EVERY,
) -> Iterator[Told]:
    """Train in place; one item every `tell_every` steps and after the last. `labelled` int64: the rows of `train` whose masks may be used."""
    net.to(device).train()
    device = next(net.parameters()).device
    if device.type == "cpu":
        net.to(memory_format=torch.channels_last)  # a processor's convolutions take a quarter less time so; the numbers are the same
    log = log or Log(training.steps, device)
    # A picture with labels serves as an unlabelled one too, as in UniMatch's lists; its mask is not read there.
    known, everything = train.rows(labelled).to(device), train.x.to(device)
    random = np.random.default_rng([seed, 1])
    first = _deck(random, len(known), training.steps, training.labelled_batch).to(device)
    second = _deck(random, len(everything), training.steps, training.unlabelled_batch).to(device)
    generator = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.SGD(net.parameters(), lr=training.lr, momentum=training.momentum, weight_decay=training.weight_decay)
    cuda = [device.index or 0] if device.type == "cuda" else []
    told = 0
    for step in range(training.steps):
        optimizer.param_groups[0]["lr"] = training.lr * (1 - step / training.steps) ** DECAY
        with torch.random.fork_rng(devices=cuda):
            torch.manual_seed((seed << 20) + step)
            found = loss_of(net, known.x[first[step]], known.masks[first[step]], everything[second[step]], arm, training, generator)
        optimizer.zero_grad(set_to_none=True)
        found.total.backward()
        optimizer.step()
        log.put(step, found)
        if (step + 1) % tell_every == 0 or step + 1 == training.steps:
            yield Told(step + 1, training.steps, log.means(told, step + 1))
            told = step + 1
    net.to(memory_format=torch.contiguous_format)  # as files keep it


def _deck(random: np.random.Generator, n: int, steps: int, batch: int) -> Tensor:
    """int64 (steps, batch): rows in shuffled order, shuffled anew when they run out."""
    rounds = -(-steps * batch // n)
    rows = np.concatenate([random.permutation(n) for _ in range(rounds)])[: steps * batch]
    return torch.from_numpy(rows.reshape(steps, batch))


@torch.no_grad()
def answers(net: SemSim, x: Tensor, *, batch: int = 100) -> Tensor:
    """uint8 (N, H, H): the likeliest class of every pixel of pictures (N, 1 or 3, H, H), from encoder and decoder alone."""
    net.eval()
    device = next(net.parameters()).device
    return torch.cat([net(part.to(device)).logits.argmax(dim=1).to("cpu", torch.uint8) for part in x.split(batch)])
