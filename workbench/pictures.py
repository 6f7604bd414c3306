"""The pictures people look at, kept on the server: whose they are, what a method sees of them, and for how long they stay.

A page holds a `Shown` in a `gr.State`: which picture, which frame, which window. A tab's handler turns it into pixels:

    def handler(request: gr.Request, shown: Shown):
        picture = context.pictures.get(request, shown)   # PictureGone: one sentence for people
        picture.pixels, picture.url, picture.content_hash …

Only the visitor who brought a picture gets it; everybody else gets the sentence for one that does not exist. Uploads are copied to a folder of
the server's own under names drawn at random, and are deleted after a time without use and whenever the server starts. Examples
(`workbench.examples`) belong to nobody and are answered to everybody.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from workbench import examples
from workbench.examples import Example, PhantomKey
from workbench.imaging import InputRefused, Study, WindowPreset, load
from workbench.imaging.windows import FULL_8_BIT
from workbench.kept import Kept
from workbench.visitors import visitor_of

MAX_SIDE_PX = 2048
"""Of the picture as shown and computed on; a larger one is made smaller once, so that all that follows works in one plane."""
PER_VISITOR = 12
_NOBODY = "page:unknown"
_SWEEPS = 0.25  # of the idle time lies between two looks for what has to go
_SUFFIX = re.compile(r"\.[a-z]{2,6}")


class PictureGone(ValueError):
    """There is no such picture for whoever asks; its text is the sentence people see."""

    def __init__(self) -> None:
        super().__init__("This picture is not kept on the server any more; open it once more, or choose an example.")


@dataclass(frozen=True)
class Shown:
    """What a page shows. Small and without pixels: it lives in the page's state and is compared to see whether anything changed."""

    id: str
    frame: int = 0
    window: tuple[float, float] | None = None
    """(centre, width) chosen by hand, in the picture's own units; None: as the file itself says."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame, windowed: what a method is given and what the page draws."""

    shown: Shown
    pixels: np.ndarray = field(repr=False)
    """uint8 (H, W) or (H, W, 3), read-only, longer side at most MAX_SIDE_PX."""
    title: str
    phantom: PhantomKey | None
    """Where it is a phantom: what draws it again with its truth."""
    content_hash: str
    """Of exactly these pixels: the key for whatever is computed from them."""
    frames: int
    spacing_mm: tuple[float, float] | None
    """Row and column distance of `pixels`, in millimetres; None when unknown."""
    modality: str
    source: str
    windows: tuple[WindowPreset, ...]
    """What can be chosen instead of the window; empty where a window makes no sense (colour, plain 8-bit grey)."""
    window: tuple[float, float] | None
    """The window it is shown with, where it has one."""
    full_size: tuple[int, int]
    """Height and width in the file."""
    warnings: tuple[str, ...]

    @property
    def height(self) -> int:
        """Rows of `pixels`."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """Columns of `pixels`."""
        return self.pixels.shape[1]

    @property
    def url(self) -> str:
        """Where the page gets it, relative to the page; answered to its owner alone."""
        return url(self.shown)


def url(shown: Shown, *, side_px: int | None = None) -> str:
    """Address of a shown picture, at most `side_px` on its longer side."""
    window = f"&centre={shown.window[0]:g}&width={shown.window[1]:g}" if shown.window else ""
    side = f"&side={side_px}" if side_px else ""
    return f"lightbox/pictures/{quote(shown.id, safe='')}?frame={shown.frame}{window}{side}"


@dataclass
class _Entry:
    owner: str
    path: Path
    nbytes: int
    used: float


class Pictures:
    """The store, one per server. Every method may be called from any thread."""

    def __init__(
        self,
        folder: Path,
        *,
        idle_s: float = 7200.0,
        disk_bytes: int = 4 << 30,
        study_bytes: int = 256 << 20,
        picture_bytes: int = 128 << 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`folder` belongs to this store alone: what lies there from an earlier server is deleted."""
        self._folder, self._idle_s, self._disk_bytes, self._clock = Path(folder), idle_s, disk_bytes, clock
        self._secret = secrets.token_bytes(32)
        self._entries: dict[str, _Entry] = {}
        self._offered: set[str] = set()
        self._studies: Kept[Study] = Kept(study_bytes, lambda study: study.pixels.nbytes)
        self._ready: Kept[Picture] = Kept(picture_bytes, lambda picture: picture.pixels.nbytes)
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        shutil.rmtree(self._folder, ignore_errors=True)

    # ------------------------------------------------------------------ what tabs use
    @property
    def kept_hours(self) -> float:
        """How long after its last use a picture is gone for certain."""
        return self._idle_s * (1 + _SWEEPS) / 3600

    def add(self, request: Any, path: str | Path) -> Shown:
        """Take an uploaded file into the store of the visitor behind `request`; InputRefused, one plain sentence, when it is no picture.

        The same file brought again by the same visitor keeps its id.
        """
        owner = visitor_of(request)
        if owner == _NOBODY:
            raise InputRefused("It is not known who sends this picture; allow cookies for this page, or send a session with the call.")
        copy = self._copied(path)
        try:
            study = load(copy)
            shown = Shown(self._id(owner, study.content_hash), study.frame)
            self._ready.put(shown, _picture(study, shown, "Your picture", None))
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        self._studies.put(shown.id, study)
        self._enter(shown.id, _Entry(owner, copy, copy.stat().st_size, self._clock()))
        return shown

    def get(self, request: Any, shown: Shown) -> Picture:
        """The picture for the visitor behind `request`; PictureGone when it is not theirs or not kept, InputRefused for a frame it has not."""
        return self._picture(visitor_of(request), shown)

    def file(self, request: Any, shown: Shown) -> Path | None:
        """The file behind a picture, for what is written beside it; None for what is drawn by the program. PictureGone when it is not theirs."""
        if self.is_example(shown.id):
            return examples.data_path(shown.id)
        return self._own(visitor_of(request), shown.id).path

    def offer(self, example: Example) -> None:
        """Let an example out of the data folder be shown to everybody; phantoms need no leave."""
        self._offered.add(example.id)

    # ------------------------------------------------------------------ what the route and the server use
    def fetch(self, request: Any, shown: Shown) -> Picture:
        """`get` for a plain web request, which tells no page: a picture brought without cookies is found by its unguessable id alone."""
        with self._lock:
            entry = self._entries.get(shown.id)
        by_page = entry is not None and entry.owner.startswith("page:")
        return self._picture(entry.owner if by_page else visitor_of(request), shown)

    def is_example(self, id: str) -> bool:
        """Whether an id stands for something that belongs to nobody."""
        return id in self._offered or examples.phantom_key(id) is not None

    def sweep(self) -> None:
        """Delete what nobody has used for long."""
        limit = self._clock() - self._idle_s
        with self._lock:
            for id in [id for id, entry in self._entries.items() if entry.used < limit]:
                self._leave(id)

    def close(self) -> None:
        """Delete everything."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            for id in list(self._entries):
                self._leave(id)
        shutil.rmtree(self._folder, ignore_errors=True)

    # ------------------------------------------------------------------ inside
    def _picture(self, owner: str, shown: Shown) -> Picture:
        if not self.is_example(shown.id):
            self._own(owner, shown.id)
        ready = self._ready.get(shown)
        if ready is None:
            title = "Your picture"
            key = examples.phantom_key(shown.id)
            if self.is_example(shown.id):
                title = key.title if key else examples.title_of(shown.id)
            ready = _picture(self._study(shown), shown, title, key)
            self._ready.put(shown, ready)
        return ready

    def _own(self, owner: str, id: str) -> _Entry:
        with self._lock:
            entry = self._entries.get(id)
            if entry is None or entry.owner != owner or owner == _NOBODY:
                raise PictureGone
            entry.used = self._clock()
            return entry

    def _study(self, shown: Shown) -> Study:
        study = self._studies.get(shown.id)
        if study is None or study.frame != shown.frame:
            study = study.at(shown.frame) if study is not None else self._opened(shown)
            if study.frame != shown.frame:
                raise InputRefused("This picture has one frame only, number 0.")
            self._studies.put(shown.id, study)
        return study

    def _opened(self, shown: Shown) -> Study:
        key = examples.phantom_key(shown.id)
        if key is not None:
            return examples.draw(key)
        with self._lock:
            entry = self._entries.get(shown.id)
        path = entry.path if entry else examples.data_path(shown.id)
        if path is None:
            raise PictureGone
        return load(path, frame=shown.frame)

    def _id(self, owner: str, content_hash: str) -> str:
        return hmac.new(self._secret, f"{owner}\n{content_hash}".encode(), hashlib.sha256).hexdigest()[:32]

    def _copied(self, path: str | Path) -> Path:
        # A copy, as Gradio keeps one file for all who upload the same content, and deletes it by its own clock.
        suffix = Path(path).suffix.lower()  # the rest of the name may hold a person's
        target = self._folder / (secrets.token_hex(16) + (suffix if _SUFFIX.fullmatch(suffix) else ""))
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        except OSError:
            with contextlib.suppress(OSError):
                target.unlink(missing_ok=True)
            raise InputRefused(
                "The file could not be taken in: it is not there any more, or the server's disk is full; please upload it again."
            ) from None
        return target

    def _enter(self, id: str, entry: _Entry) -> None:
        with self._lock:
            earlier = self._entries.pop(id, None)
            if earlier is not None:
                earlier.path.unlink(missing_ok=True)
            self._entries[id] = entry
            mine = sorted((other.used, key) for key, other in self._entries.items() if other.owner == entry.owner)
            for _, key in mine[:-PER_VISITOR]:
                self._leave(key)
            self._make_room(keep=id)
            self._watch()

    def _make_room(self, *, keep: str) -> None:
        """Under the disk limit: whoever holds most gives up the oldest first, so that one visitor cannot push out all others."""
        while sum(entry.nbytes for entry in self._entries.values()) > self._disk_bytes and len(self._entries) > 1:
            held: dict[str, int] = {}
            for key, entry in self._entries.items():
                if key != keep:
                    held[entry.owner] = held.get(entry.owner, 0) + entry.nbytes
            most = max(held, key=held.__getitem__)
            self._leave(min((entry.used, key) for key, entry in self._entries.items() if entry.owner == most and key != keep)[1])

    def _leave(self, id: str) -> None:
        self._entries.pop(id).path.unlink(missing_ok=True)
        self._studies.drop(lambda key: key == id)
        self._ready.drop(lambda key: key.id == id)

    def _watch(self) -> None:
        """Sweep again later for as long as there is something to sweep, also when nobody comes any more."""
        if self._timer is None and self._entries:
            self._timer = threading.Timer(self._idle_s * _SWEEPS, self._again)
            self._timer.daemon = True
            self._timer.start()

    def _again(self) -> None:
        with self._lock:
            self._timer = None
            self.sweep()
            self._watch()


def _picture(study: Study, shown: Shown, title: str, key: PhantomKey | None) -> Picture:
    """The frame as it is shown and computed on."""
    pixels, spacing_mm, notes = _within(study.display(shown.window), study.spacing_mm)
    pixels.flags.writeable = False
    mark = hashlib.sha256(f"{pixels.shape}".encode() + np.ascontiguousarray(pixels).data).hexdigest()
    choices = () if study.is_colour or study.windows == (FULL_8_BIT,) else study.windows
    return Picture(
        shown=shown, pixels=pixels, title=title, phantom=key, content_hash=mark, frames=study.frames, spacing_mm=spacing_mm,
        modality=study.modality, source=study.source, windows=choices, window=shown.window or study.window, full_size=study.pixels.shape[:2],
        warnings=study.warnings + notes,
    )  # fmt: skip


def _within(pixels: np.ndarray, spacing_mm: tuple[float, float] | None) -> tuple[np.ndarray, tuple[float, float] | None, tuple[str, ...]]:
    """uint8 (H, W) or (H, W, 3) made smaller by averaging where its longer side is above MAX_SIDE_PX, with its spacing and a note."""
    height, width = pixels.shape[:2]
    if max(height, width) <= MAX_SIDE_PX:
        return pixels, spacing_mm, ()
    from PIL import Image

    scale = MAX_SIDE_PX / max(height, width)
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
    small = np.array(Image.fromarray(pixels).resize((new_width, new_height), Image.Resampling.BOX))
    note = f"The picture has {width:,} × {height:,} pixels; it is shown and computed on at {new_width:,} × {new_height:,}."
    finer = spacing_mm and (spacing_mm[0] * height / new_height, spacing_mm[1] * width / new_width)
    return small, finer, (note,)
