"""Which network answers: its name, its size, what was measured of it, and a way to choose another or fetch it.

    picker = backbone_picker(context, "clip", elem_id="promim_clip")
    picker.chosen.change(handler, [picker.chosen, …], …)      # a State with what `load_clip` (or `load_sam2`) takes

`chosen` changes only once the network chosen is on this machine; until then, and when a download fails, the one before stays in use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr

from workbench import backbones
from workbench.backbones import Choice
from workbench.context import Context
from workbench.parts import html
from workbench.parts.evidence import KINDS, number

_TITLES = {"clip": "Image–text network (CLIP)", "sam2": "Segmenter (SAM 2)"}
_HINTS = {"clip": "Looks at the picture and at the words.", "sam2": "Turns a click or a box into an outline."}
_QUICK = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
_PARTS = {"seen": "findings as in its training", "unseen": "new combinations of findings"}
_MEASURES = {
    "accuracy": "right class without further training (share)",
    "retrieval": "finds its own description among 100 (share)",
    "iou_1_click": "overlap after one click (IoU)",
    "iou_3_clicks": "overlap after three clicks (IoU)",
    "iou_5_clicks": "overlap after five clicks (IoU)",
    "iou_box": "overlap for a box (IoU)",
}
_NOT_MEASURED = "Published weights; they were not measured here."


@dataclass(frozen=True)
class BackbonePicker:
    """`chosen` is the State to listen to; `first` what it holds when the page opens."""

    chosen: gr.State
    first: str
    choice: gr.Dropdown
    fetch: gr.Button
    about: gr.HTML


def backbone_picker(
    context: Context,
    kind: Literal["clip", "sam2"] = "clip",
    *,
    elem_id: str,
    extra: Sequence[Choice] = (),
    keys: Sequence[str] | None = None,
) -> BackbonePicker:
    """Lay the part out. `extra`: further choices of the tab (kind "none": always here). `keys`: only these of the usual ones, and the host's own."""
    usual = [choice for choice in backbones.choices(kind) if keys is None or choice.key in keys or choice.key == backbones.OWN]
    offered = {choice.key: choice for choice in (*usual, *extra)}
    now = backbones.first(tuple(offered.values()))
    chosen = gr.State(now.spec)
    with gr.Row(elem_classes="lb-controls", elem_id=elem_id):
        pick = gr.Dropdown(
            [(choice.label, choice.key) for choice in offered.values()],
            value=now.key,
            label=_TITLES[kind],
            info=_HINTS[kind],
            elem_id=f"{elem_id}_choice",
        )
        fetch = gr.Button("Fetch", visible=False, scale=0, min_width=160, elem_id=f"{elem_id}_fetch")
    about = html.show(_about(now) if backbones.surely_here(now) else _absent(now), elem_id=f"{elem_id}_about")
    picker = BackbonePicker(chosen, now.spec, pick, fetch, about)
    _wire(context, picker, offered)
    return picker


def _wire(context: Context, picker: BackbonePicker, offered: dict[str, Choice]) -> None:
    outputs = [picker.chosen, picker.choice, picker.fetch, picker.about]

    def choose(key: str, now: str) -> list[Any]:
        return _settled(offered[key], now, offered)

    def get(key: str, now: str) -> Iterator[list[Any]]:
        wanted = offered[key]
        try:
            for had, total in context.fetches.follow(wanted):
                yield [gr.skip(), gr.skip(), gr.Button(interactive=False), _coming(wanted, had, total)]
        except ValueError as refused:
            yield [gr.skip(), _in_use(now, offered).key, gr.Button(visible=False, interactive=True), _failed(str(refused), now, offered)]
            return
        yield _settled(wanted, now, offered)

    picker.choice.input(choose, [picker.choice, picker.chosen], outputs, **_QUICK)
    picker.fetch.click(get, [picker.choice, picker.chosen], outputs, **_QUICK)


