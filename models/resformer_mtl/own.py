"""A training on a user's own pictures with masks: honest held-out numbers beside the twins', weights to take away and to use in Explore.

`train_own(config, inbox, decode)` is a generator that runs inside a job and yields JSON-able events:
- `meta`: classes, how many pictures train and test, arms, steps of one training, notes;
- `points`: fresh losses of the training that is going (`arm`; lists `step`, `loss`, `seg`, `cls`), `left_s` seconds to go;
- `scores`: held-out numbers of the arms that are done (Dice, AUROC, accuracy …), each with its interval and n;
- `result`: the files left in `inbox.out`, the scores, whether it was stopped. The arms that were done are kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from models.resformer_mtl.own_data import TASK, OwnConfig, OwnPictures, load_pictures, read_config
from models.resformer_mtl.plan import ARMS, OWN, Arm
from models.resformer_mtl.study import measure
from models.resformer_mtl.study_report import Cell, class_metrics, metric_name, segmentation_metrics
from models.resformer_mtl.training import Network, answers, build, fit
from models.resformer_mtl.weights import task_facts
from models.shared.checkpoints import Card, DatasetUse, Metric, save
from models.shared.device import hardware, pick_device
from models.shared.packing import lay_in, pack

if TYPE_CHECKING:
    from models.shared.data.folders import Decoder

FILES = {"weights": "resformer.safetensors", "card": "resformer.json"}
POINTS_EVERY_S = 0.2
MEASURES = {
    "dice": "Overlap with the true outline (Dice)",
    "hd95": "Outline's distance, 95th percentile",
    "assd": "Outline's mean distance",
    "missed": "Lesions missed altogether",
    "false_alarm": "Outlines where nothing is",
    "auroc": "Ranking of the classes (AUROC)",
    "accuracy": "Accuracy",
    "ece": "Calibration error (ECE)",
}
"""Measures that are told on the way and kept on the card, with what they are called."""
NOTE = (
    "Numbers are those of pictures that training never saw, nor near copies of them. Pictures of one patient under several files are not recognised as "
    "such, so numbers on new patients may be lower. Distances are in pixels of the trained size."
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
        self.metrics: dict[str, dict[str, Metric]] = {}
        self.nets: dict[str, Network] = {}

    def events(self) -> Iterator[dict]:
        """All events from `meta` to `result`."""
        yield self._meta()
        for name in self.task.arms:
            net = yield from self._train(ARMS[name])
            if net is None:
                break
            self.nets[name] = net
            self.metrics[name] = self._measured(ARMS[name], net)
            yield {"kind": "scores", "arms": self._scores(), "left_s": self._left_s()}
        yield self._result(stopped=len(self.nets) < len(self.task.arms))

    def _train(self, arm: Arm) -> Iterator[dict]:
        """One training; returns its network, rounded as it will be kept, or None when it was stopped."""
        net, told = build(self.task, arm, self.config.seed), time.monotonic()
        fresh: dict[str, list] = {"step": [], "loss": [], "seg": [], "cls": []}
        counts = self.pictures.train.labels.sum(dim=0).clamp_min(1).float()
        steps = fit(
            net,
            self.pictures.train,
            self.task.training,
            alpha=self.task.alpha(arm),
            seg_weight=arm.seg_weight,
            derived=self.pictures.derived,
            class_weights=None if self.pictures.derived else len(self.pictures.train) / (len(counts) * counts),
            seed=self.config.seed,
            device=self.device,
        )
        for one in steps:
            self.done += 1
            for name, values in fresh.items():
                values.append(getattr(one, name))
            if one.step == one.steps or time.monotonic() - told > POINTS_EVERY_S:
                told = time.monotonic()
                yield {"kind": "points", "arm": arm.id, **fresh, "left_s": self._left_s()}
                fresh = {name: [] for name in fresh}
            if self.inbox.stopping:
                return None
        lay_in(net, pack(net.state_dict()))
        return net

    def _measured(self, arm: Arm, net: Network) -> dict[str, Metric]:
        test = self.pictures.test
        cell = Cell(self.task, arm.id, (measure(answers(net, test.x), test, self.task),), test)
        found = segmentation_metrics(cell) if arm.segments else {}
        if arm.classifies and self.pictures.classifies:
            found |= class_metrics(cell)
        return {name: metric for name, metric in found.items() if name in MEASURES}

    def _left_s(self) -> float:
        spent = time.perf_counter() - self.began
        return round(spent / max(self.done, 1) * (self.config.steps * len(self.task.arms) - self.done), 1)

    # ------------------------------------------------------------------ events
    def _meta(self) -> dict:
        train, test = self.pictures.train, self.pictures.test
        counts = (train.labels.sum(0) + test.labels.sum(0)).tolist()
        return {
            "kind": "meta",
            "classes": [{"name": name, "n": n} for name, n in zip(self.task.classes, counts, strict=True)],
            "classifies": self.pictures.classifies,
            "n_train": len(train),
            "n_test": len(test),
            "masks": {"train": int(train.has_mask.sum()), "test": int(test.has_mask.sum())},
            "arms": [{"id": arm, "label": ARMS[arm].label} for arm in self.task.arms],
            "measures": MEASURES,
            "steps": self.config.steps,
            "notes": [self.pictures.note, NOTE],
        }

    def _scores(self) -> dict:
        return {
            arm: {name: {"value": m.value, "low": m.low, "high": m.high, "n": m.n, "unit": m.unit} for name, m in found.items()}
            for arm, found in self.metrics.items()
        }

    def _result(self, *, stopped: bool) -> dict:
        if self.nets:
            tensors = {f"{TASK}.{arm}.{name}": value for arm, net in self.nets.items() for name, value in pack(net.state_dict()).items()}
            save(Path(self.inbox.out) / FILES["weights"], tensors, self._card())
        return {"kind": "result", "stopped": stopped, "files": dict(FILES) if self.nets else {}, "scores": self._scores()}

    def _card(self) -> Card:
        facts = task_facts(self.task)
        facts["arms"] = {arm: one for arm, one in facts["arms"].items() if arm in self.nets}
        counts = [one["parameters"] for one in facts["arms"].values()]
        own = facts["arms"].get(OWN, {"parameters": max(counts)})["parameters"]
        if not self.pictures.classifies:
            facts["arms"] = {arm: one | {"classifies": False} for arm, one in facts["arms"].items()}
        train, test = self.pictures.train, self.pictures.test
        use = DatasetUse(
            name="own_masked_pictures",
            title="Own pictures with masks",
            kind="real",
            licence="not known",
            n_train=len(train),
            n_validation=0,
            n_test=len(test),
            note=self.pictures.note,
        )
        return Card(
            method="resformer_mtl",
            title="ResFormer-MTL trained on own pictures",
            config=self.config.model_dump(exclude={"path"}),
            datasets=(use,),
            recipe="models.resformer_mtl.own.train_own with this card's config",
            seed=self.config.seed,
            seconds=time.perf_counter() - self.began,
            hardware=hardware(self.device),
            parameters=own,
            trained_parameters=own,
            metrics={metric_name(TASK, name, arm): metric for arm, found in self.metrics.items() for name, metric in found.items()},
            notes=NOTE,
            extra={"tasks": {TASK: facts}},
        )


def train_own(config: Mapping[str, object], inbox: Inbox, decode: Decoder | None = None) -> Iterator[dict]:
    """Trains on own pictures with masks and yields events (see the module). The last one names the files written into `inbox.out`.

    config: as `own_data.OwnConfig`. `decode` reads DICOM and other kinds; without it they are left out. Raises ValueError in a sentence, before the
    first event, for a configuration, a device or pictures (DataDamaged) that cannot be used.
    """
    checked = read_config(config)
    device = str(pick_device(checked.device))
    yield from OwnTraining(checked, inbox, load_pictures(checked, decode), device).events()
