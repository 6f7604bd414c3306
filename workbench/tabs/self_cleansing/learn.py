"""Learn: why wrong labels hurt, how two bell curves find them, when a label may be changed, and the laws as live checks."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.lesson import deviations, lesson, oracle_panel

LESSON = r"""
### What this is about, in plain words

Outlines drawn by people contain mistakes: a lesion was overlooked, an edge was drawn too tight, a cyst was called a tumour. A network that learns from
them first picks up what most labels agree on. If it trains on, it also learns the single mistakes by heart. **Deep self-cleansing** uses the time in between:
labels that the network finds hard to believe are suspected, and where it is sure of a better one, the label is changed *for training*.

| Part | What it does | Where to touch it |
|---|---|---|
| Warm-up | a few epochs on the labels as given | *Warm-up epochs* in the noise lab |
| Filter, pictures | two bell curves (Gaussians) are laid through the losses of all pictures; the upper one is called noisy | the histogram, *Pictures* |
| Filter, pixels | the same for pixels, for each kind of label by itself | the histogram, *Pixels labelled …* |
| Cleansing | suspected pixels get the teacher's answer where it is surer than $\kappa$; unsure ones keep their label | *κ*, and the yellow pixels |
| Teacher | a moving average of the network, calmer than the network itself | Compare, *Cleansed without a teacher* |

An **epoch** is one pass over all training pictures. A **loss** says how badly answer and label agree.

### The filter

Losses $\ell$ are brought to the range from 0 to 1, and a mixture of two Gaussians is fitted:

$$p(\ell) = \pi_1\,\mathcal N(\ell;\,\mu_1,\sigma_1) + \pi_2\,\mathcal N(\ell;\,\mu_2,\sigma_2),\qquad \mu_1<\mu_2$$

$$w = \frac{\pi_1\,\mathcal N(\ell;\,\mu_1,\sigma_1)}{p(\ell)}$$

$w$ is the probability that a label is clean. Below $w=0.5$ it counts as noisy. If the two bells stand too near to each other, *no noise is detected* and nothing is changed.

### The new label

$$Y'_p=\begin{cases}\arg\max_c e_{p,c} & \text{picture noisy, pixel noisy, and } \max_c e_{p,c}>\kappa\\ Y_p & \text{else}\end{cases}$$

$e$ is what the teacher says of pixel $p$. Every pass starts from the labels as given, so mistakes of cleansing do not pile up.

### How to read the numbers

- **AUROC**: how surely a wrong label stands above a right one in the list. 1 is perfect, 0.5 is guessing. It is known here because the errors were planted.
- **Precision**: of the labels called wrong, how many are. **Recall**: of the wrong labels, how many are called so.
- **Dice**: overlap of two outlines, 1 when they are the same.
- **L and B**: the network after the last epoch, and the one that was best on validation pictures.

### Try it

1. Compare *pictures turned while training* with *pictures never turned*: turned pictures delay learning by heart.
2. In the noise lab drag the line to the left. Recall rises, precision falls: you find more errors and suspect more innocents.
3. Step through the epochs. When do the two bells part? What happens to the list?
4. Choose *A training of your own*, plant **lesions missing** in 30 % of the pictures, and paint one more mistake by hand. Is it found?
5. Accept a proposal, keep a label, paint one yourself, and train again.
6. Plant missing lesions in 60 %. When most labels agree on a mistake, no filter that trusts the majority can see it.
"""


def learn(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    lesson(LESSON)
    html.show(html.card("What could be read of the paper", f"<p>{html.text(method.paper.read)}</p>"))
    oracle_panel(method.id, _checks)
    deviations(method)


def _checks() -> list[Any]:
    from models.self_cleansing.checks import checks

    return checks()
