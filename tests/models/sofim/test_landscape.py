"""The two-dimensional hills, the walks on them and the wrapper's answers."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from models.sofim.landscape import LANDSCAPES, WALKERS, best_of_grid, eigen, step_length, suggested, trace
from models.sofim.wrapper import ShortOptions, WalkOptions, algebra_check, prepare, run, step_curve

HILLS = sorted(LANDSCAPES)
CHEAP = ("sofim", "sofim_b", "sgd_momentum", "adam", "normalised_momentum", "newton")


@pytest.mark.parametrize("name", HILLS)
@pytest.mark.parametrize("point", [(0.3, -0.7), (-1.9, 2.5), (0.0, 0.0)])
def test_written_gradients_and_hessians_are_the_derivatives(name, point):
    hill = LANDSCAPES[name]
    w = torch.tensor(point, dtype=torch.float64)
    grad = torch.func.grad(lambda w: hill.f(w[0], w[1]))(w)
    hess = torch.func.hessian(lambda w: hill.f(w[0], w[1]))(w)
    np.testing.assert_allclose(hill.grad(*point), grad.numpy(), atol=1e-12)
    np.testing.assert_allclose(hill.hess(*point), hess.numpy(), atol=1e-12)


@pytest.mark.parametrize("name", HILLS)
def test_minima_are_the_lowest_points(name):
    hill = LANDSCAPES[name]
    x, y = np.meshgrid(np.linspace(-3, 3, 121), np.linspace(-3, 3, 121))
    assert hill.f(x, y).min() >= hill.lowest - 1e-12
    for minimum in hill.minima:
        assert hill.f(*minimum) == pytest.approx(hill.lowest, abs=1e-12)
        np.testing.assert_allclose(hill.grad(*minimum), 0.0, atol=1e-12)


def test_valley_has_the_curvatures_it_claims():
    np.testing.assert_allclose([value for value, _ in eigen(LANDSCAPES["valley"].hess(0, 0))], [3.0, 0.05], atol=1e-9)
    np.testing.assert_allclose([value for value, _ in eigen(LANDSCAPES["noisy_valley"].hess(0, 0))], [1.5, 0.1], atol=1e-9)


@pytest.mark.parametrize(
    "matrix", [((2.0, 1.0), (1.0, 3.0)), ((-1.0, 0.0), (0.0, 5.0)), ((4.0, 0.0), (0.0, 4.0)), ((0.0, -2.0), (-2.0, 0.0))]
)
def test_eigen_agrees_with_numpy(matrix):
    found = eigen(matrix)
    np.testing.assert_allclose([value for value, _ in found], np.linalg.eigvalsh(matrix)[::-1], atol=1e-12)
    for value, direction in found:
        np.testing.assert_allclose(np.array(matrix) @ direction, value * np.array(direction), atol=1e-12)


@pytest.mark.parametrize("name", HILLS)
def test_every_walker_comes_down(name):
    scene = trace(name, list(WALKERS), steps=120)
    json.dumps(scene, allow_nan=False)
    assert [p["id"] for p in scene["paths"]] == list(WALKERS)
    for path in scene["paths"]:
        assert path["diverged"] is None
        assert len(path["x"]) == len(path["y"]) == len(path["f"]) == 121
        assert min(path["f"][-20:]) < path["f"][0]


def test_first_steps_on_the_saddle_by_hand():
    """Start (1.6, 0.02): gradient (1.6, −0.019992). SOFIM with η = 1, ρ = ½ and one step: g / (½ + ‖g‖²)."""
    scene = trace(
        "saddle", ["sofim", "newton", "normalised_momentum"], {"sofim": {"lr": 1.0, "rho": 0.5}, "newton": {"lr": 1.0, "rho": 0.0}}, steps=1
    )
    sofim, newton, normal = scene["paths"]
    g = np.array([1.6, 0.02**3 - 0.02])
    np.testing.assert_allclose([sofim["x"][1], sofim["y"][1]], np.array([1.6, 0.02]) - g / (0.5 + g @ g), atol=1e-5)
    assert sofim["norm"] == [pytest.approx(math.sqrt(g @ g), rel=1e-5)]
    assert sofim["eta_eff"] == [pytest.approx(1 / (0.5 + g @ g), rel=1e-5)]
    assert sofim["length"] == [pytest.approx(math.sqrt(g @ g) / (0.5 + g @ g), rel=1e-5)]
    assert sofim["shrinking"] == 1.0
    assert sofim["metric"][0] == {
        "a": pytest.approx(1 / (0.5 + g @ g), rel=1e-5),
        "b": 2.0,
        "angle": pytest.approx(math.atan2(g[1], g[0]), rel=1e-4),
    }
    assert sofim["hessian"][0]["a"] == pytest.approx(1 / 1.5, rel=1e-5)
    np.testing.assert_allclose([newton["x"][1], newton["y"][1]], [0.0, 0.02 + 0.019992 / 0.9988], atol=1e-5)
    assert math.hypot(normal["x"][1] - 1.6, normal["y"][1] - 0.02) == pytest.approx(
        suggested(LANDSCAPES["saddle"], "normalised_momentum")["lr"], rel=1e-4
    )


def test_sofim_on_the_hill_follows_the_oracle():
    from models.sofim import reference

    hill = LANDSCAPES["rosenbrock"]
    steps = reference.run(lambda w: np.array(hill.grad(*w)), np.array([-1.0, 1.5]), eta=0.1, beta=0.9, rho=2.0, steps=50)
    path = trace(hill, ["sofim"], {"sofim": {"lr": 0.1, "rho": 2.0}}, start=(-1.0, 1.5), steps=50)["paths"][0]
    np.testing.assert_allclose(np.array([path["x"][1:], path["y"][1:]]).T, [s.w for s in steps], rtol=1e-5)


def test_scaling_the_loss_with_both_knobs_changes_no_path():
    plain = trace("valley", ["sofim"], {"sofim": {"lr": 0.1, "rho": 0.5}}, steps=60)["paths"][0]
    scaled = trace("valley", ["sofim"], {"sofim": {"lr": 10.0, "rho": 5000.0}}, steps=60, scale=100.0)["paths"][0]
    alone = trace("valley", ["sofim"], {"sofim": {"lr": 0.1, "rho": 0.5}}, steps=60, scale=100.0)["paths"][0]
    np.testing.assert_allclose(plain["x"], scaled["x"], rtol=1e-5)
    assert max(abs(a - b) for a, b in zip(plain["x"], alone["x"], strict=True)) > 0.1


def test_noise_is_the_same_for_all_and_fixed_by_the_seed():
    first = trace("noisy_valley", ["sgd_momentum", "sofim"], seed=3, steps=30)
    again = trace("noisy_valley", ["sofim"], seed=3, steps=30)
    other = trace("noisy_valley", ["sofim"], seed=4, steps=30)
    assert first["paths"][1] == again["paths"][0]
    assert again["paths"][0]["x"] != other["paths"][0]["x"]
    still = trace("noisy_valley", ["sofim"], seed=3, steps=30, noise=0.0)
    assert still == trace("noisy_valley", ["sofim"], seed=4, steps=30, noise=0.0) | {"seed": 3}


def test_random_probes_leave_the_callers_random_numbers_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    trace("valley", ["nystrom_sgd", "adahessian"], steps=3)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("pieces", "first_step"),
    [
        ({"sherman_morrison": False}, "lr/rho"),
        ({"momentum": "ema_only"}, "lr"),
        ({"momentum": "gradient_only"}, "lr"),
    ],
)
def test_pieces_can_be_switched_off(pieces, first_step):
    path = trace("saddle", ["sofim"], {"sofim": {"lr": 0.1, "rho": 0.4}}, steps=2, pieces=pieces)["paths"][0]
    rate = {"lr/rho": 0.25, "lr": 0.1}[first_step]
    assert path["x"][1] == pytest.approx(1.6 - rate * 1.6, rel=1e-5)


def test_a_walk_that_flies_off_says_so_and_stays_finite():
    path = trace("valley", ["sgd_momentum"], {"sgd_momentum": {"lr": 5.0}}, steps=400)["paths"][0]
    assert path["diverged"] is not None
    assert len(path["x"]) == path["diverged"]
    json.dumps(path, allow_nan=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"landscape": "everest"}, "no landscape called 'everest'"),
        ({"walkers": ["fisher_ngd"]}, "does not walk on landscapes"),
        ({"steps": 0}, "1 to 5000 steps"),
        ({"noise": -1.0}, "noise of 0 or more"),
        ({"start": (float("nan"), 0.0)}, "start of a walk has to be a finite number"),
        ({"hyper": {"sofim": {"rate": 1.0}}}, "no setting called 'rate'"),
        ({"pieces": {"momentum": "double"}}, "momentum is 'double'"),
        ({"pieces": {"lr": 3.0}}, "no piece called 'lr'"),
    ],
)
def test_impossible_walks_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        trace(**({"landscape": "valley", "walkers": ["sofim"], "steps": 5} | change))


@pytest.mark.slow
@pytest.mark.parametrize("name", HILLS)
def test_suggested_settings_are_the_best_of_the_search(name):
    for walker in CHEAP:
        assert suggested(LANDSCAPES[name], walker).items() >= best_of_grid(name, walker).items()


def test_step_length_law():
    assert step_length(3.0, 0.5, 7.0) == pytest.approx(1.5 / 16)
    curve = step_curve(0.2, 4.0)
    assert curve.peak_at == 2.0
    assert curve.peak == pytest.approx(0.05)
    assert curve.lengths.max() == pytest.approx(0.05, rel=1e-3)
    with pytest.raises(ValueError, match="above 0"):
        step_curve(0.1, 0.0)


def test_wrapper_prepares_a_hill_once_and_runs_it():
    prepared = prepare("rosenbrock")
    assert prepared is prepare("rosenbrock")
    row, column = np.argmin(abs(prepared.y - 3.0)), np.argmin(abs(prepared.x + 2.0))
    assert prepared.heights[row, column] == pytest.approx(0.1 * (1 + 2.0) ** 2 + (3 - 4.0) ** 2)
    walks = run(prepared, WalkOptions(walkers=("sofim", "newton"), steps=20, start=(0.0, 0.0)))
    assert set(walks.ends) == {"sofim", "newton"}
    assert walks.scene["start"] == [0.0, 0.0]


def test_wrapper_runs_a_task_for_a_few_steps():
    result = run(prepare("breast_cancer_mlp"), ShortOptions(arm="sofim", steps=60))
    again = run(prepare("breast_cancer_mlp"), ShortOptions(arm="sofim", steps=60))
    assert result.losses.shape == (60,)
    assert np.array_equal(result.losses, again.losses)
    assert result.losses[-10:].mean() < 0.5 * result.losses[0]
    assert result.test_accuracy > 0.85
    assert not result.diverged
    with pytest.raises(ValueError, match="1 to 300 steps"):
        run(prepare("breast_cancer_mlp"), ShortOptions(steps=301))
    with pytest.raises(ValueError, match="no optimiser called 'magic'"):
        run(prepare("breast_cancer_mlp"), ShortOptions(arm="magic"))
    with pytest.raises(ValueError, match="belongs together"):
        run(prepare("breast_cancer_mlp"), WalkOptions())


def test_algebra_check_reports_rounding_and_the_condition_number():
    check = algebra_check(20, 0.5)
    assert check.difference < 1e-12
    assert check.condition > 1.0
    with pytest.raises(ValueError, match="1 to 500 unknowns"):
        algebra_check(501)


def test_listing_the_hills_does_not_load_pytorch():
    code = "import sys, models.sofim.landscape as h; print(len(h.WALKERS), *[m for m in ('torch', 'numpy', 'timm') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [str(len(WALKERS))]
