"""Which neurons fire (spec §5), told from what each token's neurons did; and what is lost when some are silenced (spec §9).

Nothing in the network is assigned to a task: neurons are chosen for each token in each layer. "Neurons of a task" is a count of what happened.
Legend: K tokens, L layers with neurons, D neurons of a layer, four tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from models.neural_tuning.features import Seen
from models.neural_tuning.losses import on
from models.neural_tuning.measures import everything, headline, pieces
from models.neural_tuning.network import AS_TRAINED, Dials, NeuralTuning, Trace
from models.neural_tuning.sequence import KINDS, Turn, collate
from models.neural_tuning.study_data import Cases
from models.shared.backbones.language.tasks import TASKS


@dataclass(frozen=True, eq=False)
class Firing:
    """Every token's neurons."""

    a: np.ndarray
    """float32 (K, L, D): how far above the threshold; 0 for neurons that do not fire."""
    memory: np.ndarray
    """float32 (K, L − 1): cosine of a layer's u and of the one below."""
    task: np.ndarray
    """int (K,): place in TASKS."""
    kind: np.ndarray
    """int (K,): place in KINDS."""
    word: np.ndarray
    """str (K,): the token; "patch 5" and "whole picture" for visual ones."""
    row: np.ndarray
    """int (K,): picture."""
    layers: tuple[int, ...]
    """Their numbers, counted from 0."""
    rho: float
    """The active share in this pass."""

    def frequency(self, kind: str = "") -> np.ndarray:
        """f (4, L, D): share of a task's tokens (of one kind, or all) on which a neuron fires; NaN where there is no such token."""
        return self._by_task((self.a > 0).astype(np.float32), kind)

    def strength(self, kind: str = "") -> np.ndarray:
        """m (4, L, D): mean activation."""
        return self._by_task(self.a, kind)

    def specialisation(self) -> np.ndarray:
        """s (4, L, D): a task's f minus the mean f of the other tasks; its largest over tasks is the spec's."""
        f = self.frequency()
        return f - (f.sum(0, keepdims=True) - f) / (len(f) - 1)

    def partition(self) -> dict[str, np.ndarray]:
        """bool (L, D) each: "shared" f ≥ ρ in every task; a task's name: f ≥ ρ there and < ρ/2 elsewhere; "silent": fires nowhere. Thresholds are ours."""
        f = self.frequency()
        high, low = f >= self.rho, f < self.rho / 2
        found = {"shared": high.all(0), "silent": (f == 0).all(0)}
        for place, task in enumerate(TASKS):
            found[task] = high[place] & np.delete(low, place, axis=0).all(0)
        return found

    def overlap(self, measure: str = "cosine") -> np.ndarray:
        """(L, 4, 4): cosine of two tasks' f, or Jaccard index of the neurons with f ≥ ρ."""
        f = self.frequency().transpose(1, 0, 2).astype(float)  # L 4 D
        if measure == "cosine":
            one = f / np.maximum(np.linalg.norm(f, axis=-1, keepdims=True), 1e-12)
            return one @ one.transpose(0, 2, 1)
        high = f >= self.rho
        both = (high[:, :, None] & high[:, None]).sum(-1)
        either = (high[:, :, None] | high[:, None]).sum(-1)
        return np.where(either > 0, both / np.maximum(either, 1), 1.0)

    def drivers(self, layer: int, neuron: int, *, top: int = 8) -> list[dict[str, object]]:
        """The words and patches that drive a neuron most, each once: word, mean activation over its tokens, share of them it fires on, how many, tasks."""
        values, found = self.a[:, layer, neuron], []
        for word in np.unique(self.word):
            here = self.word == word
            tasks = tuple(TASKS[place] for place in np.unique(self.task[here]))
            found.append({"word": str(word), "mean": float(values[here].mean()), "fires": float((values[here] > 0).mean()), "n": int(here.sum()), "tasks": tasks})  # fmt: skip
        return sorted(found, key=lambda one: -one["mean"])[:top]

    def remembered(self) -> np.ndarray:
        """(4, L − 1): mean cosine of neighbouring layers' u."""
        return np.stack([self.memory[self.task == place].mean(0) for place in range(len(TASKS))])

    def _by_task(self, values: np.ndarray, kind: str) -> np.ndarray:
        found = np.full((len(TASKS), *values.shape[1:]), np.nan, np.float32)
        for place in range(len(TASKS)):
            here = self.task == place
            if kind:
                here &= self.kind == KINDS.index(kind)
            if here.any():
                found[place] = values[here].mean(0)
        return found


