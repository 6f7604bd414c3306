"""Label vectors (spec §3.1): one frozen vector a label, from words. Every encoder gives (K, E) of length √E, so that they may be exchanged.

"clip": the text tower of this project's small CLIP; "ngram": hashed character trigrams, which know spelling and no meaning; "random": orthonormal, no words
at all; anything else: a published encoder of BERT's kind, from a folder or the hub, read as the released code reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

KINDS = ("clip", "ngram", "random")


def label_vectors(names: Sequence[str], kind: str, width: int = 192) -> Tensor:
    """(K, E) float32. width: of "ngram" and "random"; the others have their own. TextRefused or CheckpointRefused with a sentence."""
    if kind == "clip":
        from models.shared.backbones.clip.load import load_clip

        with torch.no_grad():
            vectors = load_clip("small").encode_text(list(names)).float()
    elif kind == "ngram":
        vectors = torch.stack([_trigrams(name, width) for name in names])
    elif kind == "random":
        if len(names) > width:
            raise ValueError(f"{len(names)} labels have no orthonormal vectors of {width} numbers; give a larger width.")
        generator = torch.Generator().manual_seed(0)
        vectors = torch.linalg.qr(torch.randn(width, width, generator=generator))[0][: len(names)]
    else:
        vectors = _published(names, kind)
    return (F.normalize(vectors, dim=-1) * vectors.shape[-1] ** 0.5).contiguous()  # as files of weights ask for


def _trigrams(name: str, width: int) -> Tensor:
    vector, padded = torch.zeros(width), f"  {name.lower()} "
    for start in range(len(padded) - 2):
        digest = hashlib.blake2b(padded[start : start + 3].encode(), digest_size=8).digest()
        vector[int.from_bytes(digest[:4], "big") % width] += 1 if digest[4] % 2 else -1
    return vector


def _published(names: Sequence[str], name: str) -> Tensor:
    """A single word piece gives its own vector, more of them the first ([CLS]) one; there is no closing piece (a quirk of the released code, kept)."""
    from models.shared.backbones.published_text import load_published

    text, rows = load_published(name), []
    for label in names:
        ids = text.tokenizer([label])["input_ids"][0][:-1]
        states = text.states(torch.tensor([ids]))[0]
        rows.append(states[1] if len(ids) == 2 else states[0])
    return torch.stack(rows)
