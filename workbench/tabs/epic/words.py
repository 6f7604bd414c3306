"""What this room says in its own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.epic.plan import ARMS
from models.epic.record import METHOD
from workbench.note_room import NoteRoom

if TYPE_CHECKING:
    from models.shared.prompt_interaction.seeing import Predictor

LESSON = r"""
### What this is about, in plain words

One network reads pictures, another reads notes, and both are **frozen**: nothing in them may change. Side by side they cannot tell whether the note agrees
with the picture, for that needs a **comparison**, and neither knows what the other saw. EPIC gives each reader a few **prompts**, small vectors that enter
a layer beside the words or patches, look around, and leave again. Between two layers a **hub** lets each set of prompts take from the other what is similar
to it. Only the first prompts, two maps between the readers' widths and the last linear layer learn.

| Part | What it does | Change it in Explore |
|---|---|---|
| Prompts in both readers | gather what a frozen layer sees | *No prompts* |
| Hub | tells each side what the other's prompts hold | *Hub off*, *One way* |
| Similarity | decides who listens to whom | *Hub mixes all alike*, *Hub mixes at random* |
| Own content kept | what is taken is added, nothing is overwritten | the weight β, by hand |

### The hub, as reconstructed here

$$S_t = \operatorname{softmax}\!\big(\cos(\hat p_t,\ \varphi(\hat p_v))/\tau\big),\qquad p_t^{\text{next}} = \hat p_t + \beta\, S_t\, \varphi(\hat p_v)$$

$\hat p$ are prompts as a layer left them, $\varphi$ maps the picture's width to the note's; the picture's side does the same. **This is a reconstruction**:
the paper's text could not be read, only its abstract and parts of summaries.

### How to read the Explore drawer

- **Tables** say what each prompt takes from each prompt of the other side. *Evenness* near 1 means: it hardly chooses. Force all shares alike to see how much they matter.
- **Lenses** show where prompts looked: patches on the picture, words in the note. That is routing between learned vectors, no proof of a finding.
- **The last rung's tables are not read by anything**: what passes there has nowhere to go.
- EPIC and MITP come from one group and share one core. Read them as relatives, not as two independent witnesses.

### Try it

1. Turn *left* into *right*. Which rung's tables move first, and does the verdict follow?
2. Choose *Hub off*. Can it still tell a wrong note from a true one? Can it tell a note about another picture?
3. In Compare, count the mistakes: which cell of the table fills up without the hub?
4. Leave out each word in turn. Does the verdict hang on the word that is false?
"""


def load(arm: str, **where: Any) -> Predictor:
    """The room's trained network; as `models.epic.wrapper.load_predictor`."""
    from models.epic.wrapper import load_predictor

    return load_predictor(arm, **where)


ROOM = NoteRoom(METHOD, ARMS, load, LESSON, ("What prompts took up", "What they take from each other", "What goes on"))
