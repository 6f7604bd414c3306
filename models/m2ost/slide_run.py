"""A slide's prediction as a job: the window that people look at first, then the rest; stopped at any moment, and kept for the next time.

    context.start("models.m2ost.slide_run:predict_slide", {"path": …, "window": [x, y, w, h], …}, request, title=…)

Events: `layout` once; `spots` with a few hundred spots of one layer; `progress`; `result` with the files left in `inbox.out`. Numbers travel as base64 of
little-endian arrays: positions float32, indices uint32, values int16 in thousandths of log(1 + CPM).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from models.m2ost.tables import Table, read_table, write_tables
from models.m2ost.views import Views
from models.m2ost.wrapper import Predictor, SpotGrid, load_predictor, spot_grid
from models.shared.checkpoints import write_atomically
from models.shared.slides import SlideSource, open_source

SCALE = 1000
MAX_SPOTS = 60_000
"""Of one slide in a page; more is work for a batch."""
AT_ONCE = 128
"""Spots in one event."""
TELL_EVERY_S = 0.2
CACHE_BYTES = 512 << 20


class Inbox(Protocol):
    """How the job is told of another window or to stop, and where its files go."""

    out: Path

    @property
    def stopping(self) -> bool: ...

    def poll(self) -> list[dict[str, Any]]: ...


def predict_slide(config: Mapping[str, Any], inbox: Inbox) -> Iterator[dict]:
    """The job. config: path, mpp, arm, weights, levels, pitch_um, flips, window, cache, table, device; only path must be there.

    ValueError, in a sentence, for what cannot be done.
    """
    began = time.monotonic()
    source = open_source(config["path"], mpp=config.get("mpp"))
    try:
        predictor = load_predictor(str(config.get("arm") or "full"), path=config.get("weights") or None, device=_device(config))
        table = read_table(config["table"], predictor) if config.get("table") else None
        grid = table.grid(source) if table is not None else spot_grid(source, pitch_um=float(config.get("pitch_um") or 100.0))
        if len(grid.xy) > MAX_SPOTS:
            raise ValueError(
                f"This slide would have {len(grid.xy):,} spots, more than the {MAX_SPOTS:,} that a page can hold; lay them farther apart, "
                "or predict it with `python -m workbench.batch m2ost`."
            )
        levels = tuple(config.get("levels") or predictor.levels)
        flips = bool(config.get("flips"))
        yield _layout(predictor, grid, flips=flips, table=table)
        if table is not None:
            for start in range(0, len(grid.xy), AT_ONCE):
                rows = np.arange(start, min(start + AT_ONCE, len(grid.xy)))
                yield _spots("measured", rows, table.values[rows])
        work = _Slide(source, predictor, grid, levels, flips)
        place = _place(config, source, predictor, grid, levels, flips)
        yield from work.known(place) if place is not None and place.exists() else work.predicted(inbox, config.get("window"), began)
        if not work.whole:
            yield {"kind": "result", "files": {}, "stopped": True, "spots": int(work.done.sum())}
            return
        if place is not None and not place.exists():
            _keep(place, work)
        files = write_tables(Path(inbox.out), predictor, grid, work.values, work.spread, source=source, table=table, levels=levels)
        yield {"kind": "result", "files": files, "stopped": False, "spots": len(grid.xy)}
    finally:
        source.close()


class _Slide:
    """What is known of a slide's spots so far."""

    def __init__(self, source: SlideSource, predictor: Predictor, grid: SpotGrid, levels: tuple[int, ...], flips: bool) -> None:
        self.source, self.predictor, self.grid, self.levels, self.flips = source, predictor, grid, levels, flips
        shape = (len(grid.xy), len(predictor.genes))
        self.values = np.zeros(shape, np.float32)
        self.spread = np.zeros(shape, np.float32) if flips else None
        self.done = np.zeros(shape[0], bool)

    @property
    def whole(self) -> bool:
        """Whether every spot is predicted."""
        return bool(self.done.all())

    def known(self, place: Path) -> Iterator[dict]:
        """Events from an earlier run."""
        with np.load(place) as kept:
            self.values = kept["values"]
            self.spread = kept["spread"] if self.flips else None
        self.done[:] = True
        for start in range(0, len(self.done), AT_ONCE):
            yield from self._told(np.arange(start, min(start + AT_ONCE, len(self.done))))
        yield {"kind": "progress", "done": len(self.done), "of": len(self.done), "seconds": 0.0, "left_s": 0.0, "stage": "from the cache"}

    def predicted(self, inbox: Inbox, window: list[float] | None, began: float) -> Iterator[dict]:
        """Events as spots are predicted: those in the newest window first, then those nearest to it."""
        views = Views(self.source, mpp=self.grid.mpp, side=self.predictor.network.image)
        window, told, started, ready = window, 0.0, time.monotonic(), []
        while not self.whole:
            rows, inside = self._next(window)
            turned = False
            for chunk in self.predictor.predict(
                self.source, self.grid, rows, levels=self.levels, flips=self.flips, stop=lambda: inbox.stopping, views=views
            ):
                self.values[chunk.indices] = chunk.values
                if self.spread is not None:
                    self.spread[chunk.indices] = chunk.spread
                self.done[chunk.indices] = True
                ready.append(chunk.indices)
                now = time.monotonic()
                if now - told > TELL_EVERY_S or self.whole or sum(map(len, ready)) >= 4 * AT_ONCE:
                    told, some, ready = now, np.concatenate(ready), []
                    for start in range(0, len(some), AT_ONCE):
                        yield from self._told(some[start : start + AT_ONCE])
                    yield self._progress(now - started, "visible window" if inside else "whole slide", now - began)
                for command in inbox.poll():
                    if _is_window(command.get("window")):
                        window, turned = command["window"], True
                if turned:
                    break
            if inbox.stopping:
                return

    def _next(self, window: list[float] | None) -> tuple[np.ndarray, bool]:
        """The spots to predict now, and whether they lie in the window: a stretch of the rest is short, so that a new window is soon served."""
        rest = np.flatnonzero(~self.done)
        if window is None:
            return rest[:2048], False
        x, y, w, h = window
        xy = self.grid.xy[rest]
        inside = (xy[:, 0] >= x) & (xy[:, 0] <= x + w) & (xy[:, 1] >= y) & (xy[:, 1] <= y + h)
        if inside.any():
            return rest[inside], True
        away = np.maximum(np.abs(xy[:, 0] - x - w / 2) - w / 2, 0) + np.maximum(np.abs(xy[:, 1] - y - h / 2) - h / 2, 0)
        return rest[np.argsort(away, kind="stable")[:1024]], False

    def _told(self, rows: np.ndarray) -> Iterator[dict]:
        yield _spots("predicted", rows, self.values[rows])
        if self.spread is not None:
            yield _spots("spread", rows, self.spread[rows])

    def _progress(self, seconds: float, stage: str, since: float) -> dict:
        done, of = int(self.done.sum()), len(self.done)
        return {
            "kind": "progress",
            "done": done,
            "of": of,
            "seconds": round(since, 2),
            "left_s": round(seconds / max(done, 1) * (of - done), 1),
            "stage": stage,
        }


