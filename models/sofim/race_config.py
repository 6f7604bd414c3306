"""What a race is asked to do, read and checked at the border.

A configuration arrives as plain JSON from the screen, the command line or a generated program; here it becomes a frozen record or is
refused with one sentence. The keys, all but `task` and `arms` optional:
`task` (id), `arms` (list of `{"id": …, hyper-parameter: value …}`), `batch` (rows), `steps`, `seeds` (whole numbers), `targets`
(`train_loss`, `test_loss` in nats, `test_accuracy` as a share; null leaves one out), `eval_every` (steps), `device`, `threads`,
`pace` (at most so many ticks per second; 0 = as fast as it goes), `changes` (`{"step", "arm", "name", "value"}`: replays what was turned
while an earlier race ran, so that its numbers come out again). The task `own_table`, and no other, needs `table` (a file) and `label` (the
name of one of its columns); what is written out of a configuration gives the file's name alone, never the folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.sofim.arms import ARMS
from models.sofim.tasks import OWN_TABLE, TASKS, Task, availability, own_table

TARGETS = ("train_loss", "test_loss", "test_accuracy")
KEYS = ("task", "arms", "batch", "steps", "seeds", "targets", "eval_every", "device", "threads", "pace", "changes", "table", "label")
MOST_STEPS, MOST_SEEDS, MOST_BATCH = 20_000, 10, 4096
MOST_CHANGES = 1000
MOST_LANE_STEPS = 300_000  # every point of every lane is kept and written: about 50 MB of table at this length
IN_ZERO_ONE = ("beta", "beta1", "beta2", "momentum")  # memories: 0 forgets at once, 1 never takes anything in
WHOLE = {"history": 100, "columns": 100, "refresh": 1000}  # counted knobs and their upper ends, which keep memory in bounds


class ConfigRefused(ValueError):
    """Raised for a configuration that cannot be raced; its text is the sentence people see."""


@dataclass(frozen=True)
class Entry:
    """One competitor: an arm and the hyper-parameters that differ from its defaults."""

    id: str
    hyper: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A hyper-parameter turned in flight, after every lane had taken `step` steps."""

    step: int
    arm: str
    name: str
    value: float


