"""The shipped study says where SOFIM loses, and was made as fairly as it says."""

from __future__ import annotations

from models.shared.checkpoints import read_card
from models.sofim import METHOD
from models.sofim.answers import answers, case, disagreements, next_disagreement
from models.sofim.study_report import OWN
from models.sofim.tasks import TASKS


def test_where_the_method_loses_is_said_for_every_number_that_a_baseline_wins() -> None:
    """From the numbers again: each task in which a baseline's mean accuracy is higher has a sentence that names it."""
    card = read_card(METHOD.card)
    for task in {name.partition("/")[0] for name in card.metrics}:
        name = f"{task}/test_accuracy"
        better = [
            other for other, metric in card.metrics.items() if other.startswith(f"{name}@") and metric.value > card.metrics[name].value
        ]
        better = [other for other in better if other.partition("@")[2] not in OWN]
        said = [
            sentence
            for sentence in card.loses
            if sentence.startswith(TASKS[task].title) and "test accuracy" in sentence and "%" in sentence
        ]
        assert bool(better) == bool(said), (task, better)


def test_every_optimiser_was_searched_as_widely_and_run_with_five_seeds() -> None:
    rows = read_card(METHOD.card).extra["table"]
    assert {row["settings"] for row in rows} == {16}
    assert all(row["seeds"] >= 5 for row in rows)
    assert {row["task"] for row in rows} >= {"digits_mlp", "digits_cnn", "breast_cancer_mlp"}
    assert {"sofim", "sgd_momentum", "adam", "lbfgs", "adahessian", "nystrom_sgd"} <= {row["arm"] for row in rows}


def test_the_networks_disagree_on_a_few_cases_and_the_walk_through_them_comes_round() -> None:
    found = disagreements("digits_mlp")
    assert 0 < len(found) < 60
    number = found[-1]
    assert next_disagreement("digits_mlp", number) == found[0]
    shown = answers(case("digits_mlp", number))
    assert len({int(answer.probabilities.argmax()) for answer in shown}) > 1
