"""A published text encoder of BERT's kind in place of the small one: frozen, from a folder or from the hub, through the transformers package.

The network then meets the encoder's own words (word pieces, [CLS] and [SEP] among them) and knows synonyms that no phrase here ever used. Training with
one is `python -m models.lsms.published`. transformers is not among the requirements; the sentence of `TextRefused` says how to get it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.lsms import phrases
from models.lsms.network import LSMS, Output

MAX_PIECES = 20
"""As in the predecessor's code (spec §2.1)."""


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
        """Features (B, E, T) and the mask (B, T), True for pieces of the text; [CLS] and [SEP] count as words (spec §5.4)."""
        made = self.tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_PIECES, return_tensors="pt")
        ids, mask = made["input_ids"].to(device), made["attention_mask"].to(device)
        self.model.to(device)
        features = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return (features * mask[..., None]).transpose(1, 2), mask.bool()

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


class Speaking(nn.Module):
    """A network with a published encoder before it: takes this room's word numbers as the small one does, so that training and measuring are the same code."""

    def __init__(self, net: LSMS, text: Published) -> None:
        super().__init__()
        self.net, self.config = net, net.config
        object.__setattr__(self, "text", text)  # no part of what trains or is kept

    def forward(self, image: Tensor, text: Tensor, mask: Tensor | None = None, **rest: Any) -> Output:
        """image (B, 1 or 3, H, W); text: word numbers (B, T), or features (B, E, T) with their mask."""
        if text.dim() == 2:
            text, mask = self.text(phrases.texts_of(text.tolist()), image.device)
        return self.net(image, text, mask, **rest)
