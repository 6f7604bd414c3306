"""CLIP's text tower, opened: from token numbers or from learned prompt embeddings to text features.

P texts, T tokens, D text width, E joint size. The walk is open_clip's (Radford et al. 2021): embeddings + positions → blocks with a causal
mask → final norm → the vector at the end-of-text token → projection. As no token sees what follows it, whatever stands after the last
end-of-text token of a batch is cut away first; the result is the same and short texts cost a fraction of the full context.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from open_clip.transformer import TextTransformer
from torch import Tensor, nn

from models.shared.backbones.clip.spec import ClipRefused


@dataclass(frozen=True)
class TextTower:
    """The parts of a text tower, whichever of open_clip's two model classes they lie in."""

    embedding: nn.Embedding
    positions: nn.Parameter
    """(context length, D)."""
    transformer: nn.Module
    norm: nn.Module
    projection: nn.Linear | nn.Parameter | None
    mask: Tensor | None
    """(context length, context length), -inf where a token must not look; None when every token sees all."""
    eos_id: int | None
    """Number of the end-of-text token, or None when it is the highest number in each text."""

    @property
    def width(self) -> int:
        """D."""
        return self.embedding.embedding_dim

    @property
    def context_length(self) -> int:
        """Most tokens a text may have, start and end included."""
        return len(self.positions)

    def end_of(self, tokens: Tensor) -> Tensor:
        """Where each text (P, T) ends: (P,) positions of its end-of-text token."""
        if self.eos_id is None:
            return tokens.argmax(dim=-1)
        return (tokens == self.eos_id).int().argmax(dim=-1)

    def run(self, embeddings: Tensor, end: Tensor) -> Tensor:
        """Token embeddings (P, T, D) without positions, and where each ends (P,), to features (P, E), not normalised."""
        mask = self.mask
        if mask is not None:
            embeddings = embeddings[:, : int(end.max()) + 1] if len(end) else embeddings
            mask = mask[: embeddings.shape[1], : embeddings.shape[1]]
        dtype = self.transformer.get_cast_dtype()
        x = embeddings.to(dtype) + self.positions[: embeddings.shape[1]].to(dtype)
        x = self.transformer(x, attn_mask=mask)
        x = self.norm(x[torch.arange(len(x), device=x.device), end])  # P D; the norm is per token, so it may follow the choice
        if self.projection is None:
            return x
        return self.projection(x) if isinstance(self.projection, nn.Linear) else x @ self.projection


def find_text_tower(model: nn.Module, name: str) -> TextTower:
    """The text tower of an open_clip model; ClipRefused in a sentence when it is of a kind that learned prompts cannot enter."""
    text = getattr(model, "text", model)
    special = not isinstance(text, TextTransformer) and text is not model
    pool = getattr(text, "pool_type", None) or getattr(text, "text_pool_type", None)
    if special or getattr(text, "cls_emb", None) is not None or getattr(text, "use_pad_mask", False) or pool not in ("argmax", "eos"):
        raise ClipRefused(f"The text side of {name} is of a kind that is not supported here. Choose a plain CLIP, such as ViT-B-16.")
    return TextTower(
        embedding=text.token_embedding,
        positions=text.positional_embedding,
        transformer=text.transformer,
        norm=text.ln_final,
        projection=text.text_projection,
        mask=text.attn_mask,
        eos_id=(text.eos_id if text is not model else text.text_eos_id) if pool == "eos" else None,
    )
