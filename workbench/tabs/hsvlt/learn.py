"""Learn: why small and large findings need different maps, how words ask the picture, and the laws as live checks."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.lesson import deviations, lesson, oracle_panel

LESSON = r"""
### What this is about, in plain words

A chest picture may show several findings at once, from dots of two pixels to a heart that fills half the chest. A network sees the picture at several
**scales**: fine maps keep the dots, coarse maps see the whole. HSVLT asks for every finding **at every scale**, each by its own words, and adds up what the
scales say.

| Part | What it does | Change it in Explore |
|---|---|---|
| Four scales | the picture's features from fine to coarse | *Last scale alone*, *Last two scales* |
| Words as questions | each finding's vector looks at the map: where is something like me? | *Labels without words*, *Labels from spelling* |
| Words times picture | what was seen is multiplied by what the words say | *No product with the words* |
| Gate | the finding's vector changes as it has seen more | *No gate* |
| Sum over scales | one weight for each finding and channel; the scales' shares add up exactly | *Decoder along the list* |

### How a finding asks

$$A = \operatorname{softmax}\!\left(\frac{(W_q L)(W_k V)^{\top}}{\sqrt{C}}\right),\qquad X = W_o A\,W_v V,\qquad S = \mathrm{GELU}\big(W_s\,(T \odot X)\big),\quad T = \mathrm{GELU}(W_t L)$$

$L$ are the findings' vectors, $V$ the picture's features. Each row of $A$ says where one finding's words look; the drawer draws it for all four scales. In
the end $z_k = b_k + \sum_i \langle w_k^{(i)}, S_k^{(i)}\rangle$: the bars are the terms of this sum.

### How to read the Explore drawer

- **Every finding stands by itself**, so the probabilities need not add up to one. Leaving findings out changes no other answer (with *Words write back* it does).
- **Shares** are exact, **attention** is not a proof: a finding may be decided elsewhere than where its words looked most. *Take pieces away* blurs what
  you point at, and *Blur every place in turn* all of it.
- **Findings keep company**: fluid often comes with a large heart here. A network may report one because it saw the other.

### Try it

1. Choose *small nodule*, then *enlarged heart*: which scales decide?
2. Press *Grow and shrink it* for the nodule. At which size does the answer tip, and which scale takes over?
3. Untick all findings but one. Does its probability move? Now with *Words write back*.
4. Untick *Scale 1* or *Scale 4*: which findings fall below their threshold?
5. Ask for the nodule in other words, then with *Labels from spelling*. How much does the wording matter?
"""


def learn(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    lesson(LESSON)
    html.show(html.card("What could be read of the paper", f"<p>{html.text(method.paper.read)}</p>"))
    oracle_panel(method.id, _checks)
    deviations(method)


def _checks() -> list[Any]:
    from models.hsvlt.checks import checks

    return checks()
