"""How well a segmenter outlines held-out objects: intersection over union after 1, 3 and 5 simulated clicks, and with a box.

Measured as `Sam2.run` answers on a screen: one click takes the best of three candidates, every further click (`clicks.next_click`)
goes in with all earlier ones and the last mask; a box is the mask's own. Each number is a mean over pictures, of the mean over the
picture's objects, with a bootstrap interval over pictures. Test seeds and test pictures alone.
Baselines: "@ellipse", the ellipse that fits the box; "@sam2_hiera_tiny", the published network at 512 px, where its file is here, on the
first pictures of each set.

n objects, S side of the square the network sees, h = S / 4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from models.shared.backbones.segmenter.beginning import PUBLISHED
from models.shared.backbones.segmenter.clicks import interior_pixel, next_click, tight_box
from models.shared.backbones.segmenter.loader import find, read_state
from models.shared.backbones.segmenter.network import build, decode, encode, fill
from models.shared.backbones.segmenter.pool import FAMILIES, HELD_OUT_FAMILY, SIDE
from models.shared.backbones.segmenter.records import m_from_i_boxes, m_from_i_points
from models.shared.backbones.segmenter.scenes import MEAN, STD
from models.shared.checkpoints import CheckpointRefused, Metric
from models.shared.data import is_here, load
from models.shared.data.phantoms import batch, split_seeds
from models.shared.metrics import Kind, bootstrap

AFTER = (1, 3, 5)
"""Clicks after which the mask is measured."""
PUBLISHED_SIDE = 512
PUBLISHED_CASES = 20
NOTES = (
    "Clicks are simulated and always fall in the middle of what is wrong, which a person does only roughly; boxes are exact. Organs are "
    f"measured on every second picture. The family {HELD_OUT_FAMILY} was never trained on. Numbers on phantoms say nothing about patients."
)
_CHUNK = 8  # pictures encoded together

Values = dict[str, list[float]]
"""Measure → one value for each picture."""


@dataclass(frozen=True, eq=False)
class Case:
    """One held-out picture and the objects to be outlined in it."""

    image: np.ndarray
    """float32 (256, 256) in 0…1."""
    masks: tuple[np.ndarray, ...]
    """bool (256, 256) each, none empty."""


def measure(model: SAM2Base, *, cases: int) -> dict[str, Metric]:
    """Every number of the card; those of absent data or weights are left out. `cases`: pictures of each phantom family."""
    published, found, seen = _published(), {}, defaultdict(list)
    for task, kind, these in _tasks(cases):
        values = outline(model, these)
        found |= _metrics(task, values, kind)
        if not task.endswith("organs"):
            found |= _metrics(task, {"iou_box": ellipses(these)}, kind, arm="ellipse")
            if published is not None:
                found |= _metrics(task, outline(published, these[:PUBLISHED_CASES]), kind, arm=PUBLISHED)
        if task in {f"{family}_lesions" for family in FAMILIES}:
            for name, numbers in values.items():
                seen[name] += numbers
    return found | _metrics("phantom_lesions", seen, "phantom")


def outline(model: SAM2Base, cases: Sequence[Case]) -> Values:
    """Click and box every object of every picture, and hold the masks against the truth."""
    totals: Values = defaultdict(list)
    for start in range(0, len(cases), _CHUNK):
        these = cases[start : start + _CHUNK]
        with torch.inference_mode():
            features = _features(model, these)
        truths = [mask for case in these for mask in case.masks]
        measured = {f"iou_{_clicks(count)}": values for count, values in _click(model, features, truths).items()}
        measured["iou_box"] = _overlaps(_answer(model, features, *_box_prompts(model, truths))[0], truths)
        ends = np.cumsum([len(case.masks) for case in these])[:-1]
        for name, values in measured.items():
            totals[name] += [float(part.mean()) for part in np.split(values, ends)]
    return totals


def ellipses(cases: Sequence[Case]) -> list[float]:
    """Mean overlap of each picture's objects with the ellipse that fits their box."""
    return [float(np.mean([overlap(_ellipse(mask), mask) for mask in case.masks])) for case in cases]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two bool masks; 1 where both are empty."""
    either = int((a | b).sum())
    return int((a & b).sum()) / either if either else 1.0


def loses(metrics: Mapping[str, Metric]) -> tuple[str, ...]:
    """Where a baseline is as good or better, and what the network was weakest at, as sentences."""
    said = []
    for name, metric in metrics.items():
        task, _, rest = name.partition("/")
        what, _, arm = rest.partition("@")
        own = metrics.get(f"{task}/{what}")
        if arm and own is not None and metric.value >= own.value:
            said.append(
                f"{_spoken(task)}, {_spoken(what)}: {own.value:.2f}, but {metric.value:.2f} by {_spoken(arm)} ({metric.n} pictures)."
            )
    unseen, seen = metrics.get(f"{HELD_OUT_FAMILY}_lesions/iou_box"), metrics.get("phantom_lesions/iou_box")
    if unseen is not None and seen is not None and unseen.value < seen.value:
        said.append(f"Lesions of the family never trained on come out worse: {unseen.value:.2f} with a box instead of {seen.value:.2f}.")
    return tuple(said)


def phantom_cases(family: str, n: int) -> tuple[list[Case], list[Case]]:
    """The first `n` pictures of the test seeds that have a lesion: with their lesions, and every second one with its organs."""
    lesions, organs = [], []
    start = 0
    while len(lesions) < n:
        for phantom in batch(family, split_seeds("test", 32, start), size=SIDE):
            if phantom.lesions and len(lesions) < n:
                lesions.append(Case(phantom.image, tuple(lesion.mask for lesion in phantom.lesions)))
                if len(lesions) % 2:
                    organs.append(Case(phantom.image, tuple(mask for mask in phantom.organ.values() if mask.any())))
        start += 32
    return lesions, organs


def busi_cases() -> list[Case]:
    """The test pictures of BUSI with an outlined lesion; none where the set is not here."""
    if not is_here("busi"):
        return []
    part = load("busi", size=SIDE).test
    rows = part.masks.flatten(1).any(1)
    return [Case(image.numpy(), (mask.numpy(),)) for image, mask in zip(part.x[rows, 0], part.masks[rows], strict=True)]


def _tasks(cases: int) -> Iterator[tuple[str, Kind, list[Case]]]:
    """(task, kind, pictures), one set of pictures in memory at a time."""
    for family in (*FAMILIES, HELD_OUT_FAMILY):
        lesions, organs = phantom_cases(family, cases)
        yield f"{family}_lesions", "phantom", lesions
        yield f"{family}_organs", "phantom", organs
    if real := busi_cases():
        yield "busi_lesions", "real", real


def _metrics(task: str, values: Values, kind: Kind, arm: str = "") -> dict[str, Metric]:
    suffix = f"@{arm}" if arm else ""
    return {f"{task}/{name}{suffix}": _mean(numbers, kind) for name, numbers in values.items()}


def _mean(values: Sequence[float], kind: Kind) -> Metric:
    numbers = torch.tensor(values, dtype=torch.float64)
    return bootstrap(lambda outputs, _: outputs.mean(), numbers, torch.zeros(len(values), dtype=torch.int64), kind=kind)


def _published() -> SAM2Base | None:
    """The published network, where its file is here."""
    try:
        _, path = find(PUBLISHED)
    except CheckpointRefused:
        return None
    model = build(PUBLISHED, image_size=PUBLISHED_SIDE)
    fill(model, read_state(path.read_bytes(), path.name), name=path.name)
    return model


def _features(model: SAM2Base, cases: Sequence[Case]) -> tuple[Tensor, ...]:
    """The encoder's maps, repeated for each object: n of each."""
    images = torch.from_numpy(np.stack([case.image for case in cases]))[:, None]  # B 1 256 256
    side = int(model.image_size)
    if side != SIDE:
        images = F.interpolate(images, side, mode="bilinear", antialias=True)  # as the package's own resizing
    counts = torch.tensor([len(case.masks) for case in cases])
    return tuple(part.repeat_interleave(counts, 0) for part in encode(model, (images.expand(-1, 3, -1, -1) - MEAN) / STD))


