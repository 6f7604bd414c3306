"""Who does the work: processes of this machine, or a Ray cluster. Both take a function of a module with plain arguments, and give it back done or lost.

`Lost` says that a worker died under its task (killed, out of memory, crashed in C code); the task itself may be tried again.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

_STORE_BYTES = 100 << 20
_KNOCK_S = 5.0


class Lost(RuntimeError):
    """The process that worked on a task is gone; nobody can say what the task would have given."""


class NoCluster(ValueError):
    """The Ray cluster cannot be used; the text is one sentence for people."""


class Workers(Protocol):
    """What the batch needs of either kind."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Begin; returns a handle."""

    def some(self, handles: Iterable[Any]) -> list[Any]:
        """Wait until at least one of these is over; those that are."""

    def result(self, handle: Any) -> Any:
        """What it gave. Raises what it raised, or Lost."""

    def close(self) -> None:
        """Stop whatever still runs."""


class Here:
    """One process per core of this machine. When one dies, all are started anew: the standard pool knows no better."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool = self._started()

    def _started(self) -> ProcessPoolExecutor:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        # spawn: a fork of a process that has loaded torch or OpenSlide may hang in their locks
        return ProcessPoolExecutor(self._count, mp_context=multiprocessing.get_context("spawn"))

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        """Begin; returns a handle."""
        try:
            return self._pool.submit(function, *arguments)
        except BrokenProcessPool:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = self._started()
            return self._pool.submit(function, *arguments)

    def some(self, handles: Iterable[Future]) -> list[Future]:
        """Wait until at least one of these is over; those that are."""
        return list(wait(handles, return_when=FIRST_COMPLETED).done)

    def result(self, handle: Future) -> Any:
        """What it gave. Raises what it raised, or Lost."""
        try:
            return handle.result()
        except BrokenProcessPool as fault:
            raise Lost(str(fault)) from None

    def close(self) -> None:
        """Stop whatever still runs."""
        for process in list((self._pool._processes or {}).values()):
            process.terminate()
        self._pool.shutdown(wait=False, cancel_futures=True)


class RayCluster:
    """A Ray cluster through Ray's own interface; slides and output folder must lie where every node can reach them under the same path."""

    def __init__(self, address: str, *, count: int) -> None:
        """address: "local" for one of its own with `count` workers, "auto" for the one that runs here, or ray://host:port. Raises NoCluster."""
        try:
            import ray
        except ImportError:
            raise NoCluster("Ray is not installed here; run `pip install ray`, or leave WORKBENCH_RAY and --ray away.") from None
        _reachable(address)
        self._ray, self._own = ray, not ray.is_initialized()
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        if self._own:
            try:
                if address == "local":
                    # a small store: what travels are file names, and the default takes a third of the memory
                    ray.init("local", num_cpus=count, object_store_memory=_STORE_BYTES, include_dashboard=False, **quiet)
                else:
                    ray.init(address, **quiet)
            except (ConnectionError, ValueError, RuntimeError) as fault:
                raise NoCluster(f"The Ray cluster at {address!r} cannot be reached ({' '.join(str(fault).split())[:120]}).") from None
        # The batch itself tries lost work again and counts, so that both kinds of workers behave alike and the report can say what happened.
        self._call = ray.remote(num_cpus=1, max_retries=0)(_call)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Begin; returns a handle."""
        return self._call.remote(function, arguments)

    def some(self, handles: Iterable[Any]) -> list[Any]:
        """Wait until at least one of these is over; those that are."""
        handles = list(handles)
        done, _ = self._ray.wait(handles, num_returns=1)
        more, _ = self._ray.wait(handles, num_returns=len(handles), timeout=0)
        return more or done

    def result(self, handle: Any) -> Any:
        """What it gave. Raises what it raised, or Lost."""
        lost = (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.NodeDiedError, self._ray.exceptions.OutOfMemoryError)
        try:
            return self._ray.get(handle)
        except lost as fault:
            raise Lost(type(fault).__name__) from None
        except self._ray.exceptions.RayTaskError as fault:
            raise fault.cause from None

    def close(self) -> None:
        """Let the cluster go."""
        if self._own:
            self._ray.shutdown()


def _reachable(address: str) -> None:
    """Knock at a named host first: Ray itself would wait for minutes. NoCluster where nobody opens."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()
    except (OSError, ValueError, OverflowError) as fault:
        raise NoCluster(
            f"The Ray cluster at {address!r} cannot be reached ({fault}); start it, or leave WORKBENCH_RAY and --ray away."
        ) from None


def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return function(*arguments)
