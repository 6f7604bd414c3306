"""The spec's oracles: every law holds, and those that could hold by accident break when the network is broken."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.resformer_mtl import checks, layers, losses, oct, reference
from models.resformer_mtl.config import from_json, paper, small
from models.resformer_mtl.network import ResFormerMTL, parameter_parts
from models.resformer_mtl.study_data import derived_labels
from models.shared.segmentation_metrics import dice


@pytest.mark.parametrize("law", checks.LAWS, ids=lambda law: law.name)
def test_law_holds(law):
    assert law.measure() <= law.tolerance


def test_every_oracle_of_the_spec_has_a_law_but_the_one_that_trains():
    assert {law.oracle for law in checks.LAWS} == set(range(1, 12))


@pytest.mark.parametrize(
    ("side", "parts"),
    [
        (224, {"trunk": 21_284_672, "swin": 8.425e6, "tokens": 1.731e6, "decoder": 2.238e6, "dfe": 22.642e6, "head": 0.026e6}),
        (512, {"trunk": 21_284_672, "swin": 8.619e6, "tokens": 1.731e6, "decoder": 2.238e6, "dfe": 22.642e6, "head": 0.026e6}),
    ],
)
def test_every_part_has_the_size_of_the_specs_table(side, parts):
    with torch.device("meta"):
        found = parameter_parts(ResFormerMTL(paper(side)))
        bare = parameter_parts(ResFormerMTL(paper(side, dfe="off")))
    for part, count in parts.items():
        # the table counts thousands, so half of one may be rounded away (the head: of 26)
        assert found[part] == pytest.approx(count, abs=600), part
    assert sum(bare.values()) == pytest.approx({224: 33.70e6, 512: 33.90e6}[side], rel=1e-3)


def test_a_wrong_wiring_is_seen_by_the_reference():
    image = torch.rand(1, 1, 32, 32)
    net = checks.lively(checks.TINY)
    W = reference.arrays(net.state_dict())
    wrong = reference.encoder(image[0].double().numpy(), W, stem_stride=1, w=2, heads=checks.TINY.heads, wiring="parallel")
    with torch.no_grad():
        right = net.encoder(image)
    assert np.abs(right[0][0].numpy() - wrong[0]).max() > 0.1


@pytest.mark.parametrize("layout", ["correct", "repo"])
def test_channel_attention_weighs_a_channel_alike_everywhere_only_in_the_correct_layout(layout):
    torch.manual_seed(0)
    mlp, tokens = layers.EcaMlp(8, layout), torch.randn(1, 16, 8)
    plain = mlp.fc2(F.gelu(mlp.fc1(tokens)))
    spread = (mlp(tokens) / plain)[0].std(dim=0).max()  # over places, for each channel
    assert (spread < 1e-4) == (layout == "correct")


@pytest.mark.parametrize(("channels", "kernel"), [(8, 3), (16, 3), (64, 3), (128, 5), (256, 5), (512, 5), (1024, 5), (2048, 7)])
def test_channel_attention_reaches_as_far_as_eca_says(channels, kernel):
    assert layers.eca_kernel(channels) == kernel


def test_shifted_windows_do_not_look_across_the_seam():
    mask = layers.shift_mask(8, 4, 2)
    order = torch.arange(64).view(1, 8, 8, 1).roll((-2, -2), (1, 2))
    places = layers.partition(order, 4)[..., 0]  # n M: which token stands where
    for window, tokens in enumerate(places.tolist()):
        for i, token in enumerate(tokens):
            seen = {tokens[j] for j in range(16) if mask[window, i, j]}
            assert seen == set(reference.seen_by(token, 8, 4, 2))


def test_the_joint_loss_is_the_weighted_sum():
    torch.manual_seed(0)
    seg, cls = torch.randn(3, 4, 8, 8), torch.randn(3, 3)
    masks, labels = torch.randint(0, 4, (3, 8, 8)), torch.randint(0, 2, (3, 3))
    both = losses.joint_loss(seg, cls, masks, labels, alpha=0.25)
    assert float(both.total) == pytest.approx(float(both.seg) + 0.25 * float(both.cls), rel=1e-6)
    assert losses.joint_loss(seg, cls, masks, labels, alpha=0).cls is None


def test_pictures_without_a_mask_do_not_count_for_the_outline():
    torch.manual_seed(0)
    seg, masks = torch.randn(4, 1, 8, 8, requires_grad=True), torch.randint(0, 2, (4, 8, 8))
    drawn = torch.tensor([True, False, True, False])
    loss = losses.joint_loss(seg, None, masks, torch.zeros(4, 1), has_mask=drawn)
    assert loss.seg.item() == pytest.approx(losses.segmentation_loss(seg[drawn], masks[drawn]).item())
    loss.total.backward()
    assert not seg.grad[~drawn].any()
    assert seg.grad[drawn].any()
    none = losses.joint_loss(seg, None, masks, torch.zeros(4, 1), has_mask=torch.zeros(4, dtype=torch.bool))
    assert float(none.total) == 0


def test_the_papers_clamp_stops_the_gradient_and_ours_need_not():
    for clamp, stopped in ((losses.CLAMP, True), (1e-7, False)):
        p = torch.tensor([[[[5e-4]]]], requires_grad=True)
        losses.focal(p, torch.ones(1, 1, 1, 1), clamp=clamp).backward()
        assert (float(p.grad) == 0) == stopped


@pytest.mark.slow
def test_one_batch_can_be_learned_by_heart():
    """Oracle 12: within 200 steps Dice is above 0.95 and every label right."""
    torch.manual_seed(0)
    scans = [oct.sample(seed, 64, size=0.8) for seed in range(8)]
    masks = torch.from_numpy(np.stack([scan.mask for scan in scans]).astype(np.uint8))
    x, labels = torch.from_numpy(np.stack([scan.image for scan in scans]))[:, None], derived_labels(masks, 3)
    net = ResFormerMTL(small(64, seg_classes=4, drop_path=0.0))
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(200):
        out = net(x)
        loss = losses.joint_loss(out.seg, out.cls, masks.long(), labels, clamp=1e-7)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    with torch.no_grad():
        out = net(x)
    found = out.seg.argmax(1)
    for number in (1, 2, 3):
        here = (masks == number).flatten(1).any(1)
        assert dice(found == number, masks == number)[here].mean() > 0.95
    assert torch.equal((out.cls > 0).long(), labels)


def test_a_config_survives_its_card():
    for config in (paper(224), small(128, stem_stride=2, dfe="skips", scales=(2, 3, 4))):
        assert from_json(config.as_json()) == config
