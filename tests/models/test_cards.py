"""Every shipped checkpoint: small, whole, complete in its card, and equal to its card when computed again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from models.shared.checkpoints import load, read_card
from models.shared.method import Method, backbones, methods

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = [method for method in (*methods(), *backbones()) if method.card.exists()]
MAX_BYTES = 10_000_000

pytestmark = pytest.mark.parametrize("method", SHIPPED, ids=lambda method: method.id)


def test_the_weights_are_small_and_belong_to_their_card(method: Method) -> None:
    assert method.checkpoint.stat().st_size < MAX_BYTES
    tensors, card = load(method.checkpoint)
    assert tensors
    assert card.method == method.id


def test_the_card_says_what_was_measured_and_on_what(method: Method) -> None:
    card = read_card(method.card)
    assert card.recipe.startswith(f"python -m models train {method.id}")
    assert card.seconds > 0
    assert card.hardware
    assert card.notes
    assert card.datasets
    assert all(use.licence and use.n_test for use in card.datasets)
    assert any(use.n_train for use in card.datasets)
    own = [name for name in card.metrics if "@" not in name]
    rivals = [name for name in card.metrics if "@" in name]
    assert own, "no number of the method itself"
    assert rivals, "no baseline beside it"
    for name in own:
        metric = card.metrics[name]
        assert metric.low <= metric.value <= metric.high
        assert metric.n > 0


@pytest.mark.slow
@pytest.mark.timeout(900)  # the segmenter's card takes minutes on two busy cores
def test_evaluate_computes_the_cards_numbers_again(method: Method) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "models", "evaluate", method.id, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (found,) = json.loads(done.stdout)
    assert not found["off"]
    card = read_card(method.card)
    assert set(found["recorded"]) == set(card.metrics)
    assert found["recomputed"], "nothing could be computed again"
    tolerance = method.recipe().tolerance  # what another processor's rounding may move; each recipe says why
    for name, metric in found["recomputed"].items():
        assert metric["value"] == pytest.approx(card.metrics[name].value, abs=tolerance(name)), name