def _settled(wanted: Choice, now: str, offered: dict[str, Choice]) -> list[Any]:
    """State, choice, button and text once somebody has chosen or fetched."""
    absent = backbones.missing(wanted)
    if not absent:
        return [wanted.spec, wanted.key, gr.Button(visible=False, interactive=True), _about(wanted)]
    if not wanted.fetch_mb:
        return [gr.skip(), _in_use(now, offered).key, gr.Button(visible=False, interactive=True), _failed(absent, now, offered)]
    button = gr.Button(f"Fetch it ({wanted.fetch_mb} MB)", visible=True, interactive=True)
    return [gr.skip(), gr.skip(), button, _to_fetch(wanted, now, offered)]


def _in_use(spec: str, offered: dict[str, Choice]) -> Choice:
    return next((choice for choice in offered.values() if choice.spec == spec), next(iter(offered.values())))


def _about(choice: Choice) -> str:
    """What is in use, and its numbers."""
    line = f"<p class='lb-hint' role='status'><span class='lb-good'>In use:</span> {html.text(choice.label)}. {html.text(choice.about)}</p>"
    return line + _evidence(choice)


def _absent(choice: Choice) -> str:
    """For a copy of the program in which not even the first choice is here."""
    return f"<p class='lb-hint' role='status'><span class='lb-bad'>Nothing to use yet:</span> {html.text(backbones.missing(choice))}</p>"


def _evidence(choice: Choice) -> str:
    if choice.kind == "none":
        return ""
    metrics = backbones.measured(choice)
    if not metrics:
        words = _NOT_MEASURED if choice.fetch_mb or choice.key == backbones.OWN else "Its measurements are not in this copy of Lightbox."
        return f"<p class='lb-hint'>{words}</p>"
    rows = []
    for name, metric in metrics.items():
        task, _, measure = name.rpartition("/")
        span = f"{number(metric.low)} to {number(metric.high)}"
        rows.append(
            [
                html.text(_task(task)),
                html.text(_measure(measure)),
                f"{number(metric.value)} <small>{span}</small>",
                str(metric.n),
                KINDS[metric.kind],
            ]
        )
    table = html.table(["Task", "Measure", "Value", "n", "Measured on"], rows)
    return f"<details class='lb-notes'><summary>What was measured of it on held-out pictures</summary>{table}<p><small>Small figures: 95 % interval.</small></p></details>"


def _task(name: str) -> str:
    """ "brain_mr unseen" → "brain mr, new combinations of findings"."""
    source, _, part = name.partition(" ")
    return " ".join([source.replace("_", " ") + ("," if part else ""), _PARTS.get(part, part)]).strip()


def _measure(name: str) -> str:
    return _MEASURES.get(name, name.replace("_", " "))


def _to_fetch(wanted: Choice, now: str, offered: dict[str, Choice]) -> str:
    return (
        f"<p class='lb-hint' role='status'><b>{html.text(wanted.label)}</b> is not on this machine yet. {html.text(wanted.about)} "
        f"Fetching it takes {wanted.fetch_mb} MB of download and disk, once. {_still(now, offered)}</p>"
    )


def _coming(wanted: Choice, had: int, total: int) -> str:
    share = f" value='{had}' max='{total}'" if total else ""
    told = f"{had / 1e6:,.0f} of {total / 1e6:,.0f} MB" if total else "asking for it …"
    return (
        f"<p class='lb-hint' role='status'>Fetching {html.text(wanted.label)}: {told} <progress class='lb-fetching'{share}></progress></p>"
    )


def _failed(sentence: str, now: str, offered: dict[str, Choice]) -> str:
    return f"<p class='lb-hint' role='alert'><span class='lb-bad'>Not changed:</span> {html.text(sentence)} {_still(now, offered)}</p>"


def _still(now: str, offered: dict[str, Choice]) -> str:
    return f"Still in use: {html.text(_in_use(now, offered).label)}."
