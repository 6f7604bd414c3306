"""Learn: how words and pixels meet, what each part does, and the laws as live checks."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.lesson import deviations, lesson, oracle_panel

LESSON = r"""
### What this is about, in plain words

A slice may hold several lesions, and a report speaks of one of them: *the larger dark lesion in the right lobe*. **Referring segmentation** outlines
the lesion that the words name and leaves the others alone. A network that finds every lesion is not enough: it has to understand the phrase.

| Part | What it does | Take it out in Explore |
|---|---|---|
| Several kernel sizes | every block looks at each place through a small window and through longer strips, so that small and large lesions are both seen | *One kernel size* |
| Language beside them | in the same block every place weighs the words of the phrase; a gate decides how much of them comes in | *No language* |
| Full-scale decoder | tokens of all scales attend to each other before the outline is drawn | *Plain decoder*, *Matrix-factorisation decoder* |
| Pixel–sentence contrast | pixels of the named lesion are pulled towards the sentence, others pushed away | *No pixel–sentence contrast* |
| Place channels (ours) | two channels tell row and column; a convolution alone cannot know left from right | *Not told where a pixel lies* |

### How words reach a place

$$S = \operatorname{softmax}_{\text{words}}\!\left(\frac{q\,k^{\top}}{\sqrt{C}}\right),\qquad c_L = \tanh\!\big(W_b\,\mathrm{ReLU}(W_a\,o)\big)\odot o,\quad o = \mathrm{IN}(W_o\,S v)$$

$q$ comes from the picture, $k$ and $v$ from the words. Each row of $S$ says how one place shares its attention among the words; *Inside the network* draws
it word by word. The branches are added: $A = W_3\,(a + c_3 + c_5 + c_9 + c_L)$, where $a$ is a 5×5 convolution and $c_k$ a pair of strips of length $k$.

### How to read the Explore drawer

- **No matching lesion** is an answer, too: a quarter of the training phrases named something that was not there.
- **Turn one word round** asks the opposite. Where the outline does not move, the network did not listen to that word.
- **Unknown words** are marked. The small text encoder knows some seventy words; everything else is one and the same stranger to it.
- **Doubt** compares the answers to eight changed copies. It says how steady the network is, not whether it is right.
- **Left and right** are the patient's.

### Try it

1. Ask for *the largest lesion*, then turn *largest* round.
2. Choose the network *No language* and change the phrase: nothing moves.
3. Ask on the phantom without lesions. Then choose the network *Never taught “there is none”*, if it is on the list.
4. Write *the purple lesion*. What does an unknown word do?
"""


def learn(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    lesson(LESSON)
    html.show(html.card("What could be read of the paper", f"<p>{html.text(method.paper.read)}</p>"))
    oracle_panel(method.id, _checks)
    deviations(method)


def _checks() -> list[Any]:
    from models.lsms.checks import checks

    return checks()
