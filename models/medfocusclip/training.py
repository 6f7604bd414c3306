"""One training from the screen: a share of the pictures, one way of telling CLIP where to look, live loss, held-out accuracy on the way and at the end.

The result is a head like the shipped ones: weights and card in the job's folder, to be loaded with `heads.trained_head(name, path)`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from models.medfocusclip import study_data
from models.medfocusclip import study_report as report
from models.medfocusclip.network import FocusClassifier
from models.medfocusclip.options import TEMPLATE
from models.medfocusclip.study_plan import ARMS, CLIP, Plan, PlanRefused, Training, read_plan
from models.medfocusclip.study_train import Encoded, answers, encode, fit
from models.shared.backbones.clip import Clip, load_clip
from models.shared.checkpoints import Card, DatasetUse, save
from models.shared.device import hardware

if TYPE_CHECKING:
    from torch import Tensor

FILES = {"weights": "weights.safetensors", "card": "weights.json"}
LOOKS = 10
"""How often the held-out pictures are answered on the way."""
MOST_PICTURES = 400


class Inbox(Protocol):
    """What a job sees of the outside; see `workbench.jobs.inbox`."""

    stopping: bool
    out: Path


@dataclass(frozen=True)
class Wish:
    """What may be asked for."""

    arm: str = "painted"
    pictures: int = 80
    """Training phantoms, 20 to 400."""
    tests: int = 200
    shortcut: float = 0.95
    """How often the planted cue follows the class in training."""
    epochs: float = 15.0
    blocks: int = 1
    lr: float = 3e-4
    balance: float = 0.5
    seed: int = 0
    clip: str = CLIP

    def plan(self) -> Plan:
        """The plan of this one run. PlanRefused for what is out of range."""
        within = {
            "pictures": (20, MOST_PICTURES),
            "tests": (40, 600),
            "shortcut": (0, 1),
            "epochs": (1, 60),
            "blocks": (0, 6),
            "lr": (1e-6, 1e-2),
            "balance": (0, 1),
            "seed": (0, 2**31),
        }
        for name, (low, high) in within.items():
            if not low <= getattr(self, name) <= high:
                raise PlanRefused(f"The setting {name} is {getattr(self, name)}; it must lie between {low} and {high}.")
        training = asdict(
            Training(blocks=self.blocks, lr=self.lr, epochs=self.epochs, min_steps=30, balance=self.balance, variants=2, mirror=False)
        )
        change = {
            "pool": self.pictures,
            "tests": self.tests,
            "shortcut": self.shortcut,
            "arms": [self.arm],
            "fractions": [1.0],
            "training": training,
        }
        return read_plan({"tasks": {"liver_ct": change}, "seeds": 1, "clip": self.clip}, self.seed)


def read_wish(config: Mapping[str, object]) -> Wish:
    """A configuration from the screen, checked. PlanRefused with a sentence."""
    kinds = {one.name: type(one.default) for one in fields(Wish)}
    unknown = set(config) - set(kinds)
    if unknown:
        raise PlanRefused(f"A training knows no setting called {', '.join(sorted(unknown))}.")
    try:
        wish = Wish(**{name: kinds[name](value) for name, value in config.items()})
    except (TypeError, ValueError) as fault:
        raise PlanRefused("A setting of this training is not a number where one is needed.") from fault
    wish.plan()
    return wish


def train(config: Mapping[str, object], inbox: Inbox) -> Iterator[dict]:
    """Runs one training on phantoms. Events: `progress` {step, steps, loss, text}, `metric` {step, test, with_cue}, last `result` {accuracy, files}.

    A stop keeps the weights as they are. Raises PlanRefused or ClipNotHere before the first event.
    """
    wish, started = read_wish(config), time.perf_counter()
    (task,) = wish.plan().tasks
    arm, clip = ARMS[wish.arm], load_clip(wish.clip)
    yield {"kind": "progress", "step": 0, "steps": task.training.steps(wish.pictures), "text": "drawing and segmenting the phantoms"}
    material = study_data.liver(task)
    net = FocusClassifier(clip, material.classes, blocks=task.training.blocks)
    wanted = study_data.versions(task.training.variants, mirror=task.training.mirror)
    data = encode(net, material.train, np.arange(len(material.train)), arm, wanted=wanted)
    held = {
        name: encode(net, cases, np.arange(len(cases)), arm) for name, cases in (("test", material.test), ("with_cue", material.validation))
    }
    found = _shares(net, wish.arm, held)
    yield {"kind": "metric", "step": 0, **found}
    for step, steps, loss in fit(net, arm, data, torch.arange(len(material.train)), task.training, seed=wish.seed):
        yield {"kind": "progress", "step": step, "steps": steps, "loss": loss, "text": "training"}
        stopped = inbox.stopping
        if stopped or step == steps or step % max(1, steps // LOOKS) == 0:
            found = _shares(net, wish.arm, held)
            yield {"kind": "metric", "step": step, **found}
        if stopped:
            break
    card = _card(wish, net, clip, step, found, len(material.test), time.perf_counter() - started)
    save(Path(inbox.out) / FILES["weights"], _named(net, wish), card)
    yield {"kind": "result", "accuracy": found["test"], "with_cue": found["with_cue"], "steps": step, "files": dict(FILES)}


def _shares(net: FocusClassifier, arm: str, held: Mapping[str, Encoded]) -> dict[str, float]:
    """Share of right answers on the test pictures, and on pictures that still carry the cue."""
    return {name: float((answers(net, ARMS[arm], data).argmax(-1) == data.labels.cpu()).float().mean()) for name, data in held.items()}


def _named(net: FocusClassifier, wish: Wish) -> dict[str, Tensor]:
    # A head must answer plain pictures too; trained in another mode alone, it does so with the same weights.
    arms = dict.fromkeys((wish.arm, "plain"))
    return {f"head.own.{arm}.{name}": tensor.half() for arm in arms for name, tensor in net.trained_state().items()}


def _card(wish: Wish, net: FocusClassifier, clip: Clip, steps: int, found: Mapping[str, float], n_test: int, seconds: float) -> Card:
    trained = sum(p.numel() for p in net.trainable().values())
    return Card(
        method="medfocusclip",
        title=f"Liver-CT-like phantoms, {ARMS[wish.arm].label}",
        config=asdict(wish) | {"template": TEMPLATE},
        datasets=(
            DatasetUse(
                name=study_data.FAMILY,
                title="liver-CT-like phantoms with a planted shortcut",
                kind="phantom",
                licence="made here, CC0",
                n_train=wish.pictures,
                n_validation=study_data.VALIDATION,
                n_test=n_test,
            ),
        ),
        recipe="models.medfocusclip.training.train with this card's config",
        seed=wish.seed,
        seconds=seconds,
        hardware=hardware("cpu"),
        parameters=clip.parameters,
        trained_parameters=trained,
        metrics={f"own/accuracy@{wish.arm}": report.shipped_metric(round(found["test"] * n_test), n_test, "phantom")},
        notes=f"One run of {steps} steps, measured once. The test phantoms do not carry the cue.",
        extra={"heads": {"own": {"title": "your training", "classes": list(net.classes), "kind": "phantom", "arms": [wish.arm]}}},
    )
