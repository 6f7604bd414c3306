"""The data sets, by name. Each source is one file in this folder; `_SOURCES` is the one table that knows them.

A source module offers `RECORD`, `here() -> bool` (looks for files, reads none), `load(size) -> Dataset` and, when its files do not
come with a library, `check_file(path) -> str` (the name to keep a file under, after reading it whole). Splits are fixed by a seed
and no picture stands in two of them. Sets that do not ship lie under `WORKBENCH_DATA`. Pictures of a user's own: `folders.py`.
"""

from __future__ import annotations

import importlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from models.shared.paths import data_root

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_SOURCES = {
    "digits": "digits",
    "breast_cancer": "breast_cancer",
    "breastmnist": "breastmnist",
    "pneumoniamnist": "pneumoniamnist",
    "brain_mri": "brain_mri",
    "busi": "busi",
    "isic2018": "isic2018",
}
MAX_KEPT_BYTES = 1 << 29
"""Of loaded sets in memory; the latest one is kept whatever it takes."""


class DataNotHere(FileNotFoundError):
    """A data set's files are absent; its text is the sentence people see."""

    def __init__(self, title: str, *places: str) -> None:
        expected = " or ".join(places)
        super().__init__(
            f"{title} is not here: expected {expected} in {data_root()}. Put it there, or set WORKBENCH_DATA to the folder that has it."
        )


class DataDamaged(ValueError):
    """A data set's file is there but cannot be used; its text is the sentence people see."""


class NotForShipping(ValueError):
    """Weights made from a data set may not be given to others; its text is the sentence people see."""


@dataclass(frozen=True)
class SetRecord:
    """What is known of a data set without reading it."""

    name: str
    title: str
    licence: str
    source: str
    classes: tuple[str, ...]
    n: int
    """Cases of the complete set, as its makers count them."""
    ships_weights: bool
    """Whether weights trained on it may be given to others."""
    size: int | None
    """Pixels a side when none is asked for; None for a table."""
    sizes: tuple[int, int] | None
    """Smallest and largest size that can be asked for."""
    places: tuple[str, ...] = ()
    """Files or folders under the data folder, any one of which is enough; empty when the set comes with a library."""
    obtain: str = ""
    """One sentence: where the set comes from and what to do with it."""

    def checked_size(self, size: int | None) -> int | None:
        """The size to load; ValueError for one the set does not have."""
        if size is None:
            return self.size
        if self.sizes is None:
            raise ValueError(f"{self.title} is a table, not pictures; load it without a size.")
        low, high = self.sizes
        if not low <= size <= high:
            allowed = f"{low}" if low == high else f"{low} to {high}"
            raise ValueError(f"{self.title} can be had at {allowed} pixels a side, not at {size}.")
        return size

    def dataset(self, train: Split, validation: Split, test: Split, note: str) -> Dataset:
        """The record with its cases."""
        return Dataset(self.name, self.title, "real", self.licence, self.source, self.classes, train, validation, test, note)


@dataclass(frozen=True)
class Split:
    """Cases, their labels and, where a set has them, masks and what is known of each picture."""

    x: Tensor
    """float32 (N, …): pictures (N, C, H, W) in 0…1, tables (N, features) standardised."""
    y: Tensor
    """int64 (N,): index into the data set's classes."""
    masks: Tensor | None = None
    """bool (N, H, W): True on the lesion; all False where `has_mask` is False."""
    has_mask: Tensor | None = None
    """bool (N,): whether someone drew a mask. An empty one counts: it says that there is no lesion."""
    groups: Tensor | None = None
    """int64 (N,): pictures of one number are near copies of each other; no number is in two parts of a set."""
    marked: Tensor | None = None
    """bool (N,): whether marks seem to be burnt in, by the heuristic of `markers.py`."""

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device | str) -> Split:
        """The same cases on a device; nothing is copied when they are there already."""
        return Split(*(None if tensor is None else tensor.to(device) for tensor in self._tensors()))

    def nbytes(self) -> int:
        """Memory of all tensors together."""
        return sum(tensor.nbytes for tensor in self._tensors() if tensor is not None)

    def _tensors(self) -> list[Tensor | None]:
        return [getattr(self, field.name) for field in fields(self)]


@dataclass(frozen=True)
class Dataset:
    """A data set in three parts that share no case."""

    name: str
    title: str
    kind: Literal["real", "phantom"]
    licence: str
    source: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    note: str
    """What a reader of a number measured on it must know."""


def names() -> tuple[str, ...]:
    """Every data set this version knows, here or not."""
    return tuple(_SOURCES)


def record(name: str) -> SetRecord:
    """What is known of a data set, without reading any data. KeyError for an unknown name."""
    return source(name).RECORD


def title(name: str) -> str:
    """The data set's title, without reading any data."""
    return record(name).title


def is_here(name: str) -> bool:
    """Whether `load(name)` would find its files. Looks, but reads nothing."""
    return bool(source(name).here())


def load(name: str, *, size: int | None = None) -> Dataset:
    """The data set, pictures at `size`×`size` pixels (None: the set's own default); kept in memory after the first call.

    The parts hold the same cases at every size. Raises KeyError for an unknown name, ValueError for a size the set cannot be
    had at, DataNotHere for absent files, DataDamaged for files that cannot be used.
    """
    side = record(name).checked_size(size)
    # The root is part of the key, so that another WORKBENCH_DATA is not answered from memory.
    return _KEPT.get((name, side, data_root())) or _KEPT.keep((name, side, data_root()), source(name).load(side))


def may_ship(used: Iterable[str]) -> None:
    """Nothing when weights made from all these data sets may be given to others; else NotForShipping says which may not.

    A set that is not known here, a user's own pictures for instance, counts as one that may not. Phantoms need no leave: name real sets only.
    """
    for name in used:
        if name not in _SOURCES:
            raise NotForShipping(f"Nothing is known of the licence of {name!r}, so weights made from it stay on this machine.")
        known = record(name)
        if not known.ships_weights:
            raise NotForShipping(f"{known.title} is {known.licence}: weights made from it stay on this machine and are not shipped.")


def source(name: str) -> ModuleType:
    """The module that reads a data set. KeyError for an unknown name."""
    if name not in _SOURCES:
        raise KeyError(f"There is no data set called {name!r}; the known ones are: {', '.join(_SOURCES)}.")
    return importlib.import_module(f"models.shared.data.{_SOURCES[name]}")


class _Kept:
    """Loaded sets, the least recently used ones dropped when together they take more than MAX_KEPT_BYTES."""

    def __init__(self) -> None:
        self._sets: OrderedDict[tuple[str, int | None, Path], Dataset] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[str, int | None, Path]) -> Dataset | None:
        with self._lock:
            if key in self._sets:
                self._sets.move_to_end(key)
            return self._sets.get(key)

    def keep(self, key: tuple[str, int | None, Path], loaded: Dataset) -> Dataset:
        with self._lock:
            self._sets[key] = loaded
            while len(self._sets) > 1 and sum(map(_nbytes, self._sets.values())) > MAX_KEPT_BYTES:
                self._sets.popitem(last=False)
        return loaded


def _nbytes(loaded: Dataset) -> int:
    return sum(part.nbytes() for part in (loaded.train, loaded.validation, loaded.test))


_KEPT = _Kept()
