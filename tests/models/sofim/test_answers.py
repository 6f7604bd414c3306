"""Answers of trained networks for one held-out case, over small checkpoints made for the test."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models.shared import checkpoints
from models.shared.checkpoints import Card, CheckpointRefused, DatasetUse, Metric, save
from models.shared.data import load
from models.sofim import answers as room
from models.sofim.answers import ANOTHER_TASK, OWN, answers, case
from models.sofim.arms import ARMS
from models.sofim.tasks import evaluate, get, make_model
from models.sofim.training import train

TABLE, DIGITS = "breast_cancer_mlp", "digits_mlp"
SEED = 3


def card_of(config, metrics=()):
    use = DatasetUse(name="made", title="Made for a test", kind="real", licence="none", n_train=1, n_validation=1, n_test=1)
    one = Metric(value=0.5, low=0.4, high=0.6, n=10, interval="none")
    return Card(
        method="sofim", title="A test", config=config, datasets=(use,), recipe="", seed=SEED, seconds=1.0, hardware="", parameters=1,
        trained_parameters=1, metrics=dict.fromkeys(metrics, one),
    )  # fmt: skip


def network(task, seed):
    """A network with weights of its own: (its state, the network)."""
    model = make_model(get(task), seed).eval()
    return model.state_dict(), model


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A shipped checkpoint in tmp_path: SOFIM and Adam for two tasks, in halves, beside another seed that is not shown. Networks by (task, arm)."""
    path = tmp_path / "sofim.safetensors"
    tensors, nets = {}, {}
    for number, (task, arm) in enumerate([(TABLE, "adam"), (TABLE, "sofim"), (DIGITS, "sofim")]):
        state, nets[task, arm] = network(task, number)
        halves = {name: value.half() for name, value in state.items()}
        nets[task, arm].load_state_dict({name: value.float() for name, value in halves.items()})
        tensors |= {f"{task}.{arm}.{SEED}.{name}": value for name, value in halves.items()}
    tensors |= {f"{TABLE}.sofim.{SEED + 1}.{name}": value for name, value in network(TABLE, 9)[0].items()}
    tensors |= {f"{TABLE}.sgd_momentum.{SEED}0.{name}": value for name, value in network(TABLE, 9)[0].items()}
    save(path, tensors, card_of({}, [f"{TABLE}/test_loss", f"{TABLE}/test_loss@adam", f"{DIGITS}/test_loss"]))
    monkeypatch.setattr(room, "get_method", lambda _id: SimpleNamespace(checkpoint=path, card=path.with_suffix(".json")))
    room._shipped.cache_clear()
    yield nets
    room._shipped.cache_clear()


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Weights of a short real training on the table."""
    out = tmp_path_factory.mktemp("own")
    box = SimpleNamespace(out=out, stopping=False, poll=list)
    list(train({"task": TABLE, "arms": [{"id": "sofim"}], "steps": 20, "device": "cpu"}, box))
    return out / "weights.safetensors"


# -- cases ------------------------------------------------------------------------------------------------------------


def test_a_picture_case_and_a_table_case():
    digits, table = load("digits"), load("breast_cancer")
    shown = case(DIGITS, 5)
    assert (shown.task, shown.index, shown.count, shown.values) == (DIGITS, 5, len(digits.test), None)
    assert (shown.picture.shape, shown.picture.dtype) == ((8, 8), np.float32)
    assert np.array_equal(shown.picture, digits.test.x[5, 0].numpy())
    assert 0 <= shown.picture.min() < shown.picture.max() <= 1
    assert (shown.classes[shown.truth], shown.truth) == (digits.classes[int(digits.test.y[5])], int(digits.test.y[5]))
    row = case(TABLE, 5)
    assert (row.picture, row.values.shape) == (None, (30,))
    assert np.array_equal(row.values, table.test.x[5].numpy())
    assert row.classes == table.classes


def test_case_numbers_go_round():
    count = len(load("breast_cancer").test)
    for asked, expected in [(-1, count - 1), (count, 0), (count + 2, 2), (-count, 0), (10**12, 10**12 % count)]:
        shown, plain = case(TABLE, asked), case(TABLE, expected)
        assert (shown.index, shown.truth) == (expected, plain.truth)
        assert np.array_equal(shown.values, plain.values)


# -- answers ----------------------------------------------------------------------------------------------------------


def test_every_shipped_network_answers_in_the_order_of_the_optimisers(shipped):
    shown = case(TABLE, 7)
    found = answers(shown)
    assert [answer.net for answer in found] == [arm for arm in ARMS if arm in ("sofim", "adam")]
    x = load("breast_cancer").test.x[7:8]
    for answer in found:
        with torch.no_grad():
            logits = shipped[TABLE, answer.net](x)[0].double().numpy()
        expected = np.exp(logits) / np.exp(logits).sum()
        assert np.allclose(answer.probabilities, expected, atol=1e-6)
        assert answer.right == (int(expected.argmax()) == shown.truth)
        assert (answer.label, answer.colour) == (ARMS[answer.net].label, ARMS[answer.net].colour)


def test_own_weights_add_one_row_whose_answers_are_those_of_the_recorded_accuracy(shipped, own):
    data = load("breast_cancer")
    rows = [answers(case(TABLE, index), own) for index in range(len(data.test))]
    assert [answer.net for answer in rows[0]] == [*(answer.net for answer in answers(case(TABLE, 0))), OWN]
    assert rows[0][-1].label == "Your own training"
    right = sum(row[-1].right for row in rows)
    weights, card = checkpoints.load(own)
    assert card.metrics[f"{TABLE}/test_accuracy"].value == pytest.approx(right / len(data.test), abs=1e-12)
    model = make_model(get(TABLE), 0)
    model.load_state_dict(weights)
    assert evaluate(model, data.test)[1] == pytest.approx(right / len(data.test), abs=1e-12)


def test_weights_of_another_task_are_refused_with_the_sentence(shipped, own):
    with pytest.raises(CheckpointRefused) as refused:
        answers(case(DIGITS, 0), own)
    assert str(refused.value) == ANOTHER_TASK == "These weights belong to another task; choose the task they were trained on."


def test_weights_of_another_task_with_a_network_of_the_same_shape_are_refused_too(shipped, tmp_path):
    path = tmp_path / "weights.safetensors"
    save(path, network(DIGITS, 1)[0], card_of({"task": "other_digits_mlp"}))
    with pytest.raises(CheckpointRefused, match="belong to another task"):
        answers(case(DIGITS, 0), path)


def test_weights_whose_card_names_the_task_but_whose_shapes_differ_are_refused(shipped, tmp_path):
    path = tmp_path / "weights.safetensors"
    save(path, network(TABLE, 1)[0], card_of({"task": DIGITS}))
    with pytest.raises(CheckpointRefused, match="belong to another task"):
        answers(case(DIGITS, 0), path)


def test_tampered_weights_are_refused(shipped, own, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(own.read_bytes()[:-1] + b"\1")
    path.with_suffix(".json").write_bytes(own.with_suffix(".json").read_bytes())
    with pytest.raises(CheckpointRefused, match="do not belong to their card"):
        answers(case(TABLE, 0), path)


def test_without_shipped_weights_there_is_a_sentence(shipped, tmp_path):
    (tmp_path / "sofim.safetensors").unlink()
    with pytest.raises(CheckpointRefused, match=r"sofim\.safetensors is not here"):
        answers(case(TABLE, 0))
