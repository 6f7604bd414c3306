"""A bounded number of open files, the least recently used closed first. The slow opening happens outside the lock and once per key."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """What can be kept here."""

    def close(self) -> None:
        """Let go."""


_V = TypeVar("_V", bound=Closable)


@dataclass
class _Entry(Generic[_V]):
    value: _V | None = None  # None while it is being opened
    users: int = 0
    nbytes: int = 0
    dropped: bool = False


class Handles(Generic[_V]):
    """At most `limit` values open at once, and values of at most `limit_bytes` together (one may be larger). Safe from any thread.

    A value in use is never closed; who asks for one more while all are in use waits. So nobody may ask for a second one while using the first.
    """

    def __init__(self, limit: int, *, limit_bytes: int = 0, size: Callable[[_V], int] = lambda value: 0) -> None:
        self._limit, self._limit_bytes, self._size = limit, limit_bytes, size
        self._entries: OrderedDict[Hashable, _Entry[_V]] = OrderedDict()
        self._waiting = threading.Condition()
        self._open = 0  # also those no longer listed but still in use

    def __len__(self) -> int:
        return self._open

    @contextmanager
    def use(self, key: Hashable, opener: Callable[[], _V]) -> Iterator[_V]:
        """The value of `key`, opened by `opener` if it is not open, for the time of the block. Raises what `opener` raises."""
        entry = self._taken(key, opener)
        try:
            yield entry.value  # type: ignore[misc]
        finally:
            self._given_back(entry)

    def drop(self, key: Hashable) -> None:
        """Close it, when nobody uses it any more."""
        with self._waiting:
            entry = self._entries.pop(key, None)
            if entry is None:
                return
            entry.dropped = True
            self._waiting.notify_all()  # who waits for one that is being opened opens it afresh
            idle = entry.users == 0  # one that is being opened has a user
            if idle:
                self._open -= 1
        if idle and entry.value is not None:
            entry.value.close()

    def close(self) -> None:
        """Drop everything."""
        for key in list(self._entries):
            self.drop(key)

    def _taken(self, key: Hashable, opener: Callable[[], _V]) -> _Entry[_V]:
        closing: list[_V] = []
        with self._waiting:
            while True:
                entry = self._entries.get(key)
                if entry is not None and entry.value is not None:
                    entry.users += 1
                    self._entries.move_to_end(key)
                    return entry
                if entry is None and (self._open < self._limit or self._evict(closing)):
                    break
                self._waiting.wait()
            entry = self._entries[key] = _Entry(users=1)
            self._open += 1
        for value in closing:
            value.close()
        return self._opened(key, entry, opener)

    def _opened(self, key: Hashable, entry: _Entry[_V], opener: Callable[[], _V]) -> _Entry[_V]:
        try:
            value = opener()
        except BaseException:
            with self._waiting:
                if self._entries.get(key) is entry:
                    del self._entries[key]
                self._open -= 1
                self._waiting.notify_all()
            raise
        closing: list[_V] = []
        with self._waiting:
            entry.value, entry.nbytes = value, self._size(value)
            while (
                self._limit_bytes
                and sum(one.nbytes for one in self._entries.values()) > self._limit_bytes
                and self._evict(closing, heavy=True)
            ):
                pass
            self._waiting.notify_all()
        for one in closing:
            one.close()
        return entry

    def _evict(self, closing: list[_V], *, heavy: bool = False) -> bool:
        """Take the least recently used idle value out of the list, to be closed outside the lock; False when there is none."""
        for key, entry in self._entries.items():
            if entry.users == 0 and entry.value is not None and (entry.nbytes or not heavy):
                del self._entries[key]
                self._open -= 1
                closing.append(entry.value)
                return True
        return False

    def _given_back(self, entry: _Entry[_V]) -> None:
        with self._waiting:
            entry.users -= 1
            last = entry.dropped and entry.users == 0
            if last:
                self._open -= 1
            self._waiting.notify_all()
        if last and entry.value is not None:
            entry.value.close()
