"""The lock-step race: fairness, commands in flight, files, and what it refuses."""

from __future__ import annotations

import csv
import json
import math

import pytest
import torch

from models.shared.data import load
from models.shared.training import Batches
from models.sofim.race import race
from models.sofim.race_config import ConfigRefused, read
from models.sofim.race_lanes import Measured
from models.sofim.tasks import get, make_model

SMALL = {"task": "breast_cancer_mlp", "arms": ["sofim", "sgd_momentum", "adam"], "steps": 30, "eval_every": 10, "device": "cpu"}


class Box:
    """An inbox that hands out commands when the race has looked so many times."""

    def __init__(self, out, script=(), stop_after=None):
        self.out, self.script, self.looks, self.stop_after = out, dict(script), 0, stop_after

    @property
    def stopping(self):
        return self.stop_after is not None and self.looks >= self.stop_after

    def poll(self):
        self.looks += 1
        return self.script.get(self.looks, [])


def run(tmp_path, config=SMALL, script=(), stop_after=None):
    events = list(race(config, Box(tmp_path, script, stop_after)))
    json.dumps(events, allow_nan=False)  # everything told must be plain JSON
    return events


def of(events, kind):
    return [event for event in events if event["kind"] == kind]


def points(events, lane, name):
    return [value for event in of(events, "points") for value in event["lanes"].get(lane, {}).get(name, [])]


