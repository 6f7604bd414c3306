"""From a name to a ready `Decoder`. Weights are safetensors alone, so no file can run code here; transformers is loaded when first needed."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from models.shared import checkpoints
from models.shared.backbones.hub import NotFetched, fetch
from models.shared.backbones.language.decoder import Decoder, Tokens
from models.shared.backbones.language.record import METHOD
from models.shared.backbones.language.spec import CONFIG, SMALL, VOCABULARY, LanguageNotHere, LanguageRefused
from models.shared.device import pick_device
from models.shared.packing import lay_in

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import LlamaForCausalLM

ATTENTION = "eager"
"""Written out, so that rooms can read it; at the lengths of a request it costs no more than the fused kernel."""
_LOCK = threading.Lock()
_HOW = "Name a folder with config.json, tokenizer.json and .safetensors, or a Llama-type model of the hub while the network can be reached."


def load(name: str | Path = SMALL, device: str = "cpu", *, dtype: torch.dtype = torch.float32) -> Decoder:
    """The decoder of that name, frozen, in evaluation mode: "small", a folder, or a name of the hub ("HuggingFaceTB/SmolLM2-135M").

    Raises LanguageNotHere for weights that are missing and LanguageRefused for a model of another kind or a damaged one, each with a sentence.
    """
    if str(name) == SMALL:
        return _small(device)
    return _published(str(name), device, dtype)


def new_decoder(*, seed: int = 0, device: str = "cpu", **change: Any) -> Decoder:
    """The small model untrained, its weights drawn from `seed`; `change` of its configuration, such as num_key_value_heads=2."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _build(json.loads(CONFIG.read_text(encoding="utf-8")) | change)
    return Decoder(model.to(pick_device(device)), small_tokens(), name="small (untrained)")


def with_weights(tensors: Mapping[str, Tensor], card: checkpoints.Card, device: str = "cpu") -> Decoder:
    """The small model of packed weights. LanguageRefused when they do not fit."""
    made = new_decoder()
    try:
        lay_in(made.model, tensors)
    except ValueError as fault:
        raise LanguageRefused(str(fault)) from fault
    return Decoder(made.model.to(pick_device(device)), made.tokenizer, name=SMALL, card=card)


def small_tokens() -> Tokens:
    """The small model's tokenizer."""
    from tokenizers import Tokenizer

    said = json.loads(CONFIG.read_text(encoding="utf-8"))
    return Tokens(Tokenizer.from_file(str(VOCABULARY)), bos=said["bos_token_id"], eos=said["eos_token_id"], pad=said["pad_token_id"])


# ---------------------------------------------------------------------- inside
def _small(device: str) -> Decoder:
    if not METHOD.checkpoint.is_file():
        raise LanguageNotHere(
            f"The small language model is not in this copy of the program. Make it with: python -m models train {METHOD.id}"
        )
    try:
        tensors, card = checkpoints.load(METHOD.checkpoint)
    except checkpoints.CheckpointRefused as fault:
        raise LanguageRefused(str(fault)) from fault
    return with_weights(tensors, card, device)


def _llama() -> tuple[type, type]:
    with _LOCK:  # its parts import each other in circles; two threads at once could each be handed half of it
        try:
            from transformers import LlamaConfig, LlamaForCausalLM
        except ImportError:
            raise LanguageNotHere("A language model needs the transformers package: pip install transformers") from None
    return LlamaConfig, LlamaForCausalLM


def _build(said: Mapping[str, Any]) -> LlamaForCausalLM:
    config_class, model_class = _llama()
    config = config_class(**{key: value for key, value in said.items() if key != "model_type"})
    config._attn_implementation = ATTENTION
    return model_class(config)


def _published(name: str, device: str, dtype: torch.dtype) -> Decoder:
    """A folder or hub name: the same class, tokenizer package and special tokens as the small model's."""
    from tokenizers import Tokenizer

    _, model_class = _llama()
    config_file, tokens_file = (_file(name, which) for which in ("config.json", "tokenizer.json"))
    try:
        said = json.loads(config_file.read_text(encoding="utf-8"))
    except ValueError as fault:
        raise LanguageRefused(f"The config.json of {name} cannot be read. {_HOW}") from fault
    if said.get("model_type") != "llama":
        raise LanguageRefused(
            f"{name} is a model of the type {said.get('model_type')!r}; only decoders of the Llama type can be used here."
        )
    try:
        model = model_class.from_pretrained(name, use_safetensors=True, trust_remote_code=False, attn_implementation=ATTENTION, dtype=dtype)
        eos = said["eos_token_id"]
        tokens = Tokens(
            Tokenizer.from_file(str(tokens_file)), bos=said.get("bos_token_id"), eos=eos[0] if isinstance(eos, list) else eos,
            pad=said.get("pad_token_id"),
        )  # fmt: skip
    except Exception as fault:  # whatever its many loaders raise, people get one sentence
        raise LanguageRefused(f"The language model {name} could not be loaded: {type(fault).__name__}. {_HOW}") from fault
    if len(tokens) > model.config.vocab_size:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the library draws the new rows around the mean of the old ones; the same way each time
            model.resize_token_embeddings(len(tokens))
    return Decoder(model.to(pick_device(device)), tokens, name=Path(name).name if Path(name).exists() else name)


def _file(name: str, which: str) -> Path:
    """A file of a folder or hub model; asking for it first answers at once where there is no network."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / which).is_file():
            raise LanguageRefused(f"{name} holds no {which}, so it is no folder of a published language model. {_HOW}")
        return folder / which
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise LanguageNotHere(f"There is no folder {name}. {_HOW}")
    try:
        return fetch(name, [which])
    except NotFetched as fault:
        kept = _cached(name, which)
        if kept is None:
            raise LanguageNotHere(f"The language model {name} {fault}. {_HOW}") from fault
        return kept


def _cached(name: str, which: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, which)
    return Path(found) if isinstance(found, str) else None
