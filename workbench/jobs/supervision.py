"""The table of jobs and the one thread that moves them along: queue, workers, leases, deadlines, keeping.

Nothing of a job lives only in this table: it is rebuilt from the folders when the server starts. The thread sleeps until a
worker's end or the next deadline; where the system cannot announce ends (no pidfd) it looks four times a second.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import selectors
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.jobs.folder import JobFolder, open_private
from workbench.jobs.processes import Spawner, Worker
from workbench.jobs.records import CRASHED, INTERRUPTED, STOP_SENTENCES, Job, JobNotFound, JobRefused, Orders, State, is_job_id
from workbench.jobs.retention import Retention

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
    """Holds the table. `lock` guards it; methods whose name starts with an underscore expect it to be held."""

    def __init__(self, root: Path, limits: Limits, spawner: Spawner) -> None:
        self.lock = threading.RLock()
        self._root = root
        self._limits = limits
        self._spawner = spawner
        self._claim = self._claim_root()
        self._retention = Retention(workspace_bytes=limits.workspace_bytes, max_age_s=limits.max_age_s)
        self._jobs: dict[str, Job] = {}
        self._queue: list[str] = []
        self._workers: dict[str, Worker] = {}
        self._asked: dict[str, _Asked] = {}
        self._sweep_due = 0.0
        self.closing = False
        self._bell_out, self._bell_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell_out, selectors.EVENT_READ)
        self._find_again()
        self._thread = threading.Thread(target=self._supervise, name="jobs", daemon=True)
        self._thread.start()

    def _claim_root(self) -> int:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = open_private(str(self._root / "lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise JobRefused(
                f"Another server already looks after the runs in {self._root}; close it first, or give this one a folder of its own."
            ) from None
        return handle

    # -- the table ----------------------------------------------------------------------------------------------------

    def folder(self, job: Job) -> JobFolder:
        """Where a job is kept. The owner's name is hashed: it may be anything, a path must not."""
        return JobFolder(self._root / hashlib.sha256(job.owner.encode()).hexdigest()[:32] / job.id)

    def job(self, job_id: object) -> Job:
        """The job as it stands now; JobNotFound for an id that is malformed, unknown or deleted."""
        with self.lock:
            if not is_job_id(job_id) or job_id not in self._jobs:
                raise JobNotFound
            return self._refreshed(self._jobs[job_id])

    def jobs_of(self, owner: str) -> list[Job]:
        """An owner's jobs as they stand now."""
        with self.lock:
            return [self._refreshed(job) for job in list(self._jobs.values()) if job.owner == owner]

    def counts(self) -> tuple[int, int]:
        """(running, queued)."""
        with self.lock:
            return len(self._workers), len(self._queue)

    def _refreshed(self, job: Job) -> Job:
        """Take over what a worker has written since, and say the place in the queue."""
        if job.state == "queued":
            return replace(job, place=self._queue.index(job.id) + 1)
        if job.state == "running":
            job = self._on_disk(job)
            self._jobs[job.id] = job
        return job

    def _on_disk(self, job: Job) -> Job:
        try:
            return self.folder(job).load()
        except (OSError, ValueError):
            log.exception("The record of job %s could not be read; the last one known is used.", job.id)
            return job

    def _put(self, job: Job) -> None:
        self._jobs[job.id] = job
        try:
            self.folder(job).save(job)
        except OSError:  # a full disk must not stop the supervision of all others; the table still knows
            log.exception("The record of job %s could not be written.", job.id)

    def _end(self, job: Job, state: State, error: str) -> None:
        """Record an end that no worker could record."""
        self.folder(job).discard_partial()
        self._put(replace(job, state=state, error=error, ended=time.time()))

    # -- what the manager asks for ------------------------------------------------------------------------------------

    def add(self, job: Job) -> Job:
        """Queue a new job and start it at once if there is room; OSError when its folder cannot be made."""
        with self.lock:
            folder = self.folder(job)
            try:
                folder.create(job)
            except OSError:
                folder.delete()
                raise
            self._jobs[job.id] = job
            self._queue.append(job.id)
            self._dispatch()
            self._ring()
            return self._refreshed(self._jobs[job.id])

    def ask_stop(self, job: Job, why: str) -> None:
        """Take a waiting job out of the queue, or ask a running one to end; nothing when it is over."""
        with self.lock:
            if job.id not in self._jobs:
                return
            job = self._refreshed(self._jobs[job.id])
            if job.state == "queued":
                self._queue.remove(job.id)
                self._end(replace(job, place=0), "stopped", STOP_SENTENCES[why])
            elif job.state == "running":
                self.folder(job).ask_stop(why)
                self._asked.setdefault(job.id, _Asked(time.monotonic()))
                self._ring()

    def make_room(self, owner: str) -> bool:
        """Delete an owner's oldest finished jobs until the workspace fits; False when that is not enough."""
        with self.lock:
            delete, over = self._retention.over_size([(job, self.folder(job).path) for job in self.jobs_of(owner)])
            for job in delete:
                self._delete(job)
            return not over

    def disk_is_full(self) -> bool:
        """Whether no job should be started until somebody has made room on the machine."""
        return self._retention.disk_is_full(self._root)

    def _delete(self, job: Job) -> None:
        del self._jobs[job.id]
        self._retention.forget(job)
        self.folder(job).delete()

    # -- starting and ending workers ----------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        while self._queue and len(self._workers) < self._limits.max_running and not self.closing:
            self._launch(self._jobs[self._queue.pop(0)])

    def _launch(self, job: Job) -> None:
        limits = self._limits
        lease_s = None if job.keep else limits.lease_s
        folder = self.folder(job)
        orders = Orders(str(folder.path.resolve()), lease_s, limits.terminate_after_s, limits.kill_after_s, limits.workspace_bytes)
        try:
            folder.renew()
            worker = self._spawner.take()
        except OSError:
            log.exception("No worker could be started for job %s.", job.id)
            self._end(job, "failed", "The server could not start this run, as it is short of memory or disk; try again later.")
            return
        # The record goes first: from the hand-over on, only the worker writes it.
        self._put(replace(job, state="running", started=time.time(), pid=worker.pid, born=worker.born))
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
            job = self._jobs.get(job_id)  # None when it was over, and deleted before its process was gone
            if job is not None and not (job := self._refreshed(job)).over:
                self._end_unrecorded(job, "failed", CRASHED)

    def _end_unrecorded(self, job: Job, state: State, error: str) -> None:
        reason = self.folder(job).stop_reason()
        if reason is None:
            self._end(job, state, error)
        else:
            self._end(job, "stopped", STOP_SENTENCES[reason])

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
            with self.lock:
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
        for job in [self._jobs[key] for key in self._queue]:
            if not job.keep and self.folder(job).unwatched_s() > self._limits.lease_s:
                self.ask_stop(job, "left")
        for job in self._retention.too_old(list(self._jobs.values())):
            self._delete(job)
        jobs = [self._refreshed(job) for job in list(self._jobs.values())]
        delete, stop = self._retention.over_size([(job, self.folder(job).path) for job in jobs])
        for job in delete:
            self._delete(job)
        for job in stop:
            self.ask_stop(job, "space")
        for stray in self._retention.orphans(self._root, {self.folder(job).path for job in self._jobs.values()}):
            stray.delete()

    def _ring(self) -> None:
        try:
            os.write(self._bell_in, b"!")
        except BlockingIOError:  # the pipe is full of rings already
            return

    # -- beginning and end --------------------------------------------------------------------------------------------

    def _find_again(self) -> None:
        """Rebuild the table from the folders: follow what still runs, queue what waited, close what was cut off."""
        found = []
        for record in self._root.glob("*/*/job.json"):
            try:
                job = JobFolder(record.parent).load()
            except (OSError, ValueError):
                log.warning("The record in %s cannot be read and is passed over.", record.parent)
                continue
            if self.folder(job).path == record.parent:
                found.append(job)
        for job in sorted(found, key=lambda job: job.created):
            self._jobs[job.id] = job
            if job.state == "queued":
                self._queue_again(job)
            elif job.state == "running":
                self._follow_again(job)

    def _queue_again(self, job: Job) -> None:
        self.folder(job).renew()
        self._queue.append(job.id)

    def _follow_again(self, job: Job) -> None:
        worker = Worker.find(job)
        if worker is not None:
            self._watch(job.id, worker)
            if self.folder(job).stop_reason() is not None:
                self._asked[job.id] = _Asked(time.monotonic())
            return
        job = self._on_disk(job)  # its end may have been written since the record was read
        self._jobs[job.id] = job
        if job.over:
            return
        if self.folder(job).log.exists():
            self._end_unrecorded(job, "interrupted", INTERRUPTED)
        else:  # the server was killed before the worker had its orders, so nothing was begun
            self._put(replace(job, state="queued", started=None, pid=0, born=0.0))
            self._queue_again(job)

    def close(self) -> None:
        """End the thread and let go of everything; running workers go on."""
        with self.lock:
            if self.closing:
                return
            self.closing = True
            self._ring()
        self._thread.join()
        self._spawner.close()
        for worker in self._workers.values():
            worker.forget()
        self._selector.close()
        for handle in (self._bell_out, self._bell_in, self._claim):
            os.close(handle)
