"""The host's slides once somebody has asked for them: examined then, once, and remembered on disk until the file changes."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import threading
from pathlib import Path

from models.shared.slides import SlideRefused
from workbench.slides.facts import Plan
from workbench.slides.hosted import Hosted
from workbench.slides.probe import probe
from workbench.slides.serving import Record, signature
from workbench.slides.uploads import new_folder

KNOWN_BYTES = 4 << 30
"""Of tiles that were made for the host's slides."""
_PLAN = "plan.json"


def mark_of(plan: Plan) -> str:
    """What stands in tile addresses for the content: its fingerprint and the way it is served."""
    import hashlib

    levels = [(level.w, level.h, level.tw, level.th, level.kind) for level in plan.levels]
    return hashlib.sha256(f"{plan.fingerprint}{levels}".encode()).hexdigest()[:20]


class Examined:
    """Records of the host's slides. Safe from any thread; one slide is examined by one thread at a time, different ones side by side."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Record] = {}
        self._refused: dict[str, tuple[tuple[int, int], str]] = {}
        self._turns: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def ready(self, id: str) -> Record | None:
        """The record if the slide has been examined, at once."""
        return self._known.get(id)

    def record(self, hosted: Hosted) -> Record:
        """The record; the slide is examined now if it has to be. Raises SlideRefused."""
        with self._lock:
            turn = self._turns.setdefault(hosted.id, threading.Lock())
        with turn:
            try:
                now = signature(hosted.path)
            except OSError:
                self._known.pop(hosted.id, None)
                raise SlideRefused("This slide is not in the host's folder any more; please choose another one.") from None
            known = self._known.get(hosted.id)
            if known is not None and known.signature == now and known.path == hosted.path:
                return known
            known = self._remembered(hosted, now) or self._examined(hosted, now)
            self._known[hosted.id] = known
            return known

    def forget(self, id: str) -> None:
        """Look at the file again when somebody asks next."""
        self._known.pop(id, None)

    def _remembered(self, hosted: Hosted, now: tuple[int, int]) -> Record | None:
        folder = self._folder / hosted.id
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads((folder / _PLAN).read_text("utf-8"))
            if tuple(kept["signature"]) == now:
                (folder / _PLAN).touch()
                return _record(hosted, folder, Plan.from_json(kept["plan"]), now)
        return None

    def _examined(self, hosted: Hosted, now: tuple[int, int]) -> Record:
        told, why = self._refused.get(hosted.id, (None, ""))
        if told == now:
            raise SlideRefused(why)
        folder, making = self._folder / hosted.id, new_folder(self._folder, f"new-{secrets.token_hex(8)}")
        try:
            plan = probe(hosted.path, making)
            (making / _PLAN).write_text(json.dumps({"signature": now, "plan": plan.to_json()}), "utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            making.rename(folder)
        except SlideRefused as refused:
            self._refused[hosted.id] = (now, str(refused))
            raise
        except OSError:
            raise SlideRefused("There is no room on the server's disk to prepare this slide; please tell its host.") from None
        finally:
            shutil.rmtree(making, ignore_errors=True)
        self._make_room(keep=folder)
        return _record(hosted, folder, plan, now)

    def _make_room(self, *, keep: Path) -> None:
        """Forget, on disk too, what was made for the slides nobody has asked for longest."""
        sizes = {}
        for folder in self._folder.iterdir():
            with contextlib.suppress(OSError):
                sizes[folder] = ((folder / _PLAN).stat().st_mtime, sum(file.stat().st_size for file in folder.iterdir()))
        held = sum(size for _, size in sizes.values())
        for folder, (_, size) in sorted(sizes.items(), key=lambda item: item[1][0]):
            if held <= KNOWN_BYTES:
                break
            if folder != keep:
                self._known.pop(folder.name, None)
                shutil.rmtree(folder, ignore_errors=True)
                held -= size


def _record(hosted: Hosted, folder: Path, plan: Plan, now: tuple[int, int]) -> Record:
    return Record(hosted.id, None, hosted.title, hosted.path, folder, plan, mark_of(plan), now)
