"""Things kept in memory up to so many bytes, the least recently used given up first. Safe to use from several threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_V = TypeVar("_V")


class Kept(Generic[_V]):
    """A look-up of bounded size. What is larger than the whole limit is not kept at all."""

    def __init__(self, limit_bytes: int, size: Callable[[_V], int]) -> None:
        self._limit, self._size = limit_bytes, size
        self._entries: OrderedDict[Hashable, _V] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._held

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> _V | None:
        """The entry, now the most recently used, or None."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: Hashable, value: _V) -> None:
        """Keep a value in the place of an earlier one, giving up the oldest as far as needed."""
        with self._lock:
            self._forget(key)
            if self._size(value) > self._limit:
                return
            self._entries[key] = value
            self._held += self._size(value)
            while self._held > self._limit:
                self._forget(next(iter(self._entries)))

    def drop(self, which: Callable[[Hashable], bool]) -> None:
        """Give up every entry whose key fits."""
        with self._lock:
            for key in [key for key in self._entries if which(key)]:
                self._forget(key)

    def _forget(self, key: Hashable) -> None:
        value = self._entries.pop(key, None)
        if value is not None:
            self._held -= self._size(value)
