"""Compare: the same request through every network; what tasks share of their neurons as ρ and α move; what is lost without some neurons, with a control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
import numpy as np

from models.neural_tuning.config import PAPER_LAYERS, PAPER_NEURONS, PAPER_WIDTH, stn_parameters
from models.neural_tuning.plan import OWN
from models.shared.backbones.language.tasks import TASKS
from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.answers import hints, thumb
from workbench.parts.charts import Gauge, gauges, gauges_data
from workbench.parts.events import EVENT, spoken
from workbench.parts.outline_measures import reference_of
from workbench.tabs.neural_tuning import neurons, results
from workbench.tabs.neural_tuning.board import SLOW
from workbench.tabs.neural_tuning.desk import DESKS, Desk, plain, settings_of
from workbench.tabs.neural_tuning.names import LAYERS, TASK_WORDS, TRAINED, arms, card
from workbench.tabs.neural_tuning.names import spoken as spoken_neuron
from workbench.tabs.neural_tuning.scan import mask_of

MEASURED = {"describe": "right words", "outline": "mean IoU", "reason": "mean IoU", "draw": "cosine of the feature"}
MOST = 24
COUNTED = (neurons.EVERY, "question", "answer")
"""Kinds of tokens that every task has."""
LOSS = 0.05
"""From which share of a number on a loss is spoken of; ours."""
PAPER_VOCABULARY = 262.19
"""Million numbers of token table and word head of LLaMA-2-7B with six new tokens, which the release trains whole (computed, spec §3)."""


def compare(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    desk = DESKS.of(site)
    gr.Markdown("#### The request of the Explore drawer through every network, each as it was trained", container=False)
    told = html.show("", elem_id="neural_tuning_networks")
    gr.Markdown(
        "#### Which neurons do tasks share?\n\nCounted on 16 test phantoms with their true answers, by the full network. Shared: a neuron that fires on at least ρ of the "
        "tokens of every task. Only one task's: there so, and on less than half of that elsewhere. Both thresholds are ours (inferred).",
        container=False,
    )
    with gr.Row():
        rho = gr.Slider(
            0.05, 1, value=TRAINED.rho, step=0.05, label="Active share ρ", info=f"Trained at {TRAINED.rho:g}.", elem_id="neural_tuning_compare_rho"
        )  # fmt: skip
        alpha = gr.Slider(
            0, 1, value=TRAINED.alpha, step=0.05, label="Memory over depth α", info=f"Trained at {TRAINED.alpha:g}.",
            elem_id="neural_tuning_compare_alpha",
        )  # fmt: skip
        measure = gr.Radio(
            [("Cosine of firing", "cosine"), ("Neurons in common (Jaccard)", "jaccard")], value="cosine", label="How alike", elem_id="neural_tuning_measure"
        )  # fmt: skip
        kind = gr.Radio(
            [one for one in neurons.COUNTED if one[1] in COUNTED], value=neurons.EVERY, label="Tokens counted",
            info="Most tokens are patches of the picture, which all tasks but drawing read alike.", elem_id="neural_tuning_compare_kind",
        )  # fmt: skip
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            rasters = html.show("", elem_id="neural_tuning_panels", css_template=neurons.CSS)
        with gr.Column(scale=1, min_width=320):
            shared = html.show("", elem_id="neural_tuning_shared")
            memory = gauges(elem_id="neural_tuning_memory", asks=True)
    task, number, silenced = _silence_box()

    def ask(request: gr.Request, kept: Any, *values: Any) -> str:
        with spoken():
            return networks(desk, request, kept, values)

    def count(rho: float, alpha: float, measure: str, kind: str) -> list[Any]:
        with spoken():
            return counted(desk, rho, alpha, measure, kind)

    def lose(task: str, number: float) -> str:
        with spoken():
            return lost(desk, task, int(number))

    dials, shows = [rho, alpha, measure, kind], [rasters, shared, memory]
    first = memory.opened(ask, [desk.reference, *desk.inputs], told, **EVENT)
    first.then(count, dials, shows, **EVENT)
    for one in dials:
        one.change(count, dials, shows, **EVENT)
    silenced[0].click(lose, [task, number], silenced[1], **SLOW)


def _silence_box() -> list[Any]:
    """Task, how many, (button, result)."""
    gr.Markdown(
        "#### Silence neurons of one task, and ask all four\n\nThe neurons most special to a task are set to nought. If only this task suffers, they were its own; if all "
        "suffer, they were shared. As many neurons at random, drawn twice, say what losing *any* neurons costs.",
        container=False,
    )
    with gr.Row():
        task = gr.Radio([(words, task) for task, words in TASK_WORDS.items()], value="draw", label="Neurons of", elem_id="neural_tuning_of", elem_classes="lb-chips")  # fmt: skip
        number = gr.Slider(1, MOST, value=6, step=1, label="How many", elem_id="neural_tuning_n")
    with gr.Row(elem_classes="lb-controls"):
        button = gr.Button("Silence and measure", elem_id="neural_tuning_lose", min_width=200, scale=0)
    made = [task, number, (button, html.show("", elem_id="neural_tuning_lost"))]
    known = card()
    study = known and known.extra["neurons"].get(OWN, {}).get("silenced")
    if study:
        html.show(
            html.card(f"The same, measured once on {study['pictures']} test phantoms: {study['n']} neurons of each task", study_table(study["numbers"])),
            elem_id="neural_tuning_study",
        )  # fmt: skip
    html.show(html.card("At the paper's size, reckoned", hints([paper_size()])))
    return made


def networks(desk: Desk, request: Any, kept: Any, values: Sequence[Any]) -> str:
    """Markup: what every network answers, its outlines or its drawing, and how well they fit where the truth is known."""
    settings, words, rows, known = settings_of(values), str(values[1] or ""), [], card()
    where = ""
    for arm in arms():
        work = desk.ask(request, values[0], words, plain(settings, arm))
        answer = work.answer
        reference, where = reference_of(work.scan, kept, mask_of(work.request))
        if answer.feature is not None:
            image = thumb(answer.painted, [], f"{results.short(work)}: by the small painter", width=96)
            fit = f"nearest training phantom: {html.text(answer.nearest[0].caption)} (cosine {answer.nearest[0].cosine:.2f})"
        else:
            image = thumb(work.scan.pixels, list(work.masks), f"{results.short(work)}: {len(answer.outlines)} outlines", width=96)
            fit = results.agreement(work, reference) or "not known"
        sizes = known.extra["trained"][arm]["all"] if known else sum(p.numel() for p in work.predictor.net.parameters() if p.requires_grad)
        rows.append([f"{results.short(work)}<br>{image}", results.spelled(work), fit, f"{sizes:,}", f"{1000 * answer.seconds:.0f} ms"])
    table = html.table(["Network", "It answers", "Fit", "Numbers that learned", "Took, on this machine"], rows).replace(
        "<td>", '<td class="lb-wrap">'
    )
    told = f"Asked: “{html.text(words)}”." + (f" Reference: {html.text(where)}." if where else "")
    return hints([told]) + table


def counted(desk: Desk, rho: float, alpha: float, measure: str, kind: str) -> list[Any]:
    """Rasters of the tasks, their tables, and the gauges of memory; kind: of the tokens counted."""
    predictor = desk.predictor(OWN)
    dials = settings_of([None, "", OWN, rho, alpha, False, (), 0.5]).dials
    found = neurons.only(predictor.raster(**dials), kind if kind in COUNTED else neurons.EVERY)
    items = [
        Gauge(f"{TASK_WORDS[task]}: layers {LAYERS[step]} and {LAYERS[step + 1]}", float(found.remembered()[place, step]), -1, 1, colour=place)
        for place, task in enumerate(TASKS)
        for step in range(len(LAYERS) - 1)
    ]  # fmt: skip
    about = "Cosine of what neurons hold (u) in neighbouring layers, mean over the tokens counted. With α at 1 a layer repeats the one below, so it is 1."
    memory = gauges_data(items, title="Memory over depth", about=about)
    return [neurons.panels(found), neurons.shared(predictor.overlap(found), measure), gr.HTML(data=memory)]


def lost(desk: Desk, task: str, number: int) -> str:
    """Markup: the four tasks whole, without a task's most special neurons, and without as many at random; what that says."""
    found = desk.predictor(OWN).silence(task, number)
    random = {one: float(np.mean([draw[one] for draw in found.random])) for one in TASKS}
    rows = []
    for one in TASKS:
        cells = [found.whole[one], found.without[one], *(draw[one] for draw in found.random)]
        rows.append(
            [f"{TASK_WORDS[one]} ({MEASURED[one]})", *(f"{value:.3f}" for value in cells), _signed(found.without[one] - random[one])]
        )
    heads = [
        "Task",
        "Whole",
        f"Without {number} of “{TASK_WORDS[task]}”",
        *(f"{number} at random, draw {i + 1}" for i in range(len(found.random))),
        "Against random",
    ]
    which = f"Silenced: {'; '.join(spoken_neuron(*one) for one in found.neurons)}."
    said = (
        f"Measured on {found.pictures} test phantoms with given answers; small numbers, so differences of a few hundredths may be chance."
    )
    return hints([f"<b>{html.text(reading(found.whole, found.without, found.random, task))}</b>"]) + html.table(heads, rows) + hints([html.text(which), said])  # fmt: skip


