"""Learn: how a few neurons let a frozen language model do four jobs, what each part does, and the laws as live checks."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.lesson import deviations, lesson, oracle_panel

LESSON = r"""
### What this is about, in plain words

A language model writes text. To make it *outline* or *draw*, one usually builds a separate part for each job. Here **everything is a token**: the picture's patches
are read like words, and the model's answer may hold special words, **task tokens**. Where it is about to write `<object1>`, its inner state goes to a small decoder
that outlines; where it is about to write `<image>`, to another one that draws. The language model itself and the picture reader are **frozen**.

So that a frozen model can learn this, small groups of **neurons** sit beside its upper layers. For every token, only the most active of them speak.

| Part | What it does | Change it in Explore |
|---|---|---|
| Neurons $u$ | 32 numbers that sum up what a layer holds of a token | *Network*: without neurons |
| Active share $\rho$ | how many of them speak for each token | *Active share ρ*, *All neurons active* |
| Memory $\alpha$ | how much of the layer below's neurons is kept | *Memory over depth α* |
| Guidance | what active neurons add to queries and values | *Network*: keys and values guided |
| Task tokens | words whose state becomes an outline or a picture | the answer's marked words |

### The equations

$$z_k = W_z x_k,\qquad u_k = \mathrm{RMSNorm}\big((1-\alpha)\,z_k + \alpha\,u_{k-1}\big)$$

$$a_k = \mathrm{ReLU}(u_k - \theta_k),\qquad [\Delta q, \Delta v] = W_b\,a_k$$

$x_k$ is what layer $k$ reads of a token; $\theta_k$ is the $\lfloor(1-\rho)D\rfloor$-th smallest of the token's $D$ neurons, so active ones keep what they have *above* it.
What goes on to the next layer is $u_k$, before the choice.

### What "neurons of a task" means here, and what it does not

**Nothing in the method assigns a neuron to a task.** Neurons are chosen for each token in each layer. The rasters count how often each one fired. Tasks may well
share most of their neurons; this page shows what was measured and promises no tidy modules. Silencing a task's neurons tells whether they matter for it, but only
beside the **control**: as many neurons at random.

### How to read the Explore drawer

- **The answer** shows every token as it was written. A marked task token says what came of it.
- **The raster** has a cell for each neuron: 4·7 is neuron 7 of layer 4. Choose one to see which words drive it.
- **A request to draw** is answered without the picture, as in the release: its neurons never read a patch.
- **A drawing** is a feature, a list of numbers that stands for a picture. What you see are the phantoms nearest to it and a rough painter's picture.
- **More suspicious** follows a rule of this demonstration about margins; it is no clinical truth.
- **Left and right** are the patient's.

### Try it

1. Ask to outline, then to draw. Choose *This answer − the one before*: which neurons changed most?
2. Press *Ask all four*. Which two tasks have the most similar neurons, and does Compare find the same on other pictures?
3. Silence the most special neuron of *Draw*, then ask to draw. Did the answer change?
4. Set ρ to 0.1, then to 1. At which does the answer fall apart?
5. In Compare, set α to 1. What happens to the memory over depth, and why?
"""


def learn(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    lesson(LESSON)
    html.show(html.card("What could be read of the paper", f"<p>{html.text(method.paper.read)}</p>"))
    oracle_panel(method.id, _checks)
    deviations(method)


def _checks() -> list[Any]:
    from models.neural_tuning.checks import checks

    return checks()
