"""`Decoder`: a frozen Llama-type language model with its tokenizer, whichever weights stand behind it. B texts, T tokens, V words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from models.shared.backbones.language.spec import IMAGE, OBJECTS, TASK_TOKENS, LanguageRefused

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

    from models.shared.checkpoints import Card


class Tokens:
    """A tokenizer of the tokenizers package with the special ids that rooms need. The six task tokens are added where they are missing."""

    def __init__(self, tokenizer: Tokenizer, *, bos: int | None, eos: int, pad: int | None) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.add_special_tokens([token for token in TASK_TOKENS if tokenizer.token_to_id(token) is None])
        self.tokenizer = tokenizer
        self.bos_id, self.eos_id = bos, eos
        self.pad_id = eos if pad is None else pad
        """Published decoders often have no token for it: then the end's, as MiT's release has it. The mask tells padding from the end."""
        self.image_id: int = tokenizer.token_to_id(IMAGE)
        self.object_ids: tuple[int, ...] = tuple(tokenizer.token_to_id(token) for token in OBJECTS)

    def __len__(self) -> int:
        """V, special tokens and all."""
        return self.tokenizer.get_vocab_size(with_added_tokens=True)

    def ids(self, text: str) -> list[int]:
        """The text's tokens, without beginning and end."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def encode(self, texts: Sequence[str], *, bos: bool = True, eos: bool = False) -> tuple[Tensor, Tensor]:
        """ids int64 (B, T) and mask bool (B, T), padded on the right."""
        first, last = [self.bos_id] if bos and self.bos_id is not None else [], [self.eos_id] if eos else []
        return padded([[*first, *self.ids(text), *last] for text in texts], self.pad_id)

    def decode(self, ids: Sequence[int] | Tensor) -> str:
        """Text of tokens (T,), special ones left out."""
        said = self.tokenizer.decode([int(number) for number in ids], skip_special_tokens=True)
        # whole words come apart from their signs; a published tokenizer's own decoder has put them right already
        return said if self.tokenizer.decoder is not None else re.sub(r" ([:;,.?!])", r"\1", said)

    def words(self, ids: Sequence[int] | Tensor) -> list[str]:
        """Each token as it is written, special ones too."""
        return [self.tokenizer.id_to_token(int(number)) or "" for number in ids]


def padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """ids int64 (B, T) and mask bool (B, T) of rows of different lengths."""
    found = torch.full((len(rows), max(map(len, rows), default=0)), pad, dtype=torch.long)
    mask = torch.zeros(found.shape, dtype=torch.bool)
    for place, row in enumerate(rows):
        found[place, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[place, : len(row)] = True
    return found, mask


class Decoder:
    """A frozen decoder; made by `load` or `new_decoder`."""

    def __init__(self, model: LlamaForCausalLM, tokenizer: Tokens, *, name: str, card: Card | None = None) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer, self.name, self.card = tokenizer, name, card
        self.sha256 = card.sha256 if card else ""
        """Checksum of the shipped weights; "" for others."""

    def __repr__(self) -> str:
        return f"Decoder({self.name!r}, {self.parameters / 1e6:.2f} M parameters, {self.layers} layers of width {self.width})"

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return self.model.lm_head.weight.device

    @property
    def parameters(self) -> int:
        """How many numbers its weights are."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def width(self) -> int:
        """d."""
        return self.model.config.hidden_size

    @property
    def layers(self) -> int:
        """Blocks."""
        return self.model.config.num_hidden_layers

    @property
    def heads(self) -> int:
        """Query heads of each block."""
        return self.model.config.num_attention_heads

    @torch.no_grad()
    def say(self, text: str, *, longest: int = 60) -> str:
        """What it says after a text, the likeliest word each time, up to the end token. LanguageRefused for a text beyond its positions."""
        ids, _ = self.tokenizer.encode([text])
        room = self.model.config.max_position_embeddings - ids.shape[1]
        if room < 1:
            raise LanguageRefused(
                f"The text has {ids.shape[1]} tokens; this model reads {self.model.config.max_position_embeddings - 1} at most."
            )
        said: list[int] = []
        ids, cache = ids.to(self.device), None
        while len(said) < min(longest, room):
            out = self.model(ids, cache=cache, use_cache=True)
            best = int(out.logits[0, -1].argmax())
            if best == self.tokenizer.eos_id:
                break
            said.append(best)
            ids, cache = torch.tensor([[best]], device=self.device), out.cache
        return self.tokenizer.decode(said)
