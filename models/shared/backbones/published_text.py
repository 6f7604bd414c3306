"""A published text encoder of BERT's kind, frozen, from a folder or from the hub, through the transformers package.

Legend: B texts, T word pieces, E width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

MAX_PIECES = 20
"""Longer texts are cut; as in SLViT's code."""


class TextRefused(ValueError):
    """An encoder that cannot be used; its text is the sentence people see."""


class Published:
    """A frozen encoder and its tokenizer."""

    def __init__(self, name: str, tokenizer: Any, model: nn.Module) -> None:
        self.name, self.tokenizer, self.model = name, tokenizer, model.eval().requires_grad_(False)

    @property
    def width(self) -> int:
        """E of its features."""
        return int(self.model.config.hidden_size)

    @torch.no_grad()
    def __call__(self, texts: Sequence[str], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Features (B, E, T) and the mask (B, T), True for pieces of the text, [CLS] and [SEP] among them."""
        made = self.tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_PIECES, return_tensors="pt")
        ids, mask = made["input_ids"].to(device), made["attention_mask"].to(device)
        self.model.to(device)
        features = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return (features * mask[..., None]).transpose(1, 2), mask.bool()

    @torch.no_grad()
    def states(self, ids: Tensor) -> Tensor:
        """The last layer's vectors (B, T, E) of word-piece numbers (B, T), none of them padding."""
        return self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.float()

    def pieces(self, text: str) -> tuple[str, ...]:
        """The words as the encoder sees them."""
        ids = self.tokenizer([text], truncation=True, max_length=MAX_PIECES)["input_ids"][0]
        return tuple(self.tokenizer.convert_ids_to_tokens(ids))


def load_published(name: str) -> Published:
    """The encoder in a folder, or of that name on the hub (or in its cache). TextRefused with a sentence for what is not there or cannot be read.

    Weights are read from safetensors alone, so no file can run code here.
    """
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError:
        raise TextRefused("A published text encoder needs the transformers package: pip install transformers") from None
    place = Path(name)
    if place.exists() and not (place / "config.json").is_file():
        raise TextRefused(f"{name} holds no config.json, so it is no folder of a published text encoder.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        model = AutoModel.from_pretrained(name, use_safetensors=True, trust_remote_code=False)
    except Exception as fault:  # whatever its many loaders raise, people get one sentence
        raise TextRefused(
            f"The text encoder {name} could not be loaded: {type(fault).__name__}. Name a folder with config.json, a tokenizer and model.safetensors, or a model "
            "of the hub while the network can be reached."
        ) from fault
    if not hasattr(model.config, "hidden_size"):
        raise TextRefused(f"{name} is no encoder of BERT's kind: it tells no width of its features.")
    return Published(name, tokenizer, model)
