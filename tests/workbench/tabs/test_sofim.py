"""What the SOFIM tab computes itself: a race's configuration from the controls, the recorded race, numbers shortened for the browser."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from models.shared.checkpoints import Card
from models.sofim.arms import ARMS
from models.sofim.race_config import ConfigRefused, read
from workbench.tabs.sofim import recorded
from workbench.tabs.sofim.compare import _short
from workbench.tabs.sofim.names import SOFIM_ARMS, labels, race_title
from workbench.tabs.sofim.race_settings import OTHERS, filled, race_config

TASK = "digits_mlp"
RATES = [0.25 + position for position in range(len(OTHERS))]


def config(arms, tuned=None, lr=0.2, rho=0.4, beta=0.8, loss=0.1, accuracy=0.9, rates=RATES):
    return race_config(TASK, arms, tuned or {}, lr, rho, beta, 32, 50, 2, 80, loss, accuracy, *rates)


# -- a race from the controls -----------------------------------------------------------------------------------------


def test_the_controls_give_a_race_that_is_accepted():
    made = config(["adam", "sofim"])
    adam = RATES[[arm.id for arm in OTHERS].index("adam")]
    assert made == {
        "task": "digits_mlp",
        "arms": [{"id": "sofim", "lr": 0.2, "rho": 0.4, "beta": 0.8}, {"id": "adam", "lr": adam}],
        "batch": 32,
        "steps": 50,
        "seeds": [0, 1],
        "targets": {"train_loss": 0.1, "test_loss": 0.2, "test_accuracy": 0.9},
        "pace": 80,
    }
    assert read(made).entries[0].hyper == {"lr": 0.2, "rho": 0.4, "beta": 0.8}
    assert race_title(made) == "Race: Handwritten digits, small network, 2 optimisers"


def test_every_optimiser_takes_its_own_rate():
    made = read(config(list(ARMS)))
    assert [entry.id for entry in made.entries] == list(ARMS)
    rates = {entry.id: entry.hyper["lr"] for entry in made.entries}
    assert rates == dict.fromkeys(SOFIM_ARMS, 0.2) | {arm.id: rate for arm, rate in zip(OTHERS, RATES, strict=True)}


def test_no_optimiser_is_a_sentence():
    with pytest.raises(ValueError, match=r"^Choose at least one optimiser to race\.$"):
        config([])


def test_settings_of_the_study_are_kept_below_those_on_the_screen():
    (adam,) = config(["adam"], tuned={"adam": {"lr": 9.0, "beta1": 0.5}, "sofim": {"beta": 0.1}})["arms"]
    assert (adam["beta1"], adam["lr"]) == (0.5, RATES[[arm.id for arm in OTHERS].index("adam")])


def test_each_variant_runs_at_its_own_best_until_a_knob_is_turned():
    tuned = {"sofim": {"lr": 2.0, "rho": 0.5}, "sofim_b": {"lr": 3.0, "rho": 1.5}}
    _, lr, rho, beta, *rates = filled(tuned)
    assert (lr.value, rho.value, beta) == (2.0, 0.5, 0.9)
    assert rates == [next(hyper.default for hyper in arm.hypers if hyper.name == "lr") for arm in OTHERS]
    untouched = config(["sofim", "sofim_b"], tuned=tuned, lr=2.0, rho=0.5, beta=0.9)["arms"]
    assert [(arm["lr"], arm["rho"]) for arm in untouched] == [(2.0, 0.5), (3.0, 1.5)]
    turned = config(["sofim", "sofim_b"], tuned=tuned, lr=2.0, rho=0.7, beta=0.9)["arms"]
    assert [(arm["lr"], arm["rho"]) for arm in turned] == [(2.0, 0.7), (2.0, 0.7)]


def test_an_emptied_target_is_left_out():
    assert set(read(config(["sofim"], loss=None)).targets) == {"test_loss", "test_accuracy"}


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"rates": [None] * len(OTHERS)}, "must be a number"),
        ({"lr": 0.0}, "lr of SOFIM must be above 0"),
        ({"beta": 1.0}, "beta of SOFIM must be at least 0 and below 1"),
        ({"rho": math.nan}, "rho of SOFIM must be a number"),
    ],
)
def test_wrong_values_are_refused_by_the_race_with_a_sentence(more, sentence):
    with pytest.raises(ConfigRefused, match=sentence):
        read(config(["sofim", "adam"], **more))


# -- the recorded race ------------------------------------------------------------------------------------------------


def curve(steps, loss):
    return {
        "step": steps,
        "seconds": [0.1 * step for step in steps],
        "words": [10.0 * step for step in steps],
        "train_loss": [loss] * len(steps),
        "test_loss": [loss + 1] * len(steps),
        "test_accuracy": [0.5] * len(steps),
    }


@pytest.fixture
def studied(tmp_path):
    """A method whose card holds a small study: two optimisers that are shown, one that is not."""
    row = {"task": TASK, "seeds": 5, "settings": 16}
    extra = {
        "table": [
            {**row, "arm": "adam", "hyper": {"lr": 0.01}},
            {**row, "arm": "sofim", "hyper": {"lr": 2.0, "rho": 0.5}},
            {**row, "arm": "sofim", "task": "digits_cnn", "hyper": {"lr": 7.0}},
        ],
        "curves": {TASK: {"adam": curve([0, 5, 10], 0.3), "sofim": curve([0, 5], 0.2), "fisher_ngd": curve([0, 5, 99], 0.1)}},
        "targets": {TASK: {"train_loss": 0.1}},
    }
    card = Card(
        method="sofim", title="SOFIM", config={}, datasets=(), recipe="", seed=0, seconds=1.0, hardware="2 cores", parameters=1,
        trained_parameters=1, metrics={}, extra=extra,
    )  # fmt: skip
    path = tmp_path / "sofim.json"
    path.write_text(card.model_dump_json())
    return SimpleNamespace(card=path)


def test_the_recorded_race_is_the_cards_curves_as_events(studied):
    made = recorded.race(studied, TASK)
    json.dumps(made, allow_nan=False)
    meta, *events = made["events"]
    assert (meta["kind"], meta["task"], meta["title"], meta["seeds"]) == ("meta", TASK, "Handwritten digits, small network", ["median"])
    assert [arm["id"] for arm in meta["arms"]] == ["sofim", "adam"]  # SOFIM first; one that is not shown takes no part
    assert (meta["steps"], meta["targets"], meta["device"]) == (10, {"train_loss": 0.1}, "2 cores")
    assert [event["kind"] for event in events] == ["points", "eval", "eval", "points", "eval", "eval", "eval"]
    assert events[0] == {
        "kind": "points",
        "lanes": {"sofim#median": {"step": [0, 5], "seconds": [0.0, 0.5], "words": [0.0, 50.0], "smooth": [0.2, 0.2]}},
    }
    assert events[5]["lanes"]["adam#median"] == {
        "step": 5,
        "seconds": 0.5,
        "words": 50.0,
        "train_loss": 0.3,
        "test_loss": 1.3,
        "test_accuracy": 0.5,
    }
    assert "median of 5 runs, every optimiser at the best of its 16 tried settings" in made["note"]


def test_without_a_study_of_the_task_nothing_is_shown(studied, tmp_path):
    assert recorded.race(studied, "brain_mri_cnn") == {}
    assert recorded.race(SimpleNamespace(card=tmp_path / "absent.json")) == {}
    studied.card.write_text("{")
    assert recorded.race(studied, TASK) == {}
    assert recorded.best_settings(studied, TASK) == {}


def test_best_settings_are_those_of_the_task(studied):
    assert recorded.best_settings(studied, TASK) == {"adam": {"lr": 0.01}, "sofim": {"lr": 2.0, "rho": 0.5}}
    assert recorded.best_settings(studied, "digits_cnn") == {"sofim": {"lr": 7.0}}
    assert recorded.best_settings(studied, "vit_gpu") == {}


# -- numbers for the browser, names for people ------------------------------------------------------------------------


def test_numbers_are_cut_to_five_digits_wherever_they_stand():
    scene = {"a": 0.123456789, "b": [1.0, (2.000001, {"c": -123456.7})], "n": 1234567, "yes": True, "none": None, "text": "0.123456789"}
    short = {"a": 0.12346, "b": [1.0, [2.0, {"c": -123460.0}]], "n": 1234567, "yes": True, "none": None, "text": "0.123456789"}
    assert _short(scene) == short
    assert _short(np.float64(1 / 3)) == 0.33333
    assert scene["a"] == 0.123456789  # the scene itself stays as it was
    assert _short(5e-324) == 5e-324
    assert math.isinf(_short(math.inf))


def test_every_task_measure_and_arm_has_a_plain_name():
    names = labels()
    assert (names[""], names["adam"], names[TASK]) == ("SOFIM", ARMS["adam"].label, "Handwritten digits, small network")
    assert names["steps_to_test_loss"] == "Steps to the target test loss"
    assert all(names[arm] for arm in ARMS)
