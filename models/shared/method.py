"""The record that says what a method is, and the way to find all of them.

Every room `models/<id>/__init__.py` holds one `METHOD = Method(...)`. Tabs, API names, the command line, the tests and the
table in the README are made from it; nobody keeps a second list. This module and everything it imports stay light: listing the
methods must not load PyTorch.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

from models.shared.paths import assets_dir

Evidence = Literal["verified", "derived", "secondary", "inferred"]
"""How sure we are of a point: read in the paper, follows from it, told by another source, or our own decision."""


@dataclass(frozen=True)
class Paper:
    """The publication a method comes from."""

    title: str
    authors: tuple[str, ...]
    arxiv: str
    """The identifier alone, such as "2403.02833"."""
    venue: str
    year: int
    read: str
    """What of it could be read: the whole text, the abstract and figures, or a later work about it."""


@dataclass(frozen=True)
class Deviation:
    """One place where this implementation had to decide or chose to differ."""

    point: str
    decision: str
    why: str
    evidence: Evidence


@dataclass(frozen=True)
class Switch:
    """One part of a method that people can turn on the screen."""

    name: str
    label: str
    default: object
    choices: tuple = ()
    """Empty for a number or a yes/no, whose kind follows from the default."""
    help: str = ""


@dataclass(frozen=True)
class Preset:
    """A named training configuration."""

    name: str
    about: str
    """What result is to be expected, and what it costs."""
    config: Mapping[str, object]


@dataclass(frozen=True)
class Method:
    """One room: what it answers, where it comes from, what can be switched, and where its checkpoint lies."""

    id: str
    title: str
    question: str
    """The question it answers, in plain words."""
    summary: str
    """What it does, in one sentence."""
    paper: Paper
    order: int
    """Its place among the tabs, smallest first."""
    inputs: tuple[str, ...]
    switches: tuple[Switch, ...]
    presets: tuple[Preset, ...]
    deviations: tuple[Deviation, ...]
    parameters_of: str = ""
    """Optional "module:function" that returns the counts (all parameters, trained parameters)."""
    package: str = ""
    """Where its recipe lies, for what is no room of its own; by default the room's package."""

    @property
    def checkpoint(self) -> Path:
        """The shipped weights; the file need not exist."""
        return assets_dir() / "checkpoints" / f"{self.id}.safetensors"

    @property
    def card(self) -> Path:
        """The card beside the weights; the file need not exist."""
        return assets_dir() / "checkpoints" / f"{self.id}.json"

    def recipe(self) -> ModuleType:
        """Load the room's recipe (and with it PyTorch); ModuleNotFoundError when the room has none."""
        return importlib.import_module(f"{self.package or f'models.{self.id}'}.recipe")

    def parameters(self) -> tuple[int, int] | None:
        """Counts (all, trained) from `parameters_of`, or None when the method names no such function. May load PyTorch."""
        if not self.parameters_of:
            return None
        module, _, function = self.parameters_of.partition(":")
        total, trained = getattr(importlib.import_module(module), function)()
        return int(total), int(trained)

    def preset(self, name: str = "") -> Preset:
        """The preset of that name, or the first one for an empty name; ValueError naming the known ones."""
        if not self.presets:
            raise ValueError(f"{self.title} has no training presets, so there is nothing to train.")
        if not name:
            return self.presets[0]
        for preset in self.presets:
            if preset.name == name:
                return preset
        known = ", ".join(preset.name for preset in self.presets)
        raise ValueError(f"{self.title} has no preset called {name!r}; choose one of: {known}.")


class UnknownMethod(KeyError):
    """Somebody asked for a method that is not here."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which would put the sentence in quotes.
        return str(self.args[0])


def methods() -> tuple[Method, ...]:
    """All methods, in the order of their tabs: every package beside `shared` that holds a METHOD.

    Raises ValueError when a folder's METHOD carries another id than the folder's name, since paths and API names follow from it.
    """
    found = []
    package = importlib.import_module("models")
    for entry in pkgutil.iter_modules(package.__path__):
        if not entry.ispkg or entry.name == "shared":
            continue
        method = getattr(importlib.import_module(f"models.{entry.name}"), "METHOD", None)
        if method is None:
            continue
        if method.id != entry.name:
            raise ValueError(f"The folder models/{entry.name} holds a method with the id {method.id!r}; make the two names equal.")
        found.append(method)
    return tuple(sorted(found, key=lambda method: (method.order, method.id)))


def backbones() -> tuple[Method, ...]:
    """The shared encoders that ship with weights of their own. They have a card and a recipe as a room has, but no tab."""
    return tuple(importlib.import_module(f"models.shared.backbones.{name}.record").METHOD for name in ("clip", "segmenter", "language"))


def get(id: str) -> Method:
    """The method or shared encoder with this id; UnknownMethod, with the known ids in the sentence, when there is none."""
    known = (*methods(), *backbones())
    for method in known:
        if method.id == id:
            return method
    names = ", ".join(method.id for method in known) or "none yet"
    raise UnknownMethod(f"There is no method called {id!r}; the known ones are: {names}.")
