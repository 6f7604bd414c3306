"""One training that is kept: what it leaves behind after its end, after a stop, after blowing up, and what it refuses."""

from __future__ import annotations

import json

import pytest
import torch

from models.shared import checkpoints
from models.shared.data import load
from models.sofim import race_config
from models.sofim.race_config import ConfigRefused, read
from models.sofim.tasks import Availability, evaluate, get, make_model
from models.sofim.training import train

TASK = "breast_cancer_mlp"
SMALL = {"task": TASK, "arms": [{"id": "sofim", "lr": 0.1, "rho": 0.5}], "steps": 30, "seeds": [4], "eval_every": 10, "device": "cpu"}


class Box:
    """An inbox that asks to stop once the training has looked so many times for commands."""

    def __init__(self, out, stop_after=None):
        self.out, self.looks, self.stop_after = out, 0, stop_after

    @property
    def stopping(self):
        return self.stop_after is not None and self.looks >= self.stop_after

    def poll(self):
        self.looks += 1
        return []


def run(out, config=SMALL, stop_after=None):
    events = list(train(config, Box(out, stop_after)))
    json.dumps(events, allow_nan=False)
    return events


def right_share(model, split):
    """Share of the cases whose largest logit is at the label, counted one by one."""
    with torch.no_grad():
        return sum(int(model(x[None])[0].argmax()) == int(y) for x, y in zip(split.x, split.y, strict=True)) / len(split)


def test_a_training_leaves_weights_and_a_card_that_tell_the_same(tmp_path):
    events = run(tmp_path)
    assert (events[0]["kind"], events[-1]["kind"], events[-1]["stopped"], events[-1]["step"]) == ("meta", "result", False, 30)
    files = events[-1]["files"]
    assert (files["weights"], files["card"]) == ("weights.safetensors", "weights.json")
    assert {path.name for path in tmp_path.iterdir()} == set(files.values())
    weights, card = checkpoints.load(tmp_path / files["weights"])

    data = load("breast_cancer")
    model = make_model(get(TASK), 0)
    model.load_state_dict(weights)
    loss, accuracy = evaluate(model, data.test)
    metric = card.metrics[f"{TASK}/test_accuracy"]
    assert list(card.metrics) == [f"{TASK}/test_accuracy"]
    assert (metric.value, metric.n, metric.kind) == (pytest.approx(accuracy, abs=1e-12), len(data.test), "real")
    assert metric.value == pytest.approx(right_share(model, data.test), abs=1e-12)
    assert metric.low < metric.value < metric.high
    assert metric.value > 0.85  # thirty steps are enough on this table, and the untrained network has less
    assert right_share(make_model(get(TASK), 4), data.test) < metric.value
    assert f"One run of 30 steps, measured once on the whole test split; test loss {loss:.4f} nats." == card.notes


def test_the_card_says_what_was_trained_and_how_to_make_it_again(tmp_path):
    run(tmp_path)
    weights, card = checkpoints.load(tmp_path / "weights.safetensors")
    assert (card.method, card.title, card.seed) == ("sofim", "Breast cancer table, trained with SOFIM", 4)
    assert card.parameters == card.trained_parameters == sum(value.numel() for value in weights.values()) == 1058
    (use,) = card.datasets
    data = load("breast_cancer")
    assert (use.name, use.kind) == ("breast_cancer", "real")
    assert (use.n_train, use.n_validation, use.n_test) == (len(data.train), len(data.validation), len(data.test))
    assert read(card.config) == read(SMALL)

    again = tmp_path / "again"
    again.mkdir()
    run(again, card.config)
    repeated, _ = checkpoints.load(again / "weights.safetensors")
    assert all(torch.equal(repeated[name], value) for name, value in weights.items())


def test_a_stop_half_way_keeps_the_weights_of_that_step(tmp_path):
    stopped, short = tmp_path / "stopped", tmp_path / "short"
    for folder in (stopped, short):
        folder.mkdir()
    last = run(stopped, stop_after=12)[-1]
    assert (last["kind"], last["stopped"], last["step"]) == ("result", True, 12)
    run(short, SMALL | {"steps": 12})
    (weights, card), (expected, _) = (checkpoints.load(folder / "weights.safetensors") for folder in (stopped, short))
    assert all(torch.equal(weights[name], value) for name, value in expected.items())
    assert card.notes.startswith("One run of 12 steps")


def test_a_training_that_blew_up_leaves_its_curves_and_no_weights(tmp_path):
    events = run(tmp_path, SMALL | {"arms": [{"id": "sgd_momentum", "lr": 1e5}]})
    assert [event["lane"] for event in events if event["kind"] == "diverged"] == ["sgd_momentum#4"]
    assert not {"weights", "card"} & set(events[-1]["files"])
    assert not list(tmp_path.glob("weights*"))
    assert (tmp_path / events[-1]["files"]["curves"]).exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"arms": ["sofim", "adam"]}, "A training keeps one network, so it takes one optimiser and one seed"),
        ({"seeds": [0, 1]}, "A training keeps one network, so it takes one optimiser and one seed"),
        ({"arms": []}, "Choose at least one optimiser"),
        ({"steps": 0}, "Steps must lie between 1 and"),
        ({"task": "moon_landing"}, "There is no task called 'moon_landing'"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_event(tmp_path, more, sentence):
    with pytest.raises(ConfigRefused, match=sentence):
        next(train(SMALL | more, Box(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_needs_a_gpu_is_refused_without_one(tmp_path, monkeypatch):
    reason = "This task needs a GPU: on a processor one step takes seconds."
    monkeypatch.setattr(race_config, "availability", lambda task: Availability(task, here=False, reason=reason))
    with pytest.raises(ConfigRefused, match="needs a GPU"):
        next(train(SMALL, Box(tmp_path)))
