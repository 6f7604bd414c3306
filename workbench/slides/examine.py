"""Is this a slide that can be served, and how? Runs in a process of its own (`probe`): here a file from anywhere is opened for the first time.

The answer is a `Plan` and, beside it, `index.npy` (where the file's own JPEG tiles lie) and `tiles.bin` with `built.npy` (tiles made now, for pictures
without a pyramid and below levels that are too large to be the coarsest).
"""

from __future__ import annotations

import io
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from models.shared.slides import PixelSource, PyramidSource, SlideRefused, open_source
from models.shared.slides.by_openslide import companions
from models.shared.slides.resample import area_average
from workbench.imaging import InputRefused
from workbench.imaging.codestream import check_scans
from workbench.imaging.limits import Limits
from workbench.slides import limits
from workbench.slides.built import build
from workbench.slides.drafts import Draft, draft, usable
from workbench.slides.facts import Plan
from workbench.slides.pieces import TILE_PX, encode
from workbench.slides.tiffindex import CODINGS, TilePage, tile_pages
from workbench.slides.tilefile import INDEX, THUMB, joined

_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_JPEG = b"\xff\xd8\xff"
_OWN_TIFF = ("aperio", "generic-tiff", "tiff")  # formats whose levels are the file's own pages, tile by tile
_SAMPLES = 12  # pieces of each level that are read for trial
_NEAR = 3.0  # grey values by which a browser's decoder may differ from OpenSlide's on average


def examine(path: Path, folder: Path, *, native: bool = True) -> Plan:
    """Open, check, read for trial and plan the slide at `path`; what is made for it goes to `folder`. Raises SlideRefused.

    native=False packs every tile anew, also where the file's own could be passed on.
    """
    pages = _pages(path)
    with open_source(path) as source:
        _check_size(source, path)
        if isinstance(source, PixelSource):
            reason = "the picture has no pyramid, so its tiles were made once, when it was opened"
            _save_thumb(source, folder)
            return _plan(source, [Draft(level) for level in build(source, folder, 1.0)], reason)
        count, build_below = usable(source)
        own, why = _own(source, pages)
        _read_for_trial(source, count)
        if native and 0 in own:
            own = {number: page for number, page in own.items() if _looks_alike(source, number, page, path)}
            why = why if 0 in own else "in a browser its JPEG tiles would have other colours"
        if not native or 0 not in own:
            own = {}
        drafts = draft(source, own, count, below=not build_below)
        if build_below:
            pixels, scale = _half(source, count)
            drafts += [Draft(level) for level in build(pixels, folder, scale)]
            _save_thumb(pixels, folder)
        else:
            _save_thumb(source, folder)
        reason = "the slide's own JPEG tiles are passed on untouched" if own else f"tiles are decoded and packed again as JPEG, as {why}"
        return _plan(source, _indexed(drafts, folder), reason)


def _pages(path: Path) -> list[TilePage]:
    with path.open("rb") as file:
        head = file.read(4)
        if head.startswith(_JPEG):
            try:
                check_scans(head + file.read(limits.CHILD_FILE_BYTES), limits=Limits())
            except InputRefused as refused:
                raise SlideRefused(str(refused)) from None
    return tile_pages(path) if head in _TIFF else []


def _check_size(source: PyramidSource, path: Path) -> None:
    stored = sum(file.stat().st_size for file in (path, *companions(path, source.vendor)))
    if max(source.width, source.height) > limits.MAX_SIDE_PX or source.width * source.height > limits.MAX_PIXELS_PER_BYTE * stored:
        raise SlideRefused(
            f"The slide claims {source.width:,} × {source.height:,} pixels, which does not fit what the file holds; please export it again."
        )


def _own(source: PyramidSource, pages: list[TilePage]) -> tuple[dict[int, TilePage], str]:
    """The pages whose tiles may be passed on, by level number; and why not, where that of level 0 may not."""
    if source.vendor not in _OWN_TIFF:
        return {}, "this format does not store them as plain JPEG tiles"
    own: dict[int, TilePage] = {}
    why = "the file does not store them as tiles"
    for number, level in enumerate(source.levels):
        fits = [page for page in pages if (page.width, page.height) == (level.width, level.height) and page.tile == level.tile]
        if not fits:
            continue
        page = fits[0]
        if page.passes and page.tile[0] * page.tile[1] <= limits.PASSED_TILE_PX:
            own[number] = page
        elif number == 0:
            large = "its tiles are too large to be sent whole"
            why = large if page.passes else f"the file stores them as {CODINGS.get(page.coding, 'something other than JPEG')}"
    return own, why


