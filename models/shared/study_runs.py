"""Finished runs of a study as files in a working folder, so that a stopped study goes on and several processes can share it.

    runs = StudyRuns("hsvlt-study", settings)
    runs.keep("full.seed0", values, tensors)
    runs.values("full.seed0"), runs.tensors("full.seed0")

The folder is named by the settings that all runs share; whatever sets one run apart belongs into its name (`short` makes a few letters of it).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.shared.checkpoints import parse, write_atomically

if TYPE_CHECKING:
    from torch import Tensor


def short(value: Any, letters: int = 8) -> str:
    """A few letters that stand for plain values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:letters]


class StudyRuns:
    """The working folder of one study's settings."""

    def __init__(self, study: str, settings: Mapping[str, Any]) -> None:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.folder = base / "lightbox" / study / short(settings, 16)

    def has(self, name: str) -> bool:
        """Whether the run is finished."""
        return self._place(name).exists()

    def pending(self, names: Sequence[str]) -> list[str]:
        """Those that are not there yet."""
        return [name for name in names if not self.has(name)]

    def keep(self, name: str, values: Mapping[str, Any], tensors: Mapping[str, Tensor] | None = None) -> None:
        """Write a finished run: its weights first, so that a run that counts as finished has them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if tensors is not None:
            from safetensors.torch import save

            write_atomically(self._place(name).with_suffix(".safetensors"), save(dict(tensors)))
        write_atomically(self._place(name), json.dumps(values).encode())

    def values(self, name: str) -> dict[str, Any]:
        """What a finished run found. FileNotFoundError for one that is not there."""
        return json.loads(self._place(name).read_text(encoding="utf-8"))

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Its weights. FileNotFoundError where none were kept."""
        path = self._place(name).with_suffix(".safetensors")
        return parse(path.read_bytes(), path.name)

    def _place(self, name: str) -> Path:
        return self.folder / f"{name}.json"
