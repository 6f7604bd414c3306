"""Learn: what a prompt is, what ProMIM changes about it, its equations, and the laws as live checks."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.lesson import deviations, lesson, oracle_panel

LESSON = r"""
### What this is about, in plain words

CLIP is a pair of networks: one turns a picture into an arrow, the other turns a sentence into an arrow. A picture is given the class whose
sentence points most nearly in the same direction. Much hangs on the sentence. “*brain MR showing a bright tumour*” may serve better than
“*bright tumour*”, and nobody knows the best wording. So it is **learned**: the words before the class name are replaced by four free vectors.

| Method | The words before the class name |
|---|---|
| CLIP | written by a person |
| CoOp | learned once, the same for every picture |
| KgCoOp | the same, but held near the hand-written sentence |
| CoCoOp | learned, then **shifted by each picture**: a small network looks at the picture and moves the words |
| ProMIM | as CoCoOp, but the small network **sees only some patches** of the picture |

Why hide three quarters of it? A prompt-maker that sees everything can copy details of the training pictures into the words. The authors hold
that this helps with the classes it was trained on and hurts with new ones. If it sees another random quarter each time, it can only use what is visible in *any* quarter.

### The equations

The whole picture $I$ and the patches left to it, kept set $\mathcal K$ with $k = N - \mathrm{round}(rN)$ of $N$ patches:

$$\hat x = \frac{f(I)}{\lVert f(I)\rVert},\qquad \hat x_m = \frac{f(I_{\mathcal K})}{\lVert f(I_{\mathcal K})\rVert},\qquad \pi = h_\theta(\hat x_m),\qquad v_j = V_j + \pi$$

The class description is the text network's answer to $[v_1 \dots v_M]\;\text{class}_i\,.$, and the picture is compared with it:

$$\hat w_i(\hat x_m) = \frac{g([v_1 \dots v_M]\;\text{class}_i)}{\lVert\cdot\rVert},\qquad p(i \mid I) = \mathrm{softmax}_i\big(\tau\,\langle \hat x, \hat w_i\rangle\big)$$

Only $V$ and $h_\theta$ are trained, 35,360 numbers at the paper's size, against

$$L = L_{ce} + \lambda\,\frac1C\sum_i \lVert \hat w_i - \hat w_i^{\text{clip}} \rVert^2 .$$

Note what is **not** hidden: the picture $\hat x$ that is compared. The mask only blinds the maker of the words. And nothing is reconstructed:
the “masked image modelling” of the title is a mask on the condition, not a painting-in of pixels.

### What to look for

1. **Base and new.** Learned words are fitted to the base classes. The question is what that costs on new ones; H is the harmonic mean of both.
2. **Hide everything** (the slider to the end): only the class token is left, so every picture gets the same words, and ProMIM has become CoOp.
3. **Show everything**: with weights of r = 0 and λ = 0 ProMIM is CoCoOp, number for number.
4. **Steadiness.** Roll the mask again and again. If the answer jumps, the description depended on which part was seen.

### Try it

1. In *Explore*, paint the lesion away, so that the prompt-maker cannot see it. Do ProMIM's bars move? The picture that is compared still shows it.
2. Switch to *Block*: whole regions go missing. Is the spread of the boxes larger than with single patches?
3. Write class names of your own. Then write nonsense: the percentages still add up to 100.
4. In *Evidence*, compare the columns *New*: on which tasks does a learned prompt beat the hand-written sentence, and on which not?
"""


def learn(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    lesson(LESSON)
    html.show(html.card("What could be read of the paper", f"<p>{html.text(method.paper.read)}</p>"))
    oracle_panel(method.id, _checks)
    deviations(method)


def _checks() -> list[Any]:
    from models.promim.checks import checks

    return checks()
