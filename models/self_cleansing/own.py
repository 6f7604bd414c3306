"""A training on a user's own pictures with masks, whose labels may be wrong: a ranked list "please re-check these", and proposed corrections as masks.

`train_own(config, inbox, decode)` is a generator that runs inside a job and yields JSON-able events:
- `meta`: how many pictures, epochs, notes;
- `epoch`: `epoch`, `loss`, once there is a pass: `pictures` (histogram and Gaussians), `suspected` (pictures called noisy), `flips` (pixels), `left_s`;
- `result`: the ranking, whether noise was detected at all, the files left in `inbox.out`, whether it was stopped.
Files: `recheck.csv`, `proposed_masks.zip` (a PNG at the picture's own size for every label with a proposed change), weights and card. Nobody knows the
truth of these labels, so no held-out number is claimed.
"""

from __future__ import annotations

import csv
import io
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from models.self_cleansing.casebook import suspects
from models.self_cleansing.cleansing import Assessment
from models.self_cleansing.diagnostics import describe
from models.self_cleansing.network import build
from models.self_cleansing.own_data import OwnConfig, OwnPictures, load_pictures, read_config
from models.self_cleansing.plan import OWN, Arm, Cleansing, Task, Training
from models.self_cleansing.results import Suspect
from models.self_cleansing.training import Run
from models.self_cleansing.weights import packed, parameters_of, task_facts, tensor_name
from models.shared.checkpoints import Card, DatasetUse, save, write_atomically
from models.shared.device import hardware, pick_device

if TYPE_CHECKING:
    from models.shared.data.folders import Decoder

TASK = SETTING = "own"
FILES = {"ranking": "recheck.csv", "masks": "proposed_masks.zip", "weights": "self_cleansing.safetensors", "card": "self_cleansing.json"}
NOTE = (
    "The list says which labels the training finds hardest to believe, not which are wrong: rare but right labels stand there, too, and errors that most "
    "labels share do not. Look at each before changing it."
)


class Inbox(Protocol):
    """How the job talks to a running training: whether to stop, and where files go."""

    out: Path

    @property
    def stopping(self) -> bool: ...


