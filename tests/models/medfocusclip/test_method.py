"""The record of the method, its live checks, and that listing it stays light."""

from __future__ import annotations

import subprocess
import sys

from models.medfocusclip import METHOD, paper
from models.medfocusclip.checks import checks
from models.medfocusclip.options import WARNING


def test_the_points_the_paper_leaves_open_are_all_there() -> None:
    assert [deviation.point[0] for deviation in METHOD.deviations[:9]] == list("ABCDEFGHI")
    assert METHOD.paper.arxiv == "2501.03839"
    assert "not verified anatomy" in WARNING


def test_every_oracle_of_the_spec_is_among_the_live_checks_and_kept() -> None:
    results = checks()
    assert {result.oracle for result in results} == set(range(1, 12))
    assert [result.name for result in results if not result.passed] == []


def test_looking_at_the_record_and_the_options_loads_neither_torch_nor_scipy() -> None:
    code = (
        "import sys, models.medfocusclip, models.medfocusclip.options, models.medfocusclip.segments, models.medfocusclip.answers, models.medfocusclip.paper;"
        "print([name for name in ('torch', 'scipy', 'open_clip', 'sam2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_papers_numbers_are_those_of_its_tables() -> None:
    """Spot values, typed a second time from the spec."""
    rows = {(row.dataset, row.model): row.accuracy for row in paper.TABLE}
    assert len(rows) == 16
    assert rows["Brain", "MedFocusCLIP"] == (86.09, 92.12, 94.91, 96.28, 97.57)
    assert rows["Brain", "CLIP"] == (68.5, 80.6, 83.4, 88.0, 89.2)
    assert rows["Breast", "Swin"][0] == 67.43
    assert rows["COVID", "ResNet"][4] == 80.30
