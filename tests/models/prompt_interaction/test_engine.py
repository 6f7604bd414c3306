"""The engine of EPIC and MITP: the specs' oracles, its settings, and the notes it is asked about."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.shared.data import phantoms
from models.shared.data.phantoms.notes import TRAITS, VERDICTS, note, traits_of
from models.shared.prompt_interaction.checks import CONFIG, LAWS, _begin, lively
from models.shared.prompt_interaction.config import Config, ConfigRefused, pairs
from models.shared.prompt_interaction.data import pairs as made_pairs
from models.shared.prompt_interaction.plan import ARMS, PlanRefused, read_plan
from models.shared.prompt_interaction.training import answers, build, fit


@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{law.oracle}-{law.name}")
def test_law(law):
    assert law.measure() <= law.tolerance


def test_bad_settings_are_refused():
    for bad in ({"tau": 0}, {"direction": "up"}, {"similarity": "dot"}, {"classes": 1}, {"rungs": 0}):
        with pytest.raises(ConfigRefused):
            Config(**bad)
    with pytest.raises(ConfigRefused, match="room for"):
        pairs(6, 4, 5)
    assert CONFIG.as_json()["tau"] == 0.1


def test_the_hub_can_be_changed_at_answering_time():
    net = lively()
    inputs = _begin(net)
    with torch.no_grad():
        plain, flat, closed, probe = net(inputs), net(inputs, uniform=True), net(inputs, beta=0.0), net(inputs, until=0)
    assert not torch.allclose(plain, flat, atol=1e-5)
    assert not torch.allclose(plain, closed, atol=1e-5)
    assert torch.allclose(closed, probe, atol=1e-5)  # a hub that adds nothing is one that lets nothing through


@pytest.fixture(scope="module")
def drawn():
    return [p for family in phantoms.families() for p in phantoms.batch(family, phantoms.split_seeds("train", 40)) if len(p.lesions) == 1]


def test_notes_say_what_their_verdict_says(drawn):
    random = np.random.default_rng(0)
    for phantom in drawn:
        truth = traits_of(phantom.lesions[0])
        agree, wrong, other = (note(phantom, verdict, random) for verdict in VERDICTS)
        assert all(truth[name] == value for name, value in agree.said.items())
        assert agree.said
        false = [name for name, value in wrong.said.items() if truth.get(name) != value]
        assert false == [wrong.wrong]
        assert wrong.wrong in TRAITS
        assert phantoms.title(phantom.family).split("-")[0] not in other.text
        assert all(value in one.text for one in (agree, wrong) for value in one.said.values())


def test_traits_are_left_out_at_random_and_no_word_gives_the_verdict_away(drawn):
    random = np.random.default_rng(1)
    notes = [note(p, verdict, random) for p in drawn for verdict in ("agree", "contradict") for _ in range(3)]
    lengths = {len(one.said) for one in notes}
    assert len(lengths) >= 3
    for word in ("left", "right", "small", "large"):
        share = np.mean([one.verdict == "agree" for one in notes if word in one.text.split()])
        assert 0.3 < share < 0.7


def test_only_single_lesions_have_notes():
    normal = next(p for p in phantoms.batch("chest_xray", phantoms.split_seeds("train", 30)) if not p.lesions)
    with pytest.raises(ValueError, match="exactly one lesion"):
        note(normal, "agree", np.random.default_rng(0))


@pytest.fixture(scope="module")
def some():
    return made_pairs(lively().clip, "train", 8, 1)


def test_pairs_hold_every_verdict_as_often(some):
    assert some.x.shape == (8, 3, 128, 128)
    assert some.verdict.tolist() == [[0, 1, 2]] * 8
    assert (some.wrong[:, 1] >= 0).all()
    assert (some.wrong[:, [0, 2]] == -1).all()
    assert len({text for row in some.texts for text in row}) > 16


@pytest.mark.parametrize("arm", ["full", "off", "text_only", "image_only"])
def test_arms_train_and_answer_from_what_they_are_given(some, arm):
    plan = read_plan(tuple(ARMS), {"steps": 2, "batch": 4, "seeds": 1})
    net = build(lively().clip, plan, arm, 0)
    before = {name: p.clone() for name, p in net.named_parameters()}
    told = list(fit(net, some, plan, arm, seed=0))
    assert told[-1][0] == 2
    assert all(not torch.equal(before[name], p) for name, p in net.named_parameters() if name.startswith(("head", "prompts")))
    plain, shuffled = answers(net, some, arm), answers(net, some, arm, shuffled=True)
    assert plain.shape == (8, 3, 3)
    assert torch.allclose(plain.sum(-1), torch.ones(()), atol=1e-5)
    same = torch.allclose(plain, shuffled, atol=1e-6)
    assert same == (arm == "text_only")
    if arm == "image_only":
        assert torch.allclose(plain[:, 0], plain[:, 2], atol=1e-6)


def test_plans_of_the_rooms_are_read_and_wrong_ones_refused():
    plan = read_plan(("full", "off"), {})
    assert plan.arms == ("full", "off")
    assert plan.config("off").prompts == 0
    for bad in ({"colour": 1}, {"arms": ["gelu"]}, {"seeds": 0}):
        with pytest.raises(PlanRefused):
            read_plan(("full", "off"), bad)
