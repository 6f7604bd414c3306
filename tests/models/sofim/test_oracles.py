"""The fourteen faithfulness oracles of SOFIM (spec §8) against the real optimiser, in float64.

Expected values come from dense algebra done here, or are written out; the oracle in models/sofim/reference.py is itself checked first.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.sofim import SOFIM, reference
from models.sofim.arms import ARMS
from models.sofim.checks import checks

pytestmark = pytest.mark.filterwarnings("error")


def steps_of(gradients, *, cuts=(), build=SOFIM, **options):
    """Feeds gradients (T, d) to an optimiser starting from zero; returns what each step subtracted, (T, d)."""
    pieces = [torch.nn.Parameter(torch.zeros(len(p), dtype=torch.float64)) for p in np.split(np.zeros(np.shape(gradients)[1]), cuts)]
    optimizer = build(pieces, **options)
    deltas = []
    for g in np.asarray(gradients, dtype=np.float64):
        before = torch.cat([p.detach().clone() for p in pieces])
        for p, part in zip(pieces, np.split(g, cuts), strict=True):
            p.grad = torch.tensor(part)
        optimizer.step()
        deltas.append((before - torch.cat([p.detach() for p in pieces])).numpy())
    return np.array(deltas)


def noise(seed, steps=10, d=20):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(steps, d)) * rng.uniform(0.01, 4, size=(steps, 1))


def moments_of(gradients, beta):
    """M̂ by its definition as a weighted mean: sum of (1−β)β^(t−s) g_s over (1−β^t)."""
    out = []
    for t in range(1, len(gradients) + 1):
        weights = (1 - beta) * beta ** np.arange(t - 1, -1, -1)
        out.append(weights @ gradients[:t] / (1 - beta**t))
    return np.array(out)


def test_reference_by_hand():
    """Two steps worked out on paper: g = (3, 4), then (0, 5); η = 1, β = ½, ρ = 25."""
    a = reference.run([np.array([3.0, 4.0]), np.array([0.0, 5.0])], np.zeros(2), eta=1.0, beta=0.5, rho=25.0)
    np.testing.assert_allclose(a[0].delta, np.array([3.0, 4.0]) / 50.0, atol=1e-15)
    np.testing.assert_allclose(a[1].M_hat, np.array([0.75, 3.5]) / 0.75, atol=1e-15)
    np.testing.assert_allclose(a[1].delta, np.array([1.0, 14.0 / 3.0]) / (25.0 + 1.0 + 196.0 / 9.0), atol=1e-15)


@pytest.mark.parametrize("variant", ["A", "B"])
@pytest.mark.parametrize("d", [1, 2, 7, 50])
@pytest.mark.parametrize("rho", [1e-3, 0.5, 10.0])
def test_01_explicit_inverse(variant, d, rho):
    g = noise(d, d=d)
    moments = moments_of(g, 0.9)
    matrices = [np.outer(m, m) + rho * np.eye(d) for m in moments]
    expected = [0.3 * np.linalg.solve(f, m if variant == "A" else x) for f, m, x in zip(matrices, moments, g, strict=True)]
    # The dense solve itself loses digits with the condition number, up to 10⁶ here; on well-posed cases this is the plain 1e-12.
    tolerance = max(1e-12, 1e-15 * max(np.linalg.cond(f) for f in matrices) * np.abs(expected).max())
    np.testing.assert_allclose(steps_of(g, lr=0.3, beta=0.9, rho=rho, variant=variant), expected, atol=tolerance, rtol=0)


def test_02_scalar_form_equals_the_published_two_terms():
    g = noise(2)
    m = moments_of(g, 0.9)
    s2 = np.sum(m * m, axis=1, keepdims=True)
    rho = 0.5
    published = m / rho - m * s2 / (rho**2 * (1 + s2 / rho))
    delta = steps_of(g, lr=1.0, rho=rho)
    np.testing.assert_allclose(delta, published, atol=1e-12)
    np.testing.assert_allclose(delta, m / (rho + s2), atol=1e-12)


def test_03_a_equals_b_without_memory_and_at_the_first_step():
    g = noise(3)
    np.testing.assert_allclose(steps_of(g, beta=0.0, variant="A"), steps_of(g, beta=0.0, variant="B"), atol=1e-12)
    for beta in (0.5, 0.9, 0.999):
        np.testing.assert_allclose(steps_of(g[:1], beta=beta), steps_of(g[:1], beta=beta, variant="B"), atol=1e-12)
    assert np.abs(steps_of(g) - steps_of(g, variant="B")).max() > 1e-2


def test_04_constant_gradient_and_the_bias_correction():
    g = np.tile([0.3, -0.4], (6, 1))
    np.testing.assert_allclose(steps_of(g, lr=1.0, rho=0.5), np.tile([0.4, -0.4 / 0.75], (6, 1)), atol=1e-12)
    raw = (1 - 0.9 ** np.arange(1, 7))[:, None] * g
    expected = raw / (0.5 + np.sum(raw**2, axis=1, keepdims=True))
    np.testing.assert_allclose(steps_of(g, lr=1.0, rho=0.5, bias_correction=False), expected, atol=1e-12)


def test_05_large_rho_is_averaged_momentum_with_error_like_one_over_rho():
    g = 0.1 * noise(5)
    momentum = 0.1 * moments_of(g, 0.9)
    errors = [np.abs(steps_of(g, lr=0.1 * rho, rho=rho) - momentum).max() for rho in (1e2, 1e4, 1e6)]
    assert errors[0] > 1e-5
    np.testing.assert_allclose([errors[0] / errors[1], errors[1] / errors[2]], [100, 100], rtol=0.05)


def test_06_small_rho_divides_by_the_squared_length():
    g = noise(6)
    m = moments_of(g, 0.9)
    np.testing.assert_allclose(steps_of(g, lr=0.1, rho=1e-14), 0.1 * m / np.sum(m * m, axis=1, keepdims=True), rtol=1e-9)
    tiny = steps_of([[1e-6, 0.0]], lr=0.1, rho=1e-20)
    np.testing.assert_allclose(tiny, [[1e5, 0.0]], rtol=1e-6)


@pytest.mark.parametrize("rho", [0.01, 0.5, 4.0])
def test_07_step_length_bound_is_kept_and_attained(rho):
    sizes = np.array([0.0, 1e-8, 0.01, 0.3, 1.0, 5.0, 1e3, 1e8])
    lengths = [np.linalg.norm(steps_of([[0.6 * s, 0.8 * s]], lr=0.7, rho=rho)) for s in sizes]
    bound = 0.7 / (2 * np.sqrt(rho))
    assert max(lengths) <= bound * (1 + 1e-12)
    root = np.sqrt(rho)
    np.testing.assert_allclose(np.linalg.norm(steps_of([[0.6 * root, 0.8 * root]], lr=0.7, rho=rho)), bound, rtol=1e-12)


@pytest.mark.parametrize("variant", ["A", "B"])
@pytest.mark.parametrize("c", [1e-3, 64.0])
def test_08_loss_scaling_leaves_the_path_unchanged(variant, c):
    rng = np.random.default_rng(8)
    curvature = torch.tensor(np.diag(rng.uniform(0.5, 5.0, 6)))
    paths = []
    for scale in (1.0, c):
        w = torch.nn.Parameter(torch.linspace(-1, 1, 6, dtype=torch.float64))
        optimizer = SOFIM([w], lr=0.05 * scale, rho=0.5 * scale**2, variant=variant)
        for _ in range(60):
            optimizer.zero_grad()
            (scale * 0.5 * w @ curvature @ w).backward()
            optimizer.step()
        paths.append(w.detach().numpy().copy())
    np.testing.assert_allclose(paths[0], paths[1], atol=1e-12)


@pytest.mark.parametrize("variant", ["A", "B"])
def test_09_rotation_turns_the_step_with_it(variant):
    g = noise(9, d=12)
    q = np.linalg.qr(np.random.default_rng(90).normal(size=(12, 12)))[0]
    np.testing.assert_allclose(steps_of(g @ q.T, cuts=(4, 9), variant=variant), steps_of(g, cuts=(4, 9), variant=variant) @ q.T, atol=1e-12)


@pytest.mark.parametrize(("build", "options"), [(torch.optim.Adam, {}), (SOFIM, {"granularity": "tensor"})])
def test_09_adam_and_the_per_tensor_form_do_not_turn(build, options):
    g = noise(9, d=12)
    q = np.linalg.qr(np.random.default_rng(90).normal(size=(12, 12)))[0]
    turned = steps_of(g @ q.T, cuts=(4, 9), build=build, lr=0.1, **options)
    assert np.abs(turned - steps_of(g, cuts=(4, 9), build=build, lr=0.1, **options) @ q.T).max() > 1e-3


def test_10_b_always_descends_and_a_exactly_when_momentum_and_gradient_agree():
    g = noise(10, steps=200, d=5)
    m = moments_of(g, 0.9)
    assert (np.sum(g * steps_of(g, variant="B"), axis=1) > 0).all()
    descends = np.sum(g * steps_of(g), axis=1) > 0
    np.testing.assert_array_equal(descends, np.sum(g * m, axis=1) > 0)
    assert 0 < descends.sum() < 200


def test_11_eigen_structure_and_the_shrink_ratio_of_b():
    g = noise(11, d=9)
    step = reference.run(g, np.zeros(9), eta=1.0, beta=0.9, rho=0.5)[-1]
    m = moments_of(g, 0.9)[-1]
    np.testing.assert_allclose(np.linalg.eigvalsh(step.F), [0.5] * 8 + [0.5 + m @ m], atol=1e-12)
    delta, unit = steps_of(g, lr=1.0, rho=0.5, variant="B")[-1], m / np.linalg.norm(m)
    along = (unit @ delta) / (unit @ g[-1])
    across = (delta - unit * (unit @ delta)) / (g[-1] - unit * (unit @ g[-1]))
    np.testing.assert_allclose(across, across[0], rtol=1e-9)
    np.testing.assert_allclose(along / across[0], 0.5 / (0.5 + m @ m), rtol=1e-9)


def settle(eta, a, rho, start=0.3, steps=3000):
    w = torch.nn.Parameter(torch.tensor([start], dtype=torch.float64))
    optimizer = SOFIM([w], lr=eta, beta=0.0, rho=rho)
    for _ in range(steps):
        w.grad = a * w.detach()
        optimizer.step()
    return w.item()


def test_12_one_dimensional_quadratic_settles_or_bounces_at_the_known_height():
    assert abs(settle(0.95, 2.0, 1.0)) < 1e-12
    first = settle(1.05, 2.0, 1.0, steps=3000)
    second = settle(1.05, 2.0, 1.0, steps=3001)
    assert first == pytest.approx(-second, abs=1e-12)
    assert abs(first) == pytest.approx(0.11180339887498948, abs=1e-9)
    assert abs(settle(1.5, 2.0, 1.0)) == pytest.approx(np.sqrt(0.5) / 2, abs=1e-9)


def test_12_the_two_cycle_gives_way_at_four_but_the_path_stays_bounded():
    """The map's slope on the cycle is 3 − 8ρ/(ηa), so the cycle attracts only for 2 < ηa/ρ < 4 (derived here; the spec stops at "> 2")."""
    heights = [abs(settle(3.0, 2.0, 1.0, steps=n)) for n in (2000, 2001, 2002, 2003)]
    assert max(abs(h - np.sqrt(2.0) / 2) for h in heights) > 1e-3
    assert max(heights) <= 3.0 / (2 * np.sqrt(1.0))


