"""Silence for the reading libraries while a file is open.

pydicom, tifffile and others quote header values in warnings and log lines; a header value may be a person's name. So for the time of
a load these libraries say nothing at all. Python's warning filter and logger levels belong to the whole process, hence one
counter: the first load in lowers the voice, the last one out restores it, and loads in several threads do not undo each other.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from workbench.imaging.limits import Limits

_TALKERS = ("pydicom", "tifffile", "nibabel", "nibabel.global", "PIL", "imagecodecs")


def _bomb_warning() -> type[Warning]:
    """Pillow's warning of a decompression bomb is the one that must not be silenced: `raster.py` turns it into a refusal.

    It speaks at our own limit instead of Pillow's 89 million pixels, which real photographs of histology exceed.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = Limits().max_pixels
    return Image.DecompressionBombWarning


class _Hush:
    """Counts the loads under way and holds what must be restored after the last one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._levels: dict[str, int] = {}
        self._filters = warnings.catch_warnings()

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            self._filters = warnings.catch_warnings()
            self._filters.__enter__()
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", _bomb_warning())
            for name in _TALKERS:
                self._levels[name] = logging.getLogger(name).level
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside:
                return
            for name, level in self._levels.items():
                logging.getLogger(name).setLevel(level)
            self._filters.__exit__(None, None, None)


_HUSH = _Hush()


@contextmanager
def quiet() -> Iterator[None]:
    """Within this block no reading library warns or logs, in any thread."""
    _HUSH.enter()
    try:
        yield
    finally:
        _HUSH.leave()
