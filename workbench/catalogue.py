"""Finds the rooms that have a tab: a method `models/<id>/` and a module `workbench/tabs/<id>.py` of the same name.

To add a method, add those two; nothing else is edited. A method without a tab, or a tab without a method, is simply not shown.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from types import ModuleType

import workbench.tabs
from models.shared.method import Method, methods


@dataclass(frozen=True)
class Room:
    """One method and the module that lays out its tab (which offers `build(method, context)`)."""

    method: Method
    tab: ModuleType


def rooms() -> tuple[Room, ...]:
    """Rooms in the order their records ask for."""
    tabs = {module.name for module in pkgutil.iter_modules(workbench.tabs.__path__)}
    return tuple(Room(method, importlib.import_module(f"workbench.tabs.{method.id}")) for method in methods() if method.id in tabs)
