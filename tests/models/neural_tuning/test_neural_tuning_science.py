"""Neural Tuning: the spec's oracles, its settings, rows of tokens, decoders, and statistics of neurons on made-up ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.neural_tuning.checks import FULL, LAWS, lively, pictures, turns
from models.neural_tuning.config import Config, ConfigRefused, from_json, silent_count
from models.neural_tuning.features import tapped
from models.neural_tuning.heads import LinearOutline, Outline, feature_errors, outline_loss, outline_probability
from models.neural_tuning.measures import attributes, ious
from models.neural_tuning.network import Dials
from models.neural_tuning.neurons import Firing, at_random, most_special
from models.neural_tuning.sequence import IGNORED, KINDS, collate, turn
from models.shared.backbones.language.loading import small_tokens
from models.shared.backbones.language.tasks import Exchange
from models.shared.data import phantoms


@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{law.oracle}-{law.name}")
def test_law(law):
    assert law.measure() <= law.tolerance


def test_settings_go_to_json_and_back_and_bad_ones_are_refused():
    assert from_json(Config().as_json()) == Config()
    for bad in ({"rho": 0}, {"alpha": 1.1}, {"targets": "q"}, {"rows": "some"}, {"dropout": 1}, {"start": -1}):
        with pytest.raises(ConfigRefused):
            Config(**bad)
    with pytest.raises(ConfigRefused, match="layer 4"):
        lively(Config(start=4))


def test_the_number_of_silent_neurons_is_rounded_down_and_survives_floating_point():
    assert [silent_count(rho, 10) for rho in (0.1, 0.3, 0.4, 0.95, 1.0)] == [9, 7, 6, 0, 0]
    assert silent_count(0.4, 128) == 76


def test_the_tower_is_tapped_in_the_papers_proportions():
    assert tapped(24) == (24, 18, 15)
    assert tapped(6) == (6, 5, 4)


def test_answers_end_with_object_tokens_or_hold_them_inline():
    tokens = small_tokens()
    drawn = phantoms.sample("brain_mr", 20_000_003, count=2)
    assert len(drawn.lesions) == 2
    words = [phantoms.phrase(one) for one in drawn.lesions]
    said = Exchange(
        "reason", "how many lesions are there? outline them", f"there are two lesions: {words[1]} and {words[0]}. they are outlined", (1, 0)
    )
    one, two = tokens.object_ids[:2]
    behind, inline = turn(said, drawn.lesions, tokens), turn(said, drawn.lesions, tokens, inline=True)
    assert behind.answer[-3:] == (one, two, tokens.eos_id)
    assert behind.objects == inline.objects == (1, 0)
    assert sorted(behind.answer) == sorted(inline.answer)
    assert inline.answer.index(one) == len(tokens.ids(f"there are two lesions: {words[1]}"))
    batch = collate([behind], tokens)
    assert batch.objects.tolist() == [[0, len(behind.ids) - 4, 1], [0, len(behind.ids) - 3, 0]]
    assert (batch.labels[0] != IGNORED).sum() == len(behind.answer)
    kinds = [KINDS[kind] for kind in batch.kinds[0].tolist()]
    assert kinds[-4:] == ["read", "task", "task", "answer"]
    assert kinds[: len(behind.question)] == ["question"] * len(behind.question)
    with pytest.raises(ValueError, match="all see their picture"):
        collate([behind, turns(lively().decoder, "draw")[0]], tokens)


def test_dials_change_what_is_said_and_silencing_takes_neurons_away():
    net, seen = lively(), pictures()
    batch = collate(turns(net.decoder), net.decoder.tokenizer)
    silenced = torch.zeros(2, FULL.neurons, dtype=torch.bool)
    silenced[1, ::2] = True
    with torch.no_grad():
        ways = [
            net.states(batch, seen, dials)
            for dials in (Dials(), Dials(rho=0.9), Dials(alpha=0.9), Dials(dense=True), Dials(silenced=silenced))
        ]
    assert all(not torch.equal(ways[0], other) for other in ways[1:])


def test_an_outline_can_be_learned_and_a_perfect_one_costs_little():
    torch.manual_seed(0)
    net = Outline(6, 8, 4, width=8, mlp=16, out=32)
    e, taps = torch.randn(2, 6), [torch.randn(1, 17, 8).expand(2, -1, -1) for _ in range(3)]
    mask = torch.zeros(2, 32, 32, dtype=torch.bool)
    mask[0, :16], mask[1, 16:] = True, True  # one picture, two objects: only the state tells them apart
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    first = outline_loss(net(e, taps), mask).item()
    for _ in range(80):
        optimizer.zero_grad()
        outline_loss(net(e, taps), mask).backward()
        optimizer.step()
    assert outline_loss(net(e, taps), mask).item() < first / 2
    sure = torch.stack([~mask, mask], dim=1).float() * 40
    assert float(outline_loss(sure, mask)) < 1e-2
    assert ((outline_probability(sure) > 0.5) == mask).all()


def test_the_probe_adds_patch_and_state_and_puts_patches_in_their_places():
    net = LinearOutline(3, 2, 2, out=8)
    with torch.no_grad():
        for part in net.parameters():
            part.zero_()
        net.add.weight[2 * 1 + 1, 0] = 1.0  # the second patch's object
        out = net(torch.tensor([[5.0, 0, 0]]), [torch.zeros(1, 5, 2)] * 3)
        assert (out[0, 1, :4, 4:] == 5).all()
        assert out.sum() == 5 * 16
        net.patch.weight[16:, 0] = 1.0
        taps = torch.zeros(1, 5, 2)
        taps[0, 3, 0] = 2.0  # the third patch, after the class token
        assert (net(torch.zeros(1, 3), [taps, taps * 0, taps * 0])[0, 1, 4:, :4] == 2).all()


def test_measures_on_small_cases():
    table = np.array([[2, 4, 1], [-1, -1, -1]])
    assert ious(table)[0] == 0.5
    assert np.isnan(ious(table)[1])
    true = "liver CT: one large dark smooth lesion in the left medial section"
    assert attributes(true, true) == (1.0, 1.0)
    exact, share = attributes(true.replace("large", "small"), true)
    assert exact == 0
    assert share == pytest.approx(0.8)
    assert attributes("liver CT: no liver lesion", "no liver lesion is seen on this liver CT") == (1.0, 1.0)
    mae, cosine = feature_errors(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]]))
    assert (float(mae), float(cosine)) == (1.0, 0.0)


def test_neurons_are_counted_shared_special_and_silent():
    """Four tasks, two tokens each; neuron 0 always fires, neuron 1 in task 2 alone, neuron 2 never, neuron 3 on half of all tokens."""
    a = np.zeros((8, 1, 4), np.float32)
    a[:, 0, 0], a[4:6, 0, 1], a[::2, 0, 3] = 1.0, 2.0, 0.5
    words = np.array(["bos", "dark"] * 4)
    found = Firing(a, np.zeros((8, 0)), np.repeat(range(4), 2), np.tile([0, 1], 4), words, np.zeros(8, int), (2,), 0.4)
    assert found.frequency()[:, 0].tolist() == [[1, 0, 0, 0.5], [1, 0, 0, 0.5], [1, 1, 0, 0.5], [1, 0, 0, 0.5]]
    assert found.frequency("answer")[0, 0].tolist() == [1, 0, 0, 0]
    assert np.isnan(found.frequency("visual")).all()
    assert found.strength()[2, 0].tolist() == [1, 2, 0, 0.25]
    parts = {key: np.flatnonzero(which[0]).tolist() for key, which in found.partition().items()}
    assert parts == {"shared": [0, 3], "silent": [2], "describe": [], "outline": [], "reason": [1], "draw": []}
    assert found.specialisation()[2, 0, 1] == 1
    assert found.overlap()[0, 0, 1] == pytest.approx(1)
    assert found.overlap("jaccard")[0, 0, 2] == pytest.approx(2 / 3)
    assert next(one["word"] for one in found.drivers(0, 3)) == "bos"
    assert most_special(found, "reason", 1)[0].tolist() == [False, True, False, False]
    assert at_random(found, 3, 0)[0].tolist() == [True, True, False, True]
