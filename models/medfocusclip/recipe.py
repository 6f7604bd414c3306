"""Training and held-out evaluation of this room: two studies, from pictures to card (protocol in `study.py`).

`train` runs or resumes the studies and ends with the card and the shipped weights: of every arm the run on all training pictures with the first seed, named
"head.<task>.<arm>.<parameter>" (see `packing`), and the automatic segments of the real test pictures, without which nobody could check the painted arm in minutes.
`evaluate` lets those weights answer the test pictures again; means over seeds and smaller shares are recorded only.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.medfocusclip import paper, study_data
from models.medfocusclip import study_report as report
from models.medfocusclip.heads import split_states
from models.medfocusclip.network import FocusClassifier
from models.medfocusclip.options import TEMPLATE
from models.medfocusclip.segments import Segment, make_segment
from models.medfocusclip.study import RunId, Study, work_folder
from models.medfocusclip.study_data import Cases
from models.medfocusclip.study_plan import ARMS, CLIP, SHIPPED_FRACTION, TASKS, Plan, Task, read_plan
from models.medfocusclip.study_train import answers, encode
from models.shared.backbones.clip import load_clip
from models.shared.checkpoints import Card, DatasetUse, Metric
from models.shared.data import DataNotHere, load
from models.shared.training import hardware

if TYPE_CHECKING:
    from models.shared.backbones.clip import Clip

_ANSWERS_OFF = 3
"""Test pictures that may fall on the other side of a decision on another processor."""


def train(config: Mapping[str, object], *, seed: int = 0, device: str = "cpu") -> Iterator[dict]:
    """Runs a preset's studies; yields `progress` events and at last `result` with the card and its tensors.

    A stopped run is taken up where it was. Raises PlanRefused, ClipNotHere or DataNotHere for what cannot be run.
    """
    started = time.perf_counter()
    plan = read_plan(config, seed)
    clip = load_clip(plan.clip, device)
    study = Study(plan, clip, work_folder(plan, clip))
    yield from study.run()
    tensors = _tensors(study)
    card = _card(study, config, seed, device, time.perf_counter() - started, tensors)
    yield {"kind": "result", "card": card, "tensors": tensors}


def evaluate(card: Card, tensors: Mapping[str, Tensor]) -> dict[str, Metric]:
    """`shipped_accuracy` of every shipped head, computed again. Raises DataNotHere where no study's pictures are here."""
    clip = load_clip(card.config.get("clip", CLIP))
    found: dict[str, Metric] = {}
    absent: DataNotHere | None = None
    for task_id, arms in split_states(tensors, clip).items():
        task = _task_of(card, task_id)
        try:
            material = study_data.material(task)
        except DataNotHere as fault:
            absent = fault
            continue
        test = _with_shipped_segments(material.test, tensors, task_id)
        for arm, state in arms.items():
            net = FocusClassifier(clip, material.classes, blocks=task.training.blocks)
            net.load_trained(state)
            logits = answers(net, ARMS[arm], encode(net, test, np.arange(len(test)), ARMS[arm]))
            correct = int((logits.argmax(-1).numpy() == test.labels).sum())
            name = report.metric_name(task_id, SHIPPED_FRACTION, "shipped_accuracy", arm)
            found[name] = report.shipped_metric(correct, len(test), task.kind)
    if absent is not None and not found:
        raise absent
    return found


def tolerance(name: str) -> float:
    """How far an accuracy computed again may be off: a few pictures on the edge between two classes, as the order of sums differs between processors."""
    return _ANSWERS_OFF / 600 if name.startswith("liver_ct") else _ANSWERS_OFF / 1311


def parameters() -> tuple[int, int]:
    """All numbers of the default network and those that train (both towers of the small CLIP; blocks as in the brain MRI study)."""
    from models.shared.backbones.clip import new_clip

    net = FocusClassifier(new_clip(), ("a", "b"), blocks=TASKS["brain_mri"].training.blocks)
    return net.clip.parameters, sum(p.numel() for p in net.trainable().values())


# ---------------------------------------------------------------------- what ships
def _tensors(study: Study) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for task in study.plan.tasks:
        if SHIPPED_FRACTION not in task.fractions:
            continue
        for arm in task.arms:
            state = study.weights(RunId(task.id, arm, SHIPPED_FRACTION, study.plan.seeds[0]))
            tensors |= {f"head.{task.id}.{arm}.{name}": tensor for name, tensor in state.items()}
        if task.kind == "real" and "painted" in task.arms:
            tensors |= pack_segments(study.materials[task.id].test.automatic, task.id)
    return tensors


def pack_segments(automatic: Sequence[Sequence[Segment]], task_id: str) -> dict[str, Tensor]:
    """Masks of many pictures in two tensors: their compressed bits one after the other, and where each picture's end."""
    parts = [zlib.compress(b"".join(np.packbits(one.mask).tobytes() for one in segments), 9) for segments in automatic]
    ends = np.cumsum([len(part) for part in parts])
    return {
        f"segments.{task_id}.bytes": torch.frombuffer(bytearray(b"".join(parts)), dtype=torch.uint8),
        f"segments.{task_id}.ends": torch.from_numpy(ends.astype(np.int64)),
    }


def unpack_segments(tensors: Mapping[str, Tensor], task_id: str, shape: tuple[int, int]) -> list[list[Segment]]:
    """The masks that `pack_segments` put away. ValueError when the bytes are damaged."""
    data, ends = tensors[f"segments.{task_id}.bytes"].numpy().tobytes(), tensors[f"segments.{task_id}.ends"].tolist()
    size = (shape[0] * shape[1] + 7) // 8
    found = []
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        try:
            bits = np.frombuffer(zlib.decompress(data[start:end]), np.uint8).reshape(-1, size)
        except (zlib.error, ValueError) as fault:
            raise ValueError("The shipped segments are damaged; fetch the checkpoint once more.") from fault
        masks = np.unpackbits(bits, axis=1, count=shape[0] * shape[1]).reshape(-1, *shape).astype(bool)
        found.append([make_segment(mask, source="sam2") for mask in masks])
    return found


