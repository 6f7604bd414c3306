"""One job's folder on disk: the only file that knows how its contents are named and written.

    job.json        the record, replaced atomically. The manager writes it until the worker has the job, then only the worker
                    does, and the manager again once that process is gone: never two writers at a time.
    events.jsonl    append only, one event a line          inbox.jsonl   append only, one command a line
    stop            there when the job was asked to stop; holds why
    lease           its modification time is when somebody last followed the job
    result.partial/ being written                          result/       finished, moved into place in one step
    worker.log      what the work printed, and tracebacks

Files are readable by the server's own user only (0600, folders 0700).
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.jobs.encoding import MAX_LINE_BYTES, dumps, read_lines
from workbench.jobs.records import STOP_SENTENCES, Job

UNFINISHED_SUFFIXES = (".partial", ".tmp", ".part")
_PRIVATE = 0o600


def open_private(path: str, flags: int) -> int:
    """For `open(opener=…)`: whatever is created is readable by this user only."""
    return os.open(path, flags, _PRIVATE)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def tree_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, links not followed; what vanishes meanwhile counts nothing."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(base, name)).st_size
            except FileNotFoundError:
                continue
    return total


@dataclass(frozen=True)
class JobFolder:
    """The folder of one job, existing or not."""

    path: Path

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def inbox(self) -> Path:
        return self.path / "inbox.jsonl"

    @property
    def stop(self) -> Path:
        return self.path / "stop"

    @property
    def lease(self) -> Path:
        return self.path / "lease"

    @property
    def log(self) -> Path:
        return self.path / "worker.log"

    @property
    def result(self) -> Path:
        return self.path / "result"

    @property
    def partial(self) -> Path:
        return self.path / "result.partial"

    # -- the record ---------------------------------------------------------------------------------------------------

    def create(self, job: Job) -> None:
        """Make the folder with its empty files and first record."""
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self.path.mkdir(mode=0o700)
        for file in (self.events, self.inbox, self.lease):
            os.close(open_private(str(file), os.O_CREAT | os.O_WRONLY))
        self.save(job)

    def save(self, job: Job) -> None:
        """Replace job.json in one step: a reader, or a server killed now, finds the old record or the new, never half."""
        fresh = self.path / "job.json.tmp"
        with open(fresh, "w", opener=open_private) as file:
            file.write(dumps(job.as_dict()))
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.path / "job.json")

    def load(self) -> Job:
        """The record on disk. FileNotFoundError when there is none, ValueError when it is not one of ours."""
        record = json.loads((self.path / "job.json").read_text())
        if not isinstance(record, dict):
            raise ValueError("not a job record: no JSON object")
        return Job.from_dict(record)

    # -- events and commands ------------------------------------------------------------------------------------------

    def read_events(self, after: int, limit_bytes: int) -> tuple[list[dict[str, Any]], int, bool]:
        """(events, next cursor, whether more are waiting) from byte `after`.

        Only whole lines: an unfinished last one waits for its end. A first line longer than the limit is still delivered,
        or nobody would ever get past it. A cursor inside a line moves on to the next line.
        """
        limit = min(max(int(limit_bytes), 1), 16 * MAX_LINE_BYTES)
        with open(self.events, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = min(max(int(after), 0), size)
            file.seek(max(start - 1, 0))
            if start and file.read(1) != b"\n":
                start += len(file.readline(MAX_LINE_BYTES))
            block = file.read(min(limit, size - start) if size > start else 0)
            if block and b"\n" not in block:
                block += file.readline(MAX_LINE_BYTES)
            block = block[: block.rfind(b"\n") + 1]
            file.seek(start + len(block))
            more = b"\n" in file.read(MAX_LINE_BYTES)
        return read_lines(block), start + len(block), more

    def append_command(self, command: dict[str, Any]) -> None:
        """Add one command for the work to pick up; written in one go, so that the reader never sees two mixed."""
        with open(self.inbox, "ab", opener=open_private) as file:
            file.write(dumps(command).encode() + b"\n")

    def ask_stop(self, why: str) -> None:
        """Ask the worker to stop; the first reason given is the one kept."""
        try:
            handle = os.open(self.stop, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE)
        except FileExistsError:
            return
        with os.fdopen(handle, "w") as file:
            file.write(why)

    def stop_reason(self) -> str | None:
        """Why the job was asked to stop, or None when it was not."""
        try:
            why = self.stop.read_text()
        except FileNotFoundError:
            return None
        return why if why in STOP_SENTENCES else "asked"

    # -- the lease ----------------------------------------------------------------------------------------------------

    def renew(self) -> None:
        """Somebody is following: start the lease anew."""
        self.lease.touch(mode=_PRIVATE)

    def unwatched_s(self) -> float:
        """Seconds since somebody last followed."""
        return time.time() - os.stat(self.lease).st_mtime

    # -- the result ---------------------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Move what was written to result.partial into place as result/, in one step; nothing when it is empty.

        Files named as unfinished (.partial, .part, .tmp) are dropped first. Contents reach the disk before the name does,
        so that not even a power cut shows a half-written result.
        """
        for base, _, names in os.walk(self.partial):
            for name in names:
                file = Path(base, name)
                if name.endswith(UNFINISHED_SUFFIXES):
                    file.unlink()
                elif not file.is_symlink():
                    with open(file, "rb") as handle:
                        os.fsync(handle.fileno())
        if not self.partial.is_dir():
            return
        if not any(self.partial.iterdir()):
            self.partial.rmdir()
            return
        os.replace(self.partial, self.result)
        _sync_folder(self.path)

    def discard_partial(self) -> None:
        """Delete an unfinished result."""
        shutil.rmtree(self.partial, ignore_errors=True)

    def result_files(self) -> dict[str, Path]:
        """Finished result files by their name inside result/ (with / between folders), sorted; links are left out."""
        if not self.result.is_dir():
            return {}
        files = sorted(file for file in self.result.rglob("*") if file.is_file() and not file.is_symlink())
        return {file.relative_to(self.result).as_posix(): file for file in files}

    def delete(self) -> None:
        """Remove the folder and all in it."""
        shutil.rmtree(self.path, ignore_errors=True)
