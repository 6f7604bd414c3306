"""Held-out measures of a CLIP: classes told from words alone, and the right description found among a hundred.

Nothing is trained here. Intervals are Wilson's over pictures. N pictures, K classes, E joint size.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.shared.backbones.clip.corpus import Source, phantom_source, real_source
from models.shared.backbones.clip.interface import Clip
from models.shared.backbones.clip.prompts import class_prompts
from models.shared.checkpoints import Metric
from models.shared.data import phantoms
from models.shared.metrics import accuracy, share

CASES = 600
"""Phantoms of each family and split."""
POOL = 100
"""Descriptions among which the right one is looked for."""
_CHUNK = 128


def class_features(clip: Clip, source: str) -> Tensor:
    """Text features (K, E) of the classes of a phantom family or real set, unit length: the mean over all wordings."""
    wordings = class_prompts(source)
    with torch.no_grad():
        each = [clip.encode_text(list(words), normalize=True).mean(0) for words in wordings]
    return F.normalize(torch.stack(each), dim=-1)


@torch.no_grad()
def picture_features(clip: Clip, images: np.ndarray) -> Tensor:
    """Features (N, E), unit length, of uint8 pictures (N, S, S) of the model's size."""
    parts = []
    for start in range(0, len(images), _CHUNK):
        x = torch.from_numpy(images[start : start + _CHUNK]).float()[:, None].to(clip.device) / 255
        parts.append(clip.image_features(clip.normalise(x).expand(-1, 3, -1, -1), normalize=True))
    return torch.cat(parts)


def on_phantoms(clip: Clip, cases: int = CASES) -> dict[str, Metric]:
    """Zero-shot accuracy and retrieval for each family, on seen and unseen combinations."""
    found = {}
    for family in phantoms.families():
        for split, said in (("test", "seen"), ("unseen", "unseen")):
            source = phantom_source(family, phantoms.split_seeds(split, cases))
            features = picture_features(clip, source.images)
            answers = features @ class_features(clip, family).T
            labels = torch.from_numpy(source.labels)
            found[f"{family} {said}/accuracy"] = accuracy(answers.cpu(), labels, kind="phantom")
            found[f"{family} {said}/retrieval"] = _retrieval(clip, source, features)
    return found


def on_real(clip: Clip, name: str) -> dict[str, Metric]:
    """Zero-shot accuracy on the test part of a real set. Raises DataNotHere."""
    source = real_source(name, "test")
    answers = picture_features(clip, source.images) @ class_features(clip, name).T
    return {f"{name}/accuracy": accuracy(answers.cpu(), torch.from_numpy(source.labels), kind="real")}


@torch.no_grad()
def _retrieval(clip: Clip, source: Source, features: Tensor) -> Metric:
    """R@1: share of pictures with a lesion whose own full description scores highest among those of 100 different pictures."""
    rows = [row for row in range(len(source)) if source.counts[row] > 0]
    hits = asked = 0
    for start in range(0, len(rows) - POOL + 1, POOL):
        chosen = rows[start : start + POOL]
        texts = [source.captions[row][0] for row in chosen]
        words = torch.cat([clip.encode_text(texts[i : i + 50], normalize=True) for i in range(0, POOL, 50)])
        best = (features[chosen] @ words.T).argmax(1).tolist()
        hits += sum(texts[b] == texts[i] for i, b in enumerate(best))
        asked += POOL
    return share(hits, asked, kind="phantom")
