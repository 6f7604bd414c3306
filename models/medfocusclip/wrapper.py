"""What the screen calls: one picture prepared once, then clicks, segments and classifications as often as wanted.

    room = load("small", "auto")                    # CLIP and segmenter by name
    prepared = room.prepare(picture)                # the segmenter's encoder runs here, once for each content
    outline = room.segment(prepared, points=[(60, 40, 1)])
    segments = room.propose(prepared)
    answer = room.classify(prepared, segments, Options(classes=("glioma", "no tumour")))
    room.counterfactual(prepared, segments, options); room.palettes(prepared, segments, options)

Everything handed back is a frozen record of arrays (`answers`). Safe to use from several threads: a room keeps no state of a visitor, only caches
by content. `classify` is this room's `run`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.medfocusclip import painting
from models.medfocusclip.answers import Answer, Outline, PaletteTest, Prepared, Removal, View, choose_focus
from models.medfocusclip.guidance import guide, token_share
from models.medfocusclip.heads import Head, head_names, trained_head, zero_shot
from models.medfocusclip.options import ZERO_SHOT, Mode, OptionRefused, Options
from models.medfocusclip.providers import ClassicalProvider, GridOptions, Progress, Sam2Provider
from models.medfocusclip.segments import Segment, foreground, make_segment, union
from models.medfocusclip.text_marks import find_text, hide_text
from models.medfocusclip.views import Looker
from models.shared.backbones.clip import Clip, load_clip
from models.shared.backbones.segmenter import PromptRefused, load_sam2
from models.shared.checkpoints import CheckpointRefused

if TYPE_CHECKING:
    from models.shared.backbones.segmenter.records import Box, Point
    from models.shared.backbones.segmenter.wrapper import Sam2

CLASSICAL = "classical"
"""The segmenter without a network."""
PALETTE_COUNT = 20
_QUICK_SIDE = 512
"""Image size of the published segmenters here: five times faster on a CPU than their own 1024."""


@lru_cache(maxsize=4)
def load(clip: str = "small", segmenter: str = "auto", *, image_size: int | None = None, device: str = "cpu") -> MedFocus:
    """The room with these backbones, kept for the next caller.

    `clip`: see `load_clip`. `segmenter`: a name in `segmenter.SPECS`, "classical" (no network), or "auto": the small SAM 2, else Hiera-Tiny at 512
    pixels, else classical, whichever is on this machine. Raises ClipRefused or CheckpointRefused with a sentence.
    """
    return MedFocus(load_clip(clip, device), find_segmenter(segmenter, image_size=image_size, device=device))


def find_segmenter(name: str, *, image_size: int | None = None, device: str = "cpu") -> Sam2 | None:
    """The segmenter of that name, None for the classical one."""
    if name == CLASSICAL:
        return None
    if name != "auto":
        side = image_size or (None if name == "small" else _QUICK_SIDE)
        return load_sam2(name, device, side, precision="auto")
    for known in ("small", "sam2_hiera_tiny"):
        try:
            return find_segmenter(known, image_size=image_size, device=device)
        except CheckpointRefused:
            continue
    return None


class MedFocus:
    """A CLIP and a segmenter at work together."""

    def __init__(self, clip: Clip, sam: Sam2 | None = None) -> None:
        """`sam` None: the classical stand-in answers clicks and proposes segments."""
        self.clip = clip
        self.sam = sam
        self._looker = Looker()

    @property
    def segmenter(self) -> str:
        """Name of the segmenter in use."""
        return self.sam.name if self.sam else CLASSICAL

    def heads(self) -> tuple[str, ...]:
        """What `Options.head` may be here: "zero-shot" and the trained heads of the shipped checkpoint, if it is there."""
        return (ZERO_SHOT, *head_names())

    # ------------------------------------------------------------------ segments
    def prepare(self, picture: np.ndarray) -> Prepared:
        """(H, W) or (H, W, 3), bytes or fractions, made ready; the segmenter's encoder runs only for content it has not seen."""
        pixels = painting.as_bytes(painting.as_rgb(picture))
        embedding = self.sam.prepare(pixels) if self.sam else None
        key = hashlib.sha256(f"{self.segmenter}|{pixels.shape}|".encode() + pixels.tobytes()).hexdigest()
        return Prepared(key, pixels, painting.image_seed(pixels), embedding)

    def segment(
        self, prepared: Prepared, points: Sequence[Point] = (), boxes: Sequence[Box] = (), *, earlier: np.ndarray | None = None
    ) -> Outline:
        """Outline what was marked.

        `points`: (x, y, 1 inside | 0 outside); `boxes`: (x0, y0, x1, y1). One box with any points is one object; several boxes alone are one object
        each. `earlier`: one row of an earlier `Outline.logits`, to be refined. Raises PromptRefused with a sentence.
        """
        if self.sam is None:
            return self._classical_outline(prepared, points, boxes)
        lone_click = len(points) == 1 and not boxes and earlier is None
        found = self.sam.run(prepared.embedding, points, boxes, multimask=lone_click, mask_input=earlier)
        order = list(range(len(boxes))) if len(boxes) > 1 else list(np.argsort(-found.scores))
        inside = next(((round(x), round(y)) for x, y, label in points if label), None)
        made = [make_segment(found.masks[k], score=float(found.scores[k]), point=inside, source="sam2") for k in order]
        return Outline(tuple(made), found.logits[order])

    def propose(self, prepared: Prepared, grid: GridOptions = GridOptions(), progress: Progress | None = None) -> tuple[Segment, ...]:  # noqa: B008
        """Automatic segments, the largest first; `progress(done, of)` is called on the way and may raise to stop."""
        if self.sam is None:
            return tuple(ClassicalProvider(grid).propose(prepared.picture, progress))
        return tuple(Sam2Provider(self.sam, grid).propose(prepared.picture, progress))

    def drawn(self, prepared: Prepared, mask: np.ndarray) -> Segment:
        """A segment from a drawn or corrected mask (H, W) bool. OptionRefused when it is not of the picture's size."""
        painting.check_masks([mask], prepared.shape)
        return make_segment(mask, source="user")

    def _classical_outline(self, prepared: Prepared, points: Sequence[Point], boxes: Sequence[Box]) -> Outline:
        provider = ClassicalProvider()
        inside = [point for point in points if point[2] == 1]
        if len(boxes) > 1 and points:
            raise PromptRefused("Points go with one box only; keep one box, or give several boxes alone.")
        if not inside and not boxes:
            raise PromptRefused("Nothing was marked; click inside what you want outlined, or draw a box around it.")
        if boxes and not inside:
            return Outline(tuple(self._in_box(provider, prepared, box) for box in boxes), None)
        mask = union([provider.at(prepared.picture, point[:2]) for point in inside], prepared.shape)
        mask &= ~union([provider.at(prepared.picture, point[:2]) for point in points if point[2] == 0], prepared.shape)
        for box in boxes:
            mask &= _box_mask(box, prepared.shape)
        return Outline((make_segment(mask, point=tuple(map(round, inside[0][:2])), source="classical"),), None)

    def _in_box(self, provider: ClassicalProvider, prepared: Prepared, box: Box) -> Segment:
        x0, y0, x1, y1 = box
        grown = provider.at(prepared.picture, ((x0 + x1) / 2, (y0 + y1) / 2))
        return make_segment(grown.mask & _box_mask(box, prepared.shape), stability=grown.stability, point=grown.point, source="classical")

    # ------------------------------------------------------------------ answers
    def classify(self, prepared: Prepared, segments: Sequence[Segment], options: Options) -> Answer:
        """Every asked mode's probabilities and attention. OptionRefused or ClipRefused with a sentence for settings that cannot be used.

        `segments` are those that are switched on. The region is made of `options.focus`, or chosen by `options.focus_rule`; without any
        segment to point at, it is the whole picture, and binary, attention and the drawn prompts then change nothing or say nothing.
        """
        painting.check_masks([one.mask for one in segments], prepared.shape)
        head = self._head(options)
        boxes = find_text(prepared.picture) if options.hide_text else []
        picture = hide_text(prepared.picture, boxes) if boxes else prepared.picture
        focus = self._focus(head, picture, segments, options)
        region = union([segments[k] for k in focus], prepared.shape) if focus else np.ones(prepared.shape, bool)
        clip = head.clip("plain")
        share = token_share(torch.from_numpy(region), clip)  # gh gw
        views = {mode: self._view(head, mode, picture, segments, region, share, prepared.seed, options) for mode in options.modes}
        return Answer(
            head.classes,
            head.prompts,
            MappingProxyType(views),
            region,
            focus,
            share.numpy(),
            clip.seen_box(*prepared.shape),
            tuple(boxes),
        )

    def counterfactual(
        self, prepared: Prepared, segments: Sequence[Segment], options: Options, mode: Mode = "painted"
    ) -> tuple[Removal, ...]:
        """What leaving out each segment does to one mode's answer, the most telling first. The region loses the segment too."""
        alone = replace(options, modes=(mode,))
        full = self.classify(prepared, segments, alone)
        removals = []
        for number in range(len(segments)):
            rest = [one for k, one in enumerate(segments) if k != number]
            focus = tuple(k - (k > number) for k in full.focus if k != number)
            without = self.classify(prepared, rest, replace(alone, focus=focus))
            removals.append(Removal(number, full.views[mode].probabilities, without.views[mode].probabilities))
        return tuple(sorted(removals, key=lambda one: -one.change))

    def palettes(self, prepared: Prepared, segments: Sequence[Segment], options: Options, n: int = PALETTE_COUNT) -> PaletteTest:
        """The painted picture's answer under `n` random palettes (seeds 0 … n − 1). OptionRefused for fewer than 2 or more than 200."""
        if not 2 <= n <= 200:
            raise OptionRefused(f"{n} palettes cannot be tried; take 2 to 200.")
        plain = self.classify(prepared, segments, replace(options, modes=("plain",)))
        rows = []
        for seed in range(n):
            coloured = replace(options.painting, palette="random", seed=seed)
            answer = self.classify(prepared, segments, replace(options, modes=("painted",), painting=coloured, focus=plain.focus))
            rows.append(answer.views["painted"].probabilities)
        return PaletteTest(plain.classes, tuple(range(n)), np.stack(rows), plain.views["plain"].probabilities)

    # ------------------------------------------------------------------ inner steps
    def _head(self, options: Options) -> Head:
        if options.head == ZERO_SHOT:
            return zero_shot(self.clip, options.classes, options.template)
        return trained_head(options.head, options.weights)

    def _focus(self, head: Head, picture: np.ndarray, segments: Sequence[Segment], options: Options) -> tuple[int, ...]:
        similarity = {}
        if options.focus is None and options.focus_rule == "text":
            clip = head.clip("plain")
            found = foreground(segments)
            shares = [token_share(torch.from_numpy(segments[k].mask), clip) for k in found]
            similarity = dict(zip(found, self._looker.agreement(clip, head.texts, picture, shares), strict=True))
        return choose_focus(segments, options.focus, options.focus_rule, similarity)

    def _view(
        self,
        head: Head,
        mode: Mode,
        picture: np.ndarray,
        segments: Sequence[Segment],
        region: np.ndarray,
        share: torch.Tensor,
        seed: int,
        options: Options,
    ) -> View:
        clip = head.clip(mode)
        masks = [one.mask for one in segments]
        shown = painting.as_bytes(painting.shown(mode, picture, masks, region, options.painting, seed))
        bias = guide(share.reshape(1, -1), options.guidance, clip.layers) if mode == "attention" else {}
        return self._looker.view(mode, clip, head, shown, bias, None if mode == "crop" else share)


def _box_mask(box: Box, shape: tuple[int, int]) -> np.ndarray:
    x0, y0, x1, y1 = box
    mask = np.zeros(shape, bool)
    mask[max(0, round(min(y0, y1))) : round(max(y0, y1)) + 1, max(0, round(min(x0, x1))) : round(max(x0, x1)) + 1] = True
    return mask
