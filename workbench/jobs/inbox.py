"""What the running work sees of the outside: commands, the wish to stop, and where its result goes.

Passed to every recipe as its second argument. Both looks outside are one system call (about 2 µs), so a training
loop may take them at every step.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from workbench.jobs.encoding import read_lines
from workbench.jobs.folder import JobFolder

_READ_BYTES = 1 << 16


class Inbox:
    """`stopping` (look at every step), `poll()` (new commands), `out` (folder for the result)."""

    def __init__(self, folder: JobFolder) -> None:
        self.out: Path = folder.partial
        self._stop_file = os.fspath(folder.stop)
        self._stopping = False
        self.heeded = False
        """Whether the work looks at `stopping` at all: it is then left to end by itself, with its last files and events."""
        self._handle = os.open(folder.inbox, os.O_RDONLY | os.O_CREAT, 0o600)
        self._offset = 0

    @property
    def stopping(self) -> bool:
        """True once the job should end; it stays True."""
        self.heeded = True
        return self.asked_to_stop()

    def asked_to_stop(self) -> bool:
        """The same look, taken by the process around the work."""
        if not self._stopping:
            self._stopping = os.path.exists(self._stop_file)
        return self._stopping

    def poll(self) -> list[dict[str, Any]]:
        """Commands that arrived since the last call, oldest first."""
        block = b""
        while piece := os.pread(self._handle, _READ_BYTES, self._offset + len(block)):
            block += piece
        if not block:
            return []
        block = block[: block.rfind(b"\n") + 1]
        self._offset += len(block)
        return read_lines(block)

    def close(self) -> None:
        """Let go of the open file."""
        os.close(self._handle)
