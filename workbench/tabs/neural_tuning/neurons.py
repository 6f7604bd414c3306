"""The neurons as people see them: a raster to choose from, small rasters side by side, what drives a neuron, which tasks share theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from models.shared.backbones.language.tasks import TASKS
from workbench.parts import html
from workbench.parts.answers import hints
from workbench.parts.charts import Gauge, gauges_data
from workbench.parts.word_shares import word_shares
from workbench.tabs.neural_tuning.desk import Work
from workbench.tabs.neural_tuning.names import LAYERS, TASK_WORDS, read_neuron, spoken

if TYPE_CHECKING:
    from models.neural_tuning.neurons import Firing

THIS, DELTA, SPECIAL, EVERY = "this", "delta", "special", ""
VIEWS = (
    ("This answer", THIS),
    ("This answer − the one before", DELTA),
    *((f"{words}, usually", task) for task, words in TASK_WORDS.items()),
    ("Most special to one task", SPECIAL),
)
COUNTED = (
    ("All tokens", EVERY),
    ("Picture patches", "visual"),
    ("Words of the request", "question"),
    ("Words of the answer", "answer"),
    ("Places where a task token is predicted", "read"),
)
ABOUT = {
    THIS: "How often each neuron fires on the tokens counted, in this answer.",
    DELTA: "How much more often each neuron fires in this answer than in the one before; orange: less often.",
    SPECIAL: "How much more often a neuron fires in the task that uses it most than on average in the other three, on 16 test phantoms.",
}
USUAL = (
    "How often each neuron fires in this task, on 16 test phantoms with their true answers and with the dials as set; nobody is silenced."
)
NO_NEURONS = "This network has no neurons, so there is nothing to count and the dials have nothing to turn."
NO_BEFORE = "Ask something else first; then this shows what changed."
NO_TOKEN = "There is no token of this kind here. A request to draw is answered without the picture; an answer without outlines predicts no task token."
CSS = """
.lb-raster { margin: 6px 0 10px; } .lb-raster b { display: block; font-weight: 600; font-size: 13px; } .lb-raster small { display: block; color: var(--body-text-color-subdued); }
.lb-raster .row { display: grid; grid-template-columns: 3.2em repeat(32, minmax(0, 1fr)); gap: 1px; align-items: center; font-size: 11.5px; }
.lb-raster i { display: block; height: 15px; border-radius: 2px; border: 1px solid color-mix(in srgb, var(--body-text-color) 18%, transparent); }
.lb-board { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(255px, 100%), 1fr)); gap: 14px; } .lb-board img { max-width: 100%; margin: 2px 6px 2px 0; }
"""
GRID_CSS = (
    "#neural_tuning_neuron .wrap { display: grid !important; grid-template-columns: repeat(16, minmax(0, 1fr)); gap: 3px; } "
    "#neural_tuning_neuron label { justify-content: center; min-width: 0; padding: 3px 1px !important; border-radius: 6px !important; } "
    "#neural_tuning_neuron label input { position: absolute; opacity: 0; } #neural_tuning_neuron label span { margin: 0 !important; font-size: 11.5px; white-space: normal; text-align: center; line-height: 1.2; } "
    "#neural_tuning_neuron label:has(input:checked) { outline: 2px solid var(--body-text-color); outline-offset: 1px; font-weight: 700; } "
    "#neural_tuning_neuron label:has(input:focus-visible) { outline: 3px solid var(--color-accent); outline-offset: 1px; } "
    "@media (max-width: 900px) { #neural_tuning_neuron .wrap { grid-template-columns: repeat(8, minmax(0, 1fr)); } }"
)


def frequency(found: Firing, kind: str) -> np.ndarray | None:
    """(L, D): share of the answer's tokens of a kind on which a neuron fires; None where there is no such token."""
    a = only(found, kind).a
    return (a > 0).mean(0) if len(a) else None


def only(found: Firing, kind: str) -> Firing:
    """The tokens of a kind."""
    from models.neural_tuning.wrapper import only  # brings PyTorch along

    return only(found, kind)


