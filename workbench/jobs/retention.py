"""How much is kept and for how long: each owner has so many bytes, each finished job so many days.

Only decides and measures; the supervisor deletes, because it knows what is in use.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from workbench.jobs.folder import JobFolder, tree_bytes
from workbench.jobs.records import Job

_MOST_KEPT = 200  # finished jobs of one owner, however small: each also costs the server some memory
_LEAST_FREE_BYTES = 100_000_000
_ORPHAN_AGE_S = 3600  # younger folders without a record may be jobs just being made


class Retention:
    """The rules of keeping. Sizes of finished jobs are measured once, as they no longer change."""

    def __init__(self, *, workspace_bytes: int, max_age_s: float) -> None:
        self._workspace_bytes = workspace_bytes
        self._max_age_s = max_age_s
        self._sizes: dict[str, int] = {}

    def _bytes(self, job: Job, folder: Path) -> int:
        if not job.over:
            return tree_bytes(folder)
        if job.id not in self._sizes:
            self._sizes[job.id] = tree_bytes(folder)
        return self._sizes[job.id]

    def too_old(self, jobs: Iterable[Job]) -> list[Job]:
        """Finished jobs past their age, and an owner's oldest when there are very many."""
        now = time.time()
        old = []
        counts: Counter[str] = Counter()
        for job in sorted((job for job in jobs if job.over), key=lambda job: job.created, reverse=True):
            counts[job.owner] += 1
            if counts[job.owner] > _MOST_KEPT or now - (job.ended or job.created) > self._max_age_s:
                old.append(job)
        return old

    @staticmethod
    def disk_is_full(root: Path) -> bool:
        """Whether so little is free that a new job would end in a full disk, and the server with it."""
        return shutil.disk_usage(root).free < _LEAST_FREE_BYTES

    def over_size(self, jobs: Iterable[tuple[Job, Path]]) -> tuple[list[Job], list[Job]]:
        """(finished jobs to delete, running jobs to stop) so that every owner is within the limit again.

        The oldest finished go first; only when deleting all of them is not enough is the largest running job stopped.
        """
        owners: dict[str, list[tuple[Job, int]]] = defaultdict(list)
        for job, folder in jobs:
            owners[job.owner].append((job, self._bytes(job, folder)))
        delete: list[Job] = []
        stop: list[Job] = []
        for sized in owners.values():
            excess = sum(size for _, size in sized) - self._workspace_bytes
            for job, size in sorted((item for item in sized if item[0].over), key=lambda item: item[0].created):
                if excess <= 0:
                    break
                delete.append(job)
                excess -= size
            running = [item for item in sized if item[0].state == "running"]
            if excess > 0 and running:
                stop.append(max(running, key=lambda item: item[1])[0])
        return delete, stop

    def forget(self, job: Job) -> None:
        """The job's folder is gone."""
        self._sizes.pop(job.id, None)

    @staticmethod
    def orphans(root: Path, known: set[Path]) -> list[JobFolder]:
        """Folders of jobs that never got a readable record, old enough not to be in the making."""
        now = time.time()
        found = []
        for path in root.glob("*/*"):
            if path in known or path.is_symlink() or not path.is_dir():
                continue
            if now - path.stat().st_mtime > _ORPHAN_AGE_S:
                found.append(JobFolder(path))
        return found
