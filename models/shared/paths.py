"""Where things lie on disk: what ships with the program, and the data sets the host provides.

Read at each call, not at import, so that a host (or a test) may set the environment after the program has started.
"""

from __future__ import annotations

import os
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def repository() -> Path:
    """The folder that holds `models/`, `workbench/` and `assets/`."""
    return _ROOT


def assets_dir() -> Path:
    """What ships with the program: checkpoints with their cards, example inputs, style."""
    return _ROOT / "assets"


def data_root() -> Path:
    """The folder with data sets that do not ship: `WORKBENCH_DATA` when set and not empty, else `data/` beside `models/`."""
    wanted = os.environ.get("WORKBENCH_DATA", "").strip()
    return Path(wanted).expanduser() if wanted else _ROOT / "data"
