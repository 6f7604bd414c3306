"""SOFIM: momentum steps whose length is set by a rank-one Fisher matrix (arXiv 2403.02833).

Importing this package loads no PyTorch; ``SOFIM``, the optimiser under its own name, is loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.shared.method import Deviation, Method, Paper, Switch
from models.sofim.presets import PRESETS

if TYPE_CHECKING:
    from models.sofim.optimizer import SOFIM

__all__ = ["METHOD", "SOFIM"]

_PAPER = Paper(
    title="SOFIM: Stochastic Optimization Using Regularized Fisher Information Matrix",
    authors=("Mrinmay Sen", "A. K. Qin", "Gayathri C", "Raghu Kishore N", "Yen-Wei Chen", "Balasubramanian Raman"),
    arxiv="2403.02833",
    venue="arXiv, version 2 of 1 May 2024",
    year=2024,
    read="The abstract, and the code of a follow-up (DP-FedSOFIM) by the first author that carries the paper's Algorithm 1. "
    "The paper's tables could not be read, so none of its numbers are shown.",
)

_SWITCHES = (
    Switch("variant", "What is preconditioned", "A", ("A", "B"), "A: the averaged gradient, as published. B: the fresh gradient."),
    Switch("granularity", "One matrix for", "global", ("global", "tensor"), "The whole model, or each weight tensor by itself."),
    Switch("bias_correction", "Correct the average's slow start", True, (), "Without it the first steps are far too short or too long."),
    Switch("sherman_morrison", "Use the Fisher matrix", True, (), "Off: plain averaged momentum with learning rate η/ρ."),
    Switch(
        "momentum",
        "Momentum",
        "full",
        ("full", "ema_only", "gradient_only"),
        "The method; the averaged gradient without any matrix; the bare gradient.",
    ),
)

_DEVIATIONS = (
    Deviation(
        "Which vector the inverse matrix is applied to",
        "The corrected average M̂ (variant A); the fresh gradient (variant B) is a switch.",
        "The only code by one of the authors does so and cites Algorithm 1; the reviews print a generic formula.",
        "verified",
    ),
    Deviation(
        "Which average the matrix is built from",
        "The bias-corrected one.",
        "As in the same code.",
        "verified",
    ),
    Deviation(
        "One matrix for the whole model or one per layer",
        "One for all weights together; one per tensor is a switch.",
        "The same code flattens the model, and the paper writes w ∈ Rᵈ.",
        "secondary",
    ),
    Deviation(
        "Several parameter groups with their own ρ",
        "F = M̂M̂ᵀ + diag(ρ), inverted in the same closed form.",
        "The paper has one ρ; this is the one reading that keeps a single matrix and agrees with it when all ρ are equal.",
        "derived",
    ),
    Deviation(
        "Weight decay",
        "Decoupled: η λ w is taken off beside the preconditioned step.",
        "The follow-up's code adds it after the matrix.",
        "verified",
    ),
    Deviation(
        "The 1e-8 in a denominator of the published code",
        "Left out.",
        "ρ > 0 already forbids a division by zero, and without it the closed form equals the explicit inverse to rounding.",
        "derived",
    ),
    Deviation(
        "Default settings",
        "β = 0.9, ρ = 0.5, η = 0.1.",
        "The only documented values, from the follow-up; those of the paper's own experiments could not be read.",
        "verified",
    ),
    Deviation(
        "Warm-up and learning-rate schedule",
        "None; η stays constant.",
        "The original shows no warm-up (the follow-up's is for privacy noise), and its schedule is unknown.",
        "inferred",
    ),
    Deviation(
        "Biases and normalisation weights",
        "Part of the same vector as all other weights.",
        "Nothing suggests otherwise.",
        "inferred",
    ),
    Deviation(
        "Half precision",
        "Inner products are added up in 32 or 64 bits.",
        "The squared length of a small gradient would vanish in 16 bits.",
        "inferred",
    ),
    Deviation(
        "A weight tensor without gradient in some step",
        "It is left alone for that step, its average too, while the step count goes on for all.",
        "Not treated in any source; the common habit of PyTorch's optimisers, with one clock for the one shared matrix.",
        "inferred",
    ),
    Deviation(
        "What \"Newton-type\" rivals the comparison holds",
        "L-BFGS, AdaHessian and Nyström-SGD as named in the abstract's first version; Adam, normalised momentum and the damped "
        "Fisher matrix of single cases are our additions.",
        "Normalised momentum shows how much of SOFIM is control of the step's length; the full matrix, what rank one leaves out.",
        "inferred",
    ),
)  # fmt: skip

METHOD = Method(
    id="sofim",
    title="SOFIM",
    question="Can a curvature-aware training step be as cheap as plain momentum, and does it get there sooner?",
    summary="A momentum step whose length is set by a one-direction Fisher matrix, inverted in closed form at the cost of plain momentum.",
    paper=_PAPER,
    order=1,
    inputs=("a training task", "a two-dimensional landscape"),
    switches=_SWITCHES,
    presets=PRESETS,
    deviations=_DEVIATIONS,
)


def __getattr__(name: str) -> Any:
    """The optimiser under its own name, loaded (with PyTorch) only when asked for."""
    if name == "SOFIM":
        from models.sofim.optimizer import SOFIM

        return SOFIM
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
