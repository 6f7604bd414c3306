"""A training on a user's own pictures, of which few keep their masks: held-out numbers of each arm, and weights to use in Explore.

`train_own(config, inbox, decode)` is a generator that runs inside a job and yields JSON-able events:
- `meta`: how many pictures train, keep their mask and test, arms, steps of one training, names of the measures, notes;
- `points`: fresh means of the training that is going (`arm`; lists `step` and the names of `training.LOGGED`), `left_s` seconds to go;
- `scores`: held-out numbers of the arms that are done, each with its interval and n;
- `result`: the files left in `inbox.out`, the scores, whether it was stopped. The arms that were done are kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from models.semsim.network import SemSim
from models.semsim.own_data import TASK, OwnConfig, OwnPictures, load_pictures, read_config
from models.semsim.plan import ARMS, OWN, Arm
from models.semsim.study import Found, measure
from models.semsim.study_data import to_bytes
from models.semsim.study_report import Cell, cell_metrics, gains, metric_name, verdict
from models.semsim.training import Log, answers, build, fit
from models.semsim.weights import MASKS, PICTURES, level_key, task_facts
from models.shared.checkpoints import Card, DatasetUse, Metric, save
from models.shared.device import hardware, pick_device
from models.shared.packing import lay_in, pack

if TYPE_CHECKING:
    from models.shared.data.folders import Decoder

FILES = {"weights": "semsim.safetensors", "card": "semsim.json"}
TELL_EVERY = 10
MEASURES = {"dice": "Overlap (Dice)", "hd95": "Outline's distance, 95th percentile", "missed": "Lesions missed"}
"""Held-out numbers that a board shows, in plain words; others are in the card."""
NOTE = (
    "Numbers are those of pictures that training never saw, nor near copies of them. Pictures of one patient under several files are not recognised as "
    "such, so numbers on new patients may be lower. Distances are in pixels of the trained size. The file holds the pictures that kept their masks, small, for "
    "their prototypes."
)


class Inbox(Protocol):
    """How the job talks to a running training: whether to stop, and where files go."""

    out: Path

    @property
    def stopping(self) -> bool: ...


class OwnTraining:
    """One piece of work, kept apart from the generator so that each move is a short function."""

    def __init__(self, config: OwnConfig, inbox: Inbox, pictures: OwnPictures, device: str) -> None:
        self.config, self.inbox, self.pictures, self.device = config, inbox, pictures, device
        self.task = pictures.task
        self.done, self.began = 0, time.perf_counter()
        self.cells: dict[str, Cell] = {}
        self.metrics: dict[str, dict[str, Metric]] = {}
        self.nets: dict[str, SemSim] = {}

    def events(self) -> Iterator[dict]:
        """All events from `meta` to `result`."""
        yield self._meta()
        for name in self.task.arms:
            net = yield from self._train(ARMS[name])
            if net is None:
                break
            self.nets[name] = net
            yield {"kind": "scores", "arms": self._scores(), "gains": self._gains(), "left_s": self._left_s()}
        yield self._result(stopped=len(self.nets) < len(self.task.arms))

    def _train(self, arm: Arm) -> Iterator[dict]:
        """One training; returns its network, rounded as it will be kept, or None when it was stopped."""
        pictures, training, began = self.pictures, self.task.training, time.perf_counter()
        net, log = build(self.task.config(arm), self.config.seed), Log(training.steps, self.device)
        told = 0
        for one in fit(
            net,
            pictures.train,
            pictures.labelled,
            arm,
            training,
            seed=self.config.seed,
            device=self.device,
            log=log,
            tell_every=TELL_EVERY,
        ):
            self.done, told = self.done + one.step - told, one.step
            points = {name: [value] for name, value in one.means.items()}
            yield {"kind": "points", "arm": arm.id, "step": [one.step], **points, "left_s": self._left_s()}
            if self.inbox.stopping:
                return None
        lay_in(net, pack(net.state_dict()))
        test = pictures.test
        run = Found(
            **measure(answers(net, test.x), test, self.task),
            curve=log.curve(),
            labelled=len(pictures.labelled),
            pool=len(pictures.train),
            seconds=time.perf_counter() - began,
            steps=training.steps,
        )
        self.cells[arm.id] = Cell(self.task, arm.id, self.task.labelled[0], (run,))
        self.metrics[arm.id] = cell_metrics(self.cells[arm.id])
        return net

    def _left_s(self) -> float:
        spent = time.perf_counter() - self.began
        return round(spent / max(self.done, 1) * (self.config.steps * len(self.task.arms) - self.done), 1)

    # ------------------------------------------------------------------ events
    def _meta(self) -> dict:
        pictures = self.pictures
        return {
            "kind": "meta",
            "n_train": len(pictures.train),
            "n_with_masks": pictures.with_masks,
            "n_labelled": len(pictures.labelled),
            "n_test": len(pictures.test),
            "arms": [{"id": arm, "label": ARMS[arm].label} for arm in self.task.arms],
            "steps": self.config.steps,
            "measures": MEASURES,
            "notes": [pictures.note, NOTE],
        }

    def _scores(self) -> dict:
        return {
            arm: {name: {"value": m.value, "low": m.low, "high": m.high, "n": m.n, "unit": m.unit} for name, m in found.items()}
            for arm, found in self.metrics.items()
        }

    def _gains(self) -> list[dict]:
        return [one | {"verdict": verdict(one)} for one in gains(list(self.cells.values()))]

    def _result(self, *, stopped: bool) -> dict:
        if self.nets:
            known = self.pictures.train.rows(self.pictures.labelled)
            tensors = {f"{TASK}.{PICTURES}": to_bytes(known.x), f"{TASK}.{MASKS}": known.masks}
            level = level_key(len(known))
            for arm, net in self.nets.items():
                tensors |= {f"{TASK}.{level}.{arm}.{name}": value for name, value in pack(net.state_dict()).items()}
            save(Path(self.inbox.out) / FILES["weights"], tensors, self._card())
        return {"kind": "result", "stopped": stopped, "files": dict(FILES) if self.nets else {}, "scores": self._scores()}

    def _card(self) -> Card:
        pictures = self.pictures
        facts = task_facts(self.task, len(pictures.train))
        (level,) = facts["levels"].values()
        level["arms"] = {arm: one for arm, one in level["arms"].items() if arm in self.nets}
        counts = {arm: one["parameters"] for arm, one in level["arms"].items()}
        own = counts.get(OWN, max(counts.values()))
        use = DatasetUse(
            name="own_masked_pictures",
            title="Own pictures with masks",
            kind="real",
            licence="not known",
            n_train=len(pictures.train),
            n_validation=0,
            n_test=len(pictures.test),
            note=f"{pictures.note} {len(pictures.labelled)} training pictures kept their masks.",
        )
        return Card(
            method="semsim",
            title="SemSim trained on own pictures",
            config=self.config.model_dump(exclude={"path"}),
            datasets=(use,),
            recipe="models.semsim.own.train_own with this card's config",
            seed=self.config.seed,
            seconds=time.perf_counter() - self.began,
            hardware=hardware(self.device),
            parameters=own,
            trained_parameters=own,
            metrics={
                metric_name(TASK, len(pictures.labelled), name, arm): metric
                for arm, found in self.metrics.items()
                for name, metric in found.items()
            },
            notes=NOTE,
            extra={"tasks": {TASK: facts}, "gains": self._gains()},
        )


def train_own(config: Mapping[str, object], inbox: Inbox, decode: Decoder | None = None) -> Iterator[dict]:
    """Trains on own pictures with masks and yields events (see the module). The last one names the files written into `inbox.out`.

    config: as `own_data.OwnConfig`. `decode` reads DICOM and other kinds; without it they are left out. Raises ValueError in a sentence, before the
    first event, for a configuration, a device or pictures (DataDamaged) that cannot be used.
    """
    checked = read_config(config)
    device = str(pick_device(checked.device))
    yield from OwnTraining(checked, inbox, load_pictures(checked, decode), device).events()
