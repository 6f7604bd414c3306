"""Compare: the same pair through every network, what each confuses on fresh phantoms, and what learning costs, measured here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from models.shared.prompt_interaction.plan import OWN
from workbench.context import Context
from workbench.note_room.cases import truth
from workbench.note_room.desk import Desk
from workbench.note_room.explore import SLOW
from workbench.note_room.room import BATCH_ARMS, NoteRoom
from workbench.parts import html
from workbench.parts.charts import Series, bars_data, probability_bars
from workbench.parts.events import EVENT, spoken
from workbench.parts.notes import spoken_verdict

if TYPE_CHECKING:
    from models.shared.prompt_interaction.data import Pairs

PICTURES, FIRST = 40, 5000
"""Fresh test phantoms for the mistakes, beyond those that the card's numbers come from."""

CSS = ".lb-tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); gap: 14px; } .lb-tables > * { min-width: 0; margin: 0; }"


def compare(room: NoteRoom, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    desk, id = room.desks.of(site), room.id
    gr.Markdown("#### The picture and note of the Explore drawer through every network", container=False)
    bars = probability_bars(elem_id=f"{id}_compare_bars", asks=True)
    told = html.show("", elem_id=f"{id}_compare_turned")
    gr.Markdown(
        f"#### Who confuses what: {PICTURES} fresh phantoms, one agreeing, one contradicting and one unrelated note each\n\nThe networks differ in what their hub "
        "carries: nothing, one way, everything alike, or both ways by similarity.",
        container=False,
    )
    with gr.Row(elem_classes="lb-controls"):
        count = gr.Button("Count the mistakes", elem_id=f"{id}_count")
    counted = html.show("", elem_id=f"{id}_counted", css_template=CSS)
    gr.Markdown("#### What learning costs, measured on this machine now", container=False)
    with gr.Row(elem_classes="lb-controls"):
        measure = gr.Button("Measure", elem_id=f"{id}_cost_measure")
    cost = html.show("", elem_id=f"{id}_cost")

    def ask(request: gr.Request, *values: Any) -> list[Any]:
        with spoken():
            return compared(desk, request, values)

    def mistakes() -> str:
        with spoken():
            return confusions(room, context)

    def price() -> str:
        with spoken():
            return costs(room, context)

    bars.opened(ask, desk.inputs, [bars, told], **EVENT)
    count.click(mistakes, None, counted, **SLOW)
    measure.click(price, None, cost, **SLOW)


def compared(desk: Desk, request: Any, values: Sequence[Any]) -> list[Any]:
    """Bars, and what one turned word does in each network; values as `Desk.inputs`. The hub stands as it was trained."""
    from models.shared.data.phantoms.note_reading import turns

    shown, note, *_ = values
    works = [desk.work(request, (shown, note, arm, 0.1, 1.0, False, None)) for _, arm in desk.room.choices()]
    series = [Series(desk.room.short(w.predictor.arm), place, [float(p) for p in w.answer.probability]) for place, w in enumerate(works)]
    verdicts = works[0].answer.verdicts
    known = truth(works[0].scan.picture, works[0].answer.note)
    place = verdicts.index(known[0]) if known else None
    names = [f"The note {spoken_verdict(name)}" for name in verdicts]
    bars = gr.HTML(data=bars_data(names, series, title="What each network says", truth=place))
    turned = turns(works[0].answer.note)
    if not turned:
        return [bars, "<p class='lb-hint'>No word of this note can be turned.</p>"]
    rows = []
    for work in works:
        after = work.ask([turned[0].text])[0]
        rows.append(
            [
                html.text(desk.room.short(work.predictor.arm)),
                html.text(work.answer.verdict),
                html.text(after.verdict),
                f"{100 * np.abs(after.probability - work.answer.probability).sum() / 2:.0f} %",
            ]
        )
    head = ["Network", "The note as it is", f"{turned[0].said} → {turned[0].other}", "Probability that moved"]
    return [bars, html.table(head, rows)]


def confusions(room: NoteRoom, context: Context) -> str:
    """True verdicts against said ones, one table a network."""
    from models.shared.prompt_interaction.training import answers

    shipped = [arm for _, arm in room.choices()]
    made = []
    for arm in (one for one in BATCH_ARMS if one in shipped):
        predictor = room.load(arm, device=context.find_device())
        pairs = _fresh(str(context.device))
        said = answers(predictor.net, pairs, arm).argmax(-1).numpy()
        true = pairs.verdict.numpy()
        counts = [[int(((true == row) & (said == column)).sum()) for column in range(3)] for row in range(3)]
        rows = [
            [name, *(f"<b>{n}</b>" if i == j else str(n) for j, n in enumerate(counts[i]))] for i, name in enumerate(predictor.verdicts)
        ]
        right = sum(counts[k][k] for k in range(3))
        label = room.short(arm) + (": both ways" if arm == OWN else "")
        made.append(html.card(f"{label}: {right} of {true.size} right", html.table(["True \\ said", *predictor.verdicts], rows)))
    return f'<div class="lb-tables">{"".join(made)}</div>'


@lru_cache(maxsize=1)
def _fresh(device: str) -> Pairs:
    from models.shared.prompt_interaction.data import pairs
    from models.shared.prompt_interaction.study import clip_of

    return pairs(clip_of(device), "test", PICTURES, 1, start=FIRST)


def costs(room: NoteRoom, context: Context) -> str:
    """Head alone, the method, and the same towers wholly unfrozen."""
    from models.shared.prompt_interaction.cost import BATCH, measured

    predictor = room.load(OWN, device=context.find_device())
    rows = [
        [html.text(one.label), f"{one.trained:,}", f"{100 * one.share:.3g} %", f"{one.step_ms:.0f} ms", _megabytes(one.memory_bytes)]
        for one in measured(predictor.clip, predictor.net.config)
    ]
    note = (
        f"<p class='lb-hint'>One training step of {BATCH} pairs on {html.text(context.device)}; other work on this machine makes times longer. Memory: what is kept for "
        "the way back, gradients and the optimiser's moments; the weights, the same for all, are left out.</p>"
    )
    return html.table(["What learns", "Numbers", "Share of all", "A step", "Memory for learning"], rows) + note


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
