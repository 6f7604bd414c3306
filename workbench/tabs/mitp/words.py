"""What this room says in its own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.mitp.plan import ARMS
from models.mitp.record import METHOD
from workbench.note_room import NoteRoom

if TYPE_CHECKING:
    from models.shared.prompt_interaction.seeing import Predictor

LESSON = r"""
### What this is about, in plain words

Somebody reads a scan, somebody else a note, and they may exchange a few slips of paper. MITP borrows three words from memory for this: prompts **acquire**
what a frozen layer knows, a hub **consolidates** both sets by their similarity, and **activates** new prompts for the next layer. "Temporal" means that
depth plays the part of time. The two readers stay as they were; only the first prompts, two maps between their widths and the last linear layer learn.

| Step | What happens | See it or change it in Explore |
|---|---|---|
| Acquire | prompts stand beside patches or words in a frozen layer and look around | the lenses; *No prompts* |
| Consolidate | each prompt compares itself with the other side's prompts | the tables; *One bank of both*, *Pairs alone* |
| Activate | own content plus what was taken goes on to the next rung | lengths of the vectors; *With a nonlinearity* |
| Both ways | picture and note tell each other | *Hub off*, *One way* |

### Consolidation and activation, as reconstructed here

$$q_t = \varphi(\hat p_v),\quad S_t = \operatorname{softmax}\!\big(\cos(\hat p_t, q_t)/\tau\big),\quad p_t^{\text{next}} = \hat p_t + \beta\, S_t\, q_t,\qquad p_v^{\text{first}} = W p_t^{\text{first}} + b$$

Both sides begin from one shared question: the first picture prompts are a map of the first note prompts. **This is a reconstruction**: the paper's text
could not be read, only its abstract and parts of secondary reviews. What the comparison *owns* is nothing: it has no numbers to learn beside the two maps.

### How to read the Explore drawer

- **Rungs** are layers from early to late, the memory's points in time. Choose below what the tables show: acquire, consolidate or activate.
- **Stop the exchange after each rung** asks the same network with later exchanges shut. It was not trained so: a probe.
- **One bank** lets a prompt also compare with itself; as nothing is more like it than itself, a sharp comparison copies. *Not itself* forbids that.
- MITP and EPIC come from one group and share one core. Read them as relatives, not as two independent witnesses.

### Try it

1. Turn *left* into *right*. Which rung's tables move first, and does the verdict follow?
2. Compare *One bank of both* with *One bank, not itself*.
3. Turn τ up by hand until all shares are alike. How much of the answer was the choosing?
4. Choose *Note alone*: how far does it get without ever seeing the picture?
"""


def load(arm: str, **where: Any) -> Predictor:
    """The room's trained network; as `models.mitp.wrapper.load_predictor`."""
    from models.mitp.wrapper import load_predictor

    return load_predictor(arm, **where)


ROOM = NoteRoom(METHOD, ARMS, load, LESSON, ("Acquire", "Consolidate", "Activate"))
