"""One line on the terminal that says how far a training is."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

PLAIN_EVERY_S = 10.0
LIVE_EVERY_S = 0.1


class ProgressLine:
    """Rewrites one line on a terminal; in a log file it adds a line every ten seconds instead."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._started = time.monotonic()
        self._next = 0.0
        self._open = False

    def show(self, event: Mapping[str, object]) -> None:
        """Say where the training is, not more often than people can read."""
        text = as_text(event)
        now = time.monotonic()
        if not text or now < self._next:
            return
        self._next = now + (LIVE_EVERY_S if self._live else PLAIN_EVERY_S)
        line = f"{int(now - self._started):5d} s  {text}"
        if self._live:
            print(f"\r\x1b[2K{line[:160]}", end="", file=sys.stderr, flush=True)
            self._open = True
        else:
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line, so that what comes next starts on its own."""
        if self._open:
            print(file=sys.stderr)
            self._open = False


def as_text(event: Mapping[str, object]) -> str:
    """An event in a few words: `step` of `steps`, `text`, `loss`, as far as it has them."""
    step, steps, text, loss = (event.get(key) for key in ("step", "steps", "text", "loss"))
    parts = []
    if isinstance(step, int):
        parts.append(f"{step} of {steps}" if isinstance(steps, int) else f"step {step}")
    if text:
        parts.append(str(text))
    if isinstance(loss, int | float):
        parts.append(f"loss {loss:.4g}")
    return "  ".join(parts)
