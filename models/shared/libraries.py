"""Torch's companions, loaded by one thread for all.

They import each other in circles: two threads that begin at different places, such as two visitors' first clicks, can each be handed the other's
half-loaded module, and fail. Whatever loads one of them while a server is running calls `load_libraries` first. Light by itself.
"""

from __future__ import annotations

import threading
from importlib import import_module

_NAMES = ("torch", "torchvision", "timm", "open_clip", "sam2", "sam2.automatic_mask_generator")
_LOCK = threading.Lock()
_done = False


def load_libraries() -> None:
    """Load them all, in one fixed order; at once when that has been done. A thread that comes meanwhile waits."""
    global _done
    if _done:
        return
    with _LOCK:
        for name in _NAMES:
            import_module(name)
        _done = True
