"""Checkpoints: weights as safetensors, and beside them a card (JSON) that says what they are and what they reached.

The card is the only source of numbers shown on the screen. It carries the checksum of the weights, so a file and a card that do
not belong together are refused. Nothing here uses pickle, and reading a card alone does not load PyTorch.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from models.shared.version import VERSION

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
MAX_WEIGHTS_BYTES = 1 << 30
MAX_CARD_BYTES = 16 << 20


class CheckpointRefused(ValueError):
    """A checkpoint or card that cannot be trusted or read; its text is the sentence people see."""


def _as_json(value: Any) -> Any:
    """Turn tuples and read-only mappings into what JSON holds, so that a card read back equals the card written."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as fault:
        raise ValueError(f"{value!r} cannot be kept in a card; use finite numbers, text, lists and dictionaries") from fault
    return value


JsonDict = Annotated[dict[str, Any], BeforeValidator(_as_json)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(_Record):
    """One measured number with its 95 % interval."""

    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    n: int = Field(ge=0)
    """How many cases (or runs) it was measured on."""
    unit: str = ""
    kind: Literal["real", "phantom"] = "real"
    interval: str
    """How the interval was made: "t over 5 seeds", "Wilson", "none, one run"."""

    @model_validator(mode="after")
    def _ordered(self) -> Metric:
        if self.low > self.high:
            raise ValueError(f"the interval runs from {self.low} to {self.high}; its lower end must not be above its upper end")
        return self


class DatasetUse(_Record):
    """What a checkpoint was trained and measured on."""

    name: str
    title: str
    kind: Literal["real", "phantom"]
    licence: str
    n_train: int = Field(ge=0)
    n_validation: int = Field(ge=0)
    n_test: int = Field(ge=0)
    note: str = ""


class Card(_Record):
    """Everything known about one checkpoint. Metric names are "<task>/<measure>", with "@<arm>" added for a baseline's."""

    format: Literal[1] = FORMAT
    method: str
    title: str
    config: JsonDict
    datasets: tuple[DatasetUse, ...]
    recipe: str
    """The command that makes it again."""
    seed: int
    seconds: FiniteFloat
    hardware: str
    parameters: int = Field(ge=0)
    trained_parameters: int = Field(ge=0)
    metrics: dict[str, Metric]
    loses: tuple[str, ...] = ()
    """Sentences that say where the method does not win."""
    deviations: tuple[JsonDict, ...] = ()
    notes: str = ""
    extra: JsonDict = Field(default_factory=dict)
    created: str = Field(default_factory=lambda: datetime.now(UTC).date().isoformat())
    version: str = VERSION
    sha256: str = ""
    """Of the safetensors file; filled in by `save`."""


def card_path(path: Path) -> Path:
    """The card's place beside its weights."""
    return Path(path).with_suffix(".json")


def save(path: Path, tensors: Mapping[str, Tensor], card: Card) -> Card:
    """Write weights and card, and return the card with its checksum filled in.

    Each file appears whole or not at all. The weights go first: should the machine stop in between, the old card no longer
    fits the new weights and `load` refuses them, rather than showing the numbers of other weights.
    """
    from safetensors.torch import save as to_bytes

    # Own contiguous memory for each: safetensors stores no views, and two names may share one tensor.
    data = to_bytes({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, metadata={"format": "pt"})
    if len(data) > MAX_WEIGHTS_BYTES:
        raise ValueError(f"These weights take {len(data) >> 20} MB, above the {MAX_WEIGHTS_BYTES >> 20} MB that can be loaded again.")
    card = card.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()})
    write_atomically(Path(path), data)
    write_atomically(card_path(path), (card.model_dump_json(indent=1) + "\n").encode())
    return card


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a reader, or a crash, sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp gives 0600, which would hide a shipped file from a server running as another user
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_card(path: Path) -> Card:
    """The card of the weights at `path` (the card's own path does as well); CheckpointRefused when absent or damaged.

    Kept in memory until the file changes: a page shows one card in several places, and a health probe may ask every second.
    """
    path = card_path(path)
    try:
        stat = path.stat()
    except OSError:
        stat = None  # `read_capped` says what is wrong
    return _read_card(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino) if stat else None)


@lru_cache(maxsize=32)
def _read_card(path: Path, _stamp: tuple[int, int, int] | None) -> Card:
    raw = read_capped(path, MAX_CARD_BYTES, "card")
    try:
        return Card.model_validate_json(raw)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file as a whole"
        raise CheckpointRefused(
            f"The card {path.name} cannot be read: {where}: {first['msg']}. Make the checkpoint again, or fetch the file once more."
        ) from fault


def load(path: Path, *, device: str = "cpu") -> tuple[dict[str, Tensor], Card]:
    """Weights and card, after size, checksum and header were checked.

    Size is checked before reading and the checksum before parsing; what was hashed is what is parsed, as the file is read
    once. Raises CheckpointRefused with a sentence for any fault.
    """
    path = Path(path)
    card = read_card(path)
    data = read_capped(path, MAX_WEIGHTS_BYTES, "weights file")
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise CheckpointRefused(
            f"The weights {path.name} do not belong to their card: the checksum differs. Make the checkpoint again, or fetch both files."
        )
    return parse(data, path.name, device=device), card


def parse(data: bytes, name: str, *, device: str = "cpu") -> dict[str, Tensor]:
    """The tensors in a safetensors file's bytes; CheckpointRefused when the header and the bytes do not agree."""
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    try:
        tensors = from_bytes(data)
    except (SafetensorError, KeyError) as fault:  # KeyError: a number format this version does not know
        raise CheckpointRefused(f"{name} is not a whole safetensors file ({fault}). Make it again, or fetch it once more.") from fault
    return {key: tensor.to(device) for key, tensor in tensors.items()}


def read_capped(path: Path, limit: int, what: str) -> bytes:
    """The file's bytes, never more than `limit`; CheckpointRefused when it is absent, too large or unreadable."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(limit + 1) if size <= limit else b""
    except OSError as fault:
        reason = "is not here" if isinstance(fault, FileNotFoundError) else f"cannot be opened ({fault.strerror})"
        raise CheckpointRefused(f"The {what} {path.name} {reason}; it was expected in the folder {path.parent.name}.") from fault
    if size > limit or len(data) > limit:
        raise CheckpointRefused(f"The {what} {path.name} is larger than the {limit >> 20} MB allowed, so it was not read.")
    return data
