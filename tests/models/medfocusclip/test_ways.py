"""Several ways trained in one job: events in their order, one head that answers each way, and a stop that keeps what there is."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models.medfocusclip import study_data
from models.medfocusclip.heads import trained_head
from models.medfocusclip.study_plan import ARMS, PlanRefused
from models.medfocusclip.training import read_wish
from models.medfocusclip.ways import read_ways, train_ways
from models.shared.backbones.clip import new_clip, save_clip
from models.shared.checkpoints import load

SHORT = {"pictures": 20, "tests": 40, "epochs": 1.0}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small CLIP nobody has trained, as a file."""
    path = tmp_path_factory.mktemp("clip") / "untrained.safetensors"
    save_clip(new_clip(seed=0), path)
    return str(path)


def inbox(folder, *, stopping=False):
    return SimpleNamespace(out=folder, stopping=stopping)


@pytest.mark.slow
def test_two_ways_leave_one_head_that_answers_both(weights, tmp_path) -> None:
    events = list(train_ways({"arms": ["plain", "attention"], "clip": weights, "device": "cpu", **SHORT}, inbox(tmp_path)))
    kinds = [event["kind"] for event in events]
    assert (kinds[0], kinds[-1]) == ("meta", "result")
    assert [one["id"] for one in events[0]["arms"]] == ["plain", "attention"]
    shares = [event["step"] for event in events if event["kind"] == "progress"]
    assert shares == sorted(shares)
    assert shares[-1] <= 1
    assert {event["arm"] for event in events if event["kind"] == "points"} == {"plain", "attention"}
    assert set(events[-1]["scores"]) == {"plain", "attention"}
    assert all(one["n"] == 40 for one in events[-1]["scores"].values())

    head = trained_head("own", tmp_path / "weights.safetensors")
    assert set(head.towers) == {"plain", "attention"}
    plain, attention = (head.clip(mode).model.visual.proj for mode in ("plain", "attention"))
    assert not torch.equal(plain, attention), "each way answers with its own weights"
    _, card = load(tmp_path / "weights.safetensors")
    assert set(card.metrics) == {"own/accuracy@plain", "own/accuracy@attention"}
    assert card.extra["heads"]["own"]["arms"] == ["plain", "attention"]


@pytest.mark.slow
def test_a_stop_keeps_the_way_that_was_training_and_leaves_the_others_out(weights, tmp_path) -> None:
    last = list(train_ways({"arms": ["plain", "attention"], "clip": weights, **SHORT}, inbox(tmp_path, stopping=True)))[-1]
    assert last["stopped"]
    assert set(last["scores"]) == {"plain"}
    assert set(trained_head("own", tmp_path / "weights.safetensors").towers) == {"plain"}


def test_ways_that_use_no_automatic_segments_never_look_for_them(monkeypatch) -> None:
    def looked_for(*_):
        raise LookupError("somebody looked for segments")

    monkeypatch.setattr(study_data.ClassicalProvider, "propose", looked_for)
    monkeypatch.setattr(study_data, "VALIDATION", 4)
    (task,) = read_wish({"pictures": 20, "tests": 40}).plan().tasks
    material = study_data.liver(task)
    for arm in ("plain", "attention"):
        assert len(study_data.show(material.train, np.arange(2), ARMS[arm]).pixels) == 2
    with pytest.raises(LookupError):
        study_data.show(material.train, np.arange(2), ARMS["painted"])


@pytest.mark.parametrize(
    ("config", "word"),
    [({}, "at least one way"), ({"arms": ["magic"]}, "at least one way"), ({"arms": ["plain"], "epochs": 0}, "epochs is 0"), ({"arms": ["plain"], "colour": 1}, "no setting called colour")],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_refused_in_words(config, word) -> None:
    with pytest.raises(PlanRefused, match=word):
        read_ways(config)
