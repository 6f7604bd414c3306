"""Compare: the same picture, note and phrase through every network; and what it costs, measured here and reckoned at the paper's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np

from models.mit.config import CLIP_LARGE, LLAMA_7B, flops
from models.mit.plan import OFF, OWN, TOKENS
from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.answers import overlap
from workbench.parts.charts import Gauge, Series, bars_data, gauges, gauges_data, probability_bars
from workbench.parts.events import EVENT, QUICK, spoken
from workbench.parts.notes import spoken_verdict
from workbench.parts.outline_measures import reference_of
from workbench.tabs.mit import results
from workbench.tabs.mit.controls import another
from workbench.tabs.mit.desk import DESKS, Desk, Work, plain, settings_of
from workbench.tabs.mit.explore import SLOW
from workbench.tabs.mit.names import NOTES, OUTLINE, SHORT, arms
from workbench.tabs.mit.scan import truth_of_note, truth_of_phrase

COSTED = (OWN, OFF, TOKENS)
VISUAL, INFUSED = 577, 8
"""At the paper's size: tokens of CLIP ViT-L/14 at 336 pixels, and the number of infused layers to which its 2.5 % of numbers corresponds (spec §3)."""
TEXT = 60


def compare(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    desk = DESKS.of(site)
    gr.Markdown("#### The note of the Explore drawer through every network, dial at 1", container=False)
    bars = probability_bars(elem_id="mit_compare_bars", asks=True)
    told = html.show("", elem_id="mit_compare_notes")
    gr.Markdown("#### The phrase through every network that outlines", container=False)
    figures = html.show("", elem_id="mit_compare_outlines")
    gr.Markdown("#### What showing a picture costs, measured on this machine now", container=False)
    with gr.Row(elem_classes="lb-controls"):
        measure = gr.Button("Measure", elem_id="mit_measure", min_width=160, scale=0)
    cost = html.show("", elem_id="mit_cost")
    gr.Markdown(
        "#### The same at the paper's size, reckoned\n\nLLaMA-2-7B beside CLIP ViT-L/14 at 336 pixels. From the sizes alone, with our own count of products and sums "
        "(inferred); nothing here was run, and no number of the paper is quoted.",
        container=False,
    )
    length = gr.Slider(8, 512, value=TEXT, step=1, label="Words and word pieces of the text", elem_id="mit_length")
    reckon = gauges(elem_id="mit_reckoned", asks=True)

    def ask(request: gr.Request, kept: Any, *values: Any) -> list[Any]:
        with spoken():
            return [*noted(desk, request, values), outlines(desk, request, kept, values)]

    def price(request: gr.Request, *values: Any) -> str:
        with spoken():
            return costs(desk, request, values)

    bars.opened(ask, [desk.reference, *desk.inputs], [bars, told, figures], **EVENT)
    measure.click(price, desk.inputs, cost, **SLOW)
    for event in (reckon.opened, length.change):
        event(lambda length: gr.HTML(data=reckoned(int(length))), length, reckon, **QUICK)


def works(desk: Desk, request: Any, task: str, values: Sequence[Any], networks: Sequence[str]) -> list[Work]:
    """The answer of each network, whole and with the dial at 1: `own` told of the picture, `reading` told of another one; values as `Desk.inputs`."""
    settings, shown = settings_of(values), values[0]
    text, told = str((values[1] if task == NOTES else values[2]) or ""), settings.told or another(shown, None)
    return [desk.answer(request, task, shown, text, replace(plain(settings, arm), told=told)) for arm in networks]


def noted(desk: Desk, request: Any, values: Sequence[Any]) -> list[Any]:
    """Bars and the table of verdicts."""
    from models.mit.wrapper import VERDICTS

    found = works(desk, request, NOTES, values, arms(NOTES))
    first = found[0]
    truth = truth_of_note(first.scan.picture, first.text)
    series = [Series(SHORT[work.predictor.arm], place, [float(p) for p in work.own.probability]) for place, work in enumerate(found)]
    names = [f"The note {spoken_verdict(name)}" for name in VERDICTS]
    data = bars_data(names, series, title="What each network says", truth=VERDICTS.index(truth[0]) if truth else None)
    rows = []
    for work in found:
        said = VERDICTS[int(work.own.probability.argmax())]
        right = (
            "not known"
            if truth is None
            else "<span class='lb-good'>right</span>"
            if truth[0] == said
            else "<span class='lb-bad'>wrong</span>"
        )
        moved = 100 * float(np.abs(work.reading.probability - work.own.probability).sum()) / 2
        rows.append(
            [
                html.text(SHORT[work.predictor.arm]),
                html.text(work.predictor.label),
                f"the note {spoken_verdict(said)}",
                right,
                f"{moved:.0f} %",
            ]
        )
    table = html.table(["Network", "What it is", "Says", "Right?", "Moved when told of another picture"], rows)
    return [gr.HTML(data=data | {"truth_word": "(true)", "classes_title": "Verdict"}), table]


def outlines(desk: Desk, request: Any, kept: Any, values: Sequence[Any]) -> str:
    """Every outline as a small picture, against the truth where it is known, and how much of it stays when another picture is told of."""
    found = works(desk, request, OUTLINE, values, arms(OUTLINE))
    reference, where = reference_of(found[0].scan, kept, truth_of_phrase(found[0].text))
    rows = []
    for work in found:
        mask = work.outlined(work.own)
        fit = "not known" if reference is None else f"overlap (IoU) {overlap(mask, reference):.2f}"
        name = html.text(SHORT[work.predictor.arm])
        rows.append(
            [results.thumb(work), name, f"{100 * mask.mean():.1f} % of the picture", fit, f"{100 * overlap(mask, work.mask):.0f} %"]
        )
    against = f"Against the reference ({where})" if reference is not None else "Against a reference"
    return html.table(["Outline", "Network", "Outlined", against, "Stays when told of another picture"], rows)


def costs(desk: Desk, request: Any, values: Sequence[Any]) -> str:
    """Tokens, operations, time and numbers that learn: infused, the text alone, patches before the text."""
    shown, note = values[0], str(values[1] or "")
    rows = []
    for arm in (one for one in COSTED if one in arms(NOTES)):
        predictor = desk.predictor(NOTES, arm)
        prepared, known = predictor.prepare(desk.scan(request, shown).pixels), predictor.cost(note)
        patches = predictor.clip.patches if arm == TOKENS else 0
        operations = known["patches"] if arm == TOKENS else known["infused"]
        rows.append(
            [
                html.text(SHORT[arm]), f"{known['tokens'] + patches:,.0f}", f"{operations / 1e6:,.1f} million", f"{1000 * predictor.seconds(NOTES, prepared, note):.1f} ms",
                f"{known['trained']:,.0f}", f"{100 * known['trained'] / (known['trained'] + known['frozen']):.2g} %",
            ]
        )  # fmt: skip
    head = [
        "Network",
        "Tokens the language model reads",
        "Products and sums of a pass",
        "A pass, measured",
        "Numbers that learn",
        "Share of all",
    ]
    note = (
        f"<p class='lb-hint'>The note of the Explore drawer on {html.text(desk.context.device)}: the middle one of nine passes of language model and head; the picture reader, the "
        "same for all, is left out. Products and sums are reckoned from the sizes (inferred). At this small size a pass is mostly overhead, so times differ less than "
        "operations; other work on this machine makes them longer.</p>"
    )
    return html.table(head, rows) + note


def reckoned(text: int) -> dict[str, Any]:
    """Operations of one pass at the paper's size, over a text of so many tokens."""
    alone = flops(LLAMA_7B, text)
    infused, before = flops(LLAMA_7B, text, infused=INFUSED, image=CLIP_LARGE), flops(LLAMA_7B, text, visual=VISUAL)
    items = [
        Gauge(label, value / 1e12, 0, before / 1e12, text=f"{value / 1e12:.2f} trillion", colour=place)
        for place, (label, value) in enumerate(
            ((f"Infused into {INFUSED} layers", infused), ("The text alone", alone), (f"{VISUAL} picture tokens before the text", before))
        )
    ]
    about = f"Products and sums of one pass over {text} tokens of text: infusion needs {100 * infused / before:.1f} % of what picture tokens need, {100 * (infused / alone - 1):.2g} % more than the text alone."
    return gauges_data(items, title="Operations of one pass", about=about)
