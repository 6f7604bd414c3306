"""Attention maps, checked against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from models.shared.attention import class_map, head_mean, mass_inside, patch_share, rollout, upsample


def test_rollout_of_two_layers_equals_the_product_worked_out_by_hand() -> None:
    first = [[0.5, 0.5], [0.25, 0.75]]
    second = [[1.0, 0.0], [0.5, 0.5]]
    attention = torch.tensor([[[first], [second]]])  # one image, two layers, one head, two tokens
    # A1 = [[.75,.25],[.125,.875]], A2 = [[1,0],[.25,.75]]; A2·A1 = [[.75,.25],[.28125,.71875]]
    assert torch.allclose(rollout(attention), torch.tensor([[[0.75, 0.25], [0.28125, 0.71875]]]))


def test_rollout_averages_heads_first() -> None:
    one, other = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    attention = torch.stack([one, other])[None, None]
    assert torch.allclose(head_mean(attention)[0, 0], torch.full((2, 2), 0.5))
    assert torch.allclose(rollout(attention), torch.tensor([[[0.75, 0.25], [0.25, 0.75]]]))


def test_rollout_rows_sum_to_one_and_the_residual_alone_is_the_identity() -> None:
    attention = torch.rand(2, 5, 3, 7, 7, generator=torch.Generator().manual_seed(0)).softmax(-1)
    assert torch.allclose(rollout(attention).sum(-1), torch.ones(2, 7))
    assert torch.equal(rollout(attention, residual=1.0), torch.eye(7).expand(2, 7, 7))


def test_rollout_refuses_what_it_cannot_use() -> None:
    with pytest.raises(ValueError, match="images, layers, heads"):
        rollout(torch.zeros(2, 3, 3))
    with pytest.raises(ValueError, match="between 0 and 1"):
        rollout(torch.zeros(1, 1, 1, 2, 2), residual=2)


def test_class_map_is_the_first_row_without_the_class_token() -> None:
    attention = torch.arange(49.0).reshape(1, 7, 7)
    assert class_map(attention, (2, 3)).tolist() == [[[1, 2, 3], [4, 5, 6]]]


def test_class_map_puts_kept_patches_back_in_their_places() -> None:
    attention = torch.zeros(2, 1, 3, 3)
    attention[0, 0, 0] = torch.tensor([0.5, 0.3, 0.2])
    attention[1, 0, 0] = torch.tensor([0.2, 0.1, 0.7])
    keep = torch.tensor([[3, 0], [1, 2]])
    found = class_map(attention, (2, 2), keep)
    assert torch.allclose(found, torch.tensor([[[[0.2, 0.0], [0.0, 0.3]]], [[[0.0, 0.1], [0.7, 0.0]]]]))


def test_class_map_refuses_a_grid_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="do not fill a grid"):
        class_map(torch.zeros(1, 4, 4), (2, 2))


def test_patch_share_and_mass_inside() -> None:
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[:2, :3] = True  # the first patch whole, half of the second
    share = patch_share(mask, (2, 2))
    assert share.tolist() == [[1.0, 0.5], [0.0, 0.0]]
    patch_map = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    assert mass_inside(patch_map, share).item() == pytest.approx(0.2)
    assert mass_inside(torch.zeros(2, 2), share).item() == 0


def test_upsample_agrees_with_torch_over_the_whole_picture() -> None:
    patch_map = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(1))
    expected = torch.nn.functional.interpolate(patch_map[:, None], size=(32, 40), mode="bilinear", align_corners=False)[:, 0]
    assert torch.allclose(upsample(patch_map, (32, 40)), expected, atol=1e-5)


def test_upsample_leaves_what_the_model_did_not_see_at_zero() -> None:
    spread = upsample(torch.ones(1, 2, 2), (4, 8), box=(0.0, 2.0, 4.0, 6.0))[0]
    assert spread[:, :2].sum() == 0
    assert spread[:, 6:].sum() == 0
    assert torch.allclose(spread[:, 2:6], torch.ones(4, 4))
