"""From requests with answers to rows of tokens: what is read, what is learned, and where the states are that draw (spec §3.3, §3.7).

Understanding: visual tokens, then <bos> request, then answer <object1> … <eos>. Drawing: the text alone; the released filler embeddings behind it are
masked out and change nothing (a law checks it), so they are left out. Legend: B rows, T tokens of text, R places to read at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.shared.backbones.language.decoder import Tokens, padded
from models.shared.backbones.language.tasks import Exchange, asked
from models.shared.data.phantoms import Lesion, phrase

DRAW = "draw"
"""The one task that is not shown the picture."""
KINDS = ("question", "answer", "read", "task", "visual")
"""What a token is: of the request; of the answer; where a task token is predicted, and its state drawn from; a task token itself; a patch of the picture."""
IGNORED = -100


@dataclass(frozen=True)
class Turn:
    """One request with its answer as tokens."""

    task: str
    question: tuple[int, ...]
    """With <bos>, without <eos>."""
    answer: tuple[int, ...]
    """With task tokens and <eos>."""
    objects: tuple[int, ...]
    """The lesion that each object token means, in the tokens' order."""

    @property
    def ids(self) -> tuple[int, ...]:
        return self.question + self.answer


@dataclass(frozen=True, eq=False)
class Batch:
    """Turns of one kind (all with the picture or all without), padded on the right."""

    ids: Tensor
    """int64 (B, T)."""
    mask: Tensor
    """bool (B, T)."""
    labels: Tensor
    """int64 (B, T): the answer's tokens, IGNORED on the question and on padding. labels[:, t + 1] is learned from the state at t."""
    objects: Tensor
    """int64 (R, 3): row, place of the state to read, and the number of the lesion it means; one for each object token."""
    pictures: Tensor
    """int64 (R', 2): row and place of the state to read for the picture token."""
    kinds: Tensor
    """int64 (B, T): place in KINDS; -1 on padding."""
    sees: bool


def question_ids(request: str, tokens: Tokens) -> tuple[int, ...]:
    """The request in its wrapper, up to where the answer begins."""
    return (*([] if tokens.bos_id is None else [tokens.bos_id]), *tokens.ids(asked(request)))


def turn(said: Exchange, lesions: Sequence[Lesion], tokens: Tokens, *, inline: bool = False) -> Turn:
    """An exchange as tokens; object tokens at the answer's end in the order of first mention, as trained in the release, or each behind the words
    that name its lesion where the answer does so (`inline`, spec A10). ValueError for more objects than there are tokens."""
    objects = tuple(dict.fromkeys(said.objects))
    if len(objects) > len(tokens.object_ids):
        raise ValueError(f"An answer can outline {len(tokens.object_ids)} objects at most, not {len(objects)}.")
    marks = dict(zip(objects, tokens.object_ids, strict=False))
    pieces: list[int] = []
    rest, behind = said.answer, []
    for row in objects:
        words = phrase(lesions[row])
        if inline and words in rest:
            before, rest = rest.split(words, 1)
            pieces += [*tokens.ids(before + words), marks[row]]
        else:
            behind.append(marks[row])
    pieces += [*tokens.ids(rest), *behind, *([tokens.image_id] if said.task == DRAW else []), tokens.eos_id]
    return Turn(said.task, question_ids(said.request, tokens), tuple(pieces), objects)


def collate(turns: Sequence[Turn], tokens: Tokens) -> Batch:
    """Turns as one batch. ValueError where some see a picture and others do not."""
    sees = {one.task != DRAW for one in turns}
    if len(sees) != 1:
        raise ValueError("A batch is of turns that all see their picture, or of drawing alone.")
    ids, mask = padded([one.ids for one in turns], tokens.pad_id)
    labels, kinds = torch.full_like(ids, IGNORED), torch.full_like(ids, -1)
    objects, pictures = [], []
    for row, one in enumerate(turns):
        first, end = len(one.question), len(one.ids)
        labels[row, first:end] = ids[row, first:end]
        kinds[row, :first], kinds[row, first:end] = KINDS.index("question"), KINDS.index("answer")
        for place in range(first, end):
            token = one.ids[place]
            if token in tokens.object_ids:
                objects.append((row, place - 1, one.objects[tokens.object_ids.index(token)]))
            elif token == tokens.image_id:
                pictures.append((row, place - 1))
            else:
                continue
            kinds[row, place] = KINDS.index("task")
            if kinds[row, place - 1] != KINDS.index("task"):  # the second object's state is read at the first one's token
                kinds[row, place - 1] = KINDS.index("read")
    return Batch(
        ids, mask, labels, torch.tensor(objects, dtype=torch.long).view(-1, 3), torch.tensor(pictures, dtype=torch.long).view(-1, 2), kinds,
        sees.pop(),
    )  # fmt: skip
