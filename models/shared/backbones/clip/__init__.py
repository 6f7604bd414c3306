"""CLIP through open_clip: one small model that ships, any published one by name, or a file of one's own, all behind one interface.

``load_clip("small")`` gives a frozen `Clip`; see `interface` for what it can do, `load` for what may be named, `fetch` for getting
published weights, and `vocabulary` for the small model's tokens. Names are looked up on first use, so that importing this
package loads neither PyTorch nor open_clip.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from models.shared.backbones.clip.spec import SMALL, SMALL_MODEL, ClipNotHere, ClipRefused, Spec, parse_spec
from models.shared.libraries import load_libraries

if TYPE_CHECKING:
    from models.shared.backbones.clip.fetch import cached_weights, fetch_clip
    from models.shared.backbones.clip.interface import Clip
    from models.shared.backbones.clip.load import load_clip, new_clip, save_clip, weights_of
    from models.shared.backbones.clip.vision import Look

__all__ = [
    "SMALL",
    "SMALL_MODEL",
    "Clip",
    "ClipNotHere",
    "ClipRefused",
    "Look",
    "Spec",
    "cached_weights",
    "fetch_clip",
    "load_clip",
    "new_clip",
    "parse_spec",
    "save_clip",
    "weights_of",
]

_WHERE = {
    "Clip": "interface",
    "Look": "vision",
    "cached_weights": "fetch",
    "fetch_clip": "fetch",
    "load_clip": "load",
    "new_clip": "load",
    "save_clip": "load",
    "weights_of": "load",
}


_MODULES = ("vision",)
"""Modules of this package that others take whole."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        load_libraries()
        return import_module(f"{__name__}.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    load_libraries()
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