def _with_shipped_segments(test: Cases, tensors: Mapping[str, Tensor], task_id: str) -> Cases:
    if f"segments.{task_id}.bytes" not in tensors:
        return test
    return Cases(test.pictures, test.labels, unpack_segments(tensors, task_id, test.pictures.shape[1:]), test.truth)


# ---------------------------------------------------------------------- the card
def _task_of(card: Card, task_id: str) -> Task:
    plan = read_plan({key: value for key, value in card.config.items() if key in ("tasks", "seeds", "clip")}, card.seed)
    return next(task for task in plan.tasks if task.id == task_id)


def _card(study: Study, config: Mapping[str, object], seed: int, device: str, seconds: float, tensors: Mapping[str, Tensor]) -> Card:
    from models.medfocusclip import METHOD

    named = report.card_metrics(study)
    rows = report.table(study, named)
    records = [
        study.record(RunId(t.id, arm, f, s)) for t in study.plan.tasks for arm in t.arms for f in t.fractions for s in study.plan.seeds
    ]
    return Card(
        method=METHOD.id,
        title=METHOD.title,
        config=dict(config) | {"clip": study.plan.clip, "template": TEMPLATE},
        datasets=tuple(_use(study, task) for task in study.plan.tasks),
        recipe=_command(config, seed, device),
        seed=seed,
        seconds=max(seconds, sum(record["seconds"] for record in records)),
        hardware=hardware(device),
        parameters=study.clip.parameters,
        trained_parameters=_trained(study),
        metrics=named,
        loses=report.loses(rows),
        deviations=tuple(vars(deviation).copy() for deviation in METHOD.deviations),
        notes=_notes(study.plan, study.clip),
        extra={
            "table": rows,
            "findings": report.findings(rows),
            "heads": {task.id: _head_facts(study, task) for task in study.plan.tasks if SHIPPED_FRACTION in task.fractions},
            "training": {task.id: vars(task.training).copy() for task in study.plan.tasks},
            "paper": {
                "fractions": list(paper.FRACTIONS),
                "rows": [vars(row).copy() for row in paper.TABLE],
                "source": paper.SOURCE,
                "reading": list(paper.READING),
            },
        },
    )


def _trained(study: Study) -> int:
    """Numbers that train in the larger of the studies' networks."""
    counts = []
    for task in study.plan.tasks:
        net = FocusClassifier(study.clip, study.materials[task.id].classes, blocks=task.training.blocks)
        counts.append(sum(p.numel() for p in net.trainable().values()))
    return max(counts)


def _head_facts(study: Study, task: Task) -> dict:
    return {"title": task.title, "classes": list(study.materials[task.id].classes), "kind": task.kind, "arms": list(task.arms)}


def _use(study: Study, task: Task) -> DatasetUse:
    material = study.materials[task.id]
    sizes = {"n_train": len(material.train), "n_validation": len(material.validation), "n_test": len(material.test)}
    if task.kind == "real":
        data = load("brain_mri", size=study_data.SIDE)
        return DatasetUse(
            name=data.name, title="Brain MRI, four classes (128×128)", kind="real", licence=data.licence, note=data.note, **sizes
        )
    note = (
        f"Made-up pictures, no patients. A bright bar is planted above the body; in training and validation its place follows the class in {100 * task.shortcut:g} % "
        "of the pictures, in the test it says nothing. Automatic segments come from the classical region grower; the guided arm is given the true outline of the organ, as a reader would draw it, "
        "which every picture has; the arm with true outlines painted also learns from them whether there is a lesion at all."
    )
    return DatasetUse(name=study_data.FAMILY, title=task.title, kind="phantom", licence="made here, CC0", note=note, **sizes)


def _notes(plan: Plan, clip: Clip) -> str:
    """What a reader of the numbers must know."""
    said = [
        f"All arms of a study start from the same CLIP ({clip.name}, {clip.parameters / 1e6:.1f} million numbers, {clip.image_size} pixels), whose pre-training met "
        "neither these brain MRI pictures nor this family of phantoms; the paper's is a published CLIP of unknown size. The two cannot be compared number by number.",
        "Accuracy is the mean over the seeds; its interval counts each test picture once. Each seed draws its own pictures, smaller shares inside larger ones.",
        *(
            f"{task.title}: the last {task.training.blocks} of {clip.layers} blocks, the final norm and the projection train."
            for task in plan.tasks
        ),
        "Settings were chosen on validation pictures, once for all arms. Only the shipped networks' numbers can be computed again; the others are recorded.",
        "Colours are new to this CLIP, which met grey pictures alone before: the rows painted in colours of the segments' brightness, instead of random ones, show "
        "how much of what painting costs is owed to the choice of colours. "
        "The liver phantoms' planted cue is a bar above the body: in trials the networks here hardly saw the family's own line of small letters. "
        "Phantoms and real pictures are never mixed. The brain MRI set names no patients, so its training and test parts may share some.",
    ]
    return " ".join(said)


def _command(config: Mapping[str, object], seed: int, device: str) -> str:
    from models.medfocusclip.presets import PRESETS

    name = next((preset.name for preset in PRESETS if dict(preset.config) == dict(config)), PRESETS[0].name)
    return f"python -m models train medfocusclip --preset {name} --seed {seed} --device {device}"