@dataclass(frozen=True)
class RaceConfig:
    """A checked configuration; see the module's docstring for the meaning and the unit of each field."""

    task: Task
    entries: tuple[Entry, ...]
    batch: int
    steps: int
    seeds: tuple[int, ...]
    targets: Mapping[str, float]
    eval_every: int
    device: str = "auto"
    threads: int = 1
    pace: float = 0.0
    changes: tuple[Change, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """The JSON form again, complete: `read(config.as_dict()) == config`, for an own table in the folder where that lies."""
        table = self.task.table
        return {
            "task": self.task.id,
            **({"table": table.path.name, "label": table.label} if table else {}),
            "arms": [{"id": entry.id, **entry.hyper} for entry in self.entries],
            "batch": self.batch,
            "steps": self.steps,
            "seeds": list(self.seeds),
            "targets": dict(self.targets),
            "eval_every": self.eval_every,
            "device": self.device,
            "threads": self.threads,
            "pace": self.pace,
            "changes": [vars(change).copy() for change in self.changes],
        }


def _plain_number(value: object) -> bool:
    # Beyond 1e300 a whole number no longer fits a float, and nothing here is that large.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300  # not true of NaN either


def task_of(name: object) -> Task:
    """The task of that id, or the sentence that names those there are."""
    if not isinstance(name, str) or name not in TASKS:
        raise ConfigRefused(f"There is no task called {str(name)[:40]!r}; choose one of {', '.join(TASKS)}.")
    return TASKS[name]


def _task(config: Mapping[str, object]) -> Task:
    """The task that the configuration asks for; a table of one's own is read here, and refused with a sentence where it cannot be used."""
    if config.get("task") != OWN_TABLE:
        if "table" in config or "label" in config:
            raise ConfigRefused(f"A table and its label belong to the task {OWN_TABLE} alone; leave them out, or choose that task.")
        return task_of(config.get("task"))
    table, label = config.get("table"), config.get("label")
    if not isinstance(table, str) or not table or "\0" in table:
        raise ConfigRefused("This task needs a table of your own; give the file as table and the name of one of its columns as label.")
    if not isinstance(label, str) or not label:
        raise ConfigRefused("Choose which column of your table is the label.")
    return own_table(table, label)


def check_runs_here(task: Task) -> None:
    """Refuses a task whose data is here but not its GPU; absent data is said by the data set itself, with the place it belongs."""
    from models.shared import data

    status = availability(task)
    if not status.here and data.is_here(task.dataset):
        raise ConfigRefused(status.reason)


def number(value: object, name: str, low: float, high: float, *, whole: bool = False) -> float:
    """A finite number within [low, high] (a whole one if asked), or the sentence that says what was wrong."""
    kind = "a whole number" if whole else "a number"
    if not _plain_number(value) or (whole and value != int(value)):
        raise ConfigRefused(f"{name} must be {kind}, but it is {'empty' if value is None else repr(str(value)[:40])}.")
    if not low <= value <= high:
        raise ConfigRefused(f"{name} must lie between {low:g} and {high:g}, but it is {value:g}.")
    return int(value) if whole else float(value)


def _checked(arm_id: str, name: str, value: object) -> float:
    """The value within its range; the sentence of a refusal begins with the name that programs use."""
    arm = ARMS[arm_id]
    if name in WHOLE:
        return float(number(value, f"{name} of {arm.label}", 1, WHOLE[name], whole=True))
    checked = number(value, f"{name} of {arm.label}", 0.0, 1e6)
    if name in IN_ZERO_ONE and checked >= 1:
        raise ConfigRefused(f"{name} of {arm.label} must be at least 0 and below 1, but it is {checked:g}.")
    if name in ("lr", "rho") and checked == 0:
        raise ConfigRefused(f"{name} of {arm.label} must be above 0.")
    return checked


def hyper_value(arm_id: str, name: str, value: object) -> float:
    """A hyper-parameter of an arm, checked for its name and its range; a refusal also says what the setting is called on the page."""
    arm = ARMS[arm_id]
    known = [hyper.name for hyper in arm.hypers]
    if name not in known:
        raise ConfigRefused(f"{arm.label} has no setting called {str(name)[:40]!r}; it has {', '.join(known)}.")
    label = next(hyper.label for hyper in arm.hypers if hyper.name == name)
    try:
        return _checked(arm_id, name, value)
    except ConfigRefused as refused:
        raise ConfigRefused(f"{str(refused).removesuffix('.')} (on the page: {label}).") from None


def _entries(listed: object, task: Task) -> tuple[Entry, ...]:
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        raise ConfigRefused("Choose at least one optimiser to race.")
    entries: dict[str, Entry] = {}
    for item in listed:
        given = dict(item) if isinstance(item, Mapping) else {"id": item}
        arm_id = given.pop("id", None)
        if not isinstance(arm_id, str) or arm_id not in ARMS:
            raise ConfigRefused(f"There is no optimiser called {str(arm_id)[:40]!r}; choose among {', '.join(ARMS)}.")
        if arm_id in entries:
            raise ConfigRefused(f"{ARMS[arm_id].label} is in the race twice; each optimiser can run once.")
        if arm_id in task.without:
            raise ConfigRefused(f"{ARMS[arm_id].label} cannot run on this task: {task.without[arm_id]}.")
        entries[arm_id] = Entry(arm_id, {name: hyper_value(arm_id, name, value) for name, value in given.items()})
    return tuple(entries.values())


def _seeds(listed: object) -> tuple[int, ...]:
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not 1 <= len(listed) <= MOST_SEEDS:
        raise ConfigRefused(f"Seeds must be a list of 1 to {MOST_SEEDS} whole numbers.")
    seeds = tuple(number(seed, "A seed", 0, 2**31 - 1, whole=True) for seed in listed)
    if len(set(seeds)) < len(seeds):
        raise ConfigRefused("Each seed may be listed once: a repeated one would run the same race again.")
    return seeds


def _targets(given: object) -> dict[str, float]:
    if not isinstance(given, Mapping):
        raise ConfigRefused("Targets must be given by name, such as test_accuracy: 0.95.")
    unknown = [name for name in given if name not in TARGETS]
    if unknown:
        raise ConfigRefused(f"There is no target called {unknown[0]!r}; the targets are {', '.join(TARGETS)}.")
    highest = {"train_loss": 1e3, "test_loss": 1e3, "test_accuracy": 1.0}
    return {name: number(value, f"The target {name}", 0.0, highest[name]) for name, value in given.items() if value is not None}


def _changes(listed: object, entries: tuple[Entry, ...]) -> tuple[Change, ...]:
    if not isinstance(listed, Sequence) or isinstance(listed, str) or len(listed) > MOST_CHANGES:
        raise ConfigRefused(f"Recorded changes must be a list of at most {MOST_CHANGES}.")
    racing = {entry.id for entry in entries}
    changes = []
    for item in listed:
        if not isinstance(item, Mapping) or str(item.get("arm")) not in racing:
            raise ConfigRefused("A recorded change must name an optimiser that takes part in the race.")
        step = number(item.get("step"), "The step of a change", 0, MOST_STEPS, whole=True)
        value = hyper_value(item["arm"], str(item.get("name")), item.get("value"))
        changes.append(Change(step, item["arm"], str(item["name"]), value))
    return tuple(changes)


def read(config: Mapping[str, object]) -> RaceConfig:
    """The checked record; `ConfigRefused` (or DataDamaged, for an own table) with one sentence for anything that cannot be raced."""
    unknown = [key for key in config if key not in KEYS]
    if unknown:
        raise ConfigRefused(f"A race has no setting called {unknown[0]!r}; the settings are {', '.join(KEYS)}.")
    task = _task(config)
    entries = _entries(config.get("arms"), task)
    seeds = _seeds(config.get("seeds", [0]))
    steps = number(config.get("steps", task.steps), "Steps", 1, MOST_STEPS, whole=True)
    if steps * len(entries) * len(seeds) > MOST_LANE_STEPS:
        raise ConfigRefused(
            f"{steps} steps for {len(entries)} optimisers and {len(seeds)} seeds is more than {MOST_LANE_STEPS:,} in all; "
            "ask for fewer steps, optimisers or seeds."
        )
    return RaceConfig(
        task=task,
        entries=entries,
        batch=number(config.get("batch", task.batch), "The batch size", 1, MOST_BATCH, whole=True),
        steps=steps,
        seeds=seeds,
        targets=_targets(config.get("targets", task.targets)),
        eval_every=number(config.get("eval_every", task.eval_every), "Steps between evaluations", 1, MOST_STEPS, whole=True),
        device=str(config.get("device", "auto")),
        threads=number(config.get("threads", 1), "Threads", 1, 64, whole=True),
        pace=number(config.get("pace", 0.0), "The pace", 0.0, 1000.0),
        changes=_changes(config.get("changes", ()), entries),
    )
