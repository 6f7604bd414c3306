"""The process that does one piece of long work: `python -m workbench.jobs.worker [module to load ahead …]`.

It waits on stdin for one line of orders, so that the slow part of a start (loading PyTorch) is over before anybody asks;
without orders it ends when stdin closes, that is when the server goes. Once it has a job it needs no server: it lives in
its own session, writes its own record, and stops by itself when nobody has followed for the length of the lease.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.jobs.encoding import event_line
from workbench.jobs.folder import JobFolder, open_private
from workbench.jobs.inbox import Inbox
from workbench.jobs.records import INTERRUPTED, STOP_SENTENCES, Job, Orders, State

log = logging.getLogger("workbench.jobs.worker")

_WATCH_S = 0.5
_SUSPENDED_S = 20.0  # a half-second sleep that took this long: the machine itself slept, and nobody could follow meanwhile
_NICENESS = 5  # the browser side shares these cores and must stay quick
_OOM_SCORE = "500"  # when memory runs out the kernel should take the job, not the server
_GENERAL = "Something went wrong inside this run; the details are in the server's log for this run."
_DISK_FULL = "The server's disk or this workspace is full, so the run stopped; delete earlier runs and try again."


class Terminated(BaseException):
    """SIGTERM arrived; no Exception, so that a recipe's own error handling lets it through."""


def _resolve(work: str) -> Callable[[dict[str, Any], Inbox], Iterator[dict[str, Any]]]:
    module, _, name = work.partition(":")
    return getattr(importlib.import_module(module), name)


def _sentence(fault: Exception) -> str:
    """What people read. Recipes speak to people through ValueError; everything else is an accident of ours."""
    if isinstance(fault, OSError) and fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return _DISK_FULL
    if isinstance(fault, MemoryError) or type(fault).__name__ == "OutOfMemoryError":
        return "There was not enough memory for this run; try a smaller setting."
    return str(fault)[:1000] or _GENERAL if isinstance(fault, ValueError) else _GENERAL


def _end_group(number: int) -> None:
    """Send a signal to this job and the processes it started, never to a group that it does not lead."""
    if os.getpgid(0) == os.getpid():
        os.killpg(os.getpid(), number)
    else:
        os.kill(os.getpid(), number)


class Run:
    """One job from its first event to its last record."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.folder = JobFolder(Path(orders.folder))
        self.job = self.folder.load()
        self._terminated = False

    def carry_out(self) -> Job:
        """Run the work and write how it ended; the record returned is the one on disk."""
        signal.signal(signal.SIGTERM, self._on_terminate)
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        try:
            state, error = self._attempt()
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the last lines below are short and must not be torn
        self.folder.discard_partial()
        job = replace(self.job, state=state, error=error, ended=time.time())
        self.folder.save(job)
        return job

    def _attempt(self) -> tuple[State, str]:
        try:
            stopped = self._follow_generator()
            self.folder.publish()
        except Terminated:
            reason = self.folder.stop_reason()
            return ("stopped", STOP_SENTENCES[reason]) if reason else ("interrupted", INTERRUPTED)
        except Exception as fault:  # the border between a recipe and the people: whatever it was, it gets a record
            log.exception("The job failed.")
            return "failed", _sentence(fault)
        return ("stopped", STOP_SENTENCES[self.folder.stop_reason() or "asked"]) if stopped else ("done", "")

    def _follow_generator(self) -> bool:
        """Write every event as a line; True when a stop was asked for. The generator's own `finally` runs in any case.

        Work that looks at `inbox.stopping` ends by itself, with its last events and files (`_watch` bounds how long that may take); work that
        does not is closed at its next event.
        """
        self.folder.discard_partial()
        self.folder.partial.mkdir(mode=0o700)
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            inbox = stack.enter_context(contextlib.closing(Inbox(self.folder)))
            events = stack.enter_context(open(self.folder.events, "ab", opener=open_private))
            generator = _resolve(self.job.work)(self.job.config, inbox)
            if hasattr(generator, "close"):
                stack.callback(generator.close)
            for event in generator:
                events.write(event_line(event, time.monotonic() - began))
                events.flush()
                if inbox.asked_to_stop() and not inbox.heeded:
                    break
            return inbox.asked_to_stop()

    def _on_terminate(self, _number: int, _frame: object) -> None:
        if not self._terminated:  # a second signal must not tear the clean-up that the first one began
            self._terminated = True
            raise Terminated

    def _watch(self) -> None:
        """End the job when its lease ran out or when it does not heed a stop, also when there is no server any more."""
        asked_at: float | None = None
        looked_at = time.time()
        while True:
            time.sleep(_WATCH_S)
            slept_s, looked_at = time.time() - looked_at, time.time()
            try:
                if slept_s > _SUSPENDED_S:
                    self.folder.renew()
                if self.orders.lease_s is not None and self.folder.unwatched_s() > self.orders.lease_s:
                    self.folder.ask_stop("left")
                if asked_at is None and self.folder.stop_reason():
                    asked_at = time.monotonic()
            except FileNotFoundError:  # the folder is gone, and with it every reason to go on
                _end_group(signal.SIGKILL)
            waited = 0.0 if asked_at is None else time.monotonic() - asked_at
            if waited > self.orders.kill_after_s:
                _end_group(signal.SIGKILL)
            elif waited > self.orders.terminate_after_s and not self._terminated:
                os.kill(os.getpid(), signal.SIGTERM)


def _settle(orders: Orders) -> None:
    """Give up what belongs to the server: its input, its output, its claim on the processor and on memory."""
    os.umask(0o077)
    handle = open_private(str(JobFolder(Path(orders.folder)).log), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((null, 0), (handle, 1), (handle, 2)):
        os.dup2(old, new)
    os.close(handle)
    os.close(null)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    file_bytes = orders.file_bytes if limit == resource.RLIM_INFINITY else min(orders.file_bytes, limit)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, limit))
    os.nice(_NICENESS)
    with contextlib.suppress(OSError):  # not every host shows this file; the job runs as well without
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def main(ahead: Sequence[str]) -> int:
    """Load modules ahead, wait for orders, carry them out. Returns 0: how the job ended stands in its record."""
    for name in ahead:
        try:
            importlib.import_module(name)
        except Exception:  # loading ahead only saves time; a job that needs this module will say what is wrong with it
            log.exception("%s could not be loaded ahead.", name)
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):  # the server went away before there was anything to do
        return 0
    orders = Orders.from_line(line)
    _settle(orders)
    job = Run(orders).carry_out()
    log.info("The job is over: %s.", job.state)
    _end_group(signal.SIGTERM)  # ignored here by now; helper processes of the work must not outlive it
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)  # a thread that the work left running must not keep the place in the queue
