"""Events as lines that every browser can read: strict JSON, one line each, never longer than MAX_LINE_BYTES.

JSON knows no NaN and no infinity, yet Python's own writer emits both and JavaScript then refuses the whole line.
Such numbers become null here, so a diverged loss leaves a gap in a curve instead of stopping the page.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from typing import Any

MAX_LINE_BYTES = 1_000_000


def _plain(value: Any) -> Any:
    """The same value made of None, bool, int, finite float, str, list and dict; TypeError for anything else."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # NumPy and PyTorch, scalars and arrays alike, without importing either
        return _plain(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def dumps(value: Any) -> str:
    """Strict one-line JSON of `value`: NaN and infinities as null, arrays as lists. TypeError for what has no JSON form."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError):  # the slow path is taken only where the fast one refused
        return json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))


def event_line(event: Mapping[str, Any], seconds: float) -> bytes:
    """One line of events.jsonl, stamped with `t`, seconds since the job began.

    An event that is too long is replaced by one of kind "dropped" that says so: the follower sees the gap, the job goes on.
    """
    if not isinstance(event, Mapping):
        raise TypeError(f"a job must yield dictionaries, not {type(event).__name__}")
    stamp = round(seconds, 3)
    line = dumps({**event, "t": stamp}).encode() + b"\n"
    if len(line) <= MAX_LINE_BYTES:
        return line
    why = f"This event was left out: it has {len(line)} bytes, and at most {MAX_LINE_BYTES} are allowed."
    return dumps({"kind": "dropped", "of": str(event.get("kind", ""))[:100], "bytes": len(line), "why": why, "t": stamp}).encode() + b"\n"


def read_lines(block: bytes) -> list[dict[str, Any]]:
    """The dictionaries of a block of whole lines; a line that is not a JSON object is skipped."""
    found = []
    for line in block.splitlines():
        try:
            item = json.loads(line)
        except ValueError:  # a line torn by a crash stays torn: what follows it is still good
            continue
        if isinstance(item, dict):
            found.append(item)
    return found
