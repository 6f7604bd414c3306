"""The lock-step race: several optimisers on one task, every one a step further at each tick.

`race(config, inbox)` is a generator that runs inside a job and yields JSON-able events; the screen draws them as they come. All lanes of
a seed share initial weights and batch order (`race_lanes.py`), so whatever differs between two curves is the optimiser. A tick goes
through the seeds in turn and, within a seed, through the optimisers in the order asked for.

Fairness, and its limits: a tick is one step of each, not one second of each: L-BFGS and AdaHessian do more work in theirs, which the
seconds and the words moved show. The seconds of a lane are its own optimising alone, so that measuring and drawing favour nobody.
The configuration is described in `race_config.py`, units in `race_lanes.py`. No equation of the paper enters here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import torch

from models.shared.training import pick_device
from models.sofim import race_files
from models.sofim.arms import Arm
from models.sofim.race_config import Change, ConfigRefused, RaceConfig, check_runs_here, hyper_value, number, read
from models.sofim.race_lanes import Lane, Measured, Rows
from models.sofim.tasks import data_of

POINTS_EVERY_S, INSIDE_EVERY_S, TABLE_EVERY_S = 0.1, 0.2, 1.0  # about ten times a second the eye sees something move
PAUSE_NAP_S = 0.02


class Inbox(Protocol):
    """How the job talks to a running race: whether to stop, what was asked since the last look, where files go."""

    out: Path

    @property
    def stopping(self) -> bool: ...

    def poll(self) -> list[dict]: ...


class Race:
    """The state of one race; `run()` yields its events. Kept apart from the generator so that each move is a short function."""

    def __init__(self, config: RaceConfig, inbox: Inbox) -> None:
        self.config, self.inbox = config, inbox
        self.device = pick_device(config.device)
        self.data = data_of(config.task)
        self.rows = Rows.of(config.task, self.data.train, self.data.test, self.device)
        self.lanes = [self._lane(entry, seed) for seed in config.seeds for entry in config.entries]
        self.tick, self.paused, self.single, self.pace = 0, False, False, config.pace
        self.replay = list(config.changes)
        self.changes: list[Change] = []
        self.sent = dict.fromkeys((lane.id for lane in self.lanes), 0)
        self.told = dict.fromkeys(("points", "inside", "table"), time.monotonic())
        self.measured: dict[str, Measured] = {}

    def _lane(self, entry, seed: int) -> Lane:
        c = self.config
        return Lane(c.task, entry.id, entry.hyper, seed=seed, data=self.data, batch=c.batch, steps=c.steps, device=self.device)

    def run(self) -> Iterator[dict]:
        """All events from `meta` to `result`; a stop is seen at every tick."""
        yield self._meta()
        for lane in self.lanes:
            yield from self._measure(lane)
        while not self.inbox.stopping and any(not lane.done for lane in self.lanes):
            yield from self._listen()
            if self.paused and not self.single:
                time.sleep(PAUSE_NAP_S)
                yield from self._tell()
                continue
            started = time.monotonic()
            yield from self._advance()
            yield from self._tell(at_once=self.single)
            self.single = False
            self._keep_pace(started)
        yield from self._finish()

    def _meta(self) -> dict:
        c = self.config
        return {
            "kind": "meta",
            "task": c.task.id,
            "title": c.task.title,
            "arms": [_shown(self.lanes[i].arm, e.hyper) for i, e in enumerate(c.entries)],
            "steps": c.steps,
            "batch": c.batch,
            "seeds": list(c.seeds),
            "parameters": self.lanes[0].weights,
            "n_train": len(self.data.train.y),
            "n_test": len(self.data.test.y),
            "measured_rows": len(self.rows.test.y),
            "full_batch_rows": min(c.task.full_batch_rows, len(self.data.train.y)),
            "targets": dict(c.targets),
            "device": str(self.device),
            "threads": torch.get_num_threads(),
        }

    def _advance(self) -> Iterator[dict]:
        """One tick: replayed changes first, then one step of every lane that is still running."""
        for change in [change for change in self.replay if change.step == self.tick]:
            yield self._turn(change.arm, change.name, change.value)
        self.tick += 1
        for lane in self.lanes:
            if lane.done:
                continue
            lane.advance()
            if lane.diverged:
                yield {"kind": "diverged", "lane": lane.id, "step": lane.step, "why": lane.diverged}
            elif lane.done or lane.step % self.config.eval_every == 0:
                yield from self._measure(lane, whole=lane.done)
            yield from self._tell()  # by the clock: where one step takes long, the eye still sees the others move

    def _measure(self, lane: Lane, *, whole: bool = False) -> Iterator[dict]:
        now, fresh = lane.measure(self.rows, self.config.targets, whole=whole)
        self.measured[lane.id] = now
        for target in fresh:
            yield {"kind": "target", "lane": lane.id, "target": target, "step": now.step, "seconds": now.seconds, "words": now.words}

    def _listen(self) -> Iterator[dict]:
        for command in self.inbox.poll():
            try:
                yield from self._obey(command)
            except ConfigRefused as refused:
                yield {"kind": "refused", "why": str(refused)}

    def _obey(self, command: Mapping[str, object]) -> Iterator[dict]:
        match command.get("do"):
            case "pause" | "resume" as wanted:
                if self.paused != (wanted == "pause"):
                    self.paused = wanted == "pause"
                    yield {"kind": "state", "state": "paused" if self.paused else "running", "step": self.tick}
            case "step":
                self.single = True
            case "pace":
                self.pace = number(command.get("value"), "The pace", 0.0, 1000.0)
            case "set":
                arm, name = str(command.get("arm")), str(command.get("name"))
                if arm not in {entry.id for entry in self.config.entries}:
                    raise ConfigRefused(f"{arm!r} does not take part in this race, so nothing was changed.")
                yield self._turn(arm, name, hyper_value(arm, name, command.get("value")))
            case other:
                raise ConfigRefused(f"A race does not know the command {other!r}; it knows pause, resume, step, pace and set.")

    def _turn(self, arm: str, name: str, value: float) -> dict:
        lanes = [lane for lane in self.lanes if lane.arm.id == arm]
        if not all(lane.turn(name, value) for lane in lanes):
            raise ConfigRefused(f"{name} of {lanes[0].arm.label} is fixed once a race has begun; start a new one to change it.")
        self.changes.append(Change(self.tick, arm, name, value))
        return {"kind": "changed", "arm": arm, "name": name, "value": value, "step": self.tick}

    def _due(self, what: str, every_s: float, *, at_once: bool) -> bool:
        now = time.monotonic()
        if not at_once and now - self.told[what] < every_s:
            return False
        self.told[what] = now
        return True

    def _tell(self, *, at_once: bool = False) -> Iterator[dict]:
        """What has gathered since the last time, by the clock; nothing when there is nothing new."""
        if self._due("points", POINTS_EVERY_S, at_once=at_once):
            points = {lane.id: fresh for lane in self.lanes if (fresh := self._fresh_points(lane))["step"]}
            if points:
                yield {"kind": "points", "lanes": points}
            if self.measured:
                yield {"kind": "eval", "lanes": {lane_id: _plain(vars(now)) for lane_id, now in self.measured.items()}}
                self.measured = {}
        if not self.paused or at_once:
            if self._due("inside", INSIDE_EVERY_S, at_once=at_once) and (lanes := self._inside()):
                yield {"kind": "inside", "lanes": lanes}
            if self._due("table", TABLE_EVERY_S, at_once=at_once):
                yield {"kind": "table", "rows": race_files.table(self.lanes, self.config)}

    def _fresh_points(self, lane: Lane) -> dict[str, list[float]]:
        first, last = self.sent[lane.id], len(lane.curve["step"])
        self.sent[lane.id] = last
        return {name: values[first:last].tolist() for name, values in lane.curve.items()}

    def _inside(self) -> dict[str, dict[str, float]]:
        return {lane.id: _plain(lane.inside()) for lane in self.lanes if lane.has_inside and lane.step}

    def _keep_pace(self, started: float) -> None:
        until = started + min(1.0, 1 / self.pace) if self.pace else started
        while (left := until - time.monotonic()) > 0 and not self.inbox.stopping:
            time.sleep(min(PAUSE_NAP_S, left))

    def _finish(self) -> Iterator[dict]:
        stopped = self.inbox.stopping
        for lane in self.lanes:
            lane.close()
        yield from self._tell(at_once=True)
        files = race_files.write(self.inbox.out, self.lanes, self.config, self.changes)
        yield {"kind": "result", "stopped": stopped, "step": self.tick, "files": files}


def _plain(record: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no infinity: a number that is none any more, just before its lane leaves, becomes null."""
    return {name: value if math.isfinite(value) else None for name, value in record.items()}


def _shown(arm: Arm, hyper: Mapping[str, float]) -> dict:
    """What the screen needs to draw and name a competitor."""
    return {"id": arm.id, "label": arm.label, "colour": arm.colour, "note": arm.note, "hyper": dict(hyper)}


def race(config: Mapping[str, object], inbox: Inbox) -> Iterator[dict]:
    """Runs a race and yields its events (kinds: meta, points, eval, inside, target, diverged, changed, refused, state, table, result).

    Raises `ConfigRefused` for a configuration that cannot be raced and `DataNotHere` where the task's files are missing, both before the
    first event. The last event names the files written into `inbox.out`.
    """
    checked = read(config)
    check_runs_here(checked.task)
    torch.set_num_threads(checked.threads)
    yield from Race(checked, inbox).run()
