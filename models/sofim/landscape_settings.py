"""For each hill and competitor the best of 36 settings, found by ``landscape.best_of_grid`` (its text gives the rule)."""

from __future__ import annotations

SUGGESTED: dict[str, dict[str, dict[str, float]]] = {
    "valley": {
        "sofim": {"lr": 2.15, "rho": 2.0},
        "sofim_b": {"lr": 1.0, "rho": 2.0},
        "sgd_momentum": {"lr": 0.646, "momentum": 0.8},
        "adam": {"lr": 0.3, "beta1": 0.8},
        "lbfgs": {"lr": 3.0, "history": 5},
        "adahessian": {"lr": 1.08, "power": 0.75},
        "nystrom_sgd": {"lr": 1.0, "rho": 0.1},
        "normalised_momentum": {"lr": 0.03, "beta": 0.8},
        "newton": {"lr": 1.0, "rho": 0.01},
    },
    "rosenbrock": {
        "sofim": {"lr": 1.0, "rho": 2.0},
        "sofim_b": {"lr": 0.464, "rho": 2.0},
        "sgd_momentum": {"lr": 0.139, "momentum": 0.9},
        "adam": {"lr": 0.3, "beta1": 0.9},
        "lbfgs": {"lr": 10.0, "history": 5},
        "adahessian": {"lr": 1.08, "power": 0.75},
        "nystrom_sgd": {"lr": 0.464, "rho": 0.1},
        "normalised_momentum": {"lr": 0.0646, "beta": 0.9},
        "newton": {"lr": 1.0, "rho": 0.01},
    },
    "saddle": {
        "sofim": {"lr": 2.15, "rho": 2.0},
        "sofim_b": {"lr": 1.0, "rho": 2.0},
        "sgd_momentum": {"lr": 0.646, "momentum": 0.8},
        "adam": {"lr": 0.3, "beta1": 0.8},
        "lbfgs": {"lr": 10.0, "history": 5},
        "adahessian": {"lr": 1.08, "power": 1.0},
        "nystrom_sgd": {"lr": 1.0, "rho": 1.0},
        "normalised_momentum": {"lr": 0.0646, "beta": 0.8},
        "newton": {"lr": 1.0, "rho": 0.01},
    },
    "noisy_valley": {
        "sofim": {"lr": 0.464, "rho": 2.0},
        "sofim_b": {"lr": 0.215, "rho": 0.5},
        "sgd_momentum": {"lr": 0.03, "momentum": 0.9},
        "adam": {"lr": 0.0646, "beta1": 0.95},
        "lbfgs": {"lr": 0.03, "history": 10},
        "adahessian": {"lr": 0.232, "power": 1.0},
        "nystrom_sgd": {"lr": 0.1, "rho": 0.1},
        "normalised_momentum": {"lr": 0.0646, "beta": 0.8},
        "newton": {"lr": 0.1, "rho": 0.1},
    },
}
