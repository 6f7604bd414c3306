"""Which levels a slide is served with: its own where they pass as they are, further ones in between and below.

Between two levels that are sent as they are a factor of four is bearable, as a browser then draws at most a few times the tiles it shows; where tiles
are decoded anyway, levels a factor of two apart cost the server least.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from models.shared.slides import Level, PyramidSource, SlideRefused
from workbench.slides import limits
from workbench.slides.facts import TileLevel
from workbench.slides.pieces import TILE_PX, grid
from workbench.slides.tiffindex import TilePage

_ROOM = 1.2  # a level in between must be finer than the next one by this factor, else it is not worth having


@dataclass(frozen=True)
class Draft:
    """A served level in the making; `page` where its tiles are the file's own."""

    level: TileLevel
    page: TilePage | None = None


def usable(source: PyramidSource) -> tuple[int, bool]:
    """How many of the slide's levels can be used, from the finest on, and whether coarser ones have to be made from the last of them.

    Raises SlideRefused where they would have to be but that one is too large.
    """
    count = 1
    for finer, coarser in pairwise(source.levels):
        if coarser.across / finer.across > limits.WIDEST_GAP:
            break
        count += 1
    last = source.levels[count - 1]
    area = last.width * last.height
    if area > limits.BUILT_PX:
        what = "it has no coarser level" if count == len(source.levels) else "the next level is far coarser"
        raise SlideRefused(
            f"The slide cannot be shown from afar: at {last.width:,} × {last.height:,} pixels {what}; please export it with a full pyramid."
        )
    return count, area > limits.LOWEST_PX


def draft(source: PyramidSource, own: dict[int, TilePage], count: int, *, below: bool) -> list[Draft]:
    """The levels, finest first: the slide's first `count` with what is put in between and, if `below`, decoded ones down to a small picture."""
    drafts: list[Draft] = []
    for number in range(count):
        level = source.levels[number]
        drafts.append(_stored(number, level, own.get(number)))
        if number + 1 < count:
            scales = _between(level.across, source.levels[number + 1].across, step=4.0 if 0 in own else 2.0)
            drafts += [decoded(source, scale) for scale in scales]
    scale = source.levels[count - 1].across
    while below and max(source.width, source.height) / scale > limits.COARSEST_PX:
        scale *= 2
        drafts.append(decoded(source, scale))
    return drafts


def decoded(source: PyramidSource, scale: float) -> Draft:
    """A level that is made from a finer one."""
    width, height = max(1, -int(-source.width // scale)), max(1, -int(-source.height // scale))
    return Draft(TileLevel(width, height, TILE_PX, TILE_PX, *grid(width, height, (TILE_PX, TILE_PX)), kind="decoded", scale=scale))


def _stored(number: int, level: Level, page: TilePage | None) -> Draft:
    tile = page.tile if page else (TILE_PX, TILE_PX)
    kind = "native" if page else "decoded"
    served = TileLevel(
        level.width, level.height, *tile, *grid(level.width, level.height, tile), kind=kind, scale=level.across, source=number
    )
    return Draft(served, page)


def _between(finer: float, coarser: float, *, step: float) -> list[float]:
    """Scales between two levels, finest first, a factor of `step` apart counted from the coarser one."""
    scales: list[float] = []
    if step > 2 and coarser / finer <= limits.GAP:
        return scales
    scale = coarser / step
    while scale > finer * _ROOM:
        scales.append(scale)
        scale /= step
    return scales[::-1]
