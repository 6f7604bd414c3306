"""Prepared images kept in memory, the least recently used ones given up first once they take too many bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict

from models.shared.backbones.segmenter.records import Prepared


class PreparedCache:
    """Safe to use from several threads. One entry larger than the whole limit is not kept at all."""

    def __init__(self, limit_bytes: int) -> None:
        if limit_bytes < 0:
            raise ValueError(f"The cache cannot hold {limit_bytes} bytes; give 0 (keep nothing) or more.")
        self._limit = limit_bytes
        self._entries: OrderedDict[str, Prepared] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._held

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Prepared | None:
        """The entry, now the most recently used, or None."""
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, prepared: Prepared) -> None:
        """Keep it, giving up the oldest entries as far as needed."""
        with self._lock:
            if prepared.nbytes > self._limit or prepared.key in self._entries:
                return
            self._entries[prepared.key] = prepared
            self._held += prepared.nbytes
            while self._held > self._limit:
                _, old = self._entries.popitem(last=False)
                self._held -= old.nbytes
