"""SOFIM as an optimiser: its walks over memory agree, its state survives, its borders are guarded."""

from __future__ import annotations

import copy
import itertools
import weakref

import numpy as np
import pytest
import torch

from models.sofim import SOFIM, reference, sweeps

SHAPES = ((3, 4), (5,), (2, 3, 2), (1,), (40, 7))
PIECES = list(itertools.product(("A", "B"), ("global", "tensor"), ("full", "ema_only", "gradient_only"), (True, False)))


def make(dtype=torch.float64, seed=0, shapes=SHAPES):
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(s, generator=generator, dtype=torch.float64).to(dtype)) for s in shapes]


def feed(params, optimizer, steps, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for p in params:
            p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype)
        optimizer.step()
    return [p.detach().clone() for p in params]


@pytest.mark.parametrize(("variant", "granularity", "momentum", "sherman_morrison"), PIECES)
@pytest.mark.parametrize("kind", ["blocked", "foreach"])
def test_readable_and_fast_walks_agree(monkeypatch, kind, variant, granularity, momentum, sherman_morrison):
    options = {
        "variant": variant,
        "granularity": granularity,
        "momentum": momentum,
        "sherman_morrison": sherman_morrison,
        "weight_decay": 0.1,
    }
    readable, fast = make(), make()
    slow = feed(readable, SOFIM(readable, foreach=False, **options), 6)
    monkeypatch.setattr(sweeps, "BLOCK", 16)
    monkeypatch.setattr(sweeps, "BUCKET", 20)
    flavour = {"blocked": sweeps.BLOCKED, "foreach": sweeps.FOREACH}[kind]
    monkeypatch.setattr("models.sofim.optimizer.choose", lambda *_: flavour)
    optimizer = SOFIM(fast, **options)
    quick = feed(fast, optimizer, 6)
    for a, b in zip(slow, quick, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_sums_are_taken_in_at_least_single_precision(dtype):
    """A gradient of 1e-4 everywhere: its square, 1e-8, is 0 in float16; the norm of 10 000 of them is 0.01."""
    w = torch.nn.Parameter(torch.zeros(10_000, dtype=dtype))
    for foreach in (False, None):
        w.grad = torch.full_like(w, 1e-4)
        optimizer = SOFIM([w], beta=0.0, foreach=foreach)
        optimizer.step()
        assert float(optimizer.last.norm) == pytest.approx(0.01, rel=5e-3)


def test_odd_memory_layouts_walk_the_same_path():
    plain, odd = make(shapes=((4, 3, 5, 5), (6, 8))), make(shapes=((4, 3, 5, 5), (6, 8)))
    odd[0].data = odd[0].data.to(memory_format=torch.channels_last)
    odd[1].data = odd[1].data.T.contiguous().T
    for a, b in zip(feed(plain, SOFIM(plain), 4), feed(odd, SOFIM(odd), 4), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


@pytest.mark.parametrize("variant", ["A", "B"])
def test_weight_decay_stands_beside_the_preconditioned_step(variant):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=9), rng.normal(size=(5, 9))
    w = torch.nn.Parameter(torch.tensor(start))
    optimizer = SOFIM([w], lr=0.2, rho=0.3, variant=variant, weight_decay=0.4)
    for g in gradients:
        w.grad = torch.tensor(g)
        optimizer.step()
    expected = reference.run(gradients, start, eta=0.2, beta=0.9, rho=0.3, variant=variant, weight_decay=0.4)[-1].w
    np.testing.assert_allclose(w.detach().numpy(), expected, atol=1e-13)


def test_the_ablations_are_what_they_say():
    g = np.random.default_rng(4).normal(size=(5, 6))
    moments = [s.M_hat for s in reference.run(g, np.zeros(6), eta=1.0, beta=0.9, rho=1.0)]
    cases = {
        "average over rho": ({"sherman_morrison": False}, [0.3 * m / 0.5 for m in moments]),
        "gradient over rho": ({"sherman_morrison": False, "variant": "B"}, 0.3 * g / 0.5),
        "average alone": ({"momentum": "ema_only"}, [0.3 * m for m in moments]),
        "gradient alone": ({"momentum": "gradient_only"}, 0.3 * g),
    }
    for name, (options, expected) in cases.items():
        w = torch.nn.Parameter(torch.zeros(6, dtype=torch.float64))
        optimizer = SOFIM([w], lr=0.3, rho=0.5, **options)
        for row, step in zip(g, expected, strict=True):
            before = w.detach().clone()
            w.grad = torch.tensor(row)
            optimizer.step()
            np.testing.assert_allclose((before - w.detach()).numpy(), step, atol=1e-13, err_msg=name)


@pytest.mark.parametrize(
    "options", [{}, {"variant": "B"}, {"granularity": "tensor"}, {"sherman_morrison": False}, {"momentum": "gradient_only"}]
)
def test_step_info_tells_the_truth(options):
    params = make()
    optimizer = SOFIM(params, lr=0.2, rho=3.0, weight_decay=0.0, **options)
    feed(params, optimizer, 3)
    before = [p.detach().clone() for p in params]
    generator = torch.Generator().manual_seed(9)
    for p in params:
        p.grad = torch.randn(p.shape, generator=generator, dtype=p.dtype)
    optimizer.step()
    flat = {
        "delta": torch.cat([(a - b.detach()).reshape(-1) for a, b in zip(before, params, strict=True)]),
        "grad": torch.cat([p.grad.reshape(-1) for p in params]),
        "moment": torch.cat([optimizer.state[p]["moment"].reshape(-1) for p in params]) / (1 - 0.9**4),
    }
    assert float(optimizer.last.norm) == pytest.approx(flat["moment"].norm().item(), rel=1e-12)
    assert float(optimizer.last.step_length) == pytest.approx(flat["delta"].norm().item(), rel=1e-9)
    assert float(optimizer.last.grad_norm) == pytest.approx(flat["grad"].norm().item(), rel=1e-12)
    cosine = torch.nn.functional.cosine_similarity(flat["grad"], flat["moment"], dim=0).item()
    assert float(optimizer.last.alignment) == pytest.approx(cosine, abs=1e-12)
    if not options:
        assert float(optimizer.last.eta_eff) == pytest.approx(0.2 / (3.0 + flat["moment"].norm().item() ** 2), rel=1e-12)
        assert float(optimizer.last.step_length) == pytest.approx(float(optimizer.last.eta_eff) * float(optimizer.last.norm), rel=1e-12)


def test_gradient_facts_are_refused_once_the_gradients_are_gone():
    params = make()
    optimizer = SOFIM(params)
    feed(params, optimizer, 1)
    first = optimizer.last
    feed(params, optimizer, 1)
    with pytest.raises(RuntimeError, match="gradients of this step are gone"):
        _ = first.grad_norm
    optimizer.zero_grad()
    with pytest.raises(RuntimeError, match="gradients of this step are gone"):
        _ = optimizer.last.alignment


def test_a_finished_optimiser_frees_its_memory_at_once():
    params = make()
    optimizer = SOFIM(params)
    feed(params, optimizer, 1)
    watch, last = weakref.ref(optimizer.state[params[0]]["moment"]), optimizer.last
    del optimizer
    assert watch() is None
    with pytest.raises(RuntimeError, match="gradients of this step are gone"):
        _ = last.grad_norm


@pytest.mark.parametrize("groups", [1, 2])
def test_state_dict_round_trip_is_exact(groups):
    def build(params):
        return SOFIM([{"params": params[:2]}, {"params": params[2:], "rho": 2.0}] if groups == 2 else params, variant="B")

    straight, broken = make(torch.float32), make(torch.float32)
    through = build(straight)
    feed(straight, through, 5)
    first = build(broken)
    feed(broken, first, 5)
    second = build(broken)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert [g["step"] for g in second.param_groups] == [5] * groups
    for a, b in zip(feed(straight, through, 5, seed=2), feed(broken, second, 5, seed=2), strict=True):
        assert torch.equal(a, b)


def test_skipping_a_gradient_keeps_the_clock_and_touches_nothing():
    """Second tensor gets no gradient at step 2 (of 3). By hand, β = ½, ρ = 1, η = 1, all gradients 1: its average is ½ until step 3."""
    a, b = (torch.nn.Parameter(torch.zeros(1, dtype=torch.float64)) for _ in range(2))
    optimizer = SOFIM([a, b], lr=1.0, beta=0.5, rho=1.0)
    for has_b in (True, False, True):
        a.grad = torch.ones_like(a)
        b.grad = torch.ones_like(b) if has_b else None
        kept = b.item(), float(optimizer.state[b]["moment"]) if b in optimizer.state else None
        optimizer.step()
        if not has_b:
            assert (b.item(), float(optimizer.state[b]["moment"])) == kept
    assert optimizer.param_groups[0]["step"] == 3
    assert float(optimizer.state[b]["moment"]) == 0.75
    third = np.array([0.875, 0.75]) / 0.875
    steps_of_a = [1 / (1 + 2), 1 / (1 + 1), third[0] / (1 + third @ third)]
    assert a.item() == pytest.approx(-sum(steps_of_a), abs=1e-14)
    assert b.item() == pytest.approx(-(1 / 3 + third[1] / (1 + third @ third)), abs=1e-14)


def test_a_step_without_any_gradient_does_nothing():
    params = make()
    optimizer = SOFIM(params)
    assert optimizer.step() is None
    assert optimizer.param_groups[0]["step"] == 0
    assert optimizer.last is None


def test_a_group_added_later_joins_the_clock():
    params = make()
    optimizer = SOFIM(params[:2])
    feed(params[:2], optimizer, 3)
    optimizer.add_param_group({"params": params[2:]})
    assert [g["step"] for g in optimizer.param_groups] == [3, 3]


def test_groups_of_different_variants_share_one_matrix():
    rng = np.random.default_rng(2)
    g = rng.normal(size=(4, 6))
    a, b = (torch.nn.Parameter(torch.zeros(3, dtype=torch.float64)) for _ in range(2))
    optimizer = SOFIM([{"params": [a], "variant": "A"}, {"params": [b], "variant": "B"}], lr=0.3, rho=0.4)
    for row in g:
        a.grad, b.grad = torch.tensor(row[:3]), torch.tensor(row[3:])
        optimizer.step()
    runs = [reference.run(g, np.zeros(6), eta=0.3, beta=0.9, rho=0.4, variant=v)[-1].w for v in "AB"]
    np.testing.assert_allclose(a.detach().numpy(), runs[0][:3], atol=1e-13)
    np.testing.assert_allclose(b.detach().numpy(), runs[1][3:], atol=1e-13)


def test_hyper_parameters_may_change_between_steps():
    w = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    optimizer = SOFIM([w], lr=1.0, beta=0.0, rho=1.0)
    w.grad = torch.tensor([3.0, 4.0], dtype=torch.float64)
    optimizer.step()
    optimizer.param_groups[0].update(lr=2.0, rho=75.0)
    optimizer.step()
    np.testing.assert_allclose(w.detach().numpy(), -np.array([3.0, 4.0]) * (1 / 26 + 2 / 100), atol=1e-15)


def test_the_closure_is_called_once_and_its_loss_returned():
    w = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = SOFIM([w])
    calls = []

    def closure():
        calls.append(1)
        optimizer.zero_grad()
        loss = (w**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 1.0
    assert len(calls) == 1


@pytest.mark.parametrize(("lr", "end", "options"), [(0.1, 1e-3, {}), (0.02, 0.7, {"variant": "B"}), (0.1, 1e-3, {"granularity": "tensor"})])
def test_it_descends_the_rosenbrock_valley_through_an_interruption(lr, end, options):
    """From a height of 62.5. B has no momentum of its own, so it must step shorter and gets less far."""
    w = torch.nn.Parameter(torch.tensor([-1.5, 1.5], dtype=torch.float64))
    optimizer = SOFIM([w], lr=lr, rho=10.0, **options)
    for i in range(4000):
        if i == 1000:
            state = copy.deepcopy(optimizer.state_dict())
            optimizer = SOFIM([w])
            optimizer.load_state_dict(state)
        optimizer.zero_grad()
        ((1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2).backward()
        optimizer.step()
    loss = ((1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2).item()
    assert loss < end


def test_works_under_a_learning_rate_schedule_and_deepcopy():
    params = make()
    optimizer = SOFIM(params, lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    feed(params, optimizer, 1)
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0.5
    twin = copy.deepcopy(optimizer)
    assert twin.param_groups[0]["step"] == 1


def test_a_sparse_gradient_is_refused_in_one_sentence():
    table = torch.nn.Embedding(4, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match=r"dense gradients.*sparse=False"):
        SOFIM(table.parameters()).step()


@pytest.mark.parametrize(
    "options",
    [
        {"lr": -0.1},
        {"beta": 1.0},
        {"beta": -0.1},
        {"rho": 0.0},
        {"rho": float("inf")},
        {"rho": float("nan")},
        {"weight_decay": -1.0},
        {"variant": "C"},
        {"granularity": "layer"},
        {"momentum": "none"},
    ],
)
def test_impossible_settings_are_refused(options):
    with pytest.raises(ValueError, match=rf"SOFIM: {next(iter(options))} is .* has to be"):
        SOFIM(make(), **options)


def test_complex_parameters_are_refused():
    with pytest.raises(TypeError, match="real numbers"):
        SOFIM([torch.nn.Parameter(torch.zeros(2, dtype=torch.complex64))])


def test_infinite_gradients_do_not_crash_the_step():
    w = torch.nn.Parameter(torch.zeros(2))
    w.grad = torch.tensor([float("inf"), 1.0])
    optimizer = SOFIM([w])
    optimizer.step()
    assert not np.isfinite(float(optimizer.last.norm))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("options", [{}, {"variant": "B"}, {"granularity": "tensor"}])
def test_on_a_gpu_the_step_agrees_and_never_waits(options):
    host, device = make(), [torch.nn.Parameter(p.detach().cuda()) for p in make()]
    a, b = SOFIM(host, **options), SOFIM(device, **options)
    expected = feed(host, a, 5)
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        for p in device:
            p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float64).cuda()
        torch.cuda.set_sync_debug_mode("error")
        try:
            b.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    for x, y in zip(expected, device, strict=True):
        torch.testing.assert_close(x, y.detach().cpu(), rtol=0, atol=1e-12)
