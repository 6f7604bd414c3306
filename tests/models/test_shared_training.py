"""The one training loop: equal to a loop written by hand, resumable to the bit, and honest about work and divergence."""

from __future__ import annotations

import math

import pytest
import timm.optim
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from models.shared.checkpoints import CheckpointRefused
from models.shared.data import Split
from models.shared.device import bf16_pays, hardware, pick_device, seed_everything
from models.shared.training import Batches, Fit

ROWS, BATCH, STEPS = 50, 8, 20


class PerSample(torch.optim.SGD):
    needs_per_sample = True


OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=1e-3),
    "adam": lambda p: torch.optim.Adam(p, 1e-2),
    "amsgrad": lambda p: torch.optim.AdamW([{"params": q} for q in p], 1e-2, amsgrad=True),
    "lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=4, line_search_fn="strong_wolfe"),
    "adahessian": lambda p: timm.optim.Adahessian(p, 0.05),
    "per_sample": lambda p: PerSample(p, 0.1, momentum=0.9),
}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_data() -> Split:
    random = torch.Generator().manual_seed(7)
    x = torch.randn(ROWS, 5, generator=random)
    return Split(x, (x[:, 0] + x[:, 1] > 0).long())


def make_model(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Dropout(dropout), nn.Linear(6, 2))


def make_fit(optimiser: str = "sgd", *, dropout: float = 0.0, steps: int = STEPS, scheduled: bool = False, **options) -> Fit:
    model = make_model(dropout)
    optimizer = OPTIMISERS[optimiser](model.parameters())
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps) if scheduled else None
    options = {"full_batch": optimiser == "lbfgs"} | options
    return Fit(
        model, optimizer, cross_entropy, make_data(), Batches(ROWS, BATCH, 3), steps=steps, device="cpu", scheduler=scheduler, **options
    )


def weights(fit: Fit) -> list[float]:
    return nn.utils.parameters_to_vector(fit.model.parameters()).tolist()


# batches


def test_an_epoch_holds_every_row_once_but_for_the_short_batch():
    batches = Batches(50, 8, 0)
    assert batches.steps_per_epoch == 6
    for epoch in range(3):
        rows = torch.cat([batches.indices(epoch * 6 + place) for place in range(6)]).tolist()
        assert len(rows) == len(set(rows)) == 48
        assert set(rows) <= set(range(50))


def test_batches_follow_from_seed_and_step_alone():
    asked_late = Batches(50, 8, 5).indices(1234)
    walked = [Batches(50, 8, 5).indices(step) for step in range(1235)][-1]
    assert torch.equal(asked_late, walked)
    assert asked_late.dtype == torch.int64
    assert not torch.equal(asked_late, Batches(50, 8, 6).indices(1234))
    assert not torch.equal(Batches(50, 8, 5).indices(0), Batches(50, 8, 5).indices(6))


