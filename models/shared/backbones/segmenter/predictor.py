"""The package's image predictor and mask generator, with their state kept apart and their sizes told from the network.

In this release (1.1.0) the predictor holds one picture as its own state, writes the feature sizes of a 1024 px network into itself, and
logs through the root logger. Here features come from a `Prepared`, so that one network can serve several people at once.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_image_predictor import SAM2ImagePredictor

from models.shared.backbones.segmenter.records import Prepared

# The package prepares its resizing with a part of PyTorch that announces its own end at each use; nothing a reader of the log can change.
warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is deprecated", category=FutureWarning)

Answer = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Masks (K, H, W) bool, scores (K,) and logits (K, h, h) float32."""


class BoundPredictor(SAM2ImagePredictor):
    """The package's predictor with sizes told from the network, and features that come from a `Prepared`."""

    def __init__(self, model: SAM2Base) -> None:
        super().__init__(model)
        fine = model.image_size // 4
        self._bb_feat_sizes = [(fine, fine), (fine // 2, fine // 2), (fine // 4, fine // 4)]
        self._prepared: Prepared | None = None

    def square(self, pixels: np.ndarray) -> torch.Tensor:
        """(H, W) or (H, W, 3) → (1, 3, S, S) normalised, by the package's own resizing."""
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[:, :, None], 3, axis=2)
        return self._transforms(np.array(pixels))[None]  # a copy: the resizing wants memory it may write to

    def bound(self, prepared: Prepared) -> BoundPredictor:
        """A copy that shares the weights and holds this picture."""
        twin = copy.copy(self)
        twin._prepared = prepared
        twin._show(prepared.height, prepared.width)
        return twin

    def answer(
        self, m_points: torch.Tensor, labels: torch.Tensor, m_box: torch.Tensor | None, mask_logits: torch.Tensor | None, multimask: bool
    ) -> Answer:
        """One object: (N, 2) points, (N,) labels, (4,) box, (1, h, h) logits of an earlier mask."""
        device = self.device
        found = self._predict(
            m_points[None].to(device) if len(m_points) else None,
            labels[None].to(device) if len(m_points) else None,
            None if m_box is None else m_box[None].to(device),
            None if mask_logits is None else mask_logits[None].to(device),
            multimask,
        )
        masks, scores, logits = (part[0].cpu().numpy() for part in found)
        return masks, scores, logits

    def set_image(self, image: np.ndarray) -> None:
        """Called by the mask generator: takes the size of the canvas and keeps the bound features."""
        self._show(*image.shape[:2])

    def _show(self, height: int, width: int) -> None:
        embedding, fine, middle = self._prepared.features
        self._features = {"image_embed": embedding, "high_res_feats": [fine, middle]}
        self._orig_hw = [(height, width)]
        self._is_image_set = True


class SteppedGenerator(SAM2AutomaticMaskGenerator):
    """The package's generator on a bound predictor, telling how far it is."""

    def __init__(self, predictor: BoundPredictor, *, progress: Callable[[int, int], None] | None, **thresholds: Any) -> None:
        super().__init__(predictor.model, **thresholds)
        self.predictor = predictor
        self._progress = progress
        self._done = 0

    def _process_batch(self, points: np.ndarray, *args: Any, **kwargs: Any) -> Any:
        data = super()._process_batch(points, *args, **kwargs)
        self._done += len(points)
        if self._progress is not None:
            self._progress(self._done, len(self.point_grids[0]))
        return data