def reading(whole: Mapping[str, float], without: Mapping[str, float], random: Sequence[Mapping[str, float]], task: str) -> str:
    """What the numbers say, in one sentence of plain text. A loss counts beyond that of the worst random draw, from `LOSS` of the whole network's number on."""
    beyond = {one: (min(draw[one] for draw in random) - without[one]) / max(abs(whole[one]), 1e-9) for one in TASKS}
    suffering = [one for one in TASKS if beyond[one] >= LOSS]
    named = " and ".join(f"“{TASK_WORDS[one]}” (by {100 * beyond[one]:.0f} %)" for one in suffering)
    floor = f"{100 * LOSS:.0f} % more than with random neurons silenced"
    if not suffering:
        return f"No task loses {floor}: nothing shows here that these neurons are anybody's own."
    if suffering == [task]:
        return f"Only {named} loses {floor}: a selective loss, so these neurons matter for it most."
    if task in suffering:
        return f"{named} lose {floor}: these neurons are shared."
    return f"{named}, but not “{TASK_WORDS[task]}”, lost {floor}: firing most in a task is not the same as mattering to it."


def study_table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Markup of the study's numbers in the card."""
    words = {"none": "Whole", **{task: f"Without those of “{said}”" for task, said in TASK_WORDS.items()}}
    rows = [
        [html.text(words.get(name, f"Control: {name}")), *(f"{numbers[task]:.3f}" for task in TASKS)] for name, numbers in found.items()
    ]
    return html.table(["Silenced", *(f"{TASK_WORDS[task]} ({MEASURED[task]})" for task in TASKS)], rows)


def paper_size() -> str:
    """What is trained at the paper's size, from the sizes alone."""
    layer = stn_parameters(PAPER_WIDTH, PAPER_NEURONS)
    return (
        f"Beside {PAPER_LAYERS} layers of LLaMA-2-7B, {PAPER_NEURONS} neurons each: {layer:,} numbers a layer, {layer * PAPER_LAYERS / 1e6:.2f} million in all. As released, the "
        f"whole tables of words learn too, {PAPER_VOCABULARY:g} million numbers more: most of what is trained. Reckoned from the released code's sizes; nothing here was run."
    )


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
