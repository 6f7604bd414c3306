"""The generated program prints the numbers of the race it came from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.sofim.race import race
from models.sofim.race_config import ConfigRefused
from models.sofim.snippet import as_python

ROOT = Path(__file__).resolve().parents[3]


class Box:
    stopping = False

    def __init__(self, out):
        self.out, self.looks = out, 0

    def poll(self):
        self.looks += 1
        return [{"do": "set", "arm": "sofim", "name": "lr", "value": 0.7}] if self.looks == 9 else []


@pytest.mark.slow
def test_the_program_prints_the_final_numbers_of_the_race_also_of_one_turned_in_flight(tmp_path):
    arms = [{"id": "sofim", "rho": 0.2}, {"id": "sgd_momentum", "lr": 1e6}, "lbfgs"]
    config = {"task": "breast_cancer_mlp", "arms": arms, "steps": 24, "eval_every": 8, "seeds": [1, 2], "device": "cpu"}
    events = list(race(config, Box(tmp_path)))
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "reproduce.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True, timeout=120)
    printed = {line.split("\t")[0]: line.split("\t") for line in done.stdout.splitlines()}
    last = {lane: now for event in events if event["kind"] == "eval" for lane, now in event["lanes"].items()}
    assert set(printed) == set(last) == {f"{arm}#{seed}" for arm in ("sofim", "sgd_momentum", "lbfgs") for seed in (1, 2)}
    for lane, now in last.items():
        assert printed[lane][1:4] == [
            f"step {now['step']}",
            f"test loss {now['test_loss']:.6f}",
            f"test accuracy {now['test_accuracy']:.6f}",
        ]
    assert "times its start" in printed["sgd_momentum#1"][4]
    changed = [event for event in events if event["kind"] == "changed"]
    assert changed[0]["step"] == 8
    assert "'value': 0.7" in (tmp_path / "reproduce.py").read_text()


def test_the_program_holds_no_code_from_the_configuration():
    with pytest.raises(ConfigRefused):
        as_python({"task": "digits_mlp", "arms": ["sofim"], "x\n__import__('os')": 1})
    text = as_python({"task": "digits_mlp", "arms": ["sofim"], "device": "cpu'''\nimport os"})
    compile(text, "reproduce.py", "exec")
    assert "\nimport os\n" not in text


def test_the_program_imports_only_this_tree_and_torch():
    text = as_python({"task": "digits_mlp", "arms": ["sofim"]})
    imports = [line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert set(imports) == {"torch", "models"}