def test_fewer_rows_than_a_batch_gives_all_rows_each_time():
    batches = Batches(5, 64, 0)
    assert batches.steps_per_epoch == 1
    assert sorted(batches.indices(17).tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("bad", [(0, 8, 0), (5, 0, 0), (5, 8, -1)])
def test_batches_refuse_nonsense(bad):
    with pytest.raises(ValueError, match="Batches need at least one row"):
        Batches(*bad)


# the loop


def test_equals_a_loop_written_by_hand():
    fit, model, data, batches = make_fit(), make_model(), make_data(), Batches(ROWS, BATCH, 3)
    optimizer = OPTIMISERS["sgd"](model.parameters())
    losses = []
    for step in range(STEPS):
        rows = batches.indices(step)
        optimizer.zero_grad()
        loss = cross_entropy(model(data.x[rows]), data.y[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    events = list(fit)
    assert [event.loss for event in events] == losses
    assert weights(fit) == nn.utils.parameters_to_vector(model.parameters()).tolist()
    assert [event.step for event in events] == list(range(1, STEPS + 1))
    assert events[-1].epoch == pytest.approx(STEPS / 6)
    assert events[-1].grad_evals == pytest.approx(STEPS * 8 / 50)
    assert fit.step == STEPS


def test_one_gradient_per_case_has_the_batch_gradient_as_its_mean():
    fit = make_fit("per_sample", steps=1)
    before, data, rows = make_model(), make_data(), Batches(ROWS, BATCH, 3).indices(0)
    next(iter(fit))
    for place, row in enumerate(rows):
        before.zero_grad()
        cross_entropy(before(data.x[row : row + 1]), data.y[row : row + 1]).backward()
        for expected, p in zip(before.parameters(), fit.model.parameters(), strict=True):
            assert p.grad_sample.shape == (BATCH, *p.shape)
            torch.testing.assert_close(p.grad_sample[place], expected.grad)
    for p in fit.model.parameters():
        torch.testing.assert_close(p.grad, p.grad_sample.mean(0))


def test_one_gradient_per_case_trains_like_plain_sgd():
    fit, model = make_fit("per_sample"), make_model()
    sgd = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    plain = Fit(model, sgd, cross_entropy, make_data(), Batches(ROWS, BATCH, 3), steps=STEPS, device="cpu")
    list(fit), list(plain)
    assert weights(fit) == pytest.approx(weights(plain), abs=1e-5)


def test_batch_normalisation_and_single_case_gradients_do_not_go_together():
    model = nn.Sequential(nn.Linear(5, 2), nn.BatchNorm1d(2))
    with pytest.raises(ValueError, match="use group or layer normalisation"):
        Fit(model, PerSample(model.parameters(), 0.1), cross_entropy, make_data(), Batches(ROWS, 8, 0), steps=1, device="cpu")


class HessianProbe(torch.optim.Optimizer):
    """Keeps the curvature of a one-parameter loss; needs the gradient's graph."""

    is_second_order = True
    extra_grad_evals = 3.0

    def __init__(self, params):
        super().__init__(params, {})

    def step(self, closure):
        closure()
        (p,) = self.param_groups[0]["params"]
        (self.curvature,) = torch.autograd.grad(p.grad.sum(), p)


def test_second_order_optimisers_get_the_graph_and_it_is_freed():
    class Cube(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor([2.0]))

        def forward(self, x):
            return self.w**3 * x

    model = Cube()
    probe = HessianProbe(model.parameters())
    data = Split(torch.ones(4, 1), torch.zeros(4, dtype=torch.long))
    (event,) = Fit(model, probe, lambda out, y: out.mean(), data, Batches(4, 4, 0), steps=1, device="cpu")
    assert probe.curvature.tolist() == [12.0]  # (w³)'' = 6w
    assert event.passes == 4.0
    assert model.w.grad is None


def test_second_order_through_attention():
    layer = nn.TransformerEncoderLayer(5, 1, 8, dropout=0.0, batch_first=True)
    model = nn.Sequential(nn.Unflatten(1, (1, 5)), layer, nn.Flatten(), nn.Linear(5, 2))
    fit = Fit(model, timm.optim.Adahessian(model.parameters()), cross_entropy, make_data(), Batches(ROWS, 8, 0), steps=2, device="cpu")
    assert all(math.isfinite(event.loss) for event in fit)


def test_every_call_of_the_closure_is_counted():
    fit = make_fit("lbfgs", steps=3)
    model, data = fit.model, fit.data
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    events = list(fit)
    assert sum(event.passes for event in events) == len(calls) > 3
    assert events[-1].grad_evals == len(calls)
    assert events[-1].epoch == 3
    assert events[0].loss == pytest.approx(cross_entropy(make_model()(data.x), data.y).item())


def test_a_probe_of_adahessian_counts_as_one_pass():
    assert {event.passes for event in make_fit("adahessian")} == {2.0}


def test_hyper_parameters_may_change_on_the_way():
    fit = make_fit()
    for event in fit:
        if event.step == 5:
            fit.optimizer.param_groups[0]["lr"] = 0.0
            fit.optimizer.param_groups[0]["momentum"] = 0.0
            frozen = weights(fit)
    assert weights(fit) == frozen


def test_divergence_ends_the_run_before_the_weights_are_spoilt():
    fit = make_fit(steps=200)
    fit.optimizer.param_groups[0]["lr"] = 1e30
    events = list(fit)
    assert [event.diverged for event in events] == [False] * (len(events) - 1) + [True]
    assert not math.isfinite(events[-1].loss)
    assert events[-1].step == fit.step == len(events) - 1
    assert fit.diverged
    assert list(fit) == []


def test_a_broken_off_run_goes_on_where_it_was():
    whole, broken = make_fit("adam"), make_fit("adam")
    list(whole)
    for event in broken:
        if event.step == 7:
            break
    assert broken.step == 7
    assert [event.step for event in broken] == list(range(8, STEPS + 1))
    assert weights(broken) == weights(whole)


def test_evaluation_is_due_every_so_often_and_at_the_end():
    seen = []

    def evaluate(model: nn.Module) -> dict[str, float]:
        seen.append((model.training, torch.is_grad_enabled()))
        return {"x": float(len(seen))}

    events = list(make_fit(evaluate=evaluate, evaluate_every=8))
    assert {event.step: event.metrics for event in events if event.metrics} == {8: {"x": 1.0}, 16: {"x": 2.0}, 20: {"x": 3.0}}
    assert set(seen) == {(False, False)}


def test_time_spent_looking_is_not_time_spent_training(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("models.shared.training.time.perf_counter", lambda: clock[0])

    def evaluate(model: nn.Module) -> dict[str, float]:
        clock[0] += 1000
        return {}

    def loss(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        clock[0] += 2
        return cross_entropy(output, y)

    fit = make_fit(evaluate=evaluate, evaluate_every=10)
    fit.loss_fn = loss
    assert list(fit)[-1].seconds == 2 * STEPS


def test_neighbours_and_the_callers_random_numbers_are_left_alone():
    alone = make_fit(dropout=0.5)
    list(alone)
    one, other = make_fit(dropout=0.5), make_fit("adam", dropout=0.5)
    torch.manual_seed(11)
    expected = torch.rand(3).tolist()
    torch.manual_seed(11)
    for _ in zip(one, other, strict=True):
        pass
    assert torch.rand(3).tolist() == expected
    assert weights(one) == weights(alone)


def test_half_precision_runs():
    events = list(make_fit(autocast=True))
    assert events[-1].loss < events[0].loss


def test_data_and_batches_must_agree():
    model = make_model()
    with pytest.raises(ValueError, match="made for 9 rows, but the data has 50"):
        Fit(model, OPTIMISERS["sgd"](model.parameters()), cross_entropy, make_data(), Batches(9, 3, 0), steps=1, device="cpu")


# saved runs


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_resumed_run_gives_the_same_bits(tmp_path, optimiser):
    options = {"dropout": 0.2, "scheduled": optimiser != "lbfgs"}
    whole, first, second = (make_fit(optimiser, **options) for _ in range(3))
    expected = [(event.step, event.loss, event.grad_evals) for event in whole]
    for event in first:
        if event.step == 9:
            break
    first.save(tmp_path / "run.safetensors")
    second.load(tmp_path / "run.safetensors")
    assert [(event.step, event.loss, event.grad_evals) for event in second] == expected[9:]
    assert weights(second) == weights(whole)


def test_a_run_of_another_kind_is_refused_and_changes_nothing(tmp_path):
    fit = make_fit("adam")
    list(fit)
    fit.save(tmp_path / "run.safetensors")
    other = make_fit("sgd")
    before = weights(other)
    with pytest.raises(CheckpointRefused, match=r"another run \(different: optimiser\)"):
        other.load(tmp_path / "run.safetensors")
    assert (other.step, weights(other)) == (0, before)


@pytest.mark.parametrize("cut", [0, 5, 300, -1])
def test_a_damaged_run_is_refused(tmp_path, cut):
    path = tmp_path / "run.safetensors"
    make_fit().save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointRefused, match=r"run\.safetensors"):
        make_fit().load(path)


def test_other_weights_are_no_saved_run(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointRefused, match="holds no saved run"):
        make_fit().load(tmp_path / "x.safetensors")
    with pytest.raises(CheckpointRefused, match="is not here"):
        make_fit().load(tmp_path / "nowhere.safetensors")


# devices


def test_devices():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device().type in ("cpu", "cuda")
    with pytest.raises(ValueError, match="is not a device; use auto, cpu"):
        pick_device("toaster")
    with pytest.raises(ValueError, match="is not supported here"):
        pick_device("meta")
    with pytest.raises(ValueError, match="is not here"):
        pick_device("cuda:97")
    assert "torch 2." in hardware("cpu")
    assert bf16_pays("cpu") is False


def test_seeding_repeats():
    seed_everything(4)
    first = torch.rand(2).tolist()
    seed_everything(4)
    assert torch.rand(2).tolist() == first
