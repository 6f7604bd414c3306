"""The rivals against explicit dense algebra, and the registry that lists them."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch

from models.shared.data import Split
from models.shared.training import Batches, Fit
from models.sofim.arms import ARMS, GRID_POINTS, defaults, grid
from models.sofim.baselines import DampedFisherNGD, NormalisedMomentum, NystromSGD

IDS = {
    "sofim",
    "sofim_b",
    "sofim_tensor",
    "sgd_momentum",
    "adam",
    "lbfgs",
    "adahessian",
    "nystrom_sgd",
    "normalised_momentum",
    "fisher_ngd",
}


def two_pieces(values):
    first, second = np.split(np.asarray(values, dtype=np.float64), [4])
    return [torch.nn.Parameter(torch.tensor(first.reshape(2, 2))), torch.nn.Parameter(torch.tensor(second))]


def flat(tensors):
    return np.concatenate([t.detach().numpy().reshape(-1) for t in tensors])


def test_normalised_momentum_takes_steps_of_one_length_along_the_average():
    rng = np.random.default_rng(0)
    params = two_pieces(np.zeros(7))
    optimizer = NormalisedMomentum(params, lr=0.3, beta=0.8)
    average = np.zeros(7)
    for g in rng.normal(size=(6, 7)):
        average = 0.8 * average + 0.2 * g
        before = flat(params)
        params[0].grad, params[1].grad = torch.tensor(g[:4].reshape(2, 2)), torch.tensor(g[4:])
        optimizer.step()
        np.testing.assert_allclose(before - flat(params), 0.3 * average / np.linalg.norm(average), atol=1e-13)


def test_normalised_momentum_stands_still_on_a_zero_gradient():
    params = two_pieces(np.arange(7))
    for p in params:
        p.grad = torch.zeros_like(p)
    NormalisedMomentum(params).step()
    np.testing.assert_array_equal(flat(params), np.arange(7.0))


def quadratic_closure(params, optimizer, hessian, slope):
    h, b = torch.tensor(hessian), torch.tensor(slope)

    def closure():
        optimizer.zero_grad()
        w = torch.cat([p.reshape(-1) for p in params])
        loss = 0.5 * w @ h @ w + b @ w
        for p, g in zip(params, torch.autograd.grad(loss, params, create_graph=True), strict=True):
            p.grad = g
        return loss

    return closure


def nystrom_matrix(hessian, columns, seed):
    """C W⁺ Cᵀ in NumPy, with the same random directions in the order the optimiser draws them (one draw per parameter)."""
    torch.manual_seed(seed)
    omega = torch.cat([torch.randn(columns, 4, dtype=torch.float64), torch.randn(columns, 3, dtype=torch.float64)], dim=1).numpy().T
    return hessian @ omega @ np.linalg.pinv(omega.T @ hessian @ omega) @ omega.T @ hessian


@pytest.mark.parametrize("columns", [1, 3, 7])
def test_nystrom_step_is_the_dense_solve(columns):
    rng = np.random.default_rng(columns)
    root = rng.normal(size=(7, 7))
    hessian, slope, start = root @ root.T, rng.normal(size=7), rng.normal(size=7)
    params = two_pieces(start)
    optimizer = NystromSGD(params, lr=0.7, rho=0.4, columns=columns, refresh=2)
    dense = nystrom_matrix(hessian, columns, seed=5) + 0.4 * np.eye(7)
    torch.manual_seed(5)
    closure = quadratic_closure(params, optimizer, hessian, slope)
    w = start
    for extra in (float(columns), 0.0):
        optimizer.step(closure)
        w = w - 0.7 * np.linalg.solve(dense, hessian @ w + slope)
        np.testing.assert_allclose(flat(params), w, atol=1e-9)
        assert optimizer.extra_grad_evals == extra


def test_nystrom_with_all_directions_is_damped_newton():
    hessian = np.diag([1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 400.0])
    params = two_pieces(np.ones(7))
    optimizer = NystromSGD(params, lr=1.0, rho=1e-6, columns=7)
    optimizer.step(quadratic_closure(params, optimizer, hessian, np.zeros(7)))
    np.testing.assert_allclose(flat(params), np.zeros(7), atol=1e-4)


def test_nystrom_goes_downhill_where_the_curvature_is_negative():
    hessian = np.diag([3.0, 1.0, -2.0, 0.5, -1.0, 4.0, 2.0])
    params = two_pieces(np.ones(7))
    optimizer = NystromSGD(params, lr=0.01, rho=0.5, columns=4)
    closure = quadratic_closure(params, optimizer, hessian, np.zeros(7))
    losses = [float(optimizer.step(closure).detach()) for _ in range(30)]
    assert all(b < a for a, b in itertools.pairwise(losses))


def test_nystrom_state_survives_a_round_trip_exactly():
    hessian = np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    runs = []
    for interrupted in (False, True):
        torch.manual_seed(1)
        params = two_pieces(np.ones(7))
        optimizer = NystromSGD(params, columns=3, refresh=4)
        for i in range(8):
            if interrupted and i == 2:
                other = NystromSGD(params, columns=3, refresh=4)
                other.load_state_dict(optimizer.state_dict())
                optimizer = other
            optimizer.step(quadratic_closure(params, optimizer, hessian, np.zeros(7)))
        runs.append(flat(params))
    np.testing.assert_array_equal(*runs)


def test_nystrom_says_what_it_needs():
    params = two_pieces(np.ones(7))
    for p in params:
        p.grad = torch.ones_like(p)
    with pytest.raises(RuntimeError, match="create_graph=True"):
        NystromSGD(params).step()


@pytest.mark.parametrize("cases", [1, 5, 20])
def test_fisher_step_is_the_dense_solve(cases):
    rng = np.random.default_rng(cases)
    each = rng.normal(size=(cases, 7))
    params = two_pieces(np.zeros(7))
    params[0].grad_sample, params[1].grad_sample = torch.tensor(each[:, :4].reshape(-1, 2, 2)), torch.tensor(each[:, 4:])
    params[0].grad, params[1].grad = params[0].grad_sample.mean(0), params[1].grad_sample.mean(0)
    DampedFisherNGD(params, lr=0.5, rho=0.2).step()
    fisher = each.T @ each / cases + 0.2 * np.eye(7)
    np.testing.assert_allclose(flat(params), -0.5 * np.linalg.solve(fisher, each.mean(0)), atol=1e-12)
    assert params[0].grad_sample is None


def test_fisher_with_one_case_is_sofim_without_memory():
    """With a single case the empirical Fisher matrix is the rank-one matrix, so both take the same step."""
    g = np.random.default_rng(3).normal(size=7)
    steps = []
    for arm, hyper in (("fisher_ngd", {"lr": 0.4, "rho": 0.3}), ("sofim", {"lr": 0.4, "rho": 0.3, "beta": 0.0})):
        params = two_pieces(np.zeros(7))
        params[0].grad, params[1].grad = torch.tensor(g[:4].reshape(2, 2)), torch.tensor(g[4:])
        for p in params:
            p.grad_sample = p.grad[None]
        ARMS[arm].build(params, hyper).step()
        steps.append(flat(params))
    np.testing.assert_allclose(steps[0], steps[1], atol=1e-12)


def test_fisher_says_what_it_needs():
    params = two_pieces(np.ones(7))
    for p in params:
        p.grad = torch.ones_like(p)
    with pytest.raises(RuntimeError, match="one gradient per case"):
        DampedFisherNGD(params).step()


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (NormalisedMomentum, {"lr": -1.0}),
        (NormalisedMomentum, {"beta": 1.0}),
        (NystromSGD, {"rho": 0.0}),
        (NystromSGD, {"columns": 1.5}),
        (NystromSGD, {"refresh": 0}),
        (DampedFisherNGD, {"rho": float("nan")}),
    ],
)
def test_impossible_settings_are_refused(build, options):
    with pytest.raises(ValueError, match="has to be"):
        build(two_pieces(np.ones(7)), **options)


def test_registry_is_complete_and_fair():
    assert set(ARMS) == IDS
    assert len({arm.colour for arm in ARMS.values()}) == len(IDS)
    for arm in ARMS.values():
        points = grid(arm)
        assert len(points) == GRID_POINTS
        assert len({tuple(sorted(p.items())) for p in points}) == GRID_POINTS
        assert set(points[0]) <= set(defaults(arm))


@pytest.mark.parametrize("arm", sorted(IDS))
def test_every_arm_learns_a_small_task_with_its_defaults(arm):
    torch.manual_seed(0)
    x, y = torch.randn(64, 5), torch.arange(64) % 2
    x[:, 0] += 2.0 * y
    model = torch.nn.Linear(5, 2)
    params = list(model.parameters())
    optimizer = ARMS[arm].build(iter(params), {})
    measure = torch.nn.functional.cross_entropy

    def closure():
        optimizer.zero_grad()
        loss = measure(model(x), y)
        each = [torch.autograd.grad(measure(model(x[i : i + 1]), y[i : i + 1]), params) for i in range(64)] if arm == "fisher_ngd" else []
        for j, (p, g) in enumerate(zip(params, torch.autograd.grad(loss, params, create_graph=ARMS[arm].second_order), strict=True)):
            p.grad = g if ARMS[arm].second_order and arm != "lbfgs" else g.detach()
            if each:
                p.grad_sample = torch.stack([e[j] for e in each])
        return loss.detach()

    start = float(closure())
    for _ in range(120):
        optimizer.step(closure)
    assert float(closure()) < start - 0.05


@pytest.mark.parametrize("arm", sorted(IDS))
def test_a_resumed_run_ends_at_the_same_bits(arm, tmp_path):
    def fit():
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
        x, y = torch.randn(40, 5), torch.arange(40) % 2
        optimizer = ARMS[arm].build(model.parameters(), {})
        options = {"steps": 25, "device": "cpu", "full_batch": ARMS[arm].full_batch}
        return Fit(model, optimizer, torch.nn.functional.cross_entropy, Split(x, y), Batches(40, 8, 0), **options)

    through, broken, resumed = fit(), fit(), fit()
    for _ in through:
        pass
    for _ in itertools.islice(broken, 13):
        pass
    broken.save(tmp_path / "run.safetensors")
    resumed.load(tmp_path / "run.safetensors")
    for _ in resumed:
        pass
    assert all(torch.equal(a, b) for a, b in zip(through.model.parameters(), resumed.model.parameters(), strict=True))


def test_unknown_and_impossible_knobs_are_named():
    weights = [torch.nn.Parameter(torch.zeros(2))]
    with pytest.raises(ValueError, match=r"SOFIM has no setting called 'rate'; it has lr, rho, beta\."):
        ARMS["sofim"].build(weights, {"rate": 1.0})
    with pytest.raises(ValueError, match="Adam: lr is nan"):
        ARMS["adam"].build(weights, {"lr": float("nan")})
    with pytest.raises(ValueError, match="history is"):
        ARMS["lbfgs"].build(weights, {"history": 2.5})


def test_words_are_counted_as_their_formula_says():
    counts = {arm.id: arm.words_per_step(100, 1.0) for arm in ARMS.values()}
    assert counts["sgd_momentum"] == 800
    assert counts["sofim"] == counts["sofim_tensor"] == counts["normalised_momentum"] == 900
    assert counts["sofim_b"] == counts["adam"] == 1000
    assert counts["lbfgs"] == 11500
    assert ARMS["adahessian"].words_per_step(100, 2.0) == 1900
    assert ARMS["nystrom_sgd"].words_per_step(100, 11.0) == 6000
    assert counts["fisher_ngd"] == 26200


def test_listing_the_arms_does_not_load_pytorch():
    code = "import sys, models.sofim.arms as a; print(len(a.ARMS), *[m for m in ('torch', 'timm', 'numpy', 'scipy') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [str(len(IDS))]
