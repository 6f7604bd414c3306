"""The spec's oracles: every law holds, and those that could hold by accident break when something is broken."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.semsim import checks, losses, reference, semantics
from models.semsim.config import ConfigRefused, from_json, paper, small
from models.semsim.network import SemSim, parameter_parts
from models.semsim.plan import ARMS, FIXMATCH, OWN, Training
from models.semsim.training import build


@pytest.mark.parametrize("law", checks.LAWS, ids=lambda law: law.name)
def test_law_holds(law):
    assert law.measure() <= law.tolerance


def test_every_oracle_of_the_spec_has_a_law():
    assert {law.oracle for law in checks.LAWS} == set(range(1, 13))


def test_sizes_are_those_of_the_spec():
    with torch.device("meta"):
        whole, least, minus = (parameter_parts(SemSim(config)) for config in (paper(), small(), paper(fusion="conv")))
    assert whole == {"unet": 1_813_764, "fusion": 784_768}
    assert paper().tokens == (64, 16, 4)
    assert paper(windows=7).tokens == (256, 64, 16)
    assert paper().feature_side == 56
    assert sum(least.values()) < 200_000
    assert minus["fusion"] < 20_000


def test_shapes_at_the_papers_size_without_memory():
    with torch.device("meta"):
        net = SemSim(paper()).eval()
        out = net(torch.empty(2, 1, 224, 224), features=True)
    assert out.logits.shape == (2, 4, 224, 224)
    assert out.features.shape == (2, 128, 56, 56)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"side": 100}, "cannot be halved"),
        ({"windows": 3}, "windows a side"),
        ({"heads": 5}, "attention heads"),
        ({"scales": (1, 2)}, "Three different stages"),
        ({"scales": (4, 3, 2)}, "Three different stages"),
        ({"fusion": "magic"}, "sfm, conv or off"),
        ({"in_channels": 2}, "1 or 3 channels"),
        ({"dropouts": (0.5,)}, "3 to 6 stages"),
    ],
)
def test_settings_that_make_no_network_are_refused(change, words):
    with pytest.raises(ConfigRefused, match=words):
        small(**change)


def test_settings_survive_a_card():
    config = small(96, in_channels=3, classes=2, fusion="conv")
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in config.as_json().items()}
    assert from_json(values) == config
    with pytest.raises(ConfigRefused, match="Make the checkpoint again"):
        from_json(values | {"magic": 1})


# ---------------------------------------------------------------------- what would break a law
def test_a_wrong_temperature_or_grid_is_seen_by_the_reference():
    f, z = torch.rand(1, 5, 4, 4), 4 * torch.rand(1, 3, 4, 4)
    right = semantics.spread(z, f, 0.1)[0].exp().numpy()
    assert np.abs(right - reference.spread(z[0].double().numpy(), f[0].double().numpy(), 0.3)).max() > 1e-3
    f_l, y = torch.rand(2, 5, 8, 8), checks._labels(2, 8, 3)
    m = semantics.similarities(f.repeat(1, 1, 2, 2), semantics.prototypes(f_l, y, 3, 4))
    other = reference.scores(f.repeat(1, 1, 2, 2)[0].double().numpy(), list(f_l.double().numpy()), list(y.numpy()), 3, 2)
    assert np.abs(m[0].numpy() - other).max() > 1e-3


def test_the_printed_bound_is_reached_but_not_passed():
    for classes in (2, 4):
        f = torch.eye(classes)[:, :, None, None].repeat(1, 1, 4, 4)[:1]
        y = torch.zeros(1, 4, 4, dtype=torch.long)
        y[0, 0, :classes] = torch.arange(classes)
        known = semantics.prototypes(torch.eye(classes)[y].permute(0, 3, 1, 2), y, classes, 1)
        p = semantics.query(semantics.similarities(f, known), 1.0).exp()
        assert float(p.max()) == pytest.approx(math.e / (math.e + classes - 1), abs=1e-6)


def test_a_fixmatch_step_differs_from_the_whole_methods():
    training = replace(checks.BRIEF, tau=0.3)
    one, other = checks._step(checks.TINY, ARMS[OWN], training), checks._step(replace(checks.TINY, fusion="off"), ARMS[FIXMATCH], training)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_class_absent_from_a_picture_is_left_out_of_its_sum_and_from_all_gets_nothing():
    f, y = torch.rand(2, 5, 8, 8), checks._labels(2, 8, 3)
    y[y == 2] = 0
    m = semantics.similarities(torch.rand(1, 5, 8, 8), semantics.prototypes(f, y, 3, 2))
    for temperature in (0.1, 1.0):
        assert float(semantics.query(m, temperature).exp()[:, 2].max()) == 0
    assert semantics.agreement(m, 1000.0).isfinite().all()


def test_gradients_reach_strong_features_and_prototypes_and_no_weak_view():
    net = build(checks.TINY, 0).train()
    x, y, u = checks._batch()
    from models.semsim.training import semsim_loss
    from models.semsim.views import Views

    box = torch.zeros(3, 32, 32, dtype=torch.bool)
    weak, strong, known = (value.clone().requires_grad_() for value in (u, u.flip(0), x))
    arm = replace(ARMS[OWN], weights=(0.0, 0.0, 1.0))
    found = semsim_loss(net, known, y.long(), Views(weak, (strong, strong), (box, box)), arm, Training(tau=0.0, cells=2))
    through = torch.autograd.grad(found.rows["cross"], (strong, known), retain_graph=True)
    assert all(float(g.abs().max()) > 0 for g in through)
    assert torch.autograd.grad(found.rows["cross"], weak, allow_unused=True) == (None,)


def test_dice_counts_kept_pixels_alone():
    y = torch.zeros(1, 4, 4, dtype=torch.long)
    y[0, :2] = 1
    p = torch.nn.functional.one_hot(y, 2).permute(0, 3, 1, 2).float()
    wrong = p.clone()
    wrong[0, :, 3] = wrong[0, :, 3].flip(0)
    kept = torch.ones(1, 4, 4)
    assert float(losses.dice_loss(wrong, y, kept)) > 0.05
    kept[0, 3] = 0
    assert float(losses.dice_loss(wrong, y, kept)) == pytest.approx(0, abs=1e-6)
