"""What a network reaches on held-out pictures: words and outlines of given answers, answers it writes itself, features it draws.

Legend: N pictures, M lesions at most. Given answers (teacher forcing): every word is predicted from the true words before it, and outlines are read where
the true answer has its object tokens. Written answers: the network writes word by word, and outlines are read at the tokens that it chose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from models.neural_tuning.features import Seen
from models.neural_tuning.heads import feature_errors, outline_probability
from models.neural_tuning.losses import drawn, on, shifted
from models.neural_tuning.network import AS_TRAINED, Dials, NeuralTuning, Said
from models.neural_tuning.sequence import DRAW, Batch, Turn, collate
from models.neural_tuning.study_data import MOST, Cases
from models.shared.backbones.language.decoder import padded
from models.shared.backbones.language.tasks import TASKS
from models.shared.data.phantoms.note_reading import said as traits_said

THRESHOLD, PIECE = 0.5, 40
OUTLINED = ("outline", "reason")


def pieces(data: Cases, task: str, rows: Sequence[int]) -> Iterator[tuple[list[int], list[Turn]]]:
    """Rows of pictures with their first exchange of a task, some at a time."""
    for at in range(0, len(rows), PIECE):
        some = list(rows[at : at + PIECE])
        yield some, [data.turns[task][row][0] for row in some]


def given(net: NeuralTuning, data: Cases, task: str, rows: Sequence[int], *, dials: Dials = AS_TRAINED, swapped: bool = False) -> dict[str, np.ndarray]:  # fmt: skip
    """On given answers: "words" int (n, 2), right ones and all; for outlines "overlap" int (n, M, 3): pixels in both, in either, and 1 where the outline
    lies mostly on the lesion that was meant (−1, −1, −1 where nothing is meant); for drawing "feature" (n, 3): MAE, cosine, and the share of the other
    pictures that the drawn feature is farther from. swapped: the language model sees the next picture, outlines are read from their own."""
    found: dict[str, list[np.ndarray]] = {}
    for some, turns in pieces(data, task, rows):
        batch = on(collate(turns, net.decoder.tokenizer), net.decoder.device)
        own = data.seen.rows(torch.tensor(some)).to(net.decoder.device)
        told = data.seen.rows((torch.tensor(some) + 1) % len(data)).to(net.decoder.device) if swapped else own
        with torch.no_grad():
            states = net.states(batch, told, dials)
            made = {"words": _words(net, states, batch)}
            if task in OUTLINED:
                made["overlap"] = _overlaps(net, states, batch, own, data, some)
            if task == DRAW:
                made["feature"] = _features(net, states, batch, own, data, some)
        for key, value in made.items():
            found.setdefault(key, []).append(value)
    return {key: np.concatenate(values) for key, values in found.items()}


def written(net: NeuralTuning, data: Cases, task: str, rows: Sequence[int], *, dials: Dials = AS_TRAINED) -> list[Said]:
    """What the network writes to the requests of a task, and the states it read on the way."""
    said: list[Said] = []
    for some, turns in pieces(data, task, rows):
        ids, mask = (part.to(net.decoder.device) for part in padded([one.question for one in turns], net.decoder.tokenizer.pad_id))
        seen = None if task == DRAW else data.seen.rows(torch.tensor(some)).to(net.decoder.device)
        said += net.greedy(ids, mask, seen, dials=dials)
    return said


def attributes(answer: str, true: str) -> tuple[float, float]:
    """(1 where the same traits are said as often in both, else 0; traits in common as a share of the longer list; 1 where neither says any)."""
    one, other = (Counter((item.trait, item.value) for item in traits_said(text)) for text in (answer, true))
    longer = max(one.total(), other.total())
    return float(one == other), (one & other).total() / longer if longer else 1.0


def described(net: NeuralTuning, data: Cases, rows: Sequence[int]) -> np.ndarray:
    """(n, 2): exact attributes and their share, of captions that the network writes."""
    answers = written(net, data, "describe", rows)
    texts = [net.decoder.tokenizer.decode(said.ids) for said in answers]
    return np.array([attributes(text, data.exchanges["describe"][row][0].answer) for row, text in zip(rows, texts, strict=True)])


def reasoned(net: NeuralTuning, data: Cases, rows: Sequence[int]) -> np.ndarray:
    """(n, 2) of reasoned answers that the network writes: 1 where as many objects are outlined as should be, and 1 where moreover each outline
    lies mostly on the lesion that was meant."""
    marks = net.decoder.tokenizer.object_ids
    table = []
    for row, said in zip(rows, written(net, data, "reason", rows), strict=True):
        wanted, places = data.turns["reason"][row][0].objects, said.marks(marks)
        right = float(len(places) == len(wanted))
        hit = right
        if places and right:
            masks = outlines_of(net, said, places, data.seen.rows(torch.tensor([row])).to(net.decoder.device)) > THRESHOLD
            hit = float([_lies_on(mask, data.lesions[row]) for mask in masks.cpu()] == list(wanted))
        table.append((right, hit))
    return np.array(table)


@torch.no_grad()
def outlines_of(net: NeuralTuning, said: Said, places: Sequence[int], seen: Seen) -> Tensor:
    """Probabilities (R, side, side) of the outlines at places of a written answer about the one picture `seen`."""
    states = said.states[list(places)].to(net.decoder.device)
    return outline_probability(net.outline(states, tuple(one.expand(len(states), -1, -1) for one in seen.layers)))


def _words(net: NeuralTuning, states: Tensor, batch: Batch) -> np.ndarray:
    where, labels = shifted(batch)
    right = (net.logits(states[:, :-1]).argmax(-1) == labels) & where
    return torch.stack([right.sum(1), where.sum(1)], dim=1).cpu().numpy()


def _overlaps(net: NeuralTuning, states: Tensor, batch: Batch, own: Seen, data: Cases, some: Sequence[int]) -> np.ndarray:
    table = np.full((len(some), MOST, 3), -1)
    if not len(batch.objects):
        return table
    masks = (outline_probability(drawn(net, states, batch.objects, own)) > THRESHOLD).cpu()
    filled = [0] * len(some)
    for (row, _, lesion), mask in zip(batch.objects.tolist(), masks, strict=True):
        lesions = data.lesions[some[row]]
        both, either = int((mask & lesions[lesion]).sum()), int((mask | lesions[lesion]).sum())
        table[row, filled[row]] = both, either, int(_lies_on(mask, lesions) == lesion)
        filled[row] += 1
    return table


def _lies_on(mask: Tensor, lesions: Tensor) -> int:
    """The lesion with the highest IoU with the outline; −1 where it touches none."""
    both = (mask & lesions).sum((-2, -1))
    share = both / (mask | lesions).sum((-2, -1)).clamp_min(1)
    return int(share.argmax()) if both.any() else -1


def _features(net: NeuralTuning, states: Tensor, batch: Batch, own: Seen, data: Cases, some: Sequence[int]) -> np.ndarray:
    row, place = batch.pictures.unbind(1)
    made = net.imager(states[row, place])
    mae, cosine = feature_errors(made, own.feature[row])
    every = feature_errors(made[:, None], data.seen.feature.float().to(made.device)[None])[1]  # (n, N)
    farther = (every < cosine[:, None]).float().sum(1) / max(len(data) - 1, 1)
    return torch.stack([mae, cosine, farther], dim=1).cpu().numpy()


def ious(table: np.ndarray) -> np.ndarray:
    """IoU (…,) of overlaps (…, 3); NaN where nothing is meant."""
    values = table.astype(float)
    return np.where(values[..., 1] < 0, np.nan, values[..., 0] / np.maximum(values[..., 1], 1))


def everything(net: NeuralTuning, data: Cases, *, dials: Dials = AS_TRAINED) -> dict[str, dict[str, np.ndarray]]:
    """`given` of every task on all pictures."""
    return {task: given(net, data, task, range(len(data)), dials=dials) for task in TASKS}


def headline(found: dict[str, dict[str, np.ndarray]]) -> dict[str, float]:
    """Four numbers, one a task: share of right words, mean IoU twice, mean cosine."""
    words = found["describe"]["words"]
    return {
        "describe": float(words[:, 0].sum() / words[:, 1].sum()),
        **{task: float(np.nanmean(ious(found[task]["overlap"]))) for task in OUTLINED},
        "draw": float(found["draw"]["feature"][:, 1].mean()),
    }