def values_of(work: Work, view: str, kind: str, before: Mapping[str, Any] | None) -> tuple[np.ndarray | None, str]:
    """((L, D) or None, why there is none)."""
    if work.answer.neurons is None:
        return None, NO_NEURONS
    if view in (THIS, DELTA):
        now = frequency(work.answer.neurons, kind)
        if now is None or view == THIS:
            return now, NO_TOKEN
        earlier = None if before is None else before["fires"].get(kind)
        return (None, NO_BEFORE if before is None else NO_TOKEN) if earlier is None else (now - np.asarray(earlier), "")
    found = work.raster()
    if view == SPECIAL:
        return found.specialisation().max(0), ""
    f = found.frequency(kind)[TASKS.index(view)]
    return (None, NO_TOKEN) if np.isnan(f).any() else (f, "")


def raster(work: Work, view: str, kind: str, chosen: str | None, before: Mapping[str, Any] | None) -> tuple[str, gr.Radio, str | None]:
    """(markup with the colours of the cells, the cells as a choice of one neuron, the one chosen)."""
    values, why = values_of(work, view, kind, before)
    if values is None:
        return hints([why]), gr.Radio(choices=[], value=None, visible=False), None
    signed = view in (DELTA, SPECIAL)
    top = max(float(np.abs(values).max()), 1e-9) if signed else 1.0
    flat = values.ravel()
    cells = [
        (f"{LAYERS[place]}·{neuron + 1} {_share(values[place, neuron], signed)}", f"{place}:{neuron}")
        for place in range(values.shape[0])
        for neuron in range(values.shape[1])
    ]
    dyes = "".join(
        f"#neural_tuning_neuron label:nth-of-type({at + 1}) {{ background: {_dye(v, abs(float(v)) / top)} !important; }}"
        for at, v in enumerate(flat)
    )
    ids = [id for _, id in cells]
    value = chosen if chosen in ids else ids[int(flat.argmax())]
    told = f"{ABOUT.get(view, USUAL)} 4·7 is neuron 7 of layer 4; numbers are per cent{' points' if signed else ''}."
    if view == THIS and before is not None and work.fires is not None:
        told += f" {apart(work, before)}"
    return f"<style>{GRID_CSS}{dyes}</style>{hints([html.text(told)])}", gr.Radio(choices=cells, value=value, visible=True), value


def apart(work: Work, before: Mapping[str, Any]) -> str:
    """How far the raster lies from that of the answer before, in plain text."""
    mean = 100 * float(np.abs(work.fires - np.asarray(before["fires"][EVERY])).mean())
    return f"Against the answer before (“{before['request']}”), a neuron's share differs by {mean:.0f} points on average."


def driven(work: Work, view: str, chosen: str | None) -> str:
    """What drives a neuron most: the words of this answer with its strength under each, or words of all test phantoms."""
    found, where = work.answer.neurons, read_neuron(chosen)
    if found is None or where is None:
        return ""
    name = spoken(*where)
    name = name[0].upper() + name[1:]
    if view in (THIS, DELTA):
        patches, total = only(found, "visual"), max(float(np.maximum(_activity(found, where), 0).sum()), 1e-9)
        first = len(patches.word)  # patches come first, then the words
        strength, seen = np.maximum(_activity(found, where)[first:], 0), np.maximum(_activity(patches, where), 0)
        best = [str(patches.word[at]) for at in np.argsort(-seen)[:3] if seen[at] > 0]
        told = f"{name}: how its activity in this answer is shared among the words; {100 * float(seen.sum()) / total:.0f} % of it falls on the picture."
        if strength.sum() + seen.sum() <= 0:
            return hints([html.text(f"{name} fires on no token of this answer.")])
        more = f" Of the picture, it speaks most at {', '.join(best)} (patches are counted row by row)." if best else ""
        return hints([html.text(told + more)]) + word_shares([str(one) for one in found.word[first:]], strength / total)
    rows = [
        [html.text(str(one["word"])), f"{one['mean']:.2f}", f"{100 * one['fires']:.0f} %", str(one["n"]), ", ".join(TASK_WORDS[t].lower() for t in one["tasks"])]
        for one in work.raster().drivers(*where)
    ]  # fmt: skip
    return hints([html.text(f"{name}: the words and patches that drive it most, on 16 test phantoms of each task.")]) + html.table(
        ["Token", "Mean activity", "Fires on", "Seen", "In the tasks"], rows
    )


