"""Weights packed in four bits come back near what they were, and never on the wrong network."""

from __future__ import annotations

import pytest
import torch

from models.medfocusclip.packing import CODES, GROUP, SCALES, pack, unpack


@pytest.fixture
def state() -> tuple[dict, dict]:
    """(trained, base): a matrix whose size is no multiple of the group, one that did not change, and a bias."""
    generator = torch.Generator().manual_seed(0)
    base = {"w": torch.randn(7, 30, generator=generator), "still": torch.randn(4, 16, generator=generator), "b": torch.zeros(5)}
    trained = {"w": base["w"] + 0.01 * torch.randn(7, 30, generator=generator), "still": base["still"].clone(), "b": torch.arange(5.0)}
    return trained, base


def test_each_number_is_off_by_half_a_step_of_its_group_at_most(state) -> None:
    trained, base = state
    back = unpack(pack(trained, base), base)
    change = torch.nn.functional.pad((trained["w"] - base["w"]).flatten(), (0, 46)).view(-1, GROUP)
    step = (change.abs().amax(1) / 7)[:, None].expand(-1, GROUP).flatten()[:210].view(7, 30)
    assert ((back["w"] - trained["w"]).abs() <= step * 0.51).all()
    assert torch.equal(back["still"], trained["still"])
    assert torch.equal(back["b"], trained["b"])


def test_two_numbers_take_one_byte(state) -> None:
    packed = pack(*state)
    assert packed["w" + CODES].dtype == torch.uint8
    assert packed["w" + CODES].numel() == 2 * 4 * GROUP // 4  # four groups
    assert packed["w" + SCALES].numel() == 4


def test_packing_what_was_unpacked_changes_nothing_more(state) -> None:
    trained, base = state
    once = unpack(pack(trained, base), base)
    twice = unpack(pack(once, base), base)
    for name, tensor in once.items():
        torch.testing.assert_close(twice[name], tensor, atol=2e-5, rtol=0)


def test_weights_of_another_network_are_refused_in_words(state) -> None:
    trained, base = state
    packed = pack(trained, base)
    for wrong in ({}, {"w": torch.zeros(9, 90), "still": base["still"]}):
        with pytest.raises(ValueError, match="do not fit this CLIP"):
            unpack(packed, wrong)
    del packed["w" + SCALES]
    with pytest.raises(ValueError, match="do not fit this CLIP"):
        unpack(packed, base)
