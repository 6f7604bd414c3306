"""Learn: why one network might do two tasks better than two networks, what its parts do, and the laws as live checks."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.events import spoken
from workbench.parts.lesson import deviations, lesson, oracle_panel

LESSON = r"""
### What this is about, in plain words

Outlining a lesion and naming the disease are two questions about one scan. Usually each gets a network of its own. ResFormer-MTL asks one network
both: a shared **encoder** reads the scan at four scales, a **decoder** draws the outline from them, and a small **classifier** names the classes.

The hope: what helps to find the edge also helps to tell benign from malignant, and the other way round. The danger: one task may pull the
encoder away from what the other needs. The Evidence drawer says which of the two happened here.

| Part | What it does | Switch it off in Explore |
|---|---|---|
| ResFormer block | a convolution sees the neighbourhood, window attention the further surroundings; their results are joined | *No ResFormer block* |
| Feature enhancement | looks at each scale with a fine and three widened (dilated) filters, and weighs places and channels | *No feature enhancement* |
| Multi-scale classes | the classifier reads the two deepest scales | *Last scale alone* |
| Two losses | outline and class learned together | *Outline only*, *Diagnosis only* |

### The two losses, added

$$L = \underbrace{L_{dice} + L_{focal}}_{\text{outline}} + \alpha\,L_{class}$$

$\alpha$ sets how much the class counts. 0 is the twin that outlines alone. The shipped networks use $\alpha = 0.25$.

### How to read the Explore drawer

- **Every class stands by itself**: its bar says how sure the network is of that class against all others. They need not add up to one.
- **Outline and diagnosis disagree** is a reason to look again: one of the two is wrong.
- **Calibration** says how far such percentages were off on pictures whose answer is known. A percentage is not a probability of disease in your patient.
- **Lengths in millimetres** need a file that says how large its pixels are. DICOM usually does; PNG and JPEG do not.
- **Brush and eraser** mend the outline; measures and files follow what is outlined, not what the network said. Undo with Ctrl+Z.

### Try it

1. On a breast scan choose *Outline only*, then *Diagnosis only*, then both. Does the outline move?
2. Open *Inside the network* and step from scale 1 to 4: the finest maps show edges, the coarsest only whether something is there.
3. Lower the threshold until the outline floods the scan. At which value would you still trust it?
"""


def learn(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    lesson(LESSON)
    html.show(html.card("What could be read of the paper", f"<p>{html.text(method.paper.read)}</p>"))
    _pull()
    oracle_panel(method.id, _checks)
    deviations(method)


def _pull() -> None:
    """A button that works out whether the two tasks teach the encoder the same way."""
    gr.Markdown("#### Do the two tasks pull the encoder the same way?", container=False)
    gr.Markdown(
        "For 16 training phantoms: the direction in which the outline's loss would change each scale of the trained encoder, against the direction of the class "
        "loss. 1: the same way. 0: they do not meet. −1: against each other.",
        container=False,
    )
    run = gr.Button("Work it out", elem_id="resformer_mtl_pull", scale=0)
    out = html.show("", elem_id="resformer_mtl_pull_table")
    run.click(pull, None, out, api_visibility="private", show_progress="minimal", concurrency_id="model", concurrency_limit=1)


def pull() -> str:
    """The cosines of the shipped network on OCT-like phantoms, scale by scale."""
    from models.resformer_mtl.insight import gradient_cosine, training_batch
    from models.resformer_mtl.wrapper import load_predictor

    with spoken():
        found = gradient_cosine(load_predictor("oct").net, training_batch("oct"))
    return html.table(
        ["Scale", "Cosine of the two tasks"], [[str(number), f"{value:+.2f}".replace("-", "−")] for number, value in enumerate(found, 1)]
    )


def _checks() -> list[Any]:
    from models.resformer_mtl.checks import checks

    return checks()
