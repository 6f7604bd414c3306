"""All jobs of one root folder, in memory and on disk: who is in charge of it, what is queued, how each job stands.

The table can be rebuilt from the folders at any time; nothing of a job lives in it only. Running jobs are read anew from
their folder each time, because their worker writes their end there.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

from workbench.jobs.folder import JobFolder, open_private
from workbench.jobs.records import STOP_SENTENCES, Job, JobNotFound, JobRefused, State, is_job_id

log = logging.getLogger("workbench.jobs")


def _claim(root: Path) -> int:
    """Take the root folder for this process; the system gives it back when the process ends, however it ends."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = open_private(str(root / "lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise JobRefused(
            f"Another server already looks after the runs in {root}; close it first, or give this one a folder of its own."
        ) from None
    return handle


class Table:
    """`lock` guards everything here; it may be taken again by the thread that holds it."""

    def __init__(self, root: Path) -> None:
        """Claim `root` (JobRefused when another server has it) and read all records in it."""
        self.lock = threading.RLock()
        self.root = root
        self.jobs: dict[str, Job] = {}
        self.queue: list[str] = []
        self._claim = _claim(root)
        for job in sorted(self._records(), key=lambda job: job.created):
            self.jobs[job.id] = job

    def _records(self) -> list[Job]:
        found = []
        for record in self.root.glob("*/*/job.json"):
            try:
                job = JobFolder(record.parent).load()
            except (OSError, ValueError):
                log.warning("The record in %s cannot be read and is passed over.", record.parent)
                continue
            if self.folder(job).path == record.parent:
                found.append(job)
        return found

    def folder(self, job: Job) -> JobFolder:
        """Where a job is kept. The owner's name is hashed: it may be anything, a path must not."""
        return JobFolder(self.root / hashlib.sha256(job.owner.encode()).hexdigest()[:32] / job.id)

    def job(self, job_id: object) -> Job:
        """The job as it stands now; JobNotFound for an id that is malformed, unknown or deleted."""
        with self.lock:
            if not is_job_id(job_id) or job_id not in self.jobs:
                raise JobNotFound
            return self._refreshed(self.jobs[job_id])

    def all(self, owner: str | None = None) -> list[Job]:
        """All jobs, or an owner's, as they stand now."""
        with self.lock:
            return [self._refreshed(job) for job in list(self.jobs.values()) if owner is None or job.owner == owner]

    def _refreshed(self, job: Job) -> Job:
        if job.state == "queued":
            return replace(job, place=self.queue.index(job.id) + 1)
        if job.state == "running":
            try:
                job = self.folder(job).load()
            except (OSError, ValueError):
                log.exception("The record of job %s could not be read; the last one known is used.", job.id)
            self.jobs[job.id] = job
        return job

    def enqueue(self, job: Job) -> None:
        """Put a job last in the queue, as waiting from now on."""
        self.jobs[job.id] = job
        self.queue.append(job.id)

    def put(self, job: Job) -> None:
        """Replace a record, in memory and on disk."""
        self.jobs[job.id] = replace(job, place=0)
        try:
            self.folder(job).save(job)
        except OSError:  # a full disk must not end the care for all others; the table still knows
            log.exception("The record of job %s could not be written.", job.id)

    def end(self, job: Job, state: State, error: str) -> None:
        """Record the end of a job whose worker did not; one that had been asked to stop counts as stopped."""
        folder = self.folder(job)
        folder.discard_partial()
        reason = folder.stop_reason()
        if reason is not None:
            state, error = "stopped", STOP_SENTENCES[reason]
        self.put(replace(job, state=state, error=error, ended=time.time()))

    def delete(self, job: Job) -> None:
        """Forget a job that is over, with all its files."""
        del self.jobs[job.id]
        self.folder(job).delete()

    def close(self) -> None:
        """Give the root folder back."""
        os.close(self._claim)