@torch.no_grad()
def firing(net: NeuralTuning, data: Cases, rows: Sequence[int], *, dials: Dials = AS_TRAINED) -> Firing:
    """All tokens of the pictures' first exchange of every task, with the true answers. ValueError for a network without neurons."""
    if not net.layers:
        raise ValueError("This network has no neurons to look at.")
    parts = []
    for place, task in enumerate(TASKS):
        for some, turns in pieces(data, task, rows):
            parts += _fired(net, turns, data.seen.rows(torch.tensor(some)).to(net.decoder.device), place, some, dials)
    return _joined(net, parts, dials)


@torch.no_grad()
def firing_of(net: NeuralTuning, one: Turn, seen: Seen, *, dials: Dials = AS_TRAINED) -> Firing:
    """The tokens of one turn about the one picture `seen`. ValueError for a network without neurons."""
    if not net.layers:
        raise ValueError("This network has no neurons to look at.")
    return _joined(net, _fired(net, [one], seen, TASKS.index(one.task), [0], dials), dials)


def _fired(net: NeuralTuning, turns: Sequence[Turn], seen: Seen, place: int, rows: Sequence[int], dials: Dials) -> list[tuple]:
    tokens = net.decoder.tokenizer
    batch, trace = on(collate(turns, tokens), net.decoder.device), Trace()
    net.states(batch, seen, dials, trace)
    a, u = torch.stack(trace.a, dim=2).cpu(), torch.stack(trace.u, dim=2).cpu()  # B N L D
    visual = a.shape[1] - batch.ids.shape[1]
    memory = torch.cosine_similarity(u[:, :, 1:], u[:, :, :-1], dim=-1)
    names, found = ["whole picture", *(f"patch {number}" for number in range(1, visual))][:visual], []
    for at, row in enumerate(rows):
        length = visual + int(batch.mask[at].sum())
        kinds = [KINDS.index("visual")] * visual + batch.kinds[at, : length - visual].tolist()
        words = names + tokens.words(batch.ids[at, : length - visual])
        found.append((a[at, :length].numpy(), memory[at, :length].numpy(), place, kinds, words, row))
    return found


def _joined(net: NeuralTuning, parts: Sequence[tuple], dials: Dials) -> Firing:
    lengths = [len(one[3]) for one in parts]
    rho = net.config.rho if dials.rho is None else dials.rho
    return Firing(
        np.concatenate([one[0] for one in parts]), np.concatenate([one[1] for one in parts]), np.repeat([one[2] for one in parts], lengths),
        np.concatenate([one[3] for one in parts]), np.concatenate([np.array(one[4]) for one in parts]), np.repeat([one[5] for one in parts], lengths),
        net.layers, rho,
    )  # fmt: skip


def most_special(found: Firing, task: str, n: int) -> np.ndarray:
    """bool (L, D): the n neurons with the highest specialisation for a task."""
    return _marked(found.a.shape[1:], np.argsort(-found.specialisation()[TASKS.index(task)], axis=None, kind="stable")[:n])


def at_random(found: Firing, n: int, seed: int) -> np.ndarray:
    """bool (L, D): n neurons drawn among those that fire at all; the control without which a loss means little."""
    alive = np.flatnonzero((found.frequency() > 0).any(0))
    return _marked(found.a.shape[1:], np.random.default_rng([seed, 0x51E]).choice(alive, min(n, len(alive)), replace=False))


def silencing(net: NeuralTuning, data: Cases, found: Firing, n: int, *, draws: int = 3) -> Mapping[str, Mapping[str, float]]:
    """What is silenced ("none", each task's n most special neurons, "random 1" …) → the four headline numbers on `data`."""
    chosen = {"none": None, **{task: most_special(found, task, n) for task in TASKS}}
    chosen |= {f"random {number + 1}": at_random(found, n, number) for number in range(draws)}
    return {name: headline(everything(net, data, dials=silent(which, net))) for name, which in chosen.items()}


def silent(which: np.ndarray | None, net: NeuralTuning, dials: Dials = AS_TRAINED) -> Dials:
    """The dials with neurons (L, D) silenced; None: as they are."""
    return dials if which is None else replace(dials, silenced=torch.from_numpy(which).to(net.decoder.device))


def _marked(shape: Sequence[int], flat: np.ndarray) -> np.ndarray:
    marked = np.zeros(int(np.prod(shape)), bool)
    marked[flat] = True
    return marked.reshape(shape)
