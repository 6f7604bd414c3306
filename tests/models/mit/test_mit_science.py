"""MiT: the spec's oracles, its settings, its heads and its pictures with phrases."""

from __future__ import annotations

import pytest
import torch

from models.mit.checks import LAWS, lively, text
from models.mit.config import LLAMA_7B, Config, ConfigRefused, flops, from_json
from models.mit.features import tapped
from models.mit.heads import Outline, outline_loss, outline_probability


@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{law.oracle}-{law.name}")
def test_law(law):
    assert law.measure() <= law.tolerance


def test_settings_go_to_json_and_back_and_bad_ones_are_refused():
    assert from_json(Config().as_json()) == Config()
    for bad in (
        {"layers": (0,)},
        {"layers": (3, 2)},
        {"form": "other"},
        {"keys": False, "values": False, "ffn": False},
        {"prepend": True},
    ):
        with pytest.raises(ConfigRefused):
            Config(**bad)
    with pytest.raises(ConfigRefused, match="no layer 32"):
        lively(Config(layers=(32,)))


def test_the_dial_moves_the_answer_without_jumps():
    net, (ids, mask) = lively(), text()
    given = (torch.randn(2, 10),)
    with torch.no_grad():
        said = [net(net.begin(ids, mask), mask, given, strength=s) for s in (0.0, 0.5, 0.5001, 1.0)]
    assert not torch.equal(said[0], said[3])
    assert (said[1] - said[2]).abs().max() < 0.05


def test_infusion_costs_less_than_patches_before_the_text():
    before = flops(LLAMA_7B, 40, visual=577)
    infused = flops(LLAMA_7B, 40, infused=8, image=768)
    assert infused < 0.1 * before
    assert flops(LLAMA_7B, 40) < infused


def test_the_tower_is_tapped_in_the_papers_proportions():
    assert tapped(24) == (18, 12, 6)
    assert tapped(6) == (5, 3, 2)


def test_an_outline_can_be_learned_and_a_perfect_one_costs_little():
    torch.manual_seed(0)
    net = Outline(6, 8, 4, width=8, mlp=16, out=32)
    z, taps = torch.randn(2, 6), [torch.randn(2, 17, 8) for _ in range(3)]
    mask = torch.zeros(2, 32, 32, dtype=torch.bool)
    mask[0, :16], mask[1, 16:] = True, True
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    first = outline_loss(net(z, taps), mask).item()
    for _ in range(60):
        optimizer.zero_grad()
        outline_loss(net(z, taps), mask).backward()
        optimizer.step()
    assert outline_loss(net(z, taps), mask).item() < first / 2
    sure = torch.stack([~mask, mask], dim=1).float() * 40
    assert float(outline_loss(sure, mask)) < 1e-2
    assert ((outline_probability(sure) > 0.5) == mask).all()
