"""What can be set on the Explore drawer, and how the controls' values become the room's options."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from models.medfocusclip.options import FOCUS_RULES, PALETTES, TEMPLATE, ZERO_SHOT, Guidance, Options, Painting
from models.shared.checkpoints import CheckpointRefused, read_card
from models.shared.method import Method
from workbench.parts.browser import log_slider
from workbench.tabs.medfocusclip.names import FIRST_MODES, MODE_CHOICES, ROWS, STEERED, steered_layers

if TYPE_CHECKING:
    from models.medfocusclip.wrapper import MedFocus

UNTRAINED = "The class names below, CLIP not trained for them (zero-shot)"
_BETWEEN = re.compile(r"[,;\n]")


@dataclass(frozen=True)
class Controls:
    """The components; `inputs` in the order `read` takes their values."""

    head: gr.Dropdown
    classes: gr.Textbox
    modes: gr.CheckboxGroup
    alpha: gr.Slider
    beta: gr.Slider
    hide_text: gr.Checkbox
    palette: gr.Dropdown
    seed: gr.Number
    contour: gr.Checkbox
    rule: gr.Dropdown
    epsilon: gr.HTML
    layers: gr.Dropdown
    rows: gr.Radio
    template: gr.Textbox

    @property
    def inputs(self) -> list[Any]:
        """In the order of the fields."""
        return [getattr(self, name) for name in self.__dataclass_fields__]

    def turned(self) -> list[Any]:
        """The events by which people change a setting; what the program itself sets fires none of them."""
        let_go = [slider.release for slider in (self.alpha, self.beta)]
        written = [event for box in (self.classes, self.template, self.seed) for event in (box.submit, box.blur)]
        chosen = [
            one.input for one in (self.head, self.modes, self.hide_text, self.palette, self.contour, self.rule, self.layers, self.rows)
        ]
        return [*let_go, *written, *chosen, self.epsilon.released]


@dataclass(frozen=True)
class Asked:
    """The controls' values, still without a network."""

    values: dict[str, Any]
    weights: Path | None = None
    """File of the visitor's own training, where that one answers; `values["head"]` is then its head's name."""

    def options(self, rooms: MedFocus, **more: Any) -> Options:
        """The room's options. OptionRefused with a sentence for what cannot be used."""
        get = self.values.__getitem__
        seed = get("seed")
        chosen = {"modes": tuple(mode for _, mode in MODE_CHOICES if mode in (get("modes") or ()))} | more
        return Options(
            painting=Painting(float(get("alpha")), get("palette"), bool(get("contour")), None if seed is None else int(seed)),
            guidance=Guidance(float(get("beta")), float(get("epsilon")), steered_layers(get("layers"), rooms.clip.layers), get("rows")),
            focus_rule=get("rule"),
            head=get("head"),
            weights=self.weights,
            classes=split_names(get("classes")),
            template=get("template"),
            hide_text=bool(get("hide_text")),
            **chosen,
        )


def read(values: Sequence[Any]) -> Asked:
    """Values of `Controls.inputs`."""
    return Asked(dict(zip(Controls.__dataclass_fields__, values, strict=True)))


def split_names(text: str | None) -> tuple[str, ...]:
    """Class names written with commas, semicolons or line breaks between them."""
    return tuple(name.strip() for name in _BETWEEN.split(text or "") if name.strip())


def heads(method: Method) -> dict[str, dict[str, Any]]:
    """Trained heads by name, from the shipped card; none where there is no card. Loads no weights."""
    try:
        return dict(read_card(method.card).extra.get("heads", {}))
    except (FileNotFoundError, CheckpointRefused):
        return {}


def head_for(method: Method, source: str) -> str:
    """The trained head for pictures of a family or set, zero-shot where there is none."""
    return source if source in heads(method) else ZERO_SHOT


def answerers(method: Method, own: Sequence[tuple[str, str]] = ()) -> list[tuple[str, str]]:
    """Everybody who can be asked: zero-shot, the shipped heads, the visitor's own trainings."""
    kinds = {"phantom": "phantoms", "real": "real data"}
    trained = [(f"{facts['title']} (trained, {kinds[facts['kind']]})", name) for name, facts in heads(method).items()]
    return [(UNTRAINED, ZERO_SHOT), *trained, *own]


def questions(method: Method, names: Sequence[str], head: str) -> tuple[gr.Dropdown, gr.Textbox, gr.CheckboxGroup]:
    """Who answers and about what: the main knobs."""
    who = gr.Dropdown(
        answerers(method),
        value=head,
        label="Who answers",
        info="Trained weights know their own classes only.",
        elem_id="medfocusclip_head",
    )
    words = gr.Textbox(
        ", ".join(names),
        label="Classes",
        info="Your own words, commas between them; used without training.",
        lines=2,
        elem_id="medfocusclip_classes",
    )
    modes = gr.CheckboxGroup(MODE_CHOICES, value=list(FIRST_MODES), label="Ways to show CLIP where to look", elem_id="medfocusclip_modes")
    return who, words, modes


def main_knobs() -> tuple[gr.Slider, gr.Slider, gr.Checkbox]:
    """Opacity, strength of guidance, and hiding burnt-in text."""
    alpha = gr.Slider(
        0,
        1,
        value=0.5,
        step=0.05,
        label="Opacity of the colours α",
        info="0: the scan alone. 1: colours alone.",
        elem_id="medfocusclip_alpha",
    )
    beta = gr.Slider(
        0,
        8,
        value=1,
        step=0.25,
        label="Strength of guided attention β",
        info="0: CLIP untouched. Ours, not from the paper.",
        elem_id="medfocusclip_beta",
    )
    hide = gr.Checkbox(
        False,
        label="Paint over burnt-in text and markers first",
        info="See what the answer owes to them.",
        elem_id="medfocusclip_hide_text",
    )
    return alpha, beta, hide


def more_knobs() -> tuple[Any, ...]:
    """The rest, folded in."""
    with gr.Accordion("More settings: colours, region, guidance, wording", open=False, elem_id="medfocusclip_more"):
        with gr.Row():
            palette = gr.Dropdown(
                [(label, name) for name, label in PALETTES.items()], value="random", label="Colours", elem_id="medfocusclip_palette"
            )
            seed = gr.Number(
                None,
                label="Colour seed",
                precision=0,
                minimum=0,
                info="Empty: from the picture itself.",
                min_width=140,
                elem_id="medfocusclip_seed",
            )
            contour = gr.Checkbox(False, label="Draw a thin contour, too", elem_id="medfocusclip_contour")
        rule = gr.Dropdown(
            [(label, name) for name, label in FOCUS_RULES.items()],
            value="all",
            label="Region for mask, guidance and drawn prompts",
            info="Out of the segments that are counted in.",
            elem_id="medfocusclip_rule",
        )
        with gr.Row(equal_height=True):
            epsilon = log_slider(
                "Attention left outside ε",
                0.01,
                0.0001,
                1,
                info="At β = 1 attention outside the region is multiplied by ε.",
                elem_id="medfocusclip_epsilon",
            )
            layers = gr.Dropdown(
                [(label, name) for name, label in STEERED.items()], value="all", label="Steered layers", elem_id="medfocusclip_layers"
            )
            rows = gr.Radio(ROWS, value="class", label="Who is steered", elem_id="medfocusclip_rows")
        template = gr.Textbox(
            TEMPLATE, label="Wording of the texts", info="{class} is replaced by each class name.", elem_id="medfocusclip_template"
        )
    return palette, seed, contour, rule, epsilon, layers, rows, template
