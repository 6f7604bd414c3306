"""Between the page's marks and the room `models.medfocusclip`: which backbones answer, segments there and back, errors as sentences.

Nothing here imports PyTorch until somebody asks for an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from models.medfocusclip.segments import Segment as Outlined
from models.medfocusclip.segments import make_segment
from workbench.parts.segments import Marks, Segment

if TYPE_CHECKING:
    from models.medfocusclip.answers import Prepared
    from models.medfocusclip.wrapper import MedFocus
    from workbench.context import Context
    from workbench.tabs.medfocusclip.scan import Scan


def room(context: Context, clip: str, segmenter: str) -> MedFocus:
    """The room with these backbones, shared by all visitors. Raises ClipRefused or CheckpointRefused with a sentence."""
    from models.medfocusclip.wrapper import load

    return load(clip, segmenter, device=context.find_device())


def prepare(rooms: MedFocus, made: Scan) -> Prepared:
    """The picture with its embedding; the encoder runs for a picture it has not seen, and then no more."""
    return rooms.prepare(made.pixels)


def outlined(segments: Sequence[Segment]) -> list[Outlined]:
    """Segments of the page as the room takes them."""
    return [
        make_segment(
            one.mask,
            score=1.0 if one.iou is None else one.iou,
            stability=1.0 if one.stability is None else one.stability,
            point=_seed(one),
            source="user" if one.origin == "brush" else "sam2",
        )
        for one in segments
    ]


def for_page(found: Sequence[Outlined], *, origin: str = "auto", word: str = "Found") -> list[Segment]:
    """Segments of the room as the canvas takes them."""
    return [
        Segment(
            id=0,
            name=f"{word} {number}",
            mask=one.mask,
            on=not one.background,
            origin=origin,
            iou=one.score,
            stability=one.stability,
            points=() if one.point is None else ((float(one.point[0]), float(one.point[1]), 1),),
        )
        for number, one in enumerate(found, 1)
    ]


def belongs(marks: Marks, made: Scan) -> bool:
    """Whether what is marked was marked on this picture; a late event of the picture before is not."""
    return marks.picture == made.id and (marks.height, marks.width) == made.pixels.shape[:2]


def stamp_of(context: Context, rooms: MedFocus, **settings: Any) -> dict[str, Any]:
    """What made a result, for the files people take along."""
    from workbench.exports import stamp

    checkpoints = {f"CLIP {rooms.clip.name}": rooms.clip.sha256, f"segmenter {rooms.segmenter}": rooms.sam.fingerprint if rooms.sam else ""}
    return stamp("medfocusclip", checkpoints=checkpoints, device=context.device, **settings)


def _seed(segment: Segment) -> tuple[int, int] | None:
    return next(((round(x), round(y)) for x, y, label in segment.points if label), None)
