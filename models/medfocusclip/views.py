"""One look of CLIP at one picture: probabilities, attention of the class token, and how much of it lies in a region. Looks are kept by content.

B = 1 picture, C classes, L blocks, h heads, gh × gw patches, N tokens, S side of CLIP's square, E joint size.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.medfocusclip.answers import View
from models.medfocusclip.heads import Head
from models.medfocusclip.losses import entropy
from models.medfocusclip.options import Mode
from models.shared.attention import class_map, mass_inside, rollout, upsample
from models.shared.backbones.clip import Clip, Look

KEPT_LOOKS = 64


class Looker:
    """Passes through CLIP, the latest ones kept. Safe to use from several threads."""

    def __init__(self) -> None:
        self._looks: OrderedDict[str, Look] = OrderedDict()
        self._lock = threading.Lock()

    def look(self, clip: Clip, tower: str, picture: np.ndarray, bias: Mapping[int, Tensor]) -> Look:
        """One pass with all attention; `tower` names the weights. `picture` (H, W, 3) uint8."""
        digest = hashlib.sha256(f"{tower}|{picture.shape}|".encode() + picture.tobytes())
        for layer, scores in sorted(bias.items()):
            digest.update(f"|{layer}|".encode() + scores.numpy(force=True).tobytes())
        key = digest.hexdigest()
        with self._lock:
            if (found := self._looks.get(key)) is not None:
                self._looks.move_to_end(key)
                return found
        with torch.inference_mode():
            made = clip.look(clip.preprocess(picture), layers=range(clip.layers), bias={k: b.to(clip.device) for k, b in bias.items()})
        with self._lock:
            self._looks[key] = made
            while len(self._looks) > KEPT_LOOKS:
                self._looks.popitem(last=False)
        return made

    @torch.inference_mode()
    def view(self, mode: Mode, clip: Clip, head: Head, picture: np.ndarray, bias: Mapping[int, Tensor], share: Tensor | None) -> View:
        """One mode's result for a picture as it goes in, (H, W, 3) uint8. `share` (gh, gw): the region; None where it has another frame."""
        weights = head.weights(mode)
        look = self.look(clip, f"{head.key}|{weights}", picture, bias)
        logits = (clip.logit_scale * F.normalize(look.features, dim=-1) @ head.texts.mT)[0].float().cpu()
        probabilities = logits.softmax(-1)
        maps = class_map(look.attention, clip.grid)[0].float().cpu()  # L h gh gw
        flow = class_map(rollout(look.attention), clip.grid)[0].float().cpu()  # gh gw
        nothing = torch.full(maps.shape[:2], torch.nan)
        mass = nothing if share is None else mass_inside(maps, share)
        return View(
            mode=mode,
            picture=picture,
            clip_input=clip_input(clip, picture),
            probabilities=probabilities.numpy(),
            logits=logits.numpy(),
            entropy=float(entropy(probabilities)),
            attention=maps.numpy(),
            rollout=flow.numpy(),
            mass=mass.numpy(),
            rollout_mass=float("nan") if share is None else float(mass_inside(flow, share)),
            weights=weights,
        )

    @torch.inference_mode()
    def agreement(self, clip: Clip, texts: Tensor, picture: np.ndarray, shares: Sequence[Tensor]) -> list[float]:
        """For each region (gh, gw): the highest cosine of its mean patch with one of the texts (C, E)."""
        if not shares:
            return []
        patches = clip.patch_tokens(clip.preprocess(picture))[0]  # n E
        weights = torch.stack([share.flatten() for share in shares]).to(patches)  # regions n
        regions = F.normalize(weights @ patches, dim=-1)  # the mean's length does not matter
        return (regions @ texts.mT).max(dim=1).values.tolist()


def clip_input(clip: Clip, picture: np.ndarray) -> np.ndarray:
    """The (S, S, 3) uint8 picture that CLIP sees: after its resizing, before its normalisation."""
    ready = clip.preprocess(picture)[0].cpu()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (clip.preprocess_config.mean, clip.preprocess_config.std))
    return (ready * std + mean).clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()


def heat(patch_map: np.ndarray, shape: tuple[int, int], seen_box: tuple[float, float, float, float]) -> np.ndarray:
    """A map over patches (gh, gw) spread over the picture: (H, W) float32; 0 where CLIP saw nothing. For drawing over `View.picture`."""
    return upsample(torch.from_numpy(np.ascontiguousarray(patch_map)), shape, seen_box).numpy()
