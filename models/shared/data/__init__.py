"""The data sets, by name. Each source is one file in this folder; `_SOURCES` is the one table that knows them.

A source module offers `TITLE`, `here() -> bool` (looks for files, reads none) and `load() -> Dataset`. Splits are fixed by a
seed, stratified by class, and no picture stands in two of them. Sets that do not ship lie under `WORKBENCH_DATA`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
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
}


class DataNotHere(FileNotFoundError):
    """A data set's files are absent; its text is the sentence people see."""

    def __init__(self, title: str, *places: str) -> None:
        expected = " or ".join(places)
        super().__init__(
            f"{title} is not here: expected {expected} in {data_root()}. Put it there, or set WORKBENCH_DATA to the folder that has it."
        )


class DataDamaged(ValueError):
    """A data set's file is there but cannot be used; its text is the sentence people see."""


@dataclass(frozen=True)
class Split:
    """Cases and their labels."""

    x: Tensor
    """float32 (N, …): pictures (N, C, H, W) in 0…1, tables (N, features) standardised."""
    y: Tensor
    """int64 (N,): index into the data set's classes."""

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device | str) -> Split:
        """The same cases on a device; nothing is copied when they are there already."""
        return Split(self.x.to(device), self.y.to(device))


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


def title(name: str) -> str:
    """The data set's title, without reading any data."""
    return _source(name).TITLE


def is_here(name: str) -> bool:
    """Whether `load(name)` would find its files. Looks, but reads nothing."""
    return bool(_source(name).here())


def load(name: str) -> Dataset:
    """The data set, kept in memory after the first call.

    Raises KeyError for an unknown name, DataNotHere for absent files, DataDamaged for files that cannot be used.
    """
    return _load(name, data_root())


@lru_cache(maxsize=8)
def _load(name: str, root: Path) -> Dataset:
    # The root is part of the key, so that another WORKBENCH_DATA is not answered from memory.
    return _source(name).load()


def _source(name: str) -> ModuleType:
    if name not in _SOURCES:
        raise KeyError(f"There is no data set called {name!r}; the known ones are: {', '.join(_SOURCES)}.")
    return importlib.import_module(f"models.shared.data.{_SOURCES[name]}")
