"""Compare: the picture and the mask of Explore, through all five methods on base and on new names, and through ProMIM with its parts switched off."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts.charts import probability_bars
from workbench.tabs.promim import board
from workbench.tabs.promim.controls import QUICK
from workbench.tabs.promim.names import COLOURS, GROUPS, arm_title
from workbench.tabs.promim.question import Question
from workbench.tabs.promim.scene import scene_of
from workbench.tabs.promim.truth import place_of

if TYPE_CHECKING:
    from workbench.tabs.promim.desk import Asked

WAITING = "Working it out …"


@dataclass(frozen=True)
class Variant:
    """ProMIM with one thing changed: how it is called, what changed, which options say so."""

    title: str
    about: str
    colour: int
    options: dict[str, Any]


def variants(ratio: float, weight: float) -> tuple[Variant, ...]:
    """ProMIM as set in Explore, and with its parts switched off one at a time, then together."""
    return (
        Variant(f"ProMIM (r = {ratio:g}, λ = {weight:g})", "As set in Explore.", COLOURS["promim"], {}),
        Variant("Pull off (λ = 0)", "Weights trained without the pull to the hand-written sentence.", 3, {"weight": 0.0}),
        Variant("Masking off (r = 0)", "Weights trained without masks, asked with the whole picture.", 2, {"ratio": 0.0, "test_mode": "full"}),
        Variant("Both off: CoCoOp", "No masks, no pull.", 7, {"ratio": 0.0, "weight": 0.0, "test_mode": "full"}),
        Variant("Mask off while answering", "Trained with masks, asked with the whole picture.", 5, {"test_mode": "full"}),
        Variant("Grey instead of dropped", "Hidden patches are painted grey: our addition, not the method.", 6, {"hiding": "grey"}),
    )  # fmt: skip


def compare(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    scene = scene_of(site)
    gr.Markdown(
        "The picture, the mask and the trained weights are those chosen in *Explore*; change them there and come back.", container=False
    )
    with gr.Row():
        with gr.Column(min_width=320):
            base = probability_bars(elem_id="promim_compare_base", empty=WAITING, asks=True)
        with gr.Column(min_width=320):
            new = probability_bars(elem_id="promim_compare_new", empty=WAITING)
    parts = probability_bars(elem_id="promim_compare_parts", empty=WAITING)
    seen = gr.State(False)  # nothing is worked out for a drawer that nobody has opened

    def draw(request: gr.Request, painted: Any, shown: Any, *values: Any) -> list[Any]:
        question = Question(*values)
        try:
            return [
                *(_of_group(scene.desk, request, painted, shown, question, group) for group in ("base", "new")),
                _of_parts(scene.desk, request, painted, shown, question),
            ]
        except ValueError as refused:
            return [gr.HTML(data=board.refused(refused)), gr.skip(), gr.skip()]  # fmt: skip

    def again(request: gr.Request, opened: bool, *asked: Any) -> list[Any]:
        return draw(request, *asked) if opened else [gr.skip()] * 3

    asked = [scene.grid, scene.source.shown, *scene.controls.inputs]
    how = {"trigger_mode": "always_last", "concurrency_id": "model", "concurrency_limit": 1, **QUICK}
    base.opened(lambda: True, None, seen, queue=False, **QUICK).then(draw, asked, [base, new, parts], **how)
    for event in (scene.grid.settled, *scene.controls.changes):
        event(again, [seen, *asked], [base, new, parts], **how)


def _of_group(desk: Any, request: Any, painted: Any, shown: Any, question: Question, group: str) -> Any:
    """All methods on one half of the classes."""
    explorer = desk.explorer(request, question)
    if group == "new" and not desk.task(explorer, question).new:
        return gr.HTML(
            data=board.bars_data(
                [], [], title=GROUPS[group], empty="These prompts were learned on your own pictures; they have no new classes."
            )
        )
    asked = desk.ask(request, painted, shown, replace(question, group=group))
    if asked is None:
        return gr.skip()
    data = board.bars(asked, explorer.run(asked.prepared, asked.options))
    return gr.HTML(data=data | {"title": GROUPS[group]})


def _of_parts(desk: Any, request: Any, painted: Any, shown: Any, question: Question) -> Any:
    """ProMIM's variants on the names chosen in Explore."""
    asked = desk.ask(request, painted, shown, question)
    return gr.skip() if asked is None else gr.HTML(data=parts_data(asked))


def parts_data(asked: Asked) -> dict[str, Any]:
    """One column a variant; those without weights of their own are left out, and said to be."""
    title = "ProMIM with its parts switched off, on the names chosen in Explore"
    explorer, options = asked.explorer, asked.options
    if "promim" not in explorer.arms:
        return board.bars_data([], [], title=title, empty=explorer.note or f"{arm_title('promim')} has no learned prompts here.")
    columns, missing = [], []
    for variant in variants(options.ratio, options.weight):
        wanted = replace(options, arms=("promim",), **variant.options)
        answer = explorer.run(asked.prepared, wanted)
        if (answer.preset.ratio, answer.preset.weight) == (wanted.ratio, wanted.weight):
            columns.append((variant.title, variant.colour, answer.probabilities[0], variant.about))
        else:
            missing.append(variant.title)
    about = f"No weights were trained for: {', '.join(missing)}." if missing else ""
    return board.columns(options.classes, columns, title=title, about=about, truth=place_of(asked.picture.phantom, options.classes))
