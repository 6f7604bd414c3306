"""Finding the rooms, and what may not be loaded while doing so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from models.shared import method, paths

ROOT = Path(__file__).resolve().parents[2]


def test_rooms_are_found_and_put_in_order(make_room):
    make_room("zulu", order=1)
    make_room("alpha", order=2)
    make_room("bravo", order=2)
    make_room("unfinished", init='"""No record yet."""')
    assert [found.id for found in method.methods()] == ["zulu", "alpha", "bravo"]


def test_a_room_under_another_name_is_refused(make_room):
    make_room("real", init=(make_room("other") / "__init__.py").read_text())
    with pytest.raises(ValueError, match="models/real holds a method with the id 'other'"):
        method.methods()


def test_an_unknown_method_is_answered_with_the_known_ones(make_room):
    make_room("zulu")
    with pytest.raises(method.UnknownMethod) as caught:
        method.get("zula")
    assert str(caught.value) == "There is no method called 'zula'; the known ones are: zulu, clip_small, sam2_small, language_small."
    assert isinstance(caught.value, KeyError)


def test_counts_come_from_the_function_the_room_names(make_room):
    make_room("counted", parameters_of="models.counted:count")
    make_room("uncounted")
    assert method.get("counted").parameters() == (12, 7)
    assert method.get("uncounted").parameters() is None


def test_presets_by_name_and_the_first_by_default(make_room):
    make_room("zulu")
    room = method.get("zulu")
    assert room.preset().name == "embedded"
    assert room.preset("full").config["scale"] == 4.0
    with pytest.raises(ValueError, match="choose one of: embedded, full"):
        room.preset("huge")


def test_recipe_is_the_rooms_own_module(make_room):
    make_room("zulu", recipe="HERE = 5")
    assert method.get("zulu").recipe().HERE == 5


def test_the_real_rooms_have_whole_records():
    for room in method.methods():
        assert room.checkpoint == ROOT / "assets" / "checkpoints" / f"{room.id}.safetensors"
        assert room.card == ROOT / "assets" / "checkpoints" / f"{room.id}.json"
        assert room.title
        assert room.question.endswith("?")
        assert room.presets
        assert {deviation.evidence for deviation in room.deviations} <= {"verified", "derived", "secondary", "inferred"}


def test_data_root_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    assert paths.data_root() == tmp_path
    monkeypatch.setenv("WORKBENCH_DATA", " ")
    assert paths.data_root() == ROOT / "data"


def test_starting_the_server_loads_no_heavy_library():
    program = """
import sys
import models, models.shared.method, models.shared.checkpoints, models.cli
from models.shared import data
from models.shared.method import methods
methods()
for name in data.names():
    data.is_here(name), data.title(name)
heavy = {"torch", "sklearn", "scipy", "matplotlib", "torchmetrics", "timm"} & set(sys.modules)
sys.exit(f"loaded: {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
