"""A room on the interaction engine, from training to a card that is computed again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.hsvlt.record import METHOD
from models.shared.prompt_interaction import room, study
from models.shared.prompt_interaction.plan import read_plan

ARMS = ("full", "off", "text_only")
CONFIG = {"seeds": 2, "steps": 4, "batch": 4, "pool": 12, "tests": 8, "notes": 1}
SOME = replace(METHOD, id="some_room", title="Some room", presets=(), deviations=())


@pytest.mark.slow
def test_a_small_study_runs_goes_on_and_its_card_is_computed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plan = read_plan(ARMS, CONFIG)
    assert len(study.pending(plan)) == 6
    *told, last = room.train(SOME, ARMS, CONFIG)
    assert told
    assert study.pending(plan) == []
    card = last["card"]
    assert {"notes/accuracy", "notes/pair_accuracy@off", "notes/unseen_accuracy", "notes/accuracy_over_seeds"} <= set(card.metrics)
    again = room.evaluate(ARMS, card, last["tensors"])
    assert set(again) == {name for name in card.metrics if "shipped" in name}
    assert all(abs(value.value - card.metrics[name].value) < 1e-6 for name, value in again.items())
    assert len(card.extra["findings"]) == 2
    assert card.trained_parameters < 0.02 * card.parameters
