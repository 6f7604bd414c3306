"""What every handler of the tab begins with: whose picture, which note, which network, how its hub is set; and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from models.shared.prompt_interaction.plan import OWN
from workbench.context import Context
from workbench.note_room.room import NoteRoom, checkpoint_arms
from workbench.working_scan import Scan, scan

if TYPE_CHECKING:
    from models.shared.prompt_interaction.seeing import Answer, HubSettings, Predictor, Prepared

MAX_NOTE = 300
ALL_RUNGS = -1


@dataclass(frozen=True, eq=False)
class Work:
    """One note beside one picture, answered by one network."""

    scan: Scan
    predictor: Predictor
    prepared: Prepared
    hub: HubSettings
    answer: Answer

    def ask(self, notes: Sequence[str]) -> list[Answer]:
        """Other notes beside the same picture. NoteRefused with a sentence."""
        return self.predictor.answers(self.prepared, notes, self.hub)


@dataclass(frozen=True, eq=False)
class Desk:
    """The components of the Explore drawer that other parts of the tab read."""

    room: NoteRoom
    context: Context
    shown: gr.State
    note: gr.Textbox
    network: gr.Dropdown
    tau: gr.Slider
    beta: gr.Slider
    uniform: gr.Checkbox
    until: gr.Radio

    @property
    def inputs(self) -> list[Any]:
        """In the order `work` takes their values."""
        return [self.shown, self.note, self.network, self.tau, self.beta, self.uniform, self.until]

    def scan(self, request: Any, shown: Any) -> Scan:
        """The picture that is shown."""
        return scan(self.context, request, shown)

    def work(self, request: Any, values: Sequence[Any]) -> Work:
        """The answer to what is set. NoteRefused, CheckpointRefused, PictureGone: ValueErrors with a sentence."""
        from models.shared.prompt_interaction.seeing import HubSettings

        shown, note, network, tau, beta, uniform, until = values
        made, predictor = self.scan(request, shown), self.predictor(request, str(network))
        prepared = predictor.prepare(made.pixels)
        hub = HubSettings(float(tau), float(beta), bool(uniform), None if until in (None, ALL_RUNGS) else int(until))
        return Work(made, predictor, prepared, hub, predictor.answer(prepared, str(note or "")[:MAX_NOTE], hub))

    def predictor(self, request: Any, network: str) -> Predictor:
        """The network of a choice: one that ships, or "job:<id>" for the visitor's own training. ValueErrors with a sentence."""
        device, path = self.context.find_device(), self.room.own.path(self.context, request, network)
        if path is not None:
            return self.room.load(checkpoint_arms(path)[0], path=path, device=device)
        return self.room.load(network if network in [id for _, id in self.room.choices()] else OWN, device=device)
