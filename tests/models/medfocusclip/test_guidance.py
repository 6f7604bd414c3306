"""Oracle 8 of the spec: the attention mode, which is ours and not from the paper."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.medfocusclip import reference
from models.medfocusclip.guidance import focus_bias, guide, seen_mask, token_share
from models.medfocusclip.options import Guidance, OptionRefused
from models.shared.backbones.clip.vision import attend

HALF = torch.tensor([[1.0] * 8 + [0.0] * 8])
SOFT = torch.linspace(0, 1, 16)[None]


@pytest.fixture
def x(clip) -> torch.Tensor:
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def attention(clip, x, share, guidance) -> torch.Tensor:
    return clip.attention(x, bias=guide(share, guidance, clip.layers))[0]  # L h N N


def test_beta_0_changes_nothing_at_all(clip, x) -> None:
    assert guide(SOFT, Guidance(beta=0.0), clip.layers) == {}
    assert torch.equal(attention(clip, x, SOFT, Guidance(beta=0.0)), clip.attention(x)[0])


@pytest.mark.parametrize("beta", [0.5, 1.0, 30.0])
@pytest.mark.parametrize("epsilon", [1e-3, 0.01, 0.3])
def test_a_region_that_is_everything_changes_nothing_at_all(clip, x, beta, epsilon) -> None:
    whole = torch.ones(1, 16)
    for rows in ("class", "all"):
        guided = attention(clip, x, whole, Guidance(beta=beta, epsilon=epsilon, rows=rows))
        assert torch.equal(guided, clip.attention(x)[0])


@pytest.mark.parametrize("rows", ["class", "all"])
def test_rows_sum_to_one(clip, x, rows) -> None:
    guided = attention(clip, x, SOFT, Guidance(beta=3.0, rows=rows))
    torch.testing.assert_close(guided.sum(-1), torch.ones(3, 3, 17))


@pytest.mark.parametrize("rows", ["class", "all"])
def test_beta_1_multiplies_attention_by_the_region_and_renormalises(clip, x, rows) -> None:
    """One block only, so that its queries and keys are those of the untouched pass."""
    guidance = Guidance(beta=1.0, epsilon=0.05, layers=(0,), rows=rows)
    before, after = clip.attention(x, [0])[0, 0].double(), attention(clip, x, SOFT, guidance)[0].double()
    factor = torch.cat([torch.ones(1, 1), 0.05 + 0.95 * SOFT], dim=1).double()
    expected = before * factor
    expected = expected / expected.sum(-1, keepdim=True)
    torch.testing.assert_close(after[:, 0], expected[:, 0], atol=1e-6, rtol=0)
    others = expected if rows == "all" else before
    torch.testing.assert_close(after[:, 1:], others[:, 1:], atol=1e-6, rtol=0)


def test_a_huge_beta_leaves_the_class_token_nothing_outside(clip, x) -> None:
    guided = attention(clip, x, HALF, Guidance(beta=1e4))
    assert guided[:, :, 0, 9:].abs().max() == 0
    assert guided[:, :, 0, :9].sum(-1).min() == pytest.approx(1, abs=1e-6)


def test_the_mass_inside_never_falls_as_beta_rises(clip, x) -> None:
    masses = [attention(clip, x, HALF, Guidance(beta=beta, layers=(1,)))[1, :, 0, 1:9].sum(-1) for beta in (0, 0.2, 0.5, 1, 2, 5, 20)]
    rising = torch.stack(masses).diff(dim=0)
    assert rising.min() >= -1e-7
    assert rising.sum(0).min() > 0


@pytest.mark.parametrize("rows", ["class", "all"])
@pytest.mark.parametrize("beta", [0.7, 4.0])
def test_guided_attention_equals_the_equation_written_out(clip, rows, beta) -> None:
    block = clip.model.visual.transformer.resblocks[1].attn
    tokens = torch.randn(1, 17, 48, generator=torch.Generator().manual_seed(2))
    _, guided = attend(block, tokens, focus_bias(SOFT, Guidance(beta=beta, epsilon=0.02, rows=rows)))
    joint = (tokens[0] @ block.in_proj_weight.T + block.in_proj_bias).double().numpy()
    q, k, _ = np.split(joint, 3, axis=1)
    for head in range(3):
        part = slice(head * 16, (head + 1) * 16)
        expected = reference.A(q[:, part], k[:, part], SOFT[0].numpy(), beta, 0.02, rows)
        np.testing.assert_allclose(guided[0, head].numpy(), expected, atol=2e-6)


def test_only_the_chosen_blocks_are_steered(clip, x) -> None:
    guided, plain = attention(clip, x, HALF, Guidance(beta=5.0, layers=(-1,))), clip.attention(x)[0]
    assert torch.equal(guided[:2], plain[:2])
    assert not torch.equal(guided[2], plain[2])
    with pytest.raises(OptionRefused, match="no block 3"):
        guide(HALF, Guidance(layers=(3,)), clip.layers)


def test_the_share_of_a_patch_is_the_part_of_it_that_lies_inside(clip) -> None:
    region = torch.zeros(32, 32, dtype=torch.bool)
    region[:8, :12] = True  # one patch wholly, its neighbour half
    share = token_share(region, clip)
    assert share.shape == (4, 4)
    assert share[0].tolist() == [1.0, 0.5, 0.0, 0.0]
    assert share[1:].sum() == 0


def test_a_wide_picture_is_padded_or_cut_as_clip_sees_it() -> None:
    region = torch.ones(2, 4, dtype=torch.bool)
    padded = seen_mask(region, (-1.0, 0.0, 3.0, 4.0))
    assert padded.tolist() == [[0] * 4, [1] * 4, [1] * 4, [0] * 4]
    assert seen_mask(region, (0.0, 1.0, 2.0, 3.0)).tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("settings", [{"beta": -1.0}, {"beta": float("inf")}, {"epsilon": 0.0}, {"epsilon": 1.1}, {"rows": "some"}])
def test_settings_out_of_range_are_refused_in_words(settings) -> None:
    with pytest.raises(OptionRefused):
        Guidance(**settings)
