"""Loaded backbones kept for all rooms of the process: each is read once, however many visitors ask at the same time, and the longest unused is
given up once the weights together take too much memory.

    clip = shelf.clip("small", device)            # as `load_clip`, shared: never change its weights
    sam = shelf.sam2("sam2_hiera_tiny", device, 512, precision="auto")

A room that trains takes `load_clip` itself, or a deep copy.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.shared.backbones.clip import Clip
    from models.shared.backbones.segmenter.wrapper import Sam2

MAX_BYTES = 2 << 30
"""Of weights, counted as four bytes a parameter; the newest network is kept whatever it takes."""


class Shelf:
    """Things made once for a key. Safe to use from several threads."""

    def __init__(self, limit_bytes: int = MAX_BYTES) -> None:
        self._limit = limit_bytes
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` made for the key; it must have `parameters`, their number. What `make` raises is raised, and asked again next time."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:  # a second visitor with the same wish waits here and then finds it; other wishes are not held up
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            made = make()
            with self._lock:
                self._kept[key] = made
                while len(self._kept) > 1 and 4 * sum(one.parameters for one in self._kept.values()) > self._limit:
                    self._kept.popitem(last=False)
        return made


_SHELF = Shelf()  # one for the process: sharing is its purpose


def clip(spec: str | os.PathLike[str] | None = None, device: str = "cpu") -> Clip:
    """The CLIP of that name, shared; see `load_clip` for names and errors."""
    from models.shared.backbones.clip import load_clip, parse_spec

    wanted = parse_spec(spec)
    return _SHELF.get(("clip", wanted, device), lambda: load_clip(wanted, device))


def sam2(spec: str | os.PathLike[str] = "auto", device: str = "auto", image_size: int | None = None, *, precision: str = "float32") -> Sam2:
    """The segmenter of that name, shared; see `load_sam2` for names and errors."""
    from models.shared.backbones.segmenter import load_sam2
    from models.shared.backbones.segmenter.loader import find

    name, path = find(spec)
    return _SHELF.get(("sam2", name, path, device, image_size, precision), lambda: load_sam2(spec, device, image_size, precision=precision))
