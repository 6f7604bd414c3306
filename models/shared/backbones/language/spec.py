"""Names, special tokens and the sentences said when a language model cannot be had. Loads nothing heavy."""

from __future__ import annotations

from pathlib import Path

SMALL = "small"
HERE = Path(__file__).resolve().parent
CONFIG, VOCABULARY = HERE / "config.json", HERE / "vocabulary.json"
PAD, BOS, EOS, UNK = "<pad>", "<bos>", "<eos>", "<unk>"
IMAGE = "<image>"
"""Neural Tuning's token that asks for a picture to be drawn."""
OBJECTS = tuple(f"<object{number}>" for number in range(1, 6))
"""Neural Tuning's tokens that ask for outlines."""
TASK_TOKENS = (IMAGE, *OBJECTS)
SPECIAL = (PAD, BOS, EOS, UNK, *TASK_TOKENS)


class LanguageRefused(ValueError):
    """A name, folder or network that cannot be used; its text is the sentence people see."""


class LanguageNotHere(LanguageRefused):
    """Weights that would be fine but are not on this machine; its text says how to get them."""
