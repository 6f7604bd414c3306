"""The controls of a question: whose prompts, which classes, which trained weights. Laid out once, read by every handler of the tab."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.promim.presets import PRESETS, RATIOS, WEIGHTS
from workbench.examples import phantom_key
from workbench.tabs.promim.desk import Desk
from workbench.tabs.promim.names import GROUPS, HIDINGS, MODES, examples, mode_hint, task_choices, task_of_family
from workbench.tabs.promim.question import Question

SHIPPED = ("Shipped prompts, learned on phantoms", "")
FIRST = task_of_family(phantom_key(examples()[0].id).family)
"""The set of classes of the first example, which is there when the page opens."""
SEEDS = tuple(PRESETS[0].config["seeds"])
"""Repeats of the shipped trainings; settings beside the recommended one may have fewer, and then the nearest answers."""
QUICK = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Controls:
    """Components in the order of `Question`'s fields."""

    prompts: gr.Dropdown
    backbone: Any
    task: gr.Dropdown
    group: gr.Radio
    own: gr.Textbox
    sentence: gr.Textbox
    ratio: gr.Radio
    weight: gr.Radio
    seed: gr.Radio
    test_mode: gr.Radio
    hiding: gr.Radio

    @property
    def inputs(self) -> list[Any]:
        """What a handler is given after its own inputs; `Question(*values)` reads them."""
        return [getattr(self, name) for name in Question.__dataclass_fields__]

    @property
    def changes(self) -> list[Any]:
        """Events after which the same picture has to be asked about anew. The trained share is not among them: it moves the mask, which asks."""
        texts = [event for box in (self.own, self.sentence) for event in (box.submit, box.blur)]
        return [
            self.task.change,
            self.group.change,
            self.weight.change,
            self.seed.change,
            self.test_mode.change,
            self.hiding.change,
            *texts,
        ]


def class_controls() -> dict[str, Any]:
    """Which class names are compared."""
    with gr.Row():
        task = gr.Dropdown(task_choices(), value=FIRST, label="Set of classes", elem_id="promim_task", scale=1)
        group = gr.Radio(
            [(title, key) for key, title in GROUPS.items()], value="base", label="Names to choose among", elem_id="promim_group", scale=2
        )
    own = gr.Textbox(
        "brain tumour\nno tumour\nskull fracture",
        label="Your own class names",
        info="Any words, one name a line (or with commas between), then press Enter with Shift, or click elsewhere. The small CLIP knows only words of its own captions well.",
        lines=3,
        visible=False,
        elem_id="promim_own",
    )  # fmt: skip
    group.change(lambda chosen: gr.Textbox(visible=chosen == "own"), group, own, queue=False, **QUICK)
    return {"task": task, "group": group, "own": own}


def prompt_controls() -> dict[str, Any]:
    """Which trained weights answer, and how masks are used while answering."""
    with gr.Row():
        ratio = gr.Radio(
            [(f"{100 * share:.0f} %", share) for share in RATIOS],
            value=0.75,
            label="ProMIM trained with this share hidden (r)",
            info="Picks weights trained that way, and hides as much here. 0 % with λ = 0 is CoCoOp.",
            elem_id="promim_ratio",
            scale=2,
        )
        weight = gr.Radio(
            [(f"{value:g}", value) for value in WEIGHTS],
            value=2.0,
            label="Pull to the hand-written sentence (λ)",
            info="Picks weights trained with it.",
            elem_id="promim_weight",
            scale=1,
        )
        seed = gr.Radio(
            list(SEEDS), value=SEEDS[0], label="Repeat", info="The same training from another start.", elem_id="promim_seed", scale=1
        )
    with gr.Accordion("More: masks while answering, what hiding means, the hand-written sentence", open=False):
        with gr.Row():
            mode = gr.Radio(
                [(title, key) for key, title in MODES.items()],
                value="fixed",
                label="While answering",
                info=mode_hint("fixed"),
                elem_id="promim_mode",
            )
            hiding = gr.Radio(
                [(title, key) for key, title in HIDINGS.items()], value="drop", label="A hidden patch is", elem_id="promim_hiding"
            )
        sentence = gr.Textbox(
            "",
            label="Hand-written sentence",
            placeholder="brain MR showing a {}.",
            info="What CLIP compares with; {} stands for the class name. Empty: the sentence of the set of classes.",
            elem_id="promim_sentence",
        )
    mode.change(lambda chosen: gr.Radio(info=mode_hint(chosen)), mode, mode, queue=False, **QUICK)
    return {"ratio": ratio, "weight": weight, "seed": seed, "test_mode": mode, "hiding": hiding, "sentence": sentence}


def prompts_control() -> gr.Dropdown:
    """Shipped prompts, or those of a training of one's own."""
    return gr.Dropdown(
        [SHIPPED], value="", label="Learned prompts", info="Those you train in the Train drawer appear here.", elem_id="promim_prompts"
    )


def own_prompts(desk: Desk) -> Any:
    """A handler that lists the visitor's own trainings beside the shipped prompts: for the page's load, and for the end of a training."""

    def listed(request: gr.Request, chosen: str) -> gr.Dropdown:
        names = [(f"Yours of {time.strftime('%d %b, %H:%M', time.localtime(job.created))}", job.id) for job in desk.own_trainings(request)]
        return gr.Dropdown(choices=[SHIPPED, *names], value=chosen if any(chosen == id for _, id in names) else "")

    return listed


def wire_prompts(desk: Desk, controls: Controls) -> None:
    """Another choice of prompts brings its own classes and weights."""

    def chosen(request: gr.Request, *values: Any) -> list[Any]:
        question = Question(*values)
        try:
            explorer = desk.explorer(request, question)
        except ValueError as refused:
            raise gr.Error(str(refused), print_exception=False) from None
        shipped = not question.prompts
        choices = [(f"{task.title} (phantoms)" if task.family else task.title, task.id) for task in explorer.tasks]
        known = question.task if any(question.task == id for _, id in choices) else choices[0][1]
        groups = [(title, key) for key, title in GROUPS.items() if shipped or key != "new"]
        presets = explorer.presets(known)
        radios = (
            [gr.skip()] * 3
            if presets is None
            else [_among(question.ratio, presets.ratios), _among(question.weight, presets.weights), _among(question.seed, presets.seeds)]
        )
        return [gr.Dropdown(choices=choices, value=known), gr.Radio(choices=groups, value="base"), *radios]  # fmt: skip

    outputs = [controls.task, controls.group, controls.ratio, controls.weight, controls.seed]
    controls.prompts.change(chosen, controls.inputs, outputs, concurrency_limit=None, **QUICK)


def _among(value: float, offered: tuple[float, ...]) -> gr.Radio:
    """The nearest of what is offered is chosen; the rest cannot be."""
    words = [(f"{100 * one:.0f} %" if 0 < one < 1 else f"{one:g}", one) for one in offered]
    return gr.Radio(choices=words, value=min(offered, key=lambda one: abs(one - value)) if offered else None)
