"""The record of the SOFIM room, and the benchmark that measures its cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.shared.method import get
from models.sofim import METHOD, SOFIM
from models.sofim.optimizer import GRANULARITIES, MOMENTA, VARIANTS

ROOT = Path(__file__).resolve().parents[3]


def test_the_room_is_found_under_its_id():
    assert get("sofim") is METHOD
    assert METHOD.paper.arxiv == "2403.02833"
    assert METHOD.title in METHOD.paper.title
    assert len(METHOD.deviations) >= 9


def test_every_switch_is_a_setting_of_the_optimiser_with_its_default():
    import torch

    defaults = SOFIM([torch.nn.Parameter(torch.zeros(1))]).defaults
    for switch in METHOD.switches:
        assert defaults[switch.name] == switch.default
    choices = {switch.name: switch.choices for switch in METHOD.switches}
    assert (choices["variant"], choices["granularity"], choices["momentum"]) == (VARIANTS, GRANULARITIES, MOMENTA)


def test_importing_the_room_does_not_load_pytorch():
    code = "import sys, models.sofim; print([m for m in ('torch', 'sklearn', 'scipy', 'timm', 'matplotlib') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert answer.stdout.strip() == "[]"


def test_an_unknown_name_of_the_room_is_an_attribute_error():
    import models.sofim

    with pytest.raises(AttributeError, match="no attribute 'SOFIMM'"):
        _ = models.sofim.SOFIMM


@pytest.mark.slow
def test_the_cost_benchmark_writes_ratios_for_every_contender(tmp_path):
    out = tmp_path / "record.json"
    command = [sys.executable, "benchmarks/optimizer_step.py", "--million", "0.6", "--repeats", "2", "--threads", "1", "--out", str(out)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})
    record = json.loads(out.read_text())
    assert record["parameters"] >= 600_000
    assert record["rows"]["SGD momentum 0.9, foreach (baseline)"]["ratio_to_baseline"] == 1.0
    assert {"SOFIM", "SOFIM, variant B", "SOFIM per tensor"} <= set(record["rows"])
    assert all(row["median_ms"] > 0 for row in record["rows"].values())
    assert "× baseline" in answer.stdout