def test_13_groups_share_one_fisher_matrix():
    g = noise(13, d=12)

    def grouped(pieces, **options):
        return SOFIM([{"params": pieces[:1]}, {"params": pieces[1:]}], **options)

    for variant in "AB":
        expected = steps_of(g, variant=variant)
        np.testing.assert_allclose(steps_of(g, cuts=(5, 8), variant=variant), expected, atol=1e-12)
        np.testing.assert_allclose(steps_of(g, cuts=(5, 8), build=grouped, variant=variant), expected, atol=1e-12)


@pytest.mark.parametrize("variant", ["A", "B"])
def test_13_groups_with_their_own_damping_invert_the_same_matrix(variant):
    """With ρ differing between groups F = M̂M̂ᵀ + diag(ρ); the step is η F⁻¹u, each group with its own η."""
    g = noise(14, d=6)
    rho, eta = np.array([0.2] * 4 + [3.0] * 2), np.array([0.1] * 4 + [0.7] * 2)
    m = moments_of(g, 0.9)
    expected = [eta * np.linalg.solve(np.outer(x, x) + np.diag(rho), x if variant == "A" else y) for x, y in zip(m, g, strict=True)]

    def grouped(pieces, **options):
        return SOFIM([{"params": pieces[:1], "rho": 0.2, "lr": 0.1}, {"params": pieces[1:], "rho": 3.0, "lr": 0.7}], **options)

    np.testing.assert_allclose(steps_of(g, cuts=(4,), build=grouped, variant=variant), expected, atol=1e-12)


