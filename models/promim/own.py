"""Prompts from a user's own pictures: a zip or folder with one folder for each class, honest held-out accuracy, weights to take away.

`train_own(config, inbox)` is a generator that runs inside a job and yields JSON-able events:
- `meta`: classes with their counts, arms, folds, steps of one training, notes;
- `points`: fresh losses of the training that is going (`arm`; `fold` 1, 2, …, or 0 for the last one, on all pictures), `left_s` seconds to go;
- `scores`: held-out accuracy of every arm so far, with Wilson's interval and n;
- `result`: the files left in `inbox.out`, the scores, whether it was stopped.

Accuracy is cross-validated: every picture is named once by prompts that never saw it, nor a near copy of it. Wilson's interval takes
the pictures for independent, which pictures of one patient are not; the event and the card say so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from models.promim.arms import ARMS
from models.promim.fit import Schedule, Shots, Training, answers, encode, encode_views
from models.promim.network import ClassTexts, PromptLearner, class_texts
from models.promim.own_data import OwnConfig, OwnPictures, folds_of, load_pictures, read_config
from models.promim.records import TaskInfo
from models.promim.study import TEST_MASK_SEED
from models.promim.weights import Backbone, RunId, as_extra, as_tensors, run_id
from models.shared import metrics
from models.shared.backbones.clip import load_clip
from models.shared.checkpoints import Card, DatasetUse, Metric, save
from models.shared.device import hardware, pick_device

if TYPE_CHECKING:
    from models.shared.backbones.clip import Clip
    from models.shared.data.folders import Decoder

FILES = {"weights": "prompts.safetensors", "card": "prompts.json"}
TASK = "own"
POINTS_EVERY_S = 0.2
NOTE = (
    "Accuracy is cross-validated: each picture was named by prompts that had seen neither it nor a near copy. Pictures of one patient under "
    "several files are not recognised as such, so the true accuracy on new patients may be lower."
)


class Inbox(Protocol):
    """How the job talks to a running training: whether to stop, and where files go."""

    out: Path

    @property
    def stopping(self) -> bool: ...


@dataclass(eq=False)
class _State:
    """How far the work is: steps done of all, and when it began."""

    steps: int
    done: int = 0
    began: float = field(default_factory=time.perf_counter)

    def left_s(self) -> float:
        """Seconds to go, at the pace so far."""
        spent = time.perf_counter() - self.began
        return round(spent / max(self.done, 1) * (self.steps - self.done), 1)


class OwnTraining:
    """One piece of work, kept apart from the generator so that each move is a short function."""

    def __init__(self, config: OwnConfig, inbox: Inbox, clip: Clip, pictures: OwnPictures) -> None:
        self.config, self.inbox, self.clip, self.pictures = config, inbox, clip, pictures
        self.texts: ClassTexts = class_texts(clip, pictures.names, template=config.template)
        self.image = encode(clip, clip.normalise(pictures.pixels.to(clip.device)))
        self.labels = pictures.labels.to(clip.device)
        self.views = self._views()
        self.seen = self._seen()
        self.folds = folds_of(pictures, config.folds, config.seed)
        self.right: dict[str, list[Tensor]] = {arm: [] for arm in config.arms}
        self.schedule = Schedule(config.epochs, config.batch, config.lr)

    def events(self) -> Iterator[dict]:
        """All events from `meta` to `result`."""
        sizes = [len(train) for train, _ in self.folds] + [len(self.labels)]
        self.state = _State(sum(self._steps_of(size) for size in sizes) * len(self.config.arms))
        yield self._meta()
        yield self._scores()
        for number, (train, test) in enumerate(self.folds, start=1):
            for arm in self.config.arms:
                learner = yield from self._train(arm, number, train)
                if learner is None:
                    yield self._result({}, stopped=True)
                    return
                self.right[arm].append(self._named(arm, learner, test) == self.labels[test])
                yield self._scores()
        kept: dict[str, PromptLearner] = {}
        for arm in self.config.arms:
            learner = yield from self._train(arm, 0, torch.arange(len(self.labels)))
            if learner is None:
                break
            kept[arm] = learner
        yield self._result(kept, stopped=len(kept) < len(self.config.arms))

    # ------------------------------------------------------------------ moves
    def _train(self, arm: str, fold: int, rows: Tensor) -> Iterator[dict]:
        """One training; returns its learner, or None when it was stopped."""
        masked = ARMS[arm].masked
        shots = Shots(self.image[rows], self.labels[rows], (self.views if masked else self.image[:, None])[rows])
        weight = self.config.weight if ARMS[arm].anchored else 0.0
        training = Training(
            self.clip, self.texts, shots, arm=arm, weight=weight, seed=self.config.seed, schedule=self.schedule, context=self.config.context
        )
        steps, losses, told = [], [], time.monotonic()
        for event in training:
            self.state.done += 1
            steps.append(event.step)
            losses.append(event.loss)
            if event.step == training.steps or event.diverged or time.monotonic() - told > POINTS_EVERY_S:
                told = time.monotonic()
                yield {"kind": "points", "arm": arm, "fold": fold, "step": steps, "loss": losses, "left_s": self.state.left_s()}
                steps, losses = [], []
            if self.inbox.stopping:
                return None
        return training.learner.requires_grad_(False)

    def _named(self, arm: str, learner: PromptLearner | None, rows: Tensor) -> Tensor:
        """Class numbers (n,) given to pictures."""
        condition = (self.seen if ARMS[arm].masked else self.image)[rows] if ARMS[arm].conditional else None
        return answers(self.clip, learner, self.texts, self.image[rows], condition).argmax(dim=-1)

    def _views(self) -> Tensor:
        c = self.config
        if not any(ARMS[arm].masked for arm in c.arms):
            return self.image[:, None]
        return encode_views(self.clip, self._pixels(), c.ratio, min(c.epochs, c.most_views), sampling=c.sampling, seed=c.seed)

    def _seen(self) -> Tensor:
        """What ProMIM sees of each picture when it answers: one mask from a fixed seed."""
        if not any(ARMS[arm].masked for arm in self.config.arms):
            return self.image
        return encode_views(self.clip, self._pixels(), self.config.ratio, 1, sampling=self.config.sampling, seed=TEST_MASK_SEED)[:, 0]

    def _pixels(self) -> Tensor:
        return self.clip.normalise(self.pictures.pixels.to(self.clip.device))

    def _steps_of(self, pictures: int) -> int:
        return self.config.epochs * (pictures // min(pictures, self.config.batch))

    # ------------------------------------------------------------------ events
    def _meta(self) -> dict:
        counts = torch.bincount(self.pictures.labels, minlength=len(self.pictures.names)).tolist()
        return {
            "kind": "meta",
            "classes": [{"name": name, "n": n} for name, n in zip(self.pictures.names, counts, strict=True)],
            "arms": [{"id": arm, "label": ARMS[arm].title} for arm in ("clip", *self.config.arms)],
            "folds": len(self.folds),
            "steps": self._steps_of(len(self.labels)),
            "backbone": self.clip.name,
            "template": self.config.template,
            "notes": [note for note in (self.pictures.note, NOTE) if note],
        }

    def scores(self) -> dict[str, Metric]:
        """Arm → held-out accuracy so far; CLIP, which is not trained, over all pictures."""
        zero_shot = self._named("clip", None, torch.arange(len(self.labels))) == self.labels
        found = {"clip": metrics.share(int(zero_shot.sum()), len(zero_shot))}
        for arm, parts in self.right.items():
            if parts:
                hits = torch.cat(parts)
                found[arm] = metrics.share(int(hits.sum()), len(hits))
        return found

    def _scores(self) -> dict:
        return {"kind": "scores", "arms": {arm: _plain(metric) for arm, metric in self.scores().items()}, "left_s": self.state.left_s()}

    def _result(self, kept: Mapping[str, PromptLearner], *, stopped: bool) -> dict:
        if kept:
            runs = {self._run_of(arm): learner for arm, learner in kept.items()}
            tensors = {name: value for run, learner in runs.items() for name, value in as_tensors(TASK, run, learner).items()}
            save(Path(self.inbox.out) / FILES["weights"], tensors, self._card(kept))
        scores = {arm: _plain(metric) for arm, metric in self.scores().items()}
        return {"kind": "result", "stopped": stopped, "files": dict(FILES) if kept else {}, "scores": scores}

    def _run_of(self, arm: str) -> RunId:
        c = self.config
        return run_id(arm, ratio=c.ratio, weight=c.weight, seed=c.seed)

    def _card(self, kept: Mapping[str, PromptLearner]) -> Card:
        scores, n = self.scores(), len(self.labels)
        info = TaskInfo(TASK, "Own pictures", self.pictures.names, (), self.config.template)
        trained = sum(learner.parameter_count for learner in kept.values())
        return Card(
            method="promim",
            title="Prompts learned on own pictures",
            config=self.config.model_dump(exclude={"path"}),
            datasets=(
                DatasetUse(
                    name="own_pictures",
                    title="Own pictures",
                    kind="real",
                    licence="not known",
                    n_train=n,
                    n_validation=0,
                    n_test=n,
                    note=self.pictures.note,
                ),
            ),
            recipe="models.promim.own.train_own with this card's config",
            seed=self.config.seed,
            seconds=time.perf_counter() - self.state.began,
            hardware=hardware(self.clip.device),
            parameters=self.clip.parameters + trained,
            trained_parameters=trained,
            metrics={f"own/accuracy@{arm}" if arm != "promim" else "own/accuracy": metric for arm, metric in scores.items()},
            notes=f"{len(self.folds)} folds. {NOTE}",
            extra=as_extra(Backbone(name=self.clip.name, sha256=self.clip.sha256), [info]),
        )


def train_own(config: Mapping[str, object], inbox: Inbox, decode: Decoder | None = None) -> Iterator[dict]:
    """Learns prompts from own pictures and yields events (see the module). The last one names the files written into `inbox.out`.

    config: as `own_data.OwnConfig`. `decode` reads DICOM files; without it they are left out. Raises ValueError in a sentence, before
    the first event, for a configuration, a backbone (ClipRefused) or pictures (DataDamaged) that cannot be used.
    """
    checked = read_config(config)
    clip = load_clip(checked.backbone or None, str(pick_device(checked.device)))
    yield from OwnTraining(checked, inbox, clip, load_pictures(checked, clip, decode)).events()


def _plain(metric: Metric) -> dict:
    return {"value": metric.value, "low": metric.low, "high": metric.high, "n": metric.n}
