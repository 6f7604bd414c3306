"""What programs may ask of the tab, with typed arguments. No file of the server is named: a picture is an example's id, or rows of grey values."""

from __future__ import annotations

import gradio as gr

from models.shared.prompt_interaction.plan import OWN
from workbench.context import Context
from workbench.note_room.cases import examples
from workbench.note_room.desk import MAX_NOTE
from workbench.note_room.room import NoteRoom
from workbench.parts.events import spoken
from workbench.working_scan import given_pixels

FIRST = examples()[0].id


def publish(room: NoteRoom, context: Context) -> None:
    """Register the function with the Blocks being built."""

    def ask(request: gr.Request, note: str, picture: str = FIRST, pixels: list = [], network: str = OWN) -> dict:  # noqa: B006  # read, never changed
        """Say whether a note agrees with a picture, with the tables of every rung.

        Args:
            note: What is said of the picture.
            picture: Id of an example, used when no pixels are given.
            pixels: The picture itself, rows of grey values from 0 to 255.
            network: full, or one of the shipped networks with a part changed, such as no_hub.

        Returns:
            The probability of each verdict, and for each rung what prompts of one side take from the other's.
        """
        with spoken():
            values, _ = given_pixels(context, request, picture, pixels)
            predictor = room.load(network if network in [id for _, id in room.choices()] else OWN, device=context.find_device())
            answer = predictor.answer(predictor.prepare(values), str(note)[:MAX_NOTE])
        return {
            "network": predictor.arm,
            "verdict": answer.verdict,
            "probability": dict(zip(answer.verdicts, answer.probability.tolist(), strict=True)),
            "rungs": [
                {"note_from_picture": one.text_from_image.tolist(), "picture_from_note": one.image_from_text.tolist()}
                for one in answer.rungs
            ],
        }

    gr.api(ask, api_name=room.id, concurrency_id="model", concurrency_limit=1)
