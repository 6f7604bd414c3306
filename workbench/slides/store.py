"""The slides people look at: whose they are, what is known of them, and for how long they stay.

    facts = context.slides.add(request, path)      # SlideRefused: one sentence
    facts = context.slides.get(request, id)        # SlideGone: one sentence
    source = context.slides.source(request, id)    # a SlideSource for this process
    context.slides.path(request, id)               # the file, for a worker's own `open_source`

Only the visitor who brought a slide gets it; everybody else gets the sentence for one that does not exist. Uploads lie in a folder of the server's own
under names drawn at random and are deleted after a time without use and whenever the server starts. The host's slides and the example belong to nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from models.shared.slides import SlideRefused
from models.shared.slides.opening import PLAUSIBLE_MPP
from workbench.slides.examined import Examined, mark_of
from workbench.slides.facts import Facts, SlideGone
from workbench.slides.hosted import HostedSlides
from workbench.slides.incoming import take_in
from workbench.slides.probe import probe
from workbench.slides.serving import Record, Serving, SharedSource, signature
from workbench.slides.uploads import Uploads, new_folder
from workbench.visitors import visitor_of

EXAMPLE = Path(__file__).resolve().parents[2] / "assets" / "examples" / "phantom_slide.tif"
_NOBODY = "page:unknown"
_MOST_SCALES = 10_000
_TITLE_CHARS = 60


class Slides:
    """The store, one per server. Every method may be called from any thread."""

    def __init__(
        self,
        home: Path,
        *,
        folders: Sequence[Path] = (),
        example: Path | None = EXAMPLE,
        idle_s: float = 7200.0,
        disk_bytes: int = 8 << 30,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`home` belongs to this store alone: uploads that lie there from an earlier server are deleted, what is known of the host's slides is kept."""
        self._incoming = Path(home) / "uploads"
        self._secret = secrets.token_bytes(32)
        self._scales: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lock = threading.Lock()
        self._hosted = HostedSlides(folders, example, Path(home) / "key")
        self._examined = Examined(Path(home) / "known")
        self.serving = Serving()
        self._uploads = Uploads(idle_s=idle_s, disk_bytes=disk_bytes, clock=clock, leaves=self.serving.forget)
        shutil.rmtree(self._incoming, ignore_errors=True)

    # ------------------------------------------------------------------ what tabs use
    def choices(self, request: Any) -> list[tuple[str, str]]:
        """(title, id) of all that the visitor behind `request` (None: nobody in particular) may open: the example, the host's, their own."""
        mine = [] if (owner := visitor_of(request)) == _NOBODY else self._uploads.of(owner)
        return [(one.title, one.id) for one in (*self._hosted.all(), *mine)]

    def add(self, request: Any, path: str | Path, name: str | None = None) -> Facts:
        """Take an uploaded file (one slide, or a ZIP of the files of one) into the store of the visitor behind `request`.

        Takes seconds where tiles have to be made. SlideRefused, one plain sentence, when it is no slide that can be shown. The same slide brought
        again by the same visitor keeps its id.
        """
        owner = visitor_of(request)
        if owner == _NOBODY:
            raise SlideRefused("It is not known who sends this slide; allow cookies for this page, or send a session with the call.")
        name = name or Path(path).name
        folder = new_folder(self._incoming, secrets.token_hex(16))
        try:
            file = take_in(Path(path), name, folder)
            known = signature(file)
            plan = probe(file, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        record = Record(self._id(owner, plan.fingerprint), owner, _title(name), file, folder, plan, mark_of(plan), known)
        self._uploads.enter(record)
        return self._facts(owner, record)

    def get(self, request: Any, id: str) -> Facts:
        """The facts of a slide; one of the host's is examined when it is first asked for. SlideGone when there is none for this visitor, SlideRefused when
        the host's file cannot be shown."""
        owner = visitor_of(request)
        return self._facts(owner, self._find(owner, id))

    def set_mpp(self, request: Any, id: str, mpp: float | None) -> Facts:
        """Say how large a level-0 pixel is, in µm, for this visitor; None: as the file says. SlideRefused for a size no microscope has."""
        owner = visitor_of(request)
        record = self._find(owner, id)
        with self._lock:
            if mpp is None:
                self._scales.pop((owner, record.id), None)
            elif not PLAUSIBLE_MPP[0] <= mpp <= PLAUSIBLE_MPP[1]:
                raise SlideRefused(
                    f"A pixel of {mpp:g} µm is no microscope's; give a number from {PLAUSIBLE_MPP[0]} to {PLAUSIBLE_MPP[1]:g}."
                )
            else:
                self._scales[(owner, record.id)] = float(mpp)
                while len(self._scales) > _MOST_SCALES:
                    self._scales.popitem(last=False)
        return self._facts(owner, record)

    def source(self, request: Any, id: str) -> SharedSource:
        """The slide for reading in this process. It holds nothing open and may be kept; readings of a slide that has left raise SlideRefused."""
        owner = visitor_of(request)
        record = self._find(owner, id)
        return SharedSource(self.serving, record, self._mpp(owner, record))

    def path(self, request: Any, id: str) -> Path:
        """The file itself, for a worker process of this server; never to be shown."""
        return self._find(visitor_of(request), id).path

    # ------------------------------------------------------------------ what the routes and the server use
    def fetch(self, request: Any, id: str) -> Record:
        """The record for a plain web request, which tells no page: a slide brought without cookies is found by its unguessable id alone.

        As `get`, this may take seconds for one of the host's slides.
        """
        return self.ready(id, lambda: visitor_of(request)) or self._find(_NOBODY, id)

    def ready(self, id: str, owner: Callable[[], str]) -> Record | None:
        """The record if it is there already, at once; None for what has still to be looked for. `owner` is asked only where it matters.

        SlideGone for an upload of somebody else.
        """
        record = self._uploads.find(id)
        if record is None:
            return self._examined.ready(id)
        if not record.owner.startswith("page:") and record.owner != owner():
            raise SlideGone
        return record

    def facts(self, request: Any, record: Record) -> Facts:
        """The facts of a record for the visitor behind a plain web request."""
        return self._facts(visitor_of(request), record)

    def sweep(self) -> None:
        """Delete uploads that nobody has used for long."""
        self._uploads.sweep()

    def close(self) -> None:
        """Delete all uploads and close all files."""
        self._uploads.close()
        self.serving.close()
        shutil.rmtree(self._incoming, ignore_errors=True)

    # ------------------------------------------------------------------ inside
    def _find(self, owner: str, id: str) -> Record:
        if not isinstance(id, str) or not id:
            raise SlideGone
        record = self._uploads.find(id)
        if record is not None:
            if record.owner != owner or owner == _NOBODY:
                raise SlideGone
            return record
        hosted = self._hosted.find(id)
        if hosted is None:
            raise SlideGone
        return self._examined.record(hosted)

    def _facts(self, owner: str, record: Record) -> Facts:
        plan = record.plan
        return Facts(
            id=record.id, title=record.title, width=plan.width, height=plan.height, levels=plan.levels, mpp=self._mpp(owner, record),
            magnification=plan.magnification, vendor=plan.vendor, path=plan.path, reason=plan.reason, mark=record.mark, public=record.owner is None,
        )  # fmt: skip

    def _mpp(self, owner: str, record: Record) -> float | None:
        with self._lock:
            return self._scales.get((owner, record.id), record.plan.mpp)

    def _id(self, owner: str, fingerprint: str) -> str:
        return hmac.new(self._secret, f"{owner}\n{fingerprint}".encode(), hashlib.sha256).hexdigest()[:32]


def _title(name: str) -> str:
    """What the visitor's own list calls it: the file's name, printable and short."""
    plain = "".join(letter for letter in PurePosixPath(name.replace("\\", "/")).name if letter.isprintable()).strip()
    return f"Yours: {plain[:_TITLE_CHARS]}" if plain else "Your slide"
