"""What every test shares: where the real data lies, a quiet Gradio, no stray threads of torch."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
_beside = ROOT.parent / "shared" / "data"
if "WORKBENCH_DATA" not in os.environ and _beside.is_dir():
    os.environ["WORKBENCH_DATA"] = str(_beside)
