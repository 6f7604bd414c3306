"""Perplexity of the language model and of counting models beside it. N texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F

from models.shared.backbones.language.decoder import Decoder, padded
from models.shared.checkpoints import Metric
from models.shared.metrics import bootstrap


class Counts:
    """A unigram and a bigram model of rows of tokens, each row from its begin token to its end token.

    Unigram: counts plus one. Bigram: Witten and Bell's interpolation, λ(a) = c(a) / (c(a) + number of different words after a), with that unigram.
    """

    def __init__(self, rows: Sequence[Sequence[int]], words: int) -> None:
        self.single = np.ones(words)
        self.pairs: Counter[tuple[int, int]] = Counter()
        for row in rows:
            np.add.at(self.single, row[1:], 1)
            self.pairs.update(pairwise(row))
        self.single /= self.single.sum()
        self.before: Counter[int] = Counter()
        self.kinds: Counter[int] = Counter()
        for (first, _), times in self.pairs.items():
            self.before[first] += times
            self.kinds[first] += 1

    def unigram(self, row: Sequence[int]) -> float:
        """Negative log-likelihood of a row after its begin token, in nats."""
        return float(-np.log(self.single[list(row[1:])]).sum())

    def bigram(self, row: Sequence[int]) -> float:
        """The same by pairs."""
        total = 0.0
        for first, second in pairwise(row):
            seen, kinds = self.before[first], self.kinds[first]
            share = seen / (seen + kinds) if seen else 0.0
            pair = self.pairs[first, second] / seen if seen else 0.0
            total -= np.log(share * pair + (1 - share) * self.single[second])
        return float(total)


@torch.no_grad()
def surprise(decoder: Decoder, rows: Sequence[Sequence[int]], *, batch: int = 100) -> np.ndarray:
    """(N,): negative log-likelihood of each row after its begin token, in nats."""
    found = np.zeros(len(rows))
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))  # alike in length, so that little padding is read
    for start in range(0, len(rows), batch):
        places = order[start : start + batch]
        ids, mask = padded([rows[place] for place in places], decoder.tokenizer.pad_id)
        logits = decoder.model(ids.to(decoder.device), attention_mask=mask.to(decoder.device), use_cache=False).logits.float().cpu()
        losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none") * mask[:, 1:]
        found[places] = losses.sum(1).numpy()
    return found


def perplexities(decoder: Decoder, counts: Counts, texts: Mapping[str, Sequence[Sequence[int]]]) -> dict[str, Metric]:
    """ "<kind>/perplexity" of the model, and of both counting models under "@unigram" and "@bigram"; intervals redraw texts."""
    found = {}
    for kind, rows in texts.items():
        lengths = np.array([len(row) - 1 for row in rows], float)
        ways = {
            "": surprise(decoder, rows),
            "@unigram": np.array([counts.unigram(row) for row in rows]),
            "@bigram": np.array([counts.bigram(row) for row in rows]),
        }
        for arm, losses in ways.items():
            table = torch.from_numpy(np.stack([losses, lengths], axis=1))
            found[f"{kind}/perplexity{arm}"] = bootstrap(
                lambda t, _: (t[:, 0].sum() / t[:, 1].sum()).exp(), table, torch.zeros(len(rows), dtype=torch.long), kind="phantom"
            )
    return found
