"""`Sam2`: what the screen calls. `prepare(image)` runs the encoder once; `run(prepared, ...)` answers each click with the decoder alone.

The masks come from the package's own predictor and mask generator (see `predictor`). Several people can use one network at once:
features belong to a `Prepared`, and each call works on a copy of the predictor that shares only the weights.

Known deviations from the package:
- A point means the centre of its pixel and a box the pixels it covers (see `records`), where the predictor scales the bare numbers;
  the two differ by less than a pixel of the network's square when the image is larger than it.
- Automatic segments are outlined on a canvas of at most 512 pixels along the longer side and then enlarged: the decoder's masks have a
  quarter of the network's side, and memory stays bounded for large images.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base

from models.shared.backbones.segmenter.cache import PreparedCache
from models.shared.backbones.segmenter.loader import DEFAULT_CACHE_BYTES
from models.shared.backbones.segmenter.network import encode
from models.shared.backbones.segmenter.predictor import Answer, BoundPredictor, SteppedGenerator
from models.shared.backbones.segmenter.records import (
    Box,
    Masks,
    Point,
    Prepared,
    PromptRefused,
    Proposal,
    check_boxes,
    check_image,
    check_mask_input,
    check_points,
    m_from_i_boxes,
    m_from_i_points,
)
from models.shared.device import bf16_pays

MAX_PIXELS = 36_000_000
CANVAS_SIDE = 512
LARGE = 10_000_000
"""Parameters above which a network is called large."""


class Sam2:
    """A segmenter and the images prepared with it. Safe to use from several threads; the weights must not change afterwards."""

    def __init__(
        self,
        model: SAM2Base,
        *,
        name: str = "small",
        fingerprint: str | None = None,
        precision: str = "float32",
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        """`model` as `network.build` gives it, on its device; it is put in evaluation mode. `fingerprint` tells two sets of weights apart; by default a hash of them."""
        if precision not in ("auto", "float32", "bfloat16"):
            raise ValueError(f"{precision!r} is not a precision known here; use auto, float32 or bfloat16.")
        if precision == "auto":
            precision = "bfloat16" if _bfloat16_pays(model) else "float32"
        self.name = name
        self.precision = precision
        self.image_size = int(model.image_size)
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        self.fingerprint = f"{fingerprint or _hash_weights(model)}/{self.image_size}/{precision}"
        self._model = model.eval()
        self._predictor = BoundPredictor(self._model)
        self._bfloat16 = precision == "bfloat16"
        self._cache = PreparedCache(cache_bytes)
        self._encoding = threading.Lock()

    @property
    def mask_size(self) -> int:
        """Side of the mask logits, a quarter of the image size."""
        return self.image_size // 4

    def prepare(self, image: np.ndarray) -> Prepared:
        """Run the encoder on (H, W) or (H, W, 3), uint8 or fractions from 0 to 1; at once when this content was seen before.

        Raises PromptRefused with a sentence when the array is no such picture.
        """
        pixels = check_image(image, max_pixels=MAX_PIXELS)
        key = _hash_image(pixels, self.fingerprint)
        found = self._cache.get(key)
        if found is not None:
            return found
        with self._encoding:  # a second visitor with the same picture waits here and then finds it
            found = self._cache.get(key)
            if found is None:
                height, width = pixels.shape[:2]
                found = Prepared(key, self.fingerprint, height, width, self._encode(pixels))
                self._cache.put(found)
        return found

    def run(
        self,
        prepared: Prepared,
        points: Sequence[Point] = (),
        boxes: Sequence[Box] = (),
        multimask: bool = True,
        mask_input: np.ndarray | None = None,
    ) -> Masks:
        """Masks for one prompt.

        `points`: (x, y, 1 inside | 0 outside); `boxes`: (x0, y0, x1, y1), all in pixel indices of the image. One box and any points
        describe one object. Several boxes, without points, describe one object each: the answer then holds the best mask of each,
        in their order. `multimask` offers three candidates (good for one click); without it one mask (good for a box or many clicks).
        `mask_input`: one of an earlier answer's logits, (h, h), to be refined. Raises PromptRefused with a sentence.
        """
        if prepared.model != self.fingerprint:
            raise PromptRefused("This picture was prepared with another segmenter or size; prepare it again with this one.")
        size = {"height": prepared.height, "width": prepared.width}
        i_points, labels = check_points(points, **size)
        i_boxes = check_boxes(boxes, **size)
        _check_prompt(labels, i_boxes, mask_input)
        mask_logits = None if mask_input is None else torch.from_numpy(check_mask_input(mask_input, size=self.mask_size))
        m_points = torch.from_numpy(m_from_i_points(i_points, side=self.image_size, **size))
        m_boxes = torch.from_numpy(m_from_i_boxes(i_boxes, side=self.image_size, **size))
        predictor = self._predictor.bound(prepared)
        given = torch.from_numpy(labels)
        if len(m_boxes) > 1:
            return _collect([_best(predictor.answer(m_points, given, box, None, multimask)) for box in m_boxes])
        return _collect([predictor.answer(m_points, given, m_boxes[0] if len(m_boxes) else None, mask_logits, multimask)])

    def automatic(
        self,
        image: np.ndarray | Prepared,
        *,
        points_per_side: int = 16,
        score_threshold: float = 0.8,
        stability_threshold: float = 0.95,
        overlap_threshold: float = 0.7,
        min_area: int = 0,
        sort: Literal["area", "score"] = "area",
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Proposal]:
        """Segments of the whole picture from a grid of points, the largest (or best) first.

        Defaults are the package's, but for a grid of 16 × 16 instead of 32 × 32, which a CPU answers four times sooner.
        `overlap_threshold`: of two segments whose boxes overlap more, the weaker is dropped. `min_area` in pixels of the image.
        `progress(done, of)` is called after each batch of points; what it raises stops the work. ValueError for settings out of range.
        """
        _check_automatic(points_per_side, score_threshold, stability_threshold, overlap_threshold, sort)
        prepared = image if isinstance(image, Prepared) else self.prepare(image)
        if prepared.model != self.fingerprint:
            raise PromptRefused("This picture was prepared with another segmenter or size; prepare it again with this one.")
        generator = SteppedGenerator(
            self._predictor.bound(prepared),
            progress=progress,
            points_per_side=points_per_side,
            pred_iou_thresh=score_threshold,
            stability_score_thresh=stability_threshold,
            box_nms_thresh=overlap_threshold,
        )
        scale = min(1.0, CANVAS_SIDE / max(prepared.height, prepared.width))
        canvas = (max(1, round(prepared.height * scale)), max(1, round(prepared.width * scale)))
        # The generator looks only at the canvas's size: its predictor already holds the features.
        found = generator.generate(np.broadcast_to(np.uint8(0), (*canvas, 3)))
        proposals = [_proposal(entry, prepared, canvas) for entry in found]
        kept = [proposal for proposal in proposals if proposal.area >= max(1, min_area)]
        return sorted(kept, key=lambda one: (one.area, one.score) if sort == "area" else (one.score, one.area), reverse=True)

    @torch.inference_mode(False)  # features made under a caller's inference mode could not be used outside it
    @torch.no_grad()
    def _encode(self, pixels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        device = self._model.device
        square = self._predictor.square(pixels).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._bfloat16):
            embedding, fine, middle = encode(self._model, square)
        return embedding.float(), fine.float(), middle.float()


def _bfloat16_pays(model: SAM2Base) -> bool:
    """Whether the encoder is faster in bfloat16: on GPUs that compute in it, and on CPUs with such instructions for large networks.

    Measured on 2 cores of an EPYC with AVX-512-BF16, Hiera-Tiny at 512 px: 0.19 s instead of 0.44 s, the same mean box Dice (0.910)
    over 40 breast ultrasound images. Emulated, it is slower; and the small network gains nothing worth another rounding.
    """
    if model.device.type == "cuda":
        return bf16_pays(model.device)
    able = torch.cpu.get_capabilities()
    large = sum(parameter.numel() for parameter in model.parameters()) > LARGE
    return large and bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _check_prompt(labels: np.ndarray, i_boxes: np.ndarray, mask_input: np.ndarray | None) -> None:
    if len(i_boxes) > 1 and (len(labels) or mask_input is not None):
        raise PromptRefused("Points and an earlier mask go with one box only; keep one box, or give several boxes alone.")
    if len(i_boxes) or mask_input is not None:
        return
    if not len(labels):
        raise PromptRefused("Nothing was marked; click inside what you want outlined, or draw a box around it.")
    if not labels.any():
        raise PromptRefused("Every point is marked as outside; add a point inside what you want outlined, or a box around it.")


def _check_automatic(points_per_side: int, score: float, stability: float, overlap: float, sort: str) -> None:
    if not 1 <= points_per_side <= 64:
        raise ValueError(f"A grid of {points_per_side} points a side cannot be used; take 1 to 64.")
    for what, value in (("score", score), ("stability", stability), ("overlap", overlap)):
        if not 0 <= value <= 1:
            raise ValueError(f"The {what} threshold is {value}; it must lie between 0 and 1.")
    if sort not in ("area", "score"):
        raise ValueError(f"Segments cannot be sorted by {sort!r}; use area or score.")


def _best(answer: Answer) -> Answer:
    """The candidate with the highest score alone, copied so that the others' memory is given back."""
    k = int(np.argmax(answer[1]))
    masks, scores, logits = (part[k : k + 1].copy() for part in answer)
    return masks, scores, logits


