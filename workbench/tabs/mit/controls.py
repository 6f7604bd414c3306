"""What stands beside picture and texts in Explore: the dial, swapping the picture, the network, parts left out by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.mit.plan import OWN
from workbench.parts import html
from workbench.parts.events import QUICK, spoken
from workbench.pictures import Shown, url
from workbench.tabs.mit.desk import Desk
from workbench.tabs.mit.names import LAYERS, PARTS, TERMS, arm_choices
from workbench.tabs.mit.scan import examples, label_of

FORM = "The form, adding as released or replacing as printed, cannot be turned by hand: choose the network *Printed form*, which was trained that way."
TOLD = "The language model is now told of this picture; note, phrase and the picture that is outlined stay. Press again for the next one."
THUMB_PX = 144


@dataclass(frozen=True)
class Dial:
    """The dial and what is told of."""

    strength: gr.Slider
    swap: gr.Button
    back: gr.Button
    other: gr.HTML
    told: gr.State
    """None, or the `Shown` of the other picture."""


def dial() -> Dial:
    """Lay them out."""
    strength = gr.Slider(
        0,
        1.5,
        value=1,
        step=0.05,
        label="Infusion dial",
        info="0: the language model alone. 1: as trained. Above 1: more than it was trained for.",
        elem_id="mit_dial",
    )
    with gr.Row(elem_classes="lb-controls"):
        swap = gr.Button("Swap the picture, keep the words", elem_id="mit_swap", min_width=280, scale=0)
        back = gr.Button("Back to the picture shown", visible=False, elem_id="mit_swap_back", min_width=230, scale=0)
    return Dial(strength, swap, back, html.show("", elem_id="mit_other"), gr.State(None))


def network() -> list[Any]:
    """Network, parts, terms of the gate, layers."""
    which = gr.Dropdown(
        arm_choices(),
        value=OWN,
        label="Network",
        info="The whole method, or one part changed; each trained by itself.",
        elem_id="mit_network",
    )
    with gr.Accordion("Leave parts out by hand (the weights stay as they were trained)", open=False, elem_id="mit_by_hand"):
        parts = gr.CheckboxGroup(PARTS, value=[name for _, name in PARTS], label="What the picture changes", elem_id="mit_parts")
        terms = gr.CheckboxGroup(
            TERMS,
            value=[name for _, name in TERMS],
            label="What opens a head's gate",
            info="With neither, every gate is fully open.",
            elem_id="mit_terms",
        )
        layers = gr.CheckboxGroup(
            [(f"Layer {number}", number) for number in LAYERS],
            value=list(LAYERS),
            label="Layers that may be infused",
            info="MiT was trained with layers 2 and 3, other networks with others.",
            elem_id="mit_layers",
        )
        gr.Markdown(FORM, container=False, elem_classes="lb-hint")
    return [which, parts, terms, layers]


def wire_swap(desk: Desk, made: Dial) -> None:
    """Each press tells of the next example; going back, or opening another picture, tells of the picture shown again."""
    outputs = [made.told, made.back, made.other]

    def to_other(request: gr.Request, shown: Shown, told: Shown | None) -> list[Any]:
        chosen = another(shown, told)
        with spoken():
            return [chosen, gr.Button(visible=True), _told_of(label_of(chosen) or desk.scan(request, chosen).picture.title, chosen)]

    def shown_again(told: Shown | None) -> list[Any]:
        return [gr.Button(visible=told is not None), gr.skip() if told else ""]

    made.swap.click(to_other, [desk.shown, made.told], outputs, **QUICK)
    made.back.click(lambda: None, None, made.told, **QUICK)
    made.told.change(shown_again, made.told, [made.back, made.other], **QUICK)


def another(shown: Shown, told: Shown | None) -> Shown:
    """The example after the one told of, never the picture shown itself."""
    ids = [one.id for one in examples() if one.id != shown.id]
    place = ids.index(told.id) + 1 if told is not None and told.id in ids else 0
    return Shown(ids[place % len(ids)])


def _told_of(title: str, told: Shown) -> str:
    return (
        f"<figure class='lb-change'><img src='{html.text(url(told, side_px=THUMB_PX))}' alt='{html.text(title)}' width='96' height='96'>"
        f"<figcaption><p class='lb-hint'><b>{html.text(title)}</b></p><p class='lb-hint'>{TOLD}</p></figcaption></figure>"
    )