def likeness(work: Work) -> dict[str, Any]:
    """How much the answer's neurons resemble those of each task, as gauges; both counted on the words of answers."""
    own = None if work.answer.neurons is None else frequency(work.answer.neurons, "answer")
    if own is None:
        return {"empty": NO_NEURONS}
    usual = work.raster().frequency("answer")
    items = [Gauge(TASK_WORDS[task], float(cosines([own, usual[place]])[0, 1]), 0, 1, colour=place) for place, task in enumerate(TASKS)]
    about = "Cosine of how often each neuron fires on the words of this answer and on those of true answers to 16 test phantoms. Where tasks share most of their neurons, all lie high."
    return gauges_data(items, title="Which task's neurons does this answer resemble?", about=about)


def _activity(found: Firing, where: tuple[int, int]) -> np.ndarray:
    return found.a[:, where[0], where[1]]


def strip(values: np.ndarray, title: str, about: str = "") -> str:
    """Markup of a small raster (L, D) of shares in 0…1, a row each layer."""
    rows = "".join(
        f"<div class='row'><span>{LAYERS[place]}</span>{''.join(_cell(v) for v in row)}</div>" for place, row in enumerate(values)
    )
    most = "; ".join(f"layer {LAYERS[p]}: {', '.join(str(n + 1) for n in np.argsort(-row)[:4])}" for p, row in enumerate(values))
    said = f"Busiest neurons, {most}."
    return f"<div class='lb-raster'><b>{html.text(title)}</b><div aria-hidden='true'>{rows}</div><small>{html.text(said)} {html.text(about)}</small></div>"


def panels(found: Firing) -> str:
    """Every task's raster, and where tasks differ."""
    f, special = found.frequency(), found.specialisation()
    shown = "".join(strip(f[place], TASK_WORDS[task]) for place, task in enumerate(TASKS))
    own = special.argmax(0)
    named = [
        f"layer {LAYERS[p]}, neuron {n + 1} ({TASK_WORDS[TASKS[own[p, n]]].lower()}, {100 * special.max(0)[p, n]:+.0f} points)"
        for p, n in [np.unravel_index(at, own.shape) for at in np.argsort(-special.max(0), axis=None)[:3]]
    ]
    return shown + strip(
        special.max(0), "Difference: the task that uses a neuron most − the mean of the others", f"Most special: {'; '.join(named)}."
    )


def shared(overlap: Mapping[str, Any], measure: str) -> str:
    """Task × task, a table for each layer with neurons, and how many neurons are shared, special, silent."""
    names = [TASK_WORDS[task] for task in TASKS]
    made = "".join(
        hints([f"<b>Layer {LAYERS[place]}</b>"]) + matrix(names, table) for place, table in enumerate(np.asarray(overlap[measure]))
    )
    words = {"shared": "Shared by all four", **{task: f"Only: {TASK_WORDS[task].lower()}" for task in TASKS}, "silent": "Silent"}
    rows = [[f"Layer {LAYERS[place]}", *(str(int(overlap["counts"][key][place])) for key in words)] for place in range(len(LAYERS))]
    return made + html.table(["Neurons", *words.values()], rows)


def matrix(names: Sequence[str], values: np.ndarray) -> str:
    """Markup of a square table of shares in 0…1, coloured."""
    rows = [
        [html.text(name), *(f"<span style='background:{_dye(v, float(v) ** 3)};padding:2px 6px;border-radius:4px'>{v:.2f}</span>" for v in row)]
        for name, row in zip(names, values, strict=True)
    ]  # fmt: skip
    return html.table(["", *names], rows)


def cosines(rasters: Sequence[np.ndarray]) -> np.ndarray:
    """(n, n) cosines of rasters (L, D)."""
    flat = np.stack([one.ravel() for one in rasters]).astype(float)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    return flat @ flat.T


def kept(work: Work) -> dict[str, Any] | None:
    """What a page remembers of an answer, to set the next one beside it."""
    found = work.answer.neurons
    if found is None:
        return None
    fires = {kind: None if (f := frequency(found, kind)) is None else f.round(4).tolist() for _, kind in COUNTED}
    return {"request": work.request, "fires": fires}


def _cell(value: float) -> str:
    return f'<i style="background:{_dye(value, abs(float(value)))}"></i>'


def _share(value: float, signed: bool) -> str:
    return (f"{100 * value:+.0f}" if signed else f"{100 * value:.0f}").replace("-", "−")


def _dye(value: float, strength: float) -> str:
    return f"color-mix(in srgb, {'var(--color-accent)' if value >= 0 else '#d55e00'} {5 + 50 * min(max(strength, 0.0), 1.0):.0f}%, transparent)"
