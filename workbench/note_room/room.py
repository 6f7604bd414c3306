"""What sets one room apart from the other, and what both call things."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from models.shared.checkpoints import Card, CheckpointRefused, read_card
from models.shared.method import Method
from models.shared.prompt_interaction.plan import ARMS, OWN
from workbench.own_networks import OwnNetworks
from workbench.parts.events import PerPage
from workbench.parts.notes import MEASURES

if TYPE_CHECKING:
    from models.shared.prompt_interaction.seeing import Predictor
    from workbench.note_room.desk import Desk

WEIGHTS = "prompts.safetensors"


@dataclass(frozen=True, eq=False)
class NoteRoom:
    """One room on the interaction engine."""

    method: Method
    arms: Sequence[str]
    """Networks of the room's study."""
    load: Callable[..., Predictor]
    """`load(arm, path=None, device=…)`."""
    lesson: str
    steps: tuple[str, str, str]
    """What the room calls the three moments of a rung: what prompts took up, what they compare, what goes on."""
    desks: PerPage[Desk] = field(default_factory=PerPage, repr=False)

    @property
    def id(self) -> str:
        """The method's id."""
        return self.method.id

    @property
    def own(self) -> OwnNetworks:
        """What visitors trained on their own notes."""
        return OwnNetworks(f"models.{self.id}.own:train_own", WEIGHTS)

    def card(self) -> Card | None:
        """The room's card, or None where there is none that can be trusted."""
        try:
            return read_card(self.method.card)
        except (FileNotFoundError, CheckpointRefused):
            return None

    def choices(self) -> list[tuple[str, str]]:
        """(label, id) of the networks that ship."""
        known = self.card()
        return [(self.short(arm), arm) for arm in self.arms if known is None or arm in known.extra["arms"]]

    def short(self, arm: str) -> str:
        """A network's short name."""
        return self.method.title if arm == OWN else SHORT[arm]

    def labels(self) -> dict[str, str]:
        """Names for tasks, measures and arms as they stand in the card's metric names; '' is the method itself."""
        return (
            {"notes": "Does the note agree with the picture?"}
            | {arm: ARMS[arm].label for arm in self.arms}
            | {"": ARMS[OWN].label}
            | MEASURES
        )


SHORT = {
    "off": "No prompts",
    "no_hub": "Hub off",
    "to_text": "One way: picture to note",
    "to_vision": "One way: note to picture",
    "uniform": "Hub mixes all alike",
    "random": "Hub mixes at random",
    "joint": "One bank of both",
    "joint_masked": "One bank, not itself",
    "pairwise": "Pairs alone",
    "gelu": "With a nonlinearity",
    "text_only": "Note alone",
    "image_only": "Picture alone",
}
BATCH_ARMS = ("off", "no_hub", "to_text", "to_vision", "uniform", OWN)
"""Networks whose mistakes are counted side by side, as far as a room has them."""
WARNING = (
    "Research use only: nothing here is a diagnosis. A reconstruction: the paper's text could not be read, its summaries were. The network learned from "
    "made-up pictures and short made-up notes; on a real scan it shows how the method works, not whether a report is right."
)
NO_PAPER = "Its result tables could not be read, so no number of the paper is shown here."


def checkpoint_arms(path: Path) -> list[str]:
    """The networks of a weights file."""
    return list(read_card(path).extra["arms"])
