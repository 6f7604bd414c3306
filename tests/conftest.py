"""What every test shares: where the real data lies, a quiet Gradio, no stray threads of torch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
_beside = ROOT.parent / "shared" / "data"
if "WORKBENCH_DATA" not in os.environ and _beside.is_dir():
    os.environ["WORKBENCH_DATA"] = str(_beside)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For runs on several processes (`--dist loadgroup`): a file stays together, as its fixtures are dear; the cards, minutes each, are shared out one by one."""
    for item in items:
        alone = item.originalname == "test_evaluate_computes_the_cards_numbers_again" if isinstance(item, pytest.Function) else False
        item.add_marker(pytest.mark.xdist_group(item.nodeid if alone else item.path.name + str(item.path.parent)))
