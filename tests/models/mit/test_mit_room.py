"""MiT's studies and what the screen asks: data, plans, a quick training with its card, readings with gates, the dial; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.mit import examples, recipe, study, training
from models.mit.network import Trace
from models.mit.plan import ARMS, PRESETS, PlanRefused, read_plan
from models.mit.study_data import cases, several, towers
from models.mit.study_report import findings
from models.mit.wrapper import PictureRefused, Predictor
from models.shared.backbones.language.record import METHOD as LANGUAGE
from models.shared.packing import pack

pytestmark = pytest.mark.skipif(not LANGUAGE.checkpoint.is_file(), reason="the small language model is not in this copy")
QUICK = read_plan(
    {
        "tasks": {"notes": {"pool": 8, "tests": 8, "steps": 3, "batch": 6}, "outline": {"pool": 8, "tests": 8, "steps": 2, "batch": 4}},
        "seeds": 1,
    }
)


@pytest.fixture(scope="module")
def data():
    clip, decoder = towers()
    return {task.id: cases(task, "train", 8, clip=clip, decoder=decoder) for task in QUICK.tasks}


@pytest.fixture(scope="module")
def predictor(data):
    clip, decoder = towers()
    made = {}
    for task in QUICK.tasks:
        net = training.build(task, task.config("full"), decoder, data[task.id].seen, 0)
        made[task.id] = (task.config("full"), pack(net.state_dict()))
    return Predictor(clip, decoder, QUICK, made)


@pytest.fixture(scope="module")
def prepared(predictor):
    return predictor.prepare((examples.example("liver_ct", 3, 2, 128).phantom.image * 255).astype(np.uint8))


def test_cases_hold_every_verdict_and_outlines_of_what_is_meant(data):
    notes, outline = data["notes"], data["outline"]
    assert sorted(notes.target[0].tolist()) == [0, 0, 1, 1, 2, 2]
    assert outline.target.shape == (8, 4, 64, 64)
    assert (outline.target & ~outline.every[:, None]).sum() == 0
    assert outline.target.flatten(2).any(-1).float().mean() > 0.9
    tokenizer = towers()[1].tokenizer
    last = outline.ids[0, 0][int(outline.mask[0, 0].sum()) - 1]
    assert tokenizer.words([last]) == [":"]  # the cue, no content word
    assert {len(one.lesions) > 1 for one in several("test", 8)} == {True}


@pytest.mark.parametrize("task", [task.id for task in QUICK.tasks])
def test_every_arm_trains_and_kept_states_give_the_whole_pass(data, task):
    plan, some = QUICK.task(task), data[task]
    decoder = towers()[1]
    for arm in plan.arms:
        net = training.build(plan, plan.config(arm), decoder, some.seen, 0)
        before = {name: value.clone() for name, value in net.state_dict().items()}
        told = list(training.fit(net, some, plan, seed=0))
        assert np.isfinite(told[-1][1])
        moved = [name for name, value in net.state_dict().items() if not torch.equal(value, before[name])]
        unused = {
            "keys": ("value_scale", "ffn"),
            "values": ("key_", "ffn"),
            "ffn": ("key_", "value_", "level"),
            "no_rescale": ("level",),
        }.get(arm, ())
        assert {name for name in before if name not in moved} <= {name for name in before if any(part in name for part in unused)}
        if arm == "full":
            seen = some.seen.rows(torch.arange(2))
            hidden = decoder.model.model.embed_tokens(some.ids[:2, 0])
            with torch.no_grad():
                whole = net.read(hidden, some.mask[:2, 0], (seen.vector,), start=0, trace=Trace())
                kept = net.read(training.begun(net, some)[:2, 0].float(), some.mask[:2, 0], (seen.vector,))
            assert torch.allclose(whole, kept, atol=0.02)  # kept states are float16


def test_off_hears_no_picture_and_swapping_changes_the_full_arm(data):
    plan, some, decoder = QUICK.task("notes"), data["notes"], towers()[1]
    for arm, same in (("off", True), ("full", False)):
        net = training.build(plan, plan.config(arm), decoder, some.seen, 0)
        assert torch.equal(training.answers(net, some), training.answers(net, some, swapped=True)) == same


def test_plans_are_read_and_wrong_ones_refused():
    plan = read_plan({})
    assert [task.id for task in plan.tasks] == ["notes", "outline"]
    assert {run.arm for run in plan.runs[:12]} == {"full", "off"}
    assert set(plan.task("notes").arms) == set(ARMS)
    for bad in (
        {"colour": 1},
        {"tasks": ["poems"]},
        {"tasks": {"notes": {"arms": ["off"]}}},
        {"tasks": {"notes": {"taste": 1}}},
        {"seeds": 0},
    ):
        with pytest.raises(PlanRefused):
            read_plan(bad)


def test_a_reading_shows_gates_changes_and_attention(predictor, prepared):
    said = predictor.judge(prepared, "liver CT: one large dark lesion")
    assert said.probability.sum() == pytest.approx(1, abs=1e-5)
    assert said.layers == (2, 3)
    assert said.gate.shape == said.level.shape == said.cosine.shape == (2, 4)
    logit = np.log(said.level / (1 - said.level)) + said.cosine
    assert np.allclose(said.gate, 1 / (1 + np.exp(-logit)), atol=1e-5)
    t = len(said.words)
    assert said.attention.shape == said.frozen_attention.shape == (4, 4, t, t)
    assert np.allclose(said.attention[:2].sum(-1), 1, atol=1e-5)
    assert np.allclose(said.attention[0], said.frozen_attention[0])
    assert all((value > 0).all() for value in said.change.values())
    assert predictor.judge(prepared, "one purple lesion").unknown == ("purple",)


def test_the_dial_at_nought_is_blind_and_an_outline_has_the_pictures_size(predictor, prepared):
    other = predictor.prepare(np.zeros((90, 70), np.uint8))
    words = "chest radiograph: one small mass"
    blind = [predictor.judge(one, words, strength=0).probability for one in (prepared, other)]
    assert np.array_equal(*blind)
    assert not np.array_equal(predictor.judge(prepared, words).probability, blind[0])
    assert predictor.outline(other, "the larger lesion").probability.shape == (90, 70)
    cost = predictor.cost("the larger lesion", "outline")
    assert cost["text"] < cost["infused"] < cost["patches"]


def test_what_cannot_be_used_is_a_sentence(predictor, prepared):
    for words, strength, match in (("  ", 1, "Write a note"), ("mass", 2, "dial"), ("mass " * 90, 1, "Shorten")):
        with pytest.raises(PictureRefused, match=match):
            predictor.judge(prepared, words, strength=strength)
    with pytest.raises(PictureRefused):
        predictor.prepare(np.zeros((2, 2, 2, 2)))
    alone = Predictor(predictor.clip, predictor.decoder, QUICK, {})
    with pytest.raises(PictureRefused, match="not trained"):
        alone.judge(prepared, "mass")


def test_examples_are_what_they_say():
    one = examples.example("liver_ct", 7, 1, 128)
    assert len(one.phantom.lesions) == 1
    assert [note.verdict for note in one.notes] == ["agree", "contradict", "unrelated"]
    two = examples.example("liver_ct", 3, 2, 128)
    assert two.notes == ()
    assert two.phrases


@pytest.mark.slow
def test_the_quick_preset_trains_and_its_card_is_computed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    *told, last = recipe.train(PRESETS[1].config)
    assert told
    card = last["card"]
    again = recipe.evaluate(card, last["tensors"])
    assert set(again) == {name for name in card.metrics if "shipped" in name}
    assert all(abs(value.value - card.metrics[name].value) <= recipe.tolerance(name) for name, value in again.items())
    plan = read_plan(PRESETS[1].config)
    assert study.pending(plan) == []
    assert len(card.extra["findings"]) == 2
    assert card.metrics["outline/miou@all_lesions"].value > 0.2
    assert findings(plan.task("notes"), {"full": [study.found(plan, plan.runs[0])]}, study.test_cases(plan.task("notes"))[0]) == []