def _click(model: SAM2Base, features: tuple[Tensor, ...], truths: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
    """Clicks so far → overlaps (n,), for the counts of AFTER."""
    found: dict[int, np.ndarray] = {}
    # Places without a click keep the label -1, which the network passes over.
    points, labels = np.zeros((len(truths), max(AFTER), 2), np.float32), np.full((len(truths), max(AFTER)), -1, np.int32)
    masks, earlier = np.zeros((len(truths), SIDE, SIDE), bool), None
    for count in range(1, max(AFTER) + 1):
        for i, truth in enumerate(truths):
            click = (*interior_pixel(truth), 1) if count == 1 else next_click(masks[i], truth)
            if click is not None:
                points[i, count - 1], labels[i, count - 1] = click[:2], click[2]
        asked = torch.from_numpy(_m_points(model, points[:, :count])), torch.from_numpy(labels[:, :count])
        masks, earlier = _answer(model, features, *asked, mask_input=earlier, multimask=count == 1)
        if count in AFTER:
            found[count] = _overlaps(masks, truths)
    return found


@torch.inference_mode()
def _answer(
    model: SAM2Base,
    features: tuple[Tensor, ...],
    points: Tensor,
    labels: Tensor,
    *,
    mask_input: Tensor | None = None,
    multimask: bool = False,
) -> tuple[np.ndarray, Tensor]:
    """The mask thought best of each object (n, 256, 256), and its logits (n, 1, h, h)."""
    logits, scores = decode(model, features, points, labels, mask_input=mask_input, multimask=multimask)
    best = logits[torch.arange(len(logits)), scores.argmax(1)][:, None]
    masks = F.interpolate(best, SIDE, mode="bilinear", align_corners=False)[:, 0] > 0
    return masks.numpy(), best.clamp(-32, 32)


def _m_points(model: SAM2Base, i_points: np.ndarray) -> np.ndarray:
    flat = m_from_i_points(i_points.reshape(-1, 2), height=SIDE, width=SIDE, side=int(model.image_size))
    return flat.reshape(i_points.shape).astype(np.float32)


def _box_prompts(model: SAM2Base, truths: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    i_boxes = np.array([tight_box(truth) for truth in truths], np.float32)
    m_boxes = m_from_i_boxes(i_boxes, height=SIDE, width=SIDE, side=int(model.image_size)).astype(np.float32)
    return torch.from_numpy(m_boxes).reshape(-1, 2, 2), torch.tensor([[2, 3]], dtype=torch.int32).repeat(len(truths), 1)


def _overlaps(masks: np.ndarray, truths: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([overlap(mask, truth) for mask, truth in zip(masks, truths, strict=True)])


def _ellipse(mask: np.ndarray) -> np.ndarray:
    """The ellipse that touches the four sides of the mask's box."""
    x0, y0, x1, y1 = tight_box(mask)
    ys, xs = np.ogrid[: mask.shape[0], : mask.shape[1]]
    return ((2 * xs - x0 - x1) / (x1 - x0 + 1)) ** 2 + ((2 * ys - y0 - y1) / (y1 - y0 + 1)) ** 2 <= 1


def _clicks(count: int) -> str:
    return f"{count}_click" if count == 1 else f"{count}_clicks"


def _spoken(name: str) -> str:
    return {
        "iou_1_click": "one click",
        "iou_3_clicks": "three clicks",
        "iou_5_clicks": "five clicks",
        "iou_box": "a box",
        "ellipse": "an ellipse in the box",
        PUBLISHED: "the published SAM 2 Hiera-Tiny at 512 px",
        "busi_lesions": "Lesions of real breast ultrasound",
    }.get(name) or name.replace("_", " ").capitalize()
