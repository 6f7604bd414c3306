"""A training on a visitor's own pictures and notes: a zip with pictures and one table (CSV) with the columns picture, note and verdict.

Verdicts are the table's own words, 2 to 6 of them. A quarter of the pictures, chosen so that near copies stay together, is held out with all their notes.
`train_own` is a generator that runs inside a job and yields JSON-able events: `meta`, `points` (losses of the network that is going), `scores`
(held-out accuracy with Wilson's interval), `result` (files left in `inbox.out`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from models.shared import metrics
from models.shared.backbones.clip.interface import Clip
from models.shared.checkpoints import Card, DatasetUse, Metric, save
from models.shared.data import DataDamaged
from models.shared.data.archives import Limits, Member, members
from models.shared.data.near_copies import cut_groups, group, hashes, summarise
from models.shared.data.pictures import as_array, decode
from models.shared.device import hardware, pick_device
from models.shared.method import Method
from models.shared.prompt_interaction.data import Pairs
from models.shared.prompt_interaction.engine import PromptInteraction
from models.shared.prompt_interaction.own_table import DECODES, PICTURES, picture_files, read_table
from models.shared.prompt_interaction.plan import ARMS, OWN, Plan
from models.shared.prompt_interaction.study import clip_of
from models.shared.prompt_interaction.training import answers, fit

if TYPE_CHECKING:
    from models.shared.data.folders import Decoder

FILES = {"weights": "prompts.safetensors", "card": "prompts.json"}
NEAR_BITS, HASH_SIDE, HELD_OUT = 4, 128, 0.25
NOTE = (
    "Accuracy is that of notes on pictures that training never saw, nor near copies of them. Pictures of one patient under several files are not "
    "recognised as such, so it may be lower on new patients."
)


class OwnConfig(BaseModel):
    """What a training on own notes is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    arms: tuple[str, ...] = Field((OWN,), min_length=1)
    steps: int = Field(200, ge=10, le=5000)
    batch: int = Field(16, ge=2, le=64)
    lr: float = Field(1e-3, gt=0, le=0.1)
    seed: int = Field(0, ge=0, lt=2**31)
    device: str = "cpu"

    @field_validator("arms")
    @classmethod
    def _known(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        if not set(arms) <= set(ARMS):
            raise ValueError(f"networks are some of {', '.join(ARMS)}")
        return tuple(dict.fromkeys(arms))


@dataclass(frozen=True, eq=False)
class OwnNotes:
    """Own pairs, cut in two."""

    train: Pairs
    test: Pairs
    verdicts: tuple[str, ...]
    counts: Mapping[str, int]
    note: str


class Inbox(Protocol):
    """How the job talks to a running training: whether to stop, and where files go."""

    out: Path

    @property
    def stopping(self) -> bool: ...


def read_config(config: Mapping[str, object]) -> OwnConfig:
    """The configuration, checked; ValueError in a sentence."""
    try:
        return OwnConfig.model_validate(dict(config))
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the configuration"
        raise ValueError(f"This training cannot be started: {where}: {first['msg']}. Change it and start again.") from fault


def load_notes(clip: Clip, path: Path, read: Decoder | None = None) -> OwnNotes:
    """Pictures and notes of a zip, cut by groups of near copies. Raises DataDamaged, in one sentence, for what cannot be used."""
    with members(path, Limits()) as files:
        rows = read_table(files)
        names = list(dict.fromkeys(picture for picture, _, _ in rows))
        found = picture_files(files, names, (*PICTURES, *(DECODES if read else ())))
        pixels = [_pixels(found[name], read) for name in names]
    too_long = sum(clip.count_tokens(note) > clip.context_length for _, note, _ in rows)
    if too_long:
        raise DataDamaged(f"{too_long} notes are longer than the network can read ({clip.context_length} word pieces). Shorten them.")
    groups = group(hashes(np.stack([as_array("picture", one, mode="L", size=HASH_SIDE) for one in pixels])), within=NEAR_BITS)
    alike = np.zeros(len(names), dtype=np.int64)
    *_, held = cut_groups(alike, groups, ("picture",), validation=0.0, test=HELD_OUT)
    verdicts = tuple(sorted({verdict for _, _, verdict in rows}))
    x = torch.cat([clip.preprocess([one]).half().cpu() for one in pixels])
    places = [names.index(picture) for picture, _, _ in rows]
    test = np.isin(places, held)
    parts = [_pairs(clip, x, [rows[i] for i in np.flatnonzero(chosen)], names, verdicts) for chosen in (~test, test)]
    for part, word in zip(parts, ("to learn from", "held out"), strict=True):
        missing = [name for number, name in enumerate(verdicts) if not (part.verdict == number).any()]
        if missing:
            raise DataDamaged(f"Of the notes {word}, none has the verdict “{missing[0]}”. Add pictures with notes of every verdict.")
    counts = Counter(verdict for _, _, verdict in rows)
    return OwnNotes(parts[0], parts[1], verdicts, {name: counts[name] for name in verdicts}, summarise(alike, groups).sentence())


def _pixels(member: Member, read: Decoder | None) -> np.ndarray:
    if read is None or not member.name.lower().endswith(DECODES):
        return decode(member.name, member.read(), mode="L")
    try:
        return np.asarray(read(member.read(), member.name))
    except ValueError as fault:
        raise DataDamaged(f"{member.name}: {fault}") from fault


def _pairs(clip: Clip, x: torch.Tensor, rows: Sequence[tuple[str, str, str]], names: Sequence[str], verdicts: Sequence[str]) -> Pairs:
    """One pair a row: pictures with several notes stand there several times."""
    if not rows:
        raise DataDamaged("There are too few different pictures to hold a quarter of them out. Add pictures.")
    place = {name: number for number, name in enumerate(names)}
    tokens = clip.tokenize([note for _, note, _ in rows]).cpu()
    return Pairs(
        x[[place[picture] for picture, _, _ in rows]],
        tokens[:, None, : int((tokens != 0).sum(1).max())],
        torch.tensor([[verdicts.index(verdict)] for _, _, verdict in rows]),
        np.full((len(rows), 1), -1),
        tuple((note,) for _, note, _ in rows),
    )


def train_own(method: Method, config: Mapping[str, object], inbox: Inbox, read: Decoder | None = None) -> Iterator[dict]:
    """Trains on own pairs and yields events (see the module). Raises ValueError in a sentence, before the first event, for what cannot be used."""
    checked = read_config(config)
    device = str(pick_device(checked.device))
    clip = clip_of(device)
    data = load_notes(clip, Path(checked.path), read)
    began, done, total = time.perf_counter(), 0, checked.steps * len(checked.arms)
    nets: dict[str, PromptInteraction] = {}
    scores: dict[str, Metric] = {}
    yield _meta(checked, data)
    for arm in checked.arms:
        plan = Plan((arm,), (checked.seed,), steps=checked.steps, batch=checked.batch, lr=checked.lr)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(checked.seed)
            net = PromptInteraction(clip, replace(plan.config(arm), classes=len(data.verdicts)))
        for step, loss in fit(net, data.train, plan, arm, seed=checked.seed):
            left = (time.perf_counter() - began) / (done + step) * (total - done - step)
            yield {"kind": "points", "arm": arm, "step": [step], "loss": [round(loss, 5)], "left_s": round(left, 1)}
            if inbox.stopping:
                break
        if inbox.stopping:
            break
        done += checked.steps
        nets[arm] = net
        said = answers(net, data.test, arm)[:, 0]
        hits = int((said.argmax(-1) == data.test.verdict[:, 0]).sum())
        scores[arm] = metrics.share(hits, len(data.test))
        yield {"kind": "scores", "arms": {one: _told(metric) for one, metric in scores.items()}}
    files = {}
    if nets:
        tensors = {
            f"{arm}.{name}": value.detach().cpu().float().contiguous()
            for arm, net in nets.items()
            for name, value in net.state_dict().items()
        }
        save(Path(inbox.out) / FILES["weights"], tensors, _card(method, checked, data, nets, scores, time.perf_counter() - began, device))
        files = dict(FILES)
    yield {
        "kind": "result",
        "stopped": len(nets) < len(checked.arms),
        "files": files,
        "scores": {one: _told(metric) for one, metric in scores.items()},
    }


def _told(metric: Metric) -> dict:
    return {"value": metric.value, "low": metric.low, "high": metric.high, "n": metric.n}


def _meta(config: OwnConfig, data: OwnNotes) -> dict:
    most = int(torch.bincount(data.test.verdict[:, 0]).max()) / len(data.test)
    return {
        "kind": "meta",
        "classes": [{"name": name, "n": n} for name, n in data.counts.items()],
        "n_train": len(data.train),
        "n_test": len(data.test),
        "arms": [{"id": arm, "label": ARMS[arm].label} for arm in config.arms],
        "steps": config.steps,
        "notes": [data.note, f"Always saying the commonest verdict would be right for {100 * most:.0f} % of the held-out notes.", NOTE],
    }


def _card(
    method: Method,
    config: OwnConfig,
    data: OwnNotes,
    nets: Mapping[str, PromptInteraction],
    scores: Mapping[str, Metric],
    seconds: float,
    device: str,
) -> Card:
    net = next(iter(nets.values()))
    use = DatasetUse(
        name="own_notes", title="Own pictures with notes", kind="real", licence="not known", n_train=len(data.train), n_validation=0,
        n_test=len(data.test), note=data.note,
    )  # fmt: skip
    return Card(
        method=method.id,
        title=f"{method.title} trained on own notes",
        config=config.model_dump(exclude={"path"}),
        datasets=(use,),
        recipe=f"models.{method.id}.own.train_own with this card's config",
        seed=config.seed,
        seconds=seconds,
        hardware=hardware(device),
        parameters=net.clip.parameters + net.trained(),
        trained_parameters=net.trained(),
        metrics={"own/accuracy" + ("" if arm == OWN else f"@{arm}"): metric for arm, metric in scores.items()},
        notes=NOTE,
        extra={
            "verdicts": list(data.verdicts),
            "arms": {arm: {"label": ARMS[arm].label, "network": one.config.as_json()} for arm, one in nets.items()},
        },
    )
