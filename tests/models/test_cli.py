"""The science's command line, run on a make-believe room."""

from __future__ import annotations

import json

import pytest

from models.cli import main
from models.shared.checkpoints import read_card

RECIPE = """
import torch
from models.shared.checkpoints import Card, Metric
from models.shared.data import DataNotHere

STOPPED = []

def metric(value):
    return Metric(value=value, low=value - 0.1, high=value + 0.1, n=10, interval="Wilson")

def train(config, *, seed, device):
    try:
        yield {"kind": "progress", "step": 1, "steps": 2, "text": "halfway", "loss": 0.5}
        MIDDLE
        card = Card(method="zulu", title="Zulu", config=config, datasets=(), recipe="python -m models train zulu", seed=seed, seconds=1.0,
                    hardware=device, parameters=3, trained_parameters=2, metrics={"t/acc": metric(0.5), "t/acc@adam": metric(0.25)})
        yield {"kind": "result", "card": card, "tensors": {"w": torch.full((3,), config["scale"])}}
    finally:
        STOPPED.append(True)

def evaluate(card, tensors):
    EVALUATE
    return {"t/acc": metric(float(tensors["w"].mean()) / 4), "t/acc@adam": metric(0.25)}
"""


@pytest.fixture
def zulu(make_room, tmp_path):
    """A function that makes the room with lines put into its recipe, and returns the checkpoint's place."""

    def make(middle: str = "pass", evaluate: str = "pass"):
        make_room("zulu", recipe=RECIPE.replace("MIDDLE", middle).replace("EVALUATE", evaluate))
        return tmp_path / "assets" / "checkpoints" / "zulu.safetensors"

    return make


def test_train_writes_and_evaluate_agrees(zulu, capsys):
    path = zulu()
    assert main(["train", "zulu", "--device", "cpu", "--seed", "5"]) == 0
    said = capsys.readouterr()
    assert "1 of 2  halfway  loss 0.5" in said.err
    assert "t/acc@adam  0.25  95 % 0.15 to 0.35 (Wilson, n=10)" in said.out
    card = read_card(path)
    assert (card.seed, card.hardware, card.config) == (5, "cpu", {"scale": 2.0})
    assert main(["evaluate", "zulu"]) == 0
    assert "t/acc: recorded 0.5, now 0.5  ok" in capsys.readouterr().out


def test_list_as_text_and_as_json(zulu, capsys):
    path = zulu()
    assert main(["list"]) == 0
    assert "    no checkpoint yet\n" in capsys.readouterr().out
    main(["train", "zulu"])
    capsys.readouterr()
    assert main(["list", "--json"]) == 0
    entry, *encoders = json.loads(capsys.readouterr().out)
    assert [encoder["id"] for encoder in encoders] == ["clip_small", "sam2_small", "language_small"]
    assert entry == {
        "id": "zulu",
        "title": "Title of zulu",
        "arxiv": "1234.56789",
        "parameters": 3,
        "trained_parameters": 2,
        "checkpoint": str(path),
        "sha256": read_card(path).sha256,
        "metrics": {
            "t/acc": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10, "unit": "", "kind": "real", "interval": "Wilson"},
            "t/acc@adam": {"value": 0.25, "low": 0.15, "high": 0.35, "n": 10, "unit": "", "kind": "real", "interval": "Wilson"},
        },
        "problem": None,
    }
    assert main(["list"]) == 0
    assert "zulu  Title of zulu  (arXiv 1234.56789)" in capsys.readouterr().out


def test_list_before_any_training_counts_through_the_room(make_room, capsys):
    make_room("zulu", parameters_of="models.zulu:count")
    assert main(["list", "--json"]) == 0
    entry, *_ = json.loads(capsys.readouterr().out)
    assert (entry["parameters"], entry["trained_parameters"], entry["checkpoint"], entry["metrics"]) == (12, 7, None, {})


def test_list_goes_on_past_a_damaged_card(zulu, make_room, capsys):
    path = zulu()
    make_room("yankee")
    main(["train", "zulu"])
    path.with_suffix(".json").write_text("{")
    capsys.readouterr()
    assert main(["list", "--json"]) == 0
    found = {entry["id"]: entry["problem"] for entry in json.loads(capsys.readouterr().out)}
    assert found["yankee"] is None
    assert "cannot be read" in found["zulu"]


