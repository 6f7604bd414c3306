"""Fixtures of the science's tests: a make-believe room, so that the shared parts are tested without any real method."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import models
import models.shared.method

INIT = """
from models.shared.method import Deviation, Method, Paper, Preset, Switch

METHOD = Method(
    id="{id}", title="Title of {id}", question="Does it work?", summary="It is made up.",
    paper=Paper("A paper", ("A. Uthor",), "1234.56789", "Nowhere", 2024, "nothing"),
    order={order}, inputs=("table",), switches=(Switch("s", "S", True),),
    presets=(Preset("embedded", "one second", {{"scale": 2.0}}), Preset("full", "two seconds", {{"scale": 4.0}})),
    deviations=(Deviation("p", "d", "w", "inferred"),), parameters_of="{parameters_of}",
)

def count():
    return 12, 7
"""


@pytest.fixture
def make_room(tmp_path, monkeypatch):
    """A function that writes models/<id>/ and, when given, its recipe; only such rooms are found while the test runs."""
    rooms = tmp_path / "rooms"
    rooms.mkdir()
    before = set(sys.modules)
    monkeypatch.setattr(models, "__path__", [str(rooms)])
    monkeypatch.setattr(models.shared.method, "assets_dir", lambda: tmp_path / "assets")

    def make(id: str, *, order: int = 1, recipe: str = "", parameters_of: str = "", init: str | None = None) -> Path:
        folder = rooms / id
        folder.mkdir()
        (folder / "__init__.py").write_text(INIT.format(id=id, order=order, parameters_of=parameters_of) if init is None else init)
        if recipe:
            (folder / "recipe.py").write_text(recipe)
        return folder

    yield make
    made = {path.name for path in rooms.iterdir()}
    for name in set(sys.modules) - before:
        if name.split(".")[0] == "models" and name.split(".")[1:2] and name.split(".")[1] in made:
            del sys.modules[name]
    for name in made & set(vars(models)):
        delattr(models, name)