def _is_window(value: object) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(isinstance(number, int | float) for number in value)


def _layout(predictor: Predictor, grid: SpotGrid, *, flips: bool, table: Table | None) -> dict:
    layers = ["predicted", *(["measured"] if table is not None else []), *(["spread"] if flips else [])]
    genes = [{"name": gene.name, "group": gene.group, "score": gene.score, "limits": list(gene.limits)} for gene in predictor.genes]
    return {
        "kind": "layout", "spots": len(grid.xy), "xy": _text(grid.xy.astype("<f4")), "diameter": round(grid.diameter, 2), "scale": SCALE,
        "genes": genes, "layers": layers, "field_um": predictor.field_um, "mpp": grid.mpp, "network": predictor.title, "note": predictor.note,
        "names": {} if table is None else {"measured": table.name, "difference": f"Predicted − {table.name.lower()}"},
    }  # fmt: skip


def _spots(layer: str, rows: np.ndarray, values: np.ndarray) -> dict:
    whole = np.rint(np.clip(values, -32, 32) * SCALE).astype("<i2")
    return {"kind": "spots", "layer": layer, "index": _text(rows.astype("<u4")), "values": _text(whole)}


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _device(config: Mapping[str, Any]) -> str:
    from models.shared.device import pick_device

    return str(pick_device(str(config.get("device") or "cpu")))


def _place(
    config: Mapping[str, Any], source: SlideSource, predictor: Predictor, grid: SpotGrid, levels: tuple[int, ...], flips: bool
) -> Path | None:
    """Where this very prediction is kept, None where nothing is: the key holds everything it depends on."""
    if not config.get("cache"):
        return None
    digest = hashlib.sha256(grid.xy.tobytes())
    digest.update(json.dumps([source.fingerprint, predictor.sha256, predictor.title, grid.mpp, list(levels), flips]).encode())
    return Path(config["cache"]) / f"{digest.hexdigest()[:40]}.npz"


def _keep(place: Path, work: _Slide) -> None:
    """Write the prediction down, and take the oldest ones away once they are too many. A full disk costs the cache, not the result."""
    stream = io.BytesIO()
    np.savez(stream, values=work.values, **({} if work.spread is None else {"spread": work.spread}))
    try:
        write_atomically(place, stream.getvalue())
        kept = sorted((path for path in place.parent.glob("*.npz")), key=lambda path: path.stat().st_mtime, reverse=True)
        total = 0
        for path in kept:
            total += path.stat().st_size
            if total > CACHE_BYTES:
                path.unlink(missing_ok=True)
    except OSError:
        return
