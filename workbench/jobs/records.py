"""What a job is: the record that is shown, kept on disk and found again, and the two ways of saying no.

Plain data only. `folder.py` puts it on disk, `worker.py` ends it, `manager.py` moves it along.
"""

from __future__ import annotations

import dataclasses
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["queued", "running", "done", "stopped", "failed", "interrupted"]
OVER: frozenset[str] = frozenset({"done", "stopped", "failed", "interrupted"})
STATES: frozenset[str] = OVER | {"queued", "running"}

# token_urlsafe(16) is always 22 characters of this alphabet: nothing else ever becomes part of a path
_ID = re.compile(r"[A-Za-z0-9_-]{22}")

# Why a running job was asked to stop -> the sentence kept in its record. "asked": the person knows why.
STOP_SENTENCES: Mapping[str, str] = {
    "asked": "",
    "left": "Stopped because nobody was watching any more; start it again with “keep running” to let it go on alone.",
    "space": "Stopped because this workspace is full; delete earlier runs, or start a smaller one.",
}
CRASHED = "The run ended unexpectedly, most often because memory ran out; try a smaller setting."
INTERRUPTED = "The server was restarted while this ran, and the run ended with it; start it again."


class JobRefused(ValueError):
    """A job or command was not accepted; the text is the sentence people see."""


class JobNotFound(LookupError):
    """No job has this id (malformed, unknown or deleted: the answer is the same); the text is the sentence people see."""

    def __init__(self) -> None:
        super().__init__("This run is not here: it was deleted, or the link is incomplete. Start it again, or choose one from the list.")


@dataclass(frozen=True)
class Job:
    """One piece of long work as it stands at this moment.

    `created`, `started`, `ended` are seconds since 1970, None when not yet. `place` counts from 1 in the queue and is 0
    outside it. `error` is a sentence for people, or "". `pid` and `born` (start time of the process) name the worker.
    """

    id: str
    owner: str
    title: str
    work: str
    config: dict[str, Any] = field(repr=False)
    keep: bool
    state: State
    created: float
    place: int = 0
    started: float | None = None
    ended: float | None = None
    error: str = ""
    pid: int = 0
    born: float = 0.0

    @property
    def over(self) -> bool:
        """True once nothing more will happen."""
        return self.state in OVER

    def as_dict(self) -> dict[str, Any]:
        """The record as kept in job.json (the place in the queue is worked out anew each time)."""
        record = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        del record["place"]
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Job:
        """The inverse of `as_dict`; ValueError when the record is not one of ours."""
        try:
            job = cls(**record)
        except TypeError as fault:
            raise ValueError(f"not a job record: {fault}") from fault
        texts = (job.owner, job.title, job.work, job.error)
        if not is_job_id(job.id) or job.state not in STATES or not all(isinstance(text, str) for text in texts):
            raise ValueError("not a job record: id, state or a text is wrong")
        if not isinstance(job.config, dict) or not all(isinstance(number, int | float) for number in (job.created, job.pid, job.born)):
            raise ValueError("not a job record: the settings or a number is wrong")
        return job


@dataclass(frozen=True)
class Page:
    """New events since a cursor. `cursor` (bytes into events.jsonl) is what to ask with next time.

    `more` says that whole lines beyond the limit are waiting. `job` was read before the events were, so once
    `finished` is True nothing was missed and no further asking is needed.
    """

    events: list[dict[str, Any]]
    cursor: int
    job: Job
    more: bool = False

    @property
    def finished(self) -> bool:
        """True when the job is over and all its events were delivered."""
        return self.job.over and not self.more


@dataclass(frozen=True)
class Orders:
    """What the manager tells a waiting worker. `lease_s` None: go on though nobody follows."""

    folder: str
    lease_s: float | None
    terminate_after_s: float
    kill_after_s: float
    file_bytes: int

    def line(self) -> bytes:
        return json.dumps(dataclasses.asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Orders:
        return cls(**json.loads(line))


def new_id() -> str:
    """A job id that cannot be guessed (128 random bits)."""
    return secrets.token_urlsafe(16)


def is_job_id(text: object) -> bool:
    """Whether this could be a job id at all; checked before any path is built."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None