def evals(events, lane):
    return [event["lanes"][lane] for event in of(events, "eval") if lane in event["lanes"]]


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_lane_is_the_plain_training_loop(tmp_path):
    """SGD by hand on the same batches gives the same losses to the last bit."""
    events = run(tmp_path, SMALL | {"arms": [{"id": "sgd_momentum", "lr": 0.05, "momentum": 0.8}]})
    data = load("breast_cancer").train
    model = make_model(get("breast_cancer_mlp"), 0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.8)
    batches, expected = Batches(len(data.y), 32, 0), []
    for step in range(30):
        rows = batches.indices(step)
        loss = torch.nn.functional.cross_entropy(model(data.x[rows]), data.y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert points(events, "sgd_momentum#0", "loss") == expected


def test_smoothing_is_the_corrected_moving_average_and_words_are_counted(tmp_path):
    events = run(tmp_path)
    loss, smooth = points(events, "adam#0", "loss"), points(events, "adam#0", "smooth")
    weights = [0.9 ** (2 - k) for k in range(3)]
    assert smooth[2] == pytest.approx(sum(w * x for w, x in zip(weights, loss[:3], strict=True)) / sum(weights))
    # 1,058 weights: a gradient is 3 words each, Adam's update 7 more, SGD with momentum's 5.
    assert points(events, "adam#0", "words")[-1] == 30 * 10 * 1058
    assert points(events, "sgd_momentum#0", "words")[-1] == 30 * 8 * 1058


def test_all_lanes_of_a_seed_start_alike_and_go_in_step(tmp_path):
    events = run(tmp_path, SMALL | {"seeds": [3, 4]})
    meta = of(events, "meta")[0]
    assert (meta["parameters"], meta["n_train"], meta["n_test"], meta["seeds"]) == (1058, 341, 114, [3, 4])
    lanes = [f"{arm}#{seed}" for seed in (3, 4) for arm in ("sofim", "sgd_momentum", "adam")]
    first_loss = {lane: points(events, lane, "loss")[0] for lane in lanes}
    assert len({first_loss[lane] for lane in lanes if lane.endswith("#3")}) == 1
    assert first_loss["adam#3"] != first_loss["adam#4"]
    latest = dict.fromkeys(lanes, 0)
    for event in of(events, "points"):
        latest |= {lane: fresh["step"][-1] for lane, fresh in event["lanes"].items()}
        assert max(latest.values()) - min(latest.values()) <= 1, "told in the middle of a tick, lanes differ by that tick at most"
    for lane in lanes:
        assert points(events, lane, "step") == list(range(1, 31))
    rows = of(events, "table")[-1]["rows"]
    assert [row["n"] for row in rows] == [2, 2, 2]


def test_two_races_of_the_same_configuration_are_the_same(tmp_path):
    one, two = run(tmp_path / "1"), run(tmp_path / "2")
    assert points(one, "sofim#0", "loss") == points(two, "sofim#0", "loss")


def test_sofim_lanes_show_their_inside_by_the_formula(tmp_path):
    inside = of(run(tmp_path, SMALL | {"arms": [{"id": "sofim", "lr": 0.2, "rho": 0.25}, "adam"]}), "inside")[-1]["lanes"]
    assert list(inside) == ["sofim#0"]
    seen = inside["sofim#0"]
    assert seen["eta_eff"] == pytest.approx(0.2 / (0.25 + seen["norm"] ** 2))
    assert seen["step_length"] == pytest.approx(seen["eta_eff"] * seen["norm"], rel=1e-5)
    assert 0 <= seen["shrinking"] <= 1


def test_a_pause_holds_every_lane_and_one_step_moves_each_by_one(tmp_path):
    script = {5: [{"do": "pause"}], 7: [{"do": "step"}], 9: [{"do": "resume"}]}
    events = run(tmp_path, script=script)
    assert [(event["state"], event["step"]) for event in of(events, "state")] == [("paused", 4), ("running", 5)]
    assert points(events, "adam#0", "step") == list(range(1, 31))


def test_a_knob_turned_in_flight_is_told_and_acts_from_the_next_step(tmp_path):
    script = {11: [{"do": "set", "arm": "sgd_momentum", "name": "lr", "value": 0.5}]}
    turned, plain = run(tmp_path / "turned", script=script), run(tmp_path / "plain")
    assert of(turned, "changed") == [{"kind": "changed", "arm": "sgd_momentum", "name": "lr", "value": 0.5, "step": 10}]
    same, other = points(plain, "sgd_momentum#0", "loss"), points(turned, "sgd_momentum#0", "loss")
    assert other[:11] == same[:11]  # the loss of a step is measured at the weights before it
    assert other[11] != same[11]
    assert points(turned, "adam#0", "loss") == points(plain, "adam#0", "loss")


def test_a_race_that_was_turned_can_be_replayed(tmp_path):
    script = {11: [{"do": "set", "arm": "adam", "name": "beta1", "value": 0.5}]}
    turned = run(tmp_path, script=script)
    again = run(tmp_path / "again", json.loads((tmp_path / "config.json").read_text()))
    assert points(again, "adam#0", "loss") == points(turned, "adam#0", "loss")


@pytest.mark.parametrize(
    "command",
    [
        {"do": "set", "arm": "lbfgs_not_here", "name": "lr", "value": 1},
        {"do": "set", "arm": "sofim", "name": "lr", "value": math.nan},
        {"do": "set", "arm": "sofim", "name": "rho", "value": 0},
        {"do": "set", "arm": "sofim", "name": "lr", "value": "fast"},
        {"do": "set", "arm": "sofim", "name": "foreach", "value": 1},
        {"do": "dance"},
        {},
    ],
)
def test_a_wrong_command_is_answered_and_the_race_goes_on(tmp_path, command):
    events = run(tmp_path, script={3: [command]})
    assert len(of(events, "refused")) == 1
    assert points(events, "sofim#0", "step") == list(range(1, 31))


def test_a_stop_is_seen_at_the_next_tick_and_leaves_the_files(tmp_path):
    events = run(tmp_path, stop_after=8)
    assert events[-1] == {
        "kind": "result",
        "stopped": True,
        "step": 8,
        "files": {"curves": "curves.csv", "table": "table.csv", "config": "config.json", "program": "reproduce.py"},
    }
    assert max(int(row["step"]) for row in rows_of(tmp_path / "curves.csv")) == 8


def test_a_stop_is_seen_while_paused(tmp_path):
    events = run(tmp_path, script={2: [{"do": "pause"}]}, stop_after=6)
    assert events[-1]["stopped"]
    assert events[-1]["step"] == 1


def test_an_optimiser_that_blows_up_leaves_and_the_others_finish(tmp_path):
    events = run(tmp_path, SMALL | {"arms": [{"id": "sgd_momentum", "lr": 1e5}, "adam"]})
    (gone,) = of(events, "diverged")
    assert gone["lane"] == "sgd_momentum#0"
    assert gone["step"] < 30
    assert points(events, "adam#0", "step")[-1] == 30
    rows = {row["arm"]: row for row in of(events, "table")[-1]["rows"]}
    assert (rows["sgd_momentum"]["diverged"], rows["sgd_momentum"]["best_accuracy"], rows["adam"]["diverged"]) == (1, None, 0)


def test_numbers_that_are_none_any_more_are_told_as_null(tmp_path, monkeypatch):
    monkeypatch.setattr("models.sofim.race_lanes.evaluate", lambda model, split: (math.inf, 0.1))
    events = run(tmp_path, SMALL | {"arms": ["sofim"]})
    assert {now["test_loss"] for now in evals(events, "sofim#0")} == {None}
    assert of(events, "table")[-1]["rows"][0]["median_loss"] is None


def test_a_matrix_without_inverse_takes_out_its_lane_alone(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise torch.linalg.LinAlgError("singular")

    monkeypatch.setattr(torch.linalg, "solve", fail)
    events = run(tmp_path, SMALL | {"arms": ["fisher_ngd", "adam"]})
    assert of(events, "diverged") == [{"kind": "diverged", "lane": "fisher_ngd#0", "step": 0, "why": "its matrix has no inverse any more"}]
    assert points(events, "adam#0", "step")[-1] == 30


def test_a_stop_does_not_wait_for_a_slow_pace(tmp_path):
    box = Box(tmp_path, stop_after=1)
    events = []
    for event in race(SMALL | {"pace": 1}, box):
        events.append(event)
    assert events[-1]["step"] == 1


def test_targets_are_told_once_at_the_first_measurement_that_reaches_them(tmp_path):
    config = SMALL | {"targets": {"test_accuracy": 0.9, "train_loss": 0.0, "test_loss": None}, "steps": 60}
    events = run(tmp_path, config)
    told = {event["lane"]: event for event in of(events, "target")}
    assert {event["target"] for event in told.values()} == {"test_accuracy"}
    assert len(told) == len(of(events, "target")) == 3
    curve = [row for row in rows_of(tmp_path / "curves.csv") if row["optimiser"] == "adam" and row["quantity"] == "test_accuracy"]
    assert told["adam#0"]["step"] == next(int(row["step"]) for row in curve if float(row["value"]) >= 0.9)


def test_losses_come_down_to_a_target_and_accuracies_up():
    now = Measured(1, 0.0, 0.0, train_loss=0.3, test_loss=0.4, test_accuracy=0.9, rows=10)
    assert now.reaches("train_loss", 0.3)
    assert not now.reaches("test_loss", 0.3)
    assert now.reaches("test_accuracy", 0.9)
    assert not now.reaches("test_accuracy", 0.95)


def test_the_curves_are_long_rows_with_units(tmp_path):
    events = run(tmp_path)
    rows = rows_of(tmp_path / "curves.csv")
    assert list(rows[0]) == ["optimiser", "seed", "step", "seconds_s", "words_moved", "quantity", "value", "unit"]
    assert len(rows) == 3 * (30 * 2 + 4 * 3)  # a loss and its average each step; three numbers at steps 0, 10, 20, 30
    written = [float(row["value"]) for row in rows if row["optimiser"] == "adam" and row["quantity"] == "training_loss"]
    assert written == points(events, "adam#0", "loss")
    assert {row["unit"] for row in rows if row["quantity"] == "test_loss"} == {"nats, fixed test rows"}


def test_ticks_and_events_keep_to_the_pace_asked_for(tmp_path):
    """A slow race tells about itself by the clock, not at every tick."""
    events = run(tmp_path, SMALL | {"steps": 30, "pace": 100})
    assert len(of(events, "points")) < 30


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"task": "mnist"}, "There is no task called 'mnist'"),
        ({"arms": []}, "Choose at least one optimiser"),
        ({"arms": "sofim"}, "Choose at least one optimiser"),
        ({"arms": ["sofim", "sofim"]}, "SOFIM is in the race twice"),
        ({"arms": ["newton"]}, "There is no optimiser called 'newton'"),
        ({"task": ["digits_mlp"]}, "There is no task called"),
        ({"arms": [{"id": {}}]}, "There is no optimiser called '{}'"),
        ({"arms": [None, 3]}, "There is no optimiser called 'None'"),
        ({"arms": [{"id": "sofim", "lr": 10**400}]}, "lr of SOFIM must be a number"),
        ({"arms": [{"id": "lbfgs", "history": 10**5}]}, "history of L-BFGS must lie between 1 and 100"),
        ({"arms": [{"id": "nystrom_sgd", "columns": 2.5}]}, "columns of Nyström-SGD must be a whole number"),
        ({"steps": 10**400}, "Steps must be a whole number"),
        ({"steps": math.nan}, "Steps must be a whole number"),
        ({"seeds": {"a": 1}}, "Seeds must be a list"),
        ({"targets": [0.9]}, "Targets must be given by name"),
        ({"changes": "all"}, "Recorded changes must be a list"),
        ({"changes": [{"arm": []}]}, "A recorded change must name an optimiser"),
        ({"arms": [{"id": "sofim", "rho": 0}]}, "rho of SOFIM must be above 0"),
        ({"arms": [{"id": "sofim", "beta": 1}]}, "beta of SOFIM must be at least 0 and below 1"),
        ({"arms": [{"id": "adam", "rho": 1}]}, "Adam has no setting called 'rho'"),
        ({"arms": [{"id": "sofim", "lr": math.inf}]}, "lr of SOFIM must be a number"),
        ({"arms": [{"id": "sofim", "lr": True}]}, "lr of SOFIM must be a number"),
        ({"steps": 0}, "Steps must lie between 1 and 20000"),
        ({"steps": 2.5}, "Steps must be a whole number"),
        ({"seeds": []}, "Seeds must be a list of 1 to 10"),
        ({"seeds": [1, 1]}, "Each seed may be listed once"),
        ({"seeds": [-1]}, "A seed must lie between 0"),
        ({"targets": {"speed": 1}}, "There is no target called 'speed'"),
        ({"targets": {"test_accuracy": 95}}, "The target test_accuracy must lie between 0 and 1"),
        ({"eval_every": 0}, "Steps between evaluations must lie between 1"),
        ({"speed": 3}, "A race has no setting called 'speed'"),
        ({"changes": [{"step": 1, "arm": "lbfgs", "name": "lr", "value": 1}]}, "A recorded change must name an optimiser"),
    ],
)
def test_a_configuration_that_cannot_be_raced_is_refused_in_a_sentence(change, sentence):
    with pytest.raises(ConfigRefused, match=f"^{sentence}"):
        read(SMALL | change)


def test_a_task_that_needs_a_gpu_is_refused_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("models.sofim.tasks._gpu_here", lambda: False)
    monkeypatch.setattr("models.shared.data.is_here", lambda name: True)
    with pytest.raises(ConfigRefused, match=r"^This task needs a GPU"):
        next(race({"task": "vit_gpu", "arms": ["sofim"]}, Box(tmp_path)))


def test_a_race_too_long_to_keep_is_refused():
    five = ["sofim", "sofim_b", "sofim_tensor", "adam", "sgd_momentum"]
    assert read(SMALL | {"steps": 20_000, "seeds": [0, 1, 2], "arms": five}).steps == 20_000
    with pytest.raises(ConfigRefused, match=r"^20000 steps for 5 optimisers and 4 seeds is more than 300,000 in all"):
        read(SMALL | {"steps": 20_000, "seeds": [0, 1, 2, 3], "arms": five})


def test_a_checked_configuration_survives_being_written_down():
    config = read(SMALL | {"arms": [{"id": "sofim", "rho": 0.3}], "changes": [{"step": 2, "arm": "sofim", "name": "lr", "value": 0.2}]})
    assert read(json.loads(json.dumps(config.as_dict()))) == config
