"""Training on a visitor's own pictures and notes, as the work of a job; everything else is the engine's (`models.shared.prompt_interaction.own`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from models.epic.record import METHOD
from models.shared.prompt_interaction import own

if TYPE_CHECKING:
    from models.shared.data.folders import Decoder


def train_own(config: Mapping[str, object], inbox: own.Inbox, decode: Decoder | None = None) -> Iterator[dict]:
    """Events of the training; config as `own.OwnConfig`. Raises ValueError in a sentence, before the first event, for what cannot be used."""
    yield from own.train_own(METHOD, config, inbox, decode)
