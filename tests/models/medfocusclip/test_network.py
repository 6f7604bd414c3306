"""Oracles 9 and 10 of the spec, and that the classifier is CLIP until it is trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.medfocusclip import reference
from models.medfocusclip.guidance import guide
from models.medfocusclip.losses import alignment, entropy, focus_loss
from models.medfocusclip.network import FocusClassifier, RoiFusion
from models.medfocusclip.options import Guidance, prompts

CLASSES = ("cat scan", "dog scan", "bird scan")


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(4))


@pytest.fixture
def features() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """v (6, 8) and texts (3, 8) of length one, with classes (6,)."""
    generator = torch.Generator().manual_seed(6)
    v, t = (F.normalize(torch.randn(n, 8, generator=generator, dtype=torch.float64), dim=-1) for n in (6, 3))
    return v, t, torch.tensor([0, 1, 2, 0, 1, 0])


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_untrained_it_gives_clips_own_logits(clip, x, blocks) -> None:
    net = FocusClassifier(clip, CLASSES, blocks=blocks)
    expected = reference.logits(
        clip.encode_image(x).double().numpy(), clip.encode_text(prompts(CLASSES)).double().numpy(), float(clip.logit_scale)
    )
    np.testing.assert_allclose(net(x).detach().numpy(), expected, atol=2e-5)


def test_guided_it_gives_what_clip_gives_when_looked_at_with_the_same_bias(clip, x) -> None:
    net = FocusClassifier(clip, CLASSES, blocks=1)
    bias = guide(torch.rand(3, 16, generator=torch.Generator().manual_seed(1)), Guidance(beta=2.0, rows="all"), clip.layers)
    v = F.normalize(clip.look(x, bias=bias).features, dim=-1)
    torch.testing.assert_close(net.back(net.front(x, bias), bias), v, atol=1e-5, rtol=0)


def test_only_what_is_opened_learns_and_the_given_clip_stays_as_it_was(clip, x) -> None:
    net = FocusClassifier(clip, CLASSES, blocks=1)
    before = {name: p.detach().clone() for name, p in net.tower.named_parameters()}
    focus_loss(net.back(net.front(x)), net.texts, torch.tensor([0, 1, 2]), net.scale).backward()
    opened = dict(net.opened())
    assert set(opened) == {name for name in before if name.startswith(("transformer.resblocks.2.", "ln_post.", "proj"))}
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in opened.values())
    assert all(p.grad is None for name, p in net.tower.named_parameters() if name not in opened)
    torch.optim.SGD(opened.values(), lr=1.0).step()
    assert not any(p.requires_grad for p in clip.model.parameters())
    assert all(torch.equal(before[name], p) for name, p in clip.model.visual.named_parameters())


def test_all_blocks_open_the_whole_tower(clip) -> None:
    net = FocusClassifier(clip, CLASSES, blocks=3)
    assert set(dict(net.opened())) == set(dict(net.tower.named_parameters()))
    with pytest.raises(ValueError, match="4 blocks"):
        FocusClassifier(clip, CLASSES, blocks=4)


def test_trained_weights_go_out_and_come_in_again(clip, x) -> None:
    one, other = FocusClassifier(clip, CLASSES, fusion=True), FocusClassifier(clip, CLASSES, fusion=True)
    with torch.no_grad():
        for p in one.trainable().values():
            p.add_(0.1)
    share = torch.ones(3, 16)
    assert not torch.allclose(one(x, share=share), other(x, share=share))
    other.load_trained(one.trained_state())
    assert torch.equal(one(x, share=share), other(x, share=share))
    with pytest.raises(ValueError, match="do not fit"):
        FocusClassifier(clip, CLASSES, blocks=2).load_trained(one.trained_state())


def test_oracle_9_at_its_start_the_alpha_map_changes_nothing_and_later_it_does(clip, x) -> None:
    net = FocusClassifier(clip, CLASSES, alpha=True)
    map_ = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    assert torch.equal(net(x, alpha=map_), net(x))
    assert net.alpha is not None
    with torch.no_grad():
        net.alpha.conv.weight.normal_(generator=torch.Generator().manual_seed(3))
    assert not torch.allclose(net(x, alpha=map_), net(x))


def test_the_alpha_map_is_added_to_the_patches_normalised_as_alpha_clip_does(clip, x) -> None:
    net = FocusClassifier(clip, CLASSES, alpha=True)
    with torch.no_grad():
        net.alpha.conv.weight.normal_(generator=torch.Generator().manual_seed(3))
    map_ = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    joined = torch.cat([x, (map_ - 0.5) / 0.26], dim=1)
    weight = torch.cat([clip.model.visual.conv1.weight, net.alpha.conv.weight], dim=1)
    patches = F.conv2d(joined, weight, stride=8).flatten(2).mT
    expected = clip.model.visual.ln_pre(patches + clip.model.visual.positional_embedding[1:])
    inner = FocusClassifier(clip, CLASSES, blocks=3, alpha=True)
    inner.load_trained(inner.trained_state() | {"alpha.conv.weight": net.alpha.conv.weight.detach()})
    torch.testing.assert_close(inner.front(x, alpha=map_)[:, 1:], expected, atol=1e-5, rtol=1e-5)


def test_oracle_10_at_its_start_the_fusion_is_the_identity(clip, x) -> None:
    with_fusion, without = FocusClassifier(clip, CLASSES, fusion=True), FocusClassifier(clip, CLASSES)
    share = torch.rand(3, 16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(with_fusion(x, share=share), without(x), atol=1e-5, rtol=0)


def test_the_fusion_equals_its_equation() -> None:
    fusion = RoiFusion(6, hidden=5).double()
    with torch.no_grad():
        for p in fusion.parameters():
            p.normal_(generator=torch.Generator().manual_seed(9))
    v, roi = (F.normalize(torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(k)), dim=-1) for k in (1, 2))
    w1, b1, w2, b2 = (p.detach().numpy() for p in (fusion.w1.weight, fusion.w1.bias, fusion.w2.weight, fusion.w2.bias))
    expected = [reference.fused(v[i].numpy(), roi[i].numpy(), w1, b1, w2, b2) for i in range(2)]
    np.testing.assert_allclose(fusion(v, roi).detach().numpy(), expected, atol=1e-12)


def test_the_region_feature_is_the_mean_of_the_patches_inside(clip, x) -> None:
    net = FocusClassifier(clip, CLASSES, fusion=True)
    share = torch.zeros(3, 16)
    share[:, 5] = 1
    tokens = clip.look(x).tokens
    torch.testing.assert_close(net.region_feature(tokens, share), clip.patch_tokens(x, normalize=True)[:, 5], atol=1e-5, rtol=0)


def test_oracle_10_lambda_1_is_cross_entropy(features) -> None:
    v, t, y = features
    assert focus_loss(v, t, y, 7.0, balance=1.0).item() == pytest.approx(F.cross_entropy(7 * v @ t.T, y).item(), abs=1e-12)


def test_oracle_10_one_picture_of_each_class_gives_clips_own_loss(features) -> None:
    v, t, _ = features
    scores, target = 7 * v[:3] @ t.T, torch.arange(3)
    clips = (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2
    assert alignment(v[:3], t, target, 7.0).item() == pytest.approx(clips.item(), abs=1e-12)


@pytest.mark.parametrize("balance", [0.0, 0.3, 0.5, 1.0])
def test_the_loss_equals_its_equation(features, balance) -> None:
    v, t, y = features
    expected = reference.L(v.numpy(), t.numpy(), y.tolist(), 7.0, balance)
    assert focus_loss(v, t, y, 7.0, balance=balance).item() == pytest.approx(expected, abs=1e-10)


def test_a_balance_out_of_range_is_refused(features) -> None:
    v, t, y = features
    with pytest.raises(ValueError, match="between 0 and 1"):
        focus_loss(v, t, y, 1.0, balance=1.5)


def test_entropy_is_counted_in_bits() -> None:
    rows = torch.tensor([[1.0, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]])
    torch.testing.assert_close(entropy(rows), torch.tensor([0.0, 2.0, 1.0]))
