"""Learn: what a few labels and many slices without any can teach, the three pseudo-labels, why a temperature is needed, and the laws as live checks."""

from __future__ import annotations

import math
from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.lesson import deviations, lesson, oracle_panel

LESSON = r"""
### What this is about, in plain words

Outlining a heart slice by hand takes minutes; taking the picture does not. So there are many slices and few outlines. **Semi-supervised** training
uses both: the few outlined slices are learned from directly, and on the others the network learns to agree with itself.

**FixMatch** does it so. Each slice without an outline is shown twice: once hardly changed (*weak view*) and once with its brightness, contrast and
sharpness changed and a box of another slice pasted in (*strong view*). Where the answer to the weak view is surer than $\tau$, it counts as if it were
the truth (a **pseudo-label**), and the answer to the strong view has to match it.

**SemSim** says that each pixel was left alone in this, and asks for agreement in two more ways:

| Pseudo-label | Where it is from | What it is good for |
|---|---|---|
| 1. As it answers | the network's own answer (FixMatch) | what it knows |
| 2. Spread over similar pixels | the answer of all pixels *of this slice*, weighed by how similar their features are | filling holes, removing islands |
| 3. Asked of labelled slices | the most similar tissue in the *labelled slices*, cell by cell (**prototypes**) | tying slices without outlines to those with one |

### The equations

Similarity is the cosine $c$ of two pixels' features. Within a slice, with rows of $A$ that add up to 1 and the answer $z$:

$$A = \mathrm{softmax}(c / T_{aff}), \qquad p_{in} = \mathrm{softmax}(z + A z)$$

Across slices, with $m_j$ the cosine of a pixel and the prototype of a class in labelled slice $j$:

$$p_{cr}(k) = \frac{\sum_j e^{m_j(k)/T_{cr}}}{\sum_{k'} \sum_j e^{m_j(k')/T_{cr}}}$$

All losses together: $L = \tfrac12\,(L_s + 0.5\,L_u + 0.25\,L_{intra} + 0.25\,L_{cross})$.

### Why a temperature is needed

The paper prints these equations without a temperature, which is $T = 1$. Features are never negative, so cosines lie between 0 and 1, and the
surest that a pixel can be with $C$ classes is $e^{1/T} / (e^{1/T} + C - 1)$. The table below works that out. With $\tau = 0.95$ and $T = 1$ **no pixel can ever
pass**: the mask is empty and the cross-image loss is exactly 0. So a temperature of 0.1 is used here, and the printed equations stand beside it as a network of
their own.
"""

TRY = r"""
### How to read the Explore drawer

- **Point at a pixel**: bright pixels are those that it listens to when its answer is spread. At $T = 1$ the map turns almost even: it listens to everything.
- **Kept** is the share of pixels surer than tau. Only these teach.
- **Agreement** is 1 where all labelled slices say the same of a pixel. It weighs the cross-image loss.
- **Brush and eraser** mend the outline; measures and files follow what is outlined, not what the network said. Undo with Z.

### Try it

1. Move *Temperature, across images* to 1 and look at the third pseudo-label. Then bring it back until pixels pass.
2. Point into the muscle, then into the blood. Do the bright pixels stay within their tissue?
3. Move *Labelled slices* up. Which structure gains most?
4. Choose *FixMatch* as the network: it has no features to look into, as it was trained without them.
"""


def learn(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    lesson(LESSON)
    html.show(bounds(), elem_id="semsim_bounds")
    lesson(TRY)
    html.show(html.card("What could be read of the paper", f"<p>{html.text(method.paper.read)}</p>"))
    oracle_panel(method.id, _checks)
    deviations(method)


def bounds() -> str:
    """The greatest confidence that each temperature allows, for two and four classes."""
    temperatures = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05)
    rows = [[f"T = {t:g}", *(_bound(count, t) for count in (2, 4))] for t in temperatures]
    return html.card(
        "The surest that a pixel can be", html.table(["Temperature", "2 classes (lesion or not)", "4 classes (heart slices)"], rows)
    )


def _bound(classes: int, temperature: float) -> str:
    value = 1 / (1 + (classes - 1) * math.exp(-1 / temperature))
    passes = '<span class="lb-good">can pass 0.95</span>' if value >= 0.95 else '<span class="lb-bad">never passes 0.95</span>'
    return f"{value:.3f} {passes}"


def _checks() -> list[Any]:
    from models.semsim.checks import checks

    return checks()
