"""A decoder-only language model of the Llama type: one small model that ships, or any published one from a folder or the hub, behind one interface.

    decoder = load("small")                       # or a folder with config.json, a tokenizer and .safetensors; or a name of the hub
    decoder.model                                 # transformers' LlamaForCausalLM, frozen, in evaluation mode
    decoder.tokenizer.encode(["the larger mass"]) # ids int64 (B, T) and mask bool (B, T): <bos> first, padding on the right
    decoder.tokenizer.decode(ids)
    decoder.tokenizer.image_id, decoder.tokenizer.object_ids   # reserved for Neural Tuning: never met in pretraining
    decoder.card                                  # the card of the small model; None for published ones
    decoder.say("request: describe this picture answer:")      # greedy, for a look

`corpus` makes the small model's texts without drawing a pixel (findings, notes, requests with answers); `tasks` makes a request and its answer for a
drawn phantom, with the lesions it speaks of; `referring` makes phrases that mean one lesion among several. These three need NumPy alone. A room that
trains parts of the model takes ``copy.deepcopy(decoder.model)``. Names are looked up on first use, so that importing this package loads no PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from models.shared.backbones.language.spec import SMALL, LanguageNotHere, LanguageRefused
from models.shared.libraries import load_libraries

if TYPE_CHECKING:
    from models.shared.backbones.language.decoder import Decoder, Tokens
    from models.shared.backbones.language.loading import load, new_decoder

__all__ = ["SMALL", "Decoder", "LanguageNotHere", "LanguageRefused", "Tokens", "load", "new_decoder"]

_WHERE = {"Decoder": "decoder", "Tokens": "decoder", "load": "loading", "new_decoder": "loading"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    load_libraries()
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
