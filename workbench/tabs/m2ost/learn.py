"""Learn: what spatial transcriptomics is, why three magnifications, the equations, and the laws as live checks."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.lesson import deviations, lesson, oracle_panel

LESSON = r"""
### What this is about, in plain words

A pathologist looks at a thin slice of tissue stained with **haematoxylin** (blue: nuclei) and **eosin** (pink: everything else). A second kind of
test, **spatial transcriptomics**, lays the slice on a chip with thousands of small spots, each about 0.1 mm wide, and counts in every spot how many
messenger molecules of each gene are there. The first test costs a few coins, the second a few thousand. So the question is tempting: *how much of
the second can be told from the first?*

A network that answers it is shown the picture around a spot and has to say the expression of a few hundred genes, as $\log(1+\text{CPM})$: the share
of this gene among a million counted molecules, on a logarithmic scale. What it says is a **prediction from looks**, never a measurement.

### Why three magnifications

Some genes follow what lies **inside** the spot: its share of tumour cells, its lymphocytes. Others follow what lies **around** it: is this the rim
of a tumour, is there a wall of immune cells next door? A single close view cannot see the second kind. M2OST therefore looks at three views with one
centre, each twice as wide as the one before, and lets them speak with each other: *many* views to *one* answer.

| Part | What it does | What it is called |
|---|---|---|
| Patches | Cuts each view into patches: fine ones over the spot itself, coarse ones around it | DPE, “deformable” patch embedding (nothing bends: the patches only differ in size) |
| Within a view | Patches of one view look at each other | ITMM, intra-level token mixing |
| Between views | Each view asks the two others what they see | CTMM, cross-level token mixing |
| Loudness | Decides which channels of which view are turned up | CCMM, cross-level channel mixing |

### The equations

View $k$ has $S_k$ patches in groups of one size each; with $L$ patches a group, view $k$ carries $(k+1)L+1$ tokens: 197, 393 and 589 at the paper's size. Within a view,

$$A_i = \mathrm{softmax}\!\Big(\tfrac{Q_iK_i^{\top}}{\sqrt{d_h}}\Big),\qquad S_i \leftarrow S_i + W_i^{o}\,(A_iV_i),\qquad S_i \leftarrow S_i + \mathrm{MLP}(\mathrm{LN}(S_i)).$$

Between views, view $i$ asks every other view $j$:

$$O_{ij} = \mathrm{softmax}\!\Big(\tfrac{Q_iK_j^{\top}}{\sqrt{d_h}}\Big)V_j,\qquad \mathrm{CTMM}(S_i)=\sum_{j\neq i} w_{ij}\,O_{ij}.$$

And the channels of all views together decide how loud each one is:

$$g = \sigma\big(W_2\,\mathrm{GELU}(W_1\,\mathrm{LN}([\bar S_0\,\|\,\bar S_1\,\|\,\bar S_2]))\big),\qquad S_i \leftarrow S_i \odot (1+g_i).$$

The three class tokens side by side give the expression by one linear layer; the loss is the squared error.

### A trap in the usual score

Genes differ enormously in how much they are expressed, everywhere. A predictor that says the **same average profile for every spot** therefore agrees
very well with each spot *across genes* (“per-spot correlation”), without having looked at the picture at all. Across spots, *gene by gene*, its
correlation is zero. Published figures of 50 % and of 0.2–0.4 can both be true of one model: they are different questions. Here both always stand together,
beside that average profile.

And a second trap: if two slices of one patient stand on both sides of the split, the network can learn the patient. The *Evidence* drawer shows the
same training with both splits.

### Try it

1. In *Explore*, choose a gene whose group is **context** and click a spot at the rim of a tumour. Switch the widest view off. Does the prediction move more than for a **local** gene?
2. Zoom out until the discs become a map, then switch genes with the arrow keys: nothing is asked of the server.
3. Draw one region in the tumour and one beside it, and compare their profiles. Which genes differ, and is the difference larger than the spread between neighbouring spots?
4. Turn on *flips and rotations*: tissue has no up or down, so a good answer must not change. Where does it?
5. In *Compare*, hold the full model against the one that sees the spot alone.
"""


def learn(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    lesson(LESSON)
    html.show(html.card("What could be read of the paper", f"<p>{html.text(method.paper.read)}</p>"))
    oracle_panel(method.id, _checks)
    deviations(method)


def _checks() -> list[Any]:
    from models.m2ost.checks import checks

    return checks()
