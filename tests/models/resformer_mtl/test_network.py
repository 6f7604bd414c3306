"""The networks' switches, refusals and bookkeeping."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import resnet34

from models.resformer_mtl.config import Config, ConfigRefused, paper, small
from models.resformer_mtl.network import ResFormerMTL, Trace, copy_resnet34
from models.resformer_mtl.plan import ARMS, TASKS
from models.resformer_mtl.training import build
from models.resformer_mtl.unet import PlainUNet


@pytest.mark.parametrize("arm", ARMS.values(), ids=lambda arm: arm.id)
def test_every_arm_answers_both_tasks_and_learns_with_all_its_numbers(arm):
    task = TASKS["oct"]
    net = build(task, arm, seed=0)
    out = net(torch.rand(2, 1, 128, 128))
    assert out.seg.shape == (2, 4, 128, 128)
    assert out.cls.shape == (2, 3)
    (out.seg.square().mean() + out.cls.square().mean()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert isinstance(net, PlainUNet) == (arm.id == "unet")


def test_a_task_not_asked_for_is_not_computed():
    net = ResFormerMTL(small(64)).eval()
    x = torch.rand(1, 1, 64, 64)
    only = net(x, segment=False)
    assert only.seg is None
    assert torch.allclose(only.cls, net(x).cls, atol=1e-6)
    assert net(x, classify=False).cls is None


def test_the_switches_take_parts_away():
    def names(**change):
        return {name.split(".")[0] + "." + name.split(".")[1] for name, _ in ResFormerMTL(small(64, **change)).named_parameters()}

    assert "dfe.3" in names()
    assert "dfe.3" not in names(dfe="skips")
    assert not any(name.startswith("dfe") for name in names(dfe="off"))
    assert not {"encoder.swin", "encoder.embedding", "encoder.merging"} & names(transformer=False)
    assert ResFormerMTL(small(64, scales=(4,))).classifier.hidden.in_features == 64
    assert ResFormerMTL(small(64, scales=(2, 3, 4))).classifier.hidden.in_features == 16 + 32 + 64


def test_the_trace_holds_what_the_screen_draws():
    net, trace = ResFormerMTL(small(64)).eval(), Trace()
    with torch.no_grad():
        plain = net(torch.ones(1, 1, 64, 64))
        traced = net(torch.ones(1, 1, 64, 64), trace=trace)
    assert torch.allclose(plain.seg, traced.seg, atol=1e-5), "looking inside changes nothing"
    assert [tuple(x.shape[1:]) for x in trace.stages] == [(8, 32, 32), (16, 16, 16), (32, 8, 8), (64, 4, 4)]
    assert [len(blocks) for blocks in trace.attention] == [2, 2, 2, 2]
    assert trace.attention[0][0].shape == (64, 1, 16, 16)  # 8×8 windows of 4×4 tokens
    assert trace.attention[3][1].sum(-1).allclose(torch.ones(()))
    assert [len(branches) for branches in trace.branches] == [4, 4, 4, 4]
    assert [tuple(x.shape) for x in trace.spatial] == [(1, 1, 32, 32), (1, 1, 16, 16), (1, 1, 8, 8), (1, 1, 4, 4)]


def test_the_dilations_follow_the_setting():
    assert paper(224).stage_rates == ((6, 12, 18),) * 4
    assert paper(224, rates="auto").stage_rates == ((6, 12, 18), (6, 12, 18), (6, 12, 14), (6, 7, 7))
    net = ResFormerMTL(small(64))
    assert [branch[0].dilation for branch in net.dfe[0].branches] == [(1, 1), (2, 2), (4, 4), (6, 6)]


def test_resnet34_weights_are_laid_in_where_they_fit():
    resnet = resnet34(weights=None)
    state = resnet.state_dict()
    net = ResFormerMTL(paper(64, seg_classes=1, window=4))
    taken = copy_resnet34(net, state)
    assert torch.equal(net.encoder.layer3[2].conv1.weight, resnet.layer3[2].conv1.weight)
    assert taken == sum(tensor.numel() for name, tensor in state.items() if not name.startswith("fc"))
    grey = ResFormerMTL(paper(64, seg_classes=1, window=4, in_channels=1))
    assert copy_resnet34(grey, state) == taken - 64 * 3 * 49


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"side": 100}, "take a multiple of 16"),
        ({"side": 96, "window": 4}, "take a multiple of 64"),
        ({"widths": (8, 16, 32, 48)}, "double each"),
        ({"heads": (3, 3, 3, 3)}, "cannot be cut into"),
        ({"scales": ()}, "pools some of the stages"),
        ({"scales": (5,)}, "pools some of the stages"),
        ({"rates": ((1, 2, 3),) * 3}, "three whole numbers"),
        ({"kernels": (3,)}, "even numbers"),
        ({"classes": 0}, "at least one class"),
        ({"dfe": "some"}, "feature enhancement stands"),
    ],
)
def test_settings_that_make_no_network_are_refused(change, words):
    with pytest.raises(ConfigRefused, match=words):
        Config(**{"side": 512, **change})


def test_pictures_of_another_size_are_refused():
    with pytest.raises(ValueError, match="reads pictures of 1×64×64"):
        ResFormerMTL(small(64))(torch.rand(1, 1, 96, 64))
