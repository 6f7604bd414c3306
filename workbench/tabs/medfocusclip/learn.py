"""Learn: why a network needs to be shown where to look, what painting does, what guided attention does, and the laws as live checks."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.lesson import deviations, lesson, oracle_panel

LESSON = r"""
### What this is about, in plain words

A network that has seen only twenty scans of each kind will cling to anything that tells the kinds apart in those twenty: a letter burnt into the
corner, the shape of the border, a brighter machine. It may be right for a wrong reason, and wrong in the next hospital.

MedFocusCLIP's answer is simple: **let another network outline what stands out, lay the outlines on the scan in colours, and learn from the painted
scan**. Nothing inside CLIP is changed; the picture it is given is.

| Step | Who does it | Does it learn? |
|---|---|---|
| Outline everything that stands out | SAM 2, clicked at the points of a grid | no |
| Paint the outlines, half transparent | a rule | no |
| Turn the painted scan into an arrow | CLIP's image network | yes, its last layers, from few scans |
| Turn “This is a photo of glioma” into an arrow | CLIP's text network | no |
| Say the class whose arrow is nearest | a rule | no |

### Painting

Segments are laid on from the largest to the smallest, so a pixel shows the **smallest** segment that covers it, $k(p)$. With opacity $\alpha$ and colour $c_k$:

$$J(p) = \begin{cases}(1-\alpha)\,I(p) + \alpha\,c_{k(p)} & \text{if a segment covers } p\\ I(p) & \text{otherwise}\end{cases}$$

$\alpha = 0$ is the scan itself; at $\alpha = 1$ only colours are left and all texture is gone. On the paper's own figure $\alpha \approx 0.5$ was measured.

### The answer, and the loss of training

$$v = \frac{f_{img}(J)}{\lVert f_{img}(J)\rVert},\qquad t_k = \frac{f_{txt}(\text{“This is a photo of }k\text{”})}{\lVert\cdot\rVert}$$

$$p = \mathrm{softmax}(s\,v\,t^{\top}),\qquad L = \lambda\,L_{ce} + (1-\lambda)\,L_{align}$$

$L_{ce}$ asks for the right class; $L_{align}$ pulls pictures and texts of one class together within a batch. Both terms are our reading: of the paper's
own loss only the form $\lambda L_c + (1-\lambda) L_e$ is known.

### Guided attention: **ours, not from the paper**

The paper's title speaks of attention, but all that is published changes the *input*. Here you can also turn CLIP's attention itself. With $\tilde m_j$ the
share of patch $j$ inside the region (the class token has 1), strength $\beta$ and floor $\varepsilon$:

$$A = \mathrm{softmax}\!\left(\frac{QK^{\top}}{\sqrt d} + \beta\,\log\big(\varepsilon + (1-\varepsilon)\,\tilde m_j\big)\right)$$

- $\beta = 0$: CLIP untouched. $\beta = 1$: its attention multiplied by the region and renormalised. $\beta \to \infty$: nothing outside is seen.
- In one layer, with binary $\tilde m$, attention inside never falls as $\beta$ rises. Over several layers, and for the *answer*, nothing of the kind is promised.

### How to read the Explore drawer

- **“Attention inside the region” beside “chance”.** A region that covers 6 % of the patches gets 6 % of an attention that looks everywhere alike. Twice chance
  is a lean; it is not understanding.
- **White mask** shows CLIP the region's shape and nothing of the scan. If the answer stays the same, the *shape* gave it away.
- **“What if a segment were not there?”** ranks segments by how far the answer moves without them. A marker high in that list is a warning.
- **“Do the colours matter?”** They carry no meaning, so a robust answer does not depend on them.

### Try it

1. On the breast-ultrasound phantom press *Find segments by itself*. Are burnt-in letters among the segments? They are in the paper's own figure, too. Tick
   *Paint over burnt-in text* and look again.
2. Drag α from 0 to 1. Where does the painted answer turn? At 1 only the layout of colours is left.
3. Draw a box around healthy tissue and let guided attention look there. What the network then says is about that place, and may be confidently wrong.
"""


def learn(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    lesson(LESSON)
    html.show(html.card("What could be read of the paper", f"<p>{html.text(method.paper.read)}</p>"))
    oracle_panel(method.id, _checks)
    deviations(method)


def _checks() -> list[Any]:
    from models.medfocusclip.checks import checks

    return checks()
