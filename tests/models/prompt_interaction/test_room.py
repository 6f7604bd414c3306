"""A room on the interaction engine, from training to a card that is computed again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.epic.plan import ARMS as EPIC
from models.epic.record import METHOD as EPIC_METHOD
from models.mitp.plan import ARMS as MITP
from models.mitp.record import METHOD as MITP_METHOD
from models.shared.prompt_interaction import room, study
from models.shared.prompt_interaction.plan import read_plan

ARMS = ("full", "off", "text_only")
CONFIG = {"arms": list(ARMS), "seeds": 2, "steps": 4, "batch": 4, "pool": 12, "tests": 8, "notes": 1}
SOME = replace(EPIC_METHOD, id="some_room", title="Some room", presets=(), deviations=())


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


def test_both_rooms_speak_of_networks_the_engine_knows_and_share_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one, other = (read_plan(arms, {}) for arms in (EPIC, MITP))
    assert {study.name(one, arm, 0) for arm in EPIC} & {study.name(other, arm, 0) for arm in MITP} >= {
        study.name(one, "full", 0),
        study.name(one, "off", 0),
    }
    assert study.runs_of(one).folder == study.runs_of(other).folder
    for method, arms in ((EPIC_METHOD, EPIC), (MITP_METHOD, MITP)):
        for preset in method.presets:
            assert "full" in read_plan(arms, preset.config).arms
        assert {"off", "no_hub", "to_text", "to_vision", "uniform", "full"} <= set(read_plan(arms, method.preset("cpu").config).arms)
        assert method.recipe().parameters()[1] == 63_587
        assert "reconstruction" in method.paper.read