def _read_for_trial(source: PyramidSource, count: int) -> None:
    """Read corners, centre and some places drawn at random of each level. Raises SlideRefused when one cannot be read or takes too long."""
    rng = np.random.default_rng()
    for number in range(count):
        level = source.levels[number]
        columns, rows = -(-level.width // TILE_PX), -(-level.height // TILE_PX)
        places = {(0, 0), (columns - 1, rows - 1), (columns // 2, rows // 2), (columns - 1, 0), (0, rows - 1)}
        places |= {(int(rng.integers(columns)), int(rng.integers(rows))) for _ in range(_SAMPLES - len(places))}
        for column, row in places:
            began = time.process_time()
            source.region(number, column * TILE_PX, row * TILE_PX, TILE_PX, TILE_PX)
            if time.process_time() - began > limits.PIECE_S:
                raise SlideRefused(
                    "The slide stores its pixels so that each small part takes seconds to read; please export it with tiles of 256 or 512."
                )


def _looks_alike(source: PyramidSource, number: int, page: TilePage, path: Path) -> bool:
    """Whether some tiles, decoded as a browser would, are what OpenSlide shows."""
    stored = np.flatnonzero(page.index[:, 1])
    if not len(stored):
        return False
    columns = page.grid[0]
    chosen = {stored[0], stored[-1], stored[np.argmax(page.index[stored, 0])], *np.random.default_rng().choice(stored, min(6, len(stored)))}
    with path.open("rb") as file:
        for place in map(int, chosen):
            offset, count = page.index[place].tolist()
            file.seek(offset)
            left, top = place % columns * page.tile[0], place // columns * page.tile[1]
            width, height = min(page.tile[0], page.width - left), min(page.tile[1], page.height - top)
            shown = _as_browser(joined(page.head, file.read(count)))
            if shown is None or shown.shape[:2] != page.tile[::-1]:
                return False
            wanted = source.region(number, left, top, width, height)
            if np.abs(_coarse(shown[:height, :width]) - _coarse(wanted)).mean() > _NEAR:
                return False
    return True


def _coarse(pixels: np.ndarray) -> np.ndarray:
    """Means of about 16 × 16 pixels: OpenSlide paints levels whose scale is no whole number up to half a pixel beside their place."""
    height, width = pixels.shape[:2]
    return area_average(pixels, (0.0, 0.0, width, height), (max(1, width // 16), max(1, height // 16))).astype(np.float32)


def _as_browser(data: bytes) -> np.ndarray | None:
    """uint8 (h, w, 3), or None for what is no JPEG."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            if image.width * image.height > limits.PASSED_TILE_PX or image.mode not in ("RGB", "L"):
                return None
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        return None


def _half(source: PyramidSource, count: int) -> tuple[PixelSource, float]:
    """The last usable level at half its size, in memory, and how many level-0 pixels one pixel of it is."""
    scale = source.levels[count - 1].across * 2
    width, height = max(1, -int(-source.width // scale)), max(1, -int(-source.height // scale))
    pixels = source.read(0, 0, round(width * scale), round(height * scale), out=(width, height))
    return PixelSource(pixels, fingerprint=""), scale


def _save_thumb(source: PyramidSource, folder: Path) -> None:
    scale = max(source.width, source.height, limits.COARSEST_PX) / limits.COARSEST_PX
    size = max(1, round(source.width / scale)), max(1, round(source.height / scale))
    (folder / THUMB).write_bytes(encode(source.read(0, 0, source.width, source.height, out=size)))


def _indexed(drafts: list[Draft], folder: Path) -> list[Draft]:
    """The same with each native level's place in the index, which is written."""
    done, arrays, start = [], [], 0
    for one in drafts:
        if one.page is not None:
            one = Draft(replace(one.level, start=start, head=one.page.head), one.page)
            arrays.append(one.page.index)
            start += len(one.page.index)
        done.append(one)
    if arrays:
        np.save(folder / INDEX, np.concatenate(arrays))
    return done


def _plan(source: PyramidSource, drafts: list[Draft], reason: str) -> Plan:
    return Plan(
        width=source.width, height=source.height, mpp=source.mpp, magnification=source.magnification, vendor=source.vendor,
        fingerprint=source.fingerprint, path="native" if any(one.page for one in drafts) else "decoded", reason=reason,
        levels=tuple(one.level for one in drafts[::-1]),
    )  # fmt: skip
