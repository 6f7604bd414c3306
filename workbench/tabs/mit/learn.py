"""Learn: how a picture turns a language model that never reads it, what each part does, and the laws as live checks."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.lesson import deviations, lesson, oracle_panel

LESSON = r"""
### What this is about, in plain words

A language model reads words. The usual way to show it a picture is to cut the picture into hundreds of pieces and put them before the text as if they were
words; every layer then reads a text that is many times longer. **Infusion** leaves the text as it is. The whole picture becomes **one vector**, and small maps
turn that vector into knobs: numbers that stretch and shift what the model's layers hold of the words. The model itself and the picture reader are **frozen**.

| Part | What it does | Change it in Explore |
|---|---|---|
| Keys | by which a word is found by other words | *Leave parts out by hand*, or the network *Keys alone* |
| Values | what a word hands over when it is found | the same, *Values alone* |
| Feed-forward units | what each word is turned into on its own | the same, *Feed-forward units alone* |
| A gate for each head | how far this head lets the picture in | the heads' table, *Without gates* |
| Queries | what a word asks for: they stay pure text | – |

### The equations

$$K^r = K + (K \odot I_d^k + I_a^k)\,g,\qquad V^r = V + (V \odot I_d^v + I_a^v)\,g,\qquad g = \sigma\big(L + \cos(V, I_a^v)\big)$$

$$\text{units}' = \text{units} \odot F(I)$$

$I$ is the picture's vector; $I_d$, $I_a$ and $F(I)$ are linear maps of it, different in each infused layer; $L$ is one learned number a head. **As printed**
in the paper's repository the first $K$ and $V$ are missing: the picture *replaces* instead of adding. The two are different functions; both are trained here.

### How to read the Explore drawer

- **The dial** stretches all that infusion adds. At **0** the answer is the language model's alone, to the last bit; a bar beside it proves this with the
  model's own forward pass.
- **Swap the picture** tells the language model of another picture and keeps every word. An answer that does not move did not listen. An outline is still
  drawn on its own picture, so what moves in it came through the language model.
- **Heads**: a head near 1 lets the picture in. The gate speaks of a *part* of the way in; it is no proof that a finding was seen.
- **Left out by hand** shows the share of a part in a network trained with it. A network *trained* without that part may do better: choose it under *Network*.
- **Left and right** are the patient's.

### Try it

1. Turn the dial to 0 and change one word of the note. Can the text alone tell a false note from a true one?
2. Swap the picture. Which of the two answers, verdict or outline, follows it?
3. Open the DICOM phantom with two lesions and ask for *the bigger lesion*: no word of it says which one that is.
4. In Compare, make the text longer. How does the cost of patches put before the text grow, and that of infusion?
"""


def learn(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    lesson(LESSON)
    html.show(html.card("What could be read of the paper", f"<p>{html.text(method.paper.read)}</p>"))
    oracle_panel(method.id, _checks)
    deviations(method)


def _checks() -> list[Any]:
    from models.mit.checks import checks

    return checks()