def test_13_zero_gradient_moves_nothing():
    assert not steps_of(np.zeros((4, 5))).any()
    assert not steps_of(np.zeros((4, 5)), variant="B").any()


def test_14_memory_is_one_extra_vector_and_words_are_counted():
    params = [torch.nn.Parameter(torch.zeros(300, 7)), torch.nn.Parameter(torch.zeros(11))]
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer = SOFIM(params)
    optimizer.step()
    assert sum(v.numel() for s in optimizer.state.values() for v in s.values()) == 2111
    assert ARMS["sofim"].words_per_step(1000, 1.0) == 9000
    assert ARMS["sgd_momentum"].words_per_step(1000, 1.0) == 8000


def test_every_live_check_passes_and_all_fourteen_are_there():
    results = checks()
    assert {c.oracle for c in results} == set(range(1, 15))
    assert [c.name for c in results if not c.passed] == []


def test_live_checks_notice_a_wrong_optimiser(monkeypatch):
    """A step that is one part in a million too long must not pass."""
    honest = SOFIM.step

    def wrong(self, closure=None):
        for group in self.param_groups:
            group["lr"] *= 1 + 1e-6
        return honest(self, closure)

    monkeypatch.setattr(SOFIM, "step", wrong)
    failed = {c.oracle for c in checks() if not c.passed}
    assert {1, 2, 4, 6, 7, 12} <= failed
