"""Learn: what a SOFIM step is, said plainly; the oracles as live checks; what the paper leaves open."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.browser import step_curve
from workbench.parts.lesson import deviations, lesson, oracle_panel

PLAIN = r"""
### What SOFIM does, in three sentences

Training a network means walking downhill in the dark: each small batch of cases tells roughly which way is down. SOFIM keeps a running
average of those hints and asks how long the next step along it should be. Its answer: **short when the hint is very strong, longer when it is
moderate, and short again when it fades away**.

### The equations

With the averaged gradient of a batch $g_t$, memory $\beta$, damping $\rho$ and learning rate $\eta$:

$$M_t = \beta M_{t-1} + (1-\beta)\,g_t,\qquad \hat M_t = \frac{M_t}{1-\beta^t},\qquad F_t = \hat M_t \hat M_t^{\top} + \rho I,\qquad w_t = w_{t-1} - \eta\,F_t^{-1}\hat M_t$$

$F_t$ stands in for the Fisher matrix, the natural-gradient picture of curvature. The true one has as many rows as the network has weights;
this one is a single outer product plus a constant, so its inverse has a closed form (Sherman and Morrison) and costs no more than momentum.

### What the step really is

Put the closed form in and almost everything cancels:

$$F_t^{-1}\hat M_t = \frac{\hat M_t}{\rho + \lVert \hat M_t\rVert^2}$$

So in its usual form (variant A) SOFIM **goes exactly where momentum goes**. The matrix only sets **how far**:

$$\lVert \Delta w\rVert = \frac{\eta\,\lVert \hat M_t\rVert}{\rho + \lVert \hat M_t\rVert^2}\;\le\;\frac{\eta}{2\sqrt\rho},\quad\text{longest at }\lVert \hat M_t\rVert=\sqrt\rho.$$

"""

PLAIN_AFTER_PICTURE = r"""
- **Small hints** ($\lVert\hat M\rVert \ll \sqrt\rho$): plain momentum with learning rate $\eta/\rho$.
- **Strong hints** ($\lVert\hat M\rVert \gg \sqrt\rho$): the step shrinks as the hint grows, like a gradient clip that over-shrinks.
- Single weights are **not** rescaled against each other (Adam does that), and no curvature off the direction of momentum is used.
- **Variant B** preconditions the fresh gradient instead. It does turn the step: the part along the momentum is damped by $\rho/(\rho+\lVert\hat M\rVert^2)$.

### What ρ means to a reader who trains nothing

ρ says how much we distrust the guess about curvature. A large ρ ignores the guess and trusts the slope; a small ρ takes the guess at its word,
with long steps where the ground is flat, and the danger of stepping too far there.

### Try it

1. In *Explore*, race SOFIM against *Normalised momentum*: the same direction, another rule for the length. How much of SOFIM is left?
2. While it runs, drag ρ down to 0.01 and watch the dot in “Inside SOFIM” cross to the right of √ρ.
3. In *Compare*, walk down the narrow valley: the solid ellipse (SOFIM’s matrix) shares little with the dashed one (the true curvature).
"""


def learn(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    lesson(PLAIN)
    step_curve(elem_id="sofim_step_curve")
    lesson(PLAIN_AFTER_PICTURE)
    html.show(html.card("What could be read of the paper", f"<p>{html.text(method.paper.read)}</p>"))
    oracle_panel(method.id, _checks)
    deviations(method)


def _checks() -> list[Any]:
    from models.sofim.checks import checks

    return checks()
