"""The server's side of long work, as the screen sees it: who may start what, and everything that can be asked of a job.

The jobs stand in `table.py`, are moved along by `supervision.py`, run in `worker.py`, and are kept as `folder.py` says.

Known limits: one manager per folder (a second is refused); limits of processor and memory are the host's affair.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.jobs.encoding import dumps
from workbench.jobs.processes import Spawner
from workbench.jobs.records import Job, JobNotFound, JobRefused, Page, new_id
from workbench.jobs.supervision import Limits, Supervisor

log = logging.getLogger("workbench.jobs")

ALLOWED_WORK = r"models(\.[a-z][a-z_0-9]*)+:[a-z][a-z_0-9]*|workbench\.zip_pictures:train"
_CONFIG_BYTES = 256_000
_COMMAND_BYTES = 64_000
_INBOX_BYTES = 4_000_000
_TITLE_LENGTH = 200


def _checked(value: Mapping[str, Any], limit: int, what: str) -> dict[str, Any]:
    """A copy that is plain JSON and not too large, or JobRefused."""
    try:
        text = dumps(dict(value))
    except (TypeError, ValueError, RecursionError) as fault:
        raise JobRefused(f"{what} hold something that cannot be sent; use numbers, texts and lists.") from fault
    if len(text) > limit:
        raise JobRefused(f"{what} are too large: {len(text)} bytes, and at most {limit} are allowed.")
    return json.loads(text)


class JobManager:
    """Starts, follows, stops and finds again. Every method may be called from any thread."""

    def __init__(
        self,
        root: Path,
        *,
        max_running: int = 2,
        max_queued: int = 16,
        per_owner: int = 4,
        workspace_bytes: int = 500_000_000,
        max_age_s: float = 7 * 86400,
        lease_s: float = 180,
        warm: bool = True,
        warm_delay_s: float = 2.0,
        ahead: Sequence[str] = ("torch",),
        terminate_after_s: float = 5.0,
        kill_after_s: float = 10.0,
        allow: str = ALLOWED_WORK,
        paths: Sequence[Path] = (),
    ) -> None:
        """Take charge of `root` and find again what an earlier server left there. JobRefused when another server has it.

        `per_owner` counts running and waiting jobs together. `warm` keeps one process waiting that has loaded the modules
        `ahead`; it is started `warm_delay_s` after the server and after each use, so as not to slow either down. `allow` is
        the pattern that a work's name must match as a whole; `paths` are further places that workers import from.
        """
        self._limits = Limits(max_running, max_queued, per_owner, workspace_bytes, max_age_s, lease_s, terminate_after_s, kill_after_s)
        self._allow = re.compile(allow)
        spawner = Spawner(paths=paths, ahead=ahead, warm=warm, delay_s=warm_delay_s)
        self._supervisor = Supervisor(Path(root), self._limits, spawner)
        self._table = self._supervisor.table

    def start(self, work: str, config: Mapping[str, Any], *, owner: str, title: str, keep: bool = False) -> Job:
        """Begin `work` ("models.sofim.race:race", a generator function of config and inbox), at once or when its turn comes.

        `keep` lets it go on when nobody follows. JobRefused says why not: queue full, owner's share used up, no space.
        """
        if not self._allow.fullmatch(work):
            raise JobRefused(f"“{work[:80]}” cannot be run here; choose one of the runs that the page offers.")
        config = _checked(config, _CONFIG_BYTES, "These settings")
        with self._table.lock:
            self._admit(owner)
            job = Job(new_id(), owner, str(title)[:_TITLE_LENGTH], work, config, bool(keep), "queued", time.time())
            try:
                return self._supervisor.add(job)
            except OSError as fault:
                log.exception("A job's folder could not be made.")
                raise JobRefused("The server could not store this run, most likely as its disk is full; try again later.") from fault

    def _admit(self, owner: str) -> None:
        if self._supervisor.closing:
            raise JobRefused("The server is closing; try again in a minute.")
        active = sum(not job.over for job in self._table.all(owner))
        if active >= self._limits.per_owner:
            raise JobRefused(f"You already have {active} runs going or waiting, which is the limit; stop one of them first.")
        _, queued = self._supervisor.counts()
        if queued >= self._limits.max_queued:
            raise JobRefused(f"The queue is full ({queued} runs are waiting); try again in a few minutes.")
        if not self._supervisor.make_room(owner):
            raise JobRefused("Your workspace is full with runs that are still going; stop one of them first.")
        if self._supervisor.disk_is_full():
            raise JobRefused("The server's disk is nearly full, so nothing new can be started; try again later or tell its keeper.")

    def events(self, job_id: str, after: int = 0, limit_bytes: int = 1_000_000) -> Page:
        """What happened since `after` (the cursor of the last page; 0 at first). Following renews the lease.

        JobNotFound for an id that is malformed, unknown or deleted, as from every method that takes one.
        """
        job = self.get(job_id)
        folder = self._table.folder(job)
        try:
            if not job.over:
                folder.renew()
            events, cursor, more = folder.read_events(after, limit_bytes)
        except FileNotFoundError:  # deleted between the two looks
            raise JobNotFound from None
        return Page(events, cursor, job, more)

    def get(self, job_id: str) -> Job:
        """The job as it stands now."""
        return self._table.job(job_id)

    def list(self, owner: str) -> list[Job]:
        """All jobs of an owner, the newest first."""
        return sorted(self._table.all(owner), key=lambda job: job.created, reverse=True)

    def result(self, job_id: str) -> dict[str, Path]:
        """Files of a finished result by name; empty while the job runs and when it left none. Never a half-written file.

        A stopped job has a result too when its work left files there (it is told to stop, and its clean-up runs first);
        one that had to be ended by force, or failed, has none.
        """
        job = self.get(job_id)
        return self._table.folder(job).result_files() if job.over else {}

    def send(self, job_id: str, command: Mapping[str, Any]) -> None:
        """Pass a command to the work; one that comes after the end is quietly dropped, as the sender could not know."""
        command = _checked(command, _COMMAND_BYTES, "This command's values")
        with self._table.lock:
            job = self.get(job_id)
            folder = self._table.folder(job)
            if job.over:
                return
            if folder.inbox.stat().st_size > _INBOX_BYTES:
                raise JobRefused("This run has been sent too many commands; start it again to change more.")
            folder.append_command(command)

    def stop(self, job_id: str) -> None:
        """Ask a job to stop. It ends at its next step; one that does not is ended after some seconds. Harmless when over."""
        self._supervisor.ask_stop(self.get(job_id), "asked")

    def release(self, owner: str) -> None:
        """The visitor is gone: stop all jobs of this owner that were not to be kept running."""
        self.release_jobs([job.id for job in self._table.all(owner)])

    def release_jobs(self, ids: Iterable[str]) -> None:
        """The same for single jobs; ids that are not known are passed over."""
        for job_id in ids:
            try:
                job = self.get(job_id)
            except JobNotFound:
                continue
            if not job.keep:
                self._supervisor.ask_stop(job, "left")

    def snapshot(self) -> dict[str, int]:
        """Counts for the health page."""
        running, queued = self._supervisor.counts()
        return {"running": running, "queued": queued, "max_running": self._limits.max_running}

    def close(self) -> None:
        """Stop looking after the jobs. Running ones go on by themselves; the next manager on this folder finds them again."""
        self._supervisor.close()