class OwnTraining:
    """One piece of work, kept apart from the generator so that each move is a short function."""

    def __init__(self, config: OwnConfig, inbox: Inbox, own: OwnPictures, device: str) -> None:
        self.config, self.inbox, self.own, self.device, self.began = config, inbox, own, device, time.perf_counter()
        self.training = Training(
            config.epochs, config.warmup, config.batch, config.lr, degrees=config.degrees, gamma=config.gamma, flips=config.flips
        )
        self.task = Task(TASK, "own pictures", "real", TASK, {SETTING: (OWN,)}, self.training, side=config.side, pool=len(own.x))
        arm = Arm(OWN, "own", Cleansing(config.gate, config.evidence, kappa=config.kappa))
        net = build(self.task.classes, self.task.channels, self.task.widths, config.seed)
        x, masks = torch.from_numpy(own.x), torch.from_numpy(own.masks)
        self.run = Run(net, arm, self.training, x, masks, seed=config.seed, device=device)

    def events(self) -> Iterator[dict]:
        """All events from `meta` to `result`."""
        yield {"kind": "meta", "n": len(self.own.x), "epochs": self.config.epochs, "notes": [self.own.note, NOTE]}
        last, stopped = None, False
        for one in self.run.epochs(each_step=True):
            if self.inbox.stopping:
                stopped = True
                break
            if one is not None:
                last = one.assessment or last
                yield self._told(one)
        yield self._result(last, stopped)

    def _told(self, one) -> dict:
        spent = time.perf_counter() - self.began
        event = {"kind": "epoch", "epoch": one.epoch, "epochs": one.epochs, "loss": one.loss}
        event["left_s"] = round(spent / one.epoch * (one.epochs - one.epoch), 1)
        if one.assessment is not None:
            told = describe(one.assessment, self.run.given, None)
            event |= {"pictures": told["pictures"], "suspected": told["pictures"]["flagged"], "flips": told["provenance"]["flipped"]}
        return event

    def _result(self, last: Assessment | None, stopped: bool) -> dict:
        if last is None:
            return {"kind": "result", "stopped": stopped, "files": {}, "ranking": [], "noise": None, "why": "stopped before the first pass"}
        found = suspects(last, None, self.own.names)
        fit = last.picture_fit
        out = Path(self.inbox.out)
        write_atomically(out / FILES["ranking"], _csv(found))
        write_atomically(out / FILES["masks"], self._masks(last, found))
        models = {"last": self.run.student} | ({"teacher": self.run.teacher.net} if self.run.teacher else {})
        tensors = {
            tensor_name(TASK, SETTING, OWN, f"{model}.{name}"): tensor
            for model, net in models.items()
            for name, tensor in packed(net.state_dict()).items()
        }
        save(out / FILES["weights"], tensors, self._card())
        return {
            "kind": "result",
            "stopped": stopped,
            "files": dict(FILES),
            "ranking": [vars(one) for one in found],
            "noise": bool(fit and fit.noise),
            "why": fit.why if fit else "the losses are all alike",
        }

    def _masks(self, last: Assessment, found: tuple[Suspect, ...]) -> bytes:
        """Proposed corrections, one PNG at its picture's size for each label with a change, in the order of suspicion."""
        from PIL import Image

        labels, data = last.cleansed.labels.cpu().numpy(), io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
            for place, one in enumerate((one for one in found if one.flips), start=1):
                height, width = self.own.sizes[one.index]
                mask = Image.fromarray((labels[one.index] > 0).astype(np.uint8) * 255).resize((width, height), Image.Resampling.NEAREST)
                png = io.BytesIO()
                mask.save(png, "PNG")
                stem = PurePosixPath(one.name).name.rsplit(".", 1)[0]
                archive.writestr(f"{place:04d}_{stem}_proposed.png", png.getvalue())
        return data.getvalue()

    def _card(self) -> Card:
        count = parameters_of(self.task)
        use = DatasetUse(
            name="own_masked_pictures",
            title="Own pictures with masks",
            kind="real",
            licence="not known",
            n_train=len(self.own.x),
            n_validation=0,
            n_test=0,
            note=self.own.note,
        )
        return Card(
            method="self_cleansing",
            title="Deep self-cleansing on own pictures",
            config=self.config.model_dump(exclude={"path"}),
            datasets=(use,),
            recipe="models.self_cleansing.own.train_own with this card's config",
            seed=self.config.seed,
            seconds=time.perf_counter() - self.began,
            hardware=hardware(self.device),
            parameters=count,
            trained_parameters=count,
            metrics={},
            notes=NOTE,
            extra={"tasks": {TASK: task_facts(self.task)}, "final": {}},
        )


def _csv(found: tuple[Suspect, ...]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["place", "file", "probability_noisy", "one_minus_soft_dice", "pixels_changed_at_training_size"])
    for place, one in enumerate(found, start=1):
        name = f"'{one.name}" if one.name[:1] in "=+-@" else one.name  # no spreadsheet shall read a name as a formula
        rows.writerow([place, name, f"{one.noisy:.4f}", f"{one.s:.4f}", one.flips])
    return text.getvalue().encode()


def train_own(config: Mapping[str, object], inbox: Inbox, decode: Decoder | None = None) -> Iterator[dict]:
    """Trains on own pictures with masks and yields events (see the module). The last one names the files written into `inbox.out`.

    config: as `own_data.OwnConfig`. `decode` reads DICOM and other kinds; without it they are left out. Raises ValueError in a sentence, before the
    first event, for a configuration, a device or pictures (DataDamaged) that cannot be used.
    """
    checked = read_config(config)
    device = str(pick_device(checked.device))
    yield from OwnTraining(checked, inbox, load_pictures(checked, decode), device).events()
