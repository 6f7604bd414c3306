"""The one thread that moves jobs along: queue, workers, leases, deadlines, keeping.

It sleeps until a worker's end or the next deadline; where the system cannot announce ends (no pidfd) it looks four times
a second while something runs.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.jobs.processes import Spawner, Worker
from workbench.jobs.records import CRASHED, INTERRUPTED, STOP_SENTENCES, Job, Orders
from workbench.jobs.retention import Retention
from workbench.jobs.table import Table

log = logging.getLogger("workbench.jobs")

_LONGEST_SLEEP_S = 30.0
_SHORTEST_SLEEP_S = 0.02
_BLIND_SLEEP_S = 0.25


@dataclass(frozen=True)
class Limits:
    """What a host allows. Seconds and bytes; counts are of jobs."""

    max_running: int
    max_queued: int
    per_owner: int
    workspace_bytes: int
    max_age_s: float
    lease_s: float
    terminate_after_s: float
    kill_after_s: float


@dataclass
class _Asked:
    """A running job that was asked to stop: since when, and which signal goes next."""

    since: float
    sent: int = 0


class Supervisor:
    """Works on a table of jobs under its lock; methods whose name starts with an underscore expect the lock to be held."""

    def __init__(self, root: Path, limits: Limits, spawner: Spawner) -> None:
        self.table = Table(root)
        self.closing = False
        self._limits = limits
        self._spawner = spawner
        self._retention = Retention(workspace_bytes=limits.workspace_bytes, max_age_s=limits.max_age_s)
        self._workers: dict[str, Worker] = {}
        self._asked: dict[str, _Asked] = {}
        self._sweep_due = 0.0
        self._bell_out, self._bell_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell_out, selectors.EVENT_READ)
        self._find_again()
        self._thread = threading.Thread(target=self._supervise, name="jobs", daemon=True)
        self._thread.start()

    def _find_again(self) -> None:
        """After a restart: follow what still runs, queue what waited, close what was cut off."""
        for job in list(self.table.jobs.values()):
            if job.state == "queued":
                self._queue_again(job)
            elif job.state == "running":
                worker = Worker.find(job)
                if worker is None:
                    self._close_or_queue(job)
                    continue
                self._watch(job.id, worker)
                if self.table.folder(job).stop_reason() is not None:
                    self._asked[job.id] = _Asked(time.monotonic())

    def _queue_again(self, job: Job) -> None:
        self.table.folder(job).renew()
        self.table.enqueue(job)

    def _close_or_queue(self, job: Job) -> None:
        job = self.table.job(job.id)  # its end may have been written since the record was read
        if job.over:
            return
        if self.table.folder(job).log.exists():
            self.table.end(job, "interrupted", INTERRUPTED)
        else:  # the server was killed before the worker had its orders, so nothing was begun
            job = replace(job, state="queued", started=None, pid=0, born=0.0)
            self.table.put(job)
            self._queue_again(job)

    # -- what the manager asks for ------------------------------------------------------------------------------------

    def add(self, job: Job) -> Job:
        """Queue a new job and start it at once if there is room; OSError when its folder cannot be made."""
        with self.table.lock:
            folder = self.table.folder(job)
            try:
                folder.create(job)
            except OSError:
                folder.delete()
                raise
            self.table.enqueue(job)
            self._dispatch()
            self._ring()
            return self.table.job(job.id)

    def ask_stop(self, job: Job, why: str) -> None:
        """Take a waiting job out of the queue, or ask a running one to end; nothing when it is over or deleted."""
        with self.table.lock:
            if job.id not in self.table.jobs:
                return
            job = self.table.job(job.id)
            if job.state == "queued":
                self.table.queue.remove(job.id)
                self.table.end(job, "stopped", STOP_SENTENCES[why])
            elif job.state == "running":
                self.table.folder(job).ask_stop(why)
                self._asked.setdefault(job.id, _Asked(time.monotonic()))
                self._ring()

    def make_room(self, owner: str) -> bool:
        """Delete an owner's oldest finished jobs until the workspace fits; False when that is not enough."""
        with self.table.lock:
            return not self._trim(self.table.all(owner))

    def disk_is_full(self) -> bool:
        """Whether no job should be started until somebody has made room on the machine."""
        return self._retention.disk_is_full(self.table.root)

    def counts(self) -> tuple[int, int]:
        """(running, queued)."""
        with self.table.lock:
            return len(self._workers), len(self.table.queue)

    # -- starting and ending workers ----------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        while self.table.queue and len(self._workers) < self._limits.max_running and not self.closing:
            self._launch(self.table.jobs[self.table.queue.pop(0)])

    def _launch(self, job: Job) -> None:
        limits = self._limits
        lease_s = None if job.keep else limits.lease_s
        folder = self.table.folder(job)
        orders = Orders(str(folder.path.resolve()), lease_s, limits.terminate_after_s, limits.kill_after_s, limits.workspace_bytes)
        try:
            folder.renew()
            worker = self._spawner.take()
        except OSError:
            log.exception("No worker could be started for job %s.", job.id)
            self.table.end(job, "failed", "The server could not start this run, as it is short of memory or disk; try again later.")
            return
        # The record goes first: from the hand-over on, only the worker writes it.
        self.table.put(replace(job, state="running", started=time.time(), pid=worker.pid, born=worker.born))
        self._watch(job.id, worker)
        if not worker.order(orders):
            log.warning("Worker %d ended before it was given job %s.", worker.pid, job.id)

    def _watch(self, job_id: str, worker: Worker) -> None:
        self._workers[job_id] = worker
        if worker.fd is not None:
            self._selector.register(worker.fd, selectors.EVENT_READ)

    def _reap(self) -> None:
        """Take leave of workers that ended, and give a last record to those that could not."""
        for job_id, worker in [item for item in self._workers.items() if not item[1].alive()]:
            del self._workers[job_id]
            self._asked.pop(job_id, None)
            if worker.fd is not None:
                self._selector.unregister(worker.fd)
            worker.forget()
            worker.collect()
            # A job may be over, and deleted, before its process is quite gone.
            if job_id in self.table.jobs and not (job := self.table.job(job_id)).over:
                self.table.end(job, "failed", CRASHED)

    def _escalate(self) -> None:
        """A worker that does not heed the request to stop is first told, then forced."""
        for job_id, asked in self._asked.items():
            steps = ((self._limits.terminate_after_s, signal.SIGTERM), (self._limits.kill_after_s, signal.SIGKILL))
            if asked.sent < len(steps) and time.monotonic() - asked.since >= steps[asked.sent][0]:
                self._workers[job_id].end(steps[asked.sent][1])
                asked.sent += 1

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        pause = 0.0
        while True:
            for key, _ in self._selector.select(pause):
                if key.fd == self._bell_out:
                    os.read(self._bell_out, 4096)
            with self.table.lock:
                if self.closing:
                    return
                try:
                    pause = self._round()
                except Exception:  # one job's trouble must not end the care for all others
                    log.exception("The supervision of runs met an error and goes on.")
                    pause = 1.0

    def _round(self) -> float:
        """One look at everything; returns for how many seconds nothing is due."""
        self._reap()
        self._escalate()
        if time.monotonic() >= self._sweep_due:
            self._sweep()
            self._sweep_due = time.monotonic() + min(_LONGEST_SLEEP_S, self._limits.lease_s / 4)
        self._dispatch()
        return max(_SHORTEST_SLEEP_S, min(self._due_times()))

    def _due_times(self) -> Iterator[float]:
        yield self._sweep_due - time.monotonic()
        standby = self._spawner.refill()
        if standby is not None:
            yield standby
        if any(worker.fd is None for worker in self._workers.values()):
            yield _BLIND_SLEEP_S
        for asked in self._asked.values():
            after = self._limits.terminate_after_s if asked.sent == 0 else self._limits.kill_after_s
            yield max(asked.since + after - time.monotonic(), _BLIND_SLEEP_S if asked.sent > 1 else 0.0)

    def _sweep(self) -> None:
        """Waiting jobs nobody follows, old jobs, full workspaces, stray folders."""
        for job in [self.table.jobs[key] for key in self.table.queue]:
            if not job.keep and self.table.folder(job).unwatched_s() > self._limits.lease_s:
                self.ask_stop(job, "left")
        for job in self._retention.too_old(self.table.all()):
            self._delete(job)
        for job in self._trim(self.table.all()):
            self.ask_stop(job, "space")
        for stray in self._retention.orphans(self.table.root, {self.table.folder(job).path for job in self.table.jobs.values()}):
            stray.delete()

    def _trim(self, jobs: list[Job]) -> list[Job]:
        """Delete finished jobs of full workspaces; returns the running ones to blame where that is not enough."""
        delete, blame = self._retention.over_size([(job, self.table.folder(job).path) for job in jobs])
        for job in delete:
            self._delete(job)
        return blame

    def _delete(self, job: Job) -> None:
        self._retention.forget(job)
        self.table.delete(job)

    def _ring(self) -> None:
        try:
            os.write(self._bell_in, b"!")
        except BlockingIOError:  # the pipe is full of rings already
            return

    def close(self) -> None:
        """End the thread and let go of everything; running workers go on."""
        with self.table.lock:
            if self.closing:
                return
            self.closing = True
            self._ring()
        self._thread.join()
        self._spawner.close()
        for worker in self._workers.values():
            worker.forget()
        self._selector.close()
        for handle in (self._bell_out, self._bell_in):
            os.close(handle)
        self.table.close()