def _collect(answers: list[Answer]) -> Masks:
    masks, scores, logits = (np.concatenate(parts) for parts in zip(*answers, strict=True))
    return Masks(masks, scores, logits, int(np.argmax(scores)))


def _proposal(entry: dict[str, Any], prepared: Prepared, canvas: tuple[int, int]) -> Proposal:
    """The generator's record in pixels of the image."""
    rows = np.arange(prepared.height) * canvas[0] // prepared.height
    columns = np.arange(prepared.width) * canvas[1] // prepared.width
    mask = np.asarray(entry["segmentation"], bool)[rows[:, None], columns]  # H W
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (int(xs[0]), int(ys[0]), int(xs[-1]), int(ys[-1])) if len(xs) else (0, 0, 0, 0)
    x, y = entry["point_coords"][0]
    point = (int(x * prepared.width / canvas[1]), int(y * prepared.height / canvas[0]))
    return Proposal(mask, int(mask.sum()), float(entry["predicted_iou"]), float(entry["stability_score"]), point, box)


def _hash_image(pixels: np.ndarray, fingerprint: str) -> str:
    digest = hashlib.sha256(f"{fingerprint}|{pixels.shape}|{pixels.dtype}|".encode())
    digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()


def _hash_weights(model: SAM2Base) -> str:
    digest = hashlib.blake2b(digest_size=20)
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy())
    return digest.hexdigest()