def test_a_number_that_is_off_fails_the_evaluation(zulu, capsys):
    zulu()
    main(["train", "zulu", "--preset", "full"])  # the recipe then computes 1.0 where the card says 0.5
    capsys.readouterr()
    assert main(["evaluate", "all", "--json"]) == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert (report["status"], report["off"]) == ("off", ["t/acc"])
    assert report["recorded"]["t/acc"]["value"] == 0.5
    assert report["recomputed"]["t/acc"]["value"] == 1.0
    assert report["id"] == "zulu"
    assert main(["evaluate", "zulu"]) == 1
    assert "t/acc: recorded 0.5, now 1  OFF" in capsys.readouterr().out


def test_a_rooms_own_tolerance_counts(zulu):
    zulu(evaluate="global tolerance\n    tolerance = lambda name: 0.6 if name == 't/acc' else 0.0")
    main(["train", "zulu", "--preset", "full"])
    assert main(["evaluate", "zulu"]) == 0


def test_a_number_the_card_does_not_have_is_off(zulu, capsys):
    zulu(evaluate="return {'t/new': metric(0.5)}")
    main(["train", "zulu"])
    assert main(["evaluate", "zulu"]) == 1
    assert "t/new: recorded none, now 0.5  OFF" in capsys.readouterr().out


def test_numbers_left_out_are_counted_and_do_not_fail(zulu, capsys):
    zulu(evaluate="return {'t/acc': metric(0.5)}")
    main(["train", "zulu"])
    assert main(["evaluate", "zulu"]) == 0
    assert "1 of 2 numbers were not computed again" in capsys.readouterr().out


def test_absent_data_is_said_and_does_not_fail(zulu, capsys):
    zulu(evaluate="raise DataNotHere('Zulu data', 'zulu.zip')")
    main(["train", "zulu"])
    assert main(["evaluate", "all"]) == 0
    assert "data not here. Zulu data is not here: expected zulu.zip in" in capsys.readouterr().out


def test_changed_weights_fail_the_evaluation(zulu, capsys):
    path = zulu()
    main(["train", "zulu"])
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    assert main(["evaluate", "all"]) == 1
    assert "refused. The weights zulu.safetensors do not belong to their card" in capsys.readouterr().out


def test_evaluating_without_any_checkpoint(zulu, capsys):
    zulu()
    assert main(["evaluate", "all", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == []
    assert "No method has a checkpoint yet" in said.err
    assert main(["evaluate", "zulu"]) == 1
    assert "Title of zulu has no checkpoint yet" in capsys.readouterr().err


def test_stopping_from_the_keyboard_writes_nothing(zulu, capsys):
    path = zulu(middle="raise KeyboardInterrupt")
    assert main(["train", "zulu"]) == 130
    assert "Stopped. No checkpoint was written." in capsys.readouterr().err
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("middle", "sentence"),
    [
        ("raise DataNotHere('Zulu data', 'zulu.zip')", "The training could not go on: Zulu data is not here"),
        ("return", "ended without a result"),
    ],
)
def test_a_training_that_fails_says_why(zulu, capsys, middle, sentence):
    path = zulu(middle=middle)
    assert main(["train", "zulu"]) == 1
    assert sentence in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.parametrize("out", ["there", "there/mine.safetensors"])
def test_out_takes_a_folder_or_a_file(zulu, tmp_path, out):
    shipped = zulu()
    assert main(["train", "zulu", "--out", str(tmp_path / out)]) == 0
    written = sorted(path.name for path in (tmp_path / "there").iterdir())
    stem = "zulu" if out == "there" else "mine"
    assert written == [f"{stem}.json", f"{stem}.safetensors"]
    assert not shipped.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "zula"], "There is no method called 'zula'"),
        (["evaluate", "zula"], "There is no method called 'zula'"),
        (["train", "zulu", "--preset", "huge"], "choose one of: embedded, full"),
        (["train", "zulu", "--device", "cuda:97"], "is not here"),
        (["train", "zulu", "--out", "weights.pt"], "give a folder, or a file ending in .safetensors"),
    ],
)
def test_wrong_commands_are_answered_in_a_sentence(zulu, capsys, arguments, sentence):
    zulu()
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["dance"], ["train"], ["train", "zulu", "--seed", "-1"], ["train", "zulu", "--seed", "x"]])
def test_wrong_usage_exits_with_two(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m models" in capsys.readouterr().err
