"""Helpers of the small CLIP's training: what the image tower is asked directly, beside matching captions.

From the picture's feature: its class and, of a lone lesion, each trait; from every patch: how much of it is lesion. A network this small
learns from these answers many times faster than from captions alone. The heads are thrown away afterwards. Inferred.

B pictures, n patches, C width of the image tower, E joint size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.shared.backbones.clip.corpus import TRAITS, Source
from models.shared.backbones.clip.prompts import CLASS_NAMES

CLASS_WEIGHT, TRAIT_WEIGHT, LESION_WEIGHT = 0.5, 0.5, 1.0
_LESION_ODDS = 4.0  # a patch with lesion counts so many times, as most have none


class Teachers(nn.Module):
    """One head for each question that the sources can answer."""

    def __init__(self, sources: Sequence[Source], width: int, joint: int) -> None:
        """`width` C and `joint` E are the image tower's."""
        super().__init__()
        self.classes = nn.ModuleDict({source.name: nn.Linear(joint, len(CLASS_NAMES[source.name])) for source in sources})
        self.traits = nn.ModuleDict(
            {
                f"{source.name}_{trait}": nn.Linear(joint, len(words))
                for source in sources
                for trait, words in zip(TRAITS, source.words, strict=True)
                if words
            }
        )
        self.lesion = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))

    def forward(self, source: Source, rows: Tensor, features: Tensor, tokens: Tensor, where: Tensor | None) -> Tensor:
        """Mean loss over pictures `rows` (B,) of one source: features (B, E), tokens (B, n + 1, C), `where` (B, n) lesion shares in 0…1."""
        labels = torch.from_numpy(source.labels)[rows].to(features.device)
        loss = CLASS_WEIGHT * F.cross_entropy(self.classes[source.name](features), labels)
        lone = (torch.from_numpy(source.counts)[rows] == 1).to(features.device)
        if lone.any() and source.words[0]:
            facts = torch.from_numpy(source.facts)[rows, 0].long().to(features.device)  # B 5
            heads = [
                F.cross_entropy(self.traits[f"{source.name}_{trait}"](features[lone]), facts[lone, t]) for t, trait in enumerate(TRAITS)
            ]
            loss = loss + TRAIT_WEIGHT * sum(heads) / len(heads)
        if where is not None:
            said = self.lesion(tokens[:, 1:])[..., 0]
            loss = loss + LESION_WEIGHT * F.binary_cross_entropy_with_logits(said, where, pos_weight=said.new_tensor(_LESION_ODDS))
        return loss
